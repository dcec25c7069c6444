/** What gives somebody a home and lets them count as a reader: their passes, their country, and what they paid themselves. */

import { LIST_MAX, type TabRow } from "#marketplace/ledger/book";
import type { Market } from "#marketplace/market";
import { readTab, type Tab } from "#marketplace/tab/tab";

const DAY_MS = 86_400_000;

/** What somebody paid counts for so long. */
const PAID_MS = 30 * DAY_MS;

/** Pages of an account's tabs that are looked through: five years of a tab a day at each of three relays. Whoever has more counts for what is on these. */
const PAGES_MAX = 5;

/** What of a tab's ask the account paid itself, in nano-dollars. */
function ownOf(tab: Tab): bigint {
	return tab.paid.nanos;
}

/** What an account itself paid relays since a time (the last thirty days), in nano-dollars; `elsewhereThan`: but for one operator's. */
export async function paidOf(
	{ book }: Pick<Market, "book">,
	account: string,
	asked: { readonly nowMs: number; readonly sinceMs?: number; readonly elsewhereThan?: string | undefined },
): Promise<bigint> {
	const sinceMs = asked.sinceMs ?? asked.nowMs - PAID_MS;
	let paid = 0n;
	let after: string | undefined;
	for (let page = 0; page < PAGES_MAX; page++) {
		const rows: TabRow[] = await book.tabs({ by: "account", of: account, limit: LIST_MAX, ...(after && { after }) });
		for (const tab of rows.map(readTab))
			if (tab.grant.issuedAtMs >= sinceMs && tab.operator !== asked.elsewhereThan) paid += ownOf(tab);
		after = rows.at(-1)?.tab;
		if (rows.length < LIST_MAX) break;
	}
	return paid;
}

/** Quota of an account's passes that are nobody's gift, or of its country's strong evidence, in bytes of the month. */
export async function quotaBytesOf(_market: Pick<Market, "book">, _account: string, _nowMs: number): Promise<bigint> {
	return 0n;
}
