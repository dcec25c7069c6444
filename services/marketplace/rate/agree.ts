/** What several sources agree on, or that they do not: the median, in which one liar among three cannot move the price past the honest two. */

import type { Price } from "./price.ts";

/** What one source said. */
export type Quote = {
	readonly source: string;
	readonly price: Price;
	/** when it was the price, Unix milliseconds */
	readonly atMs: number;
};

/** A quote as old as this is fresh. */
export const FRESH_MS = 60_000;
/** A quote older than this says nothing any more. */
export const STALE_MS = 300_000;
/** A price from so far ahead means that somebody's clock is wrong: it would be fresh for as long. */
export const AHEAD_MS = 60_000;
/** Sources that must have said something: two that differ have no median. */
export const SOURCES_MIN = 3;
/** Fresh ones among those that agree. */
const FRESH_MIN = 2;
/** How far from the median a source may be and still count, in parts per million: exchanges differ by less than that except in a crash. */
const OUTLIER_PPM = 15_000n;

/** What was agreed on, and by whom. */
export type Agreement = {
	readonly price: Price;
	/** when the second newest of the quotes in it was made: it is fresh as long as two of them are */
	readonly atMs: number;
	readonly agreed: readonly string[];
	readonly dropped: readonly string[];
};

/** The price that the quotes agree on at a moment, or in words why there is none. */
export function agree(quotes: readonly Quote[], nowMs: number): Agreement | string {
	const alive = quotes
		.filter(({ atMs }) => nowMs - atMs <= STALE_MS && atMs - nowMs <= AHEAD_MS)
		.map((quote) => ({ ...quote, atMs: Math.min(quote.atMs, nowMs) }));
	if (alive.length < SOURCES_MIN) return `only ${alive.length} of ${SOURCES_MIN} sources answered`;
	const middle = median(alive);
	const near = alive.filter(({ price }) => distance(price, middle) * 1_000_000n <= middle * OUTLIER_PPM);
	// without a majority nobody can say who lies
	if (near.length * 2 <= alive.length) return `${alive.length} sources contradict each other`;
	const freshest = near.map(({ atMs }) => atMs).sort((a, b) => b - a);
	const atMs = freshest[FRESH_MIN - 1] ?? 0;
	if (nowMs - atMs > FRESH_MS) return `fewer than ${FRESH_MIN} sources are fresh`;
	return {
		price: median(near),
		atMs,
		agreed: near.map(({ source }) => source),
		dropped: alive.filter((quote) => !near.includes(quote)).map(({ source }) => source),
	};
}

function distance(a: Price, b: Price): bigint {
	return a > b ? a - b : b - a;
}

/** The middle one; of an even number, halfway between the middle two. */
function median(quotes: readonly Quote[]): Price {
	const sorted = quotes.map(({ price }) => price).sort((a, b) => (a < b ? -1 : a > b ? 1 : 0));
	const high = sorted[Math.floor(sorted.length / 2)] ?? 0n;
	const low = sorted[Math.floor((sorted.length - 1) / 2)] ?? 0n;
	return (low + high) / 2n;
}
