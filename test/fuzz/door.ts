/** A relay to be fuzzed, in this process so that its coverage can be read, and everything that must hold whatever is said to it. */

import assert from "node:assert/strict";
import { mkdtemp, rm } from "node:fs/promises";
import type { Socket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as pause, setImmediate as turn } from "node:timers/promises";
import pino from "pino";
import { fromHex, join as joinBytes, toHex } from "#contracts/bytes";
import { writeEmpty, writePing, writeRangesFrame, writeRenew, writeWindow } from "#contracts/control";
import { FRAME, frame } from "#contracts/frame";
import type { Grant } from "#contracts/grant";
import { signRenew } from "#contracts/handshake";
import type { KeyPair } from "#contracts/identity";
import { isProblem } from "#contracts/problem";
import type { Range } from "#contracts/ranges";
import { signVoucher } from "#contracts/voucher";
import { crypto } from "#host/crypto";
import { type RunningRelay, startRelay } from "#relay/relay";
import { FakeMarket } from "#test/support/fakemarket";
import { keys, payload, RawClient, until } from "#test/support/rawclient";
import { relayConfig, relayDeps } from "#test/support/relay";
import type { Bend, FrameStep, Program } from "./program.ts";

const TTL_S = 3_600;
/** A relay's log line of this level or above is a defect: what a client says is never an error of the relay. */
const ERROR_LEVEL = 50;
/** How long a connection whose framing was broken may take to end, before it is ended here. */
const UNFRAMED_MS = 20;
/** Bytes of small change that a number in a voucher stands for. */
const VOUCHER_UNIT = 1_000;

export class Door {
	readonly relay: RunningRelay;
	private readonly market: FakeMarket;
	private readonly folder: string;
	/** What the relay should never have had to say. */
	private readonly errors: string[];
	/** Honest people at the same relay: whatever strangers say, their mail goes on. */
	private readonly alice: RawClient;
	private readonly bob: RawClient;
	private readonly mailbox: KeyPair;
	private seq = 0;
	/** Payload bytes that the fuzzer's vouchers pay for, by tab. */
	private readonly paid = new Map<string, number>();
	/** The fuzzer's own bytes that came to Bob's mailbox. */
	private cameBytes = 0;

	private constructor(
		relay: RunningRelay,
		market: FakeMarket,
		folder: string,
		errors: string[],
		people: { alice: RawClient; bob: RawClient; mailbox: KeyPair },
	) {
		this.relay = relay;
		this.market = market;
		this.folder = folder;
		this.errors = errors;
		this.alice = people.alice;
		this.bob = people.bob;
		this.mailbox = people.mailbox;
	}

	static async open(): Promise<Door> {
		const folder = await mkdtemp(join(tmpdir(), "farelay-fuzz-"));
		const market = await FakeMarket.start();
		const errors: string[] = [];
		const log = pino(
			{ level: "warn" },
			{ write: (line) => void (JSON.parse(line).level >= ERROR_LEVEL && errors.push(line)) },
		);
		// strangers are many and from one address here; that they are bounded has tests of its own
		const limits = { strangersPerAddressMax: 10_000 };
		const relay = await startRelay(relayConfig(market, { data: folder, limits }), relayDeps({ log }));
		assert(!isProblem(relay), isProblem(relay) ? relay.detail : "");
		const url = `ws://127.0.0.1:${relay.port}`;
		const mailbox = keys();
		const bob = await RawClient.connect(url, relay.publicKey);
		bob.acks = true;
		bob.put(bob.helloFrame(), bob.listenFrame(1, mailbox));
		await bob.listening();
		const alice = await RawClient.connect(url, relay.publicKey);
		const session = keys();
		alice.put(
			alice.helloFrame({ grant: market.grant(relay.publicKey, session.publicKey), session }),
			alice.openFrame(1, mailbox.publicKey, TTL_S),
		);
		await alice.welcome();
		return new Door(relay, market, folder, errors, { alice, bob, mailbox });
	}

	async close(): Promise<void> {
		this.alice.ws.terminate();
		this.bob.ws.terminate();
		await this.relay.stop();
		await this.market.stop();
		await rm(this.folder, { recursive: true, force: true, maxRetries: 5 });
	}

