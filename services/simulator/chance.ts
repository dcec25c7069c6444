/**
 * Chance that can be had again: every draw of a run comes from its seed, so that the same seed plays the same year. Not for keys.
 */

import { hash } from "node:crypto";

/** A source of chance. */
export type Chance = {
	/** at least 0 and below 1 */
	next(): number;
	/** a whole number, at least 0 and below `n` */
	below(n: number): number;
	/** of the normal distribution: mean 0, deviation 1 */
	normal(): number;
	/** so many bytes */
	bytes(n: number): Uint8Array;
	/** another source, which draws from this one do not disturb */
	fork(name: string): Chance;
};

/** The source of a seed: sfc32 (Chris Doty-Humphrey's small fast counter), begun with the seed's SHA-256. */
export function chanceOf(seed: string): Chance {
	const start = hash("sha256", `farelay/simulate/${seed}`, "buffer");
	let a = start.readUInt32LE(0) | 0;
	let b = start.readUInt32LE(4) | 0;
	let c = start.readUInt32LE(8) | 0;
	let counter = start.readUInt32LE(12) | 0;
	const word = (): number => {
		const sum = (((a + b) | 0) + counter) | 0;
		counter = (counter + 1) | 0;
		a = b ^ (b >>> 9);
		b = (c + (c << 3)) | 0;
		c = (c << 21) | (c >>> 11);
		c = (c + sum) | 0;
		return sum >>> 0;
	};
	const next = (): number => word() / 4_294_967_296;
	return {
		next,
		below: (n) => Math.floor(next() * n),
		// Box and Muller; of the two that it gives the second is not kept, so that a draw costs the same each time
		normal: () => Math.sqrt(-2 * Math.log(1 - next())) * Math.cos(2 * Math.PI * next()),
		bytes: (n) => Uint8Array.from({ length: n }, () => word() & 0xff),
		fork: (name) => chanceOf(`${seed}/${name}`),
	};
}

/** One of several. @throws RangeError of none: a bug. */
export function pick<T>(chance: Chance, of: readonly T[]): T {
	const picked = of[chance.below(of.length)];
	if (picked === undefined) throw new RangeError("nothing to pick from");
	return picked;
}
