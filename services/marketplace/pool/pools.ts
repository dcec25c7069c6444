/** Carries the decisions about pools out on the book: read, decide, apply; when somebody else was first, read and decide again. Who asks has been made sure of. */

import { type Amount, add } from "#contracts/amount";
import { isProblem, type Problem, problem } from "#contracts/problem";

import type { Change, Most } from "#marketplace/ledger/book";
import { payerAccount, poolAccount } from "#marketplace/ledger/chart";
import { move } from "#marketplace/ledger/post";
import type { Transfer } from "#marketplace/ledger/transfer";
import { ATTEMPTS_MAX, type Market, problemOfRefusal } from "#marketplace/market";
import { type PoolRules, RULES } from "#marketplace/sponsor/rules";
import { beginEnd, changeRules, newPool, pause, resume, stateAt, takeBack } from "./decide.ts";
import { isPool, type Pool, readPool, writePool } from "./pool.ts";

/** What pools need of a market. */
export type PoolMarket = Pick<Market, "book" | "clock">;

/** Pools of one sponsor that have not ended: one for each of a foundation's programmes. */
const POOLS_MAX = 16;
/** Of all sponsors together, for an account costs nothing: each is looked at once a day. */
const POOLS_ALL_MAX = 10_000;
const ROOM: Most = { states: ["open", "paused", "ending"], ofAccount: POOLS_MAX, ofAll: POOLS_ALL_MAX };

const NONE = "There is no such pool of this account's here.";

/** A pool by its id in hex. */
export async function poolOf({ book }: Pick<Market, "book">, id: string): Promise<Pool | undefined> {
	const row = await book.record("pools", id);
	return row && isPool(row) ? readPool(row) : undefined;
}

/** A sponsor's pools, by id. */
export async function poolsOf({ book }: Pick<Market, "book">, sponsor: string): Promise<Pool[]> {
	const rows = await book.records({ table: "pools", by: "account", of: sponsor, limit: 200 });
	return rows.filter(isPool).map(readPool);
}

/** Makes a pool under an id of its sponsor's choice; the same again answers the same pool. */
export async function createPool(
	market: PoolMarket,
	order: Pick<Pool, "pool" | "sponsor" | "rules" | "rest">,
): Promise<Pool | Problem> {
	const before = await poolOf(market, order.pool);
	if (before) return before.sponsor === order.sponsor && before.rest === order.rest ? before : taken();
	const nowMs = market.clock.nowMs();
	const pool = newPool(order, RULES, nowMs);
	if (isProblem(pool)) return pool;
	const [outcome] = await market.book.apply([{ rows: [{ ...writePool(pool), most: ROOM }] }]);
	if (outcome === "applied") return { ...pool, version: 1 };
	if (typeof outcome !== "object") throw new Error("the book answered nothing");
	if (outcome.refused === "full")
		return problem("too-many", `A sponsor has at most ${POOLS_MAX} pools at once, and a market so many in all.`);
	if (outcome.refused !== "stale") return problemOfRefusal(outcome.refused, outcome.detail);
	const now = await poolOf(market, order.pool);
	return now?.sponsor === order.sponsor ? now : taken();
}

function taken(): Problem {
	return problem("conflict", "This id was used for another pool.");
}

type Step = { readonly pool: Pool; readonly transfer?: Transfer | undefined };

/** Changes a pool by what `decide` says of it as it is now. */
async function change(
	market: PoolMarket,
	id: string,
	sponsor: string | undefined,
	decide: (pool: Pool) => Promise<Step | Problem> | Step | Problem,
): Promise<Pool | Problem> {
	for (let attempt = 0; attempt < ATTEMPTS_MAX; attempt++) {
		const pool = await poolOf(market, id);
		if (!pool || (sponsor !== undefined && pool.sponsor !== sponsor)) return problem("not-found", NONE);
		const step = await decide(pool);
		if (isProblem(step)) return step;
		if (step.pool === pool) return pool;
		const written: Change = { transfer: step.transfer, rows: [writePool(step.pool)] };
		const [outcome] = await market.book.apply([written]);
		if (outcome === "applied") return { ...step.pool, version: pool.version + 1 };
		// done by a request before this one: it answers what there is now
		if (outcome === "same") return (await poolOf(market, id)) ?? pool;
		if (outcome === undefined) throw new Error("the book answered nothing");
		// somebody opened a tab, or took it, between the look and the change
		if (outcome.refused !== "stale" && outcome.refused !== "overdraft")
			return problemOfRefusal(outcome.refused, outcome.detail);
	}
	return problemOfRefusal("stale", "");
}

/** Sets other rules, for what is opened from now on (threat 20). */
export function setRules(market: PoolMarket, id: string, sponsor: string, rules: PoolRules): Promise<Pool | Problem> {
	return change(market, id, sponsor, (pool) => wrap(changeRules(pool, rules, RULES, market.clock.nowMs())));
}

/** Pauses, goes on, or begins to end. */
export function steer(
	market: PoolMarket,
	id: string,
	sponsor: string,
	what: "pause" | "resume" | "end",
): Promise<Pool | Problem> {
	const step = { pause, resume, end: beginEnd }[what];
	return change(market, id, sponsor, (pool) => wrap(step(pool, market.clock.nowMs())));
}

function wrap(pool: Pool | Problem): Step | Problem {
	return isProblem(pool) ? pool : { pool };
}

/** Moves money from an account's balance into a pool, under an id of the caller's choice. */
export function fundPool(
	market: PoolMarket,
	id: string,
	account: string,
	order: { readonly id: string; readonly nanos: Amount },
): Promise<Pool | Problem> {
	const { nanos } = order;
	return change(market, id, undefined, async (pool) => {
		const nowMs = market.clock.nowMs();
		const label = { id: `give:${account}:${order.id}`, cause: `Given to pool ${id}`, atMs: nowMs };
		const transfer = move(label, [{ account: payerAccount(account), nanos }], [{ account: poolAccount(id), nanos }]);
		const { flows } = pool;
		const next = { ...pool, flows: { ...flows, came: add(flows.came, nanos) } };
		if (await market.book.transfer(label.id)) return { pool: next, transfer };
		if (stateAt(pool, nowMs) === "ended") return problem("conflict", "The pool has ended.");
		if (nanos === 0n) return problem("malformed", "What is given is more than nothing.");
		const cleared = await market.book.balance(payerAccount(account));
		if (cleared < nanos)
			return problem(
				"balance-short",
				"The balance does not cover this. Money by a card counts here once it has cleared; a card can also pay into the pool itself.",
			);
		return { pool: next, transfer };
	});
}

/** Takes back what is reserved for nobody, so much or all of it, under an id of the sponsor's choice; also while people open tabs (threat 20). */
export function takeFromPool(
	market: PoolMarket,
	id: string,
	sponsor: string,
	order: { readonly id: string; readonly nanos: Amount | undefined },
): Promise<Pool | Problem> {
	return change(market, id, sponsor, async (pool) => {
		const label = {
			id: `take-back:${id}:${order.id}`,
			cause: `Taken back from pool ${id}`,
			atMs: market.clock.nowMs(),
		};
		// done before: whatever is there now, it is not done again
		if (await market.book.transfer(label.id)) return { pool };
		const step = takeBack(pool, await market.book.balance(poolAccount(id)), order.nanos);
		if (isProblem(step)) return step;
		const { nanos } = step;
		const to = payerAccount(sponsor);
		return {
			pool: step.pool,
			transfer: move(label, [{ account: poolAccount(id), nanos }], [{ account: to, nanos }]),
		};
	});
}
