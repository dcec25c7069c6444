/**
 * A regtest chain that is made up: real blocks with real Merkle roots and regtest's proof of work, and nobody else on it. A block is mined when
 * one is needed, never by the clock. Scripts are not run: whoever is on this chain is in this process.
 */

import { anyoneCanSpend, coinbase, count, type Output, readTransaction, sha256d, spend, u32 } from "./transaction.ts";

/** A block with what a monitor that missed it must be told. */
export type Block = {
	readonly height: number;
	readonly bytes: Uint8Array;
	readonly transactions: readonly Uint8Array[];
};

/** Where the chain is kept; what is put there is on the disk when the turn ends (`store.ts`). */
export type ChainStore = {
	/** from a height on, in order */
	blocks(fromHeight: number): Iterable<Block>;
	waiting(): readonly Uint8Array[];
	putBlock(block: Block): void;
	putWaiting(transaction: Uint8Array): void;
	/** what waited is in a block now */
	clearWaiting(): void;
};

/** The chain. */
export interface Chain {
	readonly height: number;
	/** the hash of the newest block */
	readonly tip: Uint8Array;
	/** the newest block's time in Unix seconds */
	readonly timeS: number;
	/** transactions that wait for a block */
	readonly waiting: number;
	/** Takes a transaction unless it spends what is spent. */
	broadcast(transaction: Uint8Array): void;
	/** A transaction that pays for these outputs with coins of this chain; not yet broadcast. */
	fund(outputs: readonly Output[]): Uint8Array;
	/** Mines a block of what waits. */
	mine(nowMs: number): Block;
	blocks(fromHeight: number): Iterable<Block>;
}

/** What the first transaction of each block makes. */
const COIN_SATS = 50_0000_0000n;
const FEE_SATS = 1_000n;
/** Of regtest: half of all hashes will do. */
const EASY_BITS = 0x207fffff;
const HASH_TOP_BYTE_MAX = 0x7f;
/** Coins that are remembered: channels are opened once, and each takes one. */
const COINS_MAX = 100;
/** The header of a block. */
export const HEADER_BYTES = 80;

function rootOf(ids: readonly Buffer[]): Buffer {
	let row = ids;
	while (row.length > 1) {
		const above: Buffer[] = [];
		for (let i = 0; i < row.length; i += 2)
			above.push(sha256d(Buffer.concat([row[i] as Buffer, row[i + 1] ?? (row[i] as Buffer)])));
		row = above;
	}
	return row[0] as Buffer;
}

/** Goes on with the chain of a store, which begins with regtest's own first block. */
export function openChain(genesis: Uint8Array, store: ChainStore): Chain {
	let [height, tip, timeS] = [0, genesis, 0];
	const spent = new Set<string>();
	let coins: Buffer[] = [];
	const waiting = new Map<string, Uint8Array>();

	function see(transaction: Uint8Array): Buffer {
		const { id, spends } = readTransaction(transaction);
		for (const output of spends) spent.add(output);
		return id;
	}
	function stand({ height: at, bytes, transactions }: Block): void {
		height = at;
		tip = sha256d(bytes.subarray(0, HEADER_BYTES));
		timeS = Buffer.from(bytes).readUInt32LE(68);
		const [first] = transactions.map(see);
		if (first && coins.length < COINS_MAX) coins.push(first);
		coins = coins.filter((id) => !spent.has(`${id.toString("hex")}:0`));
	}
	for (const block of store.blocks(1)) stand(block);
	for (const transaction of store.waiting()) waiting.set(see(transaction).toString("hex"), transaction);

	return {
		get height() {
			return height;
		},
		get tip() {
			return tip;
		},
		get timeS() {
			return timeS;
		},
		get waiting() {
			return waiting.size;
		},
		broadcast(transaction) {
			const { id, spends } = readTransaction(transaction);
			if (spends.some((output) => spent.has(output))) return;
			see(transaction);
			waiting.set(id.toString("hex"), transaction);
			store.putWaiting(transaction);
		},
		fund(outputs) {
			const coin = coins.shift();
			if (!coin) throw new Error("there is no coin: a block is to be mined first");
			const sats = outputs.reduce((sum, output) => sum + output.sats, 0n);
			return spend(coin, [...outputs, anyoneCanSpend(COIN_SATS - sats - FEE_SATS)]).bytes;
		},
		mine(nowMs) {
			const first = coinbase(height + 1, COIN_SATS);
			const transactions = [first.bytes, ...waiting.values()];
			const ids = transactions.map((transaction) => readTransaction(transaction).id);
			const seconds = Math.max(Math.floor(nowMs / 1000), timeS);
			const head = Buffer.concat([u32(0x20000000), tip, rootOf(ids), u32(seconds), u32(EASY_BITS)]);
			let header: Buffer;
			let nonce = 0;
			do header = Buffer.concat([head, u32(nonce++)]);
			while ((sha256d(header)[31] as number) > HASH_TOP_BYTE_MAX);
			const bytes = Buffer.concat([header, count(transactions.length), ...transactions]);
			const block = { height: height + 1, bytes, transactions };
			store.putBlock(block);
			store.clearWaiting();
			waiting.clear();
			stand(block);
			return block;
		},
		blocks: (fromHeight) => store.blocks(fromHeight),
	};
}
