/** What this room needs to know of a pool: whose it is, whether it still pays, and whom it trusts to say who somebody is. */

import { toHex } from "#contracts/bytes";
import { COMMONS_POOL } from "#contracts/pass";
import type { Market } from "#marketplace/market";
import { stateAt } from "#marketplace/pool/decide";
import { poolOf } from "#marketplace/pool/pools";

/** A pool as far as passes go. */
type PoolTerms = {
	/** who fills it, public key in hex; undefined: everybody (the commons) */
	readonly sponsor: string | undefined;
	readonly isOpen: boolean;
	/** enrollers whose passes it takes, public keys in hex; none: every one whom the market approved */
	readonly enrollers: readonly string[];
	/** quota of a person and a month; undefined: as much as their pass says */
	readonly monthBytes: bigint | undefined;
};

const COMMONS: PoolTerms = { sponsor: undefined, isOpen: true, enrollers: [], monthBytes: undefined };

/** A pool, by its id in hex; undefined when there is none. */
export async function termsOf(market: Pick<Market, "book" | "clock">, id: string): Promise<PoolTerms | undefined> {
	if (id === toHex(COMMONS_POOL)) return COMMONS;
	const pool = await poolOf(market, id);
	if (!pool) return undefined;
	const state = stateAt(pool, market.clock.nowMs());
	const { enrollers, monthBytes } = pool.rules;
	return { sponsor: pool.sponsor, isOpen: state === "open" || state === "paused", enrollers, monthBytes };
}
