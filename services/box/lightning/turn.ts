/**
 * Turns: everything that is done to a node happens in one, in a single tick. What it came to is on the disk before a byte of it leaves for a peer and before
 * anybody is told: so whatever moment the process dies at, no peer knows more than our disk. A turn works until nothing is left to do, which is why
 * nothing here polls.
 */

import type { Cancel, Clock } from "#host/clock";
import { passFaultPoint } from "#host/fault";
import type { Store } from "./store.ts";

/** The turns of a hub. */
export interface Turns {
	/** Runs something in a turn of its own, or as a part of the one that runs. Throws when the nodes have died. */
	take<T>(work: () => T): T;
	/** Runs something once what this turn did is on the disk. */
	after(run: () => void): void;
	/** Waits until something is so, looking after each turn; false when it takes too long. */
	until(isSo: () => boolean, waitMs: number): Promise<boolean>;
	/** Ends all waiting; later turns throw. */
	end(): void;
}

/** Rounds of one turn, in which a node's work makes more; a payment takes three. */
const ROUNDS_MAX = 1_000;
/** Waits at once: a start has one for each channel and peer. */
const WAITS_MAX = 100;

/** What the turns of a hub need. */
export type TurnDeps = {
	readonly clock: Clock;
	readonly store: Pick<Store, "begin" | "commit">;
	/** Does what is left to do, once around; false when nothing was. */
	readonly round: () => boolean;
	/** Hands the store what has to be kept. */
	readonly keep: () => void;
	/** told when a turn failed: memory and disk are apart then, and only a new start mends that */
	readonly died: (why: unknown) => void;
};

/** Makes the turns. */
export function makeTurns({ clock, store, round, keep, died }: TurnDeps): Turns {
	let inside = false;
	let ended: unknown;
	let later: (() => void)[] = [];
	const waits = new Set<() => void>();

	function finish(): void {
		for (let left = ROUNDS_MAX; round(); left--) if (left === 0) throw new Error("a turn has no end");
		keep();
		passFaultPoint("lightning:before-commit");
		store.commit();
		passFaultPoint("lightning:after-commit");
	}

	function take<T>(work: () => T): T {
		if (ended !== undefined) throw ended;
		if (inside) return work();
		inside = true;
		let result: T;
		try {
			store.begin();
			result = work();
			finish();
		} catch (error) {
			ended = error;
			later = [];
			died(error);
			throw error;
		} finally {
			inside = false;
		}
		const run = later;
		later = [];
		for (const one of run) one();
		for (const look of [...waits]) look();
		return result;
	}

	return {
		take,
		after: (run) => void later.push(run),
		until(isSo, waitMs) {
			if (ended !== undefined) return Promise.resolve(false);
			if (waits.size >= WAITS_MAX) throw new Error("too much waits for the nodes");
			const { promise, resolve } = Promise.withResolvers<boolean>();
			let cancel: Cancel = () => {};
			const settle = (answer: boolean) => {
				cancel();
				waits.delete(look);
				resolve(answer);
			};
			const look = () => {
				if (ended !== undefined) settle(false);
				else if (isSo()) settle(true);
			};
			waits.add(look);
			cancel = clock.after(waitMs, () => settle(false));
			look();
			return promise;
		},
		end() {
			ended ??= new Error("the nodes are stopped");
			for (const look of [...waits]) look();
		},
	};
}
