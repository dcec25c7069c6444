/**
 * Proofs of balances at work: makes the day's commitment when there is none yet, keeps the trees of the newest, and answers accounts. Several processes may do
 * this on one book; the trees of a commitment that another made are grown anew from the ledger as it was then, and must come to the same roots.
 */

import { same, toHex } from "#contracts/bytes";
import { type Link, linkOf } from "#contracts/chain";
import { dayOf, type Facts, NO_PREVIOUS, type RailSays, signCommitment } from "#contracts/commitment";
import { type Crypto, HASH_BYTES } from "#contracts/identity";
import { isProblem, type Problem, problem } from "#contracts/problem";
import { isOfAccount, KINDS, type LeafProof, rootOf, type TreeRoot } from "#contracts/sumtree";
import type { Clock } from "#host/clock";
import type { Log } from "#host/log";
import type { Keys } from "#marketplace/keys/keys";
import type { Book } from "#marketplace/ledger/book";
import type { Rail } from "#marketplace/rail/rail";
import type { Rates } from "#marketplace/rate/rate";
import { linksAfter, type Made, type Newest, newestOf, rowsOf } from "./record.ts";
import { Sorted } from "./sorted.ts";
import { growTrees, openTrees, type Trees } from "./trees.ts";

/** How often it is looked whether the day has its commitment: soon after midnight, and one question to the book. */
export const PROOF_MS = 60_000;

/** How long a rail may take to say what it holds; then the commitment says that it did not answer. */
const RAIL_MS = 10_000;

/** Accounts answered at once: each searches its trees some dozen times; who comes beyond that is asked to come again. */
const ANSWERS_MAX = 64;

/** What proofs need. */
export type ProofsDeps = {
	readonly crypto: Crypto;
	readonly clock: Clock;
	readonly log: Log;
	readonly book: Book;
	readonly keys: Keys;
	readonly rails: readonly Rail[];
	readonly rates: Rates;
	/** where trees are kept */
	readonly folder: string;
};

/** What an account asks about: its purses by its key, tabs and pools of its own. */
export type Asked = {
	readonly account: Uint8Array;
	readonly tabs: readonly Uint8Array[];
	readonly pools: readonly Uint8Array[];
};

/** An account's balances in the newest commitment. What is not there is nothing. */
export type Answered = { readonly link: Link; readonly proofs: readonly LeafProof[] };

/** Proofs of balances. */
export interface Proofs {
	/** Makes the day's commitment if it is missing and there is anything to commit to; true when this process made it. */
	run(): Promise<boolean>;
	/** The newest commitment that this process knows of. */
	newest(): Link | undefined;
	/** Commitments of days after one (-1 for the first), oldest first. */
	after(day: number, limit: number): Promise<Link[]>;
	/** Proofs of an account's balances in the newest commitment. */
	prove(asked: Asked): Promise<Answered | Problem>;
	/** Gives up what is being made: nobody waits for it any more. */
	halt(): void;
	close(): Promise<void>;
}

