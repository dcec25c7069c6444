/**
 * A reader's window: what was delivered to one connection and not yet acknowledged, under session-wide delivery numbers
 * (PROTOCOL.md, "Reading"; threat 11). It holds at most 1,024 deliveries or 1 MiB, or less if the reader says so; more waits
 * on the disk.
 */

import type { Window } from "#contracts/control";
import { FRAME, MAIL_HEAD_BYTES, writeHead, writeU32 } from "#contracts/frame";
import { LIMIT } from "#contracts/limit";
import type { Range } from "#contracts/ranges";
import type { Listener } from "#relay/mailbox/listener";
import type { Mailbox } from "#relay/mailbox/mailbox";
import type { KeptMail } from "#relay/mailbox/store";
import { Copy } from "./copy.ts";
import type { Outbox } from "./outbox.ts";

/** What a delivery costs besides its bytes: the copy's own memory. Keeps the window honest for the smallest mail. */
const COPY_BYTES = 256;

const SLOTS = LIMIT.windowFrames * 2;

/** Whether, and how much, a reader can take. */
export class Reader {
	readonly outbox: Outbox;
	/** The mailboxes it listens on, by the handle that it chose for each. */
	readonly mailboxes = new Map<number, Mailbox>();
	/** Deliveries that are in memory only. */
	live = 0;
	/** Told when another connection took one of its mailboxes, or its device was given up. */
	onReplaced: ((mailbox: Mailbox, why: "replaced" | "forgotten") => void) | undefined;
	private slots: (Copy | undefined)[] = [];
	private next = 1;
	private oldest = 1;
	private frames = 0;
	private bytes = 0;
	private framesMax: number = LIMIT.windowFrames;
	private bytesMax: number = LIMIT.windowBytes;

	constructor(outbox: Outbox) {
		this.outbox = outbox;
	}

	/** The reader wants less under way to it than the relay's own window, or nothing (0 frames). */
	narrow(window: Window): void {
		this.framesMax = Math.min(window.frames, LIMIT.windowFrames);
		this.bytesMax = Math.min(window.bytes, LIMIT.windowBytes);
	}

	/** Whether it wants nothing now. */
	get paused(): boolean {
		return this.framesMax === 0;
	}

	/** Whether a delivery of this size fits the window and the socket. What is larger than the window alone comes alone. */
	room(size: number): boolean {
		return (
			this.frames < this.framesMax &&
			this.next - this.oldest < SLOTS &&
			(this.frames === 0 || this.bytes + size + COPY_BYTES <= this.bytesMax) &&
			!this.outbox.congested
		);
	}

	/** How much may be read from the disk for this reader now. */
	get page(): { readonly count: number; readonly bytes: number } {
		return {
			count: Math.min(this.framesMax - this.frames, SLOTS - (this.next - this.oldest)),
			bytes: this.bytesMax - this.bytes,
		};
	}

	/** Gives a copy the next delivery number and waits for its acknowledgement. */
	hold(copy: Copy, elapsedMs: number): number {
		const number = this.next++;
		copy.number = number;
		copy.deliveredAtMs = elapsedMs;
		this.slots[number % SLOTS] = copy;
		this.frames++;
		this.bytes += copy.size + COPY_BYTES;
		if (copy.inMemory) this.live++;
		return number;
	}

	/** Delivers what was read back from the disk. */
	deliver(listener: Listener, mail: KeptMail): void {
		const { mailbox, handle } = listener;
		const copy = new Copy(mailbox, undefined, 0, 0, mail.expiresAtMs, mail.payload.length, undefined, 0);
		copy.position = mail.position;
		copy.stored = true;
		copy.listener = listener;
		const number = this.hold(copy, 0);
		const length = MAIL_HEAD_BYTES + mail.payload.length;
		const { message, at } = this.outbox.claim(4 + length);
		const start = writeHead(message, at, FRAME.deliver, length);
		writeU32(message, start, handle);
		writeU32(message, start + 4, number);
		message.set(mail.payload, start + MAIL_HEAD_BYTES);
		this.outbox.written(start + length - at);
	}

	/** Takes an acknowledgement; numbers that were never delivered, or twice, are no error. */
	ack(ranges: readonly Range[]): void {
		let some = false;
		for (const [first, last] of ranges) {
			const to = Math.min(last, this.next - 1);
			for (let number = Math.max(first, this.oldest); number <= to; number++) {
				const copy = this.drop(number);
				if (!copy) continue;
				some = true;
				copy.acked = true;
				copy.mailbox.acked(copy);
			}
		}
		if (some) this.outbox.moved();
		this.advance();
	}

	/** Gives up a delivery without an acknowledgement. */
	release(copy: Copy): void {
		if (this.slots[copy.number % SLOTS] !== copy) return;
		this.drop(copy.number);
		this.advance();
	}

	/** A live delivery went towards the disk. */
	spilled(): void {
		this.live--;
	}

	/** Unacknowledged deliveries, oldest first. */
	*held(): Generator<Copy> {
		for (let number = this.oldest; number < this.next; number++) {
			const copy = this.slots[number % SLOTS];
			if (copy) yield copy;
		}
	}

	private drop(number: number): Copy | undefined {
		const copy = this.slots[number % SLOTS];
		if (!copy || copy.number !== number) return undefined;
		this.slots[number % SLOTS] = undefined;
		this.frames--;
		this.bytes -= copy.size + COPY_BYTES;
		if (copy.inMemory) this.live--;
		return copy;
	}

	private advance(): void {
		while (this.oldest < this.next && this.slots[this.oldest % SLOTS] === undefined) this.oldest++;
	}
}
