/** The operator's door of a relay on this machine: a unix socket in its data folder (`services/host/doorway.ts`). */

import { request } from "node:http";
import { type Problem, problem, problemOfJson } from "#contracts/problem";
import { findDoorway } from "#host/doorway";
import type { RelayState } from "#relay/operator/state";

/** A relay that walks a hundred thousand tabs for its state takes a moment; one that takes longer hangs. */
const ANSWER_MS_MAX = 10_000;
/** A state has some kilobytes; what is far longer is something else. */
const ANSWER_BYTES_MAX = 1_000_000;

/** Asks for the state, or changes caps and asks for it. `change` goes as JSON to whoever listens there, which checks it. */
export function askRelay(folder: string, change?: object): Promise<RelayState | Problem> {
	const options = {
		socketPath: findDoorway(folder),
		method: change ? "POST" : "GET",
		path: change ? "/caps" : "/state",
		headers: { "content-type": "application/json" },
		signal: AbortSignal.timeout(ANSWER_MS_MAX),
	};
	return new Promise((resolve) => {
		const asked = request(options, async (response) => {
			let text = "";
			try {
				for await (const part of response.setEncoding("utf8") as AsyncIterable<string>) {
					text += part;
					if (text.length > ANSWER_BYTES_MAX) break;
				}
				const json = JSON.parse(text) as RelayState;
				resolve(problemOfJson(json) ?? json);
			} catch {
				resolve(problem("unavailable", "The relay's answer is none."));
			}
		});
		asked.on("error", (error: NodeJS.ErrnoException) => resolve(whyNot(folder, error)));
		asked.end(change && JSON.stringify(change));
	});
}

function whyNot(folder: string, { code }: NodeJS.ErrnoException): Problem {
	if (code === "EACCES")
		return problem("unauthorized", `${folder} is another user's: only its owner steers that relay.`);
	if (code === "ENOENT" || code === "ECONNREFUSED")
		return problem("unavailable", `No relay runs on ${folder}; --data names its folder.`, { spent: "no" });
	return problem("unavailable", `The relay on ${folder} does not answer.`, { spent: "no" });
}