/** Opens proofs on a book. */
export async function openProofs(deps: ProofsDeps): Promise<Proofs> {
	const { crypto, clock, log, book, keys, folder } = deps;
	let newest: Newest = await newestOf(crypto, book);
	let trees: { readonly of: Made; readonly open: Trees } | undefined = await treesThere(newest.made);
	let answering = 0;
	const ending = new AbortController();
	const { signal } = ending;

	async function treesThere(made: Made | undefined): Promise<typeof trees> {
		const open = made && (await openTrees(crypto, folder, { hash: made.commitment.hash, secret: made.secret }));
		return open && { of: made, open };
	}

	async function refresh(): Promise<void> {
		const found = await newestOf(crypto, book);
		const { made } = found;
		if (made && !(trees && same(trees.of.commitment.hash, made.commitment.hash))) await useTrees(made);
		// shown only once accounts can be proven in it
		newest = found;
	}

	/** Opens the trees of a commitment, growing them first where they are not in the folder. */
	async function useTrees(made: Made): Promise<void> {
		let there = await treesThere(made);
		if (!there) {
			const { position } = made.commitment;
			const { sorted } = await snapshot(made.secret, position);
			const grown = await growTrees(crypto, folder, sorted, signal);
			if (!sameRoots(grown.roots, made.commitment.trees)) {
				await grown.drop();
				throw new Error(`the ledger after transfer ${position} is not what was committed to`);
			}
			await grown.keep(made.commitment.hash, clock.nowMs());
			there = await treesThere(made);
			if (!there) throw new Error("trees that were just written are not there");
		}
		const before = trees;
		trees = there;
		await before?.open.close();
	}

	/** What a disk made of trees is shown to nobody: they are grown anew when the chore comes round. */
	async function spoiled(open: Trees): Promise<Problem> {
		log.error("a tree on the disk does not lead to its commitment; it is grown anew");
		if (trees?.open === open) trees = undefined;
		await open.drop();
		return notYet(newest.made);
	}

	async function snapshot(secret: Uint8Array, at?: number): Promise<{ sorted: Sorted; position: number }> {
		const sorted = new Sorted(crypto, secret, signal);
		return { sorted, position: await book.eachBalance((page) => sorted.take(page), at) };
	}

	async function make(): Promise<boolean> {
		const takenMs = clock.nowMs();
		const online = keys.online(takenMs);
		const key = keys.certificates().find((known) => toHex(known.key) === toHex(online.publicKey));
		if (!key) throw new Error("the key that signs has no certificate");
		const secret = crypto.random(HASH_BYTES);
		const { sorted, position } = await snapshot(secret);
		const [rails, rate] = await Promise.all([askRails(deps, signal), deps.rates.now()]);
		const grown = await growTrees(crypto, folder, sorted, signal);
		try {
			const facts = {
				...sorted.facts(),
				previous: newest.made?.commitment.hash ?? NO_PREVIOUS,
				takenMs,
				position,
				trees: grown.roots,
				msatPerDollar: isProblem(rate) ? 0n : rate.msatPerDollar,
				rails,
			};
			const made = { commitment: signCommitment(crypto, keys.market, facts, online), key, secret };
			const [outcome] = await book.apply([{ rows: rowsOf(keys.market, made, newest) }]);
			if (outcome === "applied") await grown.keep(made.commitment.hash, clock.nowMs());
			else await grown.drop();
			if (outcome !== "applied" && typeof outcome === "object" && outcome.refused !== "stale")
				throw new Error(`the commitment was not written down: ${outcome.detail}`);
			await refresh();
			if (outcome === "applied") log.info({ day: made.commitment.day, position }, "committed to what is owed");
			return outcome === "applied";
		} catch (error) {
			await grown.drop();
			throw error;
		}
	}

	return {
		run: async () => {
			try {
				await refresh();
				const before = newest.made?.commitment;
				// an empty ledger is not committed to: a first commitment that waits for money is of use on the day it is made
				if (before ? dayOf(clock.nowMs()) <= before.day : (await book.count()) === 0) return false;
				return await make();
			} catch (error) {
				if (signal.aborted) return false;
				throw error;
			}
		},
		newest: () => newest.made && linkOf(newest.made),
		after: (day, limit) => linksAfter(crypto, book, day, limit),
		prove: async ({ account, tabs, pools }) => {
			if (!trees) return notYet(newest.made);
			if (answering >= ANSWERS_MAX) return problem("too-many", "Too many ask for proofs now.", { retryAfterMs: 2_000 });
			answering += 1;
			try {
				const { of, open } = trees;
				const proofs: LeafProof[] = [];
				for (const kind of KINDS) {
					const ids = isOfAccount(kind) ? [account] : kind === "hold" ? tabs : pools;
					for (const id of ids) {
						const proof = await open.proofOf(kind, id);
						if (proof && !leadsTo(crypto, proof, of.commitment)) return await spoiled(open);
						if (proof) proofs.push(proof);
					}
				}
				return { link: linkOf(of), proofs };
			} finally {
				answering -= 1;
			}
		},
		halt: () => ending.abort(),
		close: async () => {
			await trees?.open.close();
			trees = undefined;
		},
	};
}

function notYet(made: Made | undefined): Problem {
	return made
		? problem("unavailable", "The market grows the trees of its newest commitment.", { retryAfterMs: PROOF_MS })
		: problem(
				"not-found",
				"The market has made no commitment yet: it makes the first within minutes of its first money.",
			);
}

function sameRoot(a: TreeRoot | undefined, b: TreeRoot): boolean {
	return a !== undefined && a.sum === b.sum && a.height === b.height && same(a.hash, b.hash);
}

function sameRoots(a: Facts["trees"], b: Facts["trees"]): boolean {
	return KINDS.every((kind) => sameRoot(a[kind], b[kind]));
}

function leadsTo(crypto: Crypto, proof: LeafProof, { trees }: Facts): boolean {
	return sameRoot(rootOf(crypto, proof), trees[proof.leaf.kind]);
}

/** What each rail says that it holds, now; one that is slow or away is said to be silent. */
async function askRails({ rails, clock, log }: ProofsDeps, signal: AbortSignal): Promise<RailSays[]> {
	const late = Promise.withResolvers<Problem>();
	const giveUp = (): void => late.resolve(problem("unavailable", "It did not answer in time."));
	const cancel = clock.after(RAIL_MS, giveUp);
	signal.addEventListener("abort", giveUp, { once: true });
	const asked = rails.map(async (rail): Promise<RailSays> => {
		const balance = await Promise.race([rail.balance(), late.promise]);
		const base = { name: rail.name, world: rail.world.slice("world:".length) as RailSays["world"], unit: rail.unit };
		if (balance === undefined) return { ...base, state: "unasked", spendable: 0n, pending: 0n };
		if (!isProblem(balance)) return { ...base, state: "says", ...balance };
		log.warn({ rail: rail.name, says: balance.detail }, "a rail did not say what it holds; the commitment says so");
		return { ...base, state: "silent", spendable: 0n, pending: 0n };
	});
	const said = await Promise.all(asked);
	cancel();
	signal.removeEventListener("abort", giveUp);
	return said.sort((a, b) => (a.name < b.name ? -1 : 1));
}
