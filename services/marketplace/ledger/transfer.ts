/**
 * A transfer: money moving between accounts, once, under an id that its caller chose (money.md, "Ledger"). The id comes from what
 * caused it, so doing it again is a success without effect, and doing it differently under the same id is refused.
 */

import { hash } from "node:crypto";
import { AMOUNT_MAX } from "#contracts/amount";
import { isAccountName } from "./chart.ts";

/** One side of a transfer: signed nano-dollars, positive into the account, negative out of it, never zero. */
export type Entry = { readonly account: string; readonly nanos: bigint };

/** What is to move. Its entries sum to zero and name each account once. */
export type Transfer = {
	/** chosen by the caller from what caused it, e.g. "redeem:<tab>:<total>"; printable ASCII */
	readonly id: string;
	/** why, for statements; part of what must be the same when the same id comes again */
	readonly cause: string;
	readonly entries: readonly Entry[];
	/** when, for statements; a retry may carry another time */
	readonly atMs: number;
};

/** A transfer as the book keeps it: `position` rises with every transfer and is the cursor of statements. */
export type KeptTransfer = Transfer & { readonly position: number; readonly digest: string };

/** Room for a provider's event id or two keys in hex and their labels. */
export const ID_CHARS_MAX = 200;
/** One line of a statement. */
export const CAUSE_CHARS_MAX = 300;
/** Far more than a redemption needs (two funders, operator, two fees); a bound on what one change can cost. */
export const ENTRIES_MAX = 32;

/** What is wrong with a transfer before any balance is looked at; undefined when nothing is (threat 18). */
export function faultOf(transfer: Transfer): { refused: "malformed" | "unbalanced"; detail: string } | undefined {
	const { id, cause, entries, atMs } = transfer;
	if (id.length > ID_CHARS_MAX || !/^[!-~]+$/.test(id)) return malformed("its id is empty, too long or odd");
	if (cause.length > CAUSE_CHARS_MAX || !/^[^\p{Cc}\p{Cs}]+$/u.test(cause)) {
		return malformed("its cause is empty, too long or odd");
	}
	if (!Number.isSafeInteger(atMs) || atMs < 0) return malformed("its time is none");
	if (entries.length < 2 || entries.length > ENTRIES_MAX) return malformed("it has too few or too many entries");
	let sum = 0n;
	const seen = new Set<string>();
	for (const { account, nanos } of entries) {
		if (!isAccountName(account)) return malformed(`there is no account "${account.slice(0, 100)}"`);
		if (seen.has(account)) return malformed(`it names ${account} twice`);
		seen.add(account);
		if (typeof nanos !== "bigint" || nanos === 0n || nanos > AMOUNT_MAX || nanos < -AMOUNT_MAX) {
			return malformed(`an entry of ${account} is no amount`);
		}
		sum += nanos;
	}
	return sum === 0n ? undefined : { refused: "unbalanced", detail: `its entries sum to ${sum}, not to zero` };
}

function malformed(why: string): { refused: "malformed"; detail: string } {
	return { refused: "malformed", detail: `The transfer is not one: ${why}.` };
}

/**
 * The fingerprint of what a transfer does: SHA-256 in hex over its id, cause and entries sorted by account. The same id with
 * another digest is a conflict; kept with the transfer, it lets an audit find entries that were altered by hand.
 */
export function digestOf(transfer: Pick<Transfer, "id" | "cause" | "entries">): string {
	const sorted = transfer.entries.toSorted((a, b) => (a.account < b.account ? -1 : 1));
	// one line each: neither ids, account names nor amounts can hold a line end, so no two transfers read the same
	let text = `farelay/transfer/v1\n${transfer.id}\n${transfer.cause}`;
	for (const { account, nanos } of sorted) text += `\n${account} ${nanos}`;
	return hash("sha256", text, "hex");
}
