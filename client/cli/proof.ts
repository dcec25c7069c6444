/**
 * Gathers what proves an account's balances: the market's proofs, its chain since the first commitment that this machine has seen, and what the account's own
 * statement says that it had when the commitment was made. What the market says is believed in nothing that can be checked.
 */

import { type Amount, parseAmount } from "#contracts/amount";
import { fromHex, same, toHex } from "#contracts/bytes";
import { CHAIN_MAX, type CheckedLink, checkLink, dayText, type Link, readLink } from "#contracts/chain";
import type { Commitment } from "#contracts/commitment";
import { headsName, readHeads } from "#contracts/heads";
import { isProblem, type Problem, problem } from "#contracts/problem";
import type { ProofParts, Purse } from "#contracts/proof";
import { statementLine } from "#contracts/statement";
import { KINDS, type Kind, type LeafProof, readLeafProof, writeLeafProof } from "#contracts/sumtree";
import { crypto } from "#host/crypto";
import { getJson, putJson } from "#sdk/storage";
import { askMarket, type Person } from "./person.ts";

/** Transfers asked for at once. */
const PAGE = 200;
/** How long the market may take to answer. */
const ANSWER_MS = 20_000;
/** How far the clocks of a market's processes may be apart. */
const SKEW_MS = 300_000;

/** Purses as a statement calls them, by the kind of balance that each is. */
const PURSES = {
	payer: "spending",
	fresh: "fresh",
	earned: "earned",
	waiting: "waiting",
	leaving: "leaving",
} as const satisfies Partial<Record<Kind, string>>;
type Own = keyof typeof PURSES;
const OWN_KINDS = Object.keys(PURSES) as Own[];

const NONE: Record<Own, bigint> = { payer: 0n, fresh: 0n, earned: 0n, waiting: 0n, leaving: 0n };

/** What an account's own statement comes to. */
type Sums = { readonly position: number; readonly nanos: Record<Own, bigint> };

/** All that goes into a proof file, and what was seen before it. */
export type Gathered = {
	readonly parts: ProofParts;
	readonly market: Uint8Array;
	readonly seen: readonly CheckedLink[];
	/** Notes that all of this held, so that the next proof reads the statement from here on. */
	keep(): Promise<void>;
};

/** Asks the market for the account's proofs and reads the account's own books; a problem when there is none, or it does not fit them. */
export async function gatherProof(person: Person, all: boolean): Promise<Gathered | Problem> {
	const { client, storage } = person;
	const terms = await client.market.terms();
	if (isProblem(terms)) return terms;
	const { market } = terms;
	const answer = await askMarket(person, (api) => api.account.proof.query());
	if (isProblem(answer)) return answer;
	const link = readLink(answer);
	const newest = link && checkLink(crypto, link, market);
	if (!link || !newest) return problem("malformed", "The market's commitment is none.");
	if ("problem" in newest) return newest;
	const proofs: LeafProof[] = [];
	for (const hex of answer.proofs) {
		const proof = readLeafProof(fromHex(hex) ?? new Uint8Array(0));
		if (isProblem(proof)) return proof;
		proofs.push(proof);
	}
	const seen = readHeads(crypto, await getJson(storage, headsName(market)), market);
	const oldest = all ? undefined : seen[0]?.commitment;
	let chain = await chainTo(person, newest, oldest);
	// one that does not begin with what was seen has lost it: where it stood is told by what is around it
	if (!isProblem(chain) && oldest && toHex(oldest.bytes) !== toHex(chain[0]?.commitment ?? oldest.bytes))
		chain = await chainTo(person, newest, undefined);
	if (isProblem(chain)) return chain;
	const sums = await ownSums(person, newest.commitment);
	if (isProblem(sums)) return sums;
	const tabs = await tabPurses(person, newest.commitment, proofs);
	if (isProblem(tabs)) return tabs;
	const account = client.identity.account.publicKey;
	const own = OWN_KINDS.flatMap((kind): Purse[] => {
		const proof = proofs.find(({ leaf }) => leaf.kind === kind);
		const nanos = sums.nanos[kind];
		return proof || nanos !== 0n ? [purseOf(kind, account, nanos as Amount, proof)] : [];
	});
	// what a pool had then its sponsor's own books do not say: the proof does, and the pool's report what became of it
	const pools = proofs
		.filter(({ leaf }) => leaf.kind === "pool" || leaf.kind === "gift")
		.map((proof) => purseOf(proof.leaf.kind, proof.leaf.id, proof.leaf.nanos, proof));
	const purses = [...own, ...tabs, ...pools].sort((a, b) => KINDS.indexOf(a.kind) - KINDS.indexOf(b.kind));
	return {
		parts: { chain, account, purses },
		market,
		seen,
		keep: () => putJson(storage, sumsName(market), sumsJson(sums)),
	};
}

function purseOf(kind: Kind, id: Uint8Array, nanos: Amount, proof: LeafProof | undefined): Purse {
	return { kind, id, nanos, proof: proof && writeLeafProof(proof) };
}

