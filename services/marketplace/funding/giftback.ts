/** What becomes of a card's gift to a pool after it was credited: it clears there, or a bank takes it back (gift.ts; threat 20). */

import { type Amount, add, amount, NOTHING } from "#contracts/amount";
import type { RowChange } from "#marketplace/ledger/book";
import { freshAccount, payerAccount, poolAccount, poolFreshAccount } from "#marketplace/ledger/chart";
import { move } from "#marketplace/ledger/post";
import { type Pool, readPool, writePool } from "#marketplace/pool/pool";
import { type Step, write } from "./decide.ts";
import type { Backed, Came } from "./deposit.ts";
import type { FundingMarket } from "./start.ts";

/** Where the money of a deposit stands: on its owner's two purses, or on a pool's. */
type Purses = {
	readonly fresh: string;
	readonly cleared: string;
	/** what of `fresh` is of this deposit: a pool's is of several people's */
	readonly freshMax?: bigint;
	/** what changes beside the money when so much of `all` is taken from each */
	readonly taken?: (
		all: bigint,
		ofFresh: bigint,
		ofCleared: bigint,
	) => { readonly rows: RowChange[]; readonly came: Partial<Came>; readonly early: bigint };
	/** and when so much came again */
	readonly again?: (nanos: bigint) => RowChange[];
};

/** The purses of a deposit. What was given to a pool that has ended for good comes again to its giver. */
export async function pursesOf(market: FundingMarket, deposit: Backed): Promise<Purses> {
	const { account, came } = deposit;
	const pool = came.gift && (await poolOf(market, deposit));
	if (!came.gift || !pool) return { fresh: freshAccount(account), cleared: payerAccount(account) };
	const { early } = came.gift;
	const { flows } = pool;
	return {
		fresh: poolFreshAccount(pool.pool),
		cleared: poolAccount(pool.pool),
		freshMax: came.fresh - early,
		taken: (all, ofFresh, ofCleared) => {
			const gone = least(early, all - ofFresh);
			const lost = add(flows.lost, amount(ofFresh + ofCleared));
			const next = { ...pool, early: amount(pool.early - gone), flows: { ...flows, lost } };
			return { rows: [writePool(next)], came: { gift: { early: amount(early - gone) } }, early: gone };
		},
		again: (nanos) => {
			// what came again may be more than the pool lost: the reserve had paid the rest
			const mended = least(flows.lost, nanos);
			const came = add(flows.came, amount(nanos - mended));
			return [writePool({ ...pool, flows: { ...flows, came, lost: amount(flows.lost - mended) } })];
		},
	};
}

/** A gift clears: what did not count yet counts now, and its sponsor may take it back like any other money. */
export async function clearGift(
	market: FundingMarket,
	deposit: Backed,
	{ early }: { readonly early: Amount },
): Promise<Step> {
	const pool = await poolOf(market, deposit);
	const { came, quote, reference, version } = deposit;
	const nowMs = market.clock.nowMs();
	const step = write(deposit, { came: { ...came, fresh: NOTHING, gift: { early: NOTHING } }, dueMs: nowMs, fails: 0 });
	// it cannot have ended for good: it waits for what has not cleared
	if (!pool) throw new Error(`a pool ended with gifts that had not cleared: ${deposit.pool}`);
	const nanos = amount(came.fresh - early);
	const label = {
		id: `clear:${quote.rail}:${reference}:${version}`,
		cause: `Cleared: a gift by ${quote.rail}`,
		atMs: nowMs,
	};
	const transfer = move(
		label,
		[{ account: poolFreshAccount(pool.pool), nanos }],
		[{ account: poolAccount(pool.pool), nanos }],
	);
	const rows = [...(step.change?.rows ?? []), writePool({ ...pool, early: amount(pool.early - early) })];
	return { ...step, change: { transfer, rows }, contended: true, more: true };
}

async function poolOf({ book }: FundingMarket, { pool: id = "" }: Backed): Promise<Pool | undefined> {
	const row = await book.record("pools", id);
	const pool = row && readPool(row);
	return pool?.state === "ended" ? undefined : pool;
}

function least(a: bigint, b: bigint): bigint {
	return a < b ? a : b;
}
