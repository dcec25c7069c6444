/**
 * What becomes of a pool once a day: weeks that are over are summed up, its figures are noted for everybody, and one that has ended gives back what is left. Figures for everybody are
 * of once a day: whoever could watch them move would learn which tab a pool pays for.
 */

import { type Amount, amount, formatAmount, NOTHING, parseAmount } from "#contracts/amount";
import { LINE_PEOPLE_MIN, MONEY, mondayOf, type PoolMoney, type Report } from "#contracts/report";
import type { RecordRow, RowChange } from "#marketplace/ledger/book";
import { COMMONS, payerAccount, poolAccount, poolFreshAccount } from "#marketplace/ledger/chart";
import { move } from "#marketplace/ledger/post";
import { ATTEMPTS_MAX, type Market } from "#marketplace/market";
import { finish, LOOK_MS, stateAt } from "./decide.ts";
import { type Pool, writePool } from "./pool.ts";
import { poolOf } from "./pools.ts";
import { type Walked, walkPool } from "./walk.ts";
import { stretchOf, weeksOf, writeWeeks } from "./weeks.ts";

/** How often it is looked for pools that are due. */
export const POOLS_ROUND_MS = 60_000;

/** Weeks of fewer people than a line may be of are shown together with the next ones, and after so long without lines: ledgers are pruned some day. */
const WAIT_MS = 8 * 7 * 86_400_000;
/** A tab may be opened by a process that saw the pool a moment before its end. */
const SETTLE_MS = 600_000;
/** A pool whose last tabs are still open is looked at this often. */
const AGAIN_MS = 3_600_000;
/** Days whose use says how long a pool lasts. */
const OUTS_MAX = 8;
const PAGE = 100;

type DayMarket = Pick<Market, "book" | "clock" | "crypto" | "log">;

/** A pool's figures at one moment. */
export type Figures = Pick<Report, "atMs" | "money" | "recent">;

/** Looks at every pool that is due; answers how many. What another process did meanwhile is not done again. */
export async function lookAtPools(market: DayMarket): Promise<number> {
	const { book, clock } = market;
	let looked = 0;
	for (const state of ["open", "paused", "ending"]) {
		let after: RecordRow | undefined;
		do {
			const page: RecordRow[] = await book.records({
				...{ table: "pools", by: "due", state, beforeMs: clock.nowMs() + 1, limit: PAGE },
				...(after && { after }),
			});
			for (const { key } of page) if (await lookAtPool(market, key)) looked += 1;
			after = page.at(-1);
		} while (after);
	}
	return looked;
}

/** One pool's day: whether anything was written. */
async function lookAtPool(market: DayMarket, id: string): Promise<boolean> {
	for (let attempt = 0; attempt < ATTEMPTS_MAX; attempt++) {
		const pool = await poolOf(market, id);
		const nowMs = market.clock.nowMs();
		if (!pool || pool.state === "ended" || pool.dueMs > nowMs) return false;
		const cutMs = mondayOf(nowMs);
		const walked = await walkPool(market, pool, cutMs);
		const found = walked && (await figuresOf(market, pool, walked));
		// somebody gave or took meanwhile
		if (!walked || !found) continue;
		const summed = sumUp(market, pool, walked, cutMs);
		const figures = { ...found, recent: less(found.recent, summed.all) };
		const next = { ...pool, ...summed.pool, outs: outsOf(pool, figures), dueMs: nowMs + LOOK_MS };
		const ended = await endOf(market, next, walked, figures, nowMs);
		const shown = await shownRow(market, ended.pool, ended.figures);
		const rows = [writePool(ended.pool), shown, ...summed.rows];
		const [outcome] = await market.book.apply([{ rows, transfer: ended.transfer }]);
		if (outcome === "applied") return true;
		if (typeof outcome === "object" && outcome.refused !== "stale" && outcome.refused !== "overdraft")
			throw new Error(`a pool's day was not written down: ${outcome.detail}`);
	}
	return false;
}

/** All of a pool's money as of what was walked; undefined when somebody gave or took meanwhile. */
export async function figuresOf(market: DayMarket, pool: Pool, walked: Walked): Promise<Figures | undefined> {
	const { book, clock } = market;
	const [fresh, stretches] = await Promise.all([book.balance(poolFreshAccount(pool.pool)), weeksOf(market, pool)]);
	const now = await poolOf(market, pool.pool);
	if (now?.version !== pool.version) return undefined;
	const recent = { toOperators: amount(walked.toOperators), marketFee: amount(walked.marketFee) };
	const spent = stretches.reduce(
		(sum, { toOperators, marketFee }) => sum + toOperators + marketFee,
		recent.toOperators + recent.marketFee,
	);
	const { came, railFee, exchangeFee, back, on, lost } = pool.flows;
	const left = walked.left + fresh;
	// what is neither here nor spent is on the holds of tabs
	const reserved = came - back - on - lost - left - spent;
	if (reserved < 0n) return undefined;
	const money: PoolMoney = {
		came,
		railFee,
		exchangeFee,
		back,
		on,
		lost,
		reserved: amount(reserved),
		left: amount(left),
	};
	return { atMs: clock.nowMs(), money, recent };
}

