/** One device that listens on a mailbox, by one connection: its way out, and how far it was given what waits on disk. */

import type { Outbox } from "#relay/session/outbox";
import type { Reader } from "#relay/session/reader";
import type { Desk } from "./desk.ts";
import type { Mailbox } from "./mailbox.ts";
import { Rereading } from "./rereading.ts";

/** A device's reader at one mailbox. */
export class Listener {
	readonly mailbox: Mailbox;
	/** The device's id, in hex. */
	readonly device: string;
	readonly reader: Reader;
	/** What the connection calls the mailbox. */
	readonly handle: number;
	/** The last position that it was given. */
	cursor = 0;
	/** When the store was last told that it is there, in Unix milliseconds. */
	seenMs: number;
	/** Acknowledged in this turn, and not yet told to the store. */
	acked: number[] = [];
	/** It does not listen any more. */
	gone = false;
	/** Up to where it was given mail twice before this connection. */
	twice = 0;
	private readonly desk: Desk;
	private pumping = false;
	private again = false;

	constructor(mailbox: Mailbox, desk: Desk, device: string, reader: Reader, handle: number) {
		this.mailbox = mailbox;
		this.desk = desk;
		this.device = device;
		this.reader = reader;
		this.handle = handle;
		this.seenMs = desk.clock.nowMs();
	}

	get outbox(): Outbox {
		return this.reader.outbox;
	}

	/** Whether nothing waits before new mail, and there is room for it. */
	isReady(size: number): boolean {
		return this.cursor >= this.mailbox.tail && this.reader.room(size);
	}

	/** Gives it what waits on disk, as far as its window goes. */
	pump(): void {
		if (this.pumping) {
			this.again = true;
			return;
		}
		if (this.gone || this.cursor >= this.mailbox.tail) return;
		this.pumping = true;
		void this.read()
			.catch((error: unknown) => this.desk.failed(error))
			.finally(() => {
				this.pumping = false;
				if (!this.again) return;
				this.again = false;
				this.pump();
			});
	}

	private async read(): Promise<void> {
		const { mailbox, reader, device, desk } = this;
		while (!this.gone && this.cursor < mailbox.tail && reader.room(0)) {
			const { flying, tail } = mailbox;
			const { count, bytes } = reader.page;
			const { pageFrames, pageBytes } = desk.limits;
			const nowMs = desk.clock.nowMs();
			const rereading = this.cursor < this.twice ? desk.rereadings.get(mailbox.id) : undefined;
			const allowed = rereading?.allowed(desk.clock.elapsedMs()) ?? pageBytes;
			if (allowed <= 0) return desk.slow(this);
			const countMax = Math.min(count, rereading ? Rereading.messages(allowed) : pageFrames);
			const bytesMax = Math.min(bytes, allowed);
			desk.tellAcked();
			const mails = await desk.store.read(mailbox.id, device, this.cursor, nowMs, countMax, bytesMax);
			if (this.gone) return;
			for (const mail of mails) {
				if (mail.position <= this.cursor) continue;
				// another of its mailboxes may have filled the window meanwhile
				if (!reader.room(mail.payload.length)) return;
				reader.deliver(this, mail);
				if (mail.position <= this.twice) rereading?.spend(mail.payload.length);
				this.cursor = mail.position;
			}
			if (mails.length > 0) continue;
			// what was not on its way when we looked is not there: it expired, or the disk refused it
			if (flying > 0) return;
			this.cursor = Math.max(this.cursor, tail);
		}
	}
}
