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

/** Sums up what was paid, by relay and country, one after the other. */
export class Sums {
	readonly #sums = new Map<string, Sum>();
	readonly #all = noSum();

	/** How many people there are so far. */
	get people(): number {
		return this.#all.people.size;
	}

	/** What all come to so far. */
	get all(): Reached {
		return reachedOf(this.#all);
	}

	add(one: Paid): void {
		const name = `${one.relay} ${one.country}`;
		const sum = this.#sums.get(name) ?? noSum();
		this.#sums.set(name, sum);
		for (const to of [sum, this.#all]) {
			to.people.add(one.person);
			to.bytes += one.bytes;
			to.toOperators += one.toOperators;
			to.marketFee += one.marketFee;
		}
	}

	/** What may be shown of it. */
	cells(): Cells {
		return cellsOf(this.#sums, this.all);
	}
}

function cellsOf(sums: ReadonlyMap<string, Sum>, { people: total, ...rest }: Reached): Cells {
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
	return {
		all: { people: total < LINE_PEOPLE_MIN ? 0 : total, ...rest },
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
