/** Decides whether a test noticed a mutant, so that a busy machine neither kills one nor passes for one that hangs. */

/** One run of a test up to its first failure. */
export type Run = { said: "failed" | "passed" | "too long"; ms: number };

/** What a test says of a mutant. `hung`: it does not end though the unchanged file does. `unclear`: neither ended well. */
export type Verdict = "killed" | "hung" | "survived" | "unclear";

/** A mutant may run for ever; after this many times the test's usual time it is stopped. */
const PATIENCE = 4;
const PATIENCE_MS_MIN = 20_000;

/** A failure that took so many times the usual time, and a second more, may be the machine's and not the mutant's. */
const SLOW = 2;
const SLOW_MS = 1_000;

/** How often a mutant is tried again when the unchanged file does no better. */
const TRIES = 3;

/**
 * What one test says of a mutant. A failure in about the usual time is the mutant's. After one that took long, the unchanged
 * file must pass within the same time; and what does not end must do so twice, the second time with twice the patience.
 */
export async function judge(
	mutant: (msMax: number) => Promise<Run>,
	unchanged: (msMax: number) => Promise<Run>,
	usualMs: number,
): Promise<Verdict> {
	let msMax = Math.max(PATIENCE_MS_MIN, PATIENCE * usualMs);
	let hangs = 0;
	for (let tries = 0; tries < TRIES; tries++, msMax *= 2) {
		const { said, ms } = await mutant(msMax);
		if (said === "passed") return "survived";
		if (said === "failed" && ms < SLOW * usualMs + SLOW_MS) return "killed";
		if ((await unchanged(msMax)).said !== "passed") continue;
		if (said === "failed") return "killed";
		hangs += 1;
		if (hangs === 2) return "hung";
	}
	return "unclear";
}
