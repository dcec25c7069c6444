/**
 * The market's keys at work: a root, whose public half is the market's name, and online keys that it certifies for at most 30 days, which
 * sign grants and receipts (PROTOCOL.md, "The market's keys"). Where the root is offline, as it should be, certificates are brought from it
 * (`root.ts`, `request.ts`); where it lies beside the online keys, for convenience, the market certifies them by itself.
 */

import { same } from "#contracts/bytes";
import { type Crypto, type KeyPair, SEED_BYTES } from "#contracts/identity";
import { LIMIT } from "#contracts/limit";
import { type KeyEnd, type MarketKey, signMarketKey, withEnds } from "#contracts/market";
import { isProblem, type Problem, problem } from "#contracts/problem";
import { refusePassphrase } from "#host/sealed";
import { BookFailure } from "#marketplace/ledger/book";
import { type Held, type KeyFolder, keyPaths, marketOf, printOf, readFolder, writeHeld, writeRoot } from "./files.ts";

/** What lies in a folder of keys, for whoever looks after it. */
export type KeysSeen = {
	readonly market: Uint8Array;
	/** the newest that may sign from here, as its certificate and its end have it */
	readonly newest: MarketKey | undefined;
	/** whether the root lies there too */
	readonly root: boolean;
	readonly plain: readonly string[];
};

/** Reads the keys in a folder and changes nothing; a problem when there are none, or not this market's. */
export async function lookAtKeys(crypto: Crypto, folder: string, passphrase?: string): Promise<KeysSeen | Problem> {
	const found = await readFolder(crypto, folder, passphrase);
	if (isProblem(found)) return found;
	const market = marketOf(found);
	if (!market) return problem("not-found", `There are no keys in ${folder}.`);
	const [newest] = signing(found).map(({ certificate }) => certificate);
	return { market, newest, root: found.root !== undefined, plain: found.plain };
}

/** An online key is replaced when it has less than this left: longer than any grant, so a grant never outlives its key's certificate. */
export const RENEW_MS = 8 * 86_400_000;

/** A new key is published this long before it signs, so that relays know it when they see it. */
const PUBLISHED_MS = 3_600_000;

/** Certificates are published this long past their end: until the last receipt of the last grant can still be asked for. */
export const KEPT_MS = LIMIT.grantMsMax + LIMIT.redeemGraceMs + 7 * 86_400_000;

/** As many as a market's description may hold: the newest. */
export const KEYS_MAX = 16;

/** The market's keys at work. */
export interface Keys {
	/** the root's public key */
	readonly market: Uint8Array;
	/** The key that signs now. @throws BookFailure `unavailable` when none may. */
	online(nowMs: number): KeyPair;
	/** certificates to publish, newest first */
	certificates(): readonly MarketKey[];
	/** what to publish of keys that ended before their time */
	ends(): readonly KeyEnd[];
	/**
	 * Takes up what was changed in the folder, makes the next online key when it is time and the root is here, and forgets what nothing needs any more.
	 * A problem when the folder does not hold what it should: then the keys stay as they are.
	 */
	renew(nowMs: number): Promise<Problem | undefined>;
	/** What their owner should know, in words; undefined when there is nothing. */
	warning(nowMs: number): string | undefined;
}

type Signing = { readonly pair: KeyPair; readonly certificate: MarketKey; readonly sinceMs: number };

/** The keys that can sign from here, each with its certificate as it ends. */
function signing({ held, ends }: KeyFolder): Signing[] {
	return held.flatMap(({ own, certificate, sinceMs }) => {
		const [ended] = certificate ? withEnds([certificate], ends) : [];
		return own && ended ? [{ pair: own.pair, certificate: ended, sinceMs }] : [];
	});
}

/** Until when a key lives. */
function endOf({ untilMs, endedAtMs = untilMs }: MarketKey): number {
	return endedAtMs;
}

