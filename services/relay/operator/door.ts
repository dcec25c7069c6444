/** The operator's door: `GET /state` answers the state, `POST /caps` changes caps and answers it too. Whatever comes is checked here. */

import { isProblem, type Problem, problem } from "#contracts/problem";
import type { Log } from "#host/log";
import { openOwnerDoor } from "#host/ownerdoor";
import { CHANGE, type Change } from "./caps.ts";
import type { RelayState } from "./state.ts";

/** What a door needs. */
export type DoorDeps = {
	readonly folder: string;
	readonly log: Log;
	readonly state: () => RelayState | Promise<RelayState>;
	readonly change: (change: Change) => Promise<Problem | undefined>;
};

/** Opens the door; without it a relay works all the same, so that a folder in which no socket can be made stops nobody. */
export function openDoor(deps: DoorDeps): Promise<{ close(): void } | Problem> {
	const { folder, log } = deps;
	return openOwnerDoor({
		folder,
		log,
		answer: async (asked, body) => (await take(deps, asked, body)) ?? (await deps.state()),
	});
}

async function take(deps: DoorDeps, asked: string, body: unknown): Promise<Problem | undefined> {
	if (asked === "GET /state") return undefined;
	if (asked !== "POST /caps") return problem("not-found");
	const change = readChange(body);
	if (isProblem(change)) return change;
	const refused = await deps.change(change);
	// numbers and a yes or no of the operator's own: nothing of anybody else
	deps.log.info({ change, refused: refused?.problem }, "the operator changed what the relay takes");
	return refused;
}

function readChange(json: unknown): Change | Problem {
	const read = CHANGE.safeParse(json);
	if (read.success) return read.data;
	const [issue] = read.error.issues;
	return problem("malformed", `${issue?.path.join(".") || "The change"}: ${issue?.message ?? "is none"}`);
}
