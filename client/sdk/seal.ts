/**
 * Seal v1: `crypto_box_seal` around a signed message, padded to Padme sizes (PROTOCOL.md, "Sealing"). The sender is inside,
 * so a relay never learns who writes to whom; opening is total and checks that the message was meant for this mailbox.
 */

import { join } from "#contracts/bytes";
import {
	MESSAGE_ID_BYTES,
	type Message,
	PAYLOAD,
	type Recipient,
	readMessage,
	SEAL_BYTES,
	writeMessage,
} from "#contracts/envelope";
import { type Problem, problem } from "#contracts/problem";
import type { Device, Sodium } from "./device.ts";
import type { Identity } from "./identity.ts";

type Tools = Pick<Device, "crypto" | "sodium">;

/** What opening takes of libsodium. */
type Opener = { readonly crypto: Device["crypto"]; readonly sodium: Pick<Sodium, "crypto_box_seal_open"> };

/** A payload that only the recipient opens, and its message's id. Seal once and keep the payload: a retry must not change. */
export function seal(
	{ crypto, sodium }: Tools,
	message: { kind: number; body: Uint8Array; atMs: number; id?: Uint8Array },
	to: Recipient,
	sender: Identity,
): { id: Uint8Array; payload: Uint8Array } {
	const id = message.id ?? crypto.random(MESSAGE_ID_BYTES);
	const whole = { ...message, id, mailbox: to.mailbox, sender: sender.account.publicKey };
	const plain = writeMessage(crypto, whole, to.seal, sender.account);
	return { id, payload: join(Uint8Array.of(PAYLOAD.sealed), sodium.crypto_box_seal(plain, to.seal)) };
}

/** Opens a sealed payload that came from a mailbox of mine. Total: any bytes give a message or `seal-broken`. */
export function open(
	{ crypto, sodium }: Opener,
	payload: Uint8Array,
	mailbox: Uint8Array,
	mine: Pick<Identity, "seal">,
): Message | Problem {
	if (payload[0] !== PAYLOAD.sealed || payload.length < 1 + SEAL_BYTES) return problem("seal-broken");
	let plain: Uint8Array;
	try {
		plain = sodium.crypto_box_seal_open(payload.subarray(1), mine.seal.publicKey, mine.seal.secretKey);
	} catch {
		return problem("seal-broken");
	}
	return readMessage(crypto, plain, { mailbox, seal: mine.seal.publicKey });
}
