/**
 * One end of a link: whole frames out of a stream of bytes, and frames into it, those of one turn in one system call. What goes is
 * copied into slabs: the memory that it stands in is read into again after the turn.
 */

import type { Socket } from "node:net";
import { MAIL_HEAD_BYTES, writeHead, writeU32 } from "#contracts/frame";
import { LIMIT } from "#contracts/limit";
import type { Way } from "#relay/session/far";
import { HOP } from "./hop.ts";

const SLAB_BYTES = 2 * LIMIT.messageBytesMax;
/** Slabs kept for the next turn. */
const SLABS_MAX = 4;
/** What of a frame may be read and not yet whole: more is no frame of ours. */
const PART_BYTES_MAX = 2 * LIMIT.messageBytesMax;
/** A copy's type, length, route and number. */
const COPY_HEAD_BYTES_MAX = 4 + MAIL_HEAD_BYTES;

/** What a pipe's owner does. */
export type PipeEvents = {
	/** Works on the whole frames at the beginning of some bytes; answers how many bytes they were. Whatever it throws closes the pipe. */
	take(bytes: Uint8Array): number;
	/** The turn ends: what was gathered is written. */
	turn(): void;
	/** Over, once, for whatever reason. */
	closed(error: unknown): void;
};

/** One end. */
export class Pipe implements Way {
	private readonly socket: Socket;
	private readonly events: PipeEvents;
	private rest: Uint8Array | undefined;
	private parts: Uint8Array[] = [];
	private slab: Uint8Array | undefined;
	private from = 0;
	private to = 0;
	private slabs: Uint8Array[] = [];
	private used: Uint8Array[] = [];
	private dirty = false;
	private over = false;
	private error: unknown;

	constructor(socket: Socket, events: PipeEvents) {
		this.socket = socket;
		this.events = events;
		socket.on("data", (bytes: Uint8Array) => this.read(bytes));
		socket.on("error", (error) => {
			this.error ??= error;
		});
		socket.on("close", () => {
			this.over = true;
			events.closed(this.error);
		});
	}

	/** Something will be written at the end of this turn. */
	touch(): void {
		if (this.dirty) return;
		this.dirty = true;
		process.nextTick(() => this.flush());
	}

	/** Adds whole frames. */
	pass(message: Uint8Array, start: number, end: number): void {
		this.touch();
		const length = end - start;
		this.room(length).set(message.subarray(start, end), this.to);
		this.to += length;
	}

	/** Adds one frame. */
	frame(bytes: Uint8Array): void {
		this.pass(bytes, 0, bytes.length);
	}

	/** Adds a copy's frame with a payload that stands between `start` and `end`; answers the frame's length. */
	copy(route: number, seq: number, bytes: Uint8Array, start: number, end: number): number {
		this.touch();
		const length = MAIL_HEAD_BYTES + end - start;
		const slab = this.room(COPY_HEAD_BYTES_MAX + length);
		const body = writeHead(slab, this.to, HOP.copy, length);
		writeU32(slab, body, route);
		writeU32(slab, body + 4, seq);
		slab.set(bytes.subarray(start, end), body + MAIL_HEAD_BYTES);
		const written = body + length - this.to;
		this.to += written;
		return written;
	}

	/** Reads no more, and reads on: what the other end sends waits there. */
	pause(): void {
		this.socket.pause();
	}

	resume(): void {
		this.socket.resume();
	}

	destroy(): void {
		this.socket.destroy();
	}

	private read(bytes: Uint8Array): void {
		if (this.over) return;
		try {
			const from = this.rest ? this.complete(this.rest, bytes) : 0;
			if (from === undefined) return;
			const whole = from === 0 ? bytes : bytes.subarray(from);
			const taken = this.events.take(whole);
			// a copy of what is not whole yet: it must not hold the bytes that others now work with
			this.rest = taken < whole.length ? new Uint8Array(whole.subarray(taken)) : undefined;
			if ((this.rest?.length ?? 0) > PART_BYTES_MAX) throw new Error("a link's frame does not end");
		} catch (error) {
			this.error ??= error;
			this.over = true;
			this.socket.destroy();
		}
	}

	/** Works on the frame whose beginning came before; answers where the next one begins, undefined while it still is not whole. */
	private complete(begun: Uint8Array, bytes: Uint8Array): number | undefined {
		const length = frameBytes(begun.length > 3 ? begun : Buffer.concat([begun, bytes.subarray(0, 4)]));
		const missing = length === undefined ? bytes.length + 1 : length - begun.length;
		if (missing > bytes.length) {
			this.rest = Buffer.concat([begun, bytes]);
			if (this.rest.length > PART_BYTES_MAX) throw new Error("a link's frame does not end");
			return undefined;
		}
		this.rest = undefined;
		const frame = Buffer.concat([begun, bytes.subarray(0, missing)]);
		if (this.events.take(frame) !== frame.length) throw new Error("a link's frame does not read");
		return missing;
	}

	private room(length: number): Uint8Array {
		if (!this.slab || this.to + length > SLAB_BYTES) {
			this.cut();
			this.slab = this.slabs.pop() ?? new Uint8Array(Buffer.allocUnsafeSlow(SLAB_BYTES).buffer);
			this.used.push(this.slab);
			this.from = 0;
			this.to = 0;
		}
		return this.slab;
	}

	private cut(): void {
		if (this.slab && this.to > this.from) this.parts.push(this.slab.subarray(this.from, this.to));
		this.from = this.to;
	}

	private flush(): void {
		this.events.turn();
		this.dirty = false;
		this.cut();
		this.slab = undefined;
		const { parts, used, socket } = this;
		this.parts = [];
		this.used = [];
		const last = parts.pop();
		if (!last || this.over) return;
		socket.cork();
		for (const part of parts) socket.write(part);
		socket.write(last, () => {
			for (const slab of used) if (this.slabs.length < SLABS_MAX) this.slabs.push(slab);
		});
		socket.uncork();
	}
}

/** A frame's length with its head; undefined while its length is not there. */
function frameBytes(head: Uint8Array): number | undefined {
	let length = 0;
	for (let i = 1; i < 4; i++) {
		const byte = head[i];
		if (byte === undefined) return undefined;
		length |= (byte & 127) << (7 * (i - 1));
		if (byte < 128) return i + 1 + length;
	}
	throw new Error("a link's frame has no length");
}
