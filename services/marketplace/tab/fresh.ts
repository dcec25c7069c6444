/**
 * Fresh money on a tab: what a card brought that its owner can still take back (money.md, "Cards come back"). Cleared money is reserved first, and used first
 * inside a tab: so operators wait for as little as can be, and what is left of money that is taken back is still there to be taken.
 *
 * All follows from cumulative totals: of the ask, the operator has earned what funds and the cleared part of the payer's own cover, and the rest waits. How often a
 * tab is redeemed changes nothing. Money of funds is never fresh: what a card brought counts in a pool once it has cleared (pool/).
 */

import { type Amount, amount, portion } from "#contracts/amount";
import type { TabBill } from "#contracts/bill";
import { billed, reservedOf, type Tab } from "./tab.ts";

/** A tab's ask so far as its operator has it. */
export type Shares = { readonly earned: Amount; readonly waiting: Amount };

/** What of an amount that is reserved comes from which purse; undefined when both together have too little. */
export function drawFrom(
	wanted: bigint,
	purses: { readonly cleared: bigint; readonly fresh: bigint },
): { readonly cleared: Amount; readonly fresh: Amount } | undefined {
	const cleared = least(wanted, purses.cleared);
	const fresh = wanted - cleared;
	return fresh <= purses.fresh ? { cleared: amount(cleared), fresh: amount(fresh) } : undefined;
}

/** What of the ask so far is earned and what waits. */
export function sharesOf(tab: Tab): Shares {
	const bill = billed(tab);
	const { ask, payer } = bill;
	const cleared = (tab.state === "closed" ? payer : reservedOf(tab).payer) - tab.fresh;
	// what of the ask the payer's money is for: rises with the ask, by no more than it does
	const own = ownOf(bill);
	const ofFunds = tab.waits || tab.forfeited > 0n ? 0n : ask - own;
	const earned = ofFunds + least(own, cleared) - tab.late;
	return { earned: amount(earned), waiting: amount(ask - earned - tab.forfeited) };
}

/** What of an ask its payer's own money is for. */
export function ownOf({ parts }: TabBill): bigint {
	return parts.reduce((own, part) => own + portion(part.ask, part.tranche.payerPpm), 0n);
}

/** What goes back to which of the payer's purses when the rest of a tab is returned, and how much of what was billed stays fresh. */
export function returnsOf(tab: Tab): {
	readonly cleared: Amount;
	readonly fresh: Amount;
	readonly billedFresh: Amount;
} {
	const { payer } = billed(tab);
	const reserved = reservedOf(tab).payer;
	const over = payer - (reserved - tab.fresh);
	const billedFresh = over > 0n ? over : 0n;
	const fresh = tab.fresh - billedFresh;
	return {
		cleared: amount(reserved - payer - fresh),
		fresh: amount(fresh),
		billedFresh: amount(billedFresh),
	};
}

/** The tab once so much of its fresh money has cleared; `late`: what of the operator's part of that waits on. */
export function clearedBy(tab: Tab, nanos: Amount, late: (released: Amount) => Amount): Tab {
	const next: Tab = { ...tab, fresh: amount(tab.fresh - nanos) };
	const released = amount(sharesOf(next).earned - sharesOf(tab).earned);
	return { ...next, late: amount(tab.late + late(released)) };
}

function least(a: bigint, b: bigint): bigint {
	return a < b ? a : b;
}
