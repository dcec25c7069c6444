/**
 * What a payout costs, exactly. An operator's money is taken whole when it is reserved, the most that the rail may take included; when
 * the rail has said what it took, the rest goes back. Gross is net, the rail's fee and the market's: what its spread on the exchange keeps.
 */

import { type Amount, amount, formatDollars, portion } from "#contracts/amount";
import { isProblem, type Problem, problem } from "#contracts/problem";
import type { RailQuote, RailRange, RailUnit } from "#marketplace/rail/rail";
import { centsOfNanos, msatOfNanos, nanosOfCents, nanosOfMsat, type Rate, spreadOfMsat } from "#marketplace/rate/rate";

/** How a rail's unit becomes dollars: its rate was fixed when the payout was reserved. */
export type Exchange = { readonly unit: Exclude<RailUnit, "msat"> } | { readonly unit: "msat"; readonly rate: Rate };

/** What is fixed when a payout is reserved. */
export type Terms = {
	readonly exchange: Exchange;
	/** taken from what was earned: the gross amount at most */
	readonly reserved: Amount;
	/** what arrives, in the rail's unit */
	readonly amount: bigint;
	/** the most that the rail may take on top */
	readonly feeMax: bigint;
};

/** A payout in dollars, once it was sent. */
export type Bill = {
	readonly gross: Amount;
	readonly marketFee: Amount;
	readonly railFee: Amount;
	readonly net: Amount;
	/** of what was reserved, what goes back */
	readonly rest: Amount;
	/** what the rail took beyond its ceiling: the market bears it, and it is no part of gross */
	readonly over: Amount;
};

/** Wallets and addresses know no parts of a satoshi. */
const MSAT_STEP = 1_000n;

/** What is there to be paid out, and within what. */
export type Wish = {
	/** the most to take from what was earned */
	readonly nanos: Amount;
	/** exactly this in the rail's unit, for an invoice that says so */
	readonly exactly?: bigint | undefined;
	readonly feeMaxPpm: number;
	readonly range: RailRange;
	/** what the rail says that so much would cost */
	readonly quote: (units: bigint) => Promise<RailQuote | Problem>;
};

/** The terms of a payout, or why it cannot be had on them. */
export async function termsOf(exchange: Exchange, wish: Wish): Promise<Terms | Problem> {
	const { exactly, range, feeMaxPpm, nanos } = wish;
	const all = unitsOf(nanos, exchange);
	// a rail that has a most of one payment leaves the rest for the next
	const budget = exactly ?? (all > range.max ? range.max : all);
	if (budget < range.min || budget > range.max) return outside(wish, exchange);
	const ceiling = unitsOf(portion(takenOf(budget, exchange), feeMaxPpm), exchange);
	const quote = await wish.quote(budget);
	if (isProblem(quote)) return quote;
	if (quote.fee > ceiling)
		return problem(
			"fee-ceiling",
			`This payout would cost ${formatDollars(worthOf(quote.fee, exchange))} now, and at most ${formatDollars(worthOf(ceiling, exchange))} were allowed.`,
		);
	const feeMax = quote.isAbout ? ceiling : quote.fee;
	const units = exactly ?? whole(budget + feeMax > all ? all - feeMax : budget, exchange);
	if (units < range.min) return outside(wish, exchange);
	const reserved = takenOf(units + feeMax, exchange);
	if (reserved > nanos)
		return problem(
			"balance-short",
			`This needs ${formatDollars(reserved)} with the most that the rail may take, and ${formatDollars(nanos)} are free to be paid out.`,
		);
	return { exchange, reserved, amount: units, feeMax };
}

/** What a payout came to, by what the rail took. */
export function billOf({ exchange, reserved, amount: units, feeMax }: Terms, fee: bigint): Bill {
	const charged = fee > feeMax ? feeMax : fee;
	const gross = takenOf(units + charged, exchange);
	const marketFee = exchange.unit === "msat" ? spreadOfMsat(units + charged, exchange.rate, "out") : amount(0n);
	const net = worthOf(units, exchange);
	const railFee = amount(gross - marketFee - net);
	return { gross, marketFee, railFee, net, rest: amount(reserved - gross), over: worthOf(fee - charged, exchange) };
}

function outside({ range, exactly }: Wish, exchange: Exchange): Problem {
	const [least, most] = [range.min, range.max].map((units) => formatDollars(worthOf(units, exchange)));
	const code = exactly === undefined ? "balance-short" : "malformed";
	return problem(code, `This way one payout is from ${least} to ${most}.`);
}

function whole(units: bigint, { unit }: Exchange): bigint {
	return unit === "msat" ? units - (units % MSAT_STEP) : units;
}

/** What can be had for an amount. */
function unitsOf(nanos: Amount, exchange: Exchange): bigint {
	if (exchange.unit === "msat") return msatOfNanos(nanos, exchange.rate, "out");
	return exchange.unit === "cent" ? centsOfNanos(nanos, "out") : nanos;
}

/** What is taken for it. */
function takenOf(units: bigint, exchange: Exchange): Amount {
	return exchange.unit === "msat" ? nanosOfMsat(units, exchange.rate, "out") : worthOf(units, exchange);
}

/** What it is worth, without what the market keeps. */
function worthOf(units: bigint, exchange: Exchange): Amount {
	if (exchange.unit === "msat") return nanosOfMsat(units, { ...exchange.rate, spreadPpm: 0 }, "out");
	return exchange.unit === "cent" ? nanosOfCents(units) : amount(units);
}
