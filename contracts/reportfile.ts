/** A pool's report as one text, written and checked (PROTOCOL.md, "A pool's report"). */

import { type Amount, formatAmount, parseAmount } from "./amount.ts";
import { fromHex, same, toHex } from "./bytes.ts";
import { type Crypto, HASH_BYTES, KEY_BYTES, keyId, SIGNATURE_BYTES, verifyFor } from "./identity.ts";
import { MARKET_KEY_BYTES, type MarketKey, marketKeyOf, readMarketKey } from "./market.ts";
import { isProblem, problem } from "./problem.ts";
import {
	bodyOf,
	failed,
	faultOf,
	LINE_SALT_BYTES,
	type Line,
	MONEY,
	type Reached,
	type Report,
	type ReportProblem,
	type Stretch,
} from "./report.ts";
import { POOL_BYTES } from "./tranche.ts";

const reachedJson = ({ people, bytes, toOperators, marketFee }: Reached) => ({
	people,
	bytes: bytes.toString(),
	toOperators: formatAmount(toOperators),
	marketFee: formatAmount(marketFee),
});

/** Writes the one text of a report, with the certificate of the key that signed it. */
export function writeReport(report: Report, key: Uint8Array, signature: Uint8Array): string {
	const { market, pool, atMs, signedMs, money, recent, stretches } = report;
	const json = {
		farelay: "pool/1",
		key: toHex(key),
		signature: toHex(signature),
		market: toHex(market),
		pool: toHex(pool),
		atMs,
		signedMs,
		money: Object.fromEntries(MONEY.map((name) => [name, formatAmount(money[name])])),
		recent: { toOperators: formatAmount(recent.toOperators), marketFee: formatAmount(recent.marketFee) },
		stretches: stretches.map((stretch) => ({
			fromMs: stretch.fromMs,
			toMs: stretch.toMs,
			...reachedJson(stretch),
			lines: stretch.lines.map((line) => ({
				relay: toHex(line.relay),
				country: line.country,
				...reachedJson(line),
				salt: toHex(line.salt),
			})),
			hidden: stretch.hidden.map(toHex),
		})),
	};
	return `${JSON.stringify(json)}\n`;
}

/** What a report proves. */
export type ReportVerdict = {
	/** whether the market's root is the one that the reader trusts, or only the one that the file brought along */
	readonly pinned: boolean;
	readonly key: MarketKey;
	readonly report: Report;
};

/** Checks a report. `market` is the root key that the reader trusts. Total: any text gives a verdict or a problem. */
export function readReport(crypto: Crypto, text: string, market?: Uint8Array): ReportVerdict | ReportProblem {
	const parts = readParts(text);
	if (!parts) return failed("form", problem("malformed", "The text is not a pool's report as it is written."));
	const { report, signature } = parts;
	const key = readMarketKey(crypto, parts.key);
	if (isProblem(key)) return failed("key", key);
	if (!same(key.market, report.market) || (market && !same(market, key.market)))
		return failed("market", problem("grant-unknown-market", "The report is of another market than the one given."));
	const fault = faultOf(report);
	if (fault) return fault;
	const signer = marketKeyOf(crypto, [key], keyId(crypto, key.key), report.signedMs);
	if (!signer || !verifyFor(crypto, "pool-report", bodyOf(crypto, report), signature, signer.key))
		return failed(
			"signature",
			problem("signature-bad", "The market's online key did not sign this report in its life."),
		);
	return { pinned: market !== undefined, key, report };
}

type Json = Record<string, unknown>;

function readParts(text: string): { report: Report; key: Uint8Array; signature: Uint8Array } | undefined {
	const json = parsed(text);
	const key = fromHex(json?.key, MARKET_KEY_BYTES);
	const signature = fromHex(json?.signature, SIGNATURE_BYTES);
	const market = fromHex(json?.market, KEY_BYTES);
	const pool = fromHex(json?.pool, POOL_BYTES);
	const money = readMoney(json?.money, MONEY);
	const recent = readMoney(json?.recent, ["toOperators", "marketFee"] as const);
	const stretches = readAll(json?.stretches, readStretch);
	const { atMs, signedMs } = json ?? {};
	if (!key || !signature || !market || !pool || !money || !recent || !stretches || !isTime(atMs) || !isTime(signedMs))
		return undefined;
	const report = { market, pool, atMs, signedMs, money, recent, stretches };
	return writeReport(report, key, signature) === text ? { report, key, signature } : undefined;
}

function parsed(text: string): Json | undefined {
	try {
		const json = JSON.parse(text) as unknown;
		return typeof json === "object" && json !== null ? (json as Json) : undefined;
	} catch {
		return undefined;
	}
}

function readMoney<Name extends string>(json: unknown, names: readonly Name[]): Record<Name, Amount> | undefined {
	const read = names.map((name) => [name, parseAmount((json as Json | undefined)?.[name])] as const);
	return read.every(([, nanos]) => nanos !== undefined)
		? (Object.fromEntries(read) as Record<Name, Amount>)
		: undefined;
}

function readAll<T>(json: unknown, read: (part: Json) => T | undefined): T[] | undefined {
	if (!Array.isArray(json)) return undefined;
	const all = json.map((part: unknown) => (typeof part === "object" && part !== null ? read(part as Json) : undefined));
	return all.every((part) => part !== undefined) ? all : undefined;
}

function isTime(ms: unknown): ms is number {
	return Number.isSafeInteger(ms) && (ms as number) >= 0 && (ms as number) <= LAST_MS;
}

/** The last moment that has a date. */
const LAST_MS = 8_640_000_000_000_000;

function readReached(json: Json): Reached | undefined {
	const sums = readMoney(json, ["bytes", "toOperators", "marketFee"] as const);
	const { people } = json;
	if (!sums || !Number.isInteger(people) || (people as number) < 0 || (people as number) > 0xffff_ffff)
		return undefined;
	return { people: people as number, ...sums };
}

function readStretch(json: Json): Stretch | undefined {
	const sums = readReached(json);
	const lines = readAll(json.lines, readLine);
	const hidden = Array.isArray(json.hidden) ? json.hidden.map((hash: unknown) => fromHex(hash, HASH_BYTES)) : undefined;
	const { fromMs, toMs } = json;
	if (!sums || !lines || !isTime(fromMs) || !isTime(toMs)) return undefined;
	return hidden?.every((hash) => hash !== undefined) ? { fromMs, toMs, ...sums, lines, hidden } : undefined;
}

function readLine(json: Json): Line | undefined {
	const sums = readReached(json);
	const relay = fromHex(json.relay, KEY_BYTES);
	const salt = fromHex(json.salt, LINE_SALT_BYTES);
	const country = typeof json.country === "string" && /^(?:[A-Z]{2}|--)$/.test(json.country) ? json.country : undefined;
	return sums && relay && salt && country !== undefined ? { relay, country, ...sums, salt } : undefined;
}
