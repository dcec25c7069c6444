/** Carries cases out on the book: what the market finds, what people ask and answer, and what ends by itself. */

import { toHex } from "#contracts/bytes";
import { isProblem, type Problem, problem } from "#contracts/problem";
import type { Book, RecordRow, RowChange } from "#marketplace/ledger/book";
import { ATTEMPTS_MAX, type Market, problemOfRefusal } from "#marketplace/market";
import { decided, enrollerOf, writeEnroller } from "#marketplace/pass/enroller";
import {
	type Beginning,
	beginCase,
	CASES_OF_ACCOUNT,
	type Case,
	end,
	endByItself,
	isCase,
	isHolding,
	isOfEnroller,
	isPausing,
	LIVE_STATES,
	readCase,
	say,
	writeCase,
} from "./case.ts";
import { writeFrozen } from "./frozen.ts";

/** What cases are carried out with. */
export type DeskParts = Pick<Market, "book" | "clock" | "crypto">;

/** How often it is looked for turns that have ended. */
export const TURNS_ROUND_MS = 600_000;

const PAGE = 200;

/** A case by its id. */
export async function caseOf({ book }: Pick<DeskParts, "book">, id: string): Promise<Case | undefined> {
	const row = await book.record("findings", id);
	return row && isCase(row) ? readCase(row) : undefined;
}

/** An account's cases, by id. */
export async function casesOf(book: Pick<Book, "records">, account: string): Promise<Case[]> {
	const found: Case[] = [];
	let after: RecordRow | undefined;
	do {
		const page: RecordRow[] = await book.records({
			table: "findings",
			by: "account",
			of: account,
			limit: PAGE,
			...(after && { after: after.key }),
		});
		for (const row of page) if (isCase(row)) found.push(readCase(row));
		after = page.length < PAGE ? undefined : page.at(-1);
	} while (after);
	return found;
}

/** Whether an operator's earnings from funds wait on, and whether funds pay it anything new. */
export async function heldOf(
	book: Pick<Book, "records">,
	operator: string,
): Promise<{ readonly isHeld: boolean; readonly isPaused: boolean }> {
	const cases = await casesOf(book, operator);
	return { isHeld: cases.some(isHolding), isPaused: cases.some(isPausing) };
}

/** What is decided about rows, or that there is nothing to change, or why not. */
export type Decided<T> = { readonly answer: T; readonly rows: readonly RowChange[] } | Problem;

/** Reads, decides and writes until nobody else was first. */
export async function settle<T>(
	{ book }: Pick<DeskParts, "book">,
	decide: () => Promise<Decided<T>>,
): Promise<T | Problem> {
	for (let attempt = 0; attempt < ATTEMPTS_MAX; attempt++) {
		const decided = await decide();
		if (isProblem(decided) || decided.rows.length === 0) return isProblem(decided) ? decided : decided.answer;
		const [outcome] = await book.apply([{ rows: decided.rows }]);
		if (outcome === "applied") return decided.answer;
		if (outcome === undefined || outcome === "same") throw new Error("a change without money was done before");
		if (outcome.refused === "full")
			return problem(
				"too-many",
				`At most ${CASES_OF_ACCOUNT} of your cases wait at once; the market's people come to them.`,
			);
		if (outcome.refused !== "stale") return problemOfRefusal(outcome.refused, outcome.detail);
	}
	return problemOfRefusal("stale", "");
}

/** What a person says to the desk: anew, or in a case of theirs. */
export type Said = { readonly text: string } & (
	| { readonly id: string }
	| { readonly kind: "asked" | "report"; readonly about: string; readonly newId: string }
);

/** A person asks, reports or answers. Asking again with the same id says nothing twice. */
export function hear(parts: DeskParts, account: string, said: Said): Promise<Case | Problem> {
	const nowMs = parts.clock.nowMs();
	return settle(parts, async () => {
		const id = "id" in said ? said.id : said.newId;
		const before = await caseOf(parts, id);
		if (before && before.account !== account) return problem("not-found", "You have no such case.");
		const letter = { from: "person", atMs: nowMs, text: said.text } as const;
		if (before && !("id" in said)) {
			const isSame = before.kind === said.kind && before.about === said.about && before.letters[0]?.text === said.text;
			return isSame ? { answer: before, rows: [] } : problem("conflict");
		}
		if (!before && "id" in said) return problem("not-found", "You have no such case.");
		const base = before ?? ("id" in said ? undefined : beginCase({ ...said, id, account }, nowMs));
		if (!base) return problem("not-found");
		const next = say(base, letter, nowMs);
		return isProblem(next) ? next : { answer: next, rows: [writeCase(next)] };
	});
}

/** The market or its people find something: one of a kind for an account at a time; the one that there is is answered. */
export async function find(
	parts: DeskParts,
	beginning: Omit<Beginning, "id">,
): Promise<{ readonly found: Case; readonly isNew: boolean }> {
	const before = (await casesOf(parts.book, beginning.account)).find(
		({ kind, about, state }) =>
			kind === beginning.kind && about === beginning.about && (LIVE_STATES as readonly string[]).includes(state),
	);
	if (before) return { found: before, isNew: false };
	const id = toHex(parts.crypto.random(16));
	return { found: beginCase({ ...beginning, id }, parts.clock.nowMs()), isNew: true };
}

/** What else changes when a case ends: who was frozen or paused by it is not any more. */
export async function effectsOf(book: Pick<Book, "record">, ended: Case, nowMs: number): Promise<RowChange[]> {
	if (ended.state !== "lifted") return [];
	if (ended.kind === "frozen") return [await writeFrozen(book, ended.account, false, nowMs)];
	const enroller = isOfEnroller(ended.kind) ? await enrollerOf({ book }, ended.account) : undefined;
	if (enroller?.state !== "paused") return [];
	const approved = decided(enroller, "approved");
	return isProblem(approved) ? [] : [writeEnroller(approved)];
}

/** Ends the turns that have ended; how many. What somebody else changed meanwhile is left for the next round. */
export async function endTurns(parts: DeskParts): Promise<number> {
	const { book, clock } = parts;
	const nowMs = clock.nowMs();
	let ended = 0;
	for (const state of LIVE_STATES) {
		let after: RecordRow | undefined;
		do {
			const page: RecordRow[] = await book.records({
				table: "findings",
				by: "due",
				state,
				beforeMs: nowMs + 1,
				limit: PAGE,
				...(after && { after }),
			});
			for (const row of page) {
				const before = readCase(row);
				const next = end(before, endByItself(before), nowMs);
				if (isProblem(next)) throw new Error(`the turn of case ${row.key} cannot end: ${next.detail}`);
				const [outcome] = await book.apply([{ rows: [writeCase(next), ...(await effectsOf(book, next, nowMs))] }]);
				if (outcome === "applied") ended += 1;
			}
			after = page.at(-1);
		} while (after);
	}
	return ended;
}
