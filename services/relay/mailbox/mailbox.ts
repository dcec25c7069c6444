/**
 * One mailbox at work: mail goes straight to its listening devices while nothing of it waits on disk, and behind what waits
 * otherwise, so that order is kept (PROTOCOL.md, "Sending" and "Reading"; threats 12, 13 and 25).
 *
 * Positions are given in the order of delivery: what a device has not acknowledged is sent to the disk before anything newer.
 * A listener's `cursor` is the last position that it was given, `tail` the last that anyone was given; between them mail waits.
 * Mail stays in memory only while every registered device is there to take it; with one device, which is the common case,
 * the copy itself is what its reader holds, with several each reader holds an echo of it.
 */

import type { ProblemCode } from "#contracts/problem";
import type { Copy } from "#relay/session/copy";
import type { Reader } from "#relay/session/reader";
import type { Desk } from "./desk.ts";
import { Listener } from "./listener.ts";
import { roomFor } from "./quota.ts";
import { noteGiven } from "./rereading.ts";
import type { MailboxState } from "./store.ts";

/** How often the store is told that a device is still there: its thirty days count from its last one, to the hour when it leaves. */
const DAY_MS = 86_400_000;
const HOUR_MS = 3_600_000;

/** The actor of one mailbox. */
export class Mailbox {
	readonly id: string;
	/** Handles that are bound to it, over all connections. */
	bound = 0;
	private readonly desk: Desk;
	private listeners: Listener[] = [];
	/** Whether the one listener is the one device that there is. */
	private alone = false;
	/** The last position that anyone was given. */
	tail: number;
	/** Copies on their way to the disk. */
	flying = 0;
	/** Copies with readers, in memory only; those of them that several hold, oldest first. */
	private live = 0;
	private readonly shared = new Set<Copy>();
	/** Accepted and not yet in the store's index. */
	private readonly filling = { messages: 0, bytes: 0, strangerMessages: 0, strangerBytes: 0 };

	constructor(id: string, desk: Desk) {
		this.id = id;
		this.desk = desk;
		this.tail = desk.lastPosition;
	}

