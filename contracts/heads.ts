/**
 * Commitments that somebody keeps, as a list that fits a small file: whoever talks to a market keeps the newest that it shows, so that its past
 * cannot be written anew unseen (PROTOCOL.md, "Commitments").
 */

import { toHex } from "./bytes.ts";
import { type CheckedLink, checkLink, forkOf, linkJson, linkOf, readLink } from "./chain.ts";
import type { Commitment } from "./commitment.ts";
import type { Crypto } from "./identity.ts";
import type { MarketInfo } from "./market.ts";

/** A month of days, and two more: long enough to meet somebody who was shown another history. */
export const HEADS_MAX = 32;

/** Reads what was kept; what is not a market's own commitment is passed over. `market` leaves those of other markets out. */
export function readHeads(crypto: Crypto, json: unknown, market?: Uint8Array): CheckedLink[] {
	if (!Array.isArray(json)) return [];
	return json.slice(-HEADS_MAX).flatMap((one) => {
		const link = readLink(one);
		const checked = link && checkLink(crypto, link, market);
		return !checked || "problem" in checked ? [] : [checked];
	});
}

/** What to keep from now on, and the commitment of the same day that it contradicts. */
export type Kept = { readonly heads: readonly ReturnType<typeof linkJson>[]; readonly fork: Commitment | undefined };

/**
 * What is to be kept once a market has shown its newest commitment; undefined when nothing changes: it is known, it is none, or another market's. Both of
 * two that contradict each other are kept: together they are the proof.
 */
export function keepHead(
	crypto: Crypto,
	kept: unknown,
	head: MarketInfo["head"],
	market: Uint8Array,
): Kept | undefined {
	const before: readonly unknown[] = Array.isArray(kept) ? kept : [];
	if (!head || before.some((one) => (one as typeof head | null)?.commitment === head.commitment)) return undefined;
	const link = readLink(head);
	const next = link && checkLink(crypto, link, market);
	if (!next || "problem" in next) return undefined;
	const own = readHeads(crypto, before, market);
	const heads = [...own.map(linkOf), linkOf(next)].slice(-HEADS_MAX).map(linkJson);
	return { heads, fork: own.find(({ commitment }) => forkOf(commitment, [next]) !== undefined)?.commitment };
}

/** A market's name in the names of files and of storage: as much of its key as tells it from others. */
export function headsName(market: Uint8Array): string {
	return `heads/${toHex(market).slice(0, 32)}`;
}
