/** An implementation of the cryptography, as the vectors need it: what the contracts take, and the four calls of libsodium that sealing adds. */
import sodium from "sodium-native";
import type { Crypto } from "#contracts/identity";
import { crypto } from "#host/crypto";
import { loadCrypto, loadSodium } from "#sdk/crypto";
import type { Sodium } from "#sdk/device";

/** What sealing takes of libsodium. */
export type Sealing = Pick<
	Sodium,
	| "crypto_aead_xchacha20poly1305_ietf_encrypt"
	| "crypto_aead_xchacha20poly1305_ietf_decrypt"
	| "crypto_box_seal_open"
	| "crypto_box_seed_keypair"
> & {
	/** `crypto_box_seal` with an ephemeral key that is given, so that a vector can say what comes of it. */
	sealWith(ephemeralSeed: Uint8Array, message: Uint8Array, publicKey: Uint8Array): Uint8Array;
};

export type Engine = { readonly crypto: Crypto; readonly sealing: Sealing };

const TAG_BYTES = 16;
const KEY_BYTES = 32;

/** The engine of clients. */
export async function wasmEngine(): Promise<Engine> {
	const wasm = await loadSodium();
	return {
		crypto: await loadCrypto(),
		sealing: {
			...wasm,
			sealWith(seed, message, to) {
				const { publicKey, privateKey } = wasm.crypto_box_seed_keypair(seed);
				const nonce = wasm.crypto_generichash(24, Uint8Array.from([...publicKey, ...to]), null);
				return Uint8Array.from([...publicKey, ...wasm.crypto_box_easy(message, nonce, to, privateKey)]);
			},
		},
	};
}

function keysOf(seed: Uint8Array) {
	const [publicKey, privateKey] = [Buffer.alloc(KEY_BYTES), Buffer.alloc(KEY_BYTES)];
	sodium.crypto_box_seed_keypair(publicKey, privateKey, Buffer.from(seed));
	return { publicKey, privateKey };
}

/** The engine of services; in the form of libsodium-wrappers, whose calls answer bytes and throw where something does not open. */
const native = {
	crypto_aead_xchacha20poly1305_ietf_encrypt(
		message: Uint8Array,
		ad: Uint8Array,
		_none: null,
		nonce: Uint8Array,
		key: Uint8Array,
	) {
		const sealed = Buffer.alloc(message.length + TAG_BYTES);
		sodium.crypto_aead_xchacha20poly1305_ietf_encrypt(
			sealed,
			Buffer.from(message),
			Buffer.from(ad),
			null,
			Buffer.from(nonce),
			Buffer.from(key),
		);
		return Uint8Array.from(sealed);
	},
	crypto_aead_xchacha20poly1305_ietf_decrypt(
		_none: null,
		sealed: Uint8Array,
		ad: Uint8Array,
		nonce: Uint8Array,
		key: Uint8Array,
	) {
		if (sealed.length < TAG_BYTES) throw new Error("too short");
		const message = Buffer.alloc(sealed.length - TAG_BYTES);
		sodium.crypto_aead_xchacha20poly1305_ietf_decrypt(
			message,
			null,
			Buffer.from(sealed),
			Buffer.from(ad),
			Buffer.from(nonce),
			Buffer.from(key),
		);
		return Uint8Array.from(message);
	},
	crypto_box_seal_open(sealed: Uint8Array, publicKey: Uint8Array, privateKey: Uint8Array) {
		const message = Buffer.alloc(Math.max(0, sealed.length - KEY_BYTES - TAG_BYTES));
		const [box, open, secret] = [Buffer.from(sealed), Buffer.from(publicKey), Buffer.from(privateKey)];
		if (!sodium.crypto_box_seal_open(message, box, open, secret)) throw new Error("does not open");
		return Uint8Array.from(message);
	},
	crypto_box_seed_keypair(seed: Uint8Array) {
		const { publicKey, privateKey } = keysOf(seed);
		return { publicKey: Uint8Array.from(publicKey), privateKey: Uint8Array.from(privateKey), keyType: "x25519" };
	},
	sealWith(seed: Uint8Array, message: Uint8Array, to: Uint8Array) {
		const { publicKey, privateKey } = keysOf(seed);
		const nonce = Buffer.alloc(24);
		sodium.crypto_generichash(nonce, Buffer.concat([publicKey, to]));
		const box = Buffer.alloc(message.length + TAG_BYTES);
		sodium.crypto_box_easy(box, Buffer.from(message), nonce, Buffer.from(to), privateKey);
		return Uint8Array.from([...publicKey, ...box]);
	},
};

export const nativeEngine: Engine = { crypto, sealing: native as unknown as Sealing };
