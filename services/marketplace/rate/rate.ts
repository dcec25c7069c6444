/**
 * The exchange rate, and the only place where a rail's unit becomes dollars or dollars a rail's unit. All of it is integers: every division
 * is rounded once, against whoever could repeat it for gain, so no number of conversions back and forth makes money. One millisatoshi is
 * worth hundreds of nano-dollars: an amount in nano-dollars cannot be met exactly by Lightning, only from the market's side of it.
 */

import { type Amount, amount, isRate, NANOS_PER_DOLLAR } from "#contracts/amount";
import type { Problem } from "#contracts/problem";
import type { Way } from "#marketplace/rail/rail";

/** What a dollar is in Bitcoin at one moment. */
export type Rate = {
	/** millisatoshi in one dollar, above 0 */
	readonly msatPerDollar: bigint;
	/** what the market keeps of every exchange, in parts per million */
	readonly spreadPpm: number;
	/** when it was true, Unix milliseconds */
	readonly atMs: number;
	/** for people: where it comes from */
	readonly says: string;
};

/** Whoever knows the rate: sources out in the world, or a fixed one. */
export interface Rates {
	/** The rate now; a problem when it is not known well enough to promise anything. */
	now(): Promise<Rate | Problem>;
}

const MILLION = 1_000_000n;

/** Nano-dollars in one US cent, exactly. */
const NANOS_PER_CENT = 10_000_000n;

function divide(dividend: bigint, divisor: bigint, round: "up" | "down"): bigint {
	return round === "up" ? (dividend + divisor - 1n) / divisor : dividend / divisor;
}

/** What stays of a million when the spread is taken. @throws RangeError for what is no rate: a bug in the caller. */
function kept({ msatPerDollar, spreadPpm }: Rate): bigint {
	if (msatPerDollar <= 0n || !isRate(spreadPpm) || spreadPpm === 1_000_000) throw new RangeError("not a rate");
	return MILLION - BigInt(spreadPpm);
}

function whole(units: bigint): bigint {
	if (units < 0n) throw new RangeError("not an amount");
	return units;
}

/**
 * Nano-dollars for millisatoshi: `in`, what a payer is credited who pays them (rounded down); `out`, what is taken from an operator who is
 * sent them (rounded up). @throws RangeError below 0 or past the largest amount: whoever believes a rail checks its range first.
 */
export function nanosOfMsat(msat: bigint, rate: Rate, way: Way): Amount {
	const dollars = whole(msat) * NANOS_PER_DOLLAR;
	return way === "in"
		? amount(divide(dollars * kept(rate), rate.msatPerDollar * MILLION, "down"))
		: amount(divide(dollars * MILLION, rate.msatPerDollar * kept(rate), "up"));
}

/**
 * Millisatoshi for nano-dollars: `in`, what a payer is asked for who wants so much credited (rounded up); `out`, what an operator is sent
 * from whom so much is taken (rounded down).
 */
export function msatOfNanos(nanos: Amount, rate: Rate, way: Way): bigint {
	const msat = whole(nanos) * rate.msatPerDollar;
	return way === "in"
		? divide(msat * MILLION, NANOS_PER_DOLLAR * kept(rate), "up")
		: divide(msat * kept(rate), NANOS_PER_DOLLAR * MILLION, "down");
}

/**
 * What the market keeps of an exchange by its spread and by rounding, in nano-dollars: the difference between {@link nanosOfMsat} and the
 * same without spread. With it, what the outside world's account shows is what the millisatoshi were worth.
 */
export function spreadOfMsat(msat: bigint, rate: Rate, way: Way): Amount {
	const worth = nanosOfMsat(msat, { ...rate, spreadPpm: 0 }, way);
	const moved = nanosOfMsat(msat, rate, way);
	return amount(way === "in" ? worth - moved : moved - worth);
}

/** Nano-dollars for US cents: exact, and without a spread. */
export function nanosOfCents(cents: bigint): Amount {
	return amount(whole(cents) * NANOS_PER_CENT);
}

/** US cents for nano-dollars: `in`, what a payer is asked for (rounded up); `out`, what is sent (rounded down). */
export function centsOfNanos(nanos: Amount, way: Way): bigint {
	return divide(whole(nanos), NANOS_PER_CENT, way === "in" ? "up" : "down");
}
