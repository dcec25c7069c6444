/** The one way in which a relay asks its market: bounded in time and in size, and never led elsewhere. */

import { type Problem, type ProblemCode, problem, problemOfJson } from "#contracts/problem";
import type { RelayLimits } from "#relay/limit";

/** The largest answer is to a full batch: 300 results with a receipt or a problem's detail each come to some 200 KiB. */
const ANSWER_BYTES_MAX = 512 * 1024;

/** When the market was last asked for something, and what it answered: a problem, or null for what it should. */
export type Asked = { readonly atMs: number; readonly problem: ProblemCode | null };

/** What asking needs. */
export type AskDeps = { readonly fetch: typeof fetch; readonly limits: RelayLimits; readonly marketUrl: string };

/** Posts a body, or gets without one. The answer's JSON, not yet looked at; the market's own problem; `unavailable` when it did not answer. */
export async function askMarket(deps: AskDeps, path: string, body?: object): Promise<{ json: unknown } | Problem> {
	const post = { method: "POST", headers: { "content-type": "application/json" }, body: JSON.stringify(body) };
	try {
		const answer = await deps.fetch(new URL(path, deps.marketUrl), {
			...(body && post),
			redirect: "error",
			signal: AbortSignal.timeout(deps.limits.marketMs),
		});
		const json: unknown = JSON.parse(await textOf(answer));
		return problemOfJson(json) ?? (answer.ok ? { json } : problem("unavailable"));
	} catch {
		return problem("unavailable", "The market does not answer.");
	}
}

/** @throws RangeError for an answer that is longer than any market's. */
async function textOf(answer: Response): Promise<string> {
	const decoder = new TextDecoder();
	let text = "";
	let bytes = 0;
	for await (const part of answer.body ?? []) {
		bytes += part.length;
		if (bytes > ANSWER_BYTES_MAX) throw new RangeError("the market's answer is too long");
		text += decoder.decode(part, { stream: true });
	}
	return text + decoder.decode();
}
