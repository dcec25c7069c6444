/**
 * Stopping in order: what was started last is stopped first, once, within a deadline. SIGTERM and SIGINT ask for it; a second signal,
 * or a stop that hangs, ends the process at once, which costs nothing that was acknowledged (threat 13).
 */

import type { Clock } from "./clock.ts";
import type { Log } from "./log.ts";

/** How long an orderly stop may take. A container runtime kills after 10 s. */
export const STOP_MS_MAX = 8_000;

/** A pile of what must be stopped. */
export interface Stopping {
	/** Puts something on the pile; after a stop began it is stopped at once. */
	add(name: string, stop: () => Promise<void> | void): void;
	/** Stops everything, last first; the same promise however often it is asked. False when something failed or the deadline passed. */
	stop(why: string): Promise<boolean>;
	/** Whether a stop has begun. */
	readonly begun: boolean;
}

/** An empty pile. */
export function makeStopping(deps: { clock: Clock; log: Log }, stopMsMax: number = STOP_MS_MAX): Stopping {
	const { clock, log } = deps;
	const pile: { name: string; stop: () => Promise<void> | void }[] = [];
	let done: Promise<boolean> | undefined;

	async function stopOne(name: string, stop: () => Promise<void> | void): Promise<boolean> {
		try {
			await stop();
			return true;
		} catch (error) {
			log.error({ err: error, part: name }, "a part did not stop as it should");
			return false;
		}
	}

	async function stopAll(): Promise<boolean> {
		let clean = true;
		for (let last = pile.pop(); last; last = pile.pop()) clean = (await stopOne(last.name, last.stop)) && clean;
		return clean;
	}

	return {
		add: (name, stop) => {
			if (done) void stopOne(name, stop);
			else pile.push({ name, stop });
		},
		stop: (why) => {
			if (done) return done;
			log.debug({ why }, "stopping");
			const late = Promise.withResolvers<boolean>();
			const cancel = clock.after(stopMsMax, () => {
				log.error({ left: pile.map((part) => part.name) }, "stopping took too long");
				late.resolve(false);
			});
			done = Promise.race([stopAll(), late.promise]).finally(cancel);
			return done;
		},
		get begun() {
			return done !== undefined;
		},
	};
}

/**
 * Waits for SIGTERM or SIGINT, stops, and sets the exit code. For a program's `main` only: it owns the process.
 * Resolves when everything has stopped; the process then ends by itself because nothing is left to wait for.
 */
export async function stopOnSignal(stopping: Stopping): Promise<void> {
	const asked = Promise.withResolvers<NodeJS.Signals>();
	const first = (signal: NodeJS.Signals): void => asked.resolve(signal);
	const second = (): void => process.exit(1);
	process.once("SIGTERM", first).once("SIGINT", first);
	const signal = await asked.promise;
	process.removeListener("SIGTERM", first).removeListener("SIGINT", first);
	process.on("SIGTERM", second).on("SIGINT", second);
	const clean = await stopping.stop(signal);
	if (!clean) process.exit(1);
	process.removeListener("SIGTERM", second).removeListener("SIGINT", second);
}
