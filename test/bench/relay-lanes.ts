/**
 * The lanes of our relay: real hellos, real grants and vouchers, frames gathered into messages as the SDK gathers them. A voucher
 * is signed when an eighth of a full step (1 MiB) is left, and never beyond what was answered and a step, as `client/sdk/purse.ts` does.
 * These lines are shorter than any that people have: a sender whose voucher does not count yet waits here, not at the relay.
 */
import type { Socket } from "node:net";
import { fromHex, join, toHex } from "#contracts/bytes";
import {
	readProblem,
	readRangesBody,
	readRefused,
	writeListen,
	writeOpen,
	writeRangesFrame,
	writeVoucherFrame,
} from "#contracts/control";
import { FRAME, frame, MAIL_HEAD_BYTES, mailFrame } from "#contracts/frame";
import { type Grant, readGrant } from "#contracts/grant";
import { helloHash, signHello, signListen } from "#contracts/handshake";
import { type KeyPair, tokenHash } from "#contracts/identity";
import { LIMIT } from "#contracts/limit";
import { isProblem } from "#contracts/problem";
import { size as sizeOf } from "#contracts/ranges";
import { shardUrl } from "#contracts/shard";
import { signVoucher } from "#contracts/voucher";
import { crypto } from "#host/crypto";
import type { Lane, OpenLanes } from "./generator.ts";
import { SUBPROTOCOL } from "./relay-process.ts";
import { MASK, message, open, read } from "./wire.ts";

/** What these lanes need besides: `Job.more`. */
export type RelayJob = {
	/** The relay's public key, in hex. */
	readonly relay: string;
	/** A tab for each lane: its grant and the seed of its session key, in hex. */
	readonly tabs: readonly { readonly grant: string; readonly seed: string }[];
	/** 0: live or nothing, answered `passed`. Else live mail that its reader acknowledges, answered `kept`. */
	readonly ttlS: number;
	/** Recipients of each sender, frame by frame in turn. */
	readonly recipients: number;
	/** Bytes of frames gathered into one WebSocket message, at least one frame. */
	readonly messageBytes: number;
	/** How far ahead a sender pays; left out, a full step. Very far is a run without payments. */
	readonly stepBytes?: number;
	/** The readers listen once and go: all mail is kept on disk, and an arrival is an answer `kept`. */
	readonly nobodyReads?: boolean;
	/** Seeds of the mailboxes' keys, in hex, for who wants to read them afterwards; left out, nobody can. */
	readonly mailboxes?: readonly string[];
};

/** Bytes of ready-made messages that one write may take. */
const WRITE_BYTES_MAX = 256 * 1024;
/** The last byte of every payload; the first names its lane. A shifted or cut one shows. */
const EDGE = 0xfa;

/** What comes out of a relay's messages. */
type Sink = {
	/** A delivery: its payload's first and last byte and its bytes. */
	deliver(first: number, last: number, size: number, number: number): void;
	/** Any other frame, whole. */
	other(type: number, body: Uint8Array): void;
};

/** How many connections come in at once: fewer than a relay takes from one address before they have said hello. */
const COMING_MAX = 64;

/** Does something for each, so many at a time, in order. */
export async function each<T, R>(all: readonly T[], work: (one: T, i: number) => Promise<R>): Promise<R[]> {
	const done: R[] = [];
	for (let at = 0; at < all.length; at += COMING_MAX)
		done.push(...(await Promise.all(all.slice(at, at + COMING_MAX).map((one, i) => work(one, at + i)))));
	return done;
}

/** Walks frames as they come, in pieces or many at once, without copying a payload. */
export function walk(socket: Socket, sink: Sink): void {
	const head = new Uint8Array(4 + MAIL_HEAD_BYTES + 1);
	let have = 0;
	/** Bytes of the frame's body that are still to come, and where they go if it is no delivery. */
	let left = 0;
	let body: Uint8Array | undefined;
	let first = 0;
	let size = 0;
	let number = 0;
	read(socket, (chunk, start, end, last) => {
		let at = start;
		while (at < end) {
			if (left > 0) {
				const to = Math.min(end, at + left);
				if (body) body.set(chunk.subarray(at, to), body.length - left);
				left -= to - at;
				at = to;
				if (left > 0) break;
				if (body) sink.other(head[0] as number, body);
				else sink.deliver(first, chunk[at - 1] as number, size, number);
				continue;
			}
			head[have++] = chunk[at++] as number;
			if (have < 2) continue;
			const lengthBytes = (head[1] as number) < 128 ? 1 : have > 2 && (head[2] as number) < 128 ? 2 : 3;
			if (have < 1 + lengthBytes) continue;
			const length =
				((head[1] as number) & 127) |
				(lengthBytes > 1 ? ((head[2] as number) & 127) << 7 : 0) |
				(lengthBytes > 2 ? (head[3] as number) << 14 : 0);
			const bodyAt = 1 + lengthBytes;
			if (head[0] !== FRAME.deliver) {
				body = new Uint8Array(length);
				left = length;
				have = 0;
				if (length === 0) sink.other(head[0] as number, body);
				continue;
			}
			// with the first byte of the payload, and there is always one
			while (have < bodyAt + MAIL_HEAD_BYTES + 1 && at < end) head[have++] = chunk[at++] as number;
			if (have < bodyAt + MAIL_HEAD_BYTES + 1) continue;
			body = undefined;
			size = length - MAIL_HEAD_BYTES;
			first = head[bodyAt + MAIL_HEAD_BYTES] as number;
			const n = bodyAt + 4;
			number =
				(head[n] as number) |
				((head[n + 1] as number) << 8) |
				((head[n + 2] as number) << 16) |
				((head[n + 3] as number) << 24);
			left = size - 1;
			have = 0;
			if (left === 0) sink.deliver(first, first, size, number);
		}
		if (last && (left > 0 || have > 0)) throw new Error("a message ended inside a frame");
	});
}

