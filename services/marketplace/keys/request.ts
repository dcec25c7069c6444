/**
 * What happens on the online machine where the root is elsewhere: it makes online keys and asks the root for their certificates by a file, and takes
 * what the root signed. Nothing secret leaves it.
 */

import { fromHex, same, toHex } from "#contracts/bytes";
import { type Crypto, KEY_BYTES, SEED_BYTES, SIGNATURE_BYTES, signFor, verifyFor } from "#contracts/identity";
import { isProblem, type Problem, problem } from "#contracts/problem";
import { readJson, writeJson } from "#host/replace";
import { type Held, marketOf, readFolder, writeEnds, writeHeld } from "./files.ts";
import { KEPT_MS, KEYS_MAX } from "./keys.ts";
import type { Signed } from "./root.ts";

/** Keys asked for at once: each covers three weeks, and all of them are stolen with the machine. */
export const REQUEST_MAX = 6;

/** What such a signature is for. */
const WHAT = "market-key-request";

type RequestFile = {
	readonly farelay: "market-key-request/1";
	readonly keys: readonly { readonly key: string; readonly proof: string }[];
};

/** Makes keys that have no certificate yet, or finds those that were made before, and writes down the request for them. */
export async function requestKeys(
	crypto: Crypto,
	folder: string,
	count: number,
	passphrase: string | undefined,
	to: string,
): Promise<readonly Uint8Array[] | Problem> {
	const found = await readFolder(crypto, folder, passphrase);
	if (isProblem(found)) return found;
	if (found.root)
		return problem(
			"conflict",
			"The root lies with this market, which certifies its keys by itself. Take it offline first: farelay market keys root.",
		);
	const waiting = found.held.filter(({ certificate }) => !certificate);
	const fresh = Array.from({ length: Math.max(0, count - waiting.length) }, (): Held => {
		const seed = crypto.random(SEED_BYTES);
		const pair = crypto.keyPair(seed);
		return { key: pair.publicKey, own: { pair, seed }, certificate: undefined, sinceMs: 0 };
	});
	if (fresh.length > 0) await writeHeld(folder, [...found.held, ...fresh], passphrase);
	const asked = [...waiting, ...fresh].slice(0, count);
	const keys = asked.flatMap(({ key, own }) =>
		own ? [{ key: toHex(key), proof: toHex(signFor(crypto, WHAT, key, own.pair.secretKey)) }] : [],
	);
	await writeJson(to, { farelay: "market-key-request/1", keys } satisfies RequestFile);
	return asked.map(({ key }) => key);
}

/** Reads a request: each key signed for itself, so that nobody's else is certified. */
export async function readRequest(crypto: Crypto, path: string): Promise<readonly Uint8Array[] | Problem> {
	const json = (await readJson(path)) as RequestFile | null | undefined;
	if (json === undefined) return problem("not-found", `There is no file at ${path}.`);
	const none = problem("malformed", `${path} is not a request for certificates.`);
	if (json?.farelay !== "market-key-request/1" || !Array.isArray(json.keys)) return none;
	if (json.keys.length === 0 || json.keys.length > REQUEST_MAX) return none;
	const keys: Uint8Array[] = [];
	for (const line of json.keys) {
		const key = fromHex(line?.key, KEY_BYTES);
		const proof = fromHex(line?.proof, SIGNATURE_BYTES);
		if (!key || !proof) return none;
		if (!verifyFor(crypto, WHAT, key, proof, key))
			return problem("signature-bad", `A key in ${path} did not sign for itself.`);
		keys.push(key);
	}
	return keys;
}

/** Takes what the root signed: certificates for keys of ours and of other machines, and ends. What is there already stays. */
export async function takeSigned(
	crypto: Crypto,
	folder: string,
	signed: Signed,
	passphrase: string | undefined,
	nowMs: number,
): Promise<{ readonly market: Uint8Array; readonly keys: number; readonly ends: number } | Problem> {
	const found = await readFolder(crypto, folder, passphrase);
	if (isProblem(found)) return found;
	const market = signed.keys[0]?.market ?? signed.ends[0]?.market;
	if (!market) return problem("malformed", "There is nothing in that file.");
	const own = marketOf(found);
	if (own && !same(own, market)) return problem("grant-unknown-market", "That was signed by another market's root.");
	if (!own && !signed.keys.some(({ key }) => found.held.some((held) => same(held.key, key))))
		return problem("not-found", "That has no certificate for a key that was made here.");
	const kept = found.held.filter(({ certificate }) => !certificate || certificate.untilMs + KEPT_MS > nowMs);
	let held: readonly Held[] = kept;
	let keys = 0;
	for (const certificate of signed.keys) {
		const known = held.find(({ key }) => same(key, certificate.key));
		if (known?.certificate) continue;
		keys++;
		const next: Held = { key: certificate.key, own: known?.own, certificate, sinceMs: nowMs };
		held = [next, ...held.filter((one) => one !== known)];
	}
	const ends = signed.ends.filter((end) => !found.ends.some(({ key }) => same(key, end.key)));
	// ends first: a machine that dies in between knows at least what it must not trust
	if (ends.length > 0) {
		const needed = found.ends.filter((end) => kept.some(({ key }) => same(key, end.key)));
		await writeEnds(folder, [...ends, ...needed].slice(0, KEYS_MAX));
	}
	if (keys > 0 || held.length < found.held.length) await writeHeld(folder, held, passphrase);
	return { market, keys, ends: ends.length };
}
