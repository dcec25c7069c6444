/** A day's balances on their way into trees: leaves in the order that only the market knows, and what is no account's summed up. */

import type { Amount } from "#contracts/amount";
import { fromHex, join } from "#contracts/bytes";
import { type Facts, OWN, WORLDS } from "#contracts/commitment";
import { type Crypto, HASH_BYTES, hashFor } from "#contracts/identity";
import { idBytes, KINDS, type Kind, leafNode, SALT_BYTES } from "#contracts/sumtree";
import type { Balance } from "#marketplace/ledger/book";
import { COMMONS, MARKET_FEES, MARKET_RATE, RISK, RISK_LENT } from "#marketplace/ledger/chart";

/** Bytes of a leaf's place in the order: two of four billion share theirs once in 10^19 days. */
export const ORDER_BYTES = 16;
/** A node in memory and in a tree's file: its hash, then its sum as the contracts hash it. */
export const NODE_BYTES = HASH_BYTES + 8;
/** Bytes of a leaf before its tree is made: its order, then its node. */
const ENTRY_BYTES = ORDER_BYTES + NODE_BYTES;
/** Leaves whose memory is asked for at once, so that growing never copies what is there. */
const CHUNK = 16_384;
/** Leaves are dealt into buckets by the first bits of their order, and each is sorted by itself: none takes a turn's time. */
const BUCKET_BITS = 12;
/** Hashes between which others get a turn: about a millisecond. */
export const SLICE = 250;

const OWN_NAMES: Readonly<Record<string, (typeof OWN)[number]>> = {
	[COMMONS]: "commons",
	[RISK]: "risk",
	[RISK_LENT]: "lent",
	[MARKET_FEES]: "fees",
	[MARKET_RATE]: "rate",
};

/** What an account of the ledger is to a commitment: a leaf of some kind, or what is summed up without one. */
export type Place =
	| { readonly kind: Kind; readonly id: Uint8Array }
	| { readonly own: (typeof OWN)[number] }
	| { readonly world: (typeof WORLDS)[number] }
	/** what is owed to the market: by accounts, by its owner */
	| "owed"
	| "overrun";

/** The place of an account of the chart. @throws for one that commitments do not know: what is owed there would be left out. */
export function placeOf(account: string): Place {
	const own = OWN_NAMES[account];
	if (own) return { own };
	const [first, second = "", third] = account.split(":");
	if (first === "world") {
		const world = WORLDS.find((known) => known === second);
		if (world) return { world };
		if (second === "owed" || second === "overrun") return second;
	}
	const word = wordOf(first ?? "", third);
	const kind = KINDS.find((known) => known === word);
	const id = kind && fromHex(second, idBytes(kind));
	if (!kind || !id) throw new Error(`commitments know no account like ${account}`);
	return { kind, id };
}

/** What stands under another name in the chart: a card's gift to a pool; and a gift that waits, which is held for somebody as a tab's money is. */
function wordOf(first: string, third: string | undefined): string {
	if (first === "pool" && third) return "gift";
	if (first === "gift") return "hold";
	return first === "operator" || first === "payer" ? (third ?? first) : first;
}

/** The order and the salt of a balance on one day: whoever lacks the day's secret can neither find a neighbour nor try names on a hash. */
export function orderOf(crypto: Crypto, secret: Uint8Array, kind: Kind, id: Uint8Array): [Uint8Array, Uint8Array] {
	const both = hashFor(crypto, "proof-order", join(Uint8Array.of(KINDS.indexOf(kind)), id), secret);
	return [both.subarray(0, ORDER_BYTES), both.subarray(ORDER_BYTES, ORDER_BYTES + SALT_BYTES)];
}

/** Lets others have their turn. @throws the signal's reason once nobody waits for the outcome any more. */
export async function turn(signal: AbortSignal): Promise<void> {
	await new Promise(setImmediate);
	signal.throwIfAborted();
}

/** Leaves of one kind, kept side by side in as few objects as possible: a million of them are 56 MB and nothing for the collector. */
class Leaves {
	readonly #chunks: Uint8Array[] = [];
	count = 0;

	add(order: Uint8Array, hash: Uint8Array, sum: bigint): void {
		if (this.count % CHUNK === 0) this.#chunks.push(new Uint8Array(CHUNK * ENTRY_BYTES));
		const entry = this.at(this.count++);
		entry.set(order);
		entry.set(hash, ORDER_BYTES);
		new DataView(entry.buffer, entry.byteOffset).setBigUint64(ORDER_BYTES + HASH_BYTES, sum, true);
	}

