/**
 * A case: something between a person and the desk, with a way to answer (everyone.md, "Thieves"). The market or its people *find* something and say so to whom it hits;
 * or a person *asks* about a refusal, or *reports* somebody. Whose turn it is is in its state, and each turn ends by itself, so that nobody's money is sat on. Pure.
 */

import { isSaying } from "#contracts/decision";
import { type Problem, problem } from "#contracts/problem";
import type { RecordRow, RowChange } from "#marketplace/ledger/book";

/** What a case is about. */
export const CASE_KINDS = {
	asked: "You asked the desk.",
	report: "You reported somebody.",
	frozen: "The account is frozen: it opens no tabs, and nothing is paid out to it.",
	"by-hand": "The market's people have looked and ask for an answer.",
	"not-delivered": "Mail that the relay took did not arrive.",
	"sponsored-worse": "The relay serves those whom a fund pays for worse than others.",
	paused: "This enroller is paused: it issues no passes. Those that it issued hold.",
	"people-alike": "The people of this enroller look alike, as invented ones do.",
	"payers-alike": "The people whose subsidised mail this operator carried look alike, as invented ones do.",
} as const;
export type CaseKind = keyof typeof CASE_KINDS;

/**
 * Asked by a person: `asked` (the desk's turn), `told` (theirs). Found: `open` (theirs), `answered` (the desk's turn), then `upheld` or `lifted`. `closed`: nobody
 * says anything more.
 */
export const CASE_STATES = ["asked", "told", "open", "answered", "upheld", "lifted", "closed"] as const;
export type CaseState = (typeof CASE_STATES)[number];

/** Those that are not over. */
export const LIVE_STATES = ["asked", "told", "open", "answered"] as const satisfies readonly CaseState[];

/** What somebody said. `desk`: with the key of who it was. */
export type Letter = {
	readonly from: "person" | "desk" | "market";
	readonly by?: string;
	readonly atMs: number;
	readonly text: string;
};

export type Case = {
	readonly version: number;
	/** 32 hex digits */
	readonly id: string;
	readonly kind: CaseKind;
	/** who sees it and answers, public key in hex */
	readonly account: string;
	/** the relay, enroller or account that it is about, in hex; empty for a question */
	readonly about: string;
	readonly state: CaseState;
	/** what it was found by, with its numbers */
	readonly reasons: readonly string[];
	readonly letters: readonly Letter[];
	readonly openedMs: number;
	/** when the turn ends by itself, and once it is over, when that was */
	readonly dueMs: number;
};

/** What a case begins as. */
export type Beginning = Pick<Case, "id" | "kind" | "account" | "about"> & Partial<Pick<Case, "reasons" | "letters">>;

/** How long a turn lasts: a month, in which anybody looks once. */
export const TURN_MS = 30 * 86_400_000;
/** Said in one case: a row holds them all, in whatever script. */
export const LETTERS_MAX = 8;
/** Questions and reports of one account that wait at once. */
export const CASES_OF_ACCOUNT = 8;
/** Of all accounts together: what the market's people could read in a month. Keys are free, so an address may ask only so often too. */
const CASES_OF_ALL = 5_000;

const PERSONS = new Set<CaseKind>(["asked", "report"]);
/** Findings on an operator: while they are not lifted it gets no more of any fund, and what waits waits on. */
const HOLDING = new Set<CaseKind>(["by-hand", "not-delivered", "sponsored-worse", "payers-alike"]);

/** Whether a person began it. */
export function isPersons(kind: CaseKind): boolean {
	return PERSONS.has(kind);
}

/** Whether a case holds back an operator's earnings from funds. */
export function isHolding({ kind, state }: Pick<Case, "kind" | "state">): boolean {
	return HOLDING.has(kind) && (state === "open" || state === "answered");
}

/** Whether funds pay nothing new by an operator while it stands so. */
export function isPausing(found: Pick<Case, "kind" | "state">): boolean {
	return isHolding(found) || (HOLDING.has(found.kind) && found.state === "upheld");
}

/** Whether an enroller is paused by it. */
export function isOfEnroller(kind: CaseKind): boolean {
	return kind === "people-alike" || kind === "paused";
}

/** A new case. */
export function beginCase(beginning: Beginning, nowMs: number): Case {
	const state = isPersons(beginning.kind) ? "asked" : "open";
	return { reasons: [], letters: [], ...beginning, version: 0, state, openedMs: nowMs, dueMs: nowMs + TURN_MS };
}

/** Whether it is over. */
export function isOver({ state }: Pick<Case, "state">): boolean {
	return !(LIVE_STATES as readonly string[]).includes(state);
}

/** A case after somebody said something; the same one where that was said before. */
export function say(before: Case, letter: Letter, nowMs: number): Case | Problem {
	const last = before.letters.at(-1);
	// an answer got lost, and it was asked again
	if (last && last.from === letter.from && last.by === letter.by && last.text === letter.text) return before;
	if (isOver(before)) return problem("conflict", "The case is over; ask anew: farelay ask.");
	if (!isSaying(letter.text)) return problem("malformed", "Say it in up to 600 letters, without control characters.");
	if (before.letters.length >= LETTERS_MAX)
		return problem("conflict", `A case has at most ${LETTERS_MAX} letters; the market's people decide on these.`);
	const [ours, theirs] = isPersons(before.kind) ? (["asked", "told"] as const) : (["answered", "open"] as const);
	const state = letter.from === "person" ? ours : theirs;
	return { ...before, letters: [...before.letters, letter], state, dueMs: nowMs + TURN_MS };
}

/** A case once it was decided. One that was upheld can be lifted later: people err. */
export function end(before: Case, how: "upheld" | "lifted" | "closed", nowMs: number): Case | Problem {
	if (before.state === how) return before;
	if (isPersons(before.kind) !== (how === "closed"))
		return problem(
			"conflict",
			isPersons(before.kind) ? "A question is answered, not decided." : "A finding is upheld or lifted.",
		);
	if (isOver(before) && !(before.state === "upheld" && how === "lifted"))
		return problem("conflict", `The case is over: ${before.state}.`);
	return { ...before, state: how, dueMs: nowMs };
}

/** What becomes of a case whose turn has ended: what nobody answered stands, what the desk did not decide is lifted. */
export function endByItself({ kind, state }: Case): "upheld" | "lifted" | "closed" {
	if (isPersons(kind)) return "closed";
	return state === "answered" ? "lifted" : "upheld";
}

type Value = Pick<Case, "kind" | "about" | "reasons" | "letters" | "openedMs">;

/** Whether a record is a case: the table has other things too. */
export function isCase({ key }: Pick<RecordRow, "key">): boolean {
	return /^[0-9a-f]{32}$/.test(key);
}

/** Reads a record; what it holds was written here. */
export function readCase(row: RecordRow): Case {
	const { version, key: id, account, state, dueMs } = row;
	return { ...(JSON.parse(row.value) as Value), version, id, account, state: state as CaseState, dueMs };
}

/** The change that writes it over the version that it was read at. */
export function writeCase(written: Case): RowChange {
	const { version, id, account, state, dueMs, kind, about, reasons, letters, openedMs } = written;
	const value: Value = { kind, about, reasons, letters, openedMs };
	const most = { states: ["asked", "told"], ofAccount: CASES_OF_ACCOUNT, ofAll: CASES_OF_ALL };
	return {
		table: "findings",
		expect: version,
		row: { key: id, account, state, dueMs, value: JSON.stringify(value) },
		...(version === 0 && isPersons(kind) && { most }),
	};
}
