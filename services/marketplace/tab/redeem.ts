/**
 * Redeeming: what a relay's claim moves. Amounts and fees are functions of the cumulative totals, so only the difference moves, once,
 * however often and by how many processes it is asked (PROTOCOL.md, "Redemption"; threats 1, 2, 3 and 6).
 */

import { amount } from "#contracts/amount";
import { fromHex, toHex } from "#contracts/bytes";
import type { Crypto } from "#contracts/identity";
import { type Problem, problem } from "#contracts/problem";
import type { Claim, Receipt } from "#contracts/redemption";
import { price, within } from "#contracts/tariff";
import { type Totals, verifyVoucher } from "#contracts/voucher";
import type { Change } from "#marketplace/ledger/book";
import { COMMONS, earnedAccount, holdAccount, MARKET_FEES, waitingAccount } from "#marketplace/ledger/chart";
import { post } from "#marketplace/ledger/post";
import { sharesOf } from "./fresh.ts";
import { billed, type Tab, writeTab } from "./tab.ts";

/** Signs a receipt with the market's online key. */
export type SignReceipt = (receipt: Omit<Receipt, "bytes" | "keyId">) => Receipt;

/** What a claim comes to: what moves (nano-dollars, the operator's ask), the receipt in hex, and the change unless nothing changes. */
export type Redeemed = {
	readonly moved: bigint;
	readonly receipt: string;
	readonly tab: Tab;
	readonly change: Change | undefined;
};

/** Everything that can be wrong with a claim but its time: tab, relay, voucher, and that it stays within the voucher. */
export function refuseClaim(crypto: Crypto, tab: Tab | undefined, claim: Claim, relay: string): Problem | undefined {
	if (!tab) return problem("not-found", "The market knows no such tab.");
	if (tab.relay !== relay) return problem("grant-other-relay", "The tab is with another relay.");
	const refused = verifyVoucher(crypto, tab.grant, claim.voucher);
	if (refused) return refused;
	if (!within(claim.used, claim.voucher)) return problem("claim-too-high");
	return undefined;
}

/** Decides what a sound claim moves at `nowMs`; `redeemByMs` is the tab's deadline with the market's own outages added. */
export function decideRedeem(
	tab: Tab,
	claim: Claim,
	nowMs: number,
	redeemByMs: number,
	sign: SignReceipt,
): Redeemed | Problem {
	if (within(claim.used, tab.paid)) return { moved: 0n, receipt: receiptOf(tab, nowMs, sign), tab, change: undefined };
	if (tab.state === "closed") return problem("tab-finished", "The tab is closed; what was left has gone back.");
	if (nowMs >= redeemByMs) return problem("redeem-late");
	if (!within(tab.paid, claim.used)) return problem("conflict", "The claim takes back part of what was paid before.");
	const nanos = price(tab.grant.tariff, claim.used);
	// within a voucher that is within the cap, and the price only rises
	if (nanos === undefined) throw new Error("a claim within its voucher has no price");
	return pay(tab, { bytes: claim.used.bytes, byteSeconds: claim.used.byteSeconds, nanos }, nowMs, sign);
}

function pay(tab: Tab, paid: Totals, nowMs: number, sign: SignReceipt): Redeemed {
	const before = billed(tab);
	const next: Tab = { ...tab, paid };
	const after = billed(next);
	const receipt = toHex(signed(next, nowMs, sign).bytes);
	const [had, has] = [sharesOf(tab), sharesOf(next)];
	const transfer = post(
		{
			// from where to where: two changes that move differently can never share an id
			id: `redeem:${tab.tab}:${before.ask}:${after.ask}`,
			cause: `Carried on tab ${tab.tab} by relay ${tab.relay}`,
			atMs: nowMs,
		},
		holdAccount(tab.tab),
		[
			{ account: earnedAccount(tab.operator), nanos: amount(has.earned - had.earned) },
			{ account: waitingAccount(tab.operator), nanos: amount(has.waiting - had.waiting) },
			{ account: MARKET_FEES, nanos: amount(after.marketFee - before.marketFee) },
			{ account: COMMONS, nanos: amount(after.solidarityFee - before.solidarityFee) },
		],
	);
	const written = { ...next, receipt };
	const change = { transfer, rows: [writeTab(written)] };
	return { moved: after.ask - before.ask, receipt, tab: written, change };
}

/** The receipt for what is paid now: the one that was signed then, or a fresh one when nothing was paid yet. */
function receiptOf(tab: Tab, nowMs: number, sign: SignReceipt): string {
	return tab.receipt ?? toHex(signed(tab, nowMs, sign).bytes);
}

function signed(tab: Tab, nowMs: number, sign: SignReceipt): Receipt {
	const { market, tab: id, relay } = tab.grant;
	const operator = fromHex(tab.operator);
	if (!operator) throw new Error("a tab's operator is no key");
	return sign({ market, tab: id, relay, operator, paid: tab.paid, atMs: nowMs });
}
