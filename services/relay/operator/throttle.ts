/**
 * A cap on bandwidth: a bucket that fills at the allowed rate and that every message read takes from. While it is in debt sockets are not read,
 * so that TCP slows the senders down, and they are let go in the order in which they were held: each gets a read's worth in turn.
 */

import type { Cancel, Clock } from "#host/clock";

/** A connection that can be kept from reading. */
export interface Held {
	/** Reads no more until {@link letGo}. */
	hold(): void;
	letGo(): void;
}

/** What one read of a socket may bring: that much is counted on when a connection is let go. */
const READ_BYTES = 64 * 1024;
/** How often the held are looked at: well below what a person notices, far above what a timer costs. */
const LOOK_EVERY_MS = 10;
/** What may pass at once after a pause: enough that a text never waits for the bucket. */
const BURST_MS = 250;
/** The debt that what is written may make: a burst of kept mail must not stop everybody's reading for longer. */
const DEBT_MS = 1_000;

/** The bucket. */
export class Throttle {
	private readonly clock: Clock;
	private readonly onHold: () => void;
	private bytesPerMs = 0;
	private tokens = 0;
	private filledMs = 0;
	/** Bounded by the connections: each is in it once. */
	private readonly held = new Set<Held>();
	private timer: Cancel | undefined;

	/** `onHold` is told each time a connection is held. */
	constructor(clock: Clock, onHold: () => void = () => {}) {
		this.clock = clock;
		this.onHold = onHold;
	}

	/** Sets the rate in megabits a second; 0: none. */
	set(mbit: number): void {
		this.bytesPerMs = (mbit * 1_000_000) / 8 / 1_000;
		this.tokens = Math.min(this.tokens, this.bytesPerMs * BURST_MS);
		this.filledMs = this.clock.elapsedMs();
		if (mbit === 0) this.release(this.held.size);
	}

	/** Counts a message that a connection read; holds the connection when that was too much, or others wait. */
	took(connection: Held, bytes: number): void {
		if (this.bytesPerMs === 0) return;
		this.fill();
		this.tokens -= bytes;
		if (this.tokens >= 0 && this.held.size === 0) return;
		if (this.held.has(connection)) return;
		this.onHold();
		connection.hold();
		this.held.add(connection);
		this.timer ??= this.clock.after(LOOK_EVERY_MS, () => this.look());
	}

	/** Counts what was written beyond what was read. */
	wrote(bytes: number): void {
		if (this.bytesPerMs === 0 || bytes <= 0) return;
		this.fill();
		this.tokens = Math.max(this.tokens - bytes, -this.bytesPerMs * DEBT_MS);
	}

	/** A connection ended. */
	forget(connection: Held): void {
		this.held.delete(connection);
	}

	private look(): void {
		this.timer = undefined;
		this.fill();
		if (this.tokens > 0) this.release(Math.ceil(this.tokens / READ_BYTES));
		if (this.held.size > 0) this.timer = this.clock.after(LOOK_EVERY_MS, () => this.look());
	}

	private release(count: number): void {
		let left = count;
		for (const connection of this.held) {
			if (left-- <= 0) return;
			this.held.delete(connection);
			connection.letGo();
		}
	}

	private fill(): void {
		const elapsedMs = this.clock.elapsedMs();
		const most = Math.max(this.bytesPerMs * BURST_MS, READ_BYTES);
		this.tokens = Math.min(most, this.tokens + (elapsedMs - this.filledMs) * this.bytesPerMs);
		this.filledMs = elapsedMs;
	}
}
