/** What operators ask: their numbers, and their payouts. */

import { z } from "zod";
import { formatAmount } from "#contracts/amount";
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
		const { earned, waiting, leaving, paidOut } = await earningsOf(ctx.market.book, ctx.account);
		return {
			earned: formatAmount(earned),
			waiting: formatAmount(waiting),
			leaving: formatAmount(leaving),
			paidOut: formatAmount(paidOut),
		};
	}),
});
