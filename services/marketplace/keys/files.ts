/**
 * How the market's keys lie in its folder: `root.json`, where the root is not offline; `online.json` with the online keys' seeds and certificates, which
 * can be copied to every machine of a market; and `ended.json`, the root's word on keys that ended before their time. What holds seeds is sealed
 * where there is a passphrase (`host/sealed.ts`).
 */

import { join } from "node:path";
import { fromHex, same, toHex } from "#contracts/bytes";
import { type Crypto, type KeyPair, SEED_BYTES } from "#contracts/identity";
import {
	KEY_END_BYTES,
	type KeyEnd,
	MARKET_KEY_BYTES,
	type MarketKey,
	readKeyEnd,
	readMarketKey,
} from "#contracts/market";
import { isProblem, type Problem, problem } from "#contracts/problem";
import { readIfThere, readJson, writeJson } from "#host/replace";
import { readSecret, writeSecret } from "#host/sealed";

/** Where a market's passphrase is given. */
const VARIABLE = "FARELAY_KEYS_PASSPHRASE";

/** An online key: with its seed where it signs from here, with its certificate once it has one. */
export type Held = {
	readonly key: Uint8Array;
	readonly own: { readonly pair: KeyPair; readonly seed: Uint8Array } | undefined;
	readonly certificate: MarketKey | undefined;
	/** since when its certificate has been here, to be published: Unix milliseconds */
	readonly sinceMs: number;
};

/** What lies in a folder of keys. */
export type KeyFolder = {
	readonly root: KeyPair | undefined;
	/** the newest first */
	readonly held: readonly Held[];
	readonly ends: readonly KeyEnd[];
	/** names of files whose seeds anybody can read who gets the file */
	readonly plain: readonly string[];
};

type RootFile = { readonly seed: string };
type OnlineFile = readonly {
	readonly seed: string | null;
	readonly certificate: string | null;
	readonly sinceMs?: number;
}[];

/** The paths of the files in a folder. */
export function keyPaths(folder: string): { readonly root: string; readonly online: string; readonly ended: string } {
	return { root: join(folder, "root.json"), online: join(folder, "online.json"), ended: join(folder, "ended.json") };
}

/** The market that the keys in a folder are of; undefined before the first certificate, where the root is elsewhere. */
export function marketOf({ root, held }: KeyFolder): Uint8Array | undefined {
	return root?.publicKey ?? held.find(({ certificate }) => certificate)?.certificate?.market;
}

/** Reads a folder, which may be empty. */
export async function readFolder(
	crypto: Crypto,
	folder: string,
	passphrase: string | undefined,
): Promise<KeyFolder | Problem> {
	const paths = keyPaths(folder);
	const plain: string[] = [];
	const root = await readRoot(crypto, paths.root, passphrase, VARIABLE, plain);
	if (isProblem(root)) return root;
	const secret = await readSecret(paths.online, passphrase, VARIABLE);
	if (isProblem(secret)) return secret;
	if (secret && !secret.sealed) plain.push("online.json");
	const held = secret ? readHeld(crypto, secret.json) : [];
	const foreign = (path: string) =>
		problem("data-corrupt", `${path} does not hold this market's keys; restore it from a backup.`);
	if (!held) return foreign(paths.online);
	const ends = readEnds(crypto, await readJson(paths.ended));
	if (!ends) return foreign(paths.ended);
	const found = { root, held: held.sort(byAge), ends, plain };
	const market = marketOf(found);
	const strange = (named: Uint8Array | undefined) => named && market && !same(named, market);
	if (held.some(({ certificate }) => strange(certificate?.market))) return foreign(paths.online);
	return ends.some((end) => strange(end.market)) ? foreign(paths.ended) : found;
}

/** The newest first; what has no certificate yet before all. */
function byAge(a: Held, b: Held): number {
	return (b.certificate?.fromMs ?? Number.MAX_SAFE_INTEGER) - (a.certificate?.fromMs ?? Number.MAX_SAFE_INTEGER);
}

/** Reads a root's file; its name is added to `plain` where it is not sealed. */
export async function readRoot(
	crypto: Crypto,
	path: string,
	passphrase: string | undefined,
	variable: string,
	plain: string[] = [],
): Promise<KeyPair | Problem | undefined> {
	const secret = await readSecret(path, passphrase, variable);
	if (secret === undefined || isProblem(secret)) return secret;
	const seed = fromHex((secret.json as RootFile | null)?.seed, SEED_BYTES);
	if (!seed) return problem("data-corrupt", `${path} holds no key; restore it from a backup.`);
	if (!secret.sealed) plain.push("root.json");
	return crypto.keyPair(seed);
}

/** Writes a root's file. A key pair's secret half begins with its seed. */
export async function writeRoot(path: string, root: KeyPair, passphrase: string | undefined): Promise<void> {
	const file: RootFile = { seed: toHex(root.secretKey.subarray(0, SEED_BYTES)) };
	await writeSecret(path, file, passphrase);
}

function readHeld(crypto: Crypto, json: unknown): Held[] | undefined {
	if (!Array.isArray(json)) return undefined;
	const held: Held[] = [];
	for (const entry of json as OnlineFile) {
		const seed = entry?.seed === null ? undefined : fromHex(entry?.seed, SEED_BYTES);
		const bytes = entry?.certificate === null ? undefined : fromHex(entry?.certificate, MARKET_KEY_BYTES);
		const certificate = bytes && readMarketKey(crypto, bytes);
		if (isProblem(certificate)) return undefined;
		if ((!seed && entry?.seed !== null) || (!certificate && entry?.certificate !== null)) return undefined;
		const own = seed && { seed, pair: crypto.keyPair(seed) };
		const key = own?.pair.publicKey ?? certificate?.key;
		if (!key || (certificate && !same(certificate.key, key))) return undefined;
		const sinceMs = entry.sinceMs ?? certificate?.fromMs ?? 0;
		if (!Number.isSafeInteger(sinceMs)) return undefined;
		held.push({ key, own, certificate, sinceMs });
	}
	return held;
}

/** Writes down the online keys. */
export async function writeHeld(folder: string, held: readonly Held[], passphrase: string | undefined): Promise<void> {
	const file: OnlineFile = held.map(({ own, certificate, sinceMs }) => ({
		seed: own ? toHex(own.seed) : null,
		certificate: certificate ? toHex(certificate.bytes) : null,
		sinceMs,
	}));
	await writeSecret(keyPaths(folder).online, file, passphrase);
}

function readEnds(crypto: Crypto, json: unknown): KeyEnd[] | undefined {
	if (json === undefined) return [];
	if (!Array.isArray(json)) return undefined;
	const ends: KeyEnd[] = [];
	for (const hex of json) {
		const bytes = fromHex(hex, KEY_END_BYTES);
		const end = bytes && readKeyEnd(crypto, bytes);
		if (!end || isProblem(end)) return undefined;
		ends.push(end);
	}
	return ends;
}

/** Writes down which keys have ended. */
export async function writeEnds(folder: string, ends: readonly KeyEnd[]): Promise<void> {
	await writeJson(
		keyPaths(folder).ended,
		ends.map(({ bytes }) => toHex(bytes)),
	);
}

/** What changes when anybody changes a file of a folder. */
export async function printOf(folder: string): Promise<string> {
	const parts = await Promise.all(Object.values(keyPaths(folder)).map((path) => readIfThere(path)));
	return parts.map((bytes) => (bytes ? Buffer.from(bytes).toString("base64") : "")).join(" ");
}
