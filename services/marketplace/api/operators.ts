/** What operators ask: their numbers, and their payouts. */

import { formatAmount } from "#contracts/amount";
import { earningsOf } from "#marketplace/payout/earnings";
import { payout } from "./payouts.ts";
import { router, signed } from "./trpc.ts";

export const operator = router({
	payout,

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
