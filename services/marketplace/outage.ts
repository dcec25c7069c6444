/**
 * When the market was not there. A redemption deadline moves later by every outage before it, so that a relay never loses money because
 * nobody answered (PROTOCOL.md, "The marketplace's HTTP"; threat 14). Kept as a note on the board: a mark every minute by each of the market's
 * processes, and the gaps found between them. The market was away when none of its processes was there: running, awake, and with its board.
 */

import { type Problem, problem } from "#contracts/problem";
import { readJson } from "#host/replace";
import type { Board } from "./board/board.ts";
import { ATTEMPTS_MAX } from "./market.ts";

/** A span in which nobody could redeem, Unix milliseconds. */
export type Outage = { readonly fromMs: number; readonly untilMs: number };

/** How often each process marks that the market is there. */
export const MARK_MS = 60_000;

/** A gap shorter than this is a restart; deadlines stay. Two marks, so that one that came late is no outage. */
const OUTAGE_MS_MIN = 2 * MARK_MS;

/** Outages older than any tab can be (7 days of life, a day of grace, and outages within them) move no deadline any more. */
const OUTAGE_KEPT_MS = 60 * 86_400_000;

/** More than a market that restarts every few hours has in that time; beyond it the oldest are forgotten. */
const OUTAGES_MAX = 500;

/** What the note is called. */
export const PRESENCE = "presence";

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
	/**
	 * All until now, in the order of time: a machine that slept since its last mark was away as well, before it marks again. Whether another
	 * process was there meanwhile is known from the next mark on: until then what may have been an outage counts as one, so that no tab ends
	 * that could still be paid.
	 */
	all(nowMs: number): readonly Outage[];
	/** Notes that this process is still there, without writing it down: a slow disk is no absence. */
	see(nowMs: number): void;
	/** Marks that the market is there. Rejects when the board does not take it: without its board it is not there. */
	mark(nowMs: number): Promise<void>;
}

type Kept = { readonly lastMs: number; readonly outages: readonly Outage[] };

/**
 * Reads the record; the gap since its last mark counts from now on. Marks nothing yet: a market that starts again and again and
 * never listens was not there. `file`: where a market of an older version has its record, which is taken over when the board has none.
 */
export async function openOutages(
	board: Pick<Board, "note" | "writeNote">,
	nowMs: number,
	file?: string,
): Promise<Outages | Problem> {
	const json = file === undefined ? undefined : await readJson(file);
	if (json !== undefined && !isKept(json)) return problem("data-corrupt", `${file} is not the market's own file.`);
	/** what is on the board as far as this process knows */
	let known = (await read())?.kept ?? json ?? { lastMs: nowMs, outages: [] };
	/** since when this process has been there without a gap, and until when as far as it knows */
	let here: Span | undefined;
	const see = (atMs: number): void => {
		if (here)
			here = {
				fromMs: atMs - here.untilMs < OUTAGE_MS_MIN ? here.fromMs : atMs,
				untilMs: Math.max(here.untilMs, atMs),
			};
	};
	return {
		all: (atMs) => withGap(here ? marked(known, here) : known, atMs),
		see,
		mark: async (atMs) => {
			here ??= { fromMs: atMs, untilMs: atMs };
			see(atMs);
			const span = here;
			try {
				// when so many others mark at once that it never is its turn, the market is there as well
				for (let attempt = 0; attempt < ATTEMPTS_MAX; attempt++) {
					const before = await read();
					const next = marked(before?.kept ?? known, span);
					if (!(await board.writeNote(PRESENCE, before?.version ?? 0, JSON.stringify(next)))) continue;
					known = next;
					return;
				}
			} catch (error) {
				here = undefined;
				throw error;
			}
		},
	};

	async function read(): Promise<{ version: number; kept: Kept } | undefined> {
		const note = await board.note(PRESENCE);
		if (!note) return undefined;
		const kept: unknown = JSON.parse(note.text);
		if (!isKept(kept)) throw new TypeError("the note of the market's presence is not its own");
		return { version: note.version, kept };
	}
}

type Span = { readonly fromMs: number; readonly untilMs: number };

/** The record with what nobody was there from its last mark until a time. */
function withGap({ lastMs, outages }: Kept, untilMs: number): readonly Outage[] {
	return untilMs - lastMs >= OUTAGE_MS_MIN ? [...outages, { fromMs: lastMs, untilMs }] : outages;
}

/** The record once somebody was there for a while. */
function marked(kept: Kept, { fromMs, untilMs }: Span): Kept {
	const outages = withGap(kept, fromMs)
		.filter((outage) => outage.untilMs > untilMs - OUTAGE_KEPT_MS)
		.slice(-OUTAGES_MAX);
	// a clock that was set back must not make an outage of the time until it has caught up
	return { lastMs: Math.max(kept.lastMs, untilMs), outages };
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
