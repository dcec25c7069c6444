/**
 * What happens on the offline machine: a root is made, certifies online keys by a request file, and ends them when they were stolen. Beside the root's
 * file lies a record of all that it signed, which is also what the online machine is given: certificates and ends, nothing secret, each checked by its
 * signature.
 */

import { fromHex, same, toHex } from "#contracts/bytes";
import { type Crypto, type KeyPair, SEED_BYTES } from "#contracts/identity";
import { LIMIT } from "#contracts/limit";
import {
	KEY_END_BYTES,
	type KeyEnd,
	MARKET_KEY_BYTES,
	type MarketKey,
	readKeyEnd,
	readMarketKey,
	signKeyEnd,
	signMarketKey,
} from "#contracts/market";
import { isProblem, type Problem, problem } from "#contracts/problem";
import { readIfThere, readJson, writeJson } from "#host/replace";
import { refusePassphrase } from "#host/sealed";
import { readRoot, writeRoot } from "./files.ts";
import { KEPT_MS, KEYS_MAX, RENEW_MS } from "./keys.ts";

/** Where the passphrase of an offline root is given. */
const VARIABLE = "FARELAY_ROOT_PASSPHRASE";

/** All that a root signed and somebody may still need, the newest first. */
export type Signed = { readonly keys: readonly MarketKey[]; readonly ends: readonly KeyEnd[] };

type SignedFile = {
	readonly farelay: "market-keys/1";
	readonly keys: readonly string[];
	readonly ended: readonly string[];
};

/** Where the record of a root lies. */
export function recordPath(rootPath: string): string {
	return `${rootPath}.signed.json`;
}

/** Reads a file of what a root signed; nothing was signed where there is none. */
export async function readSigned(crypto: Crypto, path: string): Promise<Signed | Problem> {
	const json = (await readJson(path)) as SignedFile | null | undefined;
	if (json === undefined) return { keys: [], ends: [] };
	const none = problem("data-corrupt", `${path} is not what a market's root signed.`);
	if (json?.farelay !== "market-keys/1" || !Array.isArray(json.keys) || !Array.isArray(json.ended)) return none;
	if (json.keys.length > KEYS_MAX || json.ended.length > KEYS_MAX) return none;
	const bytesOf = (hex: unknown, length: number) => fromHex(hex, length) ?? new Uint8Array();
	const keys = allSound(json.keys.map((hex) => readMarketKey(crypto, bytesOf(hex, MARKET_KEY_BYTES))));
	const ends = allSound(json.ended.map((hex) => readKeyEnd(crypto, bytesOf(hex, KEY_END_BYTES))));
	if (!keys || !ends) return none;
	const market = keys[0]?.market ?? ends[0]?.market;
	return [...keys, ...ends].some((one) => market && !same(one.market, market)) ? none : { keys, ends };
}

function allSound<T>(read: readonly (T | Problem)[]): T[] | undefined {
	const sound = read.filter((one): one is T => !isProblem(one));
	return sound.length === read.length ? sound : undefined;
}

/** Writes a file of what a root signed. */
export async function writeSigned(path: string, signed: Signed): Promise<void> {
	const file: SignedFile = {
		farelay: "market-keys/1",
		keys: signed.keys.map(({ bytes }) => toHex(bytes)),
		ended: signed.ends.map(({ bytes }) => toHex(bytes)),
	};
	await writeJson(path, file);
}

/** Makes a root's file, always sealed: a new root, or one that lay with its market until now. An existing file is never replaced. */
export async function makeRoot(
	crypto: Crypto,
	path: string,
	passphrase: string | undefined,
	from?: KeyPair,
): Promise<KeyPair | Problem> {
	if (passphrase === undefined)
		return problem("usage", `A root is sealed: give its passphrase by ${VARIABLE}_FILE or ${VARIABLE}.`);
	const weak = refusePassphrase(passphrase);
	if (weak) return weak;
	if (await readIfThere(path)) return problem("conflict", `${path} exists; it is not written over.`);
	const root = from ?? crypto.keyPair(crypto.random(SEED_BYTES));
	await writeRoot(path, root, passphrase);
	return root;
}

/** Opens a root's file. */
export async function openRoot(
	crypto: Crypto,
	path: string,
	passphrase: string | undefined,
): Promise<KeyPair | Problem> {
	const root = await readRoot(crypto, path, passphrase, VARIABLE);
	return root ?? problem("not-found", `There is no root at ${path}.`);
}

/**
 * Certifies the keys of a request, one after the other: each begins eight days before the last that lives ends, and lives thirty. One that was certified
 * before stays as it is.
 */
export function certify(
	crypto: Crypto,
	root: KeyPair,
	signed: Signed,
	asked: readonly Uint8Array[],
	nowMs: number,
): Signed | Problem {
	const ended = (key: Uint8Array) => signed.ends.some((end) => same(end.key, key));
	let keys = signed.keys.filter(({ untilMs }) => untilMs + KEPT_MS > nowMs);
	for (const key of asked) {
		if (ended(key)) return problem("conflict", "The request has a key that was ended; make a new request.");
		if (keys.some((known) => same(known.key, key))) continue;
		const lastMs = Math.max(0, ...keys.filter((known) => !ended(known.key)).map(({ untilMs }) => untilMs));
		const fromMs = Math.max(nowMs, lastMs - RENEW_MS);
		keys = [signMarketKey(crypto, root, key, fromMs, fromMs + LIMIT.marketKeyMsMax), ...keys];
	}
	if (keys.length > KEYS_MAX)
		return problem("too-many", `A market publishes at most ${KEYS_MAX} certificates; ask for fewer, later.`);
	return { keys, ends: signed.ends };
}

/** Ends keys at once: those named, or all that could still sign. A key has one end. */
export function endKeys(
	crypto: Crypto,
	root: KeyPair,
	signed: Signed,
	named: readonly Uint8Array[] | undefined,
	nowMs: number,
): Signed | Problem {
	const chosen = signed.keys.filter(({ key, untilMs }) =>
		named ? named.some((one) => same(one, key)) : untilMs > nowMs,
	);
	if (chosen.length === 0 || (named && chosen.length < named.length))
		return problem("not-found", "The root certified no such key; its record says which it did.");
	const fresh = chosen.filter(({ key }) => !signed.ends.some((end) => same(end.key, key)));
	// what was to begin later never begins
	const ends = fresh.map(({ key }) => signKeyEnd(crypto, root, key, nowMs));
	// an end is needed for as long as its certificate is
	const kept = signed.ends.filter((end) => signed.keys.some(({ key }) => same(key, end.key)));
	return { keys: signed.keys, ends: [...ends, ...kept] };
}
