/** A pool as the market keeps it: a record of the book, read and written. Its money is on `pool:<pool>`, and what of it has not cleared on `pool:<pool>:fresh`. */

import { type Amount, NOTHING } from "#contracts/amount";
import type { RecordRow, RowChange } from "#marketplace/ledger/book";
import type { PoolRules } from "#marketplace/sponsor/rules";
import { RULE_BIGINTS } from "./rules.ts";

/** `ending`: its people have been told when; `ended`: nothing of it is left anywhere. */
export type PoolState = "open" | "paused" | "ending" | "ended";

/** What came to a pool and what left it other than for people, cumulative (contracts/report.ts says what each is). */
export type Flows = {
	readonly came: Amount;
	readonly railFee: Amount;
	readonly exchangeFee: Amount;
	readonly back: Amount;
	readonly on: Amount;
	readonly lost: Amount;
};

/** A pool. */
export type Pool = {
	/** its id, 32 hex digits */
	readonly pool: string;
	readonly version: number;
	/** whose it is, public key in hex; no name is kept */
	readonly sponsor: string;
	readonly state: PoolState;
	/** when it is looked at again */
	readonly dueMs: number;
	readonly rules: PoolRules;
	/** where what is unspent goes at the end: chosen at the start and not changed */
	readonly rest: "back" | "commons";
	readonly createdMs: number;
	readonly flows: Flows;
	/** what of cards' gifts counts already though it has not cleared: it can be spent on people, and not taken back by the sponsor */
	readonly early: Amount;
	/** up to which Monday its lines are summed up, up to which transfer of its account, and what stood there after that */
	readonly summedToMs: number;
	readonly summedTo: number;
	readonly summedLeft: Amount;
	/** what had left it for people, spent or reserved, when it was looked at on the last days: the newest first */
	readonly outs: readonly Out[];
};

/** What had left a pool for people at some time, in nano-dollars. */
export type Out = { readonly atMs: number; readonly out: bigint };

/** Of a pool to which nothing came. */
export const NO_FLOWS: Flows = {
	came: NOTHING,
	railFee: NOTHING,
	exchangeFee: NOTHING,
	back: NOTHING,
	on: NOTHING,
	lost: NOTHING,
};

const BIGINTS = new Set([...RULE_BIGINTS, ...Object.keys(NO_FLOWS), "early", "summedLeft", "out"]);

/** States of records of the same table that are no pools: what cards gave lately, weeks that are summed up, figures that everybody may see, what the commons keep of themselves. */
const BESIDE = ["card", "weeks", "shown", "commons"];

/** Whether a record is a pool. */
export function isPool({ state }: Pick<RecordRow, "state">): boolean {
	return !BESIDE.includes(state);
}

type Value = Omit<Pool, "pool" | "version" | "sponsor" | "state" | "dueMs">;

/** Reads a pool from its record. @throws for a record that no market wrote. */
export function readPool({ key, version, account, state, dueMs, value }: RecordRow): Pool {
	const read = JSON.parse(value, (name, part) => (BIGINTS.has(name) ? BigInt(part) : part)) as Value;
	if (!read.rules || !read.flows) throw new TypeError(`the record ${key} is no pool`);
	return { ...read, pool: key, version, sponsor: account, state: state as PoolState, dueMs };
}

/** Writes a pool over the version that it was read at (0: it is new). */
export function writePool({ pool, version, sponsor, state, dueMs, ...value }: Pool): RowChange {
	const text = JSON.stringify(value, (_, part) => (typeof part === "bigint" ? part.toString() : part));
	return { table: "pools", expect: version, row: { key: pool, account: sponsor, state, dueMs, value: text } };
}
