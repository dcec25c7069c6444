/**
 * Problems: every refusal in Farelay, on the wire, over HTTP and at the command line, is one of a closed list, and says
 * whether trying again can help and whether money moved (PROTOCOL.md, "Problems").
 */

import { LIMIT } from "./limit.ts";
import table from "./problem.json" with { type: "json" };

/** Whether the money of what was refused is safe: nothing was spent, it was, or nobody here can tell yet. */
export type Spent = "no" | "yes" | "unknown";

type Kind = {
	readonly wire: number;
	readonly retry: boolean;
	readonly spent: Spent;
	readonly http: number;
	readonly says: string;
};

/**
 * The closed list, a table that other languages can read too. `wire` is the code's byte in a problem frame, `retry` whether
 * the same request can succeed later unchanged, `http` its status over HTTP, `says` what to tell a person when nothing better is known.
 */
export const PROBLEMS = table as { readonly [code in keyof typeof table]: Kind };

/** A code of the closed list. */
export type ProblemCode = keyof typeof PROBLEMS;

/** A refusal as a value. `detail` is for people and never holds a secret; `retryAfterMs` is how long to wait first. */
export type Problem = {
	readonly problem: ProblemCode;
	readonly retry: boolean;
	readonly spent: Spent;
	readonly detail: string;
	readonly retryAfterMs?: number;
};

/** Makes a refusal; `spent` can be told better than the list does where the caller knows more. */
export function problem(
	code: ProblemCode,
	detail: string = PROBLEMS[code].says,
	more: { spent?: Spent; retryAfterMs?: number } = {},
): Problem {
	const kind = PROBLEMS[code];
	const base = { problem: code, retry: kind.retry, spent: more.spent ?? kind.spent, detail };
	return more.retryAfterMs === undefined ? base : { ...base, retryAfterMs: more.retryAfterMs };
}

/** Whether an answer is a refusal. */
export function isProblem(answer: unknown): answer is Problem {
	return (
		typeof answer === "object" &&
		answer !== null &&
		"problem" in answer &&
		typeof answer.problem === "string" &&
		Object.hasOwn(PROBLEMS, answer.problem)
	);
}

/** What a person may be shown of a detail that another machine wrote: no control characters (a terminal obeys them), bounded. */
export function plainDetail(detail: string): string {
	return detail.slice(0, LIMIT.detailBytesMax).replace(/\p{Cc}/gu, " ");
}

/** Reads a refusal as JSON has it, from a party that is not trusted; undefined for anything else. */
export function problemOfJson(json: unknown): Problem | undefined {
	if (!isProblem(json)) return undefined;
	const { problem: code, retry, spent, detail, retryAfterMs } = json as { [field in keyof Problem]: unknown } & Problem;
	if (typeof retry !== "boolean" || typeof detail !== "string") return undefined;
	if (spent !== "no" && spent !== "yes" && spent !== "unknown") return undefined;
	const base = { problem: code, retry, spent, detail: plainDetail(detail) };
	if (retryAfterMs === undefined) return base;
	return Number.isSafeInteger(retryAfterMs) && retryAfterMs >= 0 ? { ...base, retryAfterMs } : undefined;
}

const byWire = new Map<number, ProblemCode>(
	Object.entries(PROBLEMS).map(([code, kind]) => [kind.wire, code as ProblemCode]),
);

/** The code of a problem frame's byte; a byte from a later version reads as `internal`. */
export function problemOfWire(wire: number): ProblemCode {
	return byWire.get(wire) ?? "internal";
}
