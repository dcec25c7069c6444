/** A client that speaks the contracts and nothing else: every frame is written and read by the test that uses it. */

import assert from "node:assert/strict";
import WebSocket from "ws";
import { join as joinBytes, toHex } from "#contracts/bytes";
import {
	readCredited,
	readListening,
	readProblem,
	readRangesBody,
	readRefused,
	writeEmpty,
	writeListen,
	writeOpen,
	writePing,
	writeRangesFrame,
	writeVoucherFrame,
	writeWindow,
} from "#contracts/control";
import { readDevices, signForget, writeForget } from "#contracts/device";
import { advance, cursor, FRAME, frame, MAIL_HEAD_BYTES, mailFrame, readU32 } from "#contracts/frame";
import type { Grant } from "#contracts/grant";
import { helloHash, readWelcome, signHello, signListen, type Welcome } from "#contracts/handshake";
import { type KeyPair, tokenHash } from "#contracts/identity";
import { isProblem, type Problem } from "#contracts/problem";
import { each, type Range, rangesOf } from "#contracts/ranges";
import { readUsage, type Usage } from "#contracts/redemption";
import type { Traffic } from "#contracts/tariff";
import { signVoucher } from "#contracts/voucher";
import { crypto } from "#host/crypto";

/** How long anything a test waits for may take on a busy machine. */
export const PATIENCE_MS = 10_000;

export type Frame = { readonly type: number; readonly body: Uint8Array };
export type Delivery = { readonly handle: number; readonly number: number; readonly payload: Uint8Array };

/** The device that a test means when it speaks of none. */
export const DEVICE = new Uint8Array(16).fill(1);

export const keys = (): KeyPair => crypto.keyPair(crypto.random(32));

/** Waits until something holds, looking again whenever the event loop turned. A promise of it is waited for: it never holds by itself. */
export async function until<T>(
	what: string,
	look: () => T | undefined | false | Promise<T | undefined | false>,
	patienceMs = PATIENCE_MS,
): Promise<T> {
	const end = performance.now() + patienceMs;
	for (;;) {
		const found = await look();
		if (found !== undefined && found !== false) return found;
		if (performance.now() > end) assert.fail(`waited in vain for ${what}`);
		await new Promise((resolve) => setTimeout(resolve, 2));
	}
}

/** Payload bytes that say which they are. */
export function payload(size: number, mark = 0): Uint8Array {
	const bytes = new Uint8Array(size);
	for (let i = 0; i < size; i++) bytes[i] = (i * 31 + mark * 17 + (mark >> 8)) & 255;
	return bytes;
}

/** One connection to a relay. */
export class RawClient {
	readonly ws: WebSocket;
	readonly relay: Uint8Array;
	/** Everything that came, in order. */
	readonly frames: Frame[] = [];
	/** Sizes of the WebSocket messages that came. */
	readonly messages: number[] = [];
	closed: { code: number; reason: string } | undefined;
	/** Acknowledges every delivery as it comes. */
	acks = false;
	tag: Uint8Array = crypto.random(16);
	session: KeyPair = keys();
	grant: Grant | undefined;
	hello: Uint8Array = new Uint8Array(0);

	constructor(
		url: string,
		relay: Uint8Array,
		protocols: string[] = ["farelay.v1"],
		headers: Record<string, string> = {},
	) {
		this.relay = relay;
		this.ws = new WebSocket(url, protocols, { perMessageDeflate: false, headers });
		this.ws.on("message", (data: Buffer) => this.take(new Uint8Array(data)));
		this.ws.on("close", (code, reason) => {
			this.closed = { code, reason: reason.toString() };
		});
		this.ws.on("error", () => {});
	}

	static async connect(url: string, relay: Uint8Array): Promise<RawClient> {
		const client = new RawClient(url, relay);
		await client.opened();
		return client;
	}

	opened(): Promise<void> {
		return until("the socket to open", () => this.ws.readyState === WebSocket.OPEN || undefined).then(() => {});
	}

	/** Sends frames as one message. */
	put(...frames: Uint8Array[]): void {
		this.ws.send(joinBytes(...frames));
	}

	/** A hello's frame; its hash binds what follows. */
	helloFrame(
		more: { grant?: Grant | undefined; atMs?: number; session?: KeyPair; relay?: Uint8Array } = {},
	): Uint8Array {
		if (more.session) this.session = more.session;
		this.grant = more.grant;
		const said = { tag: this.tag, atMs: more.atMs ?? Date.now(), nonce: crypto.random(16), grant: more.grant?.bytes };
		this.hello = signHello(crypto, said, more.relay ?? this.relay, this.session);
		return frame(FRAME.hello, this.hello);
	}

	/** The hash that this connection's listens are bound to. */
	get hash(): Uint8Array {
		return helloHash(crypto, this.hello);
	}

	openFrame(handle: number, mailbox: Uint8Array, ttlS = 3_600, token?: Uint8Array): Uint8Array {
		return writeOpen(token ? { handle, ttlS, mailbox, token } : { handle, ttlS, mailbox });
	}

	sendFrame(handle: number, seq: number, bytes: Uint8Array): Uint8Array {
		return mailFrame(FRAME.send, handle, seq, bytes);
	}

	voucherFrame(total: Traffic, grant: Grant | undefined = this.grant, by: KeyPair = this.session): Uint8Array {
		assert(grant);
		const voucher = signVoucher(crypto, grant, total, by.secretKey);
		assert(!isProblem(voucher));
		return writeVoucherFrame(voucher);
	}

