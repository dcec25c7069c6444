/** How a message stands, as its sender sees it, and who waits to be told. */

import type { Tick } from "./options.ts";

/** Messages whose `delivered` is waited for: a day of much writing; beyond it the oldest are not told of any more. */
const TICKS_MAX = 10_000;

/** The messages of a client that have not arrived yet, by their id in hex. */
export class Ticks {
	private readonly waiting = new Map<string, (tick: Tick) => void>();

	/** Tells how a message stands now, and `delivered` once its receipt comes. */
	follow(id: string, tick: Tick, tell: (tick: Tick) => void): void {
		const [oldest] = this.waiting.keys();
		if (this.waiting.size >= TICKS_MAX && oldest !== undefined) this.waiting.delete(oldest);
		this.waiting.set(id, tell);
		tell(tick);
	}

	/** A receipt came. */
	delivered(id: string): void {
		this.waiting.get(id)?.("delivered");
		this.waiting.delete(id);
	}
}
