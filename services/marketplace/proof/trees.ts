/**
 * The trees of a day as one file: for each kind the orders of its leaves, then its nodes level by level. A proof is a search in the orders and one read a level, so
 * that a million accounts take disk and no memory. The file is only ever a copy: whoever lacks it makes it anew from the ledger and the day's secret.
 */

import { type FileHandle, mkdir, open, readdir, rename, rm, stat } from "node:fs/promises";
import { join } from "node:path";
import type { Amount } from "#contracts/amount";
import { same, toHex } from "#contracts/bytes";
import type { Facts } from "#contracts/commitment";
import { type Crypto, HASH_BYTES } from "#contracts/identity";
import {
	heightOf,
	joinNodes,
	KINDS,
	type Kind,
	type LeafProof,
	padsOf,
	type SumNode,
	type TreeRoot,
} from "#contracts/sumtree";
import { PART } from "#host/replace";
import { NODE_BYTES, ORDER_BYTES, orderOf, SLICE, type Sorted, turn } from "./sorted.ts";

/** The hash of its commitment, and how many leaves each kind has. */
const HEAD_BYTES = HASH_BYTES + KINDS.length * 4;
/** Orders read at once when the search has come that near. */
const NEAR = 128;
const ENDING = ".trees";
/** Nobody takes a day to write trees. */
const LEFT_MS = 86_400_000;

/** A day's trees, made and not yet named by a commitment. */
export type Grown = {
	readonly roots: Facts["trees"];
	/** Puts them where they are found by their commitment, and forgets those of other days. */
	keep(hash: Uint8Array, nowMs: number): Promise<void>;
	/** Forgets them. */
	drop(): Promise<void>;
};

/** Where things are in a file, by kind: its orders, and each of its levels. */
function layout(counts: readonly number[]) {
	let at = HEAD_BYTES;
	const places = counts.map((leaves) => {
		const orders = at;
		at += leaves * ORDER_BYTES;
		const levels: number[] = [];
		const sizes: number[] = [];
		for (let level = 0; level <= heightOf(leaves); level++) {
			const size = Math.ceil(leaves / 2 ** level);
			levels.push(at);
			sizes.push(size);
			at += size * NODE_BYTES;
		}
		return { orders, levels, counts: sizes };
	});
	return { places, end: at };
}

function nodeAt(bytes: Uint8Array, at: number): SumNode {
	const view = new DataView(bytes.buffer, bytes.byteOffset + at);
	return { hash: bytes.subarray(at, at + HASH_BYTES), sum: view.getBigUint64(HASH_BYTES, true) };
}

/** Makes the trees over all balances and writes them beside where they will be. @throws RangeError when a tree's sum is no amount. */
export async function growTrees(crypto: Crypto, folder: string, sorted: Sorted, signal: AbortSignal): Promise<Grown> {
	await mkdir(folder, { recursive: true, mode: 0o700 });
	const counts = KINDS.map((kind) => sorted.leaves[kind].count);
	const part = join(folder, `${toHex(crypto.random(8))}${PART}`);
	const file = await open(part, "w", 0o600);
	const roots = {} as Record<Kind, TreeRoot>;
	try {
		for (const [n, place] of layout(counts).places.entries()) {
			const kind = KINDS[n] as Kind;
			const { orders, nodes } = await sorted.leaves[kind].sorted(signal);
			await file.write(orders, 0, orders.length, place.orders);
			roots[kind] = await growLevels(crypto, file, place.levels, nodes, signal);
		}
	} catch (error) {
		await file.close();
		await rm(part, { force: true });
		throw error;
	}
	return {
		roots,
		keep: async (hash, nowMs) => {
			const head = new Uint8Array(HEAD_BYTES);
			head.set(hash);
			for (const [n, count] of counts.entries()) new DataView(head.buffer).setUint32(HASH_BYTES + n * 4, count, true);
			await file.write(head, 0, head.length, 0);
			await file.close();
			const name = `${toHex(hash)}${ENDING}`;
			await rename(part, join(folder, name));
			for (const old of await readdir(folder)) if (old !== name) await forget(join(folder, old), nowMs);
		},
		drop: async () => {
			await file.close();
			await rm(part, { force: true });
		},
	};
}

/** Removes trees of another day, and what a crash left half written; not what another process on this folder is writing now. */
async function forget(path: string, nowMs: number): Promise<void> {
	const left = path.endsWith(PART) && (await stat(path).catch(() => undefined));
	if (left ? left.mtimeMs < nowMs - LEFT_MS : path.endsWith(ENDING)) await rm(path, { force: true });
}

