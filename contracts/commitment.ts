/**
 * A market's commitment: once a day, signed, all that it owes by kind, what came in from the outside world against it, and what its rails say
 * that they hold. Each names the hash of the one before, so that whoever kept any of them sees a chain that was rewritten or forked
 * (PROTOCOL.md, "Commitments").
 */

import { type Amount, isAmount } from "./amount.ts";
import { Reader, same, Writer } from "./bytes.ts";
import {
	type Crypto,
	HASH_BYTES,
	hashFor,
	KEY_BYTES,
	KEY_ID_BYTES,
	type KeyPair,
	keyId,
	SIGNATURE_BYTES,
	signFor,
	verifyFor,
} from "./identity.ts";
import { type MarketKey, marketKeyOf } from "./market.ts";
import { type Problem, problem } from "./problem.ts";
import { HEIGHT_MAX, KINDS, type Kind, type TreeRoot } from "./sumtree.ts";

/** Balances that are one account each, in their order: the shared fund, the market's reserve and what of it is lent, its fees, its gain by rates. */
export const OWN = ["commons", "risk", "lent", "fees", "rate"] as const;
/** Where money comes from and goes to, in the order of their codes. */
export const WORLDS = ["play", "lightning", "card"] as const;
/** What rails count in, in the order of their codes. */
export const RAIL_UNITS = ["msat", "cent", "nano"] as const;
/** Whether a rail said what it holds: asked without an answer, answered, or it cannot be asked. */
export const RAIL_STATES = ["silent", "says", "unasked"] as const;

/** What a rail said of itself when the commitment was made, in its own unit; zeros where it said nothing. */
export type RailSays = {
	readonly name: string;
	readonly world: (typeof WORLDS)[number];
	readonly unit: (typeof RAIL_UNITS)[number];
	readonly state: (typeof RAIL_STATES)[number];
	readonly spendable: bigint;
	readonly pending: bigint;
};

/** What a commitment says, before it is signed. */
export type Facts = {
	/** the hash of the one before; zeros in the first */
	readonly previous: Uint8Array;
	/** when, Unix milliseconds; its UTC day is the commitment's */
	readonly takenMs: number;
	/** the ledger's last transfer that is counted */
	readonly position: number;
	readonly trees: Readonly<Record<Kind, TreeRoot>>;
	readonly own: Readonly<Record<(typeof OWN)[number], Amount>>;
	/** what came in and did not go out again; below nothing where more went out */
	readonly worlds: Readonly<Record<(typeof WORLDS)[number], bigint>>;
	/** what accounts owe after payments that were taken back */
	readonly owed: Amount;
	/** what the market's owner owes: rails took it beyond a payout's ceiling */
	readonly overrun: Amount;
	/** millisatoshi in a dollar; 0 when it was not known */
	readonly msatPerDollar: bigint;
	/** by name */
	readonly rails: readonly RailSays[];
};

/** A commitment whose signature was checked. */
export type Commitment = Facts & {
	readonly market: Uint8Array;
	/** of the online key that signed */
	readonly keyId: Uint8Array;
	/** UTC days since 1970-01-01 */
	readonly day: number;
	readonly bytes: Uint8Array;
	/** what the next one names */
	readonly hash: Uint8Array;
};

const VERSION = 1;
const DAY_MS = 86_400_000;
/** As many as a market's description may name. */
const RAILS_MAX = 16;
/** The last moment that has a date. */
const LAST_MS = 8_640_000_000_000_000;
/** In front of the first. */
export const NO_PREVIOUS = new Uint8Array(HASH_BYTES);

/** The UTC day of a time. */
export function dayOf(ms: number): number {
	return Math.floor(ms / DAY_MS);
}

function i64(value: bigint): bigint {
	if (BigInt.asIntN(64, value) !== value) throw new RangeError("not an i64");
	return BigInt.asUintN(64, value);
}

/** Signs a commitment. @throws RangeError for facts that do not balance or fit: the maker's bug, and nothing that may be signed. */
export function signCommitment(crypto: Crypto, market: Uint8Array, facts: Facts, online: KeyPair): Commitment {
	const writer = new Writer(1_024)
		.u8(VERSION)
		.put(market, KEY_BYTES)
		.put(keyId(crypto, online.publicKey))
		.u32(dayOf(facts.takenMs))
		.u64(facts.takenMs)
		.put(facts.previous, HASH_BYTES)
		.u64(facts.position);
	for (const kind of KINDS) {
		const { hash, sum, height } = facts.trees[kind];
		writer.u8(height).put(hash, HASH_BYTES).u64(sum);
	}
	for (const name of OWN) writer.u64(facts.own[name]);
	for (const world of WORLDS) writer.u64(i64(facts.worlds[world]));
	writer.u64(facts.owed).u64(facts.overrun).u64(facts.msatPerDollar).u8(facts.rails.length);
	for (const { name, world, unit, state, spendable, pending } of facts.rails) {
		const text = new TextEncoder().encode(name);
		writer.u8(text.length).put(text).u8(WORLDS.indexOf(world)).u8(RAIL_UNITS.indexOf(unit));
		writer.u8(RAIL_STATES.indexOf(state)).u64(i64(spendable)).u64(i64(pending));
	}
	const body = writer.finish();
	const bytes = writer.put(signFor(crypto, "commitment", body, online.secretKey)).finish();
	const read = decode(crypto, bytes);
	if ("problem" in read) throw new RangeError(read.detail);
	return read;
}

