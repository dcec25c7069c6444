/**
 * What people of each income group would pay for a full basket at an asking price, and which solidarity fee would pay the rest: from the same figures and by the same
 * contract as everything else, for two mixes of people.
 */

import { type Amount, amount, formatDollars } from "#contracts/amount";
import { LIMIT } from "#contracts/limit";
import { type IncomeGroup, NEED, needPerMb } from "#contracts/need";
import { weightsOf } from "./people.ts";

/** One asking price, market fee inside: amounts for a basket, in nano-dollars. */
export type PriceRow = {
	readonly askPerMb: Amount;
	readonly basket: bigint;
	/** what the mean person online pays, by income group */
	readonly low: bigint;
	readonly lowerMiddle: bigint;
	/** the fee on full-price money that pays the rest, in parts per million of it */
	readonly worldPpm: number;
	readonly needPpm: number;
	/** whether funds pay for it at all */
	readonly isEligible: boolean;
};

/** The asking prices that are looked at, in nano-dollars a MB. */
const ASKS = [500_000n, 1_000_000n, 2_000_000n, 5_000_000n, 50_000_000n] as const;
/** Weights are parts: so many of all people. */
const PARTS = 1_000_000_000;

/** The table. */
export function priceTable(): PriceRow[] {
	return ASKS.map((ask) => {
		const basket = ask * NEED.basketMb;
		return {
			askPerMb: amount(ask),
			basket,
			low: meanPaid("low", basket),
			lowerMiddle: meanPaid("lower-middle", basket),
			worldPpm: feePpm("world", basket),
			needPpm: feePpm("need", basket),
			isEligible: ask <= LIMIT.poolSendPerMbMax,
		};
	});
}

function weighted(mix: "world" | "need") {
	return weightsOf(mix).map(({ economy, weight }) => {
		const parts = Math.round(weight * PARTS);
		return { economy, parts: BigInt(parts), need: needPerMb(economy) * NEED.basketMb };
	});
}

function meanPaid(group: IncomeGroup, basket: bigint): bigint {
	const own = weighted("world").filter(({ economy }) => economy.incomeGroup === group);
	const parts = own.reduce((sum, one) => sum + one.parts, 0n);
	return own.reduce((sum, { parts: of, need }) => sum + of * (need < basket ? need : basket), 0n) / parts;
}

/** Whoever can afford the basket pays it and the fee on it; the others' rest is paid from that. */
function feePpm(mix: "world" | "need", basket: bigint): number {
	let rest = 0n;
	let full = 0n;
	for (const { parts, need } of weighted(mix)) {
		if (need < basket) rest += parts * (basket - need);
		else full += parts * basket;
	}
	return Number((rest * 1_000_000n) / full);
}

/** Dollars with so many digits behind the point, cut off. */
export function dollars(nanos: bigint, digits = 3): string {
	const unit = 10n ** BigInt(9 - digits);
	const text = formatDollars((nanos / unit) * unit);
	const [whole = "", part = ""] = text.split(".");
	return `${whole}.${part.padEnd(digits, "0").slice(0, digits)}`;
}
