/**
 * What a reader signs of what came to it at one relay: one running total a relay, never by sender, so that a market can tell how much mail that funds
 * paid for was read by somebody (PROTOCOL.md, "Readers' totals"). It goes to the market alone: no relay ever sees it.
 */

import { Reader, Writer } from "./bytes.ts";
import { type Crypto, KEY_BYTES, type KeyPair, SIGNATURE_BYTES, signFor, verifyFor } from "./identity.ts";
import { type Problem, problem } from "./problem.ts";

/** A running total: everything that came since the reader's home was drawn at the relay, in whole MB, rounded up. It only rises. */
export type Received = {
	readonly account: Uint8Array;
	readonly relay: Uint8Array;
	/** the day that it was signed on, counted from 1970-01-01 UTC: one total a day counts */
	readonly day: number;
	readonly megabytes: number;
};

/** `account · relay · day · megabytes · signature`. */
export const RECEIVED_BYTES = KEY_BYTES + KEY_BYTES + 4 + 4 + SIGNATURE_BYTES;

const BYTES_PER_MB = 1_000_000n;
const DAY_MS = 86_400_000;

/** The day of a moment, counted from 1970-01-01 UTC. */
export function dayOf(atMs: number): number {
	return Math.floor(atMs / DAY_MS);
}

/** Bytes in whole MB, rounded up; what is more than a total can say is said as the most that it can. */
export function megabytesOf(bytes: bigint): number {
	const megabytes = (bytes + BYTES_PER_MB - 1n) / BYTES_PER_MB;
	return megabytes > 0xffffffffn ? 0xffffffff : Number(megabytes);
}

function signedBody(market: Uint8Array, body: Uint8Array): Uint8Array {
	return new Writer().put(market, KEY_BYTES).put(body).finish();
}

/** Signs a total with the account's key, for one market: another's total is no total here. */
export function signReceived(crypto: Crypto, market: Uint8Array, received: Received, account: KeyPair): Uint8Array {
	const body = new Writer(RECEIVED_BYTES)
		.put(received.account, KEY_BYTES)
		.put(received.relay, KEY_BYTES)
		.u32(received.day)
		.u32(received.megabytes)
		.finish();
	const signature = signFor(crypto, "received", signedBody(market, body), account.secretKey);
	return new Writer(RECEIVED_BYTES).put(body).put(signature, SIGNATURE_BYTES).finish();
}

/** Reads a total and checks its reader's signature for this market. Total: any bytes give one or a problem. */
export function readReceived(crypto: Crypto, market: Uint8Array, bytes: Uint8Array): Received | Problem {
	const reader = new Reader(bytes);
	const received = {
		account: reader.take(KEY_BYTES),
		relay: reader.take(KEY_BYTES),
		day: reader.u32(),
		megabytes: reader.u32(),
	};
	const signature = reader.take(SIGNATURE_BYTES);
	if (!reader.done) return problem("malformed", "The bytes are not a reader's total.");
	const body = bytes.subarray(0, RECEIVED_BYTES - SIGNATURE_BYTES);
	if (!verifyFor(crypto, "received", signedBody(market, body), signature, received.account))
		return problem("signature-bad", "The reader did not sign this total for this market.");
	return received;
}
