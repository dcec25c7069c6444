/**
 * One time for several machines: their database's. A machine whose own clock is wrong, or jumps, would otherwise end what others may still use,
 * and find absences that were none. Between two looks at the database's clock, time goes on as this machine counts it, which never jumps.
 */

import { isProblem, type Problem } from "#contracts/problem";
import type { Clock } from "./clock.ts";

/** How often the database is asked: what this machine counts is off by far less than a millisecond by then. */
export const LOOK_MS = 10_000;

/** An answer that took longer says too little: it may be off by half of that. */
const TOOK_MS_MAX = 1_000;

/** A machine that sleeps does not count: when its own clock says that more went by, the database is asked at once. */
const SLEPT_MS_MIN = 1_000;

/** What a clock may be off by and still be right: callers may be off by as much. */
export const OFF_MS_MAX = 10_000;

/** The time of a database, until it is stopped. */
export type SharedClock = { readonly clock: Clock; stop(): Promise<void> };

/** Follows a database's clock. `ask` is its time now, Unix milliseconds; `tell`: how far this machine's own clock is ahead of it, at each look. */
export async function shareClock(
	own: Clock,
	ask: () => Promise<number | Problem>,
	tell: (aheadMs: number) => void,
): Promise<SharedClock | Problem> {
	let seen: { readonly atMs: number; readonly ownMs: number; readonly elapsedMs: number } | undefined;
	let looking: Promise<Problem | undefined> | undefined;

	async function look(): Promise<Problem | undefined> {
		const beganMs = own.elapsedMs();
		const atMs = await ask();
		if (isProblem(atMs)) return atMs;
		const tookMs = own.elapsedMs() - beganMs;
		// at a start any answer is better than none
		if (seen && tookMs > TOOK_MS_MAX) return undefined;
		seen = { atMs: atMs + tookMs / 2, ownMs: own.nowMs(), elapsedMs: own.elapsedMs() };
		tell(seen.ownMs - seen.atMs);
		return undefined;
	}

	/** One look at a time. What fails is tried again at the next: time goes on meanwhile. */
	function lookAgain(): void {
		looking ??= look()
			.catch(() => undefined)
			.finally(() => {
				looking = undefined;
			});
	}

	const refused = await look();
	if (refused) return refused;
	const cancel = own.every(LOOK_MS, lookAgain);
	const nowMs = (): number => {
		if (!seen) throw new Error("a shared clock is read before it was set");
		const goneMs = own.elapsedMs() - seen.elapsedMs;
		if (Math.abs(own.nowMs() - seen.ownMs - goneMs) >= SLEPT_MS_MIN) lookAgain();
		return Math.floor(seen.atMs + goneMs);
	};
	return {
		clock: { ...own, nowMs },
		stop: async () => {
			cancel();
			await looking;
		},
	};
}
