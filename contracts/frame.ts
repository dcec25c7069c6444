/**
 * Frames: what a WebSocket message holds, back to back: `type u8 · length varint · body` (PROTOCOL.md, "Frames").
 * Walking is total: any bytes give frames or a problem, never an exception, and nothing is allocated for a payload.
 * The hot path works on {@link Cursor} and the fixed offsets of `send` and `deliver`, which have the same length, so a
 * relay rewrites one into the other in place; everything rarer has an object form in `control.ts`.
 */

import { LIMIT } from "./limit.ts";

/** The WebSocket subprotocol that both ends name. */
export const SUBPROTOCOL = "farelay.v1";

/** Frame types; from a client below 64, from a relay at 64 and above. */
export const FRAME = {
	hello: 1,
	open: 2,
	send: 3,
	voucher: 4,
	listen: 5,
	ack: 6,
	renew: 7,
	finish: 8,
	usageRequest: 9,
	ping: 10,
	fan: 11,
	window: 12,
	forget: 13,
	welcome: 64,
	clock: 65,
	deliver: 66,
	kept: 67,
	passed: 68,
	refused: 69,
	credited: 70,
	listening: 71,
	usage: 72,
	pong: 73,
	problem: 74,
	bye: 75,
	devices: 77,
} as const;

/** Where a walk stands: the type and the body's bounds of the frame just read, and where the next begins. */
export type Cursor = { type: number; start: number; end: number; at: number; next: number };

/** A cursor at the beginning of a message. */
export function cursor(): Cursor {
	return { type: 0, start: 0, end: 0, at: 0, next: 0 };
}

/**
 * Reads the frame at `c.next` into `c`. False at the message's end and for bytes that are no frame;
 * at the end `c.next` equals the message's length, else the message is malformed.
 */
export function advance(message: Uint8Array, c: Cursor): boolean {
	const at = c.next;
	const type = message[at];
	const first = message[at + 1];
	if (type === undefined || first === undefined) return false;
	let start = at + 2;
	let length = first;
	if (first > 127) {
		// A byte that is not there reads as 0, and no length of several bytes ends in 0.
		const second = message[start++] ?? 0;
		length = (first & 127) | ((second & 127) << 7);
		if (second > 127) {
			const third = message[start++] ?? 0;
			if (third > 127 || third === 0) return false;
			length |= third << 14;
		} else if (second === 0) return false;
	}
	const end = start + length;
	if (end > message.length) return false;
	c.type = type;
	c.at = at;
	c.start = start;
	c.end = end;
	c.next = end;
	return true;
}

/** Bytes of a length's varint. */
function varintBytes(length: number): number {
	return length < 128 ? 1 : length < 16_384 ? 2 : 3;
}

/** Writes a frame's head at `at`; answers where its body begins. */
export function writeHead(message: Uint8Array, at: number, type: number, length: number): number {
	message[at] = type;
	if (length < 128) {
		message[at + 1] = length;
		return at + 2;
	}
	message[at + 1] = (length & 127) | 128;
	if (length < 16_384) {
		message[at + 2] = length >> 7;
		return at + 3;
	}
	message[at + 2] = ((length >> 7) & 127) | 128;
	message[at + 3] = length >> 14;
	return at + 4;
}

/** A whole frame from its body. @throws RangeError for a body that no message could hold. */
export function frame(type: number, body: Uint8Array): Uint8Array {
	const head = 1 + varintBytes(body.length);
	if (head + body.length > LIMIT.messageBytesMax) throw new RangeError("a frame does not fit a message");
	const bytes = new Uint8Array(head + body.length);
	bytes.set(body, writeHead(bytes, 0, type, body.length));
	return bytes;
}

/** Bytes before the payload inside the body of `send` (`handle u32 · seq u32`) and `deliver` (`handle u32 · number u32`). */
export const MAIL_HEAD_BYTES = 8;

/** The whole frame of a payload under way: at most 12 bytes before it. @throws RangeError for a payload over the limit. */
export function mailFrame(type: number, handle: number, number: number, payload: Uint8Array): Uint8Array {
	if (payload.length > LIMIT.payloadBytesMax) throw new RangeError("a payload is over the limit");
	const length = MAIL_HEAD_BYTES + payload.length;
	const bytes = new Uint8Array(1 + varintBytes(length) + length);
	const start = writeHead(bytes, 0, type, length);
	writeU32(bytes, start, handle);
	writeU32(bytes, start + 4, number);
	bytes.set(payload, start + MAIL_HEAD_BYTES);
	return bytes;
}

/** A little-endian u32 inside a message. */
export function readU32(bytes: Uint8Array, at: number): number {
	return (
		((bytes[at] as number) |
			((bytes[at + 1] as number) << 8) |
			((bytes[at + 2] as number) << 16) |
			((bytes[at + 3] as number) << 24)) >>>
		0
	);
}

/** Writes a little-endian u32 into a message. */
export function writeU32(bytes: Uint8Array, at: number, value: number): void {
	bytes[at] = value;
	bytes[at + 1] = value >>> 8;
	bytes[at + 2] = value >>> 16;
	bytes[at + 3] = value >>> 24;
}

/** Turns the `send` at the cursor into the reader's `deliver`, in place: same length, another handle, the delivery's number. */
export function rewriteToDeliver(message: Uint8Array, c: Cursor, handle: number, number: number): void {
	message[c.at] = FRAME.deliver;
	writeU32(message, c.start, handle);
	writeU32(message, c.start + 4, number);
}
