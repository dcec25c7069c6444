/**
 * What two workers say to each other: frames as on the outside, back to back in a stream, of types that exist only here. Both ends are the
 * same program, so a frame that does not read is a bug and ends the link.
 *
 * From the worker that has the tab ("near"): `hello` token 32 · worker u16; `route` route u32 · ttl u32 · mailbox 32 · token's hash 32 (zeros: a
 * stranger) · tag 16 · resolve u8; `copy` as the client's `send`, with the route instead of the handle; `leave` route u32; `spill`; `filled` tag 16 · ranges.
 * From the worker that has the mailbox ("far"): `ready`; `known` route u32 · ranges; `answer` route u32 · kind u8 · problem u8 · ranges;
 * `taken` bytes u32; `gaps` tag 16.
 */

import { fromHex, Reader, toHex, Writer } from "#contracts/bytes";
import { FRAME, frame } from "#contracts/frame";
import { HASH_BYTES, KEY_BYTES, TAG_BYTES } from "#contracts/identity";
import { LIMIT } from "#contracts/limit";
import { PROBLEMS, type ProblemCode, problemOfWire } from "#contracts/problem";
import { type Range, readRanges, writeRanges } from "#contracts/ranges";

/** Types of frames between workers. */
export const HOP = {
	hello: 1,
	route: 2,
	copy: FRAME.send,
	leave: 4,
	spill: 5,
	filled: 6,
	ready: 64,
	known: 65,
	answer: 66,
	taken: 67,
	gaps: 68,
} as const;

/** What became of copies: `known` were kept or passed before and are not charged again. */
export const ANSWERS = ["kept", "passed", "known", "refused"] as const;
export type AnswerKind = (typeof ANSWERS)[number];

/** Who links: proven by the secret that the parent gave to all its workers. */
export type HopHello = { readonly secret: Uint8Array; readonly worker: number };

/** A route as it is opened; `resolve` asks for the numbers that are known of its tag, to settle what a crash left open. */
export type HopRoute = {
	readonly route: number;
	readonly ttlS: number;
	readonly mailbox: string;
	readonly tokenHash: Uint8Array | undefined;
	readonly tag: string;
	readonly resolve: boolean;
};

/** What became of some numbers of a route. */
export type HopAnswer = {
	readonly route: number;
	readonly kind: AnswerKind;
	readonly code: ProblemCode;
	readonly ranges: readonly Range[];
};

const NO_HASH = new Uint8Array(HASH_BYTES);

export function writeHopHello({ secret, worker }: HopHello): Uint8Array {
	return frame(HOP.hello, new Writer(HASH_BYTES + 2).put(secret, HASH_BYTES).u16(worker).finish());
}

export function readHopHello(body: Uint8Array): HopHello {
	const reader = new Reader(body);
	const secret = reader.take(HASH_BYTES);
	return sound(reader, { secret, worker: reader.u16() });
}

export function writeHopRoute({ route, ttlS, mailbox, tokenHash, tag, resolve }: HopRoute): Uint8Array {
	const body = new Writer(8 + KEY_BYTES + HASH_BYTES + TAG_BYTES + 1)
		.u32(route)
		.u32(ttlS)
		.put(bytesOf(mailbox), KEY_BYTES)
		.put(tokenHash ?? NO_HASH, HASH_BYTES)
		.put(bytesOf(tag), TAG_BYTES)
		.u8(resolve ? 1 : 0)
		.finish();
	return frame(HOP.route, body);
}

export function readHopRoute(body: Uint8Array): HopRoute {
	const reader = new Reader(body);
	const route = reader.u32();
	const ttlS = reader.u32();
	const mailbox = toHex(reader.take(KEY_BYTES));
	const hash = reader.take(HASH_BYTES);
	const tag = toHex(reader.take(TAG_BYTES));
	const tokenHash = hash.some((byte) => byte !== 0) ? new Uint8Array(hash) : undefined;
	return sound(reader, { route, ttlS, mailbox, tokenHash, tag, resolve: reader.u8() === 1 });
}

/** A frame of one u32: `leave`, `taken`. */
export function writeHopNumber(type: number, number: number): Uint8Array {
	return frame(type, new Writer(4).u32(number).finish());
}

export function readHopNumber(body: Uint8Array): number {
	const reader = new Reader(body);
	return sound(reader, reader.u32());
}

/** A frame without a body: `ready`, `spill`. */
export function writeHopWord(type: number): Uint8Array {
	return frame(type, new Uint8Array(0));
}

/** `known`: the numbers of a route's tag that are on the far disk, in as many frames as they need; a last one has fewer than the most ranges. */
export function writeHopKnown(route: number, ranges: readonly Range[]): Uint8Array[] {
	const frames: Uint8Array[] = [];
	for (let at = 0; ; at += LIMIT.rangesMax) {
		const part = ranges.slice(at, at + LIMIT.rangesMax);
		frames.push(frame(HOP.known, writeRanges(new Writer(64).u32(route), part).finish()));
		if (part.length < LIMIT.rangesMax) return frames;
	}
}

export function readHopKnown(body: Uint8Array): { route: number; ranges: Range[] } {
	const reader = new Reader(body);
	const route = reader.u32();
	return sound(reader, { route, ranges: rangesIn(reader) });
}

export function* writeHopAnswers(
	route: number,
	kind: AnswerKind,
	code: ProblemCode,
	ranges: readonly Range[],
): Generator<Uint8Array> {
	for (let at = 0; at < ranges.length; at += LIMIT.rangesMax) {
		const head = new Writer(64).u32(route).u8(ANSWERS.indexOf(kind)).u8(PROBLEMS[code].wire);
		yield frame(HOP.answer, writeRanges(head, ranges.slice(at, at + LIMIT.rangesMax)).finish());
	}
}

export function readHopAnswer(body: Uint8Array): HopAnswer {
	const reader = new Reader(body);
	const route = reader.u32();
	const kind = ANSWERS[reader.u8()] ?? "refused";
	const code = problemOfWire(reader.u8());
	return sound(reader, { route, kind, code, ranges: rangesIn(reader) });
}

export function writeHopGaps(tag: string): Uint8Array {
	return frame(HOP.gaps, bytesOf(tag));
}

export function readHopGaps(body: Uint8Array): string {
	return toHex(body);
}

/** Numbers of a tag that its own worker has answered: they never cross any more. In parts, as each is true by itself. */
export function* writeHopFilled(tag: string, ranges: readonly Range[]): Generator<Uint8Array> {
	for (let at = 0; at < ranges.length; at += LIMIT.rangesMax) {
		const head = new Writer(64).put(bytesOf(tag), TAG_BYTES);
		yield frame(HOP.filled, writeRanges(head, ranges.slice(at, at + LIMIT.rangesMax)).finish());
	}
}

export function readHopFilled(body: Uint8Array): { tag: string; ranges: Range[] } {
	const reader = new Reader(body);
	const tag = toHex(reader.take(TAG_BYTES));
	return sound(reader, { tag, ranges: rangesIn(reader) });
}

function bytesOf(hex: string): Uint8Array {
	return fromHex(hex) ?? new Uint8Array(0);
}

function rangesIn(reader: Reader): Range[] {
	const ranges = readRanges(reader);
	if (!ranges) throw new Error("a link's ranges do not read");
	return ranges;
}

function sound<Read>(reader: Reader, read: Read): Read {
	if (!reader.done) throw new Error("a link's frame does not read");
	return read;
}
