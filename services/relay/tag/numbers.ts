/**
 * A set of numbers that grows at its end, which sequence numbers nearly always do: then nothing is allocated. Elsewhere a range takes eight
 * bytes. The plain way is `include` and `has` of `contracts/ranges.ts`; a property test holds this one against it.
 */

import type { Range } from "#contracts/ranges";

/** No number's predecessor. */
const NONE = -2;
const EMPTY = new Uint32Array(0);
/** Ranges there is room for at first; then by half more each time. */
const ROOM_FIRST = 4;

/** Numbers as ranges, sorted, disjoint and not touching. */
export class Numbers {
	/** First and last of each range, back to back. */
	private flat: Uint32Array = EMPTY;
	/** How many ranges there are. */
	private size = 0;
	/** The last range as it is; what `flat` has at its end may be shorter. */
	private first = NONE;
	private last = NONE;

	constructor(ranges: readonly Range[] = []) {
		if (ranges.length > 0) this.flat = new Uint32Array(ranges.length * 2);
		for (const [first, last] of ranges) {
			this.flat[this.size * 2] = first;
			this.flat[this.size * 2 + 1] = last;
			this.size++;
		}
		this.takeTail();
	}

	/** Adds a number. */
	include(number: number): void {
		if (number === this.last + 1) {
			this.last = number;
			return;
		}
		if (this.has(number)) return;
		this.writeTail();
		// the first range that begins behind it
		const at = this.behind(number);
		const { flat } = this;
		const touchesBefore = at > 0 && flat[at * 2 - 1] === number - 1;
		const touchesAfter = at < this.size && flat[at * 2] === number + 1;
		if (touchesBefore && touchesAfter) {
			flat[at * 2 - 1] = flat[at * 2 + 1] as number;
			this.remove(at);
		} else if (touchesBefore) flat[at * 2 - 1] = number;
		else if (touchesAfter) flat[at * 2] = number;
		else this.insert(at, number, number);
		this.takeTail();
	}

	/** Adds the numbers from `first` to `last`, none of which is in the set. */
	includeRow(first: number, last: number): void {
		this.include(first);
		if (this.last === first) this.last = last;
		else for (let number = first + 1; number <= last; number++) this.include(number);
	}

	/** Takes a number out. */
	exclude(number: number): void {
		if (!this.has(number)) return;
		this.writeTail();
		const at = this.behind(number) - 1;
		const { flat } = this;
		const first = flat[at * 2] as number;
		const last = flat[at * 2 + 1] as number;
		if (first === last) this.remove(at);
		else if (number === first) flat[at * 2] = number + 1;
		else {
			flat[at * 2 + 1] = number - 1;
			if (number < last) this.insert(at + 1, number + 1, last);
		}
		this.takeTail();
	}

	has(number: number): boolean {
		if (number >= this.first) return number <= this.last;
		const at = this.behind(number);
		return at > 0 && number <= (this.flat[at * 2 - 1] as number);
	}

	/** The highest number; below zero when there is none. */
	get end(): number {
		return this.last;
	}

	/** How many ranges there are. */
	get count(): number {
		return this.size;
	}

	/** The set, as a copy. */
	get ranges(): Range[] {
		this.writeTail();
		return Array.from({ length: this.size }, (_, i) => [this.flat[i * 2], this.flat[i * 2 + 1]] as unknown as Range);
	}

	/** The set, which is empty afterwards. */
	take(): Range[] {
		const { ranges } = this;
		this.size = 0;
		this.takeTail();
		return ranges;
	}

	/** The only range of a set that has one; the set is empty afterwards. */
	takeOne(): Range {
		if (this.size !== 1) throw new Error("a set of one range was expected");
		const one: Range = [this.first, this.last];
		this.size = 0;
		this.takeTail();
		return one;
	}

	/** How many ranges begin at or before a number. */
	private behind(number: number): number {
		let low = 0;
		let high = this.size;
		while (low < high) {
			const middle = (low + high) >> 1;
			if ((this.flat[middle * 2] as number) <= number) low = middle + 1;
			else high = middle;
		}
		return low;
	}

	private insert(at: number, first: number, last: number): void {
		if (this.size * 2 >= this.flat.length) {
			const grown = new Uint32Array(2 * Math.max(ROOM_FIRST, Math.ceil(this.size * 1.5)));
			grown.set(this.flat);
			this.flat = grown;
		}
		this.flat.copyWithin(at * 2 + 2, at * 2, this.size * 2);
		this.flat[at * 2] = first;
		this.flat[at * 2 + 1] = last;
		this.size++;
	}

	private remove(at: number): void {
		this.flat.copyWithin(at * 2, at * 2 + 2, this.size * 2);
		this.size--;
	}

	private writeTail(): void {
		if (this.size > 0) this.flat[this.size * 2 - 1] = this.last;
	}

	private takeTail(): void {
		const { size, flat } = this;
		this.first = size > 0 ? (flat[size * 2 - 2] as number) : NONE;
		this.last = size > 0 ? (flat[size * 2 - 1] as number) : NONE;
	}
}
