/**
 * Asking a provider over HTTP: every request has an end in time and in size, follows nothing, and what went wrong is told without the request's
 * own words, for its headers hold secrets. `undici` is the engine of Node's own fetch; the package is what takes a certificate of one's own.
 */

import { type Dispatcher, fetch, type Response } from "undici";
import type { Clock } from "#host/clock";

/** A request. */
export type Asked = {
	readonly url: string;
	readonly method?: "GET" | "POST";
	readonly headers?: Readonly<Record<string, string>>;
	readonly body?: string;
	readonly msMax: number;
	readonly bytesMax: number;
};

/** What came back: JSON, undefined when it is not; of a redirect only where it points. */
export type Answer = { readonly status: number; readonly json: unknown; readonly location?: string };

/** No answer, or half of one: whether the request arrived is not known. */
export type Lost = { readonly lost: string };

/** How requests leave: the network and the time as arguments. */
export type Line = { readonly clock: Clock; readonly dispatcher: Dispatcher };

/** Asks once; never throws. */
export async function ask(line: Line, asked: Asked): Promise<Answer | Lost> {
	const ended = new AbortController();
	const cancel = line.clock.after(asked.msMax, () => ended.abort(new Late(asked.msMax)));
	try {
		const response = await request(line, asked, ended.signal);
		const location = response.headers.get("location") ?? undefined;
		const bytes = await readAll(response, asked.bytesMax);
		const answer = { status: response.status, json: parseJson(new TextDecoder().decode(bytes)) };
		return location === undefined ? answer : { ...answer, location };
	} catch (error) {
		return { lost: whyLost(error) };
	} finally {
		cancel();
		ended.abort();
	}
}

/** Reads an answer of many lines, each one JSON, until `each` has enough (true), the other side ends it, or the time is over. */
export async function askLines(
	line: Line,
	asked: Omit<Asked, "msMax">,
	signal: AbortSignal,
	each: (json: unknown) => boolean,
): Promise<{ readonly status: number } | Lost> {
	const ended = new AbortController();
	try {
		const response = await request(line, asked, AbortSignal.any([signal, ended.signal]));
		const decoder = new TextDecoder();
		let rest = "";
		for await (const chunk of response.body ?? []) {
			const lines = (rest + decoder.decode(chunk, { stream: true })).split("\n");
			rest = lines.pop() ?? "";
			if (rest.length > asked.bytesMax) return { lost: "the answer is too long" };
			for (const text of lines) if (text.trim() !== "" && each(parseJson(text))) return { status: response.status };
		}
		if (rest.trim() !== "") each(parseJson(rest));
		return { status: response.status };
	} catch (error) {
		return { lost: whyLost(error) };
	} finally {
		ended.abort();
	}
}

class Late extends Error {
	constructor(msMax: number) {
		super(`no answer within ${msMax} ms`);
	}
}

class TooLong extends Error {}

function request(line: Line, asked: Omit<Asked, "msMax">, signal: AbortSignal): Promise<Response> {
	return fetch(asked.url, {
		method: asked.method ?? "GET",
		// a redirect is given back, never followed: it would take the secrets in the headers along
		redirect: "manual",
		dispatcher: line.dispatcher,
		signal,
		...(asked.headers ? { headers: asked.headers } : {}),
		...(asked.body === undefined ? {} : { body: asked.body }),
	});
}

async function readAll(response: Response, bytesMax: number): Promise<Uint8Array> {
	const chunks: Uint8Array[] = [];
	let bytes = 0;
	for await (const chunk of response.body ?? []) {
		bytes += chunk.length;
		if (bytes > bytesMax) throw new TooLong("the answer is too long");
		chunks.push(chunk);
	}
	return Buffer.concat(chunks);
}

/** Text as JSON; undefined when it is none. */
export function parseJson(text: string): unknown {
	try {
		return JSON.parse(text);
	} catch {
		return undefined;
	}
}

/** A reason by its code: messages of the network's own errors may repeat what was asked. */
function whyLost(error: unknown): string {
	if (error instanceof Late || error instanceof TooLong) return error.message;
	const cause = error instanceof Error && error.cause instanceof Error ? error.cause : error;
	const code = cause instanceof Error && "code" in cause ? String(cause.code) : "";
	return /^[A-Z0-9_]{3,60}$/.test(code) ? `the connection failed (${code})` : "the connection failed";
}
