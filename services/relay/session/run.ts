/**
 * Frames for one way out that stand together in a message are passed on together, as one piece of that message. At most one run is
 * open at a time; whoever works on a message ends it before anything else is written, and at the message's end.
 */

import { type Cursor, rewriteToDeliver } from "#contracts/frame";
import type { Way } from "./far.ts";
import type { Outbox } from "./outbox.ts";

/** The run of a message. */
export class Run {
	private to: Way | undefined;
	private of: Uint8Array | undefined;
	private start = 0;
	private stop = 0;
	/** A message of which something is held, and what is held instead of it. */
	private message: Uint8Array | undefined;
	private held: Uint8Array | undefined;
	private viewed: Uint8Array | undefined;
	private numbers: DataView | undefined;

	/** A message as numbers are read from it. */
	view(message: Uint8Array): DataView {
		if (this.viewed === message && this.numbers) return this.numbers;
		this.viewed = message;
		this.numbers = new DataView(message.buffer, message.byteOffset, message.length);
		return this.numbers;
	}

	/** Rewrites the frame at the cursor for its reader where it stands, and lengthens the run. */
	deliver(message: Uint8Array, c: Cursor, to: Outbox, handle: number, number: number): void {
		rewriteToDeliver(message, c, handle, number);
		this.lengthen(message, c, to);
	}

	/** Adds the frame at the cursor; what stands before it for somebody else is passed on first. */
	lengthen(message: Uint8Array, c: Cursor, to: Way): void {
		if (this.to !== to || this.stop !== c.at) {
			this.pass();
			this.to = to;
			this.of = message;
			this.start = c.at;
		}
		this.stop = c.end;
	}

	/** What is held until its ack must not hold a socket's whole read buffer with it. One copy a message, and none of what is passed on. */
	owned(message: Uint8Array): Uint8Array {
		if (this.message === message && this.held) return this.held;
		this.message = message;
		this.held = message.buffer.byteLength > 2 * message.length ? new Uint8Array(message) : message;
		return this.held;
	}

	/** Passes on what was gathered, and lets go of the message: also where the session ends in the middle of it, as all that is gathered is charged. */
	end(): void {
		this.pass();
		this.message = undefined;
		this.held = undefined;
		this.viewed = undefined;
		this.numbers = undefined;
	}

	/** Passes on what was gathered. */
	pass(): void {
		const { to, of } = this;
		this.to = undefined;
		this.of = undefined;
		if (to && of) to.pass(of, this.start, this.stop);
	}
}
