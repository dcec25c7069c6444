/**
 * The rarer frames as objects, written and read whole (PROTOCOL.md, "Frames"). `send` and `deliver` are in `frame.ts`,
 * hello, welcome and clock in `handshake.ts`.
 */

import { Reader, Writer, writeVarint } from "./bytes.ts";
import { FRAME, frame, writeHead } from "./frame.ts";
import { GRANT_BYTES } from "./grant.ts";
import { DEVICE_BYTES, HASH_BYTES, KEY_BYTES, SIGNATURE_BYTES, TOKEN_BYTES } from "./identity.ts";
import { LIMIT } from "./limit.ts";
import {
	PROBLEMS,
	type Problem,
	type ProblemCode,
	plainDetail,
	problem,
	problemOfWire,
	type Spent,
} from "./problem.ts";
import { type Range, readRanges, writeRanges } from "./ranges.ts";
import { USAGE_BYTES } from "./redemption.ts";
import { readVoucher, VOUCHER_BYTES, type Voucher, writeVoucher } from "./voucher.ts";

/** Binds a mailbox, a TTL in seconds and a card's token (zeros: a stranger) to a handle of the client's choice. */
export type Open = {
	readonly handle: number;
	readonly ttlS: number;
	readonly mailbox: Uint8Array;
	readonly token: Uint8Array;
};
/** Reads a mailbox as one of its devices; `tokenHash` (zeros: no card is out) replaces what the mailbox had; the signature is the mailbox key's. */
export type Listen = {
	readonly handle: number;
	readonly mailbox: Uint8Array;
	readonly device: Uint8Array;
	readonly tokenHash: Uint8Array;
	readonly signature: Uint8Array;
};
/** What waits for this device, and what was lost since it was last told; `fresh` when it was not known before: it begins with what is still there. */
export type Listening = {
	readonly handle: number;
	readonly waiting: number;
	readonly waitingBytes: number;
	readonly droppedTtl: number;
	readonly droppedQuota: number;
	readonly fresh: boolean;
};
/**
 * A new grant, the final voucher for everything under the old one, and the new session key's signature for this very hello:
 * without it, whoever saw a grant could spend what its payer has paid ahead (threat 9).
 */
export type Renew = { readonly grant: Uint8Array; readonly final: Voucher; readonly signature: Uint8Array };
/** Says that the client is there, and within how many milliseconds it will speak again. */
export type Ping = { readonly mark: number; readonly nextMs: number };
/** How much a reader wants under way to it unacknowledged; 0 frames: nothing now. Never more than the relay's own window. */
export type Window = { readonly frames: number; readonly bytes: number };
/** Sends of this tag that were refused, all for one reason. */
export type Refused = { readonly code: ProblemCode; readonly ranges: readonly Range[] };

const text = new TextEncoder();
const lenient = new TextDecoder();
const NO_TOKEN = new Uint8Array(TOKEN_BYTES);

export function writeOpen(open: Omit<Open, "token"> & { token?: Uint8Array }): Uint8Array {
	const body = new Writer(56)
		.u32(open.handle)
		.u32(open.ttlS)
		.put(open.mailbox, KEY_BYTES)
		.put(open.token ?? NO_TOKEN, TOKEN_BYTES)
		.finish();
	return frame(FRAME.open, body);
}

export function readOpen(body: Uint8Array): Open | undefined {
	const reader = new Reader(body);
	const open = {
		handle: reader.u32(),
		ttlS: reader.u32(),
		mailbox: reader.take(KEY_BYTES),
		token: reader.take(TOKEN_BYTES),
	};
	return reader.done ? open : undefined;
}

export function writeListen(listen: Listen): Uint8Array {
	const body = new Writer(152)
		.u32(listen.handle)
		.put(listen.mailbox, KEY_BYTES)
		.put(listen.device, DEVICE_BYTES)
		.put(listen.tokenHash, HASH_BYTES)
		.put(listen.signature, SIGNATURE_BYTES)
		.finish();
	return frame(FRAME.listen, body);
}

export function readListen(body: Uint8Array): Listen | undefined {
	const reader = new Reader(body);
	const listen = {
		handle: reader.u32(),
		mailbox: reader.take(KEY_BYTES),
		device: reader.take(DEVICE_BYTES),
		tokenHash: reader.take(HASH_BYTES),
		signature: reader.take(SIGNATURE_BYTES),
	};
	return reader.done ? listen : undefined;
}

export function writeListening(listening: Listening): Uint8Array {
	const body = new Writer(25)
		.u32(listening.handle)
		.u32(listening.waiting)
		.u64(listening.waitingBytes)
		.u32(listening.droppedTtl)
		.u32(listening.droppedQuota)
		.u8(listening.fresh ? 1 : 0)
		.finish();
	return frame(FRAME.listening, body);
}

export function readListening(body: Uint8Array): Listening | undefined {
	const reader = new Reader(body);
	const listening = {
		handle: reader.u32(),
		waiting: reader.u32(),
		waitingBytes: reader.count(),
		droppedTtl: reader.u32(),
		droppedQuota: reader.u32(),
	};
	const fresh = reader.u8();
	return reader.done && fresh <= 1 ? { ...listening, fresh: fresh === 1 } : undefined;
}

export function writeVoucherFrame(voucher: Voucher): Uint8Array {
	return frame(FRAME.voucher, writeVoucher(voucher));
}

