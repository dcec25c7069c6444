/** Somebody wants a payment back: written down, then followed (refund.ts). */

import type { Amount } from "#contracts/amount";
import { isProblem, type Problem, problem } from "#contracts/problem";
import { ATTEMPTS_MAX, problemOfRefusal } from "#marketplace/market";
import { type Deposit, depositKey } from "./deposit.ts";
import { lookAt } from "./look.ts";
import { beginRefund } from "./refund.ts";
import { depositOf, type FundingMarket } from "./start.ts";

/** Begins to give so much of a deposit back, once; the same again answers what became of it. */
export async function refundDeposit(
	market: FundingMarket,
	account: string,
	id: string,
	nanos: Amount,
): Promise<Deposit | Problem> {
	for (let attempt = 0; attempt < ATTEMPTS_MAX; attempt++) {
		const deposit = await depositOf(market, depositKey(account, id));
		if (!deposit) return problem("not-found", "There is no such deposit.");
		if (deposit.came?.refund?.nanos === nanos) return deposit;
		const begun = beginRefund(market, deposit, nanos);
		if (isProblem(begun)) return begun;
		const [outcome] = await market.book.apply([begun.change ?? {}]);
		if (outcome === "applied") return await lookAt(market, begun.next);
		if (typeof outcome === "object" && outcome.refused !== "stale")
			return problemOfRefusal(outcome.refused, outcome.detail);
	}
	return problemOfRefusal("stale", "");
}
