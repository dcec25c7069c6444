/** What must hold of payouts at any moment, for an audit: what is set aside is what those under way need, and every end has its transfer once. */

import { amount } from "#contracts/amount";
import type { Check } from "#marketplace/ledger/audit";
import { leavingAccount } from "#marketplace/ledger/chart";
import { isUnderWay, type Payout, readPayout } from "./payout.ts";

/** Says what is wrong with any operator's payouts. */
export const checkPayouts: Check = async function* (facts) {
	const wanted = new Map<string, bigint>();
	for await (const row of facts.records("payouts")) {
		let payout: Payout;
		try {
			payout = readPayout(row);
		} catch {
			yield `The record of payout ${row.key} is not one that a market wrote.`;
			continue;
		}
		const held = isUnderWay(payout) ? (payout.terms?.reserved ?? amount(0n)) : 0n;
		wanted.set(payout.account, (wanted.get(payout.account) ?? 0n) + held);
	}
	for (const [account, nanos] of wanted) {
		const there = facts.balanceOf(leavingAccount(account));
		if (there !== nanos)
			yield `The payouts of ${account} that are under way need ${nanos} nano-dollars, but ${there} are set aside.`;
	}
};
