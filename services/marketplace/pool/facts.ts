/** What a plan is told of pools (sponsor/facts.ts), without what is counted as tabs are opened. */

import { fromHex } from "#contracts/bytes";
import { poolAccount } from "#marketplace/ledger/chart";
import type { Market } from "#marketplace/market";
import { Burns, counterOf, monthOf } from "#marketplace/sponsor/burn";
import type { FundKnown } from "#marketplace/sponsor/sources";
import { outADay } from "./day.ts";
import { budgetOfMonth, quotaPpm, stateAt, THIN_DAYS } from "./decide.ts";
import type { Pool } from "./pool.ts";
import { poolOf } from "./pools.ts";

const DAY_MS = 86_400_000n;

/** The pools of these ids as they are now, in this order; those that are no more are left out. */
export async function poolFactsOf(
	market: Pick<Market, "book">,
	ids: readonly string[],
	nowMs: number,
): Promise<FundKnown[]> {
	const found = await Promise.all(ids.map((id) => poolOf(market, id)));
	const pools = found.filter((pool) => pool !== undefined);
	return await Promise.all(pools.map((pool) => factsOf(market, pool, nowMs)));
}

async function factsOf({ book }: Pick<Market, "book">, pool: Pool, nowMs: number): Promise<FundKnown> {
	const { pool: id, rules } = pool;
	const month = counterOf.fund(id, monthOf(nowMs));
	const [free, burns] = await Promise.all([book.balance(poolAccount(id)), Burns.read(book, [month])]);
	const now = new Date(nowMs);
	return {
		fund: id,
		pool: fromHex(id),
		state: stateAt(pool, nowMs),
		free,
		dayLimit: rules.dayLimit,
		budget30: budgetOfMonth(free, burns.of(month, "burned"), rules.dayLimit),
		quotaPpm: quotaPpm(free, outADay(pool), daysToLast(rules.untilMs, nowMs)),
		refillsAtMs: Date.UTC(now.getUTCFullYear(), now.getUTCMonth() + 1),
		rules,
	};
}

/** How many days a pool has to last: a month, or until it ends. */
function daysToLast(untilMs: number | undefined, nowMs: number): bigint {
	if (untilMs === undefined) return THIN_DAYS;
	if (untilMs <= nowMs) return 0n;
	const days = (BigInt(untilMs) - BigInt(nowMs)) / DAY_MS + 1n;
	return days < THIN_DAYS ? days : THIN_DAYS;
}
