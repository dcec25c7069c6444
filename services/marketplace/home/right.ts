/** What gives somebody a home and lets them count as a reader: their passes, their country, and what they paid themselves. */

import { partsOf } from "#contracts/tranche";
import { LIST_MAX, type TabRow } from "#marketplace/ledger/book";
import type { Market } from "#marketplace/market";
import { passesOf, personFactsOf } from "#marketplace/pass/facts";
import { RULES } from "#marketplace/sponsor/rules";
import { readTab, type Tab } from "#marketplace/tab/tab";

const DAY_MS = 86_400_000;
const PPM = 1_000_000n;

/** What somebody paid counts for so long. */
const PAID_MS = 30 * DAY_MS;

/** Pages of an account's tabs that are looked through: five years of a tab a day at each of three relays. Whoever has more counts for what is on these. */
const PAGES_MAX = 5;

/** What of a tab's ask the account paid itself, in nano-dollars: its own, and its part of what the commons pay for. */
function ownOf({ paid, tranches }: Pick<Tab, "paid" | "tranches">): bigint {
	const asks = partsOf(paid.nanos, tranches);
	return tranches.reduce((sum, { payerPpm }, i) => sum + ((asks[i] ?? 0n) * BigInt(payerPpm)) / PPM, 0n);
}

/** The bytes that were carried on the payer's own tranche of a tab. */
export function ownBytesOf({ paid, tranches }: Pick<Tab, "paid" | "tranches">): bigint {
	if (tranches.every(({ fund }) => fund === "own")) return paid.bytes;
	const own = tranches.findIndex(({ fund }) => fund === "own");
	const ask = own < 0 ? 0n : (partsOf(paid.nanos, tranches)[own] ?? 0n);
	return ask === 0n ? 0n : (paid.bytes * ask) / paid.nanos;
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

/**
 * What an account may have of funds in a month, in bytes: by passes, and as a reader by them or by strong evidence of its country. Gifts are somebody else's quota and
 * count there. `tags`: the person's, as far as enrollers checked that they are one. Evidence alone gives no draw: one card makes as many accounts as somebody likes, and each of them can pay for a little mail first.
 */
export async function quotaBytesOf(
	market: Pick<Market, "book">,
	account: string,
	nowMs: number,
): Promise<{ readonly passes: bigint; readonly reader: bigint; readonly tags: readonly string[] }> {
	const { passes, evidence } = await personFactsOf(market, account, false, nowMs);
	const held = await passesOf(market, account, nowMs);
	const sum = passes.reduce((all, { from, monthBytes }) => (from === "gift" ? all : all + monthBytes), 0n);
	return {
		passes: sum,
		reader: evidence === "strong" ? sum + RULES.quotaBytes : sum,
		tags: held.flatMap(({ tag }) => (tag === undefined ? [] : [tag])),
	};
}
