/** What anyone signed in asks of the market's people: a question, a report, an answer in a case of theirs; and what was decided here so far. */

import { z } from "zod";
import { isSaying } from "#contracts/decision";
import { CASE_KINDS, type Case, isOver } from "#marketplace/desk/case";
import { casesOf, hear } from "#marketplace/desk/cases";
import { chainEnd } from "#marketplace/desk/chain";
import { accept, open, router, signed } from "./trpc.ts";

const caseId = z.string().regex(/^[0-9a-f]{32}$/);
/** What people say to each other. */
const saying = z.string().refine(isSaying, "must be a few sentences without control characters");
const key = z.string().regex(/^[0-9a-f]{64}$/);
/** A word of the closed list of reasons, or nothing. */
const reason = z.string().regex(/^[a-z-]{0,40}$/);

/** A case as whoever it is of sees it. Which of the market's people wrote is theirs to say. */
export function showCase({ id, kind, about, state, reasons, letters, openedMs, dueMs, account }: Case) {
	return {
		id,
		kind,
		says: CASE_KINDS[kind],
		account,
		about,
		state,
		isOver: isOver({ state }),
		reasons: [...reasons],
		letters: letters.map(({ from, atMs, text }) => ({ from, atMs, text })),
		openedMs,
		/** when the turn ends by itself; of one that is over, when that was */
		dueMs,
	};
}

export const ask = router({
	/** The account's cases: what was found and can be answered, what it asked and reported. */
	list: signed.query(async ({ ctx }) => ({ cases: (await casesOf(ctx.market.book, ctx.account)).map(showCase) })),

	/** Asks the desk, about a reason that was given or anything else. The id is the caller's: the same again asks nothing twice. */
	desk: signed
		.input(z.strictObject({ id: caseId, about: reason.default(""), text: saying }))
		.mutation(async ({ ctx, input: { id, about, text } }) =>
			showCase(accept(await hear(ctx.market, ctx.account, { kind: "asked", about, text, newId: id }))),
		),

	/** Reports a relay or an enroller. */
	report: signed
		.input(z.strictObject({ id: caseId, about: key, text: saying }))
		.mutation(async ({ ctx, input: { id, about, text } }) =>
			showCase(accept(await hear(ctx.market, ctx.account, { kind: "report", about, text, newId: id }))),
		),

	/** Answers in a case of the account's. */
	answer: signed
		.input(z.strictObject({ id: caseId, text: saying }))
		.mutation(async ({ ctx, input }) => showCase(accept(await hear(ctx.market, ctx.account, input)))),

	/** How many decisions the market's people made, and the hash of all of them: to be kept by whoever wants to know that none is rewritten. */
	decisions: open.query(async ({ ctx }) => {
		const { count, hash } = await chainEnd(ctx.market.book);
		return { count, hash };
	}),
});
