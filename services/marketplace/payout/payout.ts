/** A payout as the market keeps it, and the changes that its course makes: its record and its money in one. */

import { hash } from "node:crypto";
import { type Amount, amount, formatAmount, parseAmount } from "#contracts/amount";
import { problem } from "#contracts/problem";
import { BookFailure, type Change, type RecordRow, type RowChange } from "#marketplace/ledger/book";
import { earnedAccount, leavingAccount, MARKET_RATE, OVERRUN } from "#marketplace/ledger/chart";
import { move } from "#marketplace/ledger/post";
import type { Transfer } from "#marketplace/ledger/transfer";
import type { PayOrder, RailWorld } from "#marketplace/rail/rail";
import type { Rate } from "#marketplace/rate/rate";
import { type Course, type CourseState, type Event, follow, lookAgainMs, QUEUED, type Step } from "./course.ts";
import type { Target } from "./destination.ts";
import { type Bill, billOf, type Terms } from "./terms.ts";

/** A payout. */
export type Payout = {
	readonly version: number;
	/** 32 hex digits; also the rail's idempotency key, where it has one */
	readonly id: string;
	readonly account: string;
	readonly course: Course;
	readonly askedAtMs: number;
	/** when it is looked at again */
	readonly dueMs: number;
	/** by which rail, for good: it is the one to ask */
	readonly rail: string;
	readonly world: RailWorld;
	readonly target: Target;
	/** the invoice that the operator brought */
	readonly invoice: string | undefined;
	/** how much to take at most; all that was earned when left out */
	readonly wanted: Amount | undefined;
	/** how often setting its money aside was tried */
	readonly tries: number;
	/** once reserved: what it costs, and where exactly the rail is to send it */
	readonly terms: Terms | undefined;
	readonly to: string | undefined;
};

/** The id of what somebody asked for by a name of theirs: asked for again it is the same payout. */
export function payoutId(account: string, name: string): string {
	return hash("sha256", `farelay/payout/v1\n${account}\n${name}`, "hex").slice(0, 32);
}

/** What the rail is told, and asked about. @throws Error before it is reserved: a bug in the caller. */
export function orderOf({ id, terms, to }: Payout): PayOrder {
	if (!terms || to === undefined) throw new Error("a payout without terms was to be sent");
	return { id, to, amount: terms.amount, feeMax: terms.feeMax };
}

/** What a payout came to in dollars, once it was sent. */
export function billOfPayout({ course, terms }: Payout): Bill | undefined {
	return course.paid && terms && billOf(terms, course.paid.fee);
}

/** What left the market by it, in nano-dollars. */
export function leftOf({ net, railFee, over }: Bill): bigint {
	return net + railFee + over;
}

/** A payout after something happened to it, and the change that makes it so: record and money together. */
export function happen(
	payout: Payout,
	event: Event,
	more: Partial<Pick<Payout, "terms" | "to" | "dueMs">> & { readonly atMs: number },
): { readonly payout: Payout; readonly change: Change } {
	const { atMs, ...facts } = more;
	const step = follow(payout.course, event);
	const next: Payout = { ...payout, dueMs: atMs + lookAgainMs(step.course), ...facts, course: step.course };
	return {
		payout: { ...next, version: payout.version + 1 },
		change: { transfer: transferOf(next, step, atMs), rows: [writePayout(next)] },
	};
}

/** The money of one step. */
function transferOf(payout: Payout, { move: kind }: Step, atMs: number): Transfer | undefined {
	const { id, account, terms, target, world } = payout;
	if (!kind) return undefined;
	if (!terms) throw new Error("a payout without terms has no money to move");
	const [earned, leaving] = [earnedAccount(account), leavingAccount(account)];
	const reserved = [{ account: leaving, nanos: terms.reserved }];
	const by = payout.course.byHand === undefined ? "" : ", ended by hand";
	const label = (what: string, cause: string) => ({ id: `payout:${id}:${what}`, cause: `${cause}${by}`, atMs });
	if (kind === "reserve")
		return move(label("reserve", "Set aside for a payout"), [{ account: earned, nanos: terms.reserved }], reserved);
	if (kind === "return")
		return move(label("failed", "A payout failed; its money is back"), reserved, [
			{ account: earned, nanos: terms.reserved },
		]);
	const bill = billOfPayout(payout);
	if (!bill) throw new Error("a payout was sent that nobody paid");
	return move(
		label("sent", `Paid out ${SAYS[target.kind]}`),
		// an overrun is a debt of the owner's and not taken from what the spread brought: that may be less, and what was sent must be written
		[...reserved, { account: OVERRUN, nanos: bill.over }],
		[
			{ account: world, nanos: amount(leftOf(bill)) },
			{ account: MARKET_RATE, nanos: bill.marketFee },
			{ account: earned, nanos: bill.rest },
		],
	);
}

