/**
 * Opening a tab: checks an account's signed order, reserves the bill of its cap, and signs the grant. Asking again with the same order
 * gives the same grant and reserves nothing (PROTOCOL.md, "Tab"; threats 5, 6, 8 and 9).
 */

import { type Amount, formatDollars, NOTHING } from "#contracts/amount";
import { billOf, type TabBill } from "#contracts/bill";
import { same, toHex } from "#contracts/bytes";
import type { Grant, Terms } from "#contracts/grant";
import type { Crypto } from "#contracts/identity";
import { LIMIT } from "#contracts/limit";
import type { Offer } from "#contracts/listing";
import { type Problem, problem } from "#contracts/problem";
import { type FeeRates, type OpenOrder, verifyOpen } from "#contracts/tab";
import { sameTranches } from "#contracts/tranche";
import { NO_TOTALS } from "#contracts/voucher";
import type { Change, Most } from "#marketplace/ledger/book";
import { freshAccount, holdAccount, payerAccount } from "#marketplace/ledger/chart";
import { reserve } from "#marketplace/ledger/post";
import type { Sponsored } from "#marketplace/sponsor/sponsor";
import { drawFrom } from "./fresh.ts";
import { accountOfFund, fundOf, type Tab, writeTab } from "./tab.ts";

/** Tabs that one account may have at once: a tab for each of many relays, a few in renewal, on a few devices. */
export const OPEN_TABS_MAX = 64;

/** Nobody fills the book: the tabs of an account that are not closed, the new one counted. */
const ROOM: Most = { states: ["open", "closing"], ofAccount: OPEN_TABS_MAX };

/** What the market knows when an order comes in. */
export type OpenFacts = {
	readonly nowMs: number;
	/** the fees that new tabs pay now */
	readonly fees: FeeRates;
	/** the relay's listings that are valid now, newest first */
	readonly offers: readonly Offer[];
	/** the account may spend nothing */
	readonly frozen: boolean;
	/** what stands on the account's two purses, in nano-dollars */
	readonly purses: { readonly cleared: bigint; readonly fresh: bigint };
	/** what the account owes after a payment was taken back */
	readonly owed: bigint;
	/** the highest cap */
	readonly capMax: Amount;
	/** who pays as it is decided now, and what is counted of that; undefined where the order asks nothing of funds */
	readonly sponsored: Sponsored | undefined;
};

/** Whether an order is the one that a tab was opened by: then it is answered by what was granted. */
export function isOrderOf(tab: Tab, order: OpenOrder): boolean {
	const { grant, fees } = tab;
	return (
		tab.account === toHex(order.account) &&
		same(grant.session, order.session) &&
		same(grant.relay, order.relay) &&
		grant.cap === order.cap &&
		grant.tariff.sendPerMb === order.tariff.sendPerMb &&
		grant.tariff.storePerMbDay === order.tariff.storePerMbDay &&
		fees.marketPpm === order.fees.marketPpm &&
		fees.solidarityPpm === order.fees.solidarityPpm &&
		grant.expiresAtMs - grant.issuedAtMs === order.lifeMs &&
		sameTranches(tab.tranches, order.tranches)
	);
}

/**
 * What is wrong with an order for a new tab; undefined when nothing is. Cheap looks first, the signature last. The order names this
 * market because its reader put that in: one that was signed for another fails by its signature.
 */
