/**
 * The contracts' cryptography on libsodium-wrappers (WASM), for browsers, phones and Node from one source.
 * Its twin for services is `services/host/crypto.ts`; both pass `contracts/vectors`.
 */

import sodium from "libsodium-wrappers";
import type { Crypto } from "#contracts/identity";

const hashBytes = 32;

/** Loads libsodium once; what needs more than {@link Crypto} (sealing) takes the library itself. */
export async function loadSodium(): Promise<typeof sodium> {
	await sodium.ready;
	return sodium;
}

/** libsodium in WASM. `verify` is total: the library throws on a wrong length, so lengths are looked at first. */
export async function loadCrypto(): Promise<Crypto> {
	const library = await loadSodium();
	return {
		verify(signature, message, publicKey) {
			if (signature.length !== library.crypto_sign_BYTES || publicKey.length !== library.crypto_sign_PUBLICKEYBYTES)
				return false;
			return library.crypto_sign_verify_detached(signature, message, publicKey);
		},
		sign: (message, secretKey) => library.crypto_sign_detached(message, secretKey),
		keyPair(seed) {
			const { publicKey, privateKey } = library.crypto_sign_seed_keypair(seed);
			return { publicKey, secretKey: privateKey };
		},
		hash: (message, key) => library.crypto_generichash(hashBytes, message, key ?? null),
		random: (length) => library.randombytes_buf(length),
	};
}
