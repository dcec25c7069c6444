/**
 * A market's own keys and what it says of itself at `/.well-known/farelay.json` (PROTOCOL.md, "The market's keys").
 * The root key signs online keys that live at most 30 days; grants and receipts name the online key that signed them.
 */

import { isRate } from "./amount.ts";
import { fromHex, join, Reader, same, toHex, Writer } from "./bytes.ts";
import { type Crypto, KEY_BYTES, type KeyPair, keyId, SIGNATURE_BYTES, signFor, verifyFor } from "./identity.ts";
import { LIMIT } from "./limit.ts";
import { type Problem, problem } from "./problem.ts";

/** An online key, certified by the market's root. Times are Unix milliseconds. */
export type MarketKey = {
	readonly market: Uint8Array;
	readonly key: Uint8Array;
	readonly fromMs: number;
	readonly untilMs: number;
	/** Since when the root says that it has ended, before its time: {@link withEnds}. */
	readonly endedAtMs?: number;
	/** The certificate as it travels: {@link MARKET_KEY_BYTES} bytes. */
	readonly bytes: Uint8Array;
};

/** `market 32 · key 32 · from u64 · until u64 · signature 64`. */
export const MARKET_KEY_BYTES = 32 + 32 + 8 + 8 + 64;

/** Certifies an online key with the root key. */
export function signMarketKey(
	crypto: Crypto,
	root: KeyPair,
	key: Uint8Array,
	fromMs: number,
	untilMs: number,
): MarketKey {
	const body = new Writer().put(root.publicKey, KEY_BYTES).put(key, KEY_BYTES).u64(fromMs).u64(untilMs).finish();
	const bytes = new Writer()
		.put(body)
		.put(signFor(crypto, "market-key", body, root.secretKey))
		.finish();
	return { market: root.publicKey, key, fromMs, untilMs, bytes };
}

/** Reads a certificate and checks the root's signature and the span of its life; whether it is in time is the caller's. */
export function readMarketKey(crypto: Crypto, bytes: Uint8Array): MarketKey | Problem {
	const reader = new Reader(bytes);
	const market = reader.take(KEY_BYTES);
	const key = reader.take(KEY_BYTES);
	const fromMs = reader.count();
	const untilMs = reader.count();
	const signature = reader.take(SIGNATURE_BYTES);
	if (!reader.done || untilMs <= fromMs || untilMs - fromMs > LIMIT.marketKeyMsMax) return problem("malformed");
	const body = bytes.slice(0, MARKET_KEY_BYTES - SIGNATURE_BYTES);
	if (!verifyFor(crypto, "market-key", body, signature, market))
		return problem("signature-bad", "The market's root did not sign this key.");
	return { market, key, fromMs, untilMs, bytes: bytes.slice() };
}

/** The root's word that an online key has ended before its time, because somebody else may have it. It cannot be taken back. */
export type KeyEnd = {
	readonly market: Uint8Array;
	readonly key: Uint8Array;
	readonly endedAtMs: number;
	/** The statement as it travels: {@link KEY_END_BYTES} bytes. */
	readonly bytes: Uint8Array;
};

/** `market 32 · key 32 · ended u64 · signature 64`. */
export const KEY_END_BYTES = 32 + 32 + 8 + 64;

/** Ends an online key with the root key. */
export function signKeyEnd(crypto: Crypto, root: KeyPair, key: Uint8Array, endedAtMs: number): KeyEnd {
	const body = new Writer().put(root.publicKey, KEY_BYTES).put(key, KEY_BYTES).u64(endedAtMs).finish();
	const bytes = join(body, signFor(crypto, "market-key-end", body, root.secretKey));
	return { market: root.publicKey, key, endedAtMs, bytes };
}

/** Reads the end of a key and checks the root's signature. */
export function readKeyEnd(crypto: Crypto, bytes: Uint8Array): KeyEnd | Problem {
	const reader = new Reader(bytes);
	const market = reader.take(KEY_BYTES);
	const key = reader.take(KEY_BYTES);
	const endedAtMs = reader.count();
	const signature = reader.take(SIGNATURE_BYTES);
	if (!reader.done) return problem("malformed");
	const body = bytes.slice(0, KEY_END_BYTES - SIGNATURE_BYTES);
	if (!verifyFor(crypto, "market-key-end", body, signature, market))
		return problem("signature-bad", "The market's root did not sign this.");
	return { market, key, endedAtMs, bytes: bytes.slice() };
}

/** Certificates with what was said of their ends; of several words for one key the earliest counts. */
export function withEnds(keys: readonly MarketKey[], ends: readonly KeyEnd[]): MarketKey[] {
	return keys.map((known) => {
		const said = ends.filter(({ market, key }) => same(market, known.market) && same(key, known.key));
		if (said.length === 0) return known;
		return { ...known, endedAtMs: Math.min(known.untilMs, ...said.map(({ endedAtMs }) => endedAtMs)) };
	});
}

/** The key that an object names, if it is among those known and was in life at `atMs`. */
export function marketKeyOf(
	crypto: Crypto,
	keys: readonly MarketKey[],
	id: Uint8Array,
	atMs: number,
): MarketKey | undefined {
	return keys.find(
		({ key, fromMs, untilMs, endedAtMs = untilMs }) =>
			same(keyId(crypto, key), id) && fromMs <= atMs && atMs < endedAtMs,
	);
}

/** A market that was brought back from a backup does not know what it did in this span, Unix milliseconds. */
export type Restored = { readonly fromMs: number; readonly atMs: number };

