/**
 * What leaves by one socket: everything of a turn as few WebSocket messages of at most 64 KiB, in one system call
 * (docs/decisions/batching.md). Small frames are copied into a slab, large ones and whole messages are passed on as they came.
 */

import { writeDeliverHead } from "#contracts/fan";
import { advance, cursor, FRAME, MAIL_HEAD_BYTES, mailFrame } from "#contracts/frame";
import { LIMIT } from "#contracts/limit";
import { watchLoop } from "#host/busy";
import type { RelayLimits } from "#relay/limit";
import { HEAD_BYTES_MAX, type Wire } from "#relay/wire/wire";

/** A whole message and its head. */
const SLAB_BYTES = LIMIT.messageBytesMax + HEAD_BYTES_MAX;
/** Above this a run is sent as a view: a message's own cost is then less than copying. Just over a slice with its header. */
const COPY_BYTES_MAX = LIMIT.sliceBytes - 1;
/** From here on a whole message is sent as it came: where it came by a wire of ours, with what is before and behind it, in one piece. */
const WHOLE_BYTES_MIN = 1_024;
/** Slabs kept for the next turn: a relay has few busy readers at one moment. */
const POOL_MAX = 64;
/** A delivery's type, length, handle and number. */
const DELIVER_HEAD_BYTES_MAX = 4 + MAIL_HEAD_BYTES;

/** How late a small answer may be while the relay has no time to spare: about what a turn takes then, and far below a network's round trip. */
const SOON_MS = 10;

/** The outboxes that have something to send this turn. One per relay. */
export class Post {
	/** Each frame is a message of its own. */
	readonly plain: boolean;
	private dirty: Outbox[] = [];
	private scheduled = false;
	private soon: Outbox[] = [];
	private readonly pool: Uint8Array[] = [];
	/** Whether this thread has no time to spare: small things wait for what goes next then. */
	readonly isBusy: () => boolean;

	constructor(plain = false, isBusy = watchLoop()) {
		this.plain = plain;
		this.isBusy = isBusy;
	}

	/** Sends an outbox within {@link SOON_MS}. */
	addSoon(outbox: Outbox): void {
		this.soon.push(outbox);
		if (this.soon.length > 1) return;
		setTimeout(() => {
			const { soon } = this;
			this.soon = [];
			for (const each of soon) each.hurry();
		}, SOON_MS).unref();
	}

	/** Sends an outbox at the end of this turn. */
	add(outbox: Outbox): void {
		this.dirty.push(outbox);
		if (this.scheduled) return;
		this.scheduled = true;
		process.nextTick(() => this.send());
	}

	takeSlab(): Uint8Array {
		return this.pool.pop() ?? Buffer.allocUnsafeSlow(SLAB_BYTES);
	}

	giveSlab(slab: Uint8Array): void {
		if (this.pool.length < POOL_MAX) this.pool.push(slab);
	}

	private send(): void {
		this.scheduled = false;
		const dirty = this.dirty;
		this.dirty = [];
		for (const outbox of dirty) outbox.send();
	}
}

/** One socket's way out. */
export class Outbox {
	/** Asked at the end of a turn for answers that were gathered during it. */
	onTurn: (() => void) | undefined;
	/** When something that waits was last taken or acknowledged, or nothing waited; on the clock that never jumps. */
	movedAtMs: number;
	private readonly wire: Wire;
	private readonly post: Post;
	private readonly elapsedMs: () => number;
	private readonly limits: RelayLimits;
	private slab: Uint8Array | undefined;
	/** Where the message being built begins in the slab, and where it ends. */
	private from = 0;
	private to = 0;
	private used: Uint8Array[] = [];
	private dirty = false;
	/** Whether something small waits for what goes next. */
	private soon = false;
	/** Whether something waited before this turn, and whether this turn sent views into its slabs. */
	private behind = false;
	private lent = false;
	/** Bytes of this turn, which the wire does not count yet. The plain way has none: its wire counts them at once. */
	private gathered = 0;

	constructor(wire: Wire, post: Post, elapsedMs: () => number, limits: RelayLimits) {
		this.wire = wire;
		this.post = post;
		this.elapsedMs = elapsedMs;
		this.limits = limits;
		this.movedAtMs = elapsedMs();
		wire.onTaken = () => this.moved();
	}

	/** Its reader took something. The system says so only when it has taken a whole piece, which on a slow line takes longer than a reader's ack. */
	moved(): void {
		this.movedAtMs = this.elapsedMs();
	}

	/** Bytes that the system has not taken yet. */
	get unsentBytes(): number {
		return this.wire.unsentBytes;
	}

	/** Whether so much waits that mail for this socket goes by the disk. One fan can bring more in a turn than any read: as much again may come in one. */
	get congested(): boolean {
		const { unsentBytes } = this.wire;
		const { unsentBytesHigh } = this.limits;
		return unsentBytes > unsentBytesHigh || unsentBytes + this.gathered > 2 * unsentBytesHigh;
	}

