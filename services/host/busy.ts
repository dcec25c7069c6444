/** Whether this thread has time to spare, for what may wait a moment if that saves work. */

import { performance } from "node:perf_hooks";

/** Busy is a loop that worked for more than this share of the last span. */
const BUSY_SHARE = 0.8;
const SPAN_MS = 50;

/** A question that costs next to nothing and is answered anew every 50 ms, where somebody asks. */
export function watchLoop(): () => boolean {
	let busy = false;
	let askedAtMs = 0;
	let before = performance.eventLoopUtilization();
	return () => {
		const nowMs = performance.now();
		if (nowMs - askedAtMs < SPAN_MS) return busy;
		const now = performance.eventLoopUtilization();
		busy = performance.eventLoopUtilization(now, before).utilization > BUSY_SHARE;
		before = now;
		askedAtMs = nowMs;
		return busy;
	};
}
