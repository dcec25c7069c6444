/**
 * What pruning keeps of a ledger's past (docs/decisions/pruning.md): entries between accounts here go into an archive, and what stays for good is each transfer's id, cause,
 * time and digest, chained by hash, and for each account what its entries came to. Money from and to the outside keeps its entries too.
 */

import { createHash, hash } from "node:crypto";
import { floorOf, RISK } from "./chart.ts";
import type { Entry, KeptTransfer } from "./transfer.ts";

/** A stretch of the ledger that is pruned at once. */
export type Slice = {
	/** the last position before it */
	readonly since: number;
	/** its last position */
	readonly upTo: number;
	/** when its last transfer was made */
	readonly atMs: number;
	/** what {@link chained} comes to after its last transfer */
	readonly chain: string;
};

/** One that was pruned. `carried` is the digest of all that accounts carried on then. */
export type Pruning = Slice & { readonly carried: string };

/** What an account carries on from before: its balance then, and what of that is of entries that are gone. */
export type Carried = { readonly account: string; readonly balance: bigint; readonly gone: bigint };

/** What the chain begins with. */
export const NO_CHAIN = "0".repeat(64);

/** The chain with one more transfer: SHA-256 in hex over all that the ledger keeps of it, and by its digest over its entries. */
export function chained(chain: string, transfer: Omit<KeptTransfer, "entries">): string {
	const { position, id, atMs, digest, cause } = transfer;
	// none of these can hold a line end, so no two chains read the same
	return hash("sha256", `farelay/pruned/v1\n${chain}\n${position}\n${id}\n${atMs}\n${digest}\n${cause}`, "hex");
}

/** Whether a transfer keeps its entries: rails are held against them, and there are few beside those of tabs. */
export function isKeptWhole(entries: readonly Entry[]): boolean {
	return entries.some(({ account }) => floorOf(account) !== 0n || account === RISK);
}

/** The same in SQL, of an account named `a`. */
export const KEPT_WHOLE = `(substr(a.name, 1, 6) = 'world:' OR a.name = '${RISK}')`;

/** Takes in what accounts carry, ordered by name, and gives its digest. */
export function carriedDigest(): { take(carried: Carried): void; digest(): string } {
	const sum = createHash("sha256");
	return {
		take: ({ account, balance, gone }) => {
			sum.update(`${account} ${balance} ${gone}\n`);
		},
		digest: () => sum.digest("hex"),
	};
}
