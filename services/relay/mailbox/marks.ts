/** A tag's dedupe record: which numbers were taken, as sorted ranges, and for how long that is remembered. */

import { LIMIT } from "#contracts/limit";
import type { Range } from "#contracts/ranges";

/**
 * How long a tag is remembered for a mail's sake. The relay's store knows no grant, but a mail's grant ends at most a grant's life after
 * its acceptance, and no mail expires before it is accepted: this is never earlier than "the grant's end and the grace". In whole
 * hours, rounded up, so that a busy sender's record does not move in its index with each mail.
 */
export function rememberUntilMs(expiresAtMs: number): number {
	return Math.ceil((expiresAtMs + LIMIT.grantMsMax + LIMIT.dedupeGraceMs) / HOUR_MS) * HOUR_MS;
}

const HOUR_MS = 3_600_000;

/** Fingerprints of kept mail that `marks` gives at most, the newest numbers first: a client retries what it sent last. */
export const PRINTS_MAX = 16_384;

/** The union of two sets of sorted, disjoint, non-touching ranges. */
export function union(a: readonly Range[], b: readonly Range[]): Range[] {
	const all = [...a, ...b].sort((left, right) => left[0] - right[0]);
	const merged: Range[] = [];
	for (const [first, last] of all) {
		const tail = merged[merged.length - 1];
		if (tail === undefined || first > tail[1] + 1) merged.push([first, last]);
		else if (last > tail[1]) merged[merged.length - 1] = [tail[0], last];
	}
	return merged;
}

/** Ranges as they lie in a row: pairs of u32, little-endian. */
export function packRanges(ranges: readonly Range[]): Uint8Array {
	const view = new DataView(new ArrayBuffer(ranges.length * 8));
	ranges.forEach(([first, last], i) => {
		view.setUint32(i * 8, first, true);
		view.setUint32(i * 8 + 4, last, true);
	});
	return new Uint8Array(view.buffer);
}

/** Reads what {@link packRanges} wrote. */
export function unpackRanges(bytes: Uint8Array): Range[] {
	const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
	const ranges: Range[] = [];
	for (let at = 0; at + 8 <= bytes.length; at += 8)
		ranges.push([view.getUint32(at, true), view.getUint32(at + 4, true)]);
	return ranges;
}
