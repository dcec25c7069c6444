/**
 * What is inside a seal, version 1, and how large a sealed payload may look: the part of sealing that every client must
 * agree on byte for byte. Relays see none of it (PROTOCOL.md, "Sealing").
 */

import { join, Reader, same, Writer } from "./bytes.ts";
import { type Crypto, KEY_BYTES, type KeyPair, SIGNATURE_BYTES, signFor, verifyFor } from "./identity.ts";
import { LIMIT } from "./limit.ts";
import { type Problem, problem } from "./problem.ts";

/** The first byte of every payload, in the clear: how to open the rest. */
export const PAYLOAD = { sealed: 1, chunk: 2 } as const;

/** What a message's body is: text in UTF-8, the manifest of a file, or ids of messages that arrived. */
export const MESSAGE = { text: 1, file: 2, receipt: 3 } as const;

export const MESSAGE_ID_BYTES = 16;

/** What `crypto_box_seal` adds: an X25519 key and a Poly1305 tag. */
export const SEAL_BYTES = 32 + 16;

const HEAD_BYTES = 1 + MESSAGE_ID_BYTES + 8 + KEY_BYTES + KEY_BYTES + SIGNATURE_BYTES + 1 + 4;

/** The largest body: its payload is then one full slice, so nobody's text blocks anybody else's. */
export const BODY_BYTES_MAX = LIMIT.sliceBytes - 1 - SEAL_BYTES - HEAD_BYTES;

/** An opened message. `id` is 16 random bytes, the same in every retry: readers dedupe by it. */
export type Message = {
	readonly id: Uint8Array;
	/** The sender's time, Unix milliseconds, corrected by the relay's: bounds how long a reader has to remember ids. */
	readonly atMs: number;
	/** The mailbox it was written to. */
	readonly mailbox: Uint8Array;
	/** The sender's identity key. */
	readonly sender: Uint8Array;
	/** One of {@link MESSAGE}; a reader keeps quiet about kinds of later versions. */
	readonly kind: number;
	readonly body: Uint8Array;
};

/** Who can open it: the mailbox's id and its owner's X25519 key. Both are under the signature, so no mail can be passed on as if to another. */
export type Recipient = { readonly mailbox: Uint8Array; readonly seal: Uint8Array };

/**
 * The Padme size of a length: at most 12 % more, and only O(log log n) of the length shows
 * (Nikitin et al., "Reducing Metadata Leakage from Encrypted Files and Communication with PURBs", section 4).
 */
export function padme(length: number): number {
	if (length < 2) return length;
	const exponent = Math.floor(Math.log2(length));
	const kept = Math.floor(Math.log2(exponent)) + 1;
	const grain = 2 ** Math.max(exponent - kept, 0);
	return Math.ceil(length / grain) * grain;
}

function signedBody(message: Message, seal: Uint8Array): Uint8Array {
	return new Writer(HEAD_BYTES + message.body.length)
		.put(seal, KEY_BYTES)
		.u8(1)
		.put(message.id, MESSAGE_ID_BYTES)
		.u64(message.atMs)
		.put(message.mailbox, KEY_BYTES)
		.put(message.sender, KEY_BYTES)
		.u8(message.kind)
		.u32(message.body.length)
		.put(message.body)
		.finish();
}

/**
 * Signs a message and pads it for sealing: `version 1 · id 16 · at u64 · mailbox 32 · sender 32 · signature 64 · kind u8 ·
 * body length u32 · body · zeros`, as long as makes the sealed payload a Padme size.
 * @throws RangeError for a body over {@link BODY_BYTES_MAX}: the caller checks first.
 */
export function writeMessage(crypto: Crypto, message: Message, seal: Uint8Array, sender: KeyPair): Uint8Array {
	if (message.body.length > BODY_BYTES_MAX) throw new RangeError("a message is over the limit");
	const plain = new Writer(LIMIT.sliceBytes)
		.u8(1)
		.put(message.id, MESSAGE_ID_BYTES)
		.u64(message.atMs)
		.put(message.mailbox, KEY_BYTES)
		.put(message.sender, KEY_BYTES)
		.put(signFor(crypto, "message", signedBody(message, seal), sender.secretKey))
		.u8(message.kind)
		.u32(message.body.length)
		.put(message.body)
		.finish();
	const around = 1 + SEAL_BYTES;
	return join(plain, new Uint8Array(padme(plain.length + around) - around - plain.length));
}

/** Reads what was inside a seal: whether it is for this recipient, and signed by the sender it names. Total. */
export function readMessage(crypto: Crypto, plain: Uint8Array, mine: Recipient): Message | Problem {
	const reader = new Reader(plain);
	if (reader.u8() !== 1) return problem("version-unknown", "The message is sealed by a later version.");
	const id = reader.take(MESSAGE_ID_BYTES);
	const atMs = reader.count();
	const mailbox = reader.take(KEY_BYTES);
	const sender = reader.take(KEY_BYTES);
	const signature = reader.take(SIGNATURE_BYTES);
	const kind = reader.u8();
	const length = reader.u32();
	if (!reader.sound || length > reader.left) return problem("seal-broken", "The seal holds no message.");
	const body = reader.take(length);
	const padding = reader.take(reader.left);
	if (padding.some((byte) => byte !== 0)) return problem("seal-broken", "The message's padding is not empty.");
	if (!same(mailbox, mine.mailbox)) return problem("seal-broken", "The message was written to another mailbox.");
	const message = { id, atMs, mailbox, sender, kind, body };
	if (!verifyFor(crypto, "message", signedBody(message, mine.seal), signature, sender))
		return problem("seal-broken", "The message is not signed by the sender it names.");
	return message;
}

/** The sealed size of a body of so many bytes: what it is charged for. */
export function sealedBytes(bodyBytes: number): number {
	return padme(1 + SEAL_BYTES + HEAD_BYTES + bodyBytes);
}