/** Reads a commitment, checks that it balances, and that the key of this certificate signed it in its life. */
export function readCommitment(crypto: Crypto, bytes: Uint8Array, key: MarketKey): Commitment | Problem {
	const read = decode(crypto, bytes);
	if ("problem" in read) return read;
	if (!same(read.market, key.market))
		return problem("grant-unknown-market", "The commitment is of another market than its key.");
	const signer = marketKeyOf(crypto, [key], read.keyId, read.takenMs);
	const body = bytes.slice(0, -SIGNATURE_BYTES);
	if (!signer || !verifyFor(crypto, "commitment", body, bytes.slice(-SIGNATURE_BYTES), signer.key))
		return problem("signature-bad", "The market's online key did not sign this commitment in its life.");
	return read;
}

function decode(crypto: Crypto, bytes: Uint8Array): Commitment | Problem {
	const reader = new Reader(bytes);
	if (reader.u8() !== VERSION) return problem("version-unknown", "The commitment is of a version that is not known.");
	const market = reader.take(KEY_BYTES);
	const id = reader.take(KEY_ID_BYTES);
	const day = reader.u32();
	const takenMs = reader.count();
	const previous = reader.take(HASH_BYTES);
	const position = reader.count();
	const trees = {} as Record<Kind, TreeRoot>;
	for (const kind of KINDS) {
		const height = reader.u8();
		trees[kind] = { height, hash: reader.take(HASH_BYTES), sum: reader.u64() };
	}
	const own = {} as Record<(typeof OWN)[number], Amount>;
	for (const name of OWN) own[name] = reader.u64() as Amount;
	const worlds = {} as Record<(typeof WORLDS)[number], bigint>;
	for (const world of WORLDS) worlds[world] = BigInt.asIntN(64, reader.u64());
	const owed = reader.u64() as Amount;
	const overrun = reader.u64() as Amount;
	const msatPerDollar = reader.u64();
	const rails: RailSays[] = [];
	const count = reader.u8();
	for (let i = 0; i < Math.min(count, RAILS_MAX); i++) rails.push(readRail(reader));
	reader.take(SIGNATURE_BYTES);
	const facts = { previous, takenMs, position, trees, own, worlds, owed, overrun, msatPerDollar, rails };
	const sound = reader.done && count <= RAILS_MAX && takenMs <= LAST_MS && day === dayOf(takenMs);
	if (!sound || !areRails(rails)) return problem("malformed", "The bytes are no commitment.");
	const fault = faultOf(facts);
	if (fault) return problem("malformed", fault);
	const hash = hashFor(crypto, "commitment-hash", bytes.slice(0, -SIGNATURE_BYTES));
	return { ...facts, market, keyId: id, day, bytes: bytes.slice(), hash };
}

function readRail(reader: Reader): RailSays {
	const name = String.fromCharCode(...reader.take(reader.u8()));
	const world = WORLDS[reader.u8()] as RailSays["world"];
	const unit = RAIL_UNITS[reader.u8()] as RailSays["unit"];
	const state = RAIL_STATES[reader.u8()] as RailSays["state"];
	const spendable = BigInt.asIntN(64, reader.u64());
	return { name, world, unit, state, spendable, pending: BigInt.asIntN(64, reader.u64()) };
}

/** Whether rails are written in their one form: known words, each name once and in order, nothing said by one that says nothing. */
function areRails(rails: readonly RailSays[]): boolean {
	return rails.every(({ name, world, unit, state, spendable, pending }, at) => {
		const before = rails[at - 1];
		if (!/^[a-z0-9-]{1,32}$/.test(name) || (before && before.name >= name)) return false;
		if (world === undefined || unit === undefined || state === undefined) return false;
		return state === "says" || (spendable === 0n && pending === 0n);
	});
}

/** What is wrong with a commitment's sums: below nothing, too large, or what is owed is not what came in. */
function faultOf({ trees, own, worlds, owed, overrun }: Facts): string | undefined {
	const sums = [...KINDS.map((kind) => trees[kind].sum), ...OWN.map((name) => own[name]), owed, overrun];
	if (!sums.every(isAmount)) return "A sum of the commitment is no amount: below nothing, or too large.";
	if (KINDS.some((kind) => trees[kind].height > HEIGHT_MAX)) return "A tree of the commitment is too high.";
	const came = owed + overrun + WORLDS.reduce((sum, world) => sum + worlds[world], 0n);
	const owes = owedBy({ trees, own });
	return came === owes ? undefined : `The commitment owes ${owes} nano-dollars, and ${came} came in against it.`;
}

/** All that a commitment owes, the market's own purses included, nano-dollars. */
export function owedBy({ trees, own }: Pick<Facts, "trees" | "own">): bigint {
	const held = KINDS.reduce((sum, kind) => sum + trees[kind].sum, 0n);
	return OWN.reduce((sum, name) => sum + own[name], held);
}

/** Why a commitment does not follow another; undefined when it does: it names the other's hash, and is of a later day. */
export function faultOfLink(before: Commitment, next: Commitment): Problem | undefined {
	const days = `day ${before.day} and day ${next.day}`;
	if (!same(before.market, next.market)) return problem("grant-unknown-market", "The chain is of several markets.");
	if (!same(next.previous, before.hash))
		return problem("conflict", `The chain is broken between ${days}: the later one names another one before it.`);
	if (next.day <= before.day || next.position < before.position)
		return problem("conflict", `The chain runs backwards between ${days}.`);
	return undefined;
}