/** The market's chain from a commitment that was seen (or the first of all) up to the one that is proven in, as far as a file takes it. */
async function chainTo(person: Person, newest: CheckedLink, from: Commitment | undefined): Promise<Link[] | Problem> {
	const last = newest.commitment;
	const links: Link[] = [];
	for (let after = from ? from.day - 1 : -1; ; ) {
		const page = await pageAfter(person, after);
		if (isProblem(page)) return page;
		for (const link of page) {
			const checked = checkLink(crypto, link, newest.key.market);
			if ("problem" in checked) return checked;
			const { day, hash } = checked.commitment;
			if (day <= after) return problem("malformed", "The market's commitments are in no order.");
			if (day > last.day) return problem("conflict", noPlace(last));
			after = day;
			links.push(link);
			if (same(hash, last.hash)) return links.slice(-CHAIN_MAX);
		}
		if (page.length === 0) return problem("conflict", noPlace(last));
	}
}

function noPlace({ day }: Commitment): string {
	return `The market's chain has no place for its own commitment of ${dayText(day)}.`;
}

async function pageAfter({ client }: Person, after: number): Promise<Link[] | Problem> {
	let json: { commitments?: unknown };
	try {
		const url = `${client.market.url}/v1/commitments?after=${after}`;
		json = (await (await fetch(url, { signal: AbortSignal.timeout(ANSWER_MS) })).json()) as typeof json;
	} catch {
		return problem("unavailable", "The market's commitments could not be read.", { spent: "no" });
	}
	const links = Array.isArray(json.commitments) ? json.commitments.map(readLink) : [undefined];
	return links.every((link) => link !== undefined) ? links : problem("malformed", "The market's commitments are none.");
}

/** What the account had when the commitment was made, by its own statement; a problem when the commitment leaves out what moved before it. */
async function ownSums(person: Person, { position, takenMs, market, day }: Commitment): Promise<Sums | Problem> {
	const known = sumsOf(await getJson(person.storage, sumsName(market)));
	const from = known && known.position <= position ? known : undefined;
	const nanos = { ...(from?.nanos ?? NONE) };
	let isAgain = false;
	for (let after = from?.position ?? 0; ; ) {
		const page = await askMarket(person, (api) => api.account.statement.query({ after, limit: PAGE }));
		// the market has put lines beyond those that were read into its archive: what they came to is the first line now. Once: one that says so for ever would never end
		if (isProblem(page) && page.problem === "conflict" && after > 0 && !isAgain) {
			Object.assign(nanos, NONE);
			[after, isAgain] = [0, true];
			continue;
		}
		if (isProblem(page)) return page;
		for (const json of page.lines) {
			const line = statementLine(json);
			if (!line || line.position <= after) return problem("malformed", "The market's statement is none.");
			const kind = OWN_KINDS.find((own) => PURSES[own] === line.purse);
			if (line.position <= position) {
				if (kind) nanos[kind] += line.net;
			} else if (line.atMs < takenMs - SKEW_MS) {
				return problem(
					"conflict",
					`The market's commitment of ${dayText(day)} is of older balances than it says: it leaves out ${line.id}, which moved before it was made.`,
				);
			}
		}
		const last = page.lines.at(-1)?.position;
		if (last === undefined || last > position) return { position, nanos };
		after = last;
	}
}

const sumsName = (market: Uint8Array): string => headsName(market).replace("heads/", "proven/");

type SumsJson = { readonly position: number; readonly nanos: Record<Own, string> };

function sumsJson({ position, nanos }: Sums): SumsJson {
	const texts = OWN_KINDS.map((kind) => [kind, nanos[kind].toString()]);
	return { position, nanos: Object.fromEntries(texts) as SumsJson["nanos"] };
}

/** What was kept; undefined where it is none, and the whole statement is read again. */
function sumsOf(json: SumsJson | undefined): Sums | undefined {
	if (!json || !Number.isSafeInteger(json.position)) return undefined;
	const nanos = { ...NONE };
	for (const kind of OWN_KINDS) {
		const sum = parseAmount(json.nanos?.[kind]);
		if (sum === undefined) return undefined;
		nanos[kind] = sum;
	}
	return { position: json.position, nanos };
}

/** The holds of the account's open tabs: a hold only ever shrinks, so it was at least what is left of it now. */
async function tabPurses(
	person: Person,
	{ takenMs }: Commitment,
	proofs: readonly LeafProof[],
): Promise<Purse[] | Problem> {
	const answer = await askMarket(person, (api) => api.tab.list.query({ live: true }));
	if (isProblem(answer)) return answer;
	const purses: Purse[] = [];
	for (const { tab, issuedAtMs, held } of answer.tabs) {
		const id = fromHex(tab, 16);
		const least = parseAmount(held);
		if (!id || least === undefined) return problem("malformed", "The market's tabs are none.");
		const proof = proofs.find(({ leaf }) => leaf.kind === "hold" && toHex(leaf.id) === tab);
		const nanos = proof && proof.leaf.nanos >= least ? proof.leaf.nanos : least;
		// one that was opened after the commitment is not in it
		if (proof || (issuedAtMs < takenMs - SKEW_MS && least > 0n)) purses.push(purseOf("hold", id, nanos, proof));
	}
	return purses;
}
