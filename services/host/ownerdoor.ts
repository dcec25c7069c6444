/**
 * A service's own door: HTTP on a unix socket that only the owner of the data folder can open (mode 0600, `doorway.ts`). Questions and answers are
 * one JSON object each; what a question may be is its service's to check.
 */

import { chmodSync } from "node:fs";
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import { isProblem, PROBLEMS, type Problem, problem } from "#contracts/problem";
import { makeDoorway } from "./doorway.ts";
import type { Log } from "./log.ts";

/** A change of a relay is under 200 bytes, an invoice to pay under 2,000. */
const BODY_BYTES_MAX = 16_384;
/** An owner, a dashboard and a script at once. */
const CONNECTIONS_MAX = 16;
/** Nobody on this machine takes longer to say what they want. */
const ASK_MS_MAX = 5_000;

/** What a door needs. */
export type OwnerDoorDeps = {
	readonly folder: string;
	readonly log: Log;
	/** Answers a question like `GET /state` or `POST /caps`; `body` is what JSON came with it, unchecked. */
	readonly answer: (asked: string, body: unknown) => Promise<object | Problem>;
};

/** Opens the door; a problem where no socket can be made, without which a service works all the same. */
export async function openOwnerDoor(deps: OwnerDoorDeps): Promise<{ close(): void } | Problem> {
	const server = createServer({ requestTimeout: ASK_MS_MAX, headersTimeout: ASK_MS_MAX }, (request, response) => {
		void serve(deps, request, response);
	});
	server.maxConnections = CONNECTIONS_MAX;
	try {
		const doorway = makeDoorway(deps.folder);
		await listen(server, doorway.path);
		return {
			close: () => {
				server.close();
				server.closeAllConnections();
				doorway.remove();
			},
		};
	} catch (error) {
		const code = (error as NodeJS.ErrnoException).code ?? "unknown";
		return problem("unavailable", `The owner's socket could not be opened (${code}).`, { spent: "no" });
	}
}

/** Nobody else may open it, not even in the moment between its making and a change of its mode. */
function listen(server: Server, path: string): Promise<void> {
	return new Promise((resolve, reject) => {
		server.once("error", reject);
		const before = process.umask(0o177);
		try {
			server.listen(path, resolve);
			chmodSync(path, 0o600);
		} finally {
			process.umask(before);
		}
	});
}

async function serve({ answer, log }: OwnerDoorDeps, request: IncomingMessage, response: ServerResponse) {
	try {
		const body = await bodyOf(request);
		const said = isProblem(body) ? body : await answer(`${request.method} ${request.url}`, body);
		send(response, isProblem(said) ? PROBLEMS[said.problem].http : 200, said);
	} catch (error) {
		log.error({ err: error }, "the owner's door broke");
		send(response, 500, problem("internal"));
	}
}

async function bodyOf(request: IncomingMessage): Promise<unknown | Problem> {
	const parts: Buffer[] = [];
	let bytes = 0;
	for await (const part of request as AsyncIterable<Buffer>) {
		bytes += part.length;
		if (bytes > BODY_BYTES_MAX) return problem("malformed", "That is too long to be a question.");
		parts.push(part);
	}
	if (bytes === 0) return undefined;
	try {
		return JSON.parse(Buffer.concat(parts).toString());
	} catch {
		return problem("malformed", "The question is not JSON.");
	}
}

function send(response: ServerResponse, status: number, body: object): void {
	if (response.headersSent) return;
	response.writeHead(status, { "content-type": "application/json", "cache-control": "no-store" });
	response.end(JSON.stringify(body));
}
