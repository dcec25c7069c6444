/** A deposit: somebody's payment into the market on a rail, from the wish to the money on their balance, as a record of the book. */

import { hash } from "node:crypto";
import { type Amount, amount } from "#contracts/amount";
import { toHex } from "#contracts/bytes";
import type { Crypto } from "#contracts/identity";
import type { Most, RecordRow, RowChange } from "#marketplace/ledger/book";
import type { Started } from "#marketplace/rail/rail";
import type { Rate } from "#marketplace/rate/rate";
import type { Quote } from "./quote.ts";

/**
 * Where a deposit stands.
 * - `starting`: it is written down; the rail may or may not have heard of it, and nobody was told how to pay
 * - `waiting`: it can be paid
 * - `expired`: it should not be paid any more; the rail is still asked, for what is on its way arrives late
 * - `credited`: money came and was credited
 * - `ended`: nothing came. Should something come after all, the rail's hint has it credited.
 * - `monthly`: it is paid every month, each month as a deposit of its own; then `expired` and `ended`, when no more will come
 */
export type DepositPhase = "starting" | "waiting" | "expired" | "credited" | "ended" | "monthly";

/** 128 bits: nobody guesses another's order at the rail. */
const ORDER_BYTES = 16;

/** A new name for a deposit with its rail. */
export function newOrder(crypto: Pick<Crypto, "random">): string {
	return toHex(crypto.random(ORDER_BYTES));
}

/** What is said of a deposit that comes every month. */
export type Monthly = {
	/** its owner wants it to end: the rail is told until it says that it has */
	readonly isStopped: boolean;
	/** the newest month could not be had yet; `url` is where its payer can mend that */
	readonly isFailing: boolean;
	readonly url?: string | undefined;
	/** months that came */
	readonly months: number;
	/** when no more could come, by the rail's own word */
	readonly overMs?: number | undefined;
};

/** What came in, all payments of the deposit together. */
export type Came = {
	/** in the rail's unit, before its fee */
	readonly units: bigint;
	readonly fee: bigint;
	readonly credited: Amount;
	readonly spread: Amount;
	readonly atMs: number;
	/** until when who paid can take it back */
	readonly backUntilMs: number | undefined;
	/** what of the credit is fresh still: it can be taken back, and has not been (fresh.ts) */
	readonly fresh: Amount;
	/** what was taken back, in the rail's unit */
	readonly back: bigint;
	/** what the provider charged the market for that, in the rail's unit */
	readonly penalty?: bigint;
	/** what its owner wanted back */
	readonly refund?: Refund;
	/** it went to the deposit's pool; so much of what has not cleared counts there already */
	readonly gift?: { readonly early: Amount } | undefined;
};

/** A payment on its way back to who paid it. `isFresh`: from which purse it was taken. */
export type Refund = {
	readonly id: string;
	readonly units: bigint;
	readonly nanos: Amount;
	readonly isFresh: boolean;
	readonly state: "sending" | "sent" | "failed";
};

/** A deposit. */
export type Deposit = {
	readonly key: string;
	readonly version: number;
	readonly account: string;
	readonly state: DepositPhase;
	/** when it is looked at again */
	readonly dueMs: number;
	/** its name with the rail: unguessable, so that nobody else can ask for it there */
	readonly order: string;
	readonly quote: Quote;
	readonly startedMs: number;
	/** until when it should be paid */
	readonly payUntilMs: number;
	/** the provider's name for it, once there is one */
	readonly reference: string | undefined;
	readonly pay: Started["pay"] | undefined;
	readonly came: Came | undefined;
	/** it comes every month */
	readonly monthly?: Monthly | undefined;
	/** the pool that it is for, 32 hex digits; otherwise it is for its owner's balance */
	readonly pool?: string | undefined;
	/** one month of that deposit, by its key */
	readonly of?: string | undefined;
	/** how often in a row the rail could not be asked */
	readonly fails: number;
	/** why it ended, for people */
	readonly says: string | undefined;
};

/** A deposit of which money came that can be taken back. */
export type Backed = Deposit & { readonly came: Came & { readonly backUntilMs: number } };

/** A deposit's key in the book: its owner's name for it, which another account's cannot be mistaken for. */
export function depositKey(account: string, id: string): string {
	return `${account}:${id}`;
}

/** The owner's name for a deposit. */
export function idOf({ key }: Pick<Deposit, "key">): string {
	return key.slice(key.indexOf(":") + 1);
}

/** The key under which a rail's reference leads to its deposit; a reference is of any length. */
export function referenceKey(rail: string, reference: string): string {
	return `${rail}:${hash("sha256", reference, "hex")}`;
}

type Json = Omit<Deposit, "key" | "version" | "account" | "state" | "dueMs">;

/** Fields that are bigint, by their names anywhere in a deposit. */
const BIGINTS = new Set([
	"asked",
	"units",
	"fee",
	"credited",
	"spread",
	"msatPerDollar",
	"fresh",
	"back",
	"nanos",
	"penalty",
	"early",
]);

/** Reads a deposit from its record. @throws for a record that no market wrote. */
export function readDeposit(row: RecordRow): Deposit {
	const value = JSON.parse(row.value, (name, part) => (BIGINTS.has(name) ? BigInt(part) : part)) as Partial<Json>;
	const { quote, came } = value;
	if (!quote || typeof value.order !== "string") throw new TypeError(`the record ${row.key} is no deposit`);
	amount(quote.asked);
	return {
		...(value as Json),
		quote: { ...quote, rate: quote.rate as Rate | undefined },
		reference: value.reference,
		pay: value.pay,
		came: came && { ...came, backUntilMs: came.backUntilMs },
		says: value.says,
		key: row.key,
		version: row.version,
		account: row.account,
		state: row.state as DepositPhase,
		dueMs: row.dueMs,
	};
}

/** Deposits of one account that may wait for their payment at once: an invoice costs whoever asks for it nothing. A few rails tried, on a few devices. */
export const WAITING_MAX = 8;

/** Of all accounts together, for an account costs nothing either: what the rails can be asked about within a minute. */
const WAITING_ALL_MAX = 4_000;

/** How many deposits may be on their way at once, the one counted that is begun. */
export const ROOM: Most = { states: ["starting", "waiting"], ofAccount: WAITING_MAX, ofAll: WAITING_ALL_MAX };

/** Writes a deposit over the version that it was read at (0: it is new). */
export function writeDeposit({ key, version, account, state, dueMs, ...rest }: Deposit): RowChange {
	const value = JSON.stringify(rest, (_, part) => (typeof part === "bigint" ? part.toString() : part));
	return { table: "deposits", expect: version, row: { key, account, state, dueMs, value } };
}

/** Writes down which deposit a reference is of. */
export function writeReference({ key, account, quote }: Deposit, reference: string): RowChange {
	const row = { key: referenceKey(quote.rail, reference), account, state: "of-deposit", dueMs: 0, value: key };
	return { table: "references", expect: 0, row };
}
