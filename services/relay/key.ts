/** The relay's own key: a seed of 32 bytes in its data folder that only its owner can read. Made at the first start. */

import { join } from "node:path";
import { type Crypto, type KeyPair, SEED_BYTES } from "#contracts/identity";
import { isProblem, type Problem, problem } from "#contracts/problem";
import { readIfThere, replaceFile } from "#host/replace";

/** Reads the key, or makes it; without a folder it is a new one each time. */
export async function openRelayKey(crypto: Crypto, folder: string | undefined): Promise<KeyPair | Problem> {
	const seed = await openRelaySeed(crypto, folder);
	return isProblem(seed) ? seed : crypto.keyPair(seed);
}

/** The seed of the key, as the file holds it. */
export async function openRelaySeed(crypto: Crypto, folder: string | undefined): Promise<Uint8Array | Problem> {
	if (folder === undefined) return crypto.random(SEED_BYTES);
	const path = join(folder, "relay.key");
	try {
		let seed = await readIfThere(path);
		if (!seed) {
			seed = crypto.random(SEED_BYTES);
			await replaceFile(path, seed);
		}
		if (seed.length !== SEED_BYTES) return problem("data-corrupt", `The key in ${path} is not 32 bytes.`);
		return seed;
	} catch (error) {
		const code = error instanceof Error && "code" in error ? String(error.code) : "unknown";
		return problem("disk", `The relay's key ${path} can be neither read nor made (${code}).`);
	}
}
