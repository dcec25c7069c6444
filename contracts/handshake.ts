/**
 * Hello and welcome, without a round trip: the first message carries the hello, and vouchers and sends may stand behind it
 * (PROTOCOL.md, "Hello"; threats 9, 11 and 23).
 */

import { join, Reader, same, Writer } from "./bytes.ts";
import { FRAME, frame, MAIL_HEAD_BYTES } from "./frame.ts";
import { GRANT_BYTES, type Grant, readGrant } from "./grant.ts";
import {
	type Crypto,
	HASH_BYTES,
	hashFor,
	KEY_BYTES,
	type KeyPair,
	NONCE_BYTES,
	SIGNATURE_BYTES,
	signFor,
	TAG_BYTES,
	verifyFor,
} from "./identity.ts";
import { LIMIT } from "./limit.ts";
import { isProblem, type Problem, problem } from "./problem.ts";
import type { Traffic } from "./tariff.ts";
import { readVoucher, VOUCHER_BYTES, type Voucher, writeVoucher } from "./voucher.ts";

/** Who speaks: with a grant, its session key; without one, a fresh key that may only read. */
export type Hello = {
	/** Sixteen random bytes made at each start of a client; `(tag, seq)` dedupes its sends. */
	readonly tag: Uint8Array;
	readonly atMs: number;
	readonly nonce: Uint8Array;
	readonly grant: Grant | undefined;
	readonly session: Uint8Array;
	readonly signature: Uint8Array;
	/** The body as it travelled: the welcome and every listen are bound to its hash. */
	readonly bytes: Uint8Array;
};

/** Writes a hello's body: `version 1 · flags u8 (1: grant) · tag 16 · at u64 · nonce 16 · grant 237 or session key 32 · signature 64`. */
export function signHello(
	crypto: Crypto,
	hello: { tag: Uint8Array; atMs: number; nonce: Uint8Array; grant?: Uint8Array | undefined },
	relay: Uint8Array,
	session: KeyPair,
): Uint8Array {
	const body = new Writer(512)
		.u8(1)
		.u8(hello.grant ? 1 : 0)
		.put(hello.tag, TAG_BYTES)
		.u64(hello.atMs)
		.put(hello.nonce, NONCE_BYTES)
		.put(hello.grant ?? session.publicKey, hello.grant ? GRANT_BYTES : KEY_BYTES)
		.finish();
	return join(body, signFor(crypto, "hello", join(relay, body), session.secretKey));
}

/** Reads a hello's fields; checks neither its signature nor its grant's. */
export function readHello(body: Uint8Array): Hello | Problem {
	const reader = new Reader(body);
	const version = reader.u8();
	if (reader.sound && version !== 1) return problem("version-unknown");
	const flags = reader.u8();
	const tag = reader.take(TAG_BYTES);
	const atMs = reader.count();
	const nonce = reader.take(NONCE_BYTES);
	const granted = flags === 1 ? reader.take(GRANT_BYTES) : undefined;
	if (!reader.sound || flags > 1) return problem("malformed", "The hello's bytes are not a hello.");
	const grant = granted && readGrant(granted);
	if (isProblem(grant)) return grant;
	const session = grant ? grant.session : reader.take(KEY_BYTES);
	const signature = reader.take(SIGNATURE_BYTES);
	if (!reader.done) return problem("malformed", "The hello's bytes are not a hello.");
	return { tag, atMs, nonce, grant, session, signature, bytes: body.slice() };
}

/** Whether the session key signed this hello for this relay. */
export function verifyHello(crypto: Crypto, hello: Hello, relay: Uint8Array): boolean {
	const body = hello.bytes.subarray(0, hello.bytes.length - SIGNATURE_BYTES);
	return verifyFor(crypto, "hello", join(relay, body), hello.signature, hello.session);
}

/** What welcomes and listens are bound to. */
export function helloHash(crypto: Crypto, helloBody: Uint8Array): Uint8Array {
	return hashFor(crypto, "hello-hash", helloBody);
}

/** What a relay tells of a tab at hello: its own count, and the payer's newest signature that it holds. */
export type TabState = { readonly used: Traffic; readonly voucher: Voucher | undefined };

/** What a client must know to behave. */
export type Welcome = {
	readonly helloHash: Uint8Array;
	readonly atMs: number;
	/** Undefined for a session that only reads. */
	readonly tab: TabState | undefined;
	readonly messageBytesMax: number;
	readonly stepBytesMax: number;
	readonly idleMs: number;
	readonly ttlSMax: number;
};

/** A message holds at least the largest payload and its frame's head. */
const MESSAGE_BYTES_MIN = LIMIT.payloadBytesMax + 4 + MAIL_HEAD_BYTES;

/** Writes a welcome's body, signed with the relay's key. */
export function signWelcome(crypto: Crypto, welcome: Welcome, relay: KeyPair): Uint8Array {
	const writer = new Writer(320).put(welcome.helloHash, HASH_BYTES).u64(welcome.atMs);
	writer.u8(welcome.tab ? (welcome.tab.voucher ? 2 : 1) : 0);
	if (welcome.tab) writer.u64(welcome.tab.used.bytes).u64(welcome.tab.used.byteSeconds);
	if (welcome.tab?.voucher) writer.put(writeVoucher(welcome.tab.voucher));
	const body = writer
		.u32(welcome.messageBytesMax)
		.u32(welcome.stepBytesMax)
		.u32(welcome.idleMs)
		.u32(welcome.ttlSMax)
		.finish();
	return join(body, signFor(crypto, "welcome", join(relay.publicKey, body), relay.secretKey));
}

