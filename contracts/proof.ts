/**
 * The proof file: a market's chain of commitments up to one, and an account's own balances in it, as one text that anybody can check offline with
 * nothing but public keys; and the fork file, by which a market is shown to have signed two histories (PROTOCOL.md, "Proof file").
 */

import { type Amount, formatAmount, formatDollars, parseAmount } from "./amount.ts";
import { fromHex, same, toHex } from "./bytes.ts";
import {
	type CheckedLink,
	checkChain,
	checkLink,
	dayText,
	forkLines,
	forkOf,
	type Link,
	type LinkProblem,
	linkJson,
	readLink,
	readLinks,
} from "./chain.ts";
import type { Commitment } from "./commitment.ts";
import { type Crypto, KEY_BYTES } from "./identity.ts";
import { isProblem, type Problem, problem } from "./problem.ts";
import { idBytes, isOfAccount, KINDS, type Kind, readLeafProof, rootOf } from "./sumtree.ts";

/** A balance that an account had by its own books, and the market's proof of it: none where the market had none to give. */
export type Purse = {
	readonly kind: Kind;
	readonly id: Uint8Array;
	readonly nanos: Amount;
	readonly proof: Uint8Array | undefined;
};

/** What a proof file is made of. The last link is the one that is proven in; without an account it is the chain alone. */
export type ProofParts = {
	readonly chain: readonly Link[];
	readonly account: Uint8Array | undefined;
	readonly purses: readonly Purse[];
};

/** The checks, in the order in which they are made. */
export type ProofCheck = "form" | LinkProblem["check"] | "head" | "purse";

/** Why a file proves nothing, or proves that the market is false, and which check says so. */
export type ProofProblem = Problem & { readonly check: ProofCheck };

/** What a proof file proves. */
export type ProofVerdict = {
	/** whether the market's root is the one that the reader trusts, or only the one that the file brought along */
	readonly pinned: boolean;
	/** the commitment that it is about */
	readonly newest: CheckedLink;
	readonly days: { readonly from: number; readonly to: number; readonly links: number };
	/** commitments seen earlier that stand in this chain */
	readonly remembered: number;
	/** the day of the newest commitment that the reader has seen, where that is later: then this is no proof of today */
	readonly newerDay: number | undefined;
	readonly account: Uint8Array | undefined;
	readonly purses: readonly Pick<Purse, "kind" | "id" | "nanos">[];
};

/** Purses in one file: an account's own five, its open tabs, and its pools with what has not cleared. */
export const PURSES_MAX = 120;

/** Writes the one text of these parts. */
export function writeProof({ chain, account, purses }: ProofParts): string {
	const own = purses.map(({ kind, id, nanos, proof }) => ({
		kind,
		id: toHex(id),
		nanos: formatAmount(nanos),
		proof: proof ? toHex(proof) : null,
	}));
	const json = {
		farelay: "proof/1",
		chain: chain.map(linkJson),
		account: account ? toHex(account) : null,
		purses: own,
	};
	return `${JSON.stringify(json)}\n`;
}

/** Writes a fork file: a commitment that was seen, and the market's chain that does not hold it. */
export function writeFork(seen: Link, chain: readonly Link[]): string {
	return `${JSON.stringify({ farelay: "fork/1", seen: linkJson(seen), chain: chain.map(linkJson) })}\n`;
}

