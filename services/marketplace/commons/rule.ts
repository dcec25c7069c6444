/**
 * What the commons do by their own figures: the next solidarity fee, what may be spent in a day, how many days they last. Pure integers, so that the market, its
 * page and the simulator come to the same (docs/decisions/commons.md).
 */

import { type Amount, amount, parseDollars } from "#contracts/amount";

/** Bounds and aims. */
export type FeeRule = {
	/** the fee of a market that has just begun, in parts per million */
	readonly startPpm: number;
	/** where it stops, whatever is wanted: with more on top for others people would go elsewhere, and the commons have less */
	readonly maxPpm: number;
	/** how far it moves in a day: who quoted yesterday is not surprised */
	readonly stepPpm: number;
	/** days of what is wanted that the commons should have put by */
	readonly coverDays: number;
	/** days in which what lacks of that, or is beyond it, is made up */
	readonly evenDays: number;
	/** what is put by while nobody wants anything yet */
	readonly seed: Amount;
};

/**
 * Two months of cover outlast what it takes the fee to go from nothing to its most (40 days) and a month more; made up in as long, it rises no faster than demand
 * does by itself in a growing market.
 */
export const FEE_RULE: FeeRule = {
	startPpm: 20_000,
	maxPpm: 100_000,
	stepPpm: 2_500,
	coverDays: 60,
	evenDays: 60,
	seed: parseDollars("100") as Amount,
};

/** What is known of the commons on a day, nano-dollars. */
export type CommonsFigures = {
	/** what nobody has reserved */
	readonly free: bigint;
	/** what people would have had of it a day, all who asked, with their whole quota */
	readonly wantedADay: bigint;
	/** what was carried at the full price a day: what the fee is of */
	readonly paidADay: bigint;
};

const PPM = 1_000_000n;

/**
 * The solidarity fee of the next day. It aims at the fee that pays for what is wanted and brings the cover to its aim in time, is never more than
 * `maxPpm` nor below nothing, and moves by at most a step.
 */
export function nextFeePpm(nowPpm: number, figures: CommonsFigures, rule: FeeRule = FEE_RULE): number {
	const aim = aimPpm(figures, rule);
	const step = Math.max(-rule.stepPpm, Math.min(rule.stepPpm, aim - nowPpm));
	return Math.max(0, Math.min(rule.maxPpm, nowPpm + step));
}

/** The fee that would be right at once. */
function aimPpm({ free, wantedADay, paidADay }: CommonsFigures, rule: FeeRule): number {
	if (wantedADay === 0n) return free < rule.seed ? rule.startPpm : 0;
	// what is to come in a day: what goes out, and the part of what lacks for the cover (below nothing where there is too much)
	const neededADay = wantedADay + (wantedADay * BigInt(rule.coverDays) - free) / BigInt(rule.evenDays);
	if (neededADay <= 0n) return 0;
	// without anybody who pays the full price no fee is enough
	if (paidADay === 0n) return rule.maxPpm;
	const ppm = (neededADay * PPM + paidADay - 1n) / paidADay;
	return ppm > BigInt(rule.maxPpm) ? rule.maxPpm : Number(ppm);
}

/** Days that may pass before an even use has spent the commons: what a day may take is a thirtieth of what is there, beside what comes in. */
export const BUDGET_DAYS = 30n;

/** What the commons may spend on a day, of what was free as it began and what comes in a day: they grow thin and are never empty at noon. */
export function dayBudget(freeAtDawn: bigint, inADay: bigint): Amount {
	const budget = freeAtDawn / BUDGET_DAYS + inADay;
	return amount(budget < freeAtDawn ? budget : freeAtDawn);
}

/** How many whole days a fund lasts when so much a day goes out and so much comes in; undefined: for as long as that goes on. */
export function daysOfCover(free: bigint, outADay: bigint, inADay: bigint): bigint | undefined {
	const net = outADay - inADay;
	return net > 0n ? free / net : undefined;
}
