/** Finds the mailbox that a copy is for and the readers that wait, and says when senders must wait for the disk. */

import { LIMIT } from "#contracts/limit";
import type { Clock } from "#host/clock";
import type { RelayLimits } from "#relay/limit";
import type { Desk } from "#relay/mailbox/desk";
import { Mailbox } from "#relay/mailbox/mailbox";
import type { Counts } from "#relay/metrics";
import type { Tab } from "#relay/tab/tab";
import type { Far } from "./far.ts";
import type { Reader } from "./reader.ts";

/** The mailboxes and readers of a relay. */
export class Router {
	/** Connections that listen. */
	readonly readers = new Set<Reader>();
	/** Handles open for sending, over all connections. */
	handles = 0;
	/** The other workers of this relay; undefined when it is one process. */
	readonly far: Far | undefined;
	private readonly mailboxes = new Map<string, Mailbox>();
	private readonly desk: Desk;
	private readonly clock: Clock;
	private readonly limits: RelayLimits;
	private readonly counts: Counts;
	private waiting: (() => void)[] = [];

	constructor(desk: Desk, clock: Clock, limits: RelayLimits, counts: Counts, far?: Far) {
		this.counts = counts;
		this.far = far;
		this.desk = desk;
		this.clock = clock;
		this.limits = limits;
	}

	/** The mailbox at work; undefined when nobody ever listened on it, or too many are at work. */
	find(id: string): Mailbox | undefined {
		const known = this.mailboxes.get(id);
		if (known) return known;
		if (!this.desk.store.state(id)) return undefined;
		if (this.mailboxes.size >= this.limits.mailboxesMax) this.forget();
		if (this.mailboxes.size >= this.limits.mailboxesMax) return undefined;
		const mailbox = new Mailbox(id, this.desk);
		this.mailboxes.set(id, mailbox);
		return mailbox;
	}

	/** A promise to wait for when too much is on its way to the disk; undefined when not. */
	get congestion(): Promise<void> | undefined {
		if (!this.desk.congested) return undefined;
		this.counts.delays.disk++;
		return new Promise((resolve) => this.waiting.push(resolve));
	}

	/** The disk took something: lets senders go on when there is room again. */
	relieve(): void {
		if (this.waiting.length === 0 || !this.desk.relieved) return;
		for (const resolve of this.waiting.splice(0)) resolve();
	}

	/** Sends to the disk what readers did not acknowledge in time. */
	sweep(): void {
		const beforeMs = this.clock.elapsedMs() - LIMIT.ackMs;
		for (const reader of this.readers) {
			const { live } = reader;
			this.spill(reader, beforeMs);
			this.counts.delays.unacked += live - reader.live;
		}
		this.relieve();
		this.desk.hurry();
	}

	/** Sends what is under way on a tab to the disk, so that it is answered now. */
	spillTab(tab: Tab): void {
		if (tab.underWay === 0) return;
		this.far?.spill();
		for (const reader of this.readers) this.spill(reader, Number.POSITIVE_INFINITY);
	}

	/** Sends everything that is in memory only to the disk. */
	spillAll(): void {
		for (const reader of this.readers) this.spill(reader, Number.POSITIVE_INFINITY);
	}

	/** Tells the store which devices are still there, so that none of them is ever given up. */
	noteSeen(nowMs: number): void {
		for (const reader of this.readers) for (const mailbox of reader.mailboxes.values()) mailbox.noteSeen(nowMs);
	}

	/** Forgets mailboxes that nobody uses at the moment. */
	forget(): void {
		for (const [id, mailbox] of this.mailboxes) if (mailbox.idle) this.mailboxes.delete(id);
	}

	/** Mailboxes at work. */
	get count(): number {
		return this.mailboxes.size;
	}

	private spill(reader: Reader, beforeMs: number): void {
		if (reader.live === 0) return;
		for (const mailbox of reader.mailboxes.values()) mailbox.spill(reader, beforeMs);
	}
}
