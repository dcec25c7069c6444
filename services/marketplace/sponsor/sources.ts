/** What other rooms know of people, funds and relays, asked when somebody is about to open a tab. Each is a question to the room that keeps it. */

import { toHex } from "#contracts/bytes";
import type { Offer } from "#contracts/listing";
import { isPoolEligible } from "#contracts/need";
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
	/** `openedNanos`: what funds have opened at the relay and was not returned, ever */
	relay(offer: Offer, openedNanos: bigint, nowMs: number): Promise<RelayFacts>;
};

/** The questions as a market's rooms answer them. */
export function sourcesOf(market: Pick<Market, "book" | "operators" | "frozen" | "commons">): Sources {
	const { frozen } = market;
	return {
		person: async (account, nowMs) => personFactsOf(market, account, await frozen.has(account), nowMs),
		pools: (ids, nowMs) => poolFactsOf(market, ids, nowMs),
		commons: (nowMs) => market.commons.facts(nowMs),
		relay: async (offer, _opened, nowMs) => {
			const { isPaused, ...operator } = await market.operators.of(offer, nowMs);
			return {
				...operator,
				...{ relay: toHex(offer.relay), isEligible: isPoolEligible(offer.tariff) },
				...{ isPaused, room: undefined },
			};
		},
	};
}
