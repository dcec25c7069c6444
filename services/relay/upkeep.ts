/** What a relay looks after now and then: dues of connections and readers, expiry, and what may be forgotten. */

import type { Cancel } from "#host/clock";
import type { MarketKeys } from "./market/market.ts";
import type { Operator } from "./operator/operator.ts";
import type { RelayParts } from "./parts.ts";
import type { Port } from "./session/server.ts";
import type { WorkerPart } from "./workerpart.ts";

/** How many sweeps pass between two rounds of forgetting: ten seconds. */
const SWEEPS_PER_ROUND = 20;

/** Starts looking after things; answers how to stop. */
export function startUpkeep(
	parts: RelayParts,
	market: MarketKeys,
	port: Port,
	operator: Operator,
	part?: WorkerPart,
): Cancel {
	const { clock, limits, router, tabs, tags, store, counts, log } = parts;
	let sweeps = 0;
	let expiring = false;

	const sweep = clock.every(limits.sweepEveryMs, () => {
		const passed = port.sweep();
		operator.sweep(passed.readBytes, passed.wroteBytes);
		router.sweep();
		tags.flush();
		part?.flush();
		if (market.due) void market.refresh();
		sweeps++;
		if (sweeps % SWEEPS_PER_ROUND !== 0) return;
		router.forget();
		counts.drops.tabs += tabs.makeRoom(clock.nowMs());
		tags.forget(clock.elapsedMs() - limits.tagIdleMs);
	});

	/** In slices, so that nothing waits for a mailbox of a hundred thousand. */
	async function expire(): Promise<void> {
		if (expiring) return;
		expiring = true;
		router.noteSeen(clock.nowMs());
		try {
			let dropped: number;
			do {
				dropped = await store.expire(clock.nowMs(), limits.expireCount);
				counts.drops.expired += dropped;
			} while (dropped > 0);
		} catch (error) {
			log.error({ err: error }, "expiry failed");
		} finally {
			expiring = false;
		}
	}
	const expiry = clock.every(limits.expireEveryMs, () => void expire());

	return () => {
		sweep();
		expiry();
	};
}
