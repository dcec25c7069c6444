/**
 * Payouts that left after the backup from which a book was brought back: each is set aside again by what the journal kept of it, and then asked about like
 * any other. What an operator earned meanwhile may not be in the book yet; it is tried again until relays have claimed it anew.
 */

import type { Told } from "#marketplace/backup/journal";
import type { Restoring } from "#marketplace/backup/restore";
import type { Market } from "#marketplace/market";
import { happen, newPayout, readPayout } from "./payout.ts";

/** Told shortly before a backup began, it may or may not be in it. */
const AROUND_MS = 86_400_000;

/** What the journal kept that concerns a restored book. */
export function toldSince({ restoring, journal }: Pick<Market, "restoring" | "journal">): readonly Told[] {
	const { span }: Pick<Restoring, "span"> = restoring;
	return span ? journal.since(span.fromMs - AROUND_MS) : [];
}

/** Takes up what the book does not know; how many could not be yet. */
export async function takeUp(
	market: Pick<Market, "book" | "clock" | "log" | "restoring" | "journal">,
): Promise<number> {
	const { book, clock, log } = market;
	let left = 0;
	for (const { id, account, value } of toldSince(market)) {
		const row = await book.record("payouts", id);
		if (row && row.state !== "queued") continue;
		const nowMs = clock.nowMs();
		const version = row?.version ?? 0;
		const told = readPayout({ table: "payouts", key: id, version, account, state: "sending", dueMs: nowMs, value });
		const asked = { ...newPayout(told, nowMs), askedAtMs: told.askedAtMs, version };
		const { change } = happen(asked, { is: "reserved" }, { atMs: nowMs, terms: told.terms, to: told.to, dueMs: nowMs });
		const [outcome] = await book.apply([change]);
		if (outcome === "applied") log.warn({ payout: id }, "a payout that left after the backup is in the book again");
		else left++;
	}
	return left;
}
