/**
 * Enrollers: an account applies, the market's people decide, and what an enroller may ask and issue in a day is bounded. Nobody is paid for each person: an
 * enroller gains nothing by inventing some.
 */

import { isProblem, type Problem, problem } from "#contracts/problem";
import type { Book, Most, RecordRow, RowChange } from "#marketplace/ledger/book";
import { ATTEMPTS_MAX, type Market, problemOfRefusal } from "#marketplace/market";

/**
 * - `asked`: waits for the market's people
 * - `approved`: may issue
 * - `paused`: may not for now, because of what was found, and can answer
 * - `refused`: may not
 */
export type EnrollerState = "asked" | "approved" | "paused" | "refused";

/** An enroller. */
export type Enroller = {
	readonly account: string;
	readonly version: number;
	readonly state: EnrollerState;
	/** what the organisation is called, and what it does and checks, in its own words: for the market's people and for sponsors */
	readonly name: string;
	readonly about: string;
	readonly askedAtMs: number;
	/** why it is paused or refused, for itself to read */
	readonly why: string | undefined;
	/** people that it may look up, and passes that it may issue, in a day each */
	readonly dayMax: number;
	/** days since 1970, and what was asked and issued on that day */
	readonly day: number;
	readonly asked: number;
	readonly issued: number;
};

/** People in a day: a school's enrolment takes a week; whoever invents people is slow enough to be seen. */
export const DAY_MAX = 100;
/** Texts of an enroller's: a name, and a paragraph. */
export const NAME_CHARS_MAX = 80;
export const ABOUT_CHARS_MAX = 1_000;
/** Who waits for the market's people at once: more than they read in a week, and an account costs nothing. */
const ROOM: Most = { states: ["asked"], ofAccount: 1, ofAll: 1_000 };

const DAY_MS = 86_400_000;

/** An enroller, whatever became of it. */
export async function enrollerOf(
	{ book }: { readonly book: Pick<Book, "record"> },
	account: string,
): Promise<Enroller | undefined> {
	const row = await book.record("enrollers", account);
	return row && readEnroller(row);
}

/** Reads an enroller's record. */
export function readEnroller({ key, version, state, value }: RecordRow): Enroller {
	const read = JSON.parse(value) as Omit<Enroller, "account" | "version" | "state">;
	return { ...read, why: read.why, account: key, version, state: state as EnrollerState };
}

/** Writes an enroller over the version that it was read at. */
export function writeEnroller({ account, version, state, ...rest }: Enroller): RowChange {
	const row = { key: account, account, state, dueMs: rest.askedAtMs, value: JSON.stringify(rest) };
	return { table: "enrollers", expect: version, row };
}

const plain = (text: string, most: number): boolean =>
	text.length > 0 && text.length <= most && text.isWellFormed() && !/\p{Cc}/u.test(text.replaceAll("\n", ""));

type Rooms = Pick<Market, "book" | "clock">;

/** Applies. Asking again changes the words, as long as nobody has decided. */
export async function askToEnroll(
	market: Rooms,
	account: string,
	{ name, about }: Pick<Enroller, "name" | "about">,
): Promise<Enroller | Problem> {
	if (!plain(name, NAME_CHARS_MAX) || !plain(about, ABOUT_CHARS_MAX))
		return problem(
			"malformed",
			`Say what you are called (${NAME_CHARS_MAX} characters at most) and what you check (${ABOUT_CHARS_MAX} at most).`,
		);
	return change(market, account, (before, nowMs) => {
		if (before && before.state !== "asked")
			return problem(
				"conflict",
				`The market's people decided on this already: ${before.state}.${before.why ? ` ${before.why}` : ""}`,
			);
		if (before?.name === name && before.about === about) return before;
		const none = { account, version: 0, why: undefined, dayMax: DAY_MAX, day: 0, asked: 0, issued: 0 };
		return { ...(before ?? none), state: "asked", name, about, askedAtMs: before?.askedAtMs ?? nowMs };
	});
}