	/** Whether the reader of this socket has given up: far more waits than anyone who reads would leave. */
	get overflown(): boolean {
		return this.wire.unsentBytes > this.limits.unsentBytesMax;
	}

	/** Something will be sent at the end of this turn. */
	touch(): void {
		if (this.dirty) return;
		this.dirty = true;
		this.behind = this.wire.unsentBytes > 0;
		if (!this.behind) this.movedAtMs = this.elapsedMs();
		this.post.add(this);
	}

	/** Something small that can wait a moment: on a busy relay it leaves with what goes next, which saves the system call of its own. */
	touchSoon(): void {
		if (this.dirty || this.soon) return;
		if (!this.post.isBusy()) {
			this.touch();
			return;
		}
		this.soon = true;
		this.post.addSoon(this);
	}

	/** The moment is over. */
	hurry(): void {
		if (this.soon) this.touch();
	}

	/** Adds whole frames that stand in a message. A message that is passed on whole is not copied; its memory must not change any more. */
	pass(message: Uint8Array, start: number, end: number): void {
		this.touch();
		if (this.post.plain) {
			this.alone(message.subarray(start, end));
			return;
		}
		const length = end - start;
		if (length > COPY_BYTES_MAX || (length >= WHOLE_BYTES_MIN && length === message.length)) {
			this.close();
			this.gathered += length;
			// behind something that waits, it must not hold a socket's whole read buffer
			if (this.behind && message.buffer.byteLength > 2 * length)
				this.wire.send(new Uint8Array(message.subarray(start, end)), 0, length, false, true);
			else this.wire.send(message, start, end, false, true);
			return;
		}
		const slab = this.room(length);
		if (length <= 128) for (let i = start, to = this.to; i < end; i++, to++) slab[to] = message[i] as number;
		else slab.set(message.subarray(start, end), this.to);
		this.written(length);
	}

	/**
	 * Adds a delivery whose payload stands between `start` and `end` of bytes that do not change any more and that others are
	 * sent too. A large one is not copied: its head and a view of it are two pieces of one WebSocket message.
	 */
	deliver(handle: number, number: number, bytes: Uint8Array, start: number, end: number): void {
		if (this.post.plain) {
			this.frame(mailFrame(FRAME.deliver, handle, number, bytes.subarray(start, end)));
			return;
		}
		const length = end - start;
		const large = length > COPY_BYTES_MAX;
		if (large && this.slab) this.close();
		const slab = this.room(large ? DELIVER_HEAD_BYTES_MAX : DELIVER_HEAD_BYTES_MAX + length);
		const head = writeDeliverHead(slab, this.to, handle, number, length);
		this.written(head);
		if (large) {
			this.close(false);
			this.gathered += length;
			this.wire.send(bytes, start, end, false, true);
		} else {
			slab.set(bytes.subarray(start, end), this.to);
			this.written(length);
		}
	}

	/** Adds one frame. */
	frame(bytes: Uint8Array): void {
		this.pass(bytes, 0, bytes.length);
	}

	/** Room for at most so many bytes; {@link written} says how many it became. */
	claim(length: number): { readonly message: Uint8Array; readonly at: number } {
		return { message: this.room(length), at: this.to };
	}

	/** A slab with room for so many bytes from {@link to} on. */
	private room(length: number): Uint8Array {
		this.touch();
		if (!this.slab || this.to + length > SLAB_BYTES) {
			this.close();
			this.slab = this.post.takeSlab();
			this.used.push(this.slab);
			this.from = HEAD_BYTES_MAX;
			this.to = HEAD_BYTES_MAX;
		}
		return this.slab;
	}

	written(length: number): void {
		this.to += length;
		if (this.post.plain) this.close();
		else this.gathered += length;
	}

	/** The plain way: a message for each frame, in memory of its own. */
	private alone(frames: Uint8Array): void {
		const c = cursor();
		while (advance(frames, c)) {
			const own = new Uint8Array(frames.subarray(c.at, c.end));
			this.wire.send(own, 0, own.length, false, true);
		}
	}

	/** Sends what was gathered. */
	send(): void {
		if (!this.dirty) return;
		this.soon = false;
		this.onTurn?.();
		this.dirty = false;
		this.close();
		this.slab = undefined;
		this.gathered = 0;
		this.wire.flush();
		// the system took everything: the slabs are free again
		const free = !this.lent || this.wire.unsentBytes === 0;
		for (const slab of this.used) if (free) this.post.giveSlab(slab);
		this.used.length = 0;
		this.lent = false;
	}

	/** Sends what stands in the slab: a message, or with `last` false the first piece of one. */
	private close(last = true): void {
		const { slab, from, to } = this;
		if (!slab || to === from) return;
		const length = to - from;
		// the next message of this slab stands behind room for its head
		this.from = to + HEAD_BYTES_MAX;
		this.to = this.from;
		// behind something that waits, a few bytes must not hold a whole slab
		if (this.behind && length < SLAB_BYTES / 2) {
			this.wire.send(new Uint8Array(slab.subarray(from, to)), 0, length, false, last);
			return;
		}
		this.lent = true;
		this.wire.send(slab, from, to, true, last);
	}
}
