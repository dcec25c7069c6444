import type { Cancel, Clock } from "#host/clock";

/** A clock that stands still until it is moved; timers run in order as it passes them. */
export type HeldClock = Clock & {
	/**
	 * moves on by so much, running what becomes due, and lets promises settle in between. Where more than an hour is ahead, what comes again every few
	 * seconds comes once a minute, as on a machine that is busy: days of it would take minutes.
	 */
	advance(ms: number): Promise<void>;
	/** sets wall time, as a machine's clock that jumps; timers do not notice */
	jump(ms: number): void;
};

const LEAP_MS = 3_600_000;
const LEAP_STEP_MS = 60_000;

export function heldClock(startMs = Date.UTC(2026, 0, 1)): HeldClock {
	let elapsed = 0;
	let offset = startMs;
	let order = 0;
	const timers = new Map<number, { at: number; run: () => void; intervalMs?: number }>();
	const add = (timer: { at: number; run: () => void; intervalMs?: number }): Cancel => {
		order += 1;
		const id = order;
		timers.set(id, timer);
		return () => void timers.delete(id);
	};
	return {
		nowMs: () => offset + elapsed,
		elapsedMs: () => elapsed,
		after: (delayMs, run) => add({ at: elapsed + Math.max(0, delayMs), run }),
		every: (intervalMs, run) => add({ at: elapsed + intervalMs, run, intervalMs }),
		jump: (ms) => {
			offset += ms;
		},
		advance: async (ms) => {
			const end = elapsed + ms;
			for (;;) {
				const due = [...timers].filter(([, t]) => t.at <= end).sort(([a, x], [b, y]) => x.at - y.at || a - b)[0];
				if (!due) break;
				const [id, timer] = due;
				elapsed = Math.max(elapsed, timer.at);
				if (timer.intervalMs === undefined) timers.delete(id);
				else {
					const missed = end - elapsed > LEAP_MS ? Math.floor(LEAP_STEP_MS / timer.intervalMs) : 1;
					timer.at += timer.intervalMs * Math.max(1, missed);
				}
				timer.run();
				await new Promise(setImmediate);
			}
			elapsed = end;
			await new Promise(setImmediate);
		},
	};
}