	/** Says a program on a connection of its own. Throws what a relay must not do. */
	async say(program: Program): Promise<void> {
		const client = await RawClient.connect(`ws://127.0.0.1:${this.relay.port}`, this.relay.publicKey);
		const speaker = new Speaker(client, this.market, this.mailbox);
		try {
			for (const step of program) {
				if (client.closed) break;
				await speaker.step(step);
			}
			const framed = program.every((step) => step.is !== "raw");
			if (!client.closed) await this.answered(client, framed);
		} finally {
			client.ws.terminate();
		}
		for (const [tab, bytes] of speaker.paid) this.paid.set(tab, Math.max(bytes, this.paid.get(tab) ?? 0));
		for (const { type } of client.frames) assert(type >= FRAME.welcome, `the relay sent a frame of type ${type}`);
		assert.deepEqual(this.errors, [], "the relay logged an error");
	}

	/** Pings are answered, or the connection ends: a relay never leaves somebody without either. */
	private async answered(client: RawClient, framed: boolean): Promise<void> {
		const { ws } = client;
		ws.resume();
		if (ws.readyState !== ws.OPEN) return;
		// the transport's own answer comes once everything before it was dealt with
		let ponged = false;
		ws.once("pong", () => {
			ponged = true;
		});
		ws.ping();
		// behind a header that lies it may be the payload of something else
		if (!framed) await Promise.race([pause(UNFRAMED_MS), until("", () => ponged || client.closed).catch(() => {})]);
		else await until("the transport's pong or the end", () => ponged || client.closed);
		if (!framed || client.closed || client.of(FRAME.welcome).length === 0) return;
		const pongs = client.of(FRAME.pong).length;
		client.put(writePing({ mark: 1, nextMs: 60_000 }));
		await until("a pong or the end", () => client.of(FRAME.pong).length > pongs || client.closed);
	}

	/** Honest mail still goes through, and nobody's bytes did that nobody paid for. */
	async check(): Promise<void> {
		const { alice, bob } = this;
		const seq = this.seq++;
		const mail = payload(200, seq);
		alice.put(alice.payFrame((seq + 1) * 200, TTL_S), alice.sendFrame(1, seq, mail));
		await until(`honest mail ${seq} to be kept`, () => alice.kept.has(seq));
		const same = (found: Uint8Array) => toHex(found) === toHex(mail);
		await until("honest mail", () => bob.deliveries.some((found) => same(found.payload)));
		for (const found of bob.deliveries) if (found.payload.length !== 200) this.cameBytes += found.payload.length;
		bob.frames.length = 0;
		alice.frames.length = 0;
		const paid = [...this.paid.values()].reduce((sum, bytes) => sum + bytes, 0);
		assert.deepEqual(this.errors, [], "the relay logged an error");
		assert(this.cameBytes <= paid, `${this.cameBytes} bytes came, and ${paid} were paid for`);
	}
}

/** Turns steps into bytes on one connection. */
class Speaker {
	readonly paid = new Map<string, number>();
	private readonly client: RawClient;
	private readonly market: FakeMarket;
	private readonly known: KeyPair;
	private readonly own = keys();
	private readonly session = keys();
	private grant: Grant | undefined;
	private gathered: Uint8Array[] = [];

	constructor(client: RawClient, market: FakeMarket, known: KeyPair) {
		this.client = client;
		this.market = market;
		this.known = known;
	}

	async step(step: Program[number]): Promise<void> {
		const { ws } = this.client;
		if (step.is === "frame") this.gathered.push(bent(this.frame(step), step.bend));
		else if (step.is === "turn") await turn();
		else if (step.is === "pause") ws.pause();
		else if (step.is === "resume") ws.resume();
		else if (ws.readyState !== ws.OPEN) return;
		else if (step.is === "message") this.message(step.fragments);
		else if (step.is === "control") ws[step.kind](Buffer.alloc(step.bytes));
		else if (step.is === "text") ws.send("farelay");
		else if (step.is === "raw")
			(ws as unknown as { _socket: Socket })._socket.write(Buffer.from(fromHex(step.hex) ?? []));
	}

	private message(fragments: number): void {
		const { ws } = this.client;
		const whole = joinBytes(...this.gathered);
		this.gathered = [];
		const size = Math.max(1, Math.ceil(whole.length / fragments));
		for (let at = 0; at === 0 || at < whole.length; at += size)
			ws.send(whole.subarray(at, at + size), { fin: at + size >= whole.length });
	}

	private mailbox(which: number): KeyPair {
		return which === 0 ? this.known : which === 1 ? this.own : keys();
	}

