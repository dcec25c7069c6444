/** The market's procedures for people and those who run it: questions, findings, decisions. A part of {@link MarketApi}, written out as that is. */

import type { Hex, Mutation, Nanos, Page, Query } from "./api.ts";

/** A case: what was found about an account and can be answered, or what it asked or reported, with all that was said. */
export type CaseJson = {
	id: Hex;
	kind: string;
	/** What kind it is, in words. */
	says: string;
	/** Whose it is. */
	account: Hex;
	/** The relay, enroller or account that it is about; the reason that was asked about. */
	about: string;
	/** Asked by a person: `asked`, `told`, `closed`. Found: `open`, `answered`, `upheld`, `lifted`. */
	state: "asked" | "told" | "open" | "answered" | "upheld" | "lifted" | "closed";
	isOver: boolean;
	reasons: string[];
	letters: { from: "person" | "desk" | "market"; atMs: number; text: string }[];
	openedMs: number;
	/** When whose turn it is ends by itself; of one that is over, when that was. */
	dueMs: number;
};

/** What the market's people see of it: who of them wrote what. */
export type WholeCaseJson = CaseJson & { by: (Hex | null)[] };

/** A finding about an operator: while it is open or answered, what funds paid waits on; if it is upheld, that goes back. */
export type FindingJson = { id: Hex; says: string; state: CaseJson["state"]; reasons: string[]; dueMs: number };

/** A decision of the market's people, signed, with the hash of it and all before it. */
export type DecisionJson = {
	number: number;
	hash: Hex;
	by: Hex;
	deed: string;
	subject: Hex;
	why: string;
	amount: Nanos;
	atMs: number;
	bytes: Hex;
};

/** One message of a canary's: paid by a fund or by itself, what became of it, and how long it took. */
export type MeasureJson = { atMs: number; funded: boolean; end: "refused" | "lost" | "delivered"; tookMs: number };

/** What came of the messages of one kind. */
export type ServedJson = { tries: number; refused: number; lost: number; deliveredPpm: number; medianMs: number };

/** A relay's score with what made it. */
export type ScoreJson = { relay: Hex; operator: Hex; funded: ServedJson; own: ServedJson; faults: string[] };

/** For anyone signed in. */
export type AskApi = {
	list: Query<void, { cases: CaseJson[] }>;
	desk: Mutation<{ id: Hex; about?: string | undefined; text: string }, CaseJson>;
	report: Mutation<{ id: Hex; about: Hex; text: string }, CaseJson>;
	answer: Mutation<{ id: Hex; text: string }, CaseJson>;
	/** Anyone's: how many decisions there are, and the hash of all of them. */
	decisions: Query<void, { count: number; hash: Hex }>;
};

/** For the market's people. */
export type DeskApi = {
	cases: Query<Page<Hex> & { state: CaseJson["state"] }, { cases: WholeCaseJson[]; next: Hex | null }>;
	case: Query<{ id: Hex }, WholeCaseJson>;
	decisions: Query<Page<number> | undefined, { decisions: DecisionJson[] }>;
	measured: Mutation<{ relay: Hex; measures: MeasureJson[] }, ScoreJson>;
	scores: Query<Page<Hex> | undefined, { scores: ScoreJson[]; next: Hex | null }>;
	decide: Mutation<{ decision: Hex }, { says: string; isNew: boolean }>;
};
