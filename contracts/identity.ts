/**
 * Keys and what is derived from them. The cryptography is an argument: `host/crypto` (sodium-native) and `sdk/crypto`
 * (libsodium-wrappers) both pass the vectors in `vectors/identity.json` (PROTOCOL.md, "Keys").
 */

import { domain, join } from "./bytes.ts";

/** What the contracts need of a cryptographic library: libsodium under its published names. */
export interface Crypto {
	/** Ed25519 (RFC 8032). Total: a wrong length is `false`, never an exception. */
	verify(signature: Uint8Array, message: Uint8Array, publicKey: Uint8Array): boolean;
	/** Ed25519 with a 64-byte libsodium secret key; 64 bytes. */
	sign(message: Uint8Array, secretKey: Uint8Array): Uint8Array;
	/** The Ed25519 key pair of a 32-byte seed. */
	keyPair(seed: Uint8Array): KeyPair;
	/** BLAKE2b-256 (`crypto_generichash`), keyed if a 32-byte key is given. */
	hash(message: Uint8Array, key?: Uint8Array): Uint8Array;
	/** Bytes from the system's random source. */
	random(length: number): Uint8Array;
}

/** An Ed25519 key pair: 32 bytes public, 64 secret (seed and public key, as libsodium has it). */
export type KeyPair = { readonly publicKey: Uint8Array; readonly secretKey: Uint8Array };

export const SEED_BYTES = 32;
export const KEY_BYTES = 32;
export const SIGNATURE_BYTES = 64;
export const HASH_BYTES = 32;
export const TAB_BYTES = 16;
export const TAG_BYTES = 16;
export const NONCE_BYTES = 16;
export const TOKEN_BYTES = 16;
export const DEVICE_BYTES = 16;
export const KEY_ID_BYTES = 8;

/** Signs `body` for one purpose only. */
export function signFor(crypto: Crypto, what: string, body: Uint8Array, secretKey: Uint8Array): Uint8Array {
	return crypto.sign(join(domain(what), body), secretKey);
}

/** Checks a signature made by {@link signFor} for the same purpose. */
export function verifyFor(
	crypto: Crypto,
	what: string,
	body: Uint8Array,
	signature: Uint8Array,
	publicKey: Uint8Array,
): boolean {
	return crypto.verify(signature, join(domain(what), body), publicKey);
}

/** Hashes `body` for one purpose only. */
export function hashFor(crypto: Crypto, what: string, body: Uint8Array, key?: Uint8Array): Uint8Array {
	return crypto.hash(join(domain(what), body), key);
}

/** The session key of a tab: derived from the account's seed, so a restored phone has it again. */
export function sessionKey(crypto: Crypto, accountSeed: Uint8Array, tab: Uint8Array): KeyPair {
	return crypto.keyPair(hashFor(crypto, "session", tab, accountSeed));
}

/** The key of a person's mailbox at one relay: another relay sees another mailbox. */
export function mailboxKey(crypto: Crypto, accountSeed: Uint8Array, relay: Uint8Array): KeyPair {
	return crypto.keyPair(hashFor(crypto, "mailbox", relay, accountSeed));
}

/** The 32-byte seed of a person's X25519 key to which others seal (`crypto_box_seed_keypair`). */
export function sealSeed(crypto: Crypto, accountSeed: Uint8Array): Uint8Array {
	return hashFor(crypto, "seal", new Uint8Array(0), accountSeed);
}

/** The first eight bytes of a key's hash: names the key that signed a grant or a receipt. */
export function keyId(crypto: Crypto, publicKey: Uint8Array): Uint8Array {
	return hashFor(crypto, "key", publicKey).slice(0, KEY_ID_BYTES);
}

/** What a mailbox stores of its card's token, so that its disk does not hold the token itself. */
export function tokenHash(crypto: Crypto, token: Uint8Array): Uint8Array {
	return hashFor(crypto, "token", token);
}