/** Sums up the weeks that are over, once all their tabs are closed. */
function sumUp(
	{ crypto }: DayMarket,
	pool: Pool,
	{ sums, cut }: Walked,
	cutMs: number,
): { readonly pool: Partial<Pool>; readonly rows: RowChange[]; readonly all?: Figures["recent"] } {
	if (!sums || cutMs <= pool.summedToMs) return { pool: {}, rows: [] };
	const to = { summedToMs: cutMs, summedTo: cut.position, summedLeft: amount(cut.left) };
	// nobody was reached: there is nothing to show
	if (sums.people === 0) return { pool: to, rows: [] };
	if (sums.people < LINE_PEOPLE_MIN && cutMs - pool.summedToMs < WAIT_MS) return { pool: {}, rows: [] };
	const stretch = stretchOf(crypto, pool.pool, pool.summedToMs, cutMs, sums.cells());
	return { pool: to, rows: writeWeeks(pool, stretch), all: stretch };
}

/** What is recent still, without what is summed up now. */
function less({ toOperators, marketFee }: Figures["recent"], all: Figures["recent"] | undefined): Figures["recent"] {
	if (!all) return { toOperators, marketFee };
	return { toOperators: amount(toOperators - all.toOperators), marketFee: amount(marketFee - all.marketFee) };
}

function outsOf({ outs }: Pool, { atMs, money }: Figures): Pool["outs"] {
	const { came, back, on, lost, left } = money;
	return [{ atMs, out: came - back - on - lost - left }, ...outs].slice(0, OUTS_MAX);
}

/** Gives back what is left of a pool that is over, or on; undefined money where it is not yet time. */
async function endOf(
	{ book }: DayMarket,
	pool: Pool,
	walked: Walked,
	figures: Figures,
	nowMs: number,
): Promise<{ pool: Pool; figures: Figures; transfer: ReturnType<typeof move> }> {
	const none = { pool, figures, transfer: undefined };
	const untilMs = pool.rules.untilMs ?? Number.MAX_SAFE_INTEGER;
	if (stateAt(pool, nowMs) !== "ended") {
		return { ...none, pool: { ...pool, dueMs: Math.min(pool.dueMs, untilMs) } };
	}
	const again = { ...none, pool: { ...pool, dueMs: nowMs + AGAIN_MS } };
	if (walked.open > 0 || nowMs < untilMs + SETTLE_MS) return again;
	const fresh = await book.balance(poolFreshAccount(pool.pool));
	const ended = finish(pool, { nowMs, left: walked.left, fresh, reserved: figures.money.reserved });
	if (!ended) return again;
	const { back, on } = ended.pool.flows;
	const money = { ...figures.money, back, on, left: NOTHING };
	const label = { id: `pool-end:${pool.pool}`, cause: `Left of pool ${pool.pool}`, atMs: nowMs };
	const to = pool.rest === "back" ? payerAccount(pool.sponsor) : COMMONS;
	const part = { account: poolAccount(pool.pool), nanos: ended.nanos };
	return {
		pool: ended.pool,
		figures: { ...figures, money },
		transfer: move(label, [part], [{ account: to, nanos: ended.nanos }]),
	};
}

type Shown = { readonly money: Record<string, string>; readonly recent: { toOperators: string; marketFee: string } };

async function shownRow({ book }: DayMarket, { pool, sponsor }: Pool, figures: Figures): Promise<RowChange> {
	const key = `shown:${pool}`;
	const { atMs, money, recent } = figures;
	const value: Shown = {
		money: Object.fromEntries(MONEY.map((name) => [name, formatAmount(money[name])])),
		recent: { toOperators: formatAmount(recent.toOperators), marketFee: formatAmount(recent.marketFee) },
	};
	const row = { key, account: sponsor, state: "shown", dueMs: atMs, value: JSON.stringify(value) };
	return { table: "pools", expect: (await book.record("pools", key))?.version ?? 0, row };
}

/** The figures that everybody may see; undefined for a pool that was not looked at yet. */
export async function shownOf({ book }: Pick<Market, "book">, pool: string): Promise<Figures | undefined> {
	const row = await book.record("pools", `shown:${pool}`);
	if (!row) return undefined;
	const { money, recent } = JSON.parse(row.value) as Shown;
	const read = (text: string | undefined): Amount => parseAmount(text) ?? NOTHING;
	return {
		atMs: row.dueMs,
		money: Object.fromEntries(MONEY.map((name) => [name, read(money[name])])) as PoolMoney,
		recent: { toOperators: read(recent.toOperators), marketFee: read(recent.marketFee) },
	};
}

/** What goes out of a pool for people in a day, as it was on the last days. */
export function outADay({ outs }: Pick<Pool, "outs">): bigint {
	const [newest, oldest] = [outs[0], outs.at(-1)];
	if (!newest || !oldest || newest.atMs <= oldest.atMs) return 0n;
	const out = newest.out - oldest.out;
	return out > 0n ? (out * BigInt(LOOK_MS)) / BigInt(newest.atMs - oldest.atMs) : 0n;
}
