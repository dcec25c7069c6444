/** What other rooms know of people, funds and relays, asked when somebody is about to open a tab. Each is a question to the room that keeps it. */

import { fromHex, toHex } from "#contracts/bytes";
import type { Offer } from "#contracts/listing";
import { isPoolEligible } from "#contracts/need";
import { POOL_BYTES } from "#contracts/tranche";
import { COMMONS, poolAccount } from "#marketplace/ledger/chart";
import type { Market } from "#marketplace/market";
import { personFactsOf } from "#marketplace/pass/facts";
import { stateAt } from "#marketplace/pool/decide";
import type { Pool } from "#marketplace/pool/pool";
import { poolOf } from "#marketplace/pool/pools";
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

/** Days of a fund's month, which its shares are parts of. */
const MONTH_DAYS = 30n;

/** A pool as the plan is told it. */
function poolKnown(pool: Pool, free: bigint, nowMs: number): FundKnown {
	const { rules } = pool;
	return {
		...{ fund: pool.pool, pool: poolId(pool.pool), state: stateAt(pool, nowMs), free, rules },
		...{ dayLimit: rules.dayLimit, budget30: rules.dayLimit * MONTH_DAYS, quotaPpm: 1_000_000 },
	};
}

function poolId(pool: string): Uint8Array {
	const id = fromHex(pool, POOL_BYTES);
	if (!id) throw new RangeError("not a pool's id");
	return id;
}

/** The questions as a market's rooms answer them. */
export function sourcesOf(market: Pick<Market, "book" | "operators" | "frozen">): Sources {
	const { book, frozen } = market;
	return {
		person: async (account, nowMs) => personFactsOf(market, account, await frozen.has(account), nowMs),
		pools: async (ids, nowMs) => {
			const found = await Promise.all(
				ids.map(async (id) => ({ pool: await poolOf(market, id), free: await book.balance(poolAccount(id)) })),
			);
			return found.flatMap(({ pool, free }) => (pool ? [poolKnown(pool, free, nowMs)] : []));
		},
		commons: async () => {
			const free = await book.balance(COMMONS);
			return { fund: COMMONS, state: "open", free, dayLimit: free / MONTH_DAYS, budget30: free, quotaPpm: 1_000_000 };
		},
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
