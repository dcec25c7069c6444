/**
 * Which sums of a stretch may be shown. A line is of one relay, people of one country, and a stretch of weeks; the stretch's own sums are shown beside it. So whoever subtracts learns
 * the sum of all lines that are left out: these are of at least twenty different people too, or of none (docs/decisions/pools.md). Pure.
 */

import { amount, NOTHING } from "#contracts/amount";
import { LINE_PEOPLE_MIN, type Reached } from "#contracts/report";

/** What was paid for somebody's mail, by one tab. */
export type Paid = Omit<Reached, "people"> & {
	/** the account in hex: counted, never shown */
	readonly person: string;
	readonly relay: string;
	readonly country: string;
};

/** A sum over those of one relay and country. */
export type Cell = Reached & { readonly relay: string; readonly country: string };

/** Sums that may be shown and sums that may not, and what all come to. */
export type Cells = { readonly all: Reached; readonly shown: readonly Cell[]; readonly hidden: readonly Cell[] };

type Sum = { people: Set<string>; bytes: bigint; toOperators: bigint; marketFee: bigint };

/** Sums up what was paid, by relay and country, and says what of it may be shown. */
export function cellsOf(paid: Iterable<Paid>): Cells {
	const sums = new Map<string, Sum>();
	const all = noSum();
	for (const one of paid) {
		const name = `${one.relay} ${one.country}`;
		const sum = sums.get(name) ?? noSum();
		sums.set(name, sum);
		for (const to of [sum, all]) {
			to.people.add(one.person);
			to.bytes += one.bytes;
			to.toOperators += one.toOperators;
			to.marketFee += one.marketFee;
		}
	}
	// the fewest people first; among as many by name, so that every process leaves out the same
	const order = [...sums].sort(([a, { people: p }], [b, { people: q }]) => p.size - q.size || (a < b ? -1 : 1));
	const left = new Set<string>();
	let hidden = 0;
	for (const [, { people }] of order) {
		const isSafe = hidden === 0 || (hidden > 1 && left.size >= LINE_PEOPLE_MIN);
		if (people.size >= LINE_PEOPLE_MIN && isSafe) break;
		for (const person of people) left.add(person);
		hidden += 1;
	}
	const cells = order.map(([name, sum]) => {
		const [relay = "", country = ""] = name.split(" ");
		return { relay, country, ...reachedOf(sum) };
	});
	const { people, ...rest } = reachedOf(all);
	return {
		all: { people: people < LINE_PEOPLE_MIN ? 0 : people, ...rest },
		shown: cells.slice(hidden),
		hidden: cells.slice(0, hidden),
	};
}

function noSum(): Sum {
	return { people: new Set(), bytes: 0n, toOperators: NOTHING, marketFee: NOTHING };
}

function reachedOf({ people, bytes, toOperators, marketFee }: Sum): Reached {
	return { people: people.size, bytes, toOperators: amount(toOperators), marketFee: amount(marketFee) };
}
