/**
 * The one place where a problem becomes an exception: the promises of `client.ts`. Inside the SDK refusals are values.
 */

import { isProblem, type Problem } from "#contracts/problem";

/** A refusal as an app developer meets it: `error.problem` says which, whether to retry, and whether money moved. */
export class FarelayError extends Error {
	readonly problem: Problem;

	constructor(problem: Problem) {
		super(problem.detail);
		this.name = "FarelayError";
		this.problem = problem;
	}
}

/** The answer, or its problem thrown. @throws FarelayError */
export function orThrow<Answer>(answer: Answer | Problem): Answer {
	if (isProblem(answer)) throw new FarelayError(answer);
	return answer;
}
