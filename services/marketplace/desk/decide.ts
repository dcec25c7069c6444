/** What the market's people decide, carried out: each decision with its effect and its place in the chain, whole or not at all. */

import { formatDollars } from "#contracts/amount";
import { same, toHex } from "#contracts/bytes";
import type { Signed } from "#contracts/decision";
import { LIMIT } from "#contracts/limit";
import { isProblem, type Problem, problem } from "#contracts/problem";
import type { RowChange } from "#marketplace/ledger/book";
import { RISK, WORLD_CARD } from "#marketplace/ledger/chart";
import { move } from "#marketplace/ledger/post";
import type { Transfer } from "#marketplace/ledger/transfer";
import { ATTEMPTS_MAX, problemOfRefusal } from "#marketplace/market";
import { decided, enrollerOf, writeEnroller } from "#marketplace/pass/enroller";
import { type Case, type CaseKind, end, isOfEnroller, isOver, say, writeCase } from "./case.ts";
import { caseOf, casesOf, type DeskParts, effectsOf, find } from "./cases.ts";
import { append, isMade } from "./chain.ts";
import { writeFrozen } from "./frozen.ts";
import { writeApart } from "./operators.ts";

/** What a decision comes to. */
type Effect = {
	/** what it did, in words */
	readonly says: string;
	readonly rows: readonly RowChange[];
	readonly transfer?: Transfer | undefined;
	/** nothing is to be done: it was done before */
	readonly isDone?: true;
};

/** What a decision did. */
export type Done = { readonly says: string; readonly isNew: boolean };

/** Carries out a decision of one of the market's people (`desk`: their keys in hex). The same one again is a success without effect. */
export async function decide(
	parts: DeskParts & { readonly market: Uint8Array; readonly desk: readonly string[] },
	decision: Signed,
): Promise<Done | Problem> {
	const { book, clock, crypto } = parts;
	if (!same(decision.market, parts.market)) return problem("malformed", "The decision is for another market.");
	if (!parts.desk.includes(toHex(decision.by)))
		return problem("unauthorized", "Only the market's people decide here (its setting --desk names their keys).");
	if (Math.abs(clock.nowMs() - decision.atMs) > LIMIT.requestAgeMsMax) return problem("clock");
	for (let attempt = 0; attempt < ATTEMPTS_MAX; attempt++) {
		if (await isMade(book, decision)) return { says: "This was decided before.", isNew: false };
		const effect = await effectOf(parts, decision);
		if (isProblem(effect)) return effect;
		if (effect.isDone) return { says: effect.says, isNew: false };
		const rows = [...effect.rows, ...(await append(book, crypto, decision))];
		const [outcome] = await book.apply([{ transfer: effect.transfer, rows }]);
		if (outcome === "applied") return { says: effect.says, isNew: true };
		if (outcome === "same") return { says: effect.says, isNew: false };
		if (outcome === undefined) throw new Error("the book answered nothing");
		if (outcome.refused !== "stale") return problemOfRefusal(outcome.refused, outcome.detail);
	}
	return problemOfRefusal("stale", "");
}

async function effectOf(parts: DeskParts, decision: Signed): Promise<Effect | Problem> {
	const subject = toHex(decision.subject);
	switch (decision.deed) {
		case "freeze":
			return await freeze(parts, decision, subject);
		case "unfreeze":
			return await unfreeze(parts, decision, subject);
		case "find":
			return await begin(parts, decision, { account: subject, about: subject, kind: "by-hand" });
		case "answer":
		case "uphold":
		case "lift":
			return await aboutCase(parts, decision, subject);
		case "approve":
			return await approve(parts, decision, subject);
		case "pause":
			return await pause(parts, decision, subject);
		case "risk":
			return topUp(parts, decision);
		case "apart":
			return {
				says: `${subject} counts by itself, whatever it shares with other operators.`,
				rows: [await writeApart(parts.book, subject, parts.clock.nowMs())],
			};
	}
}

/** What the desk says, as it stands in a case. */
function letterOf({ by, atMs, why }: Signed) {
	return { from: "desk", by: toHex(by), atMs, text: why } as const;
}

/** A new finding, with the desk's first words in it; no second one of a kind while there is one. */
async function begin(
	parts: DeskParts,
	decision: Signed,
	what: { readonly account: string; readonly about: string; readonly kind: CaseKind },
): Promise<Effect | Problem> {
	const { found, isNew } = await find(parts, what);
	const said = say(found, letterOf(decision), parts.clock.nowMs());
	if (isProblem(said)) return said;
	if (!isNew && said === found) return { says: `Case ${found.id} says so already.`, rows: [], isDone: true };
	return { says: `Case ${said.id} is open: ${what.account} sees it and can answer.`, rows: [writeCase(said)] };
}

