/** Chance that can be had again: the same seed gives the same draws (mulberry32, Tommy Ettinger, public domain). */
export type Chance = {
	/** From 0 to 1, without 1. */
	next(): number;
	/** A whole number from `from` to `to`, both included. */
	whole(from: number, to: number): number;
	/** One of these. */
	one<const T>(from: readonly [T, ...T[]]): T;
};

export function chanceOf(seed: number): Chance {
	let state = seed >>> 0;
	const next = () => {
		state = (state + 0x6d2b79f5) >>> 0;
		let t = state;
		t = Math.imul(t ^ (t >>> 15), t | 1);
		t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
		return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
	};
	const whole = (from: number, to: number) => from + Math.floor(next() * (to - from + 1));
	return { next, whole, one: (from) => from[whole(0, from.length - 1)] ?? from[0] };
}
