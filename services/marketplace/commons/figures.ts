/** What the commons keep of their own days, as one record: what came in and went out, and the fee that follows from it. */

import { type Amount, amount, NOTHING } from "#contracts/amount";
import type { RecordRow, RowChange } from "#marketplace/ledger/book";

/** A day, UTC. `out` is what was reserved for people less what came back of it, and below nothing where more came back. */
export type Day = {
	/** days since 1970 */
	readonly day: number;
	/** by the solidarity fee */
	readonly fees: bigint;
	/** given by pools that ended */
	readonly given: bigint;
	readonly out: bigint;
	/** what was carried at the full price, as the fee tells it */
	readonly paid: bigint;
	/** what people had of their quota, in parts per million */
	readonly quotaPpm: number;
	/** the last transfer before it */
	readonly after: number;
};

/** What is kept. */
export type Kept = {
	readonly version: number;
	/** the fee in force, and one that comes into force later */
	readonly feePpm: number;
	readonly next?: { readonly feePpm: number; readonly fromMs: number } | undefined;
	/** the day that it was last decided on, what was free and what reserved as it began, and the last transfer before it */
	readonly day: number;
	readonly free: Amount;
	readonly reserved: Amount;
	readonly position: number;
	/** the newest first */
	readonly days: readonly Day[];
};

/** A month, and the days of a longer one. */
export const DAYS_KEPT = 31;
/** Days whose mean is taken for what a day is. */
const MEAN_DAYS = 7;
/** The record's key; it stands beside pools. */
const KEY = "commons";
/** It is nobody's. */
const NOBODY = "0".repeat(64);

const BIGINTS = new Set(["fees", "given", "out", "paid", "free", "reserved"]);

/** Of commons that have just begun. */
export function newKept(feePpm: number, day: number, free: bigint): Kept {
	return { version: 0, feePpm, day, free: amount(free), reserved: NOTHING, position: 0, days: [] };
}

/** What is kept, if anything is. */
export async function readKept(book: {
	record(table: "pools", key: string): Promise<RecordRow | undefined>;
}): Promise<Kept | undefined> {
	const row = await book.record("pools", KEY);
	if (!row) return undefined;
	const read = JSON.parse(row.value, (name, part) => (BIGINTS.has(name) ? BigInt(part) : part)) as Kept;
	return { ...read, version: row.version };
}

/** Writes it over the version that it was read at. */
export function writeKept({ version, ...kept }: Kept): RowChange {
	const value = JSON.stringify(kept, (_, part) => (typeof part === "bigint" ? part.toString() : part));
	return {
		table: "pools",
		expect: version,
		row: { key: KEY, account: NOBODY, state: "commons", dueMs: kept.day, value },
	};
}

/** The fee at a time. */
export function feeAt({ feePpm, next }: Pick<Kept, "feePpm" | "next">, nowMs: number): number {
	return next && nowMs >= next.fromMs ? next.feePpm : feePpm;
}

/** What a day is, by the mean of the last ones. */
export function meanOf(days: readonly Day[]): {
	readonly inADay: bigint;
	readonly outADay: bigint;
	readonly wantedADay: bigint;
	readonly paidADay: bigint;
} {
	const last = days.slice(0, MEAN_DAYS);
	const mean = (of: (day: Day) => bigint): bigint =>
		last.length === 0 ? 0n : last.reduce((sum, day) => sum + of(day), 0n) / BigInt(last.length);
	const least0 = (nanos: bigint): bigint => (nanos > 0n ? nanos : 0n);
	return {
		// what pools leave behind is no income that comes again
		inADay: mean(({ fees }) => fees),
		outADay: least0(mean(({ out }) => out)),
		// with their whole quota people would have had more
		wantedADay: least0(mean(({ out, quotaPpm }) => (quotaPpm > 0 ? (out * 1_000_000n) / BigInt(quotaPpm) : out))),
		paidADay: mean(({ paid }) => paid),
	};
}
