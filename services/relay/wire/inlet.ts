/** What comes in by a WebSocket, read by read (RFC 6455, 5): whole messages and control frames, or the code of what is wrong. */

import { isUtf8 } from "node:buffer";
import { LIMIT } from "#contracts/limit";
import { type Arenas, unmask } from "./arena.ts";
import { HEAD_BYTES_MAX } from "./wire.ts";

/** What an inlet finds. */
export type Findings = {
	message(message: Uint8Array): void;
	text(): void;
	ping(body: Buffer): void;
	bye(body: Buffer): void;
	broken(code: number): void;
};

const CONTINUATION = 0;
/** The other one below it is text. */
const BINARY = 2;
const BYE = 8;
const PING = 9;
const PONG = 10;

/** Codes of RFC 6455, 7.4. */
const PROTOCOL_ERROR = 1002;
const NOT_UTF8 = 1007;
const TOO_MANY = 1008;
const TOO_BIG = 1009;

/** Pieces of one message, so that a byte at a time does not cost a frame each without end. */
const FRAGMENTS_MAX = 256;
const CONTROL_BYTES_MAX = 125;
/** What a message that was cut gets at first: its length is its sender's word, and words must not cost memory. */
const PART_BYTES_MIN = 4_096;

const NOTHING = Buffer.alloc(0);

/** The codes that a goodbye may have (RFC 6455, 7.4). */
function isCode(code: number): boolean {
	if (code >= 3000) return code <= 4999;
	return code >= 1000 && code <= 1014 && code !== 1004 && code !== 1005 && code !== 1006;
}

/** One connection's way in. */
export class Inlet {
	private readonly arenas: Arenas;
	private readonly to: Findings;
	/** The beginning of a frame that the end of a read cut. */
	private cut: Buffer | undefined;
	/** A message that came in pieces: what is there of it, and what it is. */
	private part: Buffer = NOTHING;
	private partBytes = 0;
	private partKind = CONTINUATION;
	private fragments = 0;
	/** The frame that the message's next bytes are of: how many are to come, where it began, its mask, whether it is the last. */
	private left = 0;
	private frameAt = 0;
	private mask = 0;
	private last = false;
	private done = false;

	constructor(arenas: Arenas, to: Findings) {
		this.arenas = arenas;
		this.to = to;
	}

	/** Takes what was read. Its memory is the caller's again afterwards. */
	take(read: Buffer): void {
		if (this.done) return;
		let bytes = read;
		if (this.cut) {
			bytes = Buffer.concat([this.cut, read]);
			this.cut = undefined;
		}
		let at = this.left > 0 ? this.more(bytes, 0) : 0;
		while (at < bytes.length && !this.done) {
			const next = this.frame(bytes, at);
			if (next === at) {
				if (!this.done) this.cut = Buffer.from(bytes.subarray(at));
				return;
			}
			at = next;
		}
	}

	/** Works on the frame at `at`; answers where the next begins, or `at` itself when it is not whole enough yet. */
	private frame(bytes: Buffer, at: number): number {
		const have = bytes.length - at;
		if (have < 2) return at;
		const first = bytes[at] as number;
		const second = bytes[at + 1] as number;
		const kind = first & 15;
		const fin = first > 127;
		let length = second & 127;
		if ((first & 0x70) !== 0 || second < 128) return this.wrong(PROTOCOL_ERROR, at);
		if (kind >= BYE) return this.control(bytes, at, kind, fin, length);
		if (kind > BINARY || (kind === CONTINUATION) === (this.partKind === CONTINUATION))
			return this.wrong(PROTOCOL_ERROR, at);
		let head = 6;
		if (length === 126) {
			if (have < 4) return at;
			length = bytes.readUInt16BE(at + 2);
			head = 8;
		} else if (length === 127) {
			if (have < HEAD_BYTES_MAX) return at;
			length = bytes.readUInt32BE(at + 2) > 0 ? Number.POSITIVE_INFINITY : bytes.readUInt32BE(at + 6);
			head = HEAD_BYTES_MAX + 4;
		}
		if (this.partBytes + length > LIMIT.messageBytesMax) return this.wrong(TOO_BIG, at);
		if (have < head) return at;
		const from = at + head;
		this.mask = bytes.readInt32LE(from - 4);
		if (fin && kind === BINARY && from + length <= bytes.length) {
			this.whole(bytes, from, length);
			return from + length;
		}
		this.fragments++;
		if (this.fragments > FRAGMENTS_MAX) return this.wrong(TOO_MANY, at);
		if (kind !== CONTINUATION) this.partKind = kind;
		this.left = length;
		this.frameAt = this.partBytes;
		this.last = fin;
		return this.more(bytes, from);
	}

	/** The usual case: a message that stands whole in what was read. */
	private whole(bytes: Buffer, from: number, length: number): void {
		const { arenas } = this;
		const start = arenas.take(length < 126 ? 2 : length < 65_536 ? 4 : HEAD_BYTES_MAX, length);
		const { bytes: memory } = arenas.arena;
		unmask(bytes, from, from + length, this.mask, 0, memory, start);
		// no Buffer: a slice of one is no copy, and what is sliced from a message is kept
		this.to.message(new Uint8Array(memory.buffer, start, length));
	}

	/** Takes more of a message that comes in pieces; answers where it ends here. */
	private more(bytes: Buffer, from: number): number {
		const length = Math.min(this.left, bytes.length - from);
		this.grow(this.partBytes + length, this.partBytes + this.left);
		unmask(bytes, from, from + length, this.mask, (this.partBytes - this.frameAt) & 3, this.part, this.partBytes);
		this.partBytes += length;
		this.left -= length;
		if (this.left === 0 && this.last) this.complete();
		return from + length;
	}

	private grow(bytes: number, bytesMax: number): void {
		if (bytes <= this.part.length) return;
		// most of it is here: then it is worth its whole length
		const size = bytes * 4 >= bytesMax ? bytesMax : Math.max(bytes * 2, PART_BYTES_MIN);
		const part = Buffer.allocUnsafeSlow(Math.min(size, LIMIT.messageBytesMax));
		this.part.copy(part, 0, 0, this.partBytes);
		this.part = part;
	}

	private complete(): void {
		const message = new Uint8Array(this.part.buffer, 0, this.partBytes);
		const kind = this.partKind;
		this.part = NOTHING;
		this.partBytes = 0;
		this.partKind = CONTINUATION;
		this.fragments = 0;
		if (kind === BINARY) this.to.message(message);
		else if (isUtf8(message)) this.to.text();
		else this.wrong(NOT_UTF8, 0);
	}

	private control(bytes: Buffer, at: number, kind: number, fin: boolean, length: number): number {
		if (!fin || kind > PONG || length > CONTROL_BYTES_MAX || (kind === BYE && length === 1))
			return this.wrong(PROTOCOL_ERROR, at);
		const from = at + 6;
		if (bytes.length < from + length) return at;
		const body = Buffer.alloc(length);
		unmask(bytes, from, from + length, bytes.readInt32LE(from - 4), 0, body, 0);
		if (kind === PING) this.to.ping(body);
		if (kind !== BYE) return from + length;
		if (length > 0 && !isCode(body.readUInt16BE(0))) return this.wrong(PROTOCOL_ERROR, at);
		if (length > 2 && !isUtf8(body.subarray(2))) return this.wrong(NOT_UTF8, at);
		this.done = true;
		this.to.bye(body);
		return from + length;
	}

	private wrong(code: number, at: number): number {
		this.done = true;
		this.part = NOTHING;
		this.to.broken(code);
		return at;
	}
}
