/** The end of a month's key of a pool: its tokens are worth nothing any more, spent or not. That is how private passes are revoked, all at once, for nobody knows whose they are. */

import type { Problem } from "#contracts/problem";
import { problem } from "#contracts/problem";
import { isMonth, monthOf } from "#contracts/quota";
import type { Book } from "#marketplace/ledger/book";
import { type Market, problemOfRefusal } from "#marketplace/market";
import { termsOf } from "#marketplace/pass/pools";

type Reads = { readonly book: Pick<Book, "record"> };

function keyOf(pool: string, month: number): string {
	return `end:${pool}:${month}`;
}

/** Whether a pool's month was ended. */
export async function isEnded({ book }: Reads, pool: string, month: number): Promise<boolean> {
	return (await book.record("tokens", keyOf(pool, month))) !== undefined;
}

/** Ends it: whoever fills the pool may, this month's or one to come. Again, it is ended still. */
export async function endMonth(
	market: Pick<Market, "book" | "clock">,
	account: string,
	pool: string,
	month: number,
): Promise<Problem | undefined> {
	const terms = await termsOf(market, pool);
	if (terms?.sponsor !== account) return problem("not-found", "You have no such pool.");
	if (!isMonth(month) || month < monthOf(market.clock.nowMs()))
		return problem("malformed", "Say this month, or one to come, like 202701: what is past has ended by itself.");
	const row = { key: keyOf(pool, month), account, state: "ended", dueMs: market.clock.nowMs(), value: "{}" };
	const [outcome] = await market.book.apply([{ rows: [{ table: "tokens", expect: 0, row }] }]);
	if (outcome === "applied" || (typeof outcome === "object" && outcome.refused === "stale")) return undefined;
	return problemOfRefusal(typeof outcome === "object" ? outcome.refused : "unknown", "");
}
