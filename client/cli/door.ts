/** The owner's door of a service on this machine: a unix socket in its data folder (`services/host/doorway.ts`). */

import { request } from "node:http";
import { type Problem, problem, problemOfJson } from "#contracts/problem";
import { findDoorway } from "#host/doorway";
import type { RelayState } from "#relay/operator/state";

/** A relay that walks a hundred thousand tabs for its state takes a moment; one that takes longer hangs. */
const ANSWER_MS_MAX = 10_000;
/** A state has some kilobytes; what is far longer is something else. */
const ANSWER_BYTES_MAX = 1_000_000;

/** Asks a relay for its state, or changes caps and asks for it. `change` goes as JSON to whoever listens there, which checks it. */
export function askRelay(folder: string, change?: object): Promise<RelayState | Problem> {
	return askOwned<RelayState>(folder, change ? "/caps" : "/state", "relay", change);
}

/** Asks whatever service has this folder; `what` it is, for whoever finds that it does not run. */
export function askOwned<Answer>(
	folder: string,
	path: string,
	what: string,
	question?: object,
	waitMs = ANSWER_MS_MAX,
): Promise<Answer | Problem> {
	const options = {
		socketPath: findDoorway(folder),
		method: question ? "POST" : "GET",
		path,
		headers: { "content-type": "application/json" },
		signal: AbortSignal.timeout(waitMs),
	};
	return new Promise((resolve) => {
		const asked = request(options, async (response) => {
			let text = "";
			try {
				for await (const part of response.setEncoding("utf8") as AsyncIterable<string>) {
					text += part;
					if (text.length > ANSWER_BYTES_MAX) break;
				}
				const json = JSON.parse(text) as Answer;
				resolve(problemOfJson(json) ?? json);
			} catch {
				resolve(problem("unavailable", `The ${what}'s answer is none.`));
			}
		});
		asked.on("error", (error: NodeJS.ErrnoException) => resolve(whyNot(folder, what, error)));
		asked.end(question && JSON.stringify(question));
	});
}

function whyNot(folder: string, what: string, { code }: NodeJS.ErrnoException): Problem {
	if (code === "EACCES")
		return problem("unauthorized", `${folder} is another user's: only its owner steers that ${what}.`);
	if (code === "ENOENT" || code === "ECONNREFUSED")
		return problem("unavailable", `No ${what} runs on ${folder}; --data names its folder.`, { spent: "no" });
	return problem("unavailable", `The ${what} on ${folder} does not answer.`);
}
