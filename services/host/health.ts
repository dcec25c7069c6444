/** Whether a service can do its work, for `/health` and for whoever watches it: each part says what troubles it, or that nothing does. */

import type { ProblemCode } from "#contracts/problem";

/** What `/health` answers, as JSON; status 200 when `ok`, 503 otherwise. `troubles` names parts and codes, nothing that identifies anyone. */
export type HealthReport = {
	readonly ok: boolean;
	readonly state: "up" | "draining";
	readonly troubles: Readonly<Record<string, ProblemCode>>;
};

/** The health of a running service. */
export interface Health {
	/** A part is in trouble (a disk refuses, a thread died), or with `undefined` no longer. */
	report(part: string, trouble: ProblemCode | undefined): void;
	/** The service is stopping: it answers what it began and wants nothing new. */
	drain(): void;
	now(): HealthReport;
}

/** A healthy service. */
export function makeHealth(): Health {
	const troubles = new Map<string, ProblemCode>();
	let draining = false;
	return {
		report: (part, trouble) => {
			if (trouble === undefined) troubles.delete(part);
			else troubles.set(part, trouble);
		},
		drain: () => {
			draining = true;
		},
		now: () => ({
			ok: !draining && troubles.size === 0,
			state: draining ? "draining" : "up",
			troubles: Object.fromEntries(troubles),
		}),
	};
}
