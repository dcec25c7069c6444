/**
 * The operator's door: HTTP on a unix socket that only the owner of the data folder can open (mode 0600). `GET /state` answers the state,
 * `POST /caps` changes caps and answers it too. Whatever comes is checked here.
 */

import { chmodSync } from "node:fs";
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import { isProblem, PROBLEMS, type Problem, problem } from "#contracts/problem";
import { makeDoorway } from "#host/doorway";
import type { Log } from "#host/log";
import { CHANGE, type Change } from "./caps.ts";
import type { RelayState } from "./state.ts";

/** A change is under 200 bytes. */
const BODY_BYTES_MAX = 4_096;
/** An operator, a dashboard and a script at once. */
const CONNECTIONS_MAX = 16;
/** Nobody on this machine takes longer to say what they want. */
const ASK_MS_MAX = 5_000;

/** What a door needs. */
export type DoorDeps = {
	readonly folder: string;
	readonly log: Log;
	readonly state: () => RelayState | Promise<RelayState>;
	readonly change: (change: Change) => Promise<Problem | undefined>;
};

/** Opens the door; without it a relay works all the same, so that a folder in which no socket can be made stops nobody. */
export async function openDoor(deps: DoorDeps): Promise<{ close(): void } | Problem> {
	const server = createServer({ requestTimeout: ASK_MS_MAX, headersTimeout: ASK_MS_MAX }, (request, response) => {
		void answer(deps, request, response);
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
		return problem("unavailable", `The operator's socket could not be opened (${code}).`, { spent: "no" });
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

async function answer(deps: DoorDeps, request: IncomingMessage, response: ServerResponse): Promise<void> {
	try {
		const refused = await take(deps, request);
		if (refused) send(response, PROBLEMS[refused.problem].http, refused);
		else send(response, 200, await deps.state());
	} catch (error) {
		deps.log.error({ err: error }, "the operator's door broke");
		send(response, 500, problem("internal"));
	}
}

async function take(deps: DoorDeps, request: IncomingMessage): Promise<Problem | undefined> {
	const asked = `${request.method} ${request.url}`;
	if (asked === "GET /state") return undefined;
	if (asked !== "POST /caps") return problem("not-found");
	const change = readChange(await textOf(request));
	if (isProblem(change)) return change;
	const refused = await deps.change(change);
	// numbers and a yes or no of the operator's own: nothing of anybody else
	deps.log.info({ change, refused: refused?.problem }, "the operator changed what the relay takes");
	return refused;
}

function readChange(text: string | undefined): Change | Problem {
	if (text === undefined) return problem("malformed", "That is too long to be a change.");
	let json: unknown;
	try {
		json = JSON.parse(text);
	} catch {
		return problem("malformed", "The change is not JSON.");
	}
	const read = CHANGE.safeParse(json);
	if (read.success) return read.data;
	const [issue] = read.error.issues;
	return problem("malformed", `${issue?.path.join(".") || "The change"}: ${issue?.message ?? "is none"}`);
}

async function textOf(request: IncomingMessage): Promise<string | undefined> {
	const parts: Buffer[] = [];
	let bytes = 0;
	for await (const part of request as AsyncIterable<Buffer>) {
		bytes += part.length;
		if (bytes > BODY_BYTES_MAX) return undefined;
		parts.push(part);
	}
	return Buffer.concat(parts).toString();
}

function send(response: ServerResponse, status: number, body: object): void {
	if (response.headersSent) return;
	response.writeHead(status, { "content-type": "application/json", "cache-control": "no-store" });
	response.end(JSON.stringify(body));
}