/** Writes all levels above a tree's leaves, and the leaves; answers its root. */
async function growLevels(
	crypto: Crypto,
	file: FileHandle,
	places: number[],
	leaves: Uint8Array,
	signal: AbortSignal,
): Promise<TreeRoot> {
	const pads = padsOf(crypto, places.length);
	let nodes = leaves;
	for (const [level, place] of places.entries()) {
		await file.write(nodes, 0, nodes.length, place);
		if (level === places.length - 1) break;
		const count = nodes.length / NODE_BYTES;
		const above = new Uint8Array(Math.ceil(count / 2) * NODE_BYTES);
		for (let at = 0; at < count; at += 2) {
			const right = at + 1 < count ? nodeAt(nodes, (at + 1) * NODE_BYTES) : (pads[level] as SumNode);
			const joined = joinNodes(crypto, nodeAt(nodes, at * NODE_BYTES), right);
			if (!joined) throw new RangeError("what the market owes is no amount");
			const to = (at / 2) * NODE_BYTES;
			above.set(joined.hash, to);
			new DataView(above.buffer).setBigUint64(to + HASH_BYTES, joined.sum, true);
			if (at % (2 * SLICE) === 0) await turn(signal);
		}
		nodes = above;
	}
	const root = nodes.length === 0 ? (pads[0] as SumNode) : nodeAt(nodes, 0);
	return { hash: root.hash.slice(), sum: root.sum, height: places.length - 1 };
}

/** A day's trees, to look balances up in. */
export interface Trees {
	/** The proof of a balance; undefined where it is nothing. */
	proofOf(kind: Kind, id: Uint8Array): Promise<LeafProof | undefined>;
	/** Forgets the file: what was read from it is wrong. */
	drop(): Promise<void>;
	close(): Promise<void>;
}

/** Opens the trees of a commitment; undefined when they are not in this folder, or not whole. */
export async function openTrees(
	crypto: Crypto,
	folder: string,
	{ hash, secret }: { readonly hash: Uint8Array; readonly secret: Uint8Array },
): Promise<Trees | undefined> {
	const path = join(folder, `${toHex(hash)}${ENDING}`);
	let file: FileHandle;
	try {
		file = await open(path, "r");
	} catch (error) {
		if ((error as NodeJS.ErrnoException).code === "ENOENT") return undefined;
		throw error;
	}
	const read = async (at: number, length: number): Promise<Uint8Array> => {
		const { buffer, bytesRead } = await file.read(new Uint8Array(length), 0, length, at);
		if (bytesRead !== length) throw new Error(`${path} is cut short`);
		return buffer;
	};
	const { size } = await file.stat();
	const head = size < HEAD_BYTES ? new Uint8Array(HEAD_BYTES) : await read(0, HEAD_BYTES);
	const counts = KINDS.map((_, n) => new DataView(head.buffer).getUint32(HASH_BYTES + n * 4, true));
	const { places, end } = layout(counts);
	if (size !== end || !same(head.subarray(0, HASH_BYTES), hash)) {
		await file.close();
		return undefined;
	}
	const height = Math.max(...places.map(({ levels }) => levels.length));
	const pads = padsOf(crypto, height);
	return {
		proofOf: async (kind, id) => {
			const n = KINDS.indexOf(kind);
			const place = places[n] as (typeof places)[number];
			const [order, salt] = orderOf(crypto, secret, kind, id);
			const index = await find(order, place.orders, counts[n] as number);
			if (index === undefined) return undefined;
			const leaf = nodeAt(await read((place.levels[0] as number) + index * NODE_BYTES, NODE_BYTES), 0);
			const path = place.levels.slice(0, -1).map(async (from, level): Promise<SumNode> => {
				const beside = Math.floor(index / 2 ** level) ^ 1;
				if (beside >= (place.counts[level] as number)) return pads[level] as SumNode;
				return nodeAt(await read(from + beside * NODE_BYTES, NODE_BYTES), 0);
			});
			return { leaf: { kind, id, salt, nanos: leaf.sum as Amount }, index, path: await Promise.all(path) };
		},
		drop: async () => {
			await file.close();
			await rm(path, { force: true });
		},
		close: () => file.close(),
	};

	/** The place of an order among those that are sorted. */
	async function find(order: Uint8Array, from: number, count: number): Promise<number | undefined> {
		let low = 0;
		let high = count;
		while (high - low > NEAR) {
			const middle = Math.floor((low + high) / 2);
			const there = await read(from + middle * ORDER_BYTES, ORDER_BYTES);
			if (Buffer.compare(there, order) <= 0) low = middle;
			else high = middle;
		}
		const near = await read(from + low * ORDER_BYTES, (high - low) * ORDER_BYTES);
		for (let at = 0; at < near.length; at += ORDER_BYTES)
			if (same(near.subarray(at, at + ORDER_BYTES), order)) return low + at / ORDER_BYTES;
		return undefined;
	}
}