	/** A voucher for so many bytes kept for so long. */
	payFrame(bytes: number, ttlS = 3_600): Uint8Array {
		return this.voucherFrame({ bytes: BigInt(bytes), byteSeconds: BigInt(bytes) * BigInt(ttlS) });
	}

	listenFrame(handle: number, mailbox: KeyPair, token?: Uint8Array, device: Uint8Array = DEVICE): Uint8Array {
		const hash = token ? tokenHash(crypto, token) : new Uint8Array(32);
		const scope = {
			relay: this.relay,
			helloHash: this.hash,
			session: this.session.publicKey,
			mailbox: mailbox.publicKey,
			device,
			tokenHash: hash,
		};
		const signature = signListen(crypto, scope, mailbox.secretKey);
		return writeListen({ handle, mailbox: mailbox.publicKey, device, tokenHash: hash, signature });
	}

	/** Gives up a device of a mailbox that this connection listens on. */
	forgetFrame(handle: number, mailbox: KeyPair, device: Uint8Array): Uint8Array {
		const scope = {
			relay: this.relay,
			helloHash: this.hash,
			session: this.session.publicKey,
			mailbox: mailbox.publicKey,
			device,
		};
		return writeForget({ handle, device, signature: signForget(crypto, scope, mailbox.secretKey) });
	}

	ack(...ranges: Range[]): void {
		this.put(writeRangesFrame(FRAME.ack, ranges));
	}

	ping(mark = 1, nextMs = 55_000): void {
		this.put(writePing({ mark, nextMs }));
	}

	/** Asks for a window of its own. */
	narrow(frames: number, bytes: number): void {
		this.put(writeWindow({ frames, bytes }));
	}

	finish(): void {
		this.put(writeEmpty(FRAME.finish));
	}

	askUsage(): void {
		this.put(writeEmpty(FRAME.usageRequest));
	}

	/** Waits for the welcome, checked. */
	async welcome(): Promise<Welcome> {
		const { body } = await this.next(FRAME.welcome);
		const welcome = readWelcome(crypto, body, this.relay, this.hello);
		assert(!isProblem(welcome), isProblem(welcome) ? welcome.detail : "");
		return welcome;
	}

	/** Waits for the n-th frame of a type, counted from 0. */
	next(type: number, n = 0): Promise<Frame> {
		return until(`frame ${type} (${n}), got ${this.frames.map((f) => f.type)}`, () => this.of(type)[n]);
	}

	of(type: number): Frame[] {
		return this.frames.filter((found) => found.type === type);
	}

	/** Numbers answered with ranges of this type so far. */
	numbers(type: number): Set<number> {
		return new Set(this.of(type).flatMap(({ body }) => [...each(readRangesBody(body) ?? [])]));
	}

	get kept(): Set<number> {
		return this.numbers(FRAME.kept);
	}

	/** Numbers refused so far, with the last reason for each. */
	get refused(): Map<number, string> {
		const refused = new Map<number, string>();
		for (const { body } of this.of(FRAME.refused)) {
			const read = readRefused(body);
			assert(read);
			for (const seq of each(read.ranges)) refused.set(seq, read.code);
		}
		return refused;
	}

	get problems(): Problem[] {
		return [...this.of(FRAME.problem), ...this.of(FRAME.bye)].flatMap(({ body }) => readProblem(body) ?? []);
	}

	get deliveries(): Delivery[] {
		return this.of(FRAME.deliver).map(({ body }) => ({
			handle: readU32(body, 0),
			number: readU32(body, 4),
			payload: body.subarray(MAIL_HEAD_BYTES),
		}));
	}

	get credits(): bigint[] {
		return this.of(FRAME.credited).flatMap(({ body }) => readCredited(body) ?? []);
	}

	async listening(n = 0) {
		const read = readListening((await this.next(FRAME.listening, n)).body);
		assert(read);
		return read;
	}

	/** The devices of a mailbox as the relay last said, in hex. */
	async devices(n = 0): Promise<string[]> {
		const read = readDevices((await this.next(FRAME.devices, n)).body);
		assert(read);
		return read.devices.map(({ device }) => toHex(device));
	}

	async usage(n = 0, grant: Grant | undefined = this.grant): Promise<Usage> {
		assert(grant);
		const usage = readUsage(crypto, (await this.next(FRAME.usage, n)).body, grant);
		assert(!isProblem(usage), isProblem(usage) ? usage.detail : "");
		return usage;
	}

	/** Waits until so many numbers were answered `kept`. */
	keptAll(count: number): Promise<unknown> {
		return until(
			`${count} kept, got ${this.kept.size}, refused ${JSON.stringify([...this.refused].slice(0, 3))}`,
			() => this.kept.size >= count || undefined,
		);
	}

	/** Waits for a refusal, or the goodbye, with this code. */
	problem(code: string): Promise<Problem> {
		return until(`problem ${code}, got ${JSON.stringify(this.problems)}`, () =>
			this.problems.find((refusal) => refusal.problem === code),
		);
	}

	gone(): Promise<{ code: number; reason: string }> {
		return until("the relay to close", () => this.closed);
	}

	async end(): Promise<void> {
		this.ws.terminate();
		await this.gone();
	}

	private take(message: Uint8Array): void {
		this.messages.push(message.length);
		const c = cursor();
		const got: number[] = [];
		while (advance(message, c)) {
			const body = message.slice(c.start, c.end);
			this.frames.push({ type: c.type, body });
			if (c.type === FRAME.deliver) got.push(readU32(body, 4));
		}
		assert.equal(c.next, message.length, "the relay sends whole frames");
		if (this.acks && got.length > 0) this.ack(...rangesOf(got.filter((n) => n > 0)));
	}
}
