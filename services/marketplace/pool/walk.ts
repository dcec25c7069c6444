/** What a pool's money did, read off its own account and the tabs that it paid for: nothing of it is written down twice. */

import { type Amount, amount } from "#contracts/amount";
import { NO_COUNTRY } from "#contracts/report";
import { poolAccount } from "#marketplace/ledger/chart";
import type { Market } from "#marketplace/market";
import { personOf, standingOf } from "#marketplace/pass/person";
import { billed, fundOf, readTab, type Tab } from "#marketplace/tab/tab";
import { type Paid, Sums } from "./cells.ts";
import type { Pool } from "./pool.ts";

/** Transfers read at once. */
const PAGE = 500;

/** What was found behind a pool's last summed transfer. */
export type Walked = {
	/** the last transfer of the pool's account, and what stood on it then */
	readonly last: number;
	readonly left: bigint;
	/** what the tabs since then were paid */
	readonly toOperators: bigint;
	readonly marketFee: bigint;
	/** tabs that are not closed */
	readonly open: number;
	/** what was paid on tabs before `cutMs`; undefined while one of them is open */
	readonly sums: Sums | undefined;
	/** the last transfer before `cutMs`, and what stood there then */
	readonly cut: { readonly position: number; readonly left: bigint };
};

/** Reads on from where a pool was summed up. More than `tabsMax` tabs: undefined, too much for an answer. */
export async function walkPool(
	{ book }: Pick<Market, "book">,
	pool: Pool,
	cutMs: number,
	tabsMax = Number.MAX_SAFE_INTEGER,
): Promise<Walked | undefined> {
	const account = poolAccount(pool.pool);
	const sums = new Sums();
	const countries = new Map<string, string>();
	let [position, left] = [pool.summedTo, pool.summedLeft as bigint];
	let [toOperators, marketFee, open, openBefore, tabs] = [0n, 0n, 0, 0, 0];
	let cut: Walked["cut"] | undefined;
	for (;;) {
		const page = await book.transfers(account, position, PAGE);
		for (const { id, atMs, entries, position: at } of page) {
			if (atMs >= cutMs) cut ??= { position, left };
			position = at;
			left += entries.find((entry) => entry.account === account)?.nanos ?? 0n;
			if (!id.startsWith("open:")) continue;
			if (++tabs > tabsMax) return undefined;
			const row = await book.tab(id.slice("open:".length));
			if (!row) throw new Error(`a pool paid for a tab that is not there: ${id}`);
			const tab = readTab(row);
			const paid = paidOf(tab, pool.pool, await countryOf(tab.account));
			toOperators += paid.toOperators;
			marketFee += paid.marketFee;
			if (tab.state !== "closed") open += 1;
			if (cut) continue;
			if (tab.state !== "closed") openBefore += 1;
			else if (paid.toOperators > 0n) sums.add(paid);
		}
		if (page.length < PAGE) break;
	}
	return {
		...{ last: position, left, toOperators, marketFee, open },
		sums: openBefore === 0 ? sums : undefined,
		cut: cut ?? { position, left },
	};

	async function countryOf(person: string): Promise<string> {
		const known = countries.get(person);
		if (known !== undefined) return known;
		const country = standingOf(await personOf({ book }, person, cutMs), cutMs).country ?? NO_COUNTRY;
		countries.set(person, country);
		return country;
	}
}

/** What a pool paid on a tab. Bytes are its part of those that were charged, by money. */
function paidOf(tab: Tab, pool: string, country: string): Paid {
	const { ask, parts } = billed(tab);
	const own = parts.filter(({ tranche }) => fundOf(tranche) === pool);
	const nanos = (of: "ask" | "rest"): Amount => amount(own.reduce((sum, part) => sum + part[of], 0n));
	const toOperators = nanos("ask");
	return {
		...{ person: tab.account, relay: tab.relay, country, toOperators },
		bytes: ask === 0n ? 0n : (tab.paid.bytes * toOperators) / ask,
		// a pool pays all of its tranche, and of that the relay's operator gets the ask
		marketFee: amount(nanos("rest") - toOperators),
	};
}
