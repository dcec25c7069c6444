/**
 * A set of numbers that grows at its end, which sequence numbers nearly always do: then nothing is allocated. The plain way is
 * `include` and `has` of `contracts/ranges.ts`; a property test holds this one against it.
 */

import { has, include, type Range } from "#contracts/ranges";

/** No number's predecessor. */
const NONE = -2;

/** Numbers as ranges, sorted, disjoint and not touching. */
export class Numbers {
	private known: Range[];
	/** The last range as it is; what `known` has at its end may be shorter. */
	private first = NONE;
	private last = NONE;

	constructor(ranges: readonly Range[] = []) {
		this.known = [...ranges];
		this.takeTail();
	}

	/** Adds a number. */
	include(number: number): void {
		if (number === this.last + 1) {
			this.last = number;
			return;
		}
		include(this.ranges, number);
		this.takeTail();
	}

	/** Takes a number out. */
	exclude(number: number): void {
		const { ranges } = this;
		const at = ranges.findIndex(([first, last]) => first <= number && number <= last);
		const range = ranges[at];
		if (!range) return;
		const left: Range[] = [];
		if (range[0] < number) left.push([range[0], number - 1]);
		if (number < range[1]) left.push([number + 1, range[1]]);
		ranges.splice(at, 1, ...left);
		this.takeTail();
	}

	has(number: number): boolean {
		return number >= this.first ? number <= this.last : has(this.known, number);
	}

	/** The highest number; below zero when there is none. */
	get end(): number {
		return this.last;
	}

	/** How many ranges there are. */
	get count(): number {
		return this.known.length;
	}

	/** The set; not to be changed, and only good until the next number comes. */
	get ranges(): Range[] {
		const { known, first, last } = this;
		if (last !== NONE && (known[known.length - 1] as Range)[1] !== last) known[known.length - 1] = [first, last];
		return known;
	}

	/** The set, which is empty afterwards. */
	take(): Range[] {
		const { ranges } = this;
		this.known = [];
		this.takeTail();
		return ranges;
	}

	private takeTail(): void {
		const tail = this.known[this.known.length - 1];
		this.first = tail ? tail[0] : NONE;
		this.last = tail ? tail[1] : NONE;
	}
}