/** Which file a text says that it is, for whoever reads several kinds; whether it is one is for its reader. */
export function fileKind(text: string): string | undefined {
	return /^\{"farelay":"([a-z]+\/[0-9]+)"/.exec(text)?.[1];
}

function failed(check: ProofCheck, why: Problem): ProofProblem {
	return { ...why, check };
}

function parse(text: string): unknown {
	try {
		return JSON.parse(text);
	} catch {
		return undefined;
	}
}

function readPurse(json: unknown): Purse | undefined {
	const said = (json ?? {}) as Partial<Record<keyof Purse, unknown>>;
	const kind = KINDS.find((known) => known === said.kind);
	const id = kind && fromHex(said.id, idBytes(kind));
	const nanos = parseAmount(said.nanos);
	const proof = said.proof === null ? undefined : fromHex(said.proof);
	if (!kind || !id || nanos === undefined || (said.proof !== null && !proof)) return undefined;
	return { kind, id, nanos, proof };
}

function readParts(text: string): ProofParts | undefined {
	const json = parse(text) as { chain?: unknown; account?: unknown; purses?: unknown } | null | undefined;
	const chain = readLinks(json?.chain);
	const account = json?.account === null ? undefined : fromHex(json?.account, KEY_BYTES);
	if (!chain || !Array.isArray(json?.purses) || json.purses.length > PURSES_MAX) return undefined;
	const purses = json.purses.map(readPurse);
	if (!purses.every((purse) => purse !== undefined)) return undefined;
	const parts = { chain, account, purses };
	return writeProof(parts) === text ? parts : undefined;
}

/**
 * Checks a proof file and says what it proves. `market` is the root key that the reader trusts, `seen` are commitments that the reader kept:
 * a chain that has no place for one of them is refused. Total: any text gives a verdict or a problem.
 */
export function readProof(
	crypto: Crypto,
	text: string,
	{ market, seen = [] }: { market?: Uint8Array | undefined; seen?: readonly Commitment[] } = {},
): ProofVerdict | ProofProblem {
	const parts = readParts(text);
	if (!parts) return failed("form", problem("malformed", "The text is not a proof file as it is written."));
	const { account, purses } = parts;
	const chain = checkChain(crypto, parts.chain, market);
	if ("problem" in chain) return chain;
	const [first, newest] = [chain[0], chain.at(-1)];
	if (!first || !newest) return failed("form", problem("malformed", "The file has no commitment."));
	for (const kept of seen) {
		const fork = forkOf(kept, chain);
		if (fork) return failed("head", problem("conflict", forkLines(kept, fork)));
	}
	const wrong = faultOfPurses(crypto, parts, newest.commitment);
	if (wrong) return failed("purse", wrong);
	const later = seen.filter(({ market: of, day }) => same(of, newest.key.market) && day > newest.commitment.day);
	return {
		pinned: market !== undefined,
		newest,
		days: { from: first.commitment.day, to: newest.commitment.day, links: chain.length },
		remembered: seen.filter((kept) => chain.some(({ commitment }) => same(commitment.hash, kept.hash))).length,
		newerDay: later.length > 0 ? Math.max(...later.map(({ day }) => day)) : undefined,
		account,
		purses,
	};
}

function faultOfPurses(crypto: Crypto, { account, purses }: ProofParts, commitment: Commitment): Problem | undefined {
	const names = new Set<string>();
	for (const purse of purses) {
		const { kind, id } = purse;
		const name = `${kind} ${toHex(id)}`;
		if (!account || names.has(name) || (isOfAccount(kind) && !same(id, account)))
			return problem("malformed", `The balance ${name} is somebody else's, or is named twice.`);
		names.add(name);
		const fault = faultOfPurse(crypto, purse, commitment);
		if (fault) return fault;
	}
	return undefined;
}

function faultOfPurse(crypto: Crypto, purse: Purse, commitment: Commitment): Problem | undefined {
	const { kind, id, nanos } = purse;
	const says = `${kindText(kind)} had ${formatDollars(nanos)} by the account's own books`;
	const when = dayText(commitment.day);
	if (!purse.proof)
		return nanos === 0n ? undefined : problem("conflict", `${says}; the market's commitment of ${when} leaves it out.`);
	const proof = readLeafProof(purse.proof);
	if (isProblem(proof)) return proof;
	const { leaf } = proof;
	if (leaf.kind !== kind || !same(leaf.id, id))
		return problem("conflict", `${says}; the market's proof is of somebody else's balance.`);
	const root = rootOf(crypto, proof);
	const tree = commitment.trees[kind];
	if (!root || root.height !== tree.height || root.sum !== tree.sum || !same(root.hash, tree.hash))
		return problem("conflict", `${says}; the market's proof does not lead to its commitment of ${when}.`);
	if (leaf.nanos !== nanos)
		return problem("conflict", `${says}; the market's commitment of ${when} has ${formatDollars(leaf.nanos)}.`);
	return undefined;
}

/** What a fork file proves: which market signed two histories, and where they part. */
export type ForkVerdict = {
	readonly pinned: boolean;
	readonly kind: "twice" | "dropped";
	readonly seen: CheckedLink;
	/** in the chain: the one for the same day, or the last */
	readonly other: CheckedLink;
};

/** Checks a fork file. Total: any text gives a verdict (the market is false) or a problem (the file proves nothing). */
export function readFork(crypto: Crypto, text: string, market?: Uint8Array): ForkVerdict | ProofProblem {
	const json = parse(text) as { seen?: unknown; chain?: unknown } | null | undefined;
	const link = readLink(json?.seen);
	const links = readLinks(json?.chain);
	if (!link || !links || writeFork(link, links) !== text)
		return failed("form", problem("malformed", "The text is not a fork file as it is written."));
	const seen = checkLink(crypto, link, market);
	if ("problem" in seen) return seen;
	const chain = checkChain(crypto, links, market);
	if ("problem" in chain) return chain;
	const kind = forkOf(seen.commitment, chain);
	const other = chain.find(({ commitment }) => commitment.day === seen.commitment.day) ?? chain.at(-1);
	if (!kind || !other)
		return failed("head", problem("conflict", "The chain has its place for that commitment: this proves no fork."));
	return { pinned: market !== undefined, kind, seen, other };
}

/** A kind of balance, for people. */
export function kindText(kind: Kind): string {
	return {
		payer: "what can be spent",
		fresh: "what can be spent, by card",
		hold: "a tab",
		earned: "what was earned",
		waiting: "what was earned and waits",
		leaving: "what is being paid out",
		pool: "a pool",
		gift: "a pool, by cards and not cleared yet",
	}[kind];
}
