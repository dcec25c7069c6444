/**
 * Closing: only the account can, and money comes back at once only with the relay's signature under a final total; otherwise at the
 * redemption deadline, until when the relay may still redeem (PROTOCOL.md, "Tab"; threats 3 and 9).
 */

import { amount } from "#contracts/amount";
import { type Crypto, TAB_BYTES } from "#contracts/identity";
import { type Problem, problem } from "#contracts/problem";
import { type Claim, readUsage } from "#contracts/redemption";
import { verifyClose } from "#contracts/tab";
import { NO_TRAFFIC, within } from "#contracts/tariff";
import { readVoucher, verifyVoucher } from "#contracts/voucher";
import type { Change, RowChange } from "#marketplace/ledger/book";
import { freshAccount, holdAccount, payerAccount } from "#marketplace/ledger/chart";
import { giveBack } from "#marketplace/ledger/post";
import { returnsOf } from "./fresh.ts";
import { accountOfFund, billed, reservedOf, type Tab, writeTab } from "./tab.ts";

/** An account's order to close. `final`: the relay's final usage statement, and the voucher for exactly its totals (none for a total of nothing). */
export type CloseOrder = {
	readonly account: Uint8Array;
	readonly tab: Uint8Array;
	readonly signature: Uint8Array;
	readonly final?: { readonly usage: Uint8Array; readonly voucher?: Uint8Array | undefined } | undefined;
};

/** Who does not own a tab cannot close it, whatever they hold. */
export function refuseClose(
	crypto: Crypto,
	tab: Tab,
	order: CloseOrder,
	market: Uint8Array,
	caller: string,
): Problem | undefined {
	if (tab.account !== caller) return problem("unauthorized", "Only the account that opened a tab can close it.");
	if (order.tab.length !== TAB_BYTES || !verifyClose(crypto, market, order.account, order.tab, order.signature))
		return problem("signature-bad", "The account did not sign this order to close the tab.");
	return undefined;
}

/** What the relay says is the end, as the claim that pays it; undefined when nothing is left to pay. */
export function readFinal(
	crypto: Crypto,
	tab: Tab,
	final: NonNullable<CloseOrder["final"]>,
): Claim | undefined | Problem {
	const usage = readUsage(crypto, final.usage, tab.grant);
	if ("problem" in usage) return usage;
	if (!usage.final) return problem("conflict", "The relay's usage statement is not its final one.");
	if (within(usage.used, tab.paid) || within(usage.used, NO_TRAFFIC)) return undefined;
	if (!final.voucher)
		return problem("conflict", "The relay counts traffic; a voucher for exactly that total is missing.");
	const voucher = readVoucher(final.voucher);
	if ("problem" in voucher) return voucher;
	const refused = verifyVoucher(crypto, tab.grant, voucher);
	if (refused) return refused;
	if (!within(voucher, usage.used) || !within(usage.used, voucher))
		return problem("conflict", "The final voucher and the relay's final usage statement differ.");
	return { tab: tab.grant.tab, voucher, used: usage.used };
}

/** The change that returns what is left to whoever it was reserved from, and ends the tab. Its id is the tab's, so that nothing returns twice. */
export function decideReturn(
	tab: Tab,
	nowMs: number,
	counters: readonly RowChange[] = [],
): { readonly change: Change; readonly tab: Tab } {
	const had = reservedOf(tab);
	const spent = billed(tab);
	const { cleared, fresh, billedFresh } = returnsOf(tab);
	const closed: Tab = { ...tab, state: "closed", returned: amount(had.payer - spent.payer), fresh: billedFresh };
	const transfer = giveBack(
		{ id: `return:${tab.tab}`, cause: `Returned from tab ${tab.tab}`, atMs: nowMs },
		holdAccount(tab.tab),
		[
			{ account: payerAccount(tab.account), nanos: cleared },
			{ account: freshAccount(tab.account), nanos: fresh },
			// what of each fund's was not spent is that fund's again
			...had.parts.map((part, i) => ({
				account: accountOfFund(part.tranche) ?? payerAccount(tab.account),
				nanos: amount(part.rest - (spent.parts[i]?.rest ?? 0n)),
			})),
		],
	);
	return { change: { transfer, rows: [writeTab(closed), ...counters] }, tab: closed };
}

/** The change that marks a tab as unwanted; its money waits for the deadline. */
export function decideClosing(tab: Tab): { readonly change: Change; readonly tab: Tab } {
	const closing: Tab = { ...tab, state: "closing" };
	return { change: { rows: [writeTab(closing)] }, tab: closing };
}
