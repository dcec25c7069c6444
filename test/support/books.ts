/** A market's books as the contracts' tests and vectors need them: who has what, the trees over it, commitments and proofs, honest or as a liar would make them. */
import { type Amount, amount } from "#contracts/amount";
import type { Link } from "#contracts/chain";
import { type Commitment, type Facts, NO_PREVIOUS, OWN, signCommitment } from "#contracts/commitment";
import type { Crypto, KeyPair } from "#contracts/identity";
import type { ProofParts, Purse } from "#contracts/proof";
import {
	buildTree,
	KINDS,
	type Kind,
	type Leaf,
	leafNode,
	pathOf,
	type SumNode,
	type TreeRoot,
	writeLeafProof,
} from "#contracts/sumtree";
import { DAY_MS, NOW_MS } from "#test/contracts/world";

export type Balance = { readonly kind: Kind; readonly id: Uint8Array; readonly nanos: bigint };

const OWN_NANOS = { commons: 700n, risk: 50_000n, lent: 3n, fees: 900n, rate: 11n };

/** The books of one day: trees over balances, each leaf salted by its place. */
export class Books {
	readonly crypto: Crypto;
	readonly leaves = {} as Record<Kind, Leaf[]>;
	readonly levels = {} as Record<Kind, SumNode[][]>;

	constructor(crypto: Crypto, balances: readonly Balance[]) {
		this.crypto = crypto;
		for (const kind of KINDS) {
			const own = balances.filter((balance) => balance.kind === kind);
			this.leaves[kind] = own.map(({ id, nanos }, at) => ({
				kind,
				id,
				salt: new Uint8Array(16).fill(at + 1),
				nanos: nanos as Amount,
			}));
			this.levels[kind] = buildTree(
				crypto,
				this.leaves[kind].map((leaf) => leafNode(crypto, leaf)),
			);
		}
	}

	root(kind: Kind): TreeRoot {
		const levels = this.levels[kind];
		return { ...(levels.at(-1)?.[0] as SumNode), height: levels.length - 1 };
	}

	/** The proof of the leaf at a place of a kind's tree. */
	proof(kind: Kind, index: number): Uint8Array {
		const leaf = this.leaves[kind][index] as Leaf;
		return writeLeafProof({ leaf, index, path: pathOf(this.crypto, this.levels[kind], index) });
	}

	/** What the books come to, with as much come in as is owed. */
	facts(change: Partial<Facts> = {}): Facts {
		const trees = change.trees ?? (Object.fromEntries(KINDS.map((kind) => [kind, this.root(kind)])) as Facts["trees"]);
		const own = Object.fromEntries(OWN.map((name) => [name, amount(OWN_NANOS[name])])) as Facts["own"];
		const owes =
			KINDS.reduce((sum, kind) => sum + trees[kind].sum, 0n) + OWN.reduce((sum, name) => sum + own[name], 0n);
		return {
			previous: NO_PREVIOUS,
			takenMs: NOW_MS,
			position: 7,
			own,
			worlds: { play: 0n, lightning: owes - 1_007n, card: 1_000n },
			owed: amount(3n),
			overrun: amount(4n),
			msatPerDollar: 1_000_000n,
			rails: [
				{ name: "card", world: "card", unit: "cent", state: "says", spendable: -2n, pending: 5n },
				{ name: "lightning-lnd", world: "lightning", unit: "msat", state: "silent", spendable: 0n, pending: 0n },
				{ name: "play", world: "play", unit: "nano", state: "unasked", spendable: 0n, pending: 0n },
			],
			...change,
			trees,
		};
	}
}

/** A market that signs: its root, an online key and that key's certificate. */
export type Signer = { readonly market: Uint8Array; readonly online: KeyPair; readonly key: Uint8Array };

/** Days of one market after each other, each over books that may change. */
export function chainOf(
	crypto: Crypto,
	signer: Signer,
	books: readonly Books[],
	change: Partial<Facts> = {},
): Commitment[] {
	const chain: Commitment[] = [];
	for (const [day, book] of books.entries()) {
		const facts = book.facts({
			previous: chain.at(-1)?.hash ?? NO_PREVIOUS,
			takenMs: NOW_MS + day * DAY_MS,
			position: 7 + day,
			...change,
		});
		chain.push(signCommitment(crypto, signer.market, facts, signer.online));
	}
	return chain;
}

export const linkOf = (signer: Signer, { bytes }: Commitment): Link => ({ key: signer.key, commitment: bytes });

/** The parts of a file that proves some places of the last day's trees. */
export function partsOf(
	signer: Signer,
	chain: readonly Commitment[],
	books: Books,
	account: Uint8Array,
	places: readonly (readonly [Kind, number])[],
): ProofParts {
	const purses = places.map(([kind, index]): Purse => {
		const { id, nanos } = books.leaves[kind][index] as Leaf;
		return { kind, id, nanos, proof: books.proof(kind, index) };
	});
	return { chain: chain.map((commitment) => linkOf(signer, commitment)), account, purses };
}
