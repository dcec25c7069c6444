/** A pass as the book keeps it: one for an account and a pool at most, whatever it came from. */

import { monthEndMs, monthOf } from "#contracts/quota";
import type { Book, RecordRow, RowChange } from "#marketplace/ledger/book";
import { Burns, counterOf, dayOf, monthOf as monthName } from "#marketplace/sponsor/burn";

/** What a pass came from. */
export type PassOrigin = "code" | "enroller" | "token" | "gift" | "app";

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
};

/** Passes that an account may hold at once: a few pools; each is looked at when a tab is opened. */
export const PASSES_MAX = 16;

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
	};
}

const BIGINTS = new Set(["monthBytes", "bytes"]);

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

/** What tabs used of a pass and what was drawn of it, in the month and on the day that it is: counted by account and pool, as tabs are opened. */
export async function usedOf(
	{ book }: { readonly book: Pick<Book, "record"> },
	{ account, pool }: Pick<Pass, "account" | "pool">,
	nowMs: number,
): Promise<{ readonly usedMonth: bigint; readonly usedDay: bigint }> {
	const key = counterOf.pass(pool, monthName(nowMs), account);
	const burns = await Burns.read(book, [key]);
	return { usedMonth: burns.of(key, "bytes"), usedDay: burns.of(key, "bytes", dayOf(nowMs)) };
}

/** When a month's quota is there anew. */
export function refillsAtMs(nowMs: number): number {
	return monthEndMs(monthOf(nowMs));
}