export function bytes(hex: string): Uint8Array {
	const read = fromHex(hex);
	if (!read) throw new Error("not hex");
	return read;
}

/** A frame that has no place in a run ends it: a refusal, a problem, a goodbye. */
export function unexpected(type: number, body: Uint8Array): never {
	if (type === FRAME.refused) throw new Error(`the relay refused sends: ${readRefused(body)?.code}`);
	const said = type === FRAME.problem || type === FRAME.bye ? readProblem(body) : undefined;
	throw new Error(`the relay said ${said ? `${said.problem}: ${said.detail}` : `frame ${type}`}`);
}

/** A connection for a tab or a mailbox, with its hello said. */
export async function greet(
	port: number,
	relay: Uint8Array,
	session: KeyPair,
	at: Uint8Array,
	grant?: Grant,
	tag = crypto.random(16),
) {
	const socket = await open(port, shardUrl("", at), SUBPROTOCOL);
	const said = { tag, atMs: Date.now(), nonce: crypto.random(16), grant: grant?.bytes };
	const hello = signHello(crypto, said, relay, session);
	socket.write(message(frame(FRAME.hello, hello)));
	return { socket, hash: helloHash(crypto, hello) };
}

export const openLanes: OpenLanes = async ({ port, size, pairs, more }, arrived) => {
	const {
		relay: relayHex,
		tabs,
		ttlS,
		recipients,
		messageBytes,
		nobodyReads = false,
		stepBytes: STEP = LIMIT.stepBytesMax,
		mailboxes: seeds = [],
	} = more as RelayJob;
	const relay = bytes(relayHex);
	const token = crypto.random(16);
	const mailboxes = Array.from({ length: pairs }, (_, i) =>
		crypto.keyPair(bytes(seeds[i] ?? toHex(crypto.random(32)))),
	);
	const acking = ttlS > 0;

	const readers = await each(mailboxes, async (mailbox, i) => {
		const session = crypto.keyPair(crypto.random(32));
		const { socket, hash } = await greet(port, relay, session, mailbox.publicKey);
		const scope = {
			relay,
			helloHash: hash,
			session: session.publicKey,
			mailbox: mailbox.publicKey,
			device: new Uint8Array(16).fill(1),
			tokenHash: tokenHash(crypto, token),
		};
		const signature = signListen(crypto, scope, mailbox.secretKey);
		const listening = Promise.withResolvers<void>();
		const counts = new Uint32Array(pairs);
		let [from, to] = [0, 0];
		walk(socket, {
			deliver(first, last, got, number) {
				const lane = recipients > 1 ? first : i;
				if (got !== size || last !== EDGE || first !== (lane & 0xff) || lane >= pairs)
					throw new Error("a payload arrived other than it was sent");
				counts[lane] = (counts[lane] as number) + 1;
				if (from === 0) from = number;
				to = number;
			},
			other(type, body) {
				if (type === FRAME.listening) listening.resolve();
				else if (type !== FRAME.welcome && type !== FRAME.devices) unexpected(type, body);
			},
		});
		// once a read and not once a payload
		socket.on("data", () => {
			if (acking && from > 0) socket.write(message(writeRangesFrame(FRAME.ack, [[from, to]])));
			from = 0;
			for (let lane = 0; lane < pairs; lane++) {
				const count = counts[lane] as number;
				if (count === 0) continue;
				counts[lane] = 0;
				arrived(lane, count);
			}
		});
		socket.write(message(writeListen({ handle: i, ...scope, signature })));
		await listening.promise;
		if (nobodyReads) socket.destroy();
		return socket;
	});

	return each(readers, async (reader, i): Promise<Lane> => {
		const tab = tabs[i];
		const grant = tab && readGrant(bytes(tab.grant));
		if (!tab || !grant || isProblem(grant)) throw new Error("no tab for a lane");
		const session = crypto.keyPair(bytes(tab.seed));
		const { socket } = await greet(port, relay, session, grant.tab, grant);
		let [answered, sent, paid, kept] = [0, 0, 0, 0];
		/** What the relay said that counts; at most one voucher is on its way to its till. */
		let counts = 0;
		const pay = (): Buffer => {
			paid = answered + STEP;
			const total = { bytes: BigInt(paid), byteSeconds: BigInt(paid) * BigInt(ttlS) };
			const voucher = signVoucher(crypto, grant, total, session.secretKey);
			if (isProblem(voucher)) throw new Error("the tab's cap is too low for this run");
			return message(writeVoucherFrame(voucher));
		};
		const credited = Promise.withResolvers<void>();
		walk(socket, {
			deliver: () => unexpected(FRAME.deliver, new Uint8Array(0)),
			other(type, body) {
				if (type === FRAME.passed || type === FRAME.kept) {
					const count = sizeOf(readRangesBody(body) ?? []);
					answered += count * size;
					if (nobodyReads) kept += count;
				} else if (type === FRAME.credited) {
					counts = paid;
					credited.resolve();
				} else if (type !== FRAME.welcome) unexpected(type, body);
			},
		});
		// an answer may make room for a voucher
		socket.on("data", () => {
			const count = kept;
			kept = 0;
			arrived(i, count);
		});
		const opens = Array.from({ length: recipients }, (_, handle) => {
			const mailbox = mailboxes[(i + handle) % pairs] as KeyPair;
			return writeOpen({ handle, ttlS, mailbox: mailbox.publicKey, token });
		});
		socket.write(message(join(...opens)));
		socket.write(pay());
		await credited.promise;

		const payload = new Uint8Array(size).fill(0x5a);
		payload[0] = i & 0xff;
		payload[size - 1] = EDGE;
		const batch = template(payload, recipients, messageBytes);
		/** Templates that the system has taken. */
		const free: Buffer[] = [];
		let seq = 0;
		return {
			socket,
			reader: nobodyReads ? socket : reader,
			send(payloadsMax: number): number {
				const gain = answered + STEP - paid;
				// small gains are not worth a signature while an answer may still make them larger
				const worthIt = counts === paid && (gain >= STEP / 2 || (gain > 0 && sent === answered));
				// what is sent before its voucher counts would wait at the relay
				const affordable = Math.floor((counts - sent) / size);
				const wanted = Math.min(payloadsMax, affordable, batch.seqAt.length);
				const messages = Math.floor(wanted / batch.framesPerMessage);
				if (messages === 0) {
					if (worthIt) socket.write(pay());
					return 0;
				}
				const count = messages * batch.framesPerMessage;
				const after = sent + count * size;
				const voucher = worthIt && paid - after < STEP / 8 ? pay() : undefined;
				const buffer = free.pop() ?? Buffer.from(batch.bytes);
				const view = new DataView(buffer.buffer, buffer.byteOffset, buffer.length);
				for (let k = 0; k < count; k++)
					view.setUint32(batch.seqAt[k] as number, seq++ ^ (batch.mask[k] as number), true);
				if (voucher) {
					socket.cork();
					socket.write(voucher);
				}
				socket.write(buffer.subarray(0, messages * batch.bytesPerMessage), () => free.push(buffer));
				if (voucher) socket.uncork();
				sent = after;
				return count;
			},
		};
	});
};