	at(index: number): Uint8Array {
		const from = (index % CHUNK) * ENTRY_BYTES;
		return (this.#chunks[Math.floor(index / CHUNK)] as Uint8Array).subarray(from, from + ENTRY_BYTES);
	}

	/** The leaves by their order: all orders, and all nodes. */
	async sorted(signal: AbortSignal): Promise<{ readonly orders: Uint8Array; readonly nodes: Uint8Array }> {
		const buckets: number[][] = Array.from({ length: 2 ** BUCKET_BITS }, () => []);
		// as many bits as a number holds exactly
		const firsts = new Float64Array(this.count);
		for (let index = 0; index < this.count; index++) {
			const entry = this.at(index);
			const first = Buffer.from(entry.buffer, entry.byteOffset, ENTRY_BYTES).readUIntBE(0, 6);
			firsts[index] = first;
			buckets[Math.floor(first / 2 ** (48 - BUCKET_BITS))]?.push(index);
			if (index % (4 * SLICE) === 0) await turn(signal);
		}
		const byOrder = (a: number, b: number): number =>
			(firsts[a] as number) - (firsts[b] as number) ||
			Buffer.compare(this.at(a).subarray(0, ORDER_BYTES), this.at(b).subarray(0, ORDER_BYTES));
		const orders = new Uint8Array(this.count * ORDER_BYTES);
		const nodes = new Uint8Array(this.count * NODE_BYTES);
		let to = 0;
		let sinceTurn = 0;
		for (const bucket of buckets) {
			bucket.sort(byOrder);
			for (const index of bucket) {
				const entry = this.at(index);
				orders.set(entry.subarray(0, ORDER_BYTES), to * ORDER_BYTES);
				nodes.set(entry.subarray(ORDER_BYTES), to * NODE_BYTES);
				to += 1;
			}
			sinceTurn += bucket.length;
			if (sinceTurn < SLICE) continue;
			sinceTurn = 0;
			await turn(signal);
		}
		return { orders, nodes };
	}
}

/** All balances of one moment, sorted into what a commitment says of them. */
export class Sorted {
	readonly #crypto: Crypto;
	readonly #secret: Uint8Array;
	readonly #signal: AbortSignal;
	readonly leaves = Object.fromEntries(KINDS.map((kind) => [kind, new Leaves()])) as Record<Kind, Leaves>;
	readonly #own = Object.fromEntries(OWN.map((name) => [name, 0n])) as Record<(typeof OWN)[number], Amount>;
	readonly #worlds = Object.fromEntries(WORLDS.map((world) => [world, 0n])) as Record<(typeof WORLDS)[number], bigint>;
	readonly #owing = { owed: 0n, overrun: 0n };

	constructor(crypto: Crypto, secret: Uint8Array, signal: AbortSignal) {
		this.#crypto = crypto;
		this.#secret = secret;
		this.#signal = signal;
	}

	/** Takes a page of balances. What is no amount where one must be is found when the commitment is signed: it cannot be written. */
	async take(page: readonly Balance[]): Promise<void> {
		for (const [n, { account, balance }] of page.entries()) {
			if (n % SLICE === SLICE - 1) await turn(this.#signal);
			const place = placeOf(account);
			if (typeof place === "string") this.#owing[place] -= balance;
			else if ("own" in place) this.#own[place.own] = balance as Amount;
			else if ("world" in place) this.#worlds[place.world] = -balance;
			else if (balance !== 0n) this.#leaf(place.kind, place.id, balance);
		}
	}

	#leaf(kind: Kind, id: Uint8Array, balance: bigint): void {
		const [order, salt] = orderOf(this.#crypto, this.#secret, kind, id);
		const { hash, sum } = leafNode(this.#crypto, { kind, id, salt, nanos: balance as Amount });
		this.leaves[kind].add(order, hash, sum);
	}

	/** What is no tree. */
	facts(): Pick<Facts, "own" | "worlds" | "owed" | "overrun"> {
		const { owed, overrun } = this.#owing;
		return { own: this.#own, worlds: this.#worlds, owed: owed as Amount, overrun: overrun as Amount };
	}
}
