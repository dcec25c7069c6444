/** What operators ask: their numbers, and their payouts. */

import { z } from "zod";
import { formatAmount } from "#contracts/amount";
import { CASE_KINDS, isPausing } from "#marketplace/desk/case";
import { casesOf } from "#marketplace/desk/cases";
import { earningsOf } from "#marketplace/payout/earnings";
import { signUpAt } from "#marketplace/payout/signup";
import { payout } from "./payouts.ts";
import { accept, router, signed } from "./trpc.ts";

export const operator = router({
	payout,

	/** Opens an account at a rail's provider to be paid out to, and says where to tell it what it wants to know. */
	signUp: signed
		.input(
			z.strictObject({
				rail: z.string().regex(/^[a-z0-9-]{1,40}$/),
				country: z.string().regex(/^[a-z]{2}$/),
				email: z.email().max(254),
			}),
		)
		.mutation(async ({ ctx, input: { rail, ...who } }) => {
			const { to, ready, url } = accept(await signUpAt(ctx.market, rail, ctx.account, who));
			return { to, ready, url: url ?? null };
		}),

	/** Earned, waiting, leaving and paid out: never added up. */
	earnings: signed.query(async ({ ctx }) => {
		const { book } = ctx.market;
		const { earned, waiting, leaving, paidOut } = await earningsOf(book, ctx.account);
		const found = (await casesOf(book, ctx.account)).filter(isPausing);
		return {
			earned: formatAmount(earned),
			waiting: formatAmount(waiting),
			leaving: formatAmount(leaving),
			paidOut: formatAmount(paidOut),
			/** findings by which what funds paid waits on or goes back: each can be answered (`ask.answer`) */
			findings: found.map(({ id, kind, state, reasons, dueMs }) => ({
				id,
				says: CASE_KINDS[kind],
				state,
				reasons: [...reasons],
				dueMs,
			})),
		};
	}),
});
