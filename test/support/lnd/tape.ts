/**
 * What LND's REST answered, on tape: a proxy that writes down every exchange with a real node, and a server that says it all again to whoever asks
 * the same. No header is written down, so no macaroon is; nodes and their chain are gone when the tape is made.
 */

import { readFileSync } from "node:fs";
import { createServer, type IncomingMessage, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { text } from "node:stream/consumers";
import { Agent, request } from "undici";
import type { LndNode } from "./node.ts";

/** A request and what came back, a stream's answer line by line. */
export type Exchange = {
	readonly method: string;
	readonly path: string;
	readonly body: unknown;
	readonly status: number;
	readonly lines: unknown[];
};

/** A tape: when it was made, what the story needs to know, and every exchange in the order of its asking. */
export type Tape = {
	readonly atMs: number;
	readonly facts: Record<string, string>;
	readonly exchanges: Exchange[];
};

const parse = (line: string): unknown => (line.trim() === "" ? undefined : JSON.parse(line));

async function listen(server: Server): Promise<string> {
	await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
	return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
}

async function stop(server: Server): Promise<void> {
	const closed = new Promise((resolve) => server.close(resolve));
	server.closeAllConnections();
	await closed;
}

const asked = async (incoming: IncomingMessage) => {
	const body = await text(incoming);
	return { method: incoming.method ?? "", path: incoming.url ?? "", body: body === "" ? null : parse(body) };
};

/** A proxy before a node that writes down what is said. */
export async function record(node: LndNode, tape: Tape): Promise<{ url: string; close(): Promise<void> }> {
	const dispatcher = new Agent({ headersTimeout: 0, bodyTimeout: 0, connect: { ca: readFileSync(node.certPath) } });
	const server = createServer(async (incoming, answer) => {
		const { method, path, body } = await asked(incoming);
		const aborted = new AbortController();
		answer.on("close", () => aborted.abort());
		const lines: unknown[] = [];
		// a stream's head comes with its first line only: it is on the tape from when it was asked for
		const exchange = { method, path, body, status: 0, lines };
		tape.exchanges.push(exchange);
		try {
			const upstream = await request(`${node.url}${path}`, {
				method: method as "GET" | "POST",
				dispatcher,
				signal: aborted.signal,
				headers: { "grpc-metadata-macaroon": String(incoming.headers["grpc-metadata-macaroon"]) },
				...(body === null ? {} : { body: JSON.stringify(body) }),
			});
			exchange.status = upstream.statusCode;
			answer.writeHead(upstream.statusCode, { "content-type": "application/json" });
			let rest = "";
			for await (const chunk of upstream.body) {
				const parts = (rest + String(chunk)).split("\n");
				rest = parts.pop() ?? "";
				for (const part of parts) lines.push(parse(part));
				answer.write(chunk);
			}
			if (rest !== "") lines.push(parse(rest));
			answer.end();
		} catch {
			answer.destroy();
		}
	});
	const url = await listen(server);
	return {
		url,
		close: async () => {
			await stop(server);
			await dispatcher.destroy();
		},
	};
}

/** What a test makes of an exchange before it is played: other words, a cut connection, or silence. */
export type Twist = (exchange: Exchange) => Exchange | "cut" | "silent";

/** Plays a tape: each request gets what the same request got, in the same order; whatever else is asked is written down in `odd`. */
export async function play(
	tape: Tape,
	twist: Twist = (exchange) => exchange,
): Promise<{ url: string; odd: string[]; headers: IncomingMessage["headers"][]; close(): Promise<void> }> {
	const key = ({ method, path, body }: Pick<Exchange, "method" | "path" | "body">) =>
		`${method} ${path} ${JSON.stringify(body)}`;
	const waiting = Map.groupBy(tape.exchanges, key);
	const odd: string[] = [];
	const headers: IncomingMessage["headers"][] = [];
	const server = createServer(async (incoming, answer) => {
		const question = await asked(incoming);
		headers.push(incoming.headers);
		const found = waiting.get(key(question))?.shift();
		if (!found) {
			odd.push(key(question));
			answer.writeHead(599).end();
			return;
		}
		const said = twist(found);
		if (said === "cut") return void incoming.socket.destroy();
		if (said === "silent") return;
		answer.writeHead(said.status, { "content-type": "application/json" });
		for (const line of said.lines) answer.write(`${JSON.stringify(line)}\n`);
		// a stream of events stays open, as LND's does
		if (!question.path.includes("/subscribe")) answer.end();
	});
	const url = await listen(server);
	return { url, odd, headers, close: () => stop(server) };
}
