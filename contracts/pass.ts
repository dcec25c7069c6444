/**
 * What an enroller signs: that somebody may be paid for from a pool, whoever brings its code, and by which tag that person is known again. The tag comes from
 * an oblivious function under the market's key: the same for one person at every enroller, and nothing that names them (PROTOCOL.md, "Passes").
 */

import { domain, join, Reader, same, textOf, Writer } from "./bytes.ts";
import {
	type Crypto,
	HASH_BYTES,
	hashFor,
	KEY_BYTES,
	type KeyPair,
	SIGNATURE_BYTES,
	signFor,
	verifyFor,
} from "./identity.ts";
import { type Problem, problem } from "./problem.ts";
import { POOL_BYTES } from "./tranche.ts";

/** The commons, where a pool's id is asked for: a pass of it is strong evidence of a country. */
export const COMMONS_POOL: Uint8Array = new Uint8Array(POOL_BYTES);
/** A tag: hash of what the oblivious function gave, for one pool. */
export const TAG_HASH_BYTES = HASH_BYTES;
/** The longest that an enroller can vouch for somebody: people move, and keys are lost. */
export const PASS_MS_MAX = 400 * 86_400_000;

/** An enroller's word on somebody. Times are Unix milliseconds. */
export type EnrollerPass = {
	readonly market: Uint8Array;
	readonly enroller: Uint8Array;
	readonly pool: Uint8Array;
	/** hash of the code that whoever it is for was handed */
	readonly code: Uint8Array;
	readonly tag: Uint8Array;
	/** two capital letters; undefined where the enroller does not say */
	readonly country: string | undefined;
	readonly issuedAtMs: number;
	readonly validUntilMs: number;
	/** as it travels: {@link PASS_BYTES} bytes */
	readonly bytes: Uint8Array;
};

/** `market 32 · enroller 32 · pool 16 · code 32 · tag 32 · country 2 · issued u64 · valid until u64 · signature 64`. */
export const PASS_BYTES = KEY_BYTES * 2 + POOL_BYTES + HASH_BYTES * 2 + 2 + 8 + 8 + SIGNATURE_BYTES;

const text = new TextEncoder();

/** Whether a text can be a country's: whether it has figures is another question (need.ts). */
export function isCountry(country: string): boolean {
	return /^[A-Z]{2}$/.test(country);
}

/** Signs a pass. @throws RangeError for a country that is none. */
export function signPass(
	crypto: Crypto,
	pass: Omit<EnrollerPass, "bytes" | "enroller">,
	enroller: KeyPair,
): EnrollerPass {
	const { market, pool, code, tag, country, issuedAtMs, validUntilMs } = pass;
	if (country !== undefined && !isCountry(country)) throw new RangeError("not a country");
	const body = new Writer()
		.put(market, KEY_BYTES)
		.put(enroller.publicKey, KEY_BYTES)
		.put(pool, POOL_BYTES)
		.put(code, HASH_BYTES)
		.put(tag, TAG_HASH_BYTES)
		.put(country === undefined ? new Uint8Array(2) : text.encode(country), 2)
		.u64(issuedAtMs)
		.u64(validUntilMs)
		.finish();
	const bytes = join(body, signFor(crypto, "pass", body, enroller.secretKey));
	return { ...pass, enroller: enroller.publicKey, bytes };
}

/** Reads a pass and checks its form and its enroller's signature. Whether that enroller may, and whether it is in time, is the market's. Total. */
export function readPass(crypto: Crypto, bytes: Uint8Array): EnrollerPass | Problem {
	const reader = new Reader(bytes);
	const market = reader.take(KEY_BYTES);
	const enroller = reader.take(KEY_BYTES);
	const pool = reader.take(POOL_BYTES);
	const code = reader.take(HASH_BYTES);
	const tag = reader.take(TAG_HASH_BYTES);
	const letters = reader.take(2);
	const issuedAtMs = reader.count();
	const validUntilMs = reader.count();
	const signature = reader.take(SIGNATURE_BYTES);
	if (!reader.done) return problem("malformed", "The bytes are not a pass.");
	const country = same(letters, new Uint8Array(2)) ? undefined : (textOf(letters) ?? "");
	if (country !== undefined && !isCountry(country)) return problem("malformed", "The pass names no country.");
	if (validUntilMs <= issuedAtMs || validUntilMs - issuedAtMs > PASS_MS_MAX)
		return problem("malformed", "The pass is valid for no time, or for longer than an enroller may say.");
	if (!verifyFor(crypto, "pass", bytes.subarray(0, PASS_BYTES - SIGNATURE_BYTES), signature, enroller))
		return problem("signature-bad", "The pass is not signed by the enroller it names.");
	return { market, enroller, pool, code, tag, country, issuedAtMs, validUntilMs, bytes: bytes.slice() };
}

/** A kind of thing that enrollers check, like `ke-national-id`: two enrollers find the same person only by the same kind. */
const KIND = /^[a-z0-9-]{1,32}$/;
/** The longest number or name that anybody is known by. */
const CHECKED_CHARS_MAX = 200;

/**
 * What goes into the oblivious function: what was checked, written so that two enrollers who read the same document write the same. It never leaves the enroller;
 * blinded, it tells the market nothing. A problem for what cannot tell people apart.
 */
export function checkedBytes(market: Uint8Array, kind: string, checked: string): Uint8Array | Problem {
	if (!KIND.test(kind))
		return problem("malformed", "A kind of document is small letters, digits and dashes, e.g. ke-national-id.");
	const plain = checked
		.normalize("NFKC")
		.toUpperCase()
		.replaceAll(/[^\p{L}\p{N}]/gu, "");
	if (plain.length < 4 || plain.length > CHECKED_CHARS_MAX)
		return problem("malformed", "What was checked must have 4 to 200 letters and digits: less tells nobody apart.");
	return new Writer()
		.put(domain("checked"))
		.put(market, KEY_BYTES)
		.put(text.encode(`${kind}\0${plain}`))
		.finish();
}

/** The tag of a person in one pool, from what the oblivious function gave: in two pools it is not the same, so that nobody can be followed from one to the other. */
export function tagOf(crypto: Crypto, pool: Uint8Array, output: Uint8Array): Uint8Array {
	return hashFor(crypto, "person-tag", join(pool, output));
}
