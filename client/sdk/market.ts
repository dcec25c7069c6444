/**
 * The marketplace as a client sees it: the seam, and what has to hold of an answer before it is believed. The engine that
 * speaks tRPC is `door.ts`; a test brings its own.
 */

import { type Amount, amount, formatDollars } from "#contracts/amount";
import { billOf, type SignedBill } from "#contracts/bill";
import { same } from "#contracts/bytes";
import { type Grant, verifyGrant } from "#contracts/grant";
import type { Crypto } from "#contracts/identity";
import type { MarketKey } from "#contracts/market";
import { isProblem, type Problem, problem } from "#contracts/problem";
import type { Reason } from "#contracts/reason";
import type { Receipt } from "#contracts/redemption";
import type { FeeRates, OpenOrder } from "#contracts/tab";
import type { Tariff } from "#contracts/tariff";
import type { Tranche } from "#contracts/tranche";
import type { Voucher } from "#contracts/voucher";
import type { Relay } from "./card.ts";

/** A relay that is listed now, and what it asks. */
export type RelayOffer = Relay & { readonly country: string; readonly tariff: Tariff };

/** Who the market is and what it takes on top of an ask. */
export type MarketTerms = { readonly market: Uint8Array; readonly keys: readonly MarketKey[]; readonly fees: FeeRates };

/** How a closed tab ended: `returned` is undefined while the money waits for the redemption deadline; the bill says who paid what. */
export type Closed = {
	readonly returned: Amount | undefined;
	readonly receipt: Receipt | undefined;
	readonly bill: SignedBill | undefined;
};

/** Who would pay for a tab, and why. */
export type Quote = { readonly tranches: readonly Tranche[]; readonly reasons: readonly Reason[] };

export interface Market {
	/** The market's verified description; asked for once and kept for some minutes. */
	terms(): Promise<MarketTerms | Problem>;
	/** Listed relays, cheapest first. */
	relays(): Promise<RelayOffer[] | Problem>;
	balance(): Promise<Amount | Problem>;
	/** Who would pay for a tab of this cap at this tariff; whoever takes less has the first part of the same. */
	quote(relay: Uint8Array, cap: Amount, tariff: Tariff): Promise<Quote | Problem>;
	open(order: OpenOrder, signature: Uint8Array): Promise<Grant | Problem>;
	close(
		tab: Uint8Array,
		signature: Uint8Array,
		final?: { usage: Uint8Array; voucher: Voucher | undefined },
	): Promise<Closed | Problem>;
	/** The account's open tabs: what a client that lost its state goes on from. */
	tabs(): Promise<
		{ readonly grant: Grant; readonly fees: FeeRates; readonly tranches: readonly Tranche[] }[] | Problem
	>;
}

/** Whether a grant is the one that was ordered, signed by the market's own key: a market could otherwise grant another relay or price. */
export function checkGrant(
	crypto: Crypto,
	grant: Grant,
	order: OpenOrder,
	keys: readonly MarketKey[],
): Problem | undefined {
	const refusal = verifyGrant(crypto, grant, keys);
	if (refusal) return refusal;
	const asked =
		same(grant.market, order.market) &&
		same(grant.tab, order.tab) &&
		same(grant.session, order.session) &&
		same(grant.relay, order.relay) &&
		grant.cap === order.cap &&
		grant.tariff.sendPerMb === order.tariff.sendPerMb &&
		grant.tariff.storePerMbDay === order.tariff.storePerMbDay &&
		grant.expiresAtMs - grant.issuedAtMs <= order.lifeMs;
	return asked ? undefined : problem("conflict", "The market granted something else than was ordered.");
}

/** A relay that is not listed may only be paused, or its market started anew: asking later can help. */
export function unlisted(detail: string): Problem {
	return { ...problem("not-found", detail), retry: true };
}

/** The offer of one relay among those listed. */
export async function offerOf(market: Market, relay: Uint8Array): Promise<RelayOffer | Problem> {
	const offers = await market.relays();
	if (isProblem(offers)) return offers;
	return offers.find(({ key }) => same(key, relay)) ?? unlisted("That relay is not listed at this market now.");
}

/** A shortage in words. */
export function short(balance: Amount, needed: Amount): Problem {
	return problem("balance-short", `This needs ${formatDollars(needed)}, and there is ${formatDollars(balance)}.`);
}

/** What a tab reserves at least: a hundred MB at the default ask. The rest comes back when it is settled. */
const CAP_DEFAULT = amount(50_000_000n);
/** The same where somebody else pays: ten MB, so that one relay's tab does not hold a whole month's quota. */
const CAP_FUNDED = amount(5_000_000n);

/** The cap to ask a quote for: twice what is planned, so that a tab lasts. */
export function capWished(needed: Amount): Amount {
	return needed * 2n > CAP_DEFAULT ? amount(needed * 2n) : CAP_DEFAULT;
}

/** The tranches to order of those that were quoted: no more of a fund's than is needed, and no more than the account can pay its part of. */
export async function tranchesFor(
	market: Market,
	quoted: readonly Tranche[],
	needed: Amount,
	fees: FeeRates,
): Promise<readonly Tranche[] | Problem> {
	const balance = await market.balance();
	if (isProblem(balance)) return balance;
	const funded = quoted[0]?.fund !== "own";
	const most = funded ? (needed * 2n > CAP_FUNDED ? amount(needed * 2n) : CAP_FUNDED) : undefined;
	const wanted = most === undefined ? quoted : firstOf(quoted, most);
	const tranches = affordable(wanted, fees, balance);
	const cap = capOf(tranches);
	return cap > 0n && cap >= needed ? tranches : short(balance, billOf(needed, firstOf(quoted, needed), fees).payer);
}

/** What tranches come to together. */
export function capOf(tranches: readonly Tranche[]): Amount {
	return amount(tranches.reduce((sum, { cap }) => sum + cap, 0n));
}

/** The first part of tranches. */
function firstOf(tranches: readonly Tranche[], cap: Amount): readonly Tranche[] {
	let left: bigint = cap;
	return tranches.flatMap((tranche) => {
		const part = tranche.cap < left ? tranche.cap : left;
		left -= part;
		return part === 0n ? [] : [{ ...tranche, cap: amount(part) }];
	});
}

/** The first part of tranches whose payer's part is within a balance. */
function affordable(tranches: readonly Tranche[], fees: FeeRates, balance: Amount): readonly Tranche[] {
	const cap = capOf(tranches);
	if (billOf(cap, tranches, fees).payer <= balance) return tranches;
	// the payer's part rises with the ask: halved until it fits to the nano
	let [low, high] = [0n, cap as bigint];
	while (low < high) {
		const middle = (low + high + 1n) / 2n;
		if (billOf(amount(middle), tranches, fees).payer <= balance) low = middle;
		else high = middle - 1n;
	}
	return firstOf(tranches, amount(low));
}
