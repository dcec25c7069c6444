/** What this room needs to know of a pool: whose it is, whether it still pays, and whom it trusts to say who somebody is. */

import { toHex } from "#contracts/bytes";
import { COMMONS_POOL } from "#contracts/pass";
import type { Book } from "#marketplace/ledger/book";

/** A pool as far as passes go. */
export type PoolTerms = {
	/** who fills it, public key in hex; undefined: everybody (the commons) */
	readonly sponsor: string | undefined;
	readonly isOpen: boolean;
	/** enrollers whose passes it takes, public keys in hex; undefined: every one whom the market approved */
	readonly enrollers: readonly string[] | undefined;
	/** quota of a person and a month; undefined: as much as their pass says */
	readonly monthBytes: bigint | undefined;
};

const COMMONS: PoolTerms = { sponsor: undefined, isOpen: true, enrollers: undefined, monthBytes: undefined };

/** A pool, by its id in hex; undefined when there is none. */
export async function termsOf(
	{ book }: { readonly book: Pick<Book, "record"> },
	pool: string,
): Promise<PoolTerms | undefined> {
	if (pool === toHex(COMMONS_POOL)) return COMMONS;
	const row = await book.record("pools", pool);
	if (!row) return undefined;
	const { rules } = JSON.parse(row.value) as {
		readonly rules?: { readonly enrollers?: readonly string[]; readonly monthBytes?: string };
	};
	return {
		sponsor: row.account,
		isOpen: row.state !== "ended" && row.state !== "ending",
		enrollers: rules?.enrollers ?? [],
		monthBytes: rules?.monthBytes === undefined ? undefined : BigInt(rules.monthBytes),
	};
}
