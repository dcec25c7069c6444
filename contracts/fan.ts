/**
 * A fan: one payload for several handles in one frame, `count u8 (copies - 1) · seq u32 · handle u32 for each copy · payload`
 * (PROTOCOL.md, "Frames"). Copy `i` has the number `seq + i`. A fan means exactly what its sends one after the other would
 * mean: {@link sendsOf} says which those are.
 */

import { type Cursor, FRAME, frame, MAIL_HEAD_BYTES, mailFrame, readU32, writeHead, writeU32 } from "./frame.ts";
import { LIMIT } from "./limit.ts";

/** Bytes of a fan's body before its handles. */
const COUNT_BYTES = 5;
const HANDLE_BYTES = 4;
const NUMBER_MAX = 0xffffffff;

/** A fan as an object. */
export type Fan = {
	/** The first copy's number. */
	readonly seq: number;
	/** 1 to 256, in the order of their numbers. One may stand there twice: those are two copies. */
	readonly handles: readonly number[];
	/** 1 to 61,440 bytes. */
	readonly payload: Uint8Array;
};

/** How many copies the fan at the cursor has; 0 when it is none. */
export function fanCopies(message: Uint8Array, { start, end }: Cursor): number {
	if (end - start < COUNT_BYTES + HANDLE_BYTES + 1) return 0;
	const copies = (message[start] as number) + 1;
	const payload = end - start - COUNT_BYTES - HANDLE_BYTES * copies;
	if (payload < 1 || payload > LIMIT.payloadBytesMax) return 0;
	return readU32(message, start + 1) + copies - 1 > NUMBER_MAX ? 0 : copies;
}

/** The first copy's number; of a fan that has copies. */
export function fanSeq(message: Uint8Array, start: number): number {
	return readU32(message, start + 1);
}

/** The handle of copy `i`. */
export function fanHandle(message: Uint8Array, start: number, i: number): number {
	return readU32(message, start + COUNT_BYTES + HANDLE_BYTES * i);
}

/** Where the payload of a fan with so many copies begins. */
export function fanPayload(start: number, copies: number): number {
	return start + COUNT_BYTES + HANDLE_BYTES * copies;
}

/** Bytes of a fan's frame. */
export function fanBytes(copies: number, payloadBytes: number): number {
	return 4 + fanPayload(0, copies) + payloadBytes;
}

/** Reads a fan's body; undefined when it is none. The payload is a view. */
export function readFan(body: Uint8Array): Fan | undefined {
	const c = { type: FRAME.fan, at: 0, start: 0, end: body.length, next: body.length };
	const copies = fanCopies(body, c);
	if (copies === 0) return undefined;
	const handles = Array.from({ length: copies }, (_, i) => fanHandle(body, 0, i));
	return { seq: fanSeq(body, 0), handles, payload: body.subarray(fanPayload(0, copies)) };
}

/** Writes a fan. @throws RangeError for one that {@link readFan} would not take. */
export function writeFan({ seq, handles, payload }: Fan): Uint8Array {
	const copies = handles.length;
	if (copies < 1 || copies > LIMIT.fanCopiesMax) throw new RangeError("a fan has 1 to 256 copies");
	if (payload.length < 1 || payload.length > LIMIT.payloadBytesMax)
		throw new RangeError("a fan's payload is over the limit");
	if (seq + copies - 1 > NUMBER_MAX) throw new RangeError("a fan's numbers are over the limit");
	const body = new Uint8Array(fanPayload(0, copies) + payload.length);
	body[0] = copies - 1;
	writeU32(body, 1, seq);
	handles.forEach((handle, i) => {
		writeU32(body, COUNT_BYTES + HANDLE_BYTES * i, handle);
	});
	body.set(payload, fanPayload(0, copies));
	return frame(FRAME.fan, body);
}

/** The sends that a fan means, in order. */
export function sendsOf({ seq, handles, payload }: Fan): Uint8Array[] {
	return handles.map((handle, i) => mailFrame(FRAME.send, handle, seq + i, payload));
}

/** Writes the head of a `deliver` whose payload follows elsewhere; answers how many bytes it has: at most 12. */
export function writeDeliverHead(
	message: Uint8Array,
	at: number,
	handle: number,
	number: number,
	payloadBytes: number,
): number {
	const start = writeHead(message, at, FRAME.deliver, MAIL_HEAD_BYTES + payloadBytes);
	writeU32(message, start, handle);
	writeU32(message, start + 4, number);
	return start + MAIL_HEAD_BYTES - at;
}
