/** What the owner of a deposit wishes of it: it back (refund.ts), or no more of it (monthly.ts). Written down, then followed. */

import type { Amount } from "#contracts/amount";
import { isProblem, type Problem, problem } from "#contracts/problem";
import { ATTEMPTS_MAX, problemOfRefusal } from "#marketplace/market";
import type { Step } from "./decide.ts";
import { type Deposit, depositKey } from "./deposit.ts";
import { lookAt } from "./look.ts";
import { beginStop } from "./monthly.ts";
import { beginRefund } from "./refund.ts";
import { depositOf, type FundingMarket } from "./start.ts";

/** Begins to give so much of a deposit back, once; the same again answers what became of it. */
export function refundDeposit(
	market: FundingMarket,
	account: string,
	id: string,
	nanos: Amount,
): Promise<Deposit | Problem> {
	return wish(market, account, id, (deposit) =>
		deposit.came?.refund?.nanos === nanos ? { next: deposit, change: undefined } : beginRefund(market, deposit, nanos),
	);
}

/** Begins to end what comes every month; again, it answers what became of that. */
export function stopMonthly(market: FundingMarket, account: string, id: string): Promise<Deposit | Problem> {
	return wish(market, account, id, (deposit) => beginStop(deposit, market.clock.nowMs()));
}

/** Writes down what `begin` makes of the deposit as it is now, and looks at it. */
async function wish(
	market: FundingMarket,
	account: string,
	id: string,
	begin: (deposit: Deposit) => Step | Problem,
): Promise<Deposit | Problem> {
	for (let attempt = 0; attempt < ATTEMPTS_MAX; attempt++) {
		const deposit = await depositOf(market, depositKey(account, id));
		if (!deposit) return problem("not-found", "There is no such deposit.");
		const begun = begin(deposit);
		if (isProblem(begun) || !begun.change) return isProblem(begun) ? begun : begun.next;
		const [outcome] = await market.book.apply([begun.change]);
		if (outcome === "applied") return await lookAt(market, begun.next);
		if (typeof outcome === "object" && outcome.refused !== "stale")
			return problemOfRefusal(outcome.refused, outcome.detail);
	}
	return problemOfRefusal("stale", "");
}
