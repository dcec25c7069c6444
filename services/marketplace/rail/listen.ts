/** Keeping an ear at a provider's door: what is listened to is begun again whenever it ends, later each time it fails. */

import type { Cancel, Clock } from "#host/clock";

/** A provider that restarts is back within seconds; one that is down is not asked all the time. */
const AGAIN_MS_MIN = 1_000;
const AGAIN_MS_MAX = 30_000;

/** Listens until cancelled; `once` resolves when a connection has ended, with whether it had brought anything. */
export function keepListening(clock: Clock, once: (signal: AbortSignal) => Promise<boolean>): Cancel {
	const ended = new AbortController();
	let waiting: Cancel = () => {};
	let againMs = AGAIN_MS_MIN;
	const listen = async (): Promise<void> => {
		const good = await once(ended.signal);
		if (ended.signal.aborted) return;
		againMs = good ? AGAIN_MS_MIN : Math.min(againMs * 2, AGAIN_MS_MAX);
		waiting = clock.after(againMs, () => void listen());
	};
	void listen();
	return () => {
		ended.abort();
		waiting();
	};
}
