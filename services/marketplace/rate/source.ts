/**
 * One source of the price of a bitcoin: an exchange's public ticker, asked over HTTP. It may lie, stall, answer nonsense or never stop
 * answering (threat 17): what it costs us is bounded here, what its lies are worth in `agree.ts`.
 */

import { type Problem, problem } from "#contracts/problem";
import type { Clock } from "#host/clock";
import { type Price, parsePrice } from "./price.ts";

/** The price that a source gives, and when it was that by its own clock. */
export type Reading = { readonly price: Price; readonly atMs: number };

/** Whoever can be asked for the price: never throws, and answers in bounded time. */
export interface RateSource {
	readonly name: string;
	ask(): Promise<Reading | Problem>;
}

/** What a ticker says, its numbers still as text; undefined where it is not about dollars for a bitcoin. */
type Ticker = { readonly price: unknown; readonly atMs?: number };

type Exchange = { readonly url: string; readonly read: (json: Json) => Ticker | undefined };

/** What came, walked without trusting its shape: what is not there reads as undefined. */
class Json {
	readonly value: unknown;
	constructor(value: unknown) {
		this.value = value;
	}
	at(...path: readonly (string | number)[]): unknown {
		return path.reduce<unknown>(
			(value, key) =>
				typeof value === "object" && value !== null && Object.hasOwn(value, key)
					? (value as Record<string | number, unknown>)[key]
					: undefined,
			this.value,
		);
	}
}

/** Seconds as text, as a ticker gives its time; NaN for anything else. */
const seconds = (text: unknown): number => (typeof text === "string" && /^\d{9,11}$/.test(text) ? +text * 1_000 : NaN);

/**
 * The exchanges that are known, with their documented public tickers, which need no key: the price of the last trade of dollars for a
 * bitcoin. Where an answer names its pair, another pair is refused; where it has a time of its own, that counts.
 */
const EXCHANGES: Readonly<Record<string, Exchange>> = {
	coinbase: {
		url: "https://api.exchange.coinbase.com/products/BTC-USD/ticker",
		read: (json) => ({ price: json.at("price"), atMs: Date.parse(String(json.at("time"))) }),
	},
	kraken: {
		url: "https://api.kraken.com/0/public/Ticker?pair=XBTUSD",
		// it writes a pair in its own way: X for a currency of no state, Z for one of a state
		read: (json) => ({ price: json.at("result", "XXBTZUSD", "c", 0) }),
	},
	bitstamp: {
		url: "https://www.bitstamp.net/api/v2/ticker/btcusd/",
		read: (json) =>
			[undefined, "BTC/USD"].includes(json.at("pair") as string | undefined)
				? { price: json.at("last"), atMs: seconds(json.at("timestamp")) }
				: undefined,
	},
	gemini: {
		url: "https://api.gemini.com/v1/pubticker/btcusd",
		// the time it gives is of its volumes, not of its price; their names are the pair
		read: (json) =>
			json.at("volume", "BTC") !== undefined && json.at("volume", "USD") !== undefined
				? { price: json.at("last") }
				: undefined,
	},
	bitfinex: {
		url: "https://api-pub.bitfinex.com/v2/ticker/tBTCUSD",
		read: (json) => (Array.isArray(json.value) && json.value.length >= 10 ? { price: json.at(6) } : undefined),
	},
};

/** The names of the exchanges that are known. */
export const EXCHANGE_NAMES: readonly string[] = Object.keys(EXCHANGES);

/** An answer that takes longer is none: somebody waits for a quote meanwhile. */
export const ANSWER_MS = 3_000;
/** A ticker has less than a KiB. */
export const ANSWER_BYTES_MAX = 16 * 1_024;
/** What a source takes from outside. */
export type SourceDeps = { readonly clock: Clock; readonly fetch: typeof fetch };

/** A known exchange, asked at its own URL or at another one that answers in its words (a mirror of the market's own). */
export function exchange(name: string, { clock, fetch }: SourceDeps, url?: string): RateSource | undefined {
	const known = Object.hasOwn(EXCHANGES, name) ? EXCHANGES[name] : undefined;
	if (!known) return undefined;
	const refuse = (says: string): Problem => problem("unavailable", `${name} ${says}.`, { spent: "no" });
	return {
		name,
		async ask() {
			const stop = new AbortController();
			const cancel = clock.after(ANSWER_MS, () => stop.abort());
			try {
				const response = await fetch(url ?? known.url, {
					headers: { accept: "application/json" },
					redirect: "error",
					signal: stop.signal,
				});
				if (response.status !== 200) return refuse(`answered with ${response.status}`);
				const text = await readBody(response);
				if (text === undefined) return refuse("answers without end");
				const ticker = known.read(new Json(parse(text)));
				const price = parsePrice(ticker?.price);
				if (!ticker || price === undefined) return refuse("does not say what a bitcoin costs in dollars");
				const date = response.headers.get("date");
				const atMs = ticker.atMs ?? (date === null ? clock.nowMs() : Date.parse(date));
				if (!Number.isFinite(atMs)) return refuse("does not say when that was the price");
				return { price, atMs };
			} catch {
				return refuse(stop.signal.aborted ? "did not answer in time" : "could not be reached or understood");
			} finally {
				cancel();
			}
		},
	};
}

/** A body as text; undefined when it is too long, and then no more of it is read. */
async function readBody(response: Response): Promise<string | undefined> {
	const parts: Uint8Array[] = [];
	let bytes = 0;
	for await (const part of response.body ?? []) {
		bytes += part.byteLength;
		// leaving the loop hangs up
		if (bytes > ANSWER_BYTES_MAX) return undefined;
		parts.push(part);
	}
	return Buffer.concat(parts).toString("utf8");
}

/** JSON whose numbers stay the text they were written in: a price must not become a float on its way. @throws SyntaxError for anything else */
function parse(text: string): unknown {
	const asWritten = (_key: string, value: unknown, context?: { readonly source?: string }): unknown =>
		typeof value === "number" ? context?.source : value;
	return JSON.parse(text, asWritten);
}