	private frame({ name, of: [a, b, c] }: FrameStep): Uint8Array {
		const { client, market, session } = this;
		switch (name) {
			case "hello":
				this.grant = market.grant(client.relay, session.publicKey, b === 3 ? { cap: BigInt(c) } : {});
				return client.helloFrame({ grant: this.grant, session, atMs: Date.now() + (a > 8 ? a : 0) });
			case "helloReader":
				return client.helloFrame();
			case "helloAgain":
				return client.helloFrame({ grant: this.grant, session });
			case "open":
				return client.openFrame(a, this.mailbox(b).publicKey, c === 0 ? TTL_S : c);
			case "send":
				return this.send(a, b, c);
			case "fan":
				return this.fan(a, b, c);
			case "voucher":
				return this.voucher(a, b);
			case "listen":
				return client.listenFrame(a, b > 0 ? this.own : keys(), undefined, device(c));
			case "forget":
				return client.forgetFrame(a, b > 0 ? this.own : keys(), device(c));
			case "ack":
				return writeRangesFrame(FRAME.ack, [[Math.min(a, b), Math.max(a, b)] satisfies Range]);
			case "renew":
				return this.renew(a);
			case "finish":
				return writeEmpty(FRAME.finish);
			case "usage":
				return writeEmpty(FRAME.usageRequest);
			case "ping":
				return writePing({ mark: a, nextMs: b });
			case "window":
				return writeWindow({ frames: a, bytes: b });
			case "unknown":
				return frame(a & 255, new Uint8Array(Math.min(b, 60_000)));
			case "garbage":
				return payload(Math.min(b, 66_000), a).slice();
		}
	}

	/** By hand, because the contracts write none that is too long. */
	private send(handle: number, seq: number, size: number): Uint8Array {
		const body = new Uint8Array(8 + Math.min(size, 65_000));
		const view = new DataView(body.buffer);
		view.setUint32(0, handle, true);
		view.setUint32(4, seq, true);
		return frame(FRAME.send, body);
	}

	private fan(count: number, seq: number, size: number): Uint8Array {
		const copies = Math.max(1, Math.min(count, 256));
		const body = new Uint8Array(1 + 4 + copies * 4 + Math.min(size, 61_000));
		const view = new DataView(body.buffer);
		body[0] = (copies - 1) & 255;
		view.setUint32(1, seq, true);
		for (let i = 0; i < copies; i++) view.setUint32(5 + i * 4, (i % 3) + 1, true);
		return frame(FRAME.fan, body);
	}

	private voucher(units: number, ttlS: number): Uint8Array {
		const { grant, session } = this;
		if (!grant) return writeEmpty(FRAME.finish);
		const bytes = Math.min(units, 1_000_000) * VOUCHER_UNIT;
		const total = { bytes: BigInt(bytes), byteSeconds: BigInt(bytes) * BigInt(ttlS === 0 ? TTL_S : ttlS) };
		const voucher = signVoucher(crypto, grant, total, session.secretKey);
		// over the cap: bytes that look like one
		if (isProblem(voucher)) return frame(FRAME.voucher, new Uint8Array(88).fill(units & 255));
		const tab = toHex(grant.tab);
		this.paid.set(tab, Math.max(bytes, this.paid.get(tab) ?? 0));
		return this.client.voucherFrame(total, grant, session);
	}

	private renew(units: number): Uint8Array {
		const { client, grant, session, market } = this;
		if (!grant) return writeEmpty(FRAME.finish);
		const next = market.grant(client.relay, session.publicKey);
		const bytes = BigInt(Math.min(units, 1_000) * VOUCHER_UNIT);
		const final = signVoucher(crypto, grant, { bytes, byteSeconds: bytes * BigInt(TTL_S) }, session.secretKey);
		if (isProblem(final)) return writeEmpty(FRAME.finish);
		const tab = toHex(grant.tab);
		this.paid.set(tab, Math.max(Number(bytes), this.paid.get(tab) ?? 0));
		const scope = { relay: client.relay, helloHash: client.hash, grant: next.bytes };
		this.grant = next;
		return writeRenew({ grant: next.bytes, final, signature: signRenew(crypto, scope, session.secretKey) });
	}
}

/** Bytes with one change; none that has no place to be. */
function bent(bytes: Uint8Array, bend: Bend | undefined): Uint8Array {
	if (!bend || bytes.length === 0) return bytes;
	const at = bend.at % bytes.length;
	if (bend.is === "cut") return bytes.slice(0, at);
	if (bend.is === "insert") return joinBytes(bytes.subarray(0, at), Uint8Array.of(bend.value), bytes.subarray(at));
	const changed = bytes.slice();
	changed[at] = bend.is === "set" ? bend.value : (changed[at] ?? 0) ^ bend.value;
	return changed;
}

/** More devices than a mailbox has. */
function device(which: number): Uint8Array {
	return new Uint8Array(16).fill(which % 12);
}
