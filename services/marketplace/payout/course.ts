/**
 * The course of a payout, as a pure machine: what each answer of the rail, each silence and each crash leads to. Nothing here knows a book, a clock
 * or a network, and what it decides is carried out in `payouts.ts`, the record and the money in one change (money.md, "Rails").
 *
 * Three rules keep it from paying twice and from giving back what was paid (threat 19):
 * - the rail is told to pay at most once, by whoever moved the record from `reserved` to `sending`; what is not paid after all is paid by another payout;
 * - what the rail answers to being told is a hint; only what it says when it is asked ends a payout;
 * - money goes back only when the rail says twice in a row, {@link CONFIRM_MS} apart, that it did not pay.
 *
 * Where a rail never says, a person ends it (`byhand.ts`), and the payout says for good that they did.
 */

import { isProblem, type Problem } from "#contracts/problem";
import type { PaymentState } from "#marketplace/rail/rail";

/**
 * Where a payout is.
 * - `queued`: asked for; no money was moved
 * - `reserved`: its money is set aside; the rail knows nothing of it
 * - `sending`: the rail is being told, or has it and is not done
 * - `unknown`: the rail was told, and nobody here knows what became of it: it is asked until it says
 * - `sent`, `failed`: ended; the rail said so
 */
export type CourseState = "queued" | "reserved" | "sending" | "unknown" | "sent" | "failed";

/** How long the rail must stay with its word before money goes back: a rail that restarts may forget, or know less than a moment later. */
export const CONFIRM_MS = 30_000;
/** Before this, a rail that does not know a payment may only not know it yet: a copy of the order can be on its way for as long as a connection lives. */
export const ABSENT_AFTER_MS = 10 * 60_000;
/** Whoever wrote that the rail is about to be told does so within this, or not at all: an order that comes long after might be taken for lost. */
export const TELL_WITHIN_MS = 60_000;
/** How long after a question the next one comes: doubling from the first, up to the last. */
const LOOK_FIRST_MS = 5_000;
const LOOK_LAST_MS = 15 * 60_000;
/** A fee of more than so many times the payment is no fee: a rail that says so is mistaken, and a person looks at it. */
export const FEE_TIMES_MAX = 100n;
/** What is kept of a rail's reasons: a line for a person. */
const WHY_CHARS_MAX = 200;

/** What the rail took for a payment and how it proves it. */
export type Paid = { readonly fee: bigint; readonly proof: string; readonly atMs: number };

/** A payout on its course. */
export type Course = {
	readonly state: CourseState;
	/** when the rail was about to be told */
	readonly begunAtMs?: number;
	/** how often the rail was asked */
	readonly looks: number;
	/** since when the rail has been saying, whenever it was asked, that it did not pay */
	readonly unpaidSinceMs?: number;
	/** what stands in the way, or why it failed, for a person */
	readonly why?: string;
	/** once sent */
	readonly paid?: Paid;
	/** ended by a person and not by the rail: what they gave as the reason */
	readonly byHand?: string;
};

/** What can happen to a payout. A crash is no event: whoever comes after it reads the record and goes on by {@link nextOf}. */
export type Event =
	/** its money is set aside in the same change */
	| { readonly is: "reserved" }
	/** it cannot go, and the rail was not told */
	| { readonly is: "refused"; readonly why: string }
	/** written before the rail is told, so that nobody tells it again */
	| { readonly is: "begun"; readonly atMs: number }
	/** the rail's answer to being told, or that none came in time */
	| { readonly is: "told"; readonly says: PaymentState | Problem }
	/** the rail's answer to being asked */
	| { readonly is: "asked"; readonly says: PaymentState | Problem; readonly amount: bigint; readonly atMs: number }
	/** what a person says who has looked at the rail themselves */
	| {
			readonly is: "by hand";
			readonly how: "sent" | "failed";
			readonly fee: bigint;
			readonly note: string;
			readonly atMs: number;
	  };

/** What happens to the money in the same change: set aside, spent, or given back. */
export type Move = "reserve" | "spend" | "return";

/** What an event leads to. */
export type Step = { readonly course: Course; readonly move?: Move };

/** What is to be done next by whoever holds the record; `nothing`: it has ended. */
export type Next = "reserve" | "send" | "ask" | "nothing";

/** A payout that was asked for. */
export const QUEUED: Course = { state: "queued", looks: 0 };

/** What a payout wants next, from its record alone. One that is `sending` is never sent again: it is asked about. */
export function nextOf(course: Course): Next {
	switch (course.state) {
		case "queued":
			return "reserve";
		case "reserved":
			return "send";
		case "sending":
		case "unknown":
			return "ask";
		default:
			return "nothing";
	}
}

