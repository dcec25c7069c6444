/** Where all mailboxes of a relay meet the store: positions, one batch a turn to the disk, one batch a turn of acknowledgements. */

import type { Clock } from "#host/clock";
import { passFaultPoint } from "#host/fault";
import type { Log } from "#host/log";
import type { RelayLimits } from "#relay/limit";
import type { Copy } from "#relay/session/copy";
import type { Tags } from "#relay/tag/tags";
import type { Listener } from "./listener.ts";
import { Rereadings } from "./rereading.ts";
import type { KeepResult, MailStore } from "./store.ts";

const EPOCH = 2 ** 32;

/** What a mail takes on its way besides its bytes. */
const COPY_BYTES = 128;

/** What a desk needs. */
export type DeskDeps = {
	readonly store: MailStore;
	readonly tags: Tags;
	readonly clock: Clock;
	readonly limits: RelayLimits;
	readonly log: Log;
	/** told whenever the disk took or refused something */
	readonly onDisk: (works: boolean) => void;
};

/** The counter of a relay's mail. */
export class Desk {
	readonly store: MailStore;
	readonly tags: Tags;
	readonly clock: Clock;
	readonly limits: RelayLimits;
	private readonly deps: DeskDeps;
	private position: number;
	private copies: Copy[] = [];
	/** Devices that acknowledged something in this turn. */
	private acking: Listener[] = [];
	/** Devices that wait until they may be given mail again. */
	private slowed = new Set<Listener>();
	readonly rereadings: Rereadings;
	private scheduled = false;
	/** Whether some of the copies wait until the writer has room. They are bounded by what readers' windows hold. */
	private heldBack = false;
	private under = new Set<Promise<unknown>>();

	constructor(deps: DeskDeps) {
		this.store = deps.store;
		this.tags = deps.tags;
		this.clock = deps.clock;
		this.limits = deps.limits;
		this.rereadings = new Rereadings(deps.limits);
		this.deps = deps;
		this.position = deps.store.epoch * EPOCH;
	}

	/** The last position given out; everything on disk at the start lies at or before it. */
	get lastPosition(): number {
		return this.position;
	}

	nextPosition(): number {
		this.position += 1;
		return this.position;
	}

	/** Whether so much is on its way to the disk that senders have to wait. */
	get congested(): boolean {
		return this.heldBack || this.store.pendingBytes > this.limits.diskBytesHigh;
	}

	/** Whether so little is that they may go on. */
	get relieved(): boolean {
		return !this.heldBack && this.store.pendingBytes <= this.limits.diskBytesHigh / 2;
	}

	/** Sends a copy to the disk with everything else of this turn. */
	keep(copy: Copy): void {
		this.copies.push(copy);
		this.schedule();
	}

	/** Tells the store with everything else of this turn what a device has acknowledged. */
	acknowledge(listener: Listener, position: number): void {
		if (listener.acked.push(position) === 1) this.acking.push(listener);
		this.schedule();
	}

	/** Tells it now: before a device is given what waits, so that nothing comes to it that it has acknowledged. */
	tellAcked(): void {
		for (const listener of this.acking) {
			this.track(this.store.acknowledge(listener.mailbox.id, listener.device, listener.acked));
			listener.acked = [];
		}
		this.acking = [];
	}

	/** A device reads too much again: it goes on later. */
	slow(listener: Listener): void {
		this.slowed.add(listener);
	}

	/** Devices that wait so. */
	get slowedCount(): number {
		return this.slowed.size;
	}

	/** Lets them go on, now and then. */
	hurry(): void {
		if (this.slowed.size === 0) return;
		const waiting = this.slowed;
		this.slowed = new Set();
		for (const listener of waiting) listener.pump();
	}

	/** The store threw, which it never does for a disk's refusal. */
	failed(error: unknown): void {
		this.deps.log.error({ err: error }, "the mail store failed");
		this.deps.onDisk(false);
	}

	/** Resolves when what was given until now is on disk, or refused; what comes meanwhile is not waited for. */
	async written(): Promise<void> {
		if (this.scheduled || this.heldBack) this.flush(Number.POSITIVE_INFINITY);
		await Promise.allSettled([...this.under]);
	}

	/** Resolves when nothing is on its way to the disk any more. */
	async settled(): Promise<void> {
		while (this.scheduled || this.heldBack || this.under.size > 0) {
			this.flush();
			await Promise.allSettled([...this.under]);
		}
	}

	private schedule(): void {
		if (this.scheduled) return;
		this.scheduled = true;
		setImmediate(() => this.flush());
	}

	private flush(takesBytes = this.limits.diskBytesTaken): void {
		this.scheduled = false;
		const copies = this.next(takesBytes - this.store.pendingBytes);
		if (copies.length > 0) {
			passFaultPoint("relay:before-keep");
			this.track(this.commit(copies));
		}
		this.tellAcked();
	}

	/** What goes now: many readers that give up at once must not send more than the writer takes, for it would refuse the rest. */
	private next(roomBytes: number): Copy[] {
		let count = 0;
		for (let room = roomBytes; count < this.copies.length && room > 0; count++)
			room -= (this.copies[count] as Copy).size + COPY_BYTES;
		const rest = this.copies.slice(count);
		const copies = rest.length > 0 ? this.copies.slice(0, count) : this.copies;
		this.copies = rest;
		this.heldBack = rest.length > 0;
		return copies;
	}

	private async commit(copies: readonly Copy[]): Promise<void> {
		let results: readonly KeepResult[];
		try {
			const keeping = this.store.keep(copies.map((copy) => copy.mail));
			// the store has the bytes: what they came in can go long before they are on disk
			for (const copy of copies) copy.letGo();
			results = await keeping;
		} catch (error) {
			this.failed(error);
			results = copies.map(() => "disk");
		}
		passFaultPoint("relay:after-keep");
		this.deps.onDisk(!results.includes("disk"));
		for (let i = 0; i < copies.length; i++) {
			const copy = copies[i] as Copy;
			copy.mailbox.committed(copy, results[i] as KeepResult);
		}
		for (const { mailbox } of copies) mailbox.pump();
		if (this.heldBack) this.schedule();
	}

	private track(work: Promise<unknown>): void {
		const tracked = work.catch((error: unknown) => this.failed(error)).finally(() => this.under.delete(tracked));
		this.under.add(tracked);
	}
}