export function refuseOrder(
	crypto: Crypto,
	order: OpenOrder,
	signature: Uint8Array,
	facts: OpenFacts,
): Problem | undefined {
	if (facts.frozen)
		return problem("unauthorized", "This account is frozen: it can open no tabs. Why, and an answer: farelay ask.");
	if (order.lifeMs <= 0 || order.lifeMs > LIMIT.grantMsMax)
		return problem("malformed", "A grant lives at most seven days.");
	if (facts.sponsored && order.lifeMs > LIMIT.fundGrantMsMax)
		return problem("malformed", "A grant on money of the commons or of a pool lives at most a day.");
	if (order.cap === NOTHING) return problem("malformed", "A tab needs a cap above nothing.");
	if (order.cap > facts.capMax)
		return problem("malformed", `A tab's cap is at most ${formatDollars(facts.capMax)} here.`);
	if (order.fees.marketPpm !== facts.fees.marketPpm || order.fees.solidarityPpm !== facts.fees.solidarityPpm)
		return problem("conflict", "The market's fees are others now; look again and sign those.");
	if (facts.offers.length === 0) return problem("not-found", "The relay is not listed here now.");
	// nobody should reserve money for a relay that takes nothing
	if (!facts.offers[0]?.takes) return problem("relay-paused");
	if (!offerOf(order, facts)) return problem("conflict", "The relay asks another price now; look again and sign that.");
	if (!verifyOpen(crypto, order, signature))
		return problem("signature-bad", "The account did not sign this order to open a tab.");
	if (facts.sponsored && !sameTranches(facts.sponsored.tranches, order.tranches))
		return problem("conflict", "Who pays for what is decided otherwise now; look again and sign that.");
	return undefined;
}

function offerOf(order: OpenOrder, facts: OpenFacts): Offer | undefined {
	return facts.offers.find(
		({ tariff }) => tariff.sendPerMb === order.tariff.sendPerMb && tariff.storePerMbDay === order.tariff.storePerMbDay,
	);
}

/** Decides a new tab: the money and the row as one change, or why not. */
export function decideOpen(
	crypto: Crypto,
	order: OpenOrder,
	signature: Uint8Array,
	facts: OpenFacts,
	sign: (terms: Terms) => Grant,
): { readonly change: Change; readonly tab: Tab } | Problem {
	const refused = refuseOrder(crypto, order, signature, facts);
	if (refused) return refused;
	const { market, tab: id, session, relay, cap, tariff, lifeMs } = order;
	const expiresAtMs = facts.nowMs + lifeMs;
	const times = { issuedAtMs: facts.nowMs, expiresAtMs, redeemByMs: expiresAtMs + LIMIT.redeemGraceMs };
	const bill = billOf(cap, order.tranches, order.fees);
	if (facts.owed > 0n)
		return problem(
			"balance-short",
			`A payment of this account was taken back, and it owes ${formatDollars(facts.owed)}: tabs can be opened again once that is paid.`,
		);
	const drawn = drawFrom(bill.payer, facts.purses);
	if (!drawn) return problem("balance-short");
	const tab: Tab = {
		version: 0,
		tab: toHex(id),
		account: toHex(order.account),
		relay: toHex(relay),
		// refuseOrder found the offer
		operator: toHex((offerOf(order, facts) as Offer).operator),
		state: "open",
		grant: sign({ market, tab: id, session, relay, cap, tariff, ...times }),
		fees: order.fees,
		tranches: order.tranches,
		counted: facts.sponsored?.counted,
		reserved: bill.total,
		paid: NO_TOTALS,
		receipt: undefined,
		returned: undefined,
		fresh: drawn.fresh,
		late: NOTHING,
		waits: facts.sponsored?.waits ?? false,
		forfeited: NOTHING,
	};
	const transfer = reserve(
		{
			id: `open:${tab.tab}`,
			cause: `Reserved for tab ${tab.tab} at relay ${tab.relay}${saysFunds(bill)}`,
			atMs: facts.nowMs,
		},
		[
			{ account: payerAccount(tab.account), nanos: drawn.cleared },
			{ account: freshAccount(tab.account), nanos: drawn.fresh },
			...bill.parts.flatMap(({ tranche, rest }) => {
				const account = accountOfFund(tranche);
				return account ? [{ account, nanos: rest }] : [];
			}),
		],
		holdAccount(tab.tab),
	);
	const counters = facts.sponsored?.count(tab) ?? [];
	return { change: { transfer, rows: [{ ...writeTab(tab), most: ROOM }, ...counters] }, tab };
}

/** What of a tab's money is not its account's, for statements. */
function saysFunds({ parts }: TabBill): string {
	const funds = parts.filter(({ tranche }) => tranche.fund !== "own");
	const each = funds.map(({ tranche, rest }) =>
		tranche.fund === "pool"
			? `${formatDollars(rest)} by pool ${fundOf(tranche)}`
			: `${formatDollars(rest)} by the commons`,
	);
	return each.length > 0 ? `, ${each.join(" and ")}` : "";
}
