/** What operators ask: their three numbers. */

import { formatAmount } from "#contracts/amount";
import { earningsOf } from "#marketplace/payout/earnings";
import { router, signed } from "./trpc.ts";

export const operator = router({
	/** Earned, waiting and paid out: never added up. */
	earnings: signed.query(async ({ ctx }) => {
		const { earned, waiting, paidOut } = await earningsOf(ctx.market.book, ctx.account);
		return { earned: formatAmount(earned), waiting: formatAmount(waiting), paidOut: formatAmount(paidOut) };
	}),
});
