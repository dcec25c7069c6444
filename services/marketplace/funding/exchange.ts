/** Dollars into a rail's unit and what came by it into dollars, for any rail: what has an exchange rate and what has none. */

import { AMOUNT_MAX, type Amount, amount, NANOS_PER_DOLLAR, NOTHING } from "#contracts/amount";
import type { RailUnit } from "#marketplace/rail/rail";
import { centsOfNanos, msatOfNanos, nanosOfCents, nanosOfMsat, type Rate, spreadOfMsat } from "#marketplace/rate/rate";

/** What a payer gets for what came, and what the market keeps of it by the rate. */
export type Credit = { readonly credited: Amount; readonly spread: Amount };

/** What is to be paid so that so much is credited, in the rail's unit. */
export function unitsFor(unit: RailUnit, nanos: Amount, rate: Rate | undefined): bigint {
	if (unit === "nano") return nanos;
	return unit === "cent" ? centsOfNanos(nanos, "in") : msatOfNanos(nanos, rated(rate), "in");
}

/** What so much is worth to its payer; undefined for what is no payment at all (less than nothing, or more than all money there is). */
export function creditFor(unit: RailUnit, units: bigint, rate: Rate | undefined): Credit | undefined {
	if (units < 0n || units > unitsMax(unit, rate)) return undefined;
	if (unit === "nano") return { credited: amount(units), spread: NOTHING };
	if (unit === "cent") return { credited: nanosOfCents(units), spread: NOTHING };
	return { credited: nanosOfMsat(units, rated(rate), "in"), spread: spreadOfMsat(units, rated(rate), "in") };
}

function unitsMax(unit: RailUnit, rate: Rate | undefined): bigint {
	if (unit === "nano") return AMOUNT_MAX;
	if (unit === "cent") return centsOfNanos(amount(AMOUNT_MAX), "out");
	return (AMOUNT_MAX / NANOS_PER_DOLLAR) * rated(rate).msatPerDollar;
}

/** @throws TypeError where there is no rate: whoever exchanges asks for one first. */
function rated(rate: Rate | undefined): Rate {
	if (!rate) throw new TypeError("nothing is exchanged without a rate");
	return rate;
}