/** What a market says of itself. JSON; keys in hex; rates in parts per million; amounts as decimal strings. */
export type MarketInfo = {
	readonly protocol: "farelay/1";
	/** The root key, hex: the market's name for machines. */
	readonly market: string;
	/** Certificates of the online keys, hex, newest first. */
	readonly keys: readonly string[];
	/** Ends of those among them that have ended before their time, hex. */
	readonly ended: readonly string[];
	readonly fees: { readonly marketPpm: number; readonly solidarityPpm: number };
	readonly limits: { readonly grantMsMax: number; readonly redeemGraceMs: number; readonly batchVouchersMax: number };
	/** The rails that are open, by name. */
	readonly rails: readonly string[];
	/** Its newest commitment and the certificate of the key that signed it, hex; null before the first. Whoever reads it keeps it. */
	readonly head: { readonly key: string; readonly commitment: string } | null;
	/** Since when until when it lost its memory, the last time that happened: what it was told or told others meanwhile is to be told again. */
	readonly restored: Restored | null;
	/** The market's clock when it answered, Unix milliseconds. */
	readonly nowMs: number;
};

/** Online keys a market may name: one a month for a year and some more; each costs a reader a signature check. */
const MARKET_KEYS_MAX = 16;

/** Ends of keys likewise: one for each. */
const KEY_ENDS_MAX = MARKET_KEYS_MAX;

/** A commitment with sixteen rails whose names are as long as may be has 1.3 KiB. */
const HEAD_BYTES_MAX = 2_048;

/** Reads the newest commitment's bytes, unchecked: what it says is for whoever keeps it (`contracts/chain.ts`). */
function readHead(head: MarketInfo["head"] | undefined): MarketInfo["head"] | undefined {
	// a market from before there were commitments has none
	if (head === undefined || head === null) return null;
	const { key, commitment } = head;
	const bytes = fromHex(commitment);
	return fromHex(key, MARKET_KEY_BYTES) && bytes && bytes.length <= HEAD_BYTES_MAX ? { key, commitment } : undefined;
}

/** Rails a market may name. */
const RAILS_MAX = 16;

function isRailName(rail: unknown): rail is string {
	return typeof rail === "string" && /^[a-z0-9-]{1,32}$/.test(rail);
}

function readRestored(said: Restored | null): Restored | null | undefined {
	if (said === null) return null;
	const { fromMs, atMs } = said;
	const sound = Number.isSafeInteger(fromMs) && Number.isSafeInteger(atMs) && fromMs >= 0 && atMs >= fromMs;
	return sound ? { fromMs, atMs } : undefined;
}

/** Checks a market's description: the shape, and every certificate against the root it names. `keys` know their ends. */
export function readMarketInfo(
	crypto: Crypto,
	json: unknown,
): { info: MarketInfo; market: Uint8Array; keys: MarketKey[]; ends: KeyEnd[] } | Problem {
	const said = json as MarketInfo;
	if (typeof json !== "object" || json === null || said.protocol !== "farelay/1") return problem("version-unknown");
	const market = fromHex(said.market, KEY_BYTES);
	const { fees, limits, rails, nowMs } = said;
	if (!market || !Array.isArray(said.keys) || said.keys.length === 0 || said.keys.length > MARKET_KEYS_MAX)
		return problem("malformed", "The market's description has no keys, or too many.");
	if (!isRate(fees?.marketPpm) || !isRate(fees.solidarityPpm))
		return problem("malformed", "The market's fees are no rates.");
	const counts = [nowMs, limits?.grantMsMax, limits?.redeemGraceMs, limits?.batchVouchersMax];
	if (!counts.every((count) => Number.isSafeInteger(count) && (count as number) >= 0))
		return problem("malformed", "The market's limits are no numbers.");
	if (!Array.isArray(rails) || rails.length > RAILS_MAX || !rails.every(isRailName))
		return problem("malformed", "The market's rails are no names.");
	// a market from before has never said so
	const restored = readRestored(said.restored ?? null);
	if (restored === undefined) return problem("malformed", "The span that the market forgot is none.");
	const keys: MarketKey[] = [];
	for (const hex of said.keys) {
		const bytes = fromHex(hex, MARKET_KEY_BYTES);
		const key = bytes ? readMarketKey(crypto, bytes) : problem("malformed");
		if ("problem" in key) return key;
		if (!same(key.market, market)) return problem("signature-bad", "A key of the market is certified by another root.");
		keys.push(key);
	}
	// a market from before there were ends has none
	const ended: unknown = said.ended ?? [];
	if (!Array.isArray(ended) || ended.length > KEY_ENDS_MAX)
		return problem("malformed", "The ends of the market's keys are none, or too many.");
	const ends: KeyEnd[] = [];
	for (const hex of ended) {
		const bytes = fromHex(hex, KEY_END_BYTES);
		const end = bytes ? readKeyEnd(crypto, bytes) : problem("malformed");
		if ("problem" in end) return end;
		if (!same(end.market, market)) return problem("signature-bad", "A key's end is signed by another root.");
		ends.push(end);
	}
	const head = readHead(said.head);
	if (head === undefined) return problem("malformed", "The market's newest commitment is none.");
	// Built anew from what was checked: whatever else the answer held goes no further.
	const info: MarketInfo = {
		protocol: "farelay/1",
		market: said.market,
		keys: keys.map((key) => toHex(key.bytes)),
		ended: ends.map((end) => toHex(end.bytes)),
		fees: { marketPpm: fees.marketPpm, solidarityPpm: fees.solidarityPpm },
		limits: {
			grantMsMax: limits.grantMsMax,
			redeemGraceMs: limits.redeemGraceMs,
			batchVouchersMax: limits.batchVouchersMax,
		},
		rails: [...rails],
		restored,
		head,
		nowMs,
	};
	return { info, market, keys: withEnds(keys, ends), ends };
}