export function writeRenew(renew: Renew): Uint8Array {
	const body = new Writer(512)
		.put(renew.grant, GRANT_BYTES)
		.put(writeVoucher(renew.final))
		.put(renew.signature, SIGNATURE_BYTES)
		.finish();
	return frame(FRAME.renew, body);
}

export function readRenew(body: Uint8Array): Renew | undefined {
	const reader = new Reader(body);
	const grant = reader.take(GRANT_BYTES);
	const final = readVoucher(reader.take(VOUCHER_BYTES));
	const signature = reader.take(SIGNATURE_BYTES);
	return reader.done && !("problem" in final) ? { grant, final, signature } : undefined;
}

/** `ack`, `kept` and `passed`: a set of numbers and nothing else. */
export function writeRangesFrame(type: number, ranges: readonly Range[]): Uint8Array {
	return frame(type, writeRanges(new Writer(), ranges).finish());
}

/** Bytes that {@link writeRangeFrame} writes at most. */
export const RANGE_FRAME_BYTES_MAX = 13;

/** The same frame of one range, written into bytes at `at`; answers where it ends. */
export function writeRangeFrame(bytes: Uint8Array, at: number, type: number, first: number, last: number): number {
	bytes[at + 2] = 1;
	const end = writeVarint(bytes, writeVarint(bytes, at + 3, first), last - first);
	writeHead(bytes, at, type, end - at - 2);
	return end;
}

export function readRangesBody(body: Uint8Array): Range[] | undefined {
	const reader = new Reader(body);
	const ranges = readRanges(reader);
	return reader.done ? ranges : undefined;
}

export function writeRefused(refused: Refused): Uint8Array {
	return frame(FRAME.refused, writeRanges(new Writer().u8(PROBLEMS[refused.code].wire), refused.ranges).finish());
}

export function readRefused(body: Uint8Array): Refused | undefined {
	const reader = new Reader(body);
	const code = problemOfWire(reader.u8());
	const ranges = readRanges(reader);
	return reader.done && ranges ? { code, ranges } : undefined;
}

/** The voucher with these nano-dollars is on the relay's disk. */
export function writeCredited(nanos: bigint): Uint8Array {
	return frame(FRAME.credited, new Writer(8).u64(nanos).finish());
}

export function readCredited(body: Uint8Array): bigint | undefined {
	const reader = new Reader(body);
	const nanos = reader.u64();
	return reader.done ? nanos : undefined;
}

export function writeUsageFrame(usage: Uint8Array): Uint8Array {
	if (usage.length !== USAGE_BYTES) throw new RangeError("not a usage statement");
	return frame(FRAME.usage, usage);
}

export function writePing(ping: Ping): Uint8Array {
	return frame(FRAME.ping, new Writer(8).u32(ping.mark).u32(ping.nextMs).finish());
}

export function readPing(body: Uint8Array): Ping | undefined {
	const reader = new Reader(body);
	const ping = { mark: reader.u32(), nextMs: reader.u32() };
	return reader.done ? ping : undefined;
}

/** Answers a ping with its mark. */
export function writePong(mark: number): Uint8Array {
	return frame(FRAME.pong, new Writer(4).u32(mark).finish());
}

export function readPong(body: Uint8Array): number | undefined {
	const reader = new Reader(body);
	const mark = reader.u32();
	return reader.done ? mark : undefined;
}

export function writeWindow(window: Window): Uint8Array {
	return frame(FRAME.window, new Writer(8).u32(window.frames).u32(window.bytes).finish());
}

export function readWindow(body: Uint8Array): Window | undefined {
	const reader = new Reader(body);
	const window = { frames: reader.u32(), bytes: reader.u32() };
	return reader.done ? window : undefined;
}

/** `finish` and `usageRequest`: nothing but their type. */

export function writeEmpty(type: typeof FRAME.finish | typeof FRAME.usageRequest): Uint8Array {
	return frame(type, new Uint8Array(0));
}

const SPENT: readonly Spent[] = ["no", "yes", "unknown"];

function problemBody(refusal: Problem): Uint8Array {
	const whole = text.encode(refusal.detail);
	let length = Math.min(whole.length, LIMIT.detailBytesMax);
	// Cut between characters: a byte 10xxxxxx goes on with the one before.
	while (length < whole.length && ((whole[length] as number) & 0xc0) === 0x80) length--;
	const detail = whole.subarray(0, length);
	return new Writer()
		.u8(PROBLEMS[refusal.problem].wire)
		.u8(refusal.retry ? 1 : 0)
		.u8(SPENT.indexOf(refusal.spent))
		.u32(Math.min(Math.ceil(refusal.retryAfterMs ?? 0), 0xffffffff))
		.u16(detail.length)
		.put(detail)
		.finish();
}

/** `problem` says what was refused and leaves the connection open; `bye` is the last frame before it closes. */
export function writeProblem(type: typeof FRAME.problem | typeof FRAME.bye, refusal: Problem): Uint8Array {
	return frame(type, problemBody(refusal));
}

export function readProblem(body: Uint8Array): Problem | undefined {
	const reader = new Reader(body);
	const code = problemOfWire(reader.u8());
	const retry = reader.u8();
	const spent = SPENT[reader.u8()];
	const retryAfterMs = reader.u32();
	const length = reader.u16();
	if (length > LIMIT.detailBytesMax) return undefined;
	const detail = plainDetail(lenient.decode(reader.take(length)));
	if (!reader.done || retry > 1 || spent === undefined) return undefined;
	const said = problem(code, detail, retryAfterMs > 0 ? { spent, retryAfterMs } : { spent });
	return { ...said, retry: retry === 1 };
}
