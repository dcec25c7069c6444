/** A double of the exchanges: one server on this machine that answers for each of them as the files in `tickers/` say, or as a test has it. */

import { readFileSync } from "node:fs";
import { createServer, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { join } from "node:path";

/** Answers a request. */
type Script = (response: ServerResponse) => void;

export type Tickers = {
	/** the names with the URLs of the double, as the setting takes them */
	readonly list: string;
	url(name: string): string;
	/** what an exchange answers from now on; its own file again when left out */
	script(name: string, script?: Script): void;
	/** how often each was asked */
	readonly asked: ReadonlyMap<string, number>;
	close(): Promise<void>;
};

export const EXCHANGES = ["coinbase", "kraken", "bitstamp", "gemini", "bitfinex"];

/** When the files are true. */
const FILE_MS = Date.UTC(2025, 11, 31, 23, 59, 59);

/** The text of an exchange's answer, of another moment and with another price where they are given. */
export function ticker(name: string, { price, atMs = FILE_MS }: { price?: string; atMs?: number } = {}): string {
	const text = readFileSync(join(import.meta.dirname, "tickers", `${name}.txt`), "utf8")
		.replace("2025-12-31T23:59:58.734211Z", (own) => (atMs === FILE_MS ? own : new Date(atMs).toISOString()))
		.replace("1767225597", (own) => (atMs === FILE_MS ? own : String(Math.floor(atMs / 1_000))));
	if (price === undefined) return text;
	const counts: Record<string, RegExp> = {
		coinbase: /(?<="price":")[^"]+/,
		kraken: /(?<="c":\[")[^"]+/,
		bitstamp: /(?<="last":")[^"]+/,
		gemini: /(?<="last":")[^"]+/,
		bitfinex: /64216\.7/,
	};
	return text.replace(counts[name] ?? "", price);
}

/** Answers with a text, under the time at which it is true. */
export function says(text: string, status = 200, { atMs = FILE_MS, location = "" } = {}): Script {
	return (response) => {
		response.sendDate = false;
		response.writeHead(status, { date: new Date(atMs).toUTCString(), ...(location && { location }) });
		response.end(text);
	};
}

export async function openTickers(): Promise<Tickers> {
	const scripts = new Map<string, Script>();
	const asked = new Map<string, number>();
	const server = createServer((request, response) => {
		const name = (request.url ?? "").slice(1);
		asked.set(name, (asked.get(name) ?? 0) + 1);
		(scripts.get(name) ?? says(ticker(name)))(response);
	});
	await new Promise<void>((done) => server.listen(0, "127.0.0.1", done));
	const { port } = server.address() as AddressInfo;
	const url = (name: string): string => `http://127.0.0.1:${port}/${name}`;
	return {
		list: EXCHANGES.map((name) => `${name}=${url(name)}`).join(","),
		url,
		script: (name, script) => void (script ? scripts.set(name, script) : scripts.delete(name)),
		asked,
		close: () =>
			new Promise((done) => {
				server.close(() => done());
				server.closeAllConnections();
			}),
	};
}
