/**
 * Quota tokens: a part of a month's quota that a market signs without seeing it, so that whoever brings it later cannot be tied to who drew it. What is fixed here
 * is what goes into the oblivious function, which key a market uses for whom, and how it says so (PROTOCOL.md, "Quota tokens").
 */

import { domain, join, Reader, same, Writer } from "./bytes.ts";
import {
	type Crypto,
	hashFor,
	KEY_BYTES,
	KEY_ID_BYTES,
	type KeyPair,
	keyId,
	SIGNATURE_BYTES,
	signFor,
	verifyFor,
} from "./identity.ts";
import type { MarketKey } from "./market.ts";

import { type Problem, problem } from "./problem.ts";
import { POOL_BYTES } from "./tranche.ts";

/** What one token is good for: small, so that the number that somebody draws tells little, and no relay need be trusted with much. */
export const TOKEN_QUOTA_BYTES = 10_000_000n;
/** Chance in a token: what makes it another one. */
export const TOKEN_NONCE_BYTES = 32;
/** An element of the group ristretto255, and so a key, a blinded token and its answer. */
export const ELEMENT_BYTES = 32;
/** What the oblivious function gives (SHA-512). */
export const OUTPUT_BYTES = 64;
/** The proof that answers came from the key that was named: two scalars. */
export const PROOF_BYTES = 64;
/** Tokens drawn or spent at once: answering takes some four milliseconds each, and a month's quota is ten. */
export const TOKENS_MAX = 20;

/** A token as its owner keeps it. */
export type QuotaToken = { readonly nonce: Uint8Array; readonly output: Uint8Array };

/** A month as a number, UTC: 202611 for November 2026. */
export function monthOf(atMs: number): number {
	const date = new Date(atMs);
	return date.getUTCFullYear() * 100 + date.getUTCMonth() + 1;
}

/** When a month is over. */
export function monthEndMs(month: number): number {
	return Date.UTC(Math.floor(month / 100), month % 100, 1);
}

/** Whether a number is a month's. */
export function isMonth(month: number): boolean {
	return Number.isInteger(month) && month >= 202_001 && month <= 999_912 && month % 100 >= 1 && month % 100 <= 12;
}

/** What goes into the oblivious function for a token: good at one market, for one pool, in one month. */
export function tokenInput(market: Uint8Array, pool: Uint8Array, month: number, nonce: Uint8Array): Uint8Array {
	return new Writer()
		.put(domain("quota-token"))
		.put(market, KEY_BYTES)
		.put(pool, POOL_BYTES)
		.u32(month)
		.put(nonce, TOKEN_NONCE_BYTES)
		.finish();
}

/** What a market keeps of a token that was spent. */
export function spentMark(crypto: Crypto, pool: Uint8Array, month: number, nonce: Uint8Array): Uint8Array {
	return hashFor(crypto, "spent-token", new Writer().put(pool, POOL_BYTES).u32(month).put(nonce).finish());
}

/** For what a market uses one of its oblivious keys: a pool's tokens of a month, or tags (pool of zeros, month 0). */
export type ObliviousKey = {
	readonly market: Uint8Array;
	readonly pool: Uint8Array;
	readonly month: number;
	readonly key: Uint8Array;
	/** as it travels: {@link OBLIVIOUS_KEY_BYTES} bytes */
	readonly bytes: Uint8Array;
};

/** `market 32 · pool 16 · month u32 · key 32 · key id 8 · signature 64`. */
export const OBLIVIOUS_KEY_BYTES = KEY_BYTES + POOL_BYTES + 4 + ELEMENT_BYTES + KEY_ID_BYTES + SIGNATURE_BYTES;

/** Says with an online key which key is used for what: two such words on the same thing that differ prove that the market tells people apart by their keys. */
export function signObliviousKey(crypto: Crypto, said: Omit<ObliviousKey, "bytes">, online: KeyPair): ObliviousKey {
	const body = new Writer()
		.put(said.market, KEY_BYTES)
		.put(said.pool, POOL_BYTES)
		.u32(said.month)
		.put(said.key, ELEMENT_BYTES)
		.put(keyId(crypto, online.publicKey), KEY_ID_BYTES)
		.finish();
	return { ...said, bytes: join(body, signFor(crypto, "oblivious-key", body, online.secretKey)) };
}

/** Reads a market's word on a key and checks it by the market's online keys. Total. */
export function readObliviousKey(
	crypto: Crypto,
	bytes: Uint8Array,
	keys: readonly MarketKey[],
): ObliviousKey | Problem {
	const reader = new Reader(bytes);
	const market = reader.take(KEY_BYTES);
	const pool = reader.take(POOL_BYTES);
	const month = reader.u32();
	const key = reader.take(ELEMENT_BYTES);
	const signer = reader.take(KEY_ID_BYTES);
	const signature = reader.take(SIGNATURE_BYTES);
	if (!reader.done || (month !== 0 && !isMonth(month)))
		return problem("malformed", "The bytes are not a market's word on a key.");
	const online = keys.find((one) => same(one.market, market) && same(keyId(crypto, one.key), signer));
	if (!online) return problem("grant-unknown-market", "None of the market's keys signed this.");
	if (
		!verifyFor(crypto, "oblivious-key", bytes.subarray(0, OBLIVIOUS_KEY_BYTES - SIGNATURE_BYTES), signature, online.key)
	)
		return problem("signature-bad", "The market did not sign this key.");
	return { market, pool, month, key, bytes: bytes.slice() };
}

/** Whether two words of a market contradict each other: the same pool and month, and another key. */
export function isForked(a: ObliviousKey, b: ObliviousKey): boolean {
	return same(a.market, b.market) && same(a.pool, b.pool) && a.month === b.month && !same(a.key, b.key);
}
