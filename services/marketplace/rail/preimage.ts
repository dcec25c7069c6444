/** The secret that makes a deposit's invoice: derived from the deposit's id, so that the same deposit is the same invoice for ever. */

import { createHash, createHmac, randomBytes } from "node:crypto";
import { fromHex, toHex } from "#contracts/bytes";
import { type Problem, problem } from "#contracts/problem";
import { readJson, writeJson } from "#host/replace";

const KEY_BYTES = 32;

/** Reads the key in a file, or makes it. Whoever has it can take payments on their way to us: it stays on the market's machine. */
export async function openPreimageKey(path: string): Promise<Uint8Array | Problem> {
	const json = await readJson(path);
	if (json === undefined) {
		const key = randomBytes(KEY_BYTES);
		await writeJson(path, { key: toHex(key) });
		return key;
	}
	const key = fromHex((json as { key?: string } | null)?.key, KEY_BYTES);
	return key ?? problem("data-corrupt", `${path} holds no key; restore it from a backup.`);
}

/** The preimage of a deposit, and its hash in hex, which is the deposit's reference. */
export function preimageOf(key: Uint8Array, id: string): { readonly preimage: Buffer; readonly hash: string } {
	const preimage = createHmac("sha256", key).update(`farelay deposit\0${id}`).digest();
	return { preimage, hash: createHash("sha256").update(preimage).digest("hex") };
}