/** Reads a welcome and checks the relay's signature and that it answers this hello. */
export function readWelcome(crypto: Crypto, body: Uint8Array, relay: Uint8Array, hello: Uint8Array): Welcome | Problem {
	const reader = new Reader(body);
	const hash = reader.take(HASH_BYTES);
	const atMs = reader.count();
	const flags = reader.u8();
	const used = flags > 0 ? { bytes: reader.u64(), byteSeconds: reader.u64() } : undefined;
	const voucher = flags > 1 ? readVoucher(reader.take(VOUCHER_BYTES)) : undefined;
	const [messageBytesMax, stepBytesMax, idleMs, ttlSMax] = [reader.u32(), reader.u32(), reader.u32(), reader.u32()];
	const signature = reader.take(SIGNATURE_BYTES);
	if (!reader.done || flags > 2 || isProblem(voucher))
		return problem("malformed", "The welcome's bytes are not a welcome.");
	// What a client sends and pays ahead follows these: a relay may be stricter than the protocol, never laxer.
	// Nor so strict that one whole payload could not be sent.
	const message = messageBytesMax >= MESSAGE_BYTES_MIN && messageBytesMax <= LIMIT.messageBytesMax;
	const step = stepBytesMax >= LIMIT.payloadBytesMax && stepBytesMax <= LIMIT.stepBytesMax;
	if (!message || !step || idleMs === 0 || ttlSMax > LIMIT.ttlSMax)
		return problem("malformed", "The welcome's bounds are beyond the protocol's.");
	if (!same(hash, helloHash(crypto, hello))) return problem("signature-bad", "The welcome answers another hello.");
	const signed = join(relay, body.subarray(0, body.length - SIGNATURE_BYTES));
	if (!verifyFor(crypto, "welcome", signed, signature, relay))
		return problem("signature-bad", "The relay did not sign this welcome.");
	return { helloHash: hash, atMs, tab: used && { used, voucher }, messageBytesMax, stepBytesMax, idleMs, ttlSMax };
}

/** The answer to a hello whose time is off: the relay's signed time, so that the client can correct by an offset and try once more. */
export function signClock(crypto: Crypto, hello: Uint8Array, atMs: number, relay: KeyPair): Uint8Array {
	const body = new Writer(40).put(helloHash(crypto, hello), HASH_BYTES).u64(atMs).finish();
	return frame(FRAME.clock, join(body, signFor(crypto, "clock", join(relay.publicKey, body), relay.secretKey)));
}

/** Reads a clock answer: the relay's time in Unix milliseconds, or a problem. */
export function readClock(crypto: Crypto, body: Uint8Array, relay: Uint8Array, hello: Uint8Array): number | Problem {
	const reader = new Reader(body);
	const hash = reader.take(HASH_BYTES);
	const atMs = reader.count();
	const signature = reader.take(SIGNATURE_BYTES);
	if (!reader.done || !same(hash, helloHash(crypto, hello)))
		return problem("malformed", "The clock's bytes are not an answer to this hello.");
	const signed = join(relay, body.subarray(0, body.length - SIGNATURE_BYTES));
	return verifyFor(crypto, "clock", signed, signature, relay)
		? atMs
		: problem("signature-bad", "The relay did not sign its time.");
}

/** What a mailbox key signs to be read: for one relay, one hello, one session, one mailbox, by one device. */
export type ListenScope = {
	readonly relay: Uint8Array;
	readonly helloHash: Uint8Array;
	readonly session: Uint8Array;
	readonly mailbox: Uint8Array;
	readonly device: Uint8Array;
	readonly tokenHash: Uint8Array;
};

function listenBody(scope: ListenScope): Uint8Array {
	return join(scope.relay, scope.helloHash, scope.session, scope.mailbox, scope.device, scope.tokenHash);
}

/** Signs a listen with the mailbox key. */
export function signListen(crypto: Crypto, scope: ListenScope, mailboxSecretKey: Uint8Array): Uint8Array {
	return signFor(crypto, "listen", listenBody(scope), mailboxSecretKey);
}

/** Whether the mailbox key signed this listen for this relay and session. */
export function verifyListen(crypto: Crypto, scope: ListenScope, signature: Uint8Array): boolean {
	return verifyFor(crypto, "listen", listenBody(scope), signature, scope.mailbox);
}

/** What the new session key signs to take a connection over: for one relay, one hello, one grant. */
export type RenewScope = { readonly relay: Uint8Array; readonly helloHash: Uint8Array; readonly grant: Uint8Array };

function renewBody(scope: RenewScope): Uint8Array {
	return join(scope.relay, scope.helloHash, scope.grant);
}

/** Signs a renewal with the session key of the new grant. */
export function signRenew(crypto: Crypto, scope: RenewScope, sessionSecretKey: Uint8Array): Uint8Array {
	return signFor(crypto, "renew", renewBody(scope), sessionSecretKey);
}

/** Whether the new grant's session key signed this renewal for this relay and hello. */
export function verifyRenew(crypto: Crypto, scope: RenewScope, signature: Uint8Array, session: Uint8Array): boolean {
	return verifyFor(crypto, "renew", renewBody(scope), signature, session);
}
