/** What a doctor says: one thing that was looked at, how it is, and what to do about it where it is not well. */

import { isProblem, type Problem, problem } from "#contracts/problem";
import type { Clock } from "#host/clock";
import type { Rail } from "#marketplace/rail/rail";

/** One thing. `warn`: it works, and somebody should look; `bad`: it does not, or soon will not. */
export type Finding = {
	readonly what: string;
	readonly state: "ok" | "warn" | "bad";
	readonly says: string;
	/** what to do about it */
	readonly mend?: string;
	/** nothing here is broken: somebody who was asked could not be reached, and may be next time */
	readonly isAway?: true;
};

/** A rail that says nothing for so long does not work. */
const CHECK_MS = 15_000;

/** Each rail's own word on whether it works now. */
export async function checkRails(rails: readonly Rail[], clock: Clock): Promise<Finding[]> {
	if (rails.length === 0) {
		const mend = "Set one up: farelay market --help lists them.";
		return [{ what: "rails", state: "warn", says: "none is set up: no money comes in or goes out.", mend }];
	}
	return await Promise.all(
		rails.map(async (rail): Promise<Finding> => {
			const wrong = await inTime(rail, clock);
			const what = `rail ${rail.name}`;
			if (!wrong) return { what, state: "ok", says: "works." };
			const away = wrong.problem === "unavailable" && { isAway: true as const };
			return { what, state: "bad", says: wrong.detail, mend: "Payments by it wait until it works again.", ...away };
		}),
	);
}

async function inTime(rail: Rail, clock: Clock): Promise<Problem | undefined> {
	const late = Promise.withResolvers<Problem>();
	const cancel = clock.after(CHECK_MS, () => late.resolve(problem("unavailable", "It does not answer.")));
	try {
		const said = await Promise.race([rail.check(), late.promise]);
		return isProblem(said) ? said : undefined;
	} catch {
		return problem("internal", "It broke when it was asked.");
	} finally {
		cancel();
	}
}
