/**
 * Sets of u32 numbers as sorted, disjoint, non-touching ranges: what acks, answers and dedupe records are made of
 * (PROTOCOL.md, "Ranges").
 */

import type { Reader, Writer } from "./bytes.ts";
import { LIMIT } from "./limit.ts";

/** From first to last, both included. */
export type Range = readonly [first: number, last: number];

/** Whether a number is in the set. Binary search. */
export function has(ranges: readonly Range[], number: number): boolean {
	let low = 0;
	let high = ranges.length - 1;
	while (low <= high) {
		const middle = (low + high) >> 1;
		const [first, last] = ranges[middle] as Range;
		if (number < first) high = middle - 1;
		else if (number > last) low = middle + 1;
		else return true;
	}
	return false;
}

/** Adds a number to a set, in place. Fast where it follows the last range, as it nearly always does. */
export function include(ranges: Range[], number: number): void {
	const tail = ranges[ranges.length - 1];
	if (tail === undefined || number > tail[1] + 1) {
		ranges.push([number, number]);
		return;
	}
	if (number === tail[1] + 1) {
		ranges[ranges.length - 1] = [tail[0], number];
		return;
	}
	let at = ranges.length - 1;
	while (at >= 0 && (ranges[at] as Range)[0] > number) at--;
	const before = ranges[at];
	if (before && number <= before[1]) return;
	const after = ranges[at + 1];
	const touchesBefore = before !== undefined && before[1] + 1 === number;
	const touchesAfter = after !== undefined && after[0] - 1 === number;
	if (touchesBefore && touchesAfter) ranges.splice(at, 2, [before[0], after[1]]);
	else if (touchesBefore) ranges[at] = [before[0], number];
	else if (touchesAfter) ranges[at + 1] = [number, after[1]];
	else ranges.splice(at + 1, 0, [number, number]);
}

/** The set of a list of numbers in any order. */
export function rangesOf(numbers: Iterable<number>): Range[] {
	const ranges: Range[] = [];
	for (const number of [...numbers].sort((a, b) => a - b)) include(ranges, number);
	return ranges;
}

/** How many numbers are in the set. */
export function size(ranges: readonly Range[]): number {
	return ranges.reduce((sum, [first, last]) => sum + last - first + 1, 0);
}

/** Every number of the set, in order. Only for sets whose size was checked. */
export function* each(ranges: readonly Range[]): Generator<number> {
	for (const [first, last] of ranges) for (let number = first; number <= last; number++) yield number;
}

/** `count varint`, then for each range `gap varint` from the end of the one before and `length - 1 varint`. */
export function writeRanges(writer: Writer, ranges: readonly Range[]): Writer {
	writer.varint(ranges.length);
	let from = 0;
	for (const [first, last] of ranges) {
		writer.varint(first - from).varint(last - first);
		from = last + 1;
	}
	return writer;
}

/** Reads a set; undefined when it is no canonical one or has more than {@link LIMIT.rangesMax} ranges. */
export function readRanges(reader: Reader): Range[] | undefined {
	const count = reader.varint();
	if (!reader.sound || count > LIMIT.rangesMax) return undefined;
	const ranges: Range[] = [];
	let from = 0;
	for (let i = 0; i < count; i++) {
		const gap = reader.varint();
		const first = from + gap;
		const last = first + reader.varint();
		if (!reader.sound || last > 0xffffffff || (i > 0 && gap === 0)) return undefined;
		ranges.push([first, last]);
		from = last + 1;
	}
	return ranges;
}