/** Whether the rail may be told still, so long after that was written. */
export function mayTell(sinceBegunMs: number): boolean {
	return sinceBegunMs >= 0 && sinceBegunMs < TELL_WITHIN_MS;
}

/** How long to wait before the rail is asked again. */
export function lookAgainMs(course: Course): number {
	if (course.unpaidSinceMs !== undefined) return CONFIRM_MS;
	return Math.min(LOOK_LAST_MS, LOOK_FIRST_MS * 2 ** Math.min(course.looks, 16));
}

/** What an event leads to. @throws Error for one that cannot happen where the payout is: a bug in the caller. */
export function follow(course: Course, event: Event): Step {
	const { state } = course;
	switch (event.is) {
		case "reserved":
			if (state !== "queued") break;
			return { course: { ...course, state: "reserved" }, move: "reserve" };
		case "refused":
			if (state !== "queued" && state !== "reserved") break;
			return {
				course: { ...course, state: "failed", why: short(event.why) },
				...(state === "reserved" && { move: "return" }),
			};
		case "begun":
			if (state !== "reserved") break;
			return { course: { ...course, state: "sending", begunAtMs: event.atMs } };
		case "told":
			if (state !== "sending") break;
			return { course: told(course, event.says) };
		case "asked":
			if (state !== "sending" && state !== "unknown") break;
			return asked(course, event);
		case "by hand":
			if (state === "sent" || state === "failed") break;
			return byHand(course, event);
	}
	throw new Error(`a payout that is ${state} cannot be ${event.is}`);
}

/** A person's word, for a payout that its rail was told of; before that there is nothing to be said but that it shall not go. */
function byHand(course: Course, { how, fee, note, atMs }: Event & { is: "by hand" }): Step {
	const said = short(note);
	const { unpaidSinceMs: _, why: __, ...rest } = course;
	if (course.state === "queued") return { course: { ...rest, state: "failed", why: said, byHand: said } };
	if (how === "failed") return { course: { ...rest, state: "failed", why: said, byHand: said }, move: "return" };
	if (course.state === "reserved") throw new Error("a payout that no rail was told of cannot have been sent");
	return { course: { ...rest, state: "sent", paid: { fee, proof: "", atMs }, byHand: said }, move: "spend" };
}

/** The answer to being told decides nothing but what a person is shown until the rail is asked. */
function told(course: Course, says: PaymentState | Problem): Course {
	if (!isProblem(says) && (says.state === "sending" || says.state === "sent")) return course;
	return { ...course, state: "unknown", why: short(whyOf(says)) };
}

function asked(course: Course, { says, amount, atMs }: Event & { is: "asked" }): Step {
	const { unpaidSinceMs, why: _, ...rest } = course;
	const open = { ...rest, looks: course.looks + 1 };
	// no answer is no word against what it said before
	const heard = unpaidSinceMs === undefined ? {} : { unpaidSinceMs };
	if (isProblem(says) || says.state === "unknown")
		return { course: { ...open, ...heard, state: "unknown", why: short(whyOf(says)) } };
	switch (says.state) {
		case "sending":
			return { course: { ...open, state: "sending" } };
		case "sent":
			if (says.amount !== amount)
				return { course: { ...open, state: "unknown", why: "The rail says that it sent another amount." } };
			if (says.fee > amount * FEE_TIMES_MAX)
				return { course: { ...open, state: "unknown", why: "The rail says that it took a fee that can be none." } };
			return {
				course: { ...open, state: "sent", paid: { fee: says.fee, proof: says.proof, atMs: says.atMs } },
				move: "spend",
			};
		case "absent":
			if (atMs - (course.begunAtMs ?? atMs) < ABSENT_AFTER_MS)
				return { course: { ...open, state: "unknown", why: "The rail does not know it yet." } };
			break;
	}
	const why = short(whyOf(says));
	const sinceMs = unpaidSinceMs ?? atMs;
	if (atMs - sinceMs < CONFIRM_MS) return { course: { ...open, state: "unknown", unpaidSinceMs: sinceMs, why } };
	return { course: { ...open, state: "failed", why }, move: "return" };
}

function whyOf(says: PaymentState | Problem): string {
	if (isProblem(says)) return says.detail;
	if (says.state === "absent") return "It never left.";
	return "why" in says ? says.why : "The rail did not say what became of it.";
}

/** A line that a terminal can show, whoever wrote it. */
function short(why: string): string {
	return why.slice(0, WHY_CHARS_MAX).replace(/\p{Cc}/gu, " ");
}
