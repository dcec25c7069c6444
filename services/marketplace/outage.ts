/**
 * When the market was not there. A redemption deadline moves later by every outage before it, so that a relay never loses money because
 * nobody answered (PROTOCOL.md, "The marketplace's HTTP"; threat 14). Kept as a small file: a mark every minute, and the gaps found between
 * marks, at a start and when the machine slept.
 */

import { type Problem, problem } from "#contracts/problem";
import { readJson, writeJson } from "#host/replace";

/** A span in which nobody could redeem, Unix milliseconds. */
export type Outage = { readonly fromMs: number; readonly untilMs: number };

/** How often the market marks that it is there. */
export const MARK_MS = 60_000;

/** A gap shorter than this is a restart; deadlines stay. Two marks, so that one that came late is no outage. */
const OUTAGE_MS_MIN = 2 * MARK_MS;

/** Outages older than any tab can be (7 days of life, a day of grace, and outages within them) move no deadline any more. */
const OUTAGE_KEPT_MS = 60 * 86_400_000;

/** More than a market that restarts every few hours has in that time; beyond it the oldest are forgotten. */
const OUTAGES_MAX = 500;

/** A deadline with what the market was away between the tab's opening and it, each outage counted once. */
export function extend(deadlineMs: number, sinceMs: number, outages: readonly Outage[]): number {
	let extendedMs = deadlineMs;
	for (const { fromMs, untilMs } of outages) {
		// in the order of time: an outage within the time that an earlier one added counts as well
		if (untilMs > sinceMs && fromMs < extendedMs) extendedMs += untilMs - Math.max(fromMs, sinceMs);
	}
	return extendedMs;
}

/** The market's record of its own absences. */
export interface Outages {
	/** All until now, in the order of time: a machine that slept since its last mark was away as well, before it marks again. */
	all(nowMs: number): readonly Outage[];
	/** Notes that the market is here now, and the gap since the last time, without writing it down: a slow disk is no absence. */
	see(nowMs: number): void;
	/** Notes it and writes it down; one mark is written at a time. Rejects when the disk does not take it. */
	mark(nowMs: number): Promise<void>;
}

type Kept = { readonly lastMs: number; readonly outages: readonly Outage[] };

/**
 * Reads the record; the gap since its last mark counts from now on. Marks nothing yet: a market that starts again and again and
 * never listens was not there.
 */
export async function openOutages(path: string, nowMs: number): Promise<Outages | Problem> {
	const json = await readJson(path);
	if (json !== undefined && !isKept(json)) return problem("data-corrupt", `${path} is not the market's own file.`);
	let outages = json?.outages ?? [];
	let lastMs = json?.lastMs ?? nowMs;
	let writing: Promise<void> = Promise.resolve();
	const all = (atMs: number): readonly Outage[] =>
		atMs - lastMs >= OUTAGE_MS_MIN ? [...outages, { fromMs: lastMs, untilMs: atMs }] : outages;
	const see = (atMs: number): void => {
		outages = all(atMs)
			.filter(({ untilMs }) => untilMs > atMs - OUTAGE_KEPT_MS)
			.slice(-OUTAGES_MAX);
		// a clock that was set back must not make an outage of the time until it has caught up
		lastMs = Math.max(lastMs, atMs);
	};
	return {
		all,
		see,
		mark: (atMs) => {
			see(atMs);
			const kept: Kept = { lastMs, outages };
			writing = writing.catch(() => {}).then(() => writeJson(path, kept));
			return writing;
		},
	};
}

function isKept(json: unknown): json is Kept {
	const kept = json as Kept;
	return (
		typeof json === "object" &&
		json !== null &&
		Number.isSafeInteger(kept.lastMs) &&
		Array.isArray(kept.outages) &&
		kept.outages.every(
			(outage) =>
				Number.isSafeInteger(outage?.fromMs) && Number.isSafeInteger(outage.untilMs) && outage.fromMs < outage.untilMs,
		)
	);
}
