/**
 * The marketplace as a client sees it: the seam, and what has to hold of an answer before it is believed. The engine that
 * speaks tRPC is `door.ts`; a test brings its own.
 */

import { type Amount, amount, formatDollars } from "#contracts/amount";
import { same } from "#contracts/bytes";
import { type Grant, verifyGrant } from "#contracts/grant";
import type { Crypto } from "#contracts/identity";
import type { MarketKey } from "#contracts/market";
import { isProblem, type Problem, problem } from "#contracts/problem";
import type { Receipt } from "#contracts/redemption";
import { bill, type FeeRates, type OpenOrder } from "#contracts/tab";
import type { Tariff } from "#contracts/tariff";
import type { Voucher } from "#contracts/voucher";
import type { Relay } from "./card.ts";

/** A relay that is listed now, and what it asks. */
export type RelayOffer = Relay & { readonly country: string; readonly tariff: Tariff };

/** Who the market is and what it takes on top of an ask. */
export type MarketTerms = { readonly market: Uint8Array; readonly keys: readonly MarketKey[]; readonly fees: FeeRates };

/** How a closed tab ended: `returned` is undefined while the money waits for the redemption deadline. */
export type Closed = { readonly returned: Amount | undefined; readonly receipt: Receipt | undefined };

export interface Market {
	/** The market's verified description; asked for once and kept for some minutes. */
	terms(): Promise<MarketTerms | Problem>;
	/** Listed relays, cheapest first. */
	relays(): Promise<RelayOffer[] | Problem>;
	balance(): Promise<Amount | Problem>;
	open(order: OpenOrder, signature: Uint8Array): Promise<Grant | Problem>;
	close(
		tab: Uint8Array,
		signature: Uint8Array,
		final?: { usage: Uint8Array; voucher: Voucher | undefined },
	): Promise<Closed | Problem>;
	/** The account's open tabs: what a client that lost its state goes on from. */
	tabs(): Promise<{ readonly grant: Grant; readonly fees: FeeRates }[] | Problem>;
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

/** How much to reserve: twice what is planned, so that a tab lasts; all there is, where that is less but enough. */
export async function capFor(market: Market, needed: Amount, fees: FeeRates): Promise<Amount | Problem> {
	const wish = needed * 2n > CAP_DEFAULT ? amount(needed * 2n) : CAP_DEFAULT;
	const balance = await market.balance();
	if (isProblem(balance)) return balance;
	if (bill(wish, fees).total <= balance) return wish;
	const all = amount((balance * 1_000_000n) / BigInt(1_000_000 + fees.marketPpm + fees.solidarityPpm));
	return all > 0n && all >= needed ? all : short(balance, bill(needed, fees).total);
}
