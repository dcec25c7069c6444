/**
 * Reading paid mail is free, but a relay is no store to read from for ever: a device is given each message twice at full speed, and what
 * it was given twice before at 64 KiB a second for the whole mailbox (PROTOCOL.md, "Reading"; threat 12). In memory: a relay that was
 * started again has forgotten it.
 *
 * Mail is given in the order of positions, so two of them say how often a device was given each message. Marks outlive a device that
 * was given up: a mailbox has as many as it can have devices, and a new one beyond that takes over an old one's.
 */

import { LIMIT } from "#contracts/limit";
import type { RelayLimits } from "#relay/limit";

/** The last position that a device was given, and the last that it was given twice. */
export type Mark = { once: number; twice: number };

/** What a message costs of the allowance besides its bytes, so that the smallest ones are bounded too: about a row's and a frame's own. */
const MESSAGE_BYTES = 256;

/** How far a mailbox's devices have read, and how much may be read again. */
export class Rereading {
	private readonly marks = new Map<string, Mark>();
	private readonly bytesPerSecond: number;
	private allowedBytes: number;
	private atMs: number;

	constructor(bytesPerSecond: number, elapsedMs: number) {
		this.bytesPerSecond = bytesPerSecond;
		this.allowedBytes = bytesPerSecond;
		this.atMs = elapsedMs;
	}

	/** A device's mark; a new device's is new while there is room, else that of a device that is not `present`. */
	of(device: string, present: readonly string[]): Mark {
		const known = this.marks.get(device);
		if (known) return known;
		const [old] = [...this.marks.keys()].filter((other) => !present.includes(other));
		const full = this.marks.size >= LIMIT.devicesMax && old !== undefined;
		const mark = (full && this.marks.get(old)) || { once: 0, twice: 0 };
		if (full) this.marks.delete(old);
		this.marks.set(device, mark);
		return mark;
	}

	/** Bytes that may be given again now; none when not above zero. */
	allowed(elapsedMs: number): number {
		const earned = ((elapsedMs - this.atMs) * this.bytesPerSecond) / 1_000;
		this.allowedBytes = Math.min(this.bytesPerSecond, this.allowedBytes + earned);
		this.atMs = elapsedMs;
		return this.allowedBytes;
	}

	/** Messages that may be given again for so many bytes. */
	static messages(bytes: number): number {
		return Math.ceil(bytes / MESSAGE_BYTES);
	}

	/** A message was given again. It may be more than was left: then the next one waits for longer. */
	spend(payloadBytes: number): void {
		this.allowedBytes -= payloadBytes + MESSAGE_BYTES;
	}
}

/** Notes in a mark how far a device was given mail over one connection. */
export function noteGiven(mark: Mark, position: number): void {
	mark.twice = Math.max(mark.twice, Math.min(mark.once, position));
	mark.once = Math.max(mark.once, position);
}

/** What mailboxes with mail on disk have given to their devices. */
export class Rereadings {
	private readonly known = new Map<string, Rereading>();
	private readonly limits: RelayLimits;

	constructor(limits: RelayLimits) {
		this.limits = limits;
	}

	/** Undefined while nothing was given that is still there. */
	get(mailbox: string): Rereading | undefined {
		return this.known.get(mailbox);
	}

	/** Begins to remember; what was remembered first gives way. */
	begin(mailbox: string, elapsedMs: number): Rereading {
		const known = this.known.get(mailbox);
		if (known) return known;
		const [oldest] = this.known.keys();
		if (this.known.size >= this.limits.rereadingsMax && oldest !== undefined) this.known.delete(oldest);
		const begun = new Rereading(this.limits.rereadBytesPerSecond, elapsedMs);
		this.known.set(mailbox, begun);
		return begun;
	}

	/** Nothing is left that could be read again. */
	end(mailbox: string): void {
		this.known.delete(mailbox);
	}
}