/** Decides on an enroller: for the market's people. `why` is told to it; `dayMax` is what it may do in a day. */
export function decideEnroller(
	market: Rooms,
	account: string,
	state: Exclude<EnrollerState, "asked">,
	{ why, dayMax }: { readonly why?: string; readonly dayMax?: number } = {},
): Promise<Enroller | Problem> {
	return change(market, account, (before) =>
		decided(before, state, {
			...(why !== undefined && { why }),
			...(dayMax !== undefined && { dayMax }),
		}),
	);
}

/** An enroller once that was decided about it. */
export function decided(
	before: Enroller | undefined,
	state: Exclude<EnrollerState, "asked">,
	{ why, dayMax }: { readonly why?: string; readonly dayMax?: number } = {},
): Enroller | Problem {
	if (!before) return problem("not-found", "No such account has applied to be an enroller.");
	if (state !== "approved" && !why) return problem("malformed", "Say why: whoever it hits reads it, and can answer.");
	if (why !== undefined && !plain(why, ABOUT_CHARS_MAX)) return problem("malformed", "That is no reason in words.");
	if (dayMax !== undefined && (!Number.isSafeInteger(dayMax) || dayMax < 1 || dayMax > 10_000))
		return problem("malformed", "An enroller may look up 1 to 10000 people in a day.");
	return { ...before, state, why: state === "approved" ? undefined : why, dayMax: dayMax ?? before.dayMax };
}

/** An enroller that may work now, or the reason why it may not. */
export function refuseEnroller(enroller: Enroller | undefined): Enroller | Problem {
	if (enroller?.state === "approved") return enroller;
	if (!enroller)
		return problem("unauthorized", "This account is no enroller here; apply first (farelay enroll apply).");
	if (enroller.state === "asked")
		return problem(
			"unauthorized",
			"The market's people have not decided on your application yet; nothing can be issued before.",
		);
	return problem(
		"unauthorized",
		`The market's people have ${enroller.state} this enroller: ${enroller.why ?? "no reason was given"} Answer: farelay ask.`,
	);
}

/** Takes so many of an enroller's lookups or passes of this day, or says when there are more. */
export function takeOfDay(
	market: Rooms,
	account: string,
	what: "asked" | "issued",
	count: number,
): Promise<Enroller | Problem> {
	return change(market, account, (before, nowMs) => {
		const enroller = refuseEnroller(before);
		if (isProblem(enroller)) return enroller;
		const counted = ofDay(enroller, nowMs);
		if (what === "issued" && counted.issued + count > counted.asked)
			return problem(
				"conflict",
				"Each pass needs its person looked up first, on the same day (UTC): more would be issued than were looked up.",
			);
		if (what === "asked" && counted.asked + count > enroller.dayMax)
			return problem(
				"too-many",
				`This enroller may look up ${enroller.dayMax} people in a day; the market's desk can raise that.`,
				{
					retryAfterMs: (counted.day + 1) * DAY_MS - nowMs,
				},
			);
		return { ...counted, [what]: counted[what] + count };
	});
}

function ofDay(enroller: Enroller, nowMs: number): Enroller {
	const day = Math.floor(nowMs / DAY_MS);
	return enroller.day === day ? enroller : { ...enroller, day, asked: 0, issued: 0 };
}

async function change(
	market: Rooms,
	account: string,
	decide: (before: Enroller | undefined, nowMs: number) => Enroller | Problem,
): Promise<Enroller | Problem> {
	for (let attempt = 0; attempt < ATTEMPTS_MAX; attempt++) {
		const before = await enrollerOf(market, account);
		const next = decide(before, market.clock.nowMs());
		if (isProblem(next) || next === before) return next;
		const row = writeEnroller(next);
		const [outcome] = await market.book.apply([{ rows: [before ? row : { ...row, most: ROOM }] }]);
		if (outcome === "applied") return { ...next, version: next.version + 1 };
		if (typeof outcome !== "object") throw new Error("the book answered nothing");
		if (outcome.refused === "full")
			return problem("too-many", "Too many applications wait for the market's people; come back in a week.", {
				retryAfterMs: 7 * DAY_MS,
			});
		if (outcome.refused !== "stale") return problemOfRefusal(outcome.refused, outcome.detail);
	}
	return problemOfRefusal("stale", "");
}
