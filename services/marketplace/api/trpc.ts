/** What every procedure starts from: who calls, refusals as problems with their HTTP status, and no bare bigint in an answer. */

import { initTRPC, TRPCError } from "@trpc/server";
import { ZodError } from "zod";
import { isProblem, PROBLEMS, type Problem, problem } from "#contracts/problem";
import { BookFailure } from "#marketplace/ledger/book";
import type { Market } from "#marketplace/market";

/** What a procedure is handed. */
export type Context = {
	readonly market: Market;
	/** the account that signed the request's token, public key in hex; a problem when it did not, undefined when there is no token */
	readonly caller: string | Problem | undefined;
	readonly requestId: string;
};

/** A refusal on its way through tRPC, which knows errors only. */
export class Refusal extends Error {
	readonly problem: Problem;
	constructor(refused: Problem) {
		super(refused.detail);
		this.problem = refused;
	}
}

/** The nearest word that tRPC has for a status; the true status is set on the answer. */
const CODES: Record<number, TRPCError["code"]> = {
	400: "BAD_REQUEST",
	401: "UNAUTHORIZED",
	402: "PAYMENT_REQUIRED",
	403: "FORBIDDEN",
	404: "NOT_FOUND",
	408: "TIMEOUT",
	409: "CONFLICT",
	410: "PRECONDITION_FAILED",
	429: "TOO_MANY_REQUESTS",
	502: "BAD_GATEWAY",
	503: "SERVICE_UNAVAILABLE",
};

/** A problem as the error that tRPC sends. */
export function refusal(refused: Problem): TRPCError {
	const code = CODES[PROBLEMS[refused.problem].http] ?? "INTERNAL_SERVER_ERROR";
	return new TRPCError({ code, message: refused.detail, cause: new Refusal(refused) });
}

/** The answer, or its problem thrown as tRPC wants it. */
export function accept<T>(answer: T | Problem): T {
	if (isProblem(answer)) throw refusal(answer);
	return answer;
}

/** The problem that any error of a procedure stands for. Only what was meant for the caller is told: a bug's message is not. */
export function problemOf(error: TRPCError): Problem {
	const { cause } = error;
	if (cause instanceof Refusal || cause instanceof BookFailure) return cause.problem;
	if (cause instanceof ZodError) {
		const [issue] = cause.issues;
		return problem("malformed", `${issue?.path.join(".") || "The input"}: ${issue?.message ?? "is not one."}`);
	}
	if (error.code === "NOT_FOUND") return problem("not-found", "There is no such procedure.");
	if (error.code === "PAYLOAD_TOO_LARGE") return problem("malformed", "The request is too large.");
	if (error.code === "INTERNAL_SERVER_ERROR") return problem("internal");
	return problem("malformed", "The request is not one that this market understands.");
}

const t = initTRPC.context<Context>().create({
	// never with a stack trace, whatever the environment says
	isDev: false,
	errorFormatter: ({ shape, error }) => {
		const found = problemOf(error);
		return {
			message: found.detail,
			code: shape.code,
			data: { code: shape.data.code, httpStatus: PROBLEMS[found.problem].http, problem: found },
		};
	},
});

/** Money leaves as decimal text through `contracts/amount`; a bigint in an answer is a bug that must not reach anyone. */
function findBigint(value: unknown, path = "answer"): string | undefined {
	if (typeof value === "bigint") return path;
	if (typeof value !== "object" || value === null) return undefined;
	for (const [key, part] of Object.entries(value)) {
		const found = findBigint(part, `${path}.${key}`);
		if (found) return found;
	}
	return undefined;
}

const withoutBigints = t.middleware(async ({ next }) => {
	const result = await next();
	const found = result.ok ? findBigint(result.data) : undefined;
	if (found) throw new Error(`a bare bigint in ${found}`);
	return result;
});

export const router = t.router;

/** A procedure that anyone may call. */
export const open = t.procedure.use(withoutBigints);

/** A procedure for accounts: the request's token says whose it is. */
export const signed = open.use(({ ctx, next }) => {
	if (ctx.caller === undefined) throw refusal(problem("unauthorized", "The request carries no account's token."));
	return next({ ctx: { ...ctx, account: accept(ctx.caller) } });
});
