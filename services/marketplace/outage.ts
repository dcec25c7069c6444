/**
 * When the market was not there. A redemption deadline moves later by every outage before it, so that a relay never loses money because
 * nobody answered (PROTOCOL.md, "The marketplace's HTTP"; threat 14). Kept as a small file: a mark every minute, and the gaps found between marks at a start.
 */

import { type Problem, problem } from "#contracts/problem";
import { readJson, writeJson } from "./file.ts";

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
	/** in the order of time */
	readonly all: readonly Outage[];
	/** Marks that the market is here now; one mark is written at a time. Rejects when the disk does not take it. */
	mark(nowMs: number): Promise<void>;
}

type Kept = { readonly lastMs: number; readonly outages: readonly Outage[] };

/**
 * Reads the record and adds the gap since its last mark. Marks nothing yet: a market that starts again and again and never
 * listens was not there.
 */
export async function openOutages(path: string, nowMs: number): Promise<Outages | Problem> {
	const json = await readJson(path);
	if (json !== undefined && !isKept(json)) return problem("data-corrupt", `${path} is not the market's own file.`);
	let outages = [...(json?.outages ?? [])];
	if (json && nowMs - json.lastMs >= OUTAGE_MS_MIN) outages.push({ fromMs: json.lastMs, untilMs: nowMs });
	outages = outages.filter(({ untilMs }) => untilMs > nowMs - OUTAGE_KEPT_MS).slice(-OUTAGES_MAX);
	let lastMs = json?.lastMs ?? 0;
	let writing: Promise<void> = Promise.resolve();
	const mark = (atMs: number): Promise<void> => {
		// a clock that was set back must not make an outage of the time until it has caught up
		lastMs = Math.max(lastMs, atMs);
		writing = writing.catch(() => {}).then(() => writeJson(path, { lastMs, outages } satisfies Kept));
		return writing;
	};
	return { all: outages, mark };
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