/** Reads the keys in a folder, makes what is missing, and renews what is old. A file that is not the market's own is `data-corrupt`. */
export async function openKeys(
	crypto: Crypto,
	folder: string,
	nowMs: number,
	passphrase?: string,
): Promise<Keys | Problem> {
	const weak = passphrase === undefined ? undefined : refusePassphrase(passphrase);
	if (weak) return weak;
	let print = await printOf(folder);
	const read = await readFolder(crypto, folder, passphrase);
	if (isProblem(read)) return read;
	let found: KeyFolder = read;
	if (!found.root && found.held.length === 0) {
		const root = crypto.keyPair(crypto.random(SEED_BYTES));
		await writeRoot(keyPaths(folder).root, root, passphrase);
		found = { ...found, root, plain: passphrase === undefined ? ["root.json"] : [] };
	}
	const market = marketOf(found);
	if (!market)
		return problem(
			"not-found",
			`The keys in ${folder} have no certificate yet: have the root sign the request, and bring what it gives (farelay market keys take FILE).`,
		);
	// files of before there was a passphrase
	if (passphrase !== undefined && found.plain.length > 0) {
		if (found.root) await writeRoot(keyPaths(folder).root, found.root, passphrase);
		await keep(found.held);
	}

	const keys: Keys = {
		market,
		online: (atMs) => {
			const alive = signing(found).filter(({ certificate }) => certificate.fromMs <= atMs && atMs < endOf(certificate));
			const known = alive.find(
				({ certificate, sinceMs }) => Math.max(certificate.fromMs, sinceMs) + PUBLISHED_MS <= atMs,
			);
			const key = known ?? alive.at(-1);
			if (!key)
				throw new BookFailure(
					problem("unavailable", "The market has no key to sign with; whoever runs it has to bring one.", {
						spent: "no",
					}),
				);
			return key.pair;
		},
		certificates: () => found.held.flatMap(({ certificate }) => certificate ?? []).slice(0, KEYS_MAX),
		ends: () => found.ends.filter((end) => keys.certificates().some(({ key }) => same(key, end.key))),
		renew: async (atMs) => {
			const now = await printOf(folder);
			if (now !== print) {
				const again = await readFolder(crypto, folder, passphrase);
				if (isProblem(again)) return again;
				const other = marketOf(again);
				if (!other || !same(other, market))
					return problem("data-corrupt", `${folder} holds another market's keys; restore it from a backup.`);
				// a root that was taken away while we run is gone for us too
				found = again;
				print = now;
			}
			const kept = found.held.filter(({ certificate }) => !certificate || certificate.untilMs + KEPT_MS > atMs);
			const { root } = found;
			const [newest] = signing({ ...found, held: kept });
			const wanted = !newest || endOf(newest.certificate) - atMs < RENEW_MS || newest.certificate.fromMs > atMs;
			const next = root && wanted ? [make(crypto, root, atMs), ...kept] : kept;
			if (next.length === found.held.length && next === kept) return undefined;
			// on disk before it signs anything; where the root is elsewhere, the file is for those who bring certificates to write
			if (root) await keep(next);
			found = { ...found, held: next };
			return undefined;
		},
		warning: (atMs) => {
			if (found.root)
				return "The market's root key lies on this machine: whoever takes the machine has the market for good. farelay market keys root takes it offline.";
			const [newest] = signing(found);
			const leftMs = newest ? endOf(newest.certificate) - atMs : 0;
			if (leftMs >= RENEW_MS) return undefined;
			return `The newest online key has ${Math.max(0, Math.floor(leftMs / 86_400_000))} days left: have the root certify the next one (farelay market keys request).`;
		},
	};
	const wrong = await keys.renew(nowMs);
	return wrong ?? keys;

	async function keep(held: readonly Held[]): Promise<void> {
		await writeHeld(folder, held, passphrase);
		print = await printOf(folder);
	}
}

function make(crypto: Crypto, root: KeyPair, nowMs: number): Held {
	const seed = crypto.random(SEED_BYTES);
	const pair = crypto.keyPair(seed);
	const certificate = signMarketKey(crypto, root, pair.publicKey, nowMs, nowMs + LIMIT.marketKeyMsMax);
	return { key: pair.publicKey, own: { pair, seed }, certificate, sinceMs: nowMs };
}