const SAYS = { lightning: "to a Lightning address", invoice: "by an invoice", stripe: "to a Stripe account" } as const;

/** A payout that was asked for now. */
export function newPayout(
	asked: Pick<Payout, "id" | "account" | "rail" | "world" | "target" | "invoice" | "wanted">,
	nowMs: number,
): Payout {
	const fresh = { version: 0, course: QUEUED, askedAtMs: nowMs, dueMs: nowMs, tries: 0 };
	return { ...asked, ...fresh, terms: undefined, to: undefined };
}

/** States that a payout does not stay in: what a look at the book begins from. */
export const UNDER_WAY: readonly CourseState[] = ["queued", "reserved", "sending", "unknown"];

/** Whether a payout has not ended. */
export function isUnderWay({ course }: Payout): boolean {
	return UNDER_WAY.includes(course.state);
}

type Value = {
	readonly askedAtMs: number;
	readonly rail: string;
	readonly world: RailWorld;
	readonly kind: Target["kind"];
	readonly target: string;
	readonly invoice?: string | undefined;
	readonly wanted?: string | undefined;
	readonly tries: number;
	readonly to?: string | undefined;
	readonly terms?:
		| {
				readonly unit: Terms["exchange"]["unit"];
				readonly rate?: Omit<Rate, "msatPerDollar"> & { readonly msatPerDollar: string };
				readonly reserved: string;
				readonly amount: string;
				readonly feeMax: string;
		  }
		| undefined;
	readonly course: Omit<Course, "state" | "paid"> & {
		readonly paid?: { readonly fee: string; readonly proof: string; readonly atMs: number } | undefined;
	};
};

/** Reads a record. @throws BookFailure `data-corrupt` for one that no market wrote. */
export function readPayout(row: RecordRow): Payout {
	const value = JSON.parse(row.value) as Value;
	const { course, kind, target, terms, wanted, askedAtMs, rail, world, invoice, tries, to } = value;
	const reserved = parseAmount(terms?.reserved);
	if (terms && reserved === undefined)
		throw new BookFailure(problem("data-corrupt", `The record of payout ${row.key} is not one that the market wrote.`));
	const { paid, ...rest } = course;
	return {
		version: row.version,
		id: row.key,
		account: row.account,
		dueMs: row.dueMs,
		askedAtMs,
		rail,
		world,
		invoice,
		tries,
		to,
		target: { kind, to: target },
		wanted: parseAmount(wanted),
		terms: terms && {
			exchange: terms.rate
				? { unit: "msat", rate: { ...terms.rate, msatPerDollar: BigInt(terms.rate.msatPerDollar) } }
				: { unit: terms.unit as "cent" | "nano" },
			reserved: reserved ?? amount(0n),
			amount: BigInt(terms.amount),
			feeMax: BigInt(terms.feeMax),
		},
		course: {
			...rest,
			state: row.state as CourseState,
			...(paid && { paid: { ...paid, fee: BigInt(paid.fee) } }),
		},
	};
}

/** The change that writes a payout over the version that it was read at (0: it is new). */
export function writePayout(payout: Payout): RowChange {
	const { version, id, account, dueMs, course, target, terms, wanted, ...plain } = payout;
	const { state, paid, ...rest } = course;
	const { askedAtMs, rail, world, invoice, tries, to } = plain;
	const value: Value = {
		askedAtMs,
		rail,
		world,
		kind: target.kind,
		target: target.to,
		invoice,
		wanted: wanted === undefined ? undefined : formatAmount(wanted),
		tries,
		to,
		terms: terms && {
			unit: terms.exchange.unit,
			...(terms.exchange.unit === "msat" && {
				rate: { ...terms.exchange.rate, msatPerDollar: terms.exchange.rate.msatPerDollar.toString() },
			}),
			reserved: formatAmount(terms.reserved),
			amount: terms.amount.toString(),
			feeMax: terms.feeMax.toString(),
		},
		course: { ...rest, paid: paid && { ...paid, fee: paid.fee.toString() } },
	};
	return {
		table: "payouts",
		expect: version,
		row: { key: id, account, state, dueMs, value: JSON.stringify(value) },
	};
}
