/** One copy of a payload on its way through the relay, from its charge to its answer. */

import { MAIL_HEAD_BYTES } from "#contracts/frame";
import type { ProblemCode } from "#contracts/problem";
import type { Listener } from "#relay/mailbox/listener";
import type { Mailbox } from "#relay/mailbox/mailbox";
import type { Mail } from "#relay/mailbox/store";
import type { Outbox } from "./outbox.ts";

/** Who sent a copy and who pays for it: a session of this process (`sender.ts`), or one of another worker (`workers/gate.ts`). */
export interface Origin {
	/** The sender's tag, in hex. */
	readonly tagId: string;
	readonly byCard: boolean;
	/** The copy is the reader's or the disk's now: it is earned, and its sender hears `kept`. */
	settle(seq: number, size: number): void;
	/** It could not be kept: nothing is charged, and its number may come again. */
	refuse(code: ProblemCode, seq: number, size: number): void;
	/** It was taken live and is on no disk, so its number has to become durable by itself. */
	mark(seq: number): void;
}

/** A copy that was charged, or (without an origin) one read back from the disk for its reader. */
export class Copy {
	readonly mailbox: Mailbox;
	readonly size: number;
	readonly origin: Origin | undefined;
	readonly seq: number;
	readonly print: number;
	readonly expiresAtMs: number;
	/** The message it came in and where its frame's body begins there; let go once it is on disk. */
	private message: Uint8Array | undefined;
	private readonly start: number;
	/** Its place in its mailbox's order; 0 while it never went towards the disk. */
	position = 0;
	/** Whether the disk has it. */
	stored = false;
	/** Whether its reader has acknowledged it. */
	acked = false;
	/** The reader's delivery number, and when it was delivered (on the clock that never jumps); 0 while it was not. */
	number = 0;
	deliveredAtMs = 0;
	/** Who it was delivered to. */
	listener: Listener | undefined;
	/** Where several devices hold it: what each holds, and what that is an echo of. */
	echoes: Copy[] | undefined;
	of: Copy | undefined;
	/** Devices that have not acknowledged it. */
	unacked = 1;

	constructor(
		mailbox: Mailbox,
		origin: Origin | undefined,
		seq: number,
		print: number,
		expiresAtMs: number,
		size: number,
		message: Uint8Array | undefined,
		start: number,
	) {
		this.mailbox = mailbox;
		this.origin = origin;
		this.seq = seq;
		this.print = print;
		this.expiresAtMs = expiresAtMs;
		this.size = size;
		this.message = message;
		this.start = start;
	}

	/** As the store takes it. Only for what has an origin and was not let go of. */
	get mail(): Mail {
		const { origin, message } = this;
		if (!origin || !message) throw new Error("a copy was sent to the disk twice");
		const from = this.start + MAIL_HEAD_BYTES;
		return {
			mailbox: this.mailbox.id,
			position: this.position,
			expiresAtMs: this.expiresAtMs,
			payload: message.subarray(from, from + this.size),
			tag: origin.tagId,
			seq: this.seq,
			print: this.print,
			byCard: origin.byCard,
		};
	}

	/** Whether no disk has it, nor is on its way to have it. */
	get inMemory(): boolean {
		return (this.of ?? this).position === 0;
	}

	/** What one of several devices holds of it. */
	echo(listener: Listener): Copy {
		const echo = new Copy(this.mailbox, undefined, this.seq, this.print, this.expiresAtMs, this.size, undefined, 0);
		echo.of = this;
		echo.listener = listener;
		return echo;
	}

	/** Writes it to one of several readers, behind a head of its own. */
	handTo(outbox: Outbox, handle: number, number: number): void {
		const from = this.start + MAIL_HEAD_BYTES;
		if (this.message) outbox.deliver(handle, number, this.message, from, from + this.size);
	}

	/** The disk has it: the memory it came in can go. */
	letGo(): void {
		this.message = undefined;
	}

	/** It is the reader's or the disk's now: it is earned, and its sender hears `kept`. */
	settle(): void {
		this.origin?.settle(this.seq, this.size);
	}

	/** It could not be kept: nothing was charged, and its number may come again. */
	refuse(code: ProblemCode): void {
		this.origin?.refuse(code, this.seq, this.size);
	}
}
