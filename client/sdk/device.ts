/**
 * What the SDK takes from the machine that it runs on: time, chance, network, storage. All are arguments, so that a test
 * can hold them and a browser, a phone and Node can each bring their own.
 */

import { SUBPROTOCOL } from "#contracts/frame";
import type { Crypto } from "#contracts/identity";
import { loadCrypto, loadSodium } from "./crypto.ts";
import { installOf } from "./install.ts";
import type { NetworkKind } from "./keepalive.ts";
import type { Storage } from "./storage.ts";

/** libsodium itself, for what {@link Crypto} does not cover: sealing, files, hashing in pieces. */
export type Sodium = Awaited<ReturnType<typeof loadSodium>>;

/** The part of it that encrypts chunks and published cards. */
export type Aead = Pick<
	Sodium,
	"crypto_aead_xchacha20poly1305_ietf_encrypt" | "crypto_aead_xchacha20poly1305_ietf_decrypt"
>;

/** The part of a browser's WebSocket that is used; Node's own and the `ws` package's both fit. */
export interface Socket {
	binaryType: string;
	onopen: ((event: never) => void) | null;
	onmessage: ((event: { data: unknown }) => void) | null;
	onclose: ((event: never) => void) | null;
	onerror: ((event: never) => void) | null;
	send(data: Uint8Array<ArrayBuffer>): void;
	close(): void;
}

export interface Device {
	readonly crypto: Crypto;
	readonly sodium: Sodium;
	readonly storage: Storage;
	/** What tells this installation from others of the account ({@link installOf}). */
	readonly install: Uint8Array;
	/** This machine's clock, Unix milliseconds. May be wrong: each relay's answer corrects it for that relay. */
	nowMs(): number;
	/** Runs something later; the answer takes it back. */
	after(delayMs: number, run: () => void): () => void;
	/** Opens a WebSocket with the subprotocol of {@link SUBPROTOCOL}. */
	connect(url: string): Socket;
	readonly fetch: typeof fetch;
	/** What the machine hangs on now; its name tells it from others of its kind, and may be empty where nobody says one. */
	network(): { readonly kind: NetworkKind; readonly name: string };
}

/** A timer of more than this fires at once; longer waits are made of several. */
const TIMER_MS_MAX = 2 ** 31 - 1;

/** A device of what every modern runtime has, with what is given put over it. */
export async function device(given: { storage: Storage } & Partial<Device>): Promise<Device> {
	const crypto = given.crypto ?? (await loadCrypto());
	return {
		crypto,
		install: given.install ?? (await installOf(crypto, given.storage)),
		sodium: await loadSodium(),
		nowMs: () => Date.now(),
		after(delayMs, run) {
			let leftMs = Math.max(0, delayMs);
			let timer: ReturnType<typeof setTimeout>;
			const arm = () => {
				const spanMs = Math.min(leftMs, TIMER_MS_MAX);
				leftMs -= spanMs;
				timer = setTimeout(leftMs > 0 ? arm : run, spanMs);
			};
			arm();
			return () => clearTimeout(timer);
		},
		connect: (url) => new WebSocket(url, SUBPROTOCOL) as unknown as Socket,
		fetch: (...words) => fetch(...words),
		network: () => ({ kind: connectionKind(), name: "" }),
		...given,
	};
}

/** What a browser says of its connection, where it says anything. */
function connectionKind(): NetworkKind {
	const { connection } = (globalThis.navigator ?? {}) as { connection?: { type?: unknown } };
	return connection?.type === "cellular" || connection?.type === "wifi" ? connection.type : "unknown";
}
