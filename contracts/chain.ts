/**
 * A market's chain of commitments as it travels: links that are checked one by one and that each follows the one before, and what a commitment that somebody
 * kept says of a chain that has no place for it (PROTOCOL.md, "Commitments").
 */

import { fromHex, same, toHex } from "./bytes.ts";
import { type Commitment, faultOfLink, NO_PREVIOUS, readCommitment } from "./commitment.ts";
import type { Crypto } from "./identity.ts";
import { MARKET_KEY_BYTES, type MarketKey, readMarketKey } from "./market.ts";
import { isProblem, type Problem, problem } from "./problem.ts";

/** A commitment as it travels, with the certificate of the key that signed it. */
export type Link = { readonly key: Uint8Array; readonly commitment: Uint8Array };

/** A link that was read and checked. */
export type CheckedLink = { readonly key: MarketKey; readonly commitment: Commitment };

/** Why links are no chain of the market's, and which check says so, in the order in which they are made. */
export type LinkProblem = Problem & { readonly check: "key" | "market" | "commitment" | "chain" };

/** Links in one file: more than a year of days. */
export const CHAIN_MAX = 400;

type LinkJson = { key: string; commitment: string };
/** A link as JSON has it. */
export const linkJson = ({ key, commitment }: Link): LinkJson => ({ key: toHex(key), commitment: toHex(commitment) });

/** A link as it travels, of one that was checked. */
export function linkOf({ key, commitment }: CheckedLink): Link {
	return { key: key.bytes, commitment: commitment.bytes };
}

/** Reads a link's bytes, unchecked; undefined for what is none. */
export function readLink(json: unknown): Link | undefined {
	const { key, commitment } = (json ?? {}) as Partial<Record<keyof LinkJson, unknown>>;
	const keyBytes = fromHex(key, MARKET_KEY_BYTES);
	const bytes = fromHex(commitment);
	return keyBytes && bytes && { key: keyBytes, commitment: bytes };
}

/** Reads the links of a file, unchecked; undefined for none, or more than a file holds. */
export function readLinks(json: unknown): Link[] | undefined {
	if (!Array.isArray(json) || json.length === 0 || json.length > CHAIN_MAX) return undefined;
	const links = json.map(readLink);
	return links.every((link) => link !== undefined) ? links : undefined;
}

/** Checks one link by itself: its key, whose it is, its commitment. */
export function checkLink(crypto: Crypto, link: Link, market?: Uint8Array): CheckedLink | LinkProblem {
	const key = readMarketKey(crypto, link.key);
	if (isProblem(key)) return { ...key, check: "key" };
	if (market && !same(market, key.market))
		return {
			...problem("grant-unknown-market", "The commitment is of another market than the one given."),
			check: "market",
		};
	const commitment = readCommitment(crypto, link.commitment, key);
	return isProblem(commitment) ? { ...commitment, check: "commitment" } : { key, commitment };
}

/** Checks links one by one and that each follows the one before. */
export function checkChain(
	crypto: Crypto,
	links: readonly Link[],
	market?: Uint8Array,
): readonly CheckedLink[] | LinkProblem {
	const checked: CheckedLink[] = [];
	for (const link of links) {
		const next = checkLink(crypto, link, market);
		if ("problem" in next) return next;
		const before = checked.at(-1);
		const fault = before && faultOfLink(before.commitment, next.commitment);
		if (fault) return { ...fault, check: "chain" };
		checked.push(next);
	}
	return checked;
}

/**
 * Whether a commitment that was seen before has no place in a chain of the same market: `twice` when the chain has another one for its day,
 * `dropped` when it has none for it. Undefined where it stands in the chain, or the chain does not reach its day.
 */
export function forkOf(seen: Commitment, chain: readonly CheckedLink[]): "twice" | "dropped" | undefined {
	const [first, last] = [chain[0]?.commitment, chain.at(-1)?.commitment];
	if (!first || !last || !same(first.market, seen.market)) return undefined;
	const ofDay = chain.find(({ commitment }) => commitment.day === seen.day)?.commitment;
	if (ofDay) return same(ofDay.hash, seen.hash) ? undefined : "twice";
	const reaches = first.day < seen.day || same(first.previous, NO_PREVIOUS);
	return reaches && seen.day < last.day ? "dropped" : undefined;
}

/** What a fork says of a market, in words. */
export function forkLines({ day }: Commitment, kind: "twice" | "dropped"): string {
	return kind === "twice"
		? `The market signed two different commitments for ${dayText(day)}: it shows different people different books.`
		: `The market signed a commitment for ${dayText(day)} that its chain leaves out: it rewrote its past.`;
}

/** A day, for people. */
export function dayText(day: number): string {
	return new Date(day * 86_400_000).toISOString().slice(0, 10);
}
