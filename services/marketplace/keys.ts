/**
 * The market's keys: a root, whose public half is the market's name, and online keys that it certifies for at most 30 days, which sign
 * grants and receipts (PROTOCOL.md, "The market's keys"). Here the root lies beside the online keys, readable by the market's own user
 * only; a root that is kept offline, where a stolen server cannot use it, comes with the tools for it (SECURITY.md).
 */

import { join } from "node:path";
import { fromHex, same, toHex } from "#contracts/bytes";
import { type Crypto, type KeyPair, SEED_BYTES } from "#contracts/identity";
import { LIMIT } from "#contracts/limit";
import { MARKET_KEY_BYTES, type MarketKey, readMarketKey, signMarketKey } from "#contracts/market";
import { isProblem, type Problem, problem } from "#contracts/problem";
import { readJson, writeJson } from "#host/replace";

/** What lies in a folder of keys. */
export type KeysSeen = { readonly market: Uint8Array; readonly newest: MarketKey | undefined };

/** Reads the keys in a folder and changes nothing; a problem when there are none, or not this market's. */
export async function lookAtKeys(crypto: Crypto, folder: string): Promise<KeysSeen | Problem> {
	if ((await readJson(join(folder, "root.json"))) === undefined)
		return problem("not-found", `There are no keys in ${folder}.`);
	const root = await openRoot(crypto, join(folder, "root.json"));
	if (isProblem(root)) return root;
	const online = await readOnline(crypto, join(folder, "online.json"), root);
	return isProblem(online) ? online : { market: root.publicKey, newest: online[0]?.certificate };
}

/** An online key is replaced when it has less than this left: longer than any grant, so a grant never outlives its key's certificate. */
export const RENEW_MS = 8 * 86_400_000;

/** A new key is published this long before it signs, so that relays know it when they see it. */
const PUBLISHED_MS = 3_600_000;

/** Certificates are published this long past their end: until the last receipt of the last grant can still be asked for. */
const KEPT_MS = LIMIT.grantMsMax + LIMIT.redeemGraceMs + 7 * 86_400_000;

/** The market's keys at work. */
export interface Keys {
	/** the root's public key */
	readonly market: Uint8Array;
	/** the key that signs now */
	online(nowMs: number): KeyPair;
	/** certificates to publish, newest first */
	certificates(): readonly MarketKey[];
	/** Makes the next online key when it is time, and forgets those that nothing needs any more; true when something changed. */
	renew(nowMs: number): Promise<boolean>;
}

type Online = { readonly pair: KeyPair; readonly seed: Uint8Array; readonly certificate: MarketKey };
type RootFile = { readonly seed: string };
type OnlineFile = readonly { readonly seed: string; readonly certificate: string }[];

/** Reads the keys in a folder, makes what is missing, and renews what is old. A file that is not the market's own is `data-corrupt`. */
export async function openKeys(crypto: Crypto, folder: string, nowMs: number): Promise<Keys | Problem> {
	const rootPath = join(folder, "root.json");
	const onlinePath = join(folder, "online.json");
	const root = await openRoot(crypto, rootPath);
	if (isProblem(root)) return root;
	const read = await readOnline(crypto, onlinePath, root);
	if (isProblem(read)) return read;
	let online = read;

	const keys: Keys = {
		market: root.publicKey,
		online: (atMs) => {
			const alive = online.filter(({ certificate: { fromMs, untilMs } }) => fromMs <= atMs && atMs < untilMs);
			const known = alive.find(({ certificate }) => certificate.fromMs + PUBLISHED_MS <= atMs) ?? alive.at(-1);
			if (!known) throw new Error("the market has no online key for this time");
			return known.pair;
		},
		certificates: () => online.map(({ certificate }) => certificate),
		renew: async (atMs) => {
			const kept = online.filter(({ certificate }) => certificate.untilMs + KEPT_MS > atMs);
			const newest = kept[0];
			const wanted = !newest || newest.certificate.untilMs - atMs < RENEW_MS || newest.certificate.fromMs > atMs;
			if (!wanted && kept.length === online.length) return false;
			const next = wanted ? [make(crypto, root, atMs), ...kept] : kept;
			const file: OnlineFile = next.map(({ seed, certificate }) => ({
				seed: toHex(seed),
				certificate: toHex(certificate.bytes),
			}));
			// on disk before it signs anything
			await writeJson(onlinePath, file);
			online = next;
			return true;
		},
	};
	await keys.renew(nowMs);
	return keys;
}

function make(crypto: Crypto, root: KeyPair, nowMs: number): Online {
	const seed = crypto.random(SEED_BYTES);
	const pair = crypto.keyPair(seed);
	return {
		pair,
		seed,
		certificate: signMarketKey(crypto, root, pair.publicKey, nowMs, nowMs + LIMIT.marketKeyMsMax),
	};
}

async function openRoot(crypto: Crypto, path: string): Promise<KeyPair | Problem> {
	const json = await readJson(path);
	if (json === undefined) {
		const seed = crypto.random(SEED_BYTES);
		await writeJson(path, { seed: toHex(seed) } satisfies RootFile);
		return crypto.keyPair(seed);
	}
	const seed = fromHex((json as RootFile | null)?.seed, SEED_BYTES);
	return seed ? crypto.keyPair(seed) : problem("data-corrupt", `${path} holds no key; restore it from a backup.`);
}

async function readOnline(crypto: Crypto, path: string, root: KeyPair): Promise<Online[] | Problem> {
	const json = await readJson(path);
	if (json === undefined) return [];
	const corrupt = problem("data-corrupt", `${path} does not hold this market's keys; restore it from a backup.`);
	if (!Array.isArray(json)) return corrupt;
	const online: Online[] = [];
	for (const entry of json as OnlineFile) {
		const seed = fromHex(entry?.seed, SEED_BYTES);
		const bytes = fromHex(entry?.certificate, MARKET_KEY_BYTES);
		const certificate = bytes && readMarketKey(crypto, bytes);
		if (!seed || !certificate || isProblem(certificate)) return corrupt;
		const pair = crypto.keyPair(seed);
		if (!same(certificate.key, pair.publicKey) || !same(certificate.market, root.publicKey)) return corrupt;
		online.push({ pair, seed, certificate });
	}
	return online;
}