	/** Whether nobody needs this actor in memory. */
	get idle(): boolean {
		return this.bound === 0 && this.listeners.length === 0 && this.flying === 0 && this.live === 0;
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

	/** The one device's listener when it can take a copy now; undefined when the copy has to go by {@link keep}. */
	readerFor(size: number): Listener | undefined {
		const [listener] = this.listeners;
		return this.alone && listener?.isReady(size) ? listener : undefined;
	}

	/** A listener for mail that is live or nothing. It may overtake what waits on disk. */
	readerNow(): Listener | undefined {
		return this.listeners.find(({ reader }) => !reader.paused && !reader.outbox.congested);
	}

	/** Whether several devices listen. */
	get manyListen(): boolean {
		return this.listeners.length > 1;
	}

	/** Gives mail that is live or nothing to the other listeners too, before it is rewritten for `first`. */
	passToOthers(first: Listener, message: Uint8Array, from: number, end: number): void {
		for (const { reader, outbox, handle } of this.listeners)
			if (reader !== first.reader && !reader.paused && !outbox.congested) outbox.deliver(handle, 0, message, from, end);
	}

	/** Takes a copy into the window of the one device; answers the delivery's number. */
	deliver(copy: Copy, listener: Listener, elapsedMs: number): number {
		this.live++;
		this.reserve(copy, 1);
		copy.listener = listener;
		return listener.reader.hold(copy, elapsedMs);
	}

	/** Takes a copy to all devices that can take it now, and to the disk unless that is all of them, behind what they have and have not acknowledged. */
	keep(copy: Copy): void {
		// a device may have been given up since
		if (!this.alone) this.recount();
		const ready = this.alone ? [] : this.listeners.filter((listener) => listener.isReady(copy.size));
		const absent = (this.state?.devices ?? []).filter((id) => !ready.some(({ device }) => device === id)).length;
		const toDisk = ready.length === 0 || absent > 0;
		if (toDisk && this.live > 0) this.spillAll();
		this.reserve(copy, 1);
		if (ready.length > 0) copy.unacked = ready.length + absent;
		if (toDisk) this.send(copy);
		this.share(copy, ready);
		if (!toDisk) {
			this.live++;
			this.shared.add(copy);
		}
	}

	/** Sends what was delivered before then and is not acknowledged to the disk, oldest first. It stays delivered. */
	spill(reader: Reader, beforeMs: number): void {
		for (const copy of this.shared) {
			if (copy.deliveredAtMs > beforeMs) return;
			this.sink(copy);
		}
		for (const copy of reader.held()) {
			if (copy.mailbox !== this || copy.of || copy.position !== 0) continue;
			if (copy.deliveredAtMs > beforeMs) return;
			this.sink(copy);
		}
	}

	/** What became of copies sent to the disk. */
	committed(copy: Copy, result: "kept" | ProblemCode): void {
		this.flying--;
		this.reserve(copy, -1);
		const deliveries = copy.echoes ?? [copy];
		copy.echoes = undefined;
		if (result === "kept" || copy.unacked === 0) {
			copy.stored = result === "kept";
			copy.letGo();
			copy.settle();
			for (const { acked, listener } of deliveries)
				if (acked && listener && copy.stored) this.desk.acknowledge(listener, copy.position);
		} else {
			for (const delivery of deliveries) if (delivery.number !== 0) delivery.listener?.reader.release(delivery);
			copy.refuse(result);
		}
	}

	/** A device acknowledged a delivery. */
	acked(copy: Copy): void {
		const { listener } = copy;
		const whole = copy.of ?? copy;
		whole.unacked--;
		if (whole.position === 0) {
			if (whole.unacked === 0) this.finish(whole);
		} else if (whole.stored && listener) this.desk.acknowledge(listener, whole.position);
		listener?.pump();
	}

	/** Devices that listen now. */
	get present(): readonly string[] {
		return this.listeners.map(({ device }) => device);
	}

	/** The devices that are registered may have changed. */
	recount(): void {
		const devices = this.state?.devices ?? [];
		const [listener] = this.listeners;
		this.alone = this.listeners.length === 1 && devices.length === 1 && devices[0] === listener?.device;
	}

	/**
	 * A device listens from the beginning of what waits for it; a connection that listened before as the same device is told that
	 * it does not any more.
	 */
	attach(reader: Reader, handle: number, device: string): void {
		// a device that was not there reads what is under way from the disk
		this.spillAll();
		for (const before of this.listeners.filter((other) => other.device === device || other.reader === reader)) {
			this.release(before);
			if (before.reader !== reader) before.reader.onReplaced?.(this, "replaced");
		}
		const listener = new Listener(this, this.desk, device, reader, handle);
		this.listeners.push(listener);
		listener.twice = this.desk.rereadings.get(this.id)?.of(device, this.present).twice ?? 0;
		this.recount();
		if (this.flying === 0 && (this.state?.messages ?? 0) === 0) listener.cursor = this.tail;
	}

	/** A reader's connection ended: what it has not acknowledged goes to the disk. */
	detach(reader: Reader): void {
		const listener = this.listeners.find((other) => other.reader === reader);
		if (!listener) return;
		this.spillAll();
		this.release(listener);
	}

	/** A device was given up: nothing goes to it any more. */
	forgotten(device: string): void {
		const listener = this.listeners.find((other) => other.device === device);
		if (listener) this.detach(listener.reader);
		listener?.reader.onReplaced?.(this, "forgotten");
		this.recount();
	}

	/** Tells the store now and then that the devices are still there. */
	noteSeen(nowMs: number): void {
		for (const listener of this.listeners) this.seen(listener, nowMs, DAY_MS);
	}

	private seen(listener: Listener, nowMs: number, everyMs: number): void {
		if (nowMs - listener.seenMs < everyMs) return;
		listener.seenMs = nowMs;
		this.desk.store.seen(this.id, listener.device, nowMs);
	}

	/** Gives the devices what waits on disk, as far as their windows go. */
	pump(): void {
		for (const listener of this.listeners) listener.pump();
	}

	/** Hands a copy to several readers; each holds an echo of it. */
	private share(copy: Copy, ready: readonly Listener[]): void {
		if (ready.length === 0) return;
		copy.deliveredAtMs = this.desk.clock.elapsedMs();
		copy.echoes = ready.map((listener) => {
			const echo = copy.echo(listener);
			copy.handTo(listener.outbox, listener.handle, listener.reader.hold(echo, copy.deliveredAtMs));
			// nothing waits before it: those who have it are past it
			if (copy.position !== 0) listener.cursor = copy.position;
			return echo;
		});
	}

	/** Every device has it, and no disk: it is answered for. */
	private finish(copy: Copy): void {
		this.live--;
		this.shared.delete(copy);
		this.reserve(copy, -1);
		copy.letGo();
		copy.settle();
		copy.origin?.mark(copy.seq);
	}

	private spillAll(): void {
		if (this.live === 0) return;
		for (const { reader } of this.listeners) this.spill(reader, Number.POSITIVE_INFINITY);
	}

	/** Sends what readers hold to the disk. */
	private sink(copy: Copy): void {
		this.live--;
		this.shared.delete(copy);
		for (const { acked, listener } of copy.echoes ?? [copy]) if (!acked) listener?.reader.spilled();
		this.send(copy);
	}

	private release(listener: Listener): void {
		listener.gone = true;
		this.listeners = this.listeners.filter((other) => other !== listener);
		this.recount();
		this.seen(listener, this.desk.clock.nowMs(), HOUR_MS);
		this.noteRead(listener);
	}

	/** Remembers what a device was given and may be given again. */
	private noteRead({ device, cursor }: Listener): void {
		const { rereadings, clock } = this.desk;
		if (this.flying === 0 && (this.state?.messages ?? 0) === 0) rereadings.end(this.id);
		else noteGiven(rereadings.begin(this.id, clock.elapsedMs()).of(device, this.present), cursor);
	}

	/** Nothing waits before it for those who hold it, as it was live: they are past it. */
	private send(copy: Copy): void {
		const position = this.desk.nextPosition();
		copy.position = position;
		for (const { listener } of copy.echoes ?? [copy]) if (listener) listener.cursor = position;
		this.tail = position;
		this.flying++;
		this.desk.keep(copy);
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
