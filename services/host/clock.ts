/**
 * Time as an argument: everything that waits or reads a clock is handed one, so that a test can hold it still and move it on
 * (`test/support/clock.ts`). Wall time may jump; what measures a span uses {@link Clock.elapsedMs}, which never does.
 */

/** Stops a timer; doing it twice, or after it ran, does nothing. */
export type Cancel = () => void;

/** A clock with timers. */
export interface Clock {
	/** Wall time in Unix milliseconds; may jump when the machine's clock is set. */
	nowMs(): number;
	/** Milliseconds since some fixed moment; only ever goes forward. */
	elapsedMs(): number;
	/** Runs something once, after a while. Keeps the process alive until then. */
	after(delayMs: number, run: () => void): Cancel;
	/** Runs something again and again, first after one interval. Does not keep the process alive. */
	every(intervalMs: number, run: () => void): Cancel;
}

/** Node runs a timer of more than this at once; longer waits are made of several. */
const TIMER_MS_MAX = 2 ** 31 - 1;

/** The machine's own clock. */
export const systemClock: Clock = {
	nowMs: () => Date.now(),
	elapsedMs: () => performance.now(),
	after: (delayMs, run) => {
		let leftMs = Math.max(0, delayMs);
		let timer: NodeJS.Timeout;
		const arm = (): void => {
			const spanMs = Math.min(leftMs, TIMER_MS_MAX);
			leftMs -= spanMs;
			timer = setTimeout(leftMs > 0 ? arm : run, spanMs);
		};
		arm();
		return () => clearTimeout(timer);
	},
	every: (intervalMs, run) => {
		if (!(intervalMs > 0) || intervalMs > TIMER_MS_MAX) throw new RangeError("not an interval");
		const timer = setInterval(run, intervalMs);
		timer.unref();
		return () => clearInterval(timer);
	},
};
