/**
 * How often an idle client speaks, learned from how it goes: pure arithmetic (PROTOCOL.md, "Sessions and flow"). Who remembers it
 * for each network is `pace.ts`; who speaks is `session.ts`.
 */

import { LIMIT } from "#contracts/limit";

/** What a machine hangs on. A carrier's table forgets an idle connection sooner than a router's, and each word costs a radio's battery. */
export type NetworkKind = "cellular" | "wifi" | "unknown";

/** How often it speaks, and how many rounds in a row went well at that. */
export type Rhythm = { readonly everyMs: number; readonly clean: number };

/** Where each begins: what nearly every network of its kind is known to bear. */
const FIRST_MS: Record<NetworkKind, number> = { cellular: 55_000, wifi: 120_000, unknown: 120_000 };
/** The longest that is tried: beyond it little is saved, and a dead connection is noticed late. */
const MOST_MS: Record<NetworkKind, number> = {
	cellular: LIMIT.keepaliveMsMax / 2,
	wifi: LIMIT.keepaliveMsMax,
	unknown: LIMIT.keepaliveMsMax,
};
/** The shortest: a network that forgets sooner than this is one to be away from. */
export const KEEPALIVE_MS_MIN = 20_000;
/** Rounds in a row that have to go well before a longer one is tried. */
const CLEAN_ROUNDS = 3;

/** What a network that nobody knows begins with. */
export function firstRhythm(kind: NetworkKind): Rhythm {
	return { everyMs: FIRST_MS[kind], clean: 0 };
}

/** A round in which nothing but the keepalive was said was answered: after three of them the next are half as long again. */
export function afterClean({ everyMs, clean }: Rhythm, kind: NetworkKind): Rhythm {
	if (clean + 1 < CLEAN_ROUNDS) return { everyMs, clean: clean + 1 };
	return { everyMs: Math.min(Math.round(everyMs * 1.5), MOST_MS[kind]), clean: 0 };
}

/** A keepalive was not answered: the next rounds are half as long. */
export function afterMiss({ everyMs }: Rhythm): Rhythm {
	return { everyMs: Math.max(Math.round(everyMs / 2), KEEPALIVE_MS_MIN), clean: 0 };
}

/** A rhythm from a record, within what its kind of network may have; undefined for anything else. */
export function soundRhythm(everyMs: unknown, kind: NetworkKind): Rhythm | undefined {
	if (typeof everyMs !== "number" || !Number.isInteger(everyMs) || everyMs < KEEPALIVE_MS_MIN) return undefined;
	return { everyMs: Math.min(everyMs, MOST_MS[kind]), clean: 0 };
}
