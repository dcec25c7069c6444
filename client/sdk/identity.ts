/**
 * Who someone is: one 32-byte seed, and every key derived from it (PROTOCOL.md, "Keys"). Whoever has the seed has the
 * money and the mail; nothing else needs to be backed up.
 */

import { fromHex, toHex } from "#contracts/bytes";
import { hashFor, type KeyPair, mailboxKey, SEED_BYTES, sealSeed, sessionKey } from "#contracts/identity";
import { type Problem, problem } from "#contracts/problem";
import type { Device } from "./device.ts";

export type Identity = {
	readonly seed: Uint8Array;
	/** Ed25519: the account with a balance, and the name that others know. */
	readonly account: KeyPair;
	/** X25519: what others seal to. */
	readonly seal: KeyPair;
	/** The key of the mailbox at a relay. */
	mailbox(relay: Uint8Array): KeyPair;
	/** The key that signs for a tab. */
	session(tab: Uint8Array): KeyPair;
};

/** The identity of a seed. @throws RangeError when it is not 32 bytes. */
export function identityOf({ crypto, sodium }: Pick<Device, "crypto" | "sodium">, seed: Uint8Array): Identity {
	if (seed.length !== SEED_BYTES) throw new RangeError("a seed has 32 bytes");
	const seal = sodium.crypto_box_seed_keypair(sealSeed(crypto, seed));
	return {
		seed: seed.slice(),
		account: crypto.keyPair(seed),
		seal: { publicKey: seal.publicKey, secretKey: seal.privateKey },
		mailbox: (relay) => mailboxKey(crypto, seed, relay),
		session: (tab) => sessionKey(crypto, seed, tab),
	};
}

/** A new identity, from the device's chance. */
export function createIdentity(device: Pick<Device, "crypto" | "sodium">): Identity {
	return identityOf(device, device.crypto.random(SEED_BYTES));
}

const SCHEME = "farelay-seed:";
const CHECK_BYTES = 4;

function check({ crypto }: Pick<Device, "crypto">, seed: Uint8Array): string {
	return toHex(hashFor(crypto, "seed-check", seed).slice(0, CHECK_BYTES));
}

/** The seed as a line to keep safe: `farelay-seed:`, 64 hex digits and 8 that catch a slip of the pen. */
export function exportIdentity(device: Pick<Device, "crypto">, identity: Identity): string {
	return `${SCHEME}${toHex(identity.seed)}${check(device, identity.seed)}`;
}

/** The identity of a line made by {@link exportIdentity}. */
export function restoreIdentity(device: Pick<Device, "crypto" | "sodium">, line: string): Identity | Problem {
	const written = line.trim().toLowerCase();
	const hex = written.startsWith(SCHEME) ? written.slice(SCHEME.length) : "";
	const seed = fromHex(hex.slice(0, SEED_BYTES * 2), SEED_BYTES);
	if (!seed || hex.slice(SEED_BYTES * 2) !== check(device, seed))
		return problem("malformed", "That is not the line of an account, or it has a slip in it.");
	return identityOf(device, seed);
}
