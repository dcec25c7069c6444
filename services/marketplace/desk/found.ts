/** What the market finds by itself: a case of a kind about somebody, once in a month, so that what was answered well is not asked again at once. */

import { hash } from "node:crypto";
import type { RowChange } from "#marketplace/ledger/book";
import type { Market } from "#marketplace/market";
import { beginCase, type CaseKind, writeCase } from "./case.ts";
import { caseOf } from "./cases.ts";

/** Opens a case, with what changes together with it; false where it was found this month already, by whichever process. */
export async function findOnce(
	{ book, clock, log }: Pick<Market, "book" | "clock" | "log">,
	what: { readonly kind: CaseKind; readonly account: string; readonly about: string },
	reasons: readonly string[],
	rows: readonly RowChange[] = [],
): Promise<boolean> {
	const nowMs = clock.nowMs();
	const month = new Date(nowMs).toISOString().slice(0, 7);
	const id = hash("sha256", `${what.kind}:${what.account}:${what.about}:${month}`, "hex").slice(0, 32);
	if (await caseOf({ book }, id)) return false;
	const opened = beginCase({ ...what, id, reasons }, nowMs);
	// stale: another process found it first
	const [outcome] = await book.apply([{ rows: [writeCase(opened), ...rows] }]);
	if (outcome === "applied") log.warn({ case: id, kind: what.kind }, "something was found: the desk will want to look");
	return outcome === "applied";
}
