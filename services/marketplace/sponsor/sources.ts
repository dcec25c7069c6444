/** What other rooms know of people, funds and relays, asked when somebody is about to open a tab. Each is a question to the room that keeps it. */

import { toHex } from "#contracts/bytes";
import type { Offer } from "#contracts/listing";
import { isPoolEligible } from "#contracts/need";
import { withoutSpent } from "#marketplace/home/homes";
import { roomAt } from "#marketplace/home/totals";
import type { Market } from "#marketplace/market";
import { personFactsOf } from "#marketplace/pass/facts";
import { poolFactsOf } from "#marketplace/pool/facts";
import type { FundFacts, PersonFacts, RelayFacts } from "./facts.ts";

/** A fund without what is counted of it here. */
export type FundKnown = Omit<FundFacts, "burnedToday" | "toOperator" | "toPair" | "toNewOperators" | "saidToday">;

/** The questions. */
export type Sources = {
	/** what is used, as far as the rooms of people count it: what tabs used comes on top of that */
	person(account: string, nowMs: number): Promise<PersonFacts>;
	/** the pools of these ids, in the order in which they pay; those that are no more are left out */
	pools(ids: readonly string[], nowMs: number): Promise<readonly FundKnown[]>;
	commons(nowMs: number): Promise<FundKnown>;
	/** `opened`: what funds opened at the relay in the last thirty days and was not returned, in bytes */
	relay(offer: Offer, opened: bigint, nowMs: number): Promise<RelayFacts>;
};

/** The questions as a market's rooms answer them. */
export function sourcesOf(
	market: Pick<Market, "book" | "operators" | "frozen" | "commons" | "fees" | "rules">,
): Sources {
	const { book, frozen } = market;
	return {
		person: async (account, nowMs) =>
			withoutSpent(book, await personFactsOf(market, account, await frozen.has(account), nowMs), nowMs),
		pools: (ids, nowMs) => poolFactsOf(market, ids, nowMs),
		commons: (nowMs) => market.commons.facts(nowMs),
		relay: async (offer, opened, nowMs) => {
			const { isPaused, relaysOfGroup, ...operator } = await market.operators.of(offer, nowMs);
			const room = await roomAt(market, offer, { opened, relaysOfOperator: relaysOfGroup }, nowMs);
			return {
				...operator,
				...{ relay: toHex(offer.relay), isEligible: isPoolEligible(offer.tariff) },
				...{ isPaused, room },
			};
		},
	};
}
