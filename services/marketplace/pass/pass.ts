/** A pass as the book keeps it: one for an account and a pool at most, whatever it came from, with what was used of it. */

import { monthEndMs, monthOf } from "#contracts/quota";
import type { Book, RecordRow, RowChange } from "#marketplace/ledger/book";

/** What a pass came from. */
export type PassOrigin = "code" | "enroller" | "token" | "gift" | "app";

/** What was used of a pass, in bytes of quota. A month or day that is over counts as nothing. */
export type PassUse = {
	readonly month: number;
	readonly usedMonth: bigint;
	/** days since 1970 */
	readonly day: number;
	readonly usedDay: bigint;
};

/**
 * - `held`: it counts until its time is over, unless its code is taken back
 * - `moved`: the same person took it to another account
 */
export type PassState = "held" | "moved";

/** An account's right to be paid for from a pool. */
export type Pass = {
	readonly account: string;
	/** id in hex */
	readonly pool: string;
	readonly version: number;
	readonly state: PassState;
	readonly validUntilMs: number;
	readonly from: PassOrigin;
	/** public key in hex */
	readonly enroller: string | undefined;
	/** hash of the code that it was had by, in hex; whoever gave that takes the pass back by it */
	readonly code: string | undefined;
	/** the person's tag in this pool, in hex, where an enroller checked that they are one */
	readonly tag: string | undefined;
	/** quota of a month, without what tokens brought */
	readonly monthBytes: bigint;
	/** what tokens brought in a month */
	readonly tokens: { readonly month: number; readonly bytes: bigint } | undefined;
	readonly use: PassUse;
};

/** Passes that an account may hold at once: a few pools; each is looked at when a tab is opened. */
export const PASSES_MAX = 16;

const DAY_MS = 86_400_000;

/** A pass that nothing was used of. */
export const UNUSED: PassUse = { month: 0, usedMonth: 0n, day: 0, usedDay: 0n };

/** The key of a pass. */
function keyOf(account: string, pool: string): string {
	return `${account}:${pool}`;
}

/** An account's pass of a pool, whatever became of it. */
export async function passOf(
	{ book }: { readonly book: Pick<Book, "record"> },
	account: string,
	pool: string,
): Promise<Pass | undefined> {
	const row = await book.record("passes", keyOf(account, pool));
	return row && readPassRow(row);
}

/** What a pass would be that nobody has yet. */
export function newPass(account: string, pool: string, from: PassOrigin): Pass {
	return {
		account,
		pool,
		version: 0,
		state: "held",
		validUntilMs: 0,
		from,
		enroller: undefined,
		code: undefined,
		tag: undefined,
		monthBytes: 0n,
		tokens: undefined,
		use: UNUSED,
	};
}

const BIGINTS = new Set(["monthBytes", "bytes", "usedMonth", "usedDay"]);

/** Reads a pass. */
export function readPassRow({ key, version, account, state, dueMs, value }: RecordRow): Pass {
	const read = JSON.parse(value, (name, part) => (BIGINTS.has(name) ? BigInt(part) : part)) as Omit<Pass, "pool">;
	return {
		from: read.from,
		enroller: read.enroller,
		code: read.code,
		tag: read.tag,
		monthBytes: read.monthBytes,
		tokens: read.tokens,
		use: read.use,
		account,
		pool: key.slice(account.length + 1),
		version,
		state: state as PassState,
		validUntilMs: dueMs,
	};
}

/** Writes a pass over the version that it was read at. */
export function writePassRow({ account, pool, version, state, validUntilMs, ...rest }: Pass): RowChange {
	const value = JSON.stringify(rest, (_, part) => (typeof part === "bigint" ? part.toString() : part));
	return {
		table: "passes",
		expect: version,
		row: { key: keyOf(account, pool), account, state, dueMs: validUntilMs, value },
	};
}

/** Quota of the month that it is. */
export function quotaOf({ monthBytes, tokens }: Pass, nowMs: number): bigint {
	return monthBytes + (tokens?.month === monthOf(nowMs) ? tokens.bytes : 0n);
}

/** What was used of a pass in the month and on the day that it is. */
export function usedOf({ use }: Pass, nowMs: number): { readonly usedMonth: bigint; readonly usedDay: bigint } {
	return {
		usedMonth: use.month === monthOf(nowMs) ? use.usedMonth : 0n,
		usedDay: use.day === Math.floor(nowMs / DAY_MS) ? use.usedDay : 0n,
	};
}

/** The pass with so much more used of it; less than nothing gives back what was not used after all, of this month and day. */
export function withUse(pass: Pass, bytes: bigint, nowMs: number): Pass {
	const { usedMonth, usedDay } = usedOf(pass, nowMs);
	const atLeast = (sum: bigint): bigint => (sum > 0n ? sum : 0n);
	const use = {
		month: monthOf(nowMs),
		usedMonth: atLeast(usedMonth + bytes),
		day: Math.floor(nowMs / DAY_MS),
		usedDay: atLeast(usedDay + bytes),
	};
	return { ...pass, use };
}

/** When a month's quota is there anew. */
export function refillsAtMs(nowMs: number): number {
	return monthEndMs(monthOf(nowMs));
}
