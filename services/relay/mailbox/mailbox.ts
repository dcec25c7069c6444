/**
 * One mailbox at work: mail goes straight to a listening reader while nothing of it waits on disk, and behind what waits
 * otherwise, so that order is kept (PROTOCOL.md, "Sending" and "Reading"; threats 12 and 13).
 *
 * Positions are given in the order of delivery: what a reader has not acknowledged is sent to the disk before anything newer.
 * `cursor` is the last position that this reader was given, `tail` the last that anyone was given; between them mail waits.
 */

import type { ProblemCode } from "#contracts/problem";
import type { Copy } from "#relay/session/copy";
import type { Reader } from "#relay/session/reader";
import type { Desk } from "./desk.ts";
import { roomFor } from "./quota.ts";
import type { MailboxState } from "./store.ts";

/** The actor of one mailbox. */
export class Mailbox {
	readonly id: string;
	/** Handles that are bound to it, over all connections. */
	bound = 0;
	private readonly desk: Desk;
	private reader: Reader | undefined;
	private handle = 0;
	private cursor = 0;
	private tail: number;
	/** Copies on their way to the disk. */
	private flying = 0;
	/** Copies with the reader, in memory only. */
	private live = 0;
	/** Accepted and not yet in the store's index. */
	private readonly filling = { messages: 0, bytes: 0, strangerMessages: 0, strangerBytes: 0 };
	private pumping = false;
	private again = false;

	constructor(id: string, desk: Desk) {
		this.id = id;
		this.desk = desk;
		this.tail = desk.lastPosition;
	}

	/** Whether nobody needs this actor in memory. */
	get idle(): boolean {
		return this.bound === 0 && !this.reader && this.flying === 0 && this.live === 0;
	}

	/** What the store knows of it; undefined for one that nobody ever listened on. */
	get state(): MailboxState | undefined {
		return this.desk.store.state(this.id);
	}

	/** Whether mail may be posted, by its quota. The reader is told of what was not. */
	admits(size: number, byCard: boolean, state: MailboxState): ProblemCode | undefined {
		if (roomFor(size, byCard, state, this.filling) === "room") return undefined;
		this.desk.store.dropped(this.id, 1);
		return "mailbox-full";
	}

	/** The reader that can take a copy now; undefined when it has to go by the disk. */
	readerFor(size: number): Reader | undefined {
		const { reader } = this;
		return reader && this.cursor >= this.tail && reader.room(size) ? reader : undefined;
	}

	/** The reader, for mail that is live or nothing. It may overtake what waits on disk. */
	readerNow(): Reader | undefined {
		const { reader } = this;
		return reader && !reader.paused && !reader.outbox.congested ? reader : undefined;
	}

	/** The handle that the reader chose. */
	get readerHandle(): number {
		return this.handle;
	}

	/** Takes a copy into the reader's window; answers the delivery's number. */
	deliver(copy: Copy, reader: Reader, elapsedMs: number): number {
		this.live++;
		this.reserve(copy, 1);
		return reader.hold(copy, elapsedMs);
	}

	/** Sends a copy to the disk, behind everything that its reader has and has not acknowledged. */
	keep(copy: Copy): void {
		if (this.live > 0 && this.reader) this.spill(this.reader, Number.POSITIVE_INFINITY);
		this.reserve(copy, 1);
		this.send(copy);
	}

	/** Sends what the reader did not acknowledge since `beforeMs` to the disk, oldest first. It stays delivered. */
	spill(reader: Reader, beforeMs: number): void {
		for (const copy of reader.held()) {
			if (copy.mailbox !== this || copy.position !== 0) continue;
			if (copy.deliveredAtMs > beforeMs) return;
			reader.spilled();
			this.live--;
			// nothing waits before it, as it was live: the reader is past it
			this.cursor = this.send(copy);
		}
	}

	/** What became of copies sent to the disk. */
	committed(copy: Copy, result: "kept" | ProblemCode): void {
		this.flying--;
		this.reserve(copy, -1);
		if (result === "kept" || copy.acked) {
			copy.stored = result === "kept";
			copy.letGo();
			copy.settle();
			if (copy.acked && copy.stored) this.desk.remove(this.id, copy.position);
		} else {
			if (copy.number !== 0) this.reader?.release(copy);
			copy.refuse(result);
		}
		this.pump();
	}

	/** The reader acknowledged a delivery. */
	acked(copy: Copy): void {
		if (copy.position === 0) {
			this.live--;
			this.reserve(copy, -1);
			copy.letGo();
			copy.settle();
			copy.origin?.mark(copy.seq);
		} else if (copy.stored) this.desk.remove(this.id, copy.position);
		this.pump();
	}

	/** A reader listens from the beginning of what waits; one that listened before is told that it does not any more. */
	attach(reader: Reader, handle: number): void {
		const before = this.reader;
		if (before) this.detach(before);
		if (before !== reader) before?.onReplaced?.(this);
		this.reader = reader;
		this.handle = handle;
		this.cursor = 0;
		this.tail = this.desk.lastPosition;
		if (this.flying === 0 && (this.state?.messages ?? 0) === 0) this.cursor = this.tail;
	}

	/** A reader's connection ended: what it has not acknowledged goes to the disk. */
	detach(reader: Reader): void {
		if (this.reader !== reader) return;
		this.spill(reader, Number.POSITIVE_INFINITY);
		this.reader = undefined;
		this.cursor = 0;
	}

	/** Gives the reader what waits on disk, as far as its window goes. */
	pump(): void {
		if (this.pumping) {
			this.again = true;
			return;
		}
		if (!this.reader || this.cursor >= this.tail) return;
		this.pumping = true;
		void this.read(this.reader)
			.catch((error: unknown) => this.desk.failed(error))
			.finally(() => {
				this.pumping = false;
				if (!this.again) return;
				this.again = false;
				this.pump();
			});
	}

	private async read(reader: Reader): Promise<void> {
		while (this.reader === reader && this.cursor < this.tail && reader.room(0)) {
			const { flying, tail } = this;
			const { count, bytes } = reader.page;
			const { pageFrames, pageBytes } = this.desk.limits;
			const nowMs = this.desk.clock.nowMs();
			const mails = await this.desk.store.read(
				this.id,
				this.cursor,
				nowMs,
				Math.min(count, pageFrames),
				Math.min(bytes, pageBytes),
			);
			if (this.reader !== reader) return;
			for (const mail of mails) {
				if (mail.position <= this.cursor) continue;
				// another of its mailboxes may have filled the window meanwhile
				if (!reader.room(mail.payload.length)) return;
				reader.deliver(this, this.handle, mail);
				this.cursor = mail.position;
			}
			if (mails.length > 0) continue;
			// what was not on its way when we looked is not there: it expired, or the disk refused it
			if (flying > 0) return;
			this.cursor = Math.max(this.cursor, tail);
		}
	}

	private send(copy: Copy): number {
		const position = this.desk.nextPosition();
		copy.position = position;
		this.tail = position;
		this.flying++;
		this.desk.keep(copy);
		return position;
	}

	private reserve(copy: Copy, sign: 1 | -1): void {
		const { filling } = this;
		filling.bytes += sign * copy.size;
		filling.messages += sign;
		if (copy.origin?.byCard) return;
		filling.strangerBytes += sign * copy.size;
		filling.strangerMessages += sign;
	}
}
