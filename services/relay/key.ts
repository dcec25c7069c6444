/** The relay's own key: a seed of 32 bytes in its data folder that only its owner can read. Made at the first start. */

import { closeSync, fsyncSync, mkdirSync, openSync, readFileSync, renameSync, writeSync } from "node:fs";
import { dirname, join } from "node:path";
import { type Crypto, type KeyPair, SEED_BYTES } from "#contracts/identity";
import { isProblem, type Problem, problem } from "#contracts/problem";

/** Reads the key, or makes it; without a folder it is a new one each time. */
export function openRelayKey(crypto: Crypto, folder: string | undefined): KeyPair | Problem {
	const seed = openRelaySeed(crypto, folder);
	return isProblem(seed) ? seed : crypto.keyPair(seed);
}

/** The seed of the key, as the file holds it. */
export function openRelaySeed(crypto: Crypto, folder: string | undefined): Uint8Array | Problem {
	if (folder === undefined) return crypto.random(SEED_BYTES);
	const path = join(folder, "relay.key");
	try {
		mkdirSync(folder, { recursive: true, mode: 0o700 });
		const seed = read(path) ?? make(path, crypto.random(SEED_BYTES));
		if (seed.length !== SEED_BYTES) return problem("data-corrupt", `The key in ${path} is not 32 bytes.`);
		return seed;
	} catch (error) {
		const code = error instanceof Error && "code" in error ? String(error.code) : "unknown";
		return problem("disk", `The relay's key ${path} can be neither read nor made (${code}).`);
	}
}

function read(path: string): Uint8Array | undefined {
	try {
		return new Uint8Array(readFileSync(path));
	} catch (error) {
		if (error instanceof Error && "code" in error && error.code === "ENOENT") return undefined;
		throw error;
	}
}

/** On disk whole before it takes its name: a crash in between must not leave half a key, with which no relay would start. */
function make(path: string, seed: Uint8Array): Uint8Array {
	const file = openSync(`${path}.new`, "w", 0o600);
	try {
		writeSync(file, seed);
		fsyncSync(file);
	} finally {
		closeSync(file);
	}
	renameSync(`${path}.new`, path);
	const folder = openSync(dirname(path), "r");
	try {
		fsyncSync(folder);
	} finally {
		closeSync(folder);
	}
	return seed;
}
