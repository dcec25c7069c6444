/**
 * The secret behind the market's oblivious functions: 32 bytes in `oblivious.json` beside the other keys, sealed where there is a passphrase, from which each
 * function's key follows. All processes of a market have the same file; what they say of it is held against the book, for two secrets would know one person as two.
 */

import { join } from "node:path";
import { fromHex, join as joinBytes, toHex } from "#contracts/bytes";
import { type Crypto, hashFor, SEED_BYTES } from "#contracts/identity";
import { isProblem, type Problem, problem } from "#contracts/problem";
import { readSecret, writeSecret } from "#host/sealed";
import type { Board } from "#marketplace/board/board";

const VARIABLE = "FARELAY_KEYS_PASSPHRASE";
const NOTE = "oblivious-secret";

/** Reads the secret in a folder of keys; makes it where there is none and the market never had one. */
export async function openObliviousSecret(
	crypto: Crypto,
	folder: string,
	passphrase: string | undefined,
	board: Pick<Board, "note" | "writeNote">,
): Promise<Uint8Array | Problem> {
	const path = join(folder, "oblivious.json");
	const found = await readSecret(path, passphrase, VARIABLE);
	if (isProblem(found)) return found;
	const known = await board.note(NOTE);
	if (!found) {
		if (known)
			return problem(
				"not-found",
				`${path} is missing: copy it from where this market's keys are. With another one, people who were enrolled could be enrolled again.`,
			);
		const seed = crypto.random(SEED_BYTES);
		await writeSecret(path, { seed: toHex(seed) }, passphrase);
		return await hold(seed);
	}
	const seed = fromHex((found.json as { readonly seed?: unknown } | null)?.seed, SEED_BYTES);
	if (!seed) return problem("data-corrupt", `${path} holds no secret; restore it from a backup.`);
	// a file of before there was a passphrase
	if (passphrase !== undefined && !found.sealed) await writeSecret(path, { seed: toHex(seed) }, passphrase);
	return await hold(seed);

	/** Two processes that start at once have made two: one of them is told. */
	async function hold(seed: Uint8Array): Promise<Uint8Array | Problem> {
		const print = toHex(hashFor(crypto, "oblivious-secret", joinBytes(seed)));
		const note =
			(await board.note(NOTE)) ?? ((await board.writeNote(NOTE, 0, print)) ? { text: print } : await board.note(NOTE));
		if (note?.text === print) return seed;
		return problem("data-corrupt", `${path} is not the one of this market's other processes; copy theirs here.`);
	}
}