/** Ready-made messages, with where each frame's number stands and what masks it there. */
function template(payload: Uint8Array, recipients: number, messageBytes: number) {
	const frames = Array.from({ length: recipients }, (_, handle) => mailFrame(FRAME.send, handle, 0, payload));
	const frameBytes = frames[0]?.length ?? 0;
	const framesPerMessage = Math.max(1, Math.floor(messageBytes / frameBytes));
	const all: Buffer[] = [];
	const seqAt: number[] = [];
	const mask: number[] = [];
	let at = 0;
	let next = 0;
	do {
		const gathered = Array.from({ length: framesPerMessage }, () => frames[next++ % recipients] as Uint8Array);
		const one = message(join(...gathered));
		const head = one.length - framesPerMessage * frameBytes;
		for (let k = 0; k < framesPerMessage; k++) {
			const inMessage = (k + 1) * frameBytes - payload.length - 4;
			seqAt.push(at + head + inMessage);
			const rotated = [0, 1, 2, 3].map((byte) => MASK[(inMessage + byte) & 3] as number);
			mask.push(Buffer.from(rotated).readUInt32LE(0));
		}
		all.push(one);
		at += one.length;
	} while (at + (all[0]?.length ?? 0) <= WRITE_BYTES_MAX);
	return {
		bytes: Buffer.concat(all),
		bytesPerMessage: all[0]?.length ?? 0,
		framesPerMessage,
		seqAt: Uint32Array.from(seqAt),
		mask: Uint32Array.from(mask),
	};
}