async function freeze(parts: DeskParts, decision: Signed, account: string): Promise<Effect | Problem> {
	const opened = await begin(parts, decision, { account, about: account, kind: "frozen" });
	if (isProblem(opened) || opened.isDone) return opened;
	const frozen = await writeFrozen(parts.book, account, true, parts.clock.nowMs());
	return { says: `${account} is frozen. ${opened.says}`, rows: [...opened.rows, frozen] };
}

async function pause(parts: DeskParts, decision: Signed, account: string): Promise<Effect | Problem> {
	const paused = decided(await enrollerOf(parts, account), "paused", { why: decision.why });
	if (isProblem(paused)) return paused;
	const opened = await begin(parts, decision, { account, about: account, kind: "paused" });
	if (isProblem(opened) || opened.isDone) return opened;
	return { says: `${account} is paused. ${opened.says}`, rows: [...opened.rows, writeEnroller(paused)] };
}

async function approve(parts: DeskParts, decision: Signed, account: string): Promise<Effect | Problem> {
	const approved = decided(await enrollerOf(parts, account), "approved");
	if (isProblem(approved)) return approved;
	const rows = await lifted(parts, decision, account, isOfEnroller);
	if (isProblem(rows)) return rows;
	return { says: `${account} may give out passes.`, rows: [...rows, writeEnroller(approved)] };
}

/** The cases of an account that end as lifted by a decision. */
async function lifted(
	parts: DeskParts,
	decision: Signed,
	account: string,
	isMeant: (kind: CaseKind) => boolean,
): Promise<RowChange[] | Problem> {
	const rows: RowChange[] = [];
	for (const found of await casesOf(parts.book, account)) {
		if (!isMeant(found.kind) || (isOver(found) && found.state !== "upheld")) continue;
		const ended = withWords(found, decision, "lifted", parts.clock.nowMs());
		if (isProblem(ended)) return ended;
		rows.push(writeCase(ended));
	}
	return rows;
}

async function unfreeze(parts: DeskParts, decision: Signed, account: string): Promise<Effect | Problem> {
	const nowMs = parts.clock.nowMs();
	const rows = await lifted(parts, decision, account, (kind) => kind === "frozen");
	if (isProblem(rows)) return rows;
	// one that the settings freeze has no case, and is let go of all the same
	const row = await parts.book.record("findings", `frozen:${account}`);
	if (rows.length === 0 && row?.state === "free") return { says: `${account} is not frozen.`, rows: [], isDone: true };
	rows.push(await writeFrozen(parts.book, account, false, nowMs));
	return { says: `${account} is free again.`, rows };
}

async function aboutCase(parts: DeskParts, decision: Signed, id: string): Promise<Effect | Problem> {
	const nowMs = parts.clock.nowMs();
	const found = await caseOf(parts, id);
	if (!found) return problem("not-found", "There is no such case.");
	if (decision.deed === "answer") {
		const said = say(found, letterOf(decision), nowMs);
		if (isProblem(said)) return said;
		if (said === found) return { says: `Case ${id} says so already.`, rows: [], isDone: true };
		return { says: `Said in case ${id}.`, rows: [writeCase(said)] };
	}
	const how = decision.deed === "uphold" ? "upheld" : "lifted";
	if (found.state === how) return { says: `Case ${id} is ${how} already.`, rows: [], isDone: true };
	const ended = withWords(found, decision, how, nowMs);
	if (isProblem(ended)) return ended;
	return { says: `Case ${id} is ${how}.`, rows: [writeCase(ended), ...(await effectsOf(parts.book, ended, nowMs))] };
}

/** A case that ended, with why. The last word always has room. */
function withWords(found: Case, decision: Signed, how: "upheld" | "lifted", nowMs: number): Case | Problem {
	const ended = end(found, how, nowMs);
	return isProblem(ended) ? ended : { ...ended, letters: [...ended.letters, letterOf(decision)] };
}

/** More of the market's own money for payments that are taken back. */
function topUp({ clock }: DeskParts, { nanos, id }: Signed): Effect {
	const label = { id: `risk:desk:${toHex(id)}`, cause: "Put aside by the market", atMs: clock.nowMs() };
	const transfer = move(label, [{ account: WORLD_CARD, nanos }], [{ account: RISK, nanos }]);
	return { says: `${formatDollars(nanos)} more is put aside for payments that are taken back.`, rows: [], transfer };
}
