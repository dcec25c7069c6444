/**
 * What may become of a pool (threat 20). Pure, and used by the simulator as it is. What people were granted is on their tabs' holds and out of anybody's
 * reach: a sponsor changes, pauses, ends and takes back only what is reserved for nobody.
 */

import { type Amount, add, amount, formatDollars, NOTHING } from "#contracts/amount";
import { type Problem, problem } from "#contracts/problem";
import { mondayOf } from "#contracts/report";
import type { PoolRules, Rules } from "#marketplace/sponsor/rules";
import { NO_FLOWS, type Pool } from "./pool.ts";
import { NOTICE_MS, refuseRules } from "./rules.ts";

/** A pool is looked at this often: its figures for everybody are of once a day. */
export const LOOK_MS = 86_400_000;

type Shares = Pick<Rules, "operatorSharePpm" | "pairSharePpm">;

/** A new pool, with nothing in it. */
export function newPool(
	order: Pick<Pool, "pool" | "sponsor" | "rules" | "rest">,
	market: Shares,
	nowMs: number,
): Pool | Problem {
	const refused = refuseRules(order.rules, market, nowMs);
	if (refused) return refused;
	return {
		...order,
		version: 0,
		state: "open",
		dueMs: nowMs,
		createdMs: nowMs,
		flows: NO_FLOWS,
		early: NOTHING,
		summedToMs: mondayOf(nowMs),
		summedTo: 0,
		summedLeft: NOTHING,
		outs: [],
	};
}

/** What a pool is to those whom it pays for, at a time. */
export function stateAt({ state, rules }: Pick<Pool, "state" | "rules">, nowMs: number): Pool["state"] {
	if (state === "ended" || (rules.untilMs !== undefined && nowMs >= rules.untilMs)) return "ended";
	return state;
}

const OVER = "The pool has ended.";

/** Other rules, for what is opened from now on. */
export function changeRules(pool: Pool, rules: PoolRules, market: Shares, nowMs: number): Pool | Problem {
	if (stateAt(pool, nowMs) === "ended") return problem("conflict", OVER);
	if (pool.state === "ending" && rules.untilMs !== pool.rules.untilMs)
		return problem("conflict", "The pool is ending, and its people were told when: only its other rules can change.");
	const refused = refuseRules(rules, market, nowMs, pool.rules);
	return refused ?? { ...pool, rules };
}

/** Pays for nothing new until it is resumed. */
export function pause(pool: Pool, nowMs: number): Pool | Problem {
	if (pool.state === "paused") return pool;
	if (stateAt(pool, nowMs) !== "open") return problem("conflict", "Only a pool that is open can be paused.");
	return { ...pool, state: "paused" };
}

/** Goes on. */
export function resume(pool: Pool, nowMs: number): Pool | Problem {
	if (stateAt(pool, nowMs) === "open") return pool;
	if (stateAt(pool, nowMs) !== "paused") return problem("conflict", "Only a pool that is paused can be resumed.");
	return { ...pool, state: "open" };
}

/** Tells its people that it ends in seven days, or earlier where they know that already. A pool that was paused pays again until then. */
export function beginEnd(pool: Pool, nowMs: number): Pool | Problem {
	if (pool.state === "ending") return pool;
	if (stateAt(pool, nowMs) === "ended") return problem("conflict", OVER);
	const untilMs = Math.min(nowMs + NOTICE_MS, pool.rules.untilMs ?? Number.MAX_SAFE_INTEGER);
	return { ...pool, state: "ending", rules: { ...pool.rules, untilMs } };
}

/** What a sponsor may take back now: what is reserved for nobody, less cards' gifts that count and have not cleared. */
export function mayTakeBack(free: bigint, early: bigint): Amount {
	return amount(free > early ? free - early : 0n);
}

/** Takes so much back (all that there is where nothing is said); what to move, and the pool then. */
export function takeBack(
	pool: Pool,
	free: bigint,
	wanted: Amount | undefined,
): { readonly pool: Pool; readonly nanos: Amount } | Problem {
	const most = mayTakeBack(free, pool.early);
	const nanos = wanted ?? most;
	if (nanos === 0n || nanos > most) {
		const held = pool.early > 0n ? ` ${formatDollars(pool.early)} in it are by card and have not cleared.` : "";
		return problem("balance-short", `Of this pool ${formatDollars(most)} can be taken back now.${held}`);
	}
	return { nanos, pool: { ...pool, flows: { ...pool.flows, back: add(pool.flows.back, nanos) } } };
}

/** Ends a pool for good, once nothing of it is reserved or has yet to clear: where what is left goes. Undefined: not yet. */
export function finish(
	pool: Pool,
	facts: { readonly nowMs: number; readonly left: bigint; readonly fresh: bigint; readonly reserved: bigint },
): { readonly pool: Pool; readonly nanos: Amount } | undefined {
	if (stateAt(pool, facts.nowMs) !== "ended") return undefined;
	if (facts.reserved > 0n || facts.fresh > 0n || pool.early > 0n) return undefined;
	const nanos = amount(facts.left);
	const { flows } = pool;
	const to = pool.rest === "back" ? { back: add(flows.back, nanos) } : { on: add(flows.on, nanos) };
	return { nanos, pool: { ...pool, state: "ended", flows: { ...flows, ...to } } };
}

/** Days of cover under which everybody's quota shrinks, so that it lasts for more people and does not end on a morning. */
export const THIN_DAYS = 30n;
const PPM = 1_000_000n;

/** What of everybody's quota a fund can pay for: less while what is free does not last for so many days of what goes out. */
export function quotaPpm(free: bigint, outADay: bigint, days: bigint): number {
	const ppm = outADay <= 0n || days <= 0n ? PPM : (free * PPM) / (outADay * days);
	return Number(ppm < PPM ? ppm : PPM);
}

/** What of a month's shares are parts: what it has and has paid this month, and no more than its days allow. */
export function budgetOfMonth(free: bigint, burnedThisMonth: bigint, dayLimit: bigint): bigint {
	const all = free + burnedThisMonth;
	const days = dayLimit * THIN_DAYS;
	return all < days ? all : days;
}
