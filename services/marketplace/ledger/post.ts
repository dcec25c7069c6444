/**
 * The ways money moves, as transfers: straight, or in two phases: first reserved on a hold, then posted from it (all or part) to whom it is due,
 * and what is left given back. Nothing here touches a book; a {@link Transfer} is applied with what it changes beside it.
 */

import type { Amount } from "#contracts/amount";
import type { Entry, Transfer } from "./transfer.ts";

/** An amount on one account. Parts of nothing are left out of the transfer, parts of one account are added up. */
export type Part = { readonly account: string; readonly nanos: Amount };

/** What every transfer says about itself ({@link Transfer}). */
export type Label = { readonly id: string; readonly cause: string; readonly atMs: number };

/** Moves money from some accounts to others; undefined when nothing moves. Uneven sides are refused by the book as unbalanced. */
export function move(label: Label, from: readonly Part[], to: readonly Part[]): Transfer | undefined {
	const nanosOf = new Map<string, bigint>();
	for (const { account, nanos } of from) nanosOf.set(account, (nanosOf.get(account) ?? 0n) - nanos);
	for (const { account, nanos } of to) nanosOf.set(account, (nanosOf.get(account) ?? 0n) + nanos);
	const entries: Entry[] = [];
	for (const [account, nanos] of nanosOf) if (nanos !== 0n) entries.push({ account, nanos });
	if (entries.length === 0) return undefined;
	return { id: label.id, cause: label.cause, atMs: label.atMs, entries };
}

/** First phase: takes money from who pays and puts it on a hold, where nothing else can spend it. */
export function reserve(label: Label, from: readonly Part[], hold: string): Transfer | undefined {
	return move(label, from, [{ account: hold, nanos: sumOf(from) }]);
}

/** Second phase: pays what is due from a hold. The book refuses more than is on it. */
export function post(label: Label, hold: string, to: readonly Part[]): Transfer | undefined {
	return move(label, [{ account: hold, nanos: sumOf(to) }], to);
}

/** The other end of the second phase: gives what is left on a hold back to whom it came from. */
export function giveBack(label: Label, hold: string, to: readonly Part[]): Transfer | undefined {
	return post(label, hold, to);
}

function sumOf(parts: readonly Part[]): Amount {
	// not `add`: a sum past the largest amount is for the book to refuse, as it is where it came from
	return parts.reduce((sum, part) => sum + part.nanos, 0n) as Amount;
}
