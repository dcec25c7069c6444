/**
 * A Merkle tree whose nodes carry sums: what a market owes, as one hash and one total, in which each account can find its own balance without
 * learning whose the others are. Every node commits to the sums of BOTH its children: a tree that hashes only their total lets a market show
 * everybody a total that leaves the others out (PROTOCOL.md, "Commitments"; docs/decisions/proof-of-balances.md).
 */

import { AMOUNT_MAX, type Amount, isAmount } from "./amount.ts";
import { Reader, Writer } from "./bytes.ts";
import { type Crypto, HASH_BYTES, hashFor } from "./identity.ts";
import { type Problem, problem } from "./problem.ts";

/** The kinds of balances that have a tree each, in the order of their codes. */
export const KINDS = ["payer", "fresh", "hold", "earned", "waiting", "leaving", "pool", "gift"] as const;
export type Kind = (typeof KINDS)[number];

/** Random bytes in a leaf, so that nobody who sees its hash can try names and amounts. */
export const SALT_BYTES = 16;
/** Places are numbered in 32 bits: four billion accounts of a kind. */
export const HEIGHT_MAX = 32;

/** A node: a hash and the sum of all leaves below it, nano-dollars. */
export type SumNode = { readonly hash: Uint8Array; readonly sum: bigint };

/** One balance. `id` is an account's public key, for a hold its tab's id, for a pool and for cards' gifts to it that have not cleared the pool's. */
export type Leaf = {
	readonly kind: Kind;
	readonly id: Uint8Array;
	readonly salt: Uint8Array;
	/** more than nothing: an empty balance has no leaf */
	readonly nanos: Amount;
};

/** A tree as a commitment has it: its root, and how many levels of nodes are above its leaves. */
export type TreeRoot = SumNode & { readonly height: number };

/** A leaf with its place and what stands beside its way to the root, from the bottom up. */
export type LeafProof = { readonly leaf: Leaf; readonly index: number; readonly path: readonly SumNode[] };

/** Whether a kind's id is an account's public key; else it is a tab's or a pool's. */
export function isOfAccount(kind: Kind): boolean {
	return kind !== "hold" && kind !== "pool" && kind !== "gift";
}

/** How long the id of a kind is: a tab's or a pool's, or an account's public key. */
export function idBytes(kind: Kind): number {
	return isOfAccount(kind) ? 32 : 16;
}

function writeLeaf({ kind, id, salt, nanos }: Leaf): Writer {
	return new Writer(96).u8(KINDS.indexOf(kind)).put(id, idBytes(kind)).put(salt, SALT_BYTES).u64(nanos);
}

/** The node of a leaf. */
export function leafNode(crypto: Crypto, leaf: Leaf): SumNode {
	return { hash: hashFor(crypto, "proof-leaf", writeLeaf(leaf).finish()), sum: leaf.nanos };
}

/** The node above two; undefined when a sum is none: below nothing, or past the largest amount. */
export function joinNodes(crypto: Crypto, left: SumNode, right: SumNode): SumNode | undefined {
	const sum = left.sum + right.sum;
	if (!isAmount(left.sum) || !isAmount(right.sum) || sum > AMOUNT_MAX) return undefined;
	const body = new Writer(80).put(left.hash, HASH_BYTES).u64(left.sum).put(right.hash, HASH_BYTES).u64(right.sum);
	return { hash: hashFor(crypto, "proof-node", body.finish()), sum };
}

/** What stands where no leaf is, for each level from the bottom up: `height + 1` nodes with nothing below them. */
export function padsOf(crypto: Crypto, height: number): SumNode[] {
	const pads: SumNode[] = [{ hash: hashFor(crypto, "proof-pad", new Uint8Array(0)), sum: 0n }];
	for (let level = 1; level <= height; level++) {
		const below = pads[level - 1] as SumNode;
		pads.push(joinNodes(crypto, below, below) as SumNode);
	}
	return pads;
}

/** The height of a tree of so many leaves: the least that has a place for each. */
export function heightOf(leaves: number): number {
	let height = 0;
	while (2 ** height < leaves) height += 1;
	return height;
}

/**
 * All levels of a tree of these leaves in this order, from the bottom up, without their pads; the last is the root alone (a pad, where there
 * are no leaves). For vectors, tests and small markets. @throws RangeError when the sum of all is no amount.
 */
export function buildTree(crypto: Crypto, leaves: readonly SumNode[]): SumNode[][] {
	const height = heightOf(leaves.length);
	const pads = padsOf(crypto, height);
	const levels: SumNode[][] = [leaves.length === 0 ? pads.slice(0, 1) : [...leaves]];
	for (let level = 0; level < height; level++) {
		const below = levels[level] as SumNode[];
		const above: SumNode[] = [];
		for (let at = 0; at < below.length; at += 2) {
			const joined = joinNodes(crypto, below[at] as SumNode, below[at + 1] ?? (pads[level] as SumNode));
			if (!joined) throw new RangeError("the sum of a tree is no amount");
			above.push(joined);
		}
		levels.push(above);
	}
	return levels;
}

/** What stands beside the way of a place to the root. */
export function pathOf(crypto: Crypto, levels: readonly (readonly SumNode[])[], index: number): SumNode[] {
	const pads = padsOf(crypto, levels.length - 1);
	return pads.slice(0, -1).map((pad, level) => levels[level]?.[Math.floor(index / 2 ** level) ^ 1] ?? pad);
}

/** The root that a proof leads to; undefined when a sum on its way is none, or the tree has no such place. */
export function rootOf(crypto: Crypto, { leaf, index, path }: LeafProof): TreeRoot | undefined {
	const height = path.length;
	if (height > HEIGHT_MAX || !Number.isInteger(index) || index < 0 || index >= 2 ** height) return undefined;
	let node: SumNode | undefined = leafNode(crypto, leaf);
	for (const [level, beside] of path.entries()) {
		const isLeft = Math.floor(index / 2 ** level) % 2 === 0;
		node = isLeft ? joinNodes(crypto, node, beside) : joinNodes(crypto, beside, node);
		if (!node) return undefined;
	}
	return { ...node, height };
}

/** `kind u8 · id · salt 16 · nanos money · index u32 · height u8 · height x (hash 32 · sum money)`. */
export function writeLeafProof({ leaf, index, path }: LeafProof): Uint8Array {
	const writer = writeLeaf(leaf).u32(index).u8(path.length);
	for (const { hash, sum } of path) writer.put(hash, HASH_BYTES).u64(sum);
	return writer.finish();
}

/** Reads a proof; whether it leads to a root is {@link rootOf}'s. */
export function readLeafProof(bytes: Uint8Array): LeafProof | Problem {
	const reader = new Reader(bytes);
	const kind = KINDS[reader.u8()];
	if (!kind) return problem("malformed", "The proof is of no kind that is known.");
	const id = reader.take(idBytes(kind));
	const salt = reader.take(SALT_BYTES);
	const nanos = reader.u64();
	const index = reader.u32();
	const height = reader.u8();
	if (height > HEIGHT_MAX || index >= 2 ** height) return problem("malformed", "The proof's place is none.");
	const path: SumNode[] = [];
	for (let level = 0; level < height; level++) path.push({ hash: reader.take(HASH_BYTES), sum: reader.u64() });
	if (!reader.done) return problem("malformed", "The proof is not one.");
	if (!isAmount(nanos) || nanos === 0n || !path.every(({ sum }) => isAmount(sum)))
		return problem("malformed", "A sum of the proof is no amount.");
	return { leaf: { kind, id, salt, nanos }, index, path };
}
