/** What a deposit would cost on a rail: the rate, what the market keeps of it, the rail's own fee, and until when that holds. */

import { type Amount, formatDollars } from "#contracts/amount";
import { isProblem, type Problem, problem } from "#contracts/problem";
import type { Market } from "#marketplace/market";
import type { Rail, RailUnit } from "#marketplace/rail/rail";
import type { Rate } from "#marketplace/rate/rate";
import { creditFor, unitsFor } from "./exchange.ts";
import { refuseRisk } from "./risk.ts";

/** How long a rate is held for somebody who has begun to pay: as long as paying takes, and no longer, for holding it is a risk. */
export const QUOTE_MS = 300_000;

/** A quote. */
export type Quote = {
	readonly rail: string;
	readonly unit: RailUnit;
	/** what is wanted on the balance */
	readonly asked: Amount;
	/** what is to be paid, in the rail's unit, its fee included */
	readonly units: bigint;
	/** what the rail keeps of that, in its unit; `feeIsAbout`: it may be less or more, and what arrives is what is left */
	readonly fee: bigint;
	readonly feeIsAbout: boolean;
	/** undefined where dollars are paid */
	readonly rate: Rate | undefined;
	/** what is credited when exactly that is paid in time: `asked`, or a little more where the unit is too coarse */
	readonly credited: Amount;
	/** what the market keeps of it by the rate */
	readonly spread: Amount;
	/** until when the rate holds, Unix milliseconds */
	readonly untilMs: number;
};

/** What a quote is made from. */
export type Quoting = Pick<Market, "book" | "rails" | "rates" | "clock">;

/** Fees are a share and a fixed part: asking for what the fee itself costs in fees settles within a few rounds. */
const ROUNDS_MAX = 16;

/** The rail of a name, if money can come in by it. */
export function railFor(market: Pick<Market, "rails">, name: string): Rail | Problem {
	const rail = market.rails.find((one) => one.name === name && one.ranges.in);
	return rail ?? problem("rail-closed", "There is no such way for money to come in here.");
}

/** The rate, for a rail that needs one. */
export async function rateFor(market: Pick<Market, "rates">, unit: RailUnit): Promise<Rate | undefined | Problem> {
	return unit === "msat" ? await market.rates.now() : undefined;
}

/** What it costs on a rail that so much is credited. */
export async function quoteDeposit(market: Quoting, rail: Rail, asked: Amount): Promise<Quote | Problem> {
	const range = rail.ranges.in;
	if (!range) return problem("rail-closed");
	if (asked === 0n) return problem("malformed", "A deposit is of more than nothing.");
	const empty = await refuseRisk(market.book, rail);
	if (empty) return empty;
	const rate = await rateFor(market, rail.unit);
	if (isProblem(rate)) return rate;
	const wanted = unitsFor(rail.unit, asked, rate);
	let units = wanted;
	for (let round = 0; round < ROUNDS_MAX; round++) {
		if (units < range.min || units > range.max) return outside(rail, rate);
		const { fee, isAbout, ...refused } = await feeOf(rail, units);
		if (refused.problem) return refused.problem;
		if (units - fee < wanted) {
			units = wanted + fee;
			continue;
		}
		const credit = creditFor(rail.unit, units - fee, rate);
		if (!credit) return outside(rail, rate);
		const untilMs = market.clock.nowMs() + QUOTE_MS;
		return { rail: rail.name, unit: rail.unit, asked, units, fee, feeIsAbout: isAbout, rate, ...credit, untilMs };
	}
	return problem("malformed", "The fees of this rail would eat all of that; choose more, or another rail.");
}

async function feeOf(rail: Rail, units: bigint): Promise<{ fee: bigint; isAbout: boolean; problem?: Problem }> {
	const quote = await rail.quote("in", units);
	return isProblem(quote) ? { fee: 0n, isAbout: false, problem: quote } : quote;
}

/** What a rail takes, in dollars. */
function outside(rail: Rail, rate: Rate | undefined): Problem {
	const says = ([units, word]: [bigint | undefined, string]): string => {
		const worth = units === undefined ? undefined : creditFor(rail.unit, units, rate);
		return worth ? `${word} ${formatDollars(worth.credited)}` : "";
	};
	const bounds = [says([rail.ranges.in?.min, "at least"]), says([rail.ranges.in?.max, "at most"])].filter(Boolean);
	return problem("malformed", `A payment by ${rail.name} is of ${bounds.join(" and ")}.`);
}
