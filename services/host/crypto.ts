/**
 * The contracts' cryptography on sodium-native, for services: half the time of WASM for a verify, and no start-up.
 * Its twin for clients is `client/sdk/crypto.ts`; both pass `contracts/vectors`.
 */

import sodium from "sodium-native";
import type { Crypto } from "#contracts/identity";

const hashBytes = 32;

/** libsodium, native. `verify` is total: sodium-native throws on a wrong length, so lengths are looked at first. */
export const crypto: Crypto = {
	verify(signature, message, publicKey) {
		if (signature.length !== sodium.crypto_sign_BYTES || publicKey.length !== sodium.crypto_sign_PUBLICKEYBYTES)
			return false;
		return sodium.crypto_sign_verify_detached(buffer(signature), buffer(message), buffer(publicKey));
	},
	sign(message, secretKey) {
		const signature = Buffer.alloc(sodium.crypto_sign_BYTES);
		sodium.crypto_sign_detached(signature, buffer(message), buffer(secretKey));
		return plain(signature);
	},
	keyPair(seed) {
		const publicKey = Buffer.alloc(sodium.crypto_sign_PUBLICKEYBYTES);
		const secretKey = Buffer.alloc(sodium.crypto_sign_SECRETKEYBYTES);
		sodium.crypto_sign_seed_keypair(publicKey, secretKey, buffer(seed));
		return { publicKey: plain(publicKey), secretKey: plain(secretKey) };
	},
	hash(message, key) {
		const digest = Buffer.alloc(hashBytes);
		if (key) sodium.crypto_generichash(digest, buffer(message), buffer(key));
		else sodium.crypto_generichash(digest, buffer(message));
		return plain(digest);
	},
	random(length) {
		const bytes = Buffer.alloc(length);
		sodium.randombytes_buf(bytes);
		return plain(bytes);
	},
};

/** A Buffer over the same memory: sodium-native's types ask for one. */
function buffer(bytes: Uint8Array): Buffer {
	return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}

/** A plain Uint8Array over the same memory, so that nothing past this door depends on Node. */
function plain(bytes: Buffer): Uint8Array {
	return new Uint8Array(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}
