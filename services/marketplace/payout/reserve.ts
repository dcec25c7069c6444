/** Setting a payout's money aside: where exactly it goes and what it costs is decided here, for good, and then written in one change with the money. */

import { amount } from "#contracts/amount";
import { isProblem, type Problem, problem } from "#contracts/problem";
import type { Clock } from "#host/clock";
import type { Frozen } from "#marketplace/desk/frozen";
import { referenceKey } from "#marketplace/funding/deposit";
import type { Book, Change, RowChange } from "#marketplace/ledger/book";
import { earnedAccount } from "#marketplace/ledger/chart";
import type { Rail } from "#marketplace/rail/rail";
import type { Rates } from "#marketplace/rate/rate";
import { type Destination, isSame, readDestination, refuseUse } from "./destination.ts";
import type { Lightning } from "./lightning.ts";
import { happen, type Payout } from "./payout.ts";
import { newPlan, type Plan, readPlan, termsOfPlan } from "./plan.ts";
import { type Exchange, termsOf } from "./terms.ts";

/** What payouts are made with. */
export type Parts = {
	readonly book: Book;
	readonly clock: Clock;
	readonly rails: readonly Rail[];
	readonly rates: Rates;
	/** undefined: nothing goes out by Lightning */
	readonly lightning: Lightning | undefined;
	/** accounts that nothing is paid to */
	readonly frozen: Frozen;
};

/** An invoice that ends sooner than this is not paid: the payment needs a while on its way. */
const INVOICE_LEFT_MS = 60_000;
/** One that ends later is not paid either: an order that got lost on its way holds its money back until its invoice has ended. */
const INVOICE_LEFT_MS_MAX = 31 * 86_400_000;

/** What a frozen account is told, with a way to answer. */
export const FROZEN = "The account is frozen: nothing is paid out to it. Why, and an answer: farelay ask.";

/** Where an account is paid. */
export async function destinationOf({ book }: Pick<Parts, "book">, account: string): Promise<Destination | undefined> {
	const row = await book.record("destinations", account);
	return row && readDestination(row);
}

/** What an account wishes. */
export async function planOf({ book, clock }: Pick<Parts, "book" | "clock">, account: string): Promise<Plan> {
	const row = await book.record("plans", account);
	return row ? readPlan(row) : newPlan(account, clock.nowMs());
}

/** Why a payout may not go on: its account is frozen, or its destination is not what it was, or waits. */
export async function refuseGoing(parts: Parts, payout: Payout): Promise<Problem | Destination> {
	if (await parts.frozen.has(payout.account)) return problem("unauthorized", FROZEN);
	const destination = await destinationOf(parts, payout.account);
	const refused = refuseUse(destination, parts.clock.nowMs());
	if (refused || !destination) return refused ?? problem("not-found");
	if (isSame(destination, payout.target)) return destination;
	return problem("conflict", "The destination was changed after this payout was asked for.");
}

/** The change that sets a payout's money aside; a problem when it cannot be, now or for good. */
export async function decideReserve(parts: Parts, payout: Payout, rail: Rail): Promise<Change | Problem> {
	const { book, clock, rates } = parts;
	const range = rail.ranges.out;
	if (!range) return problem("rail-closed", `Nothing goes out by ${rail.name} now.`);
	const destination = await refuseGoing(parts, payout);
	if (isProblem(destination)) return destination;
	const exchange = await exchangeOf(rail, rates);
	if (isProblem(exchange)) return exchange;
	const brought = payout.invoice === undefined ? undefined : readBrought(parts, payout.invoice);
	if (isProblem(brought)) return brought;
	const earned = amount(await book.balance(earnedAccount(payout.account)));
	const plan = await planOf(parts, payout.account);
	const terms = await termsOf(exchange, {
		nanos: payout.wanted !== undefined && payout.wanted < earned ? payout.wanted : earned,
		exactly: brought?.amountMsat,
		feeMaxPpm: termsOfPlan(plan, payout.target.kind).feeMaxPpm,
		range,
		quote: (units) => rail.quote("out", units, payout.invoice ?? payout.target.to),
	});
	if (isProblem(terms)) return terms;
	const place = await placeOf(parts, payout, terms.amount);
	if (isProblem(place)) return place;
	const nowMs = clock.nowMs();
	const reserved = happen(payout, { is: "reserved" }, { atMs: nowMs, terms, to: place.to, dueMs: nowMs });
	const { transfer, rows = [] } = reserved.change;
	return { transfer, rows: [...rows, ...place.rows] };
}

async function exchangeOf({ unit }: Rail, rates: Rates): Promise<Exchange | Problem> {
	if (unit !== "msat") return { unit };
	const rate = await rates.now();
	return isProblem(rate) ? rate : { unit, rate };
}

/** What an invoice that an operator brings must be: over an amount, and not about to end. */
export function readBrought(
	{ lightning, clock }: Pick<Parts, "lightning" | "clock">,
	invoice: string,
): { readonly amountMsat: bigint; readonly paymentHash: string } | Problem {
	if (!lightning) return problem("rail-closed", "Nothing goes out by Lightning here.");
	const read = lightning.readInvoice(invoice);
	if (isProblem(read)) return read;
	const { amountMsat, paymentHash, expiresAtMs } = read;
	if (amountMsat === undefined) return problem("malformed", "The invoice must say over how much it is.");
	const leftMs = expiresAtMs - clock.nowMs();
	if (leftMs < INVOICE_LEFT_MS) return problem("malformed", "The invoice has ended or is about to; bring a new one.");
	if (leftMs > INVOICE_LEFT_MS_MAX)
		return problem("malformed", "The invoice can be paid for more than a month; bring one that ends sooner.");
	return { amountMsat, paymentHash };
}

/** Where the rail sends it. An invoice is claimed with the money: of two payouts by the same one, the second would seem paid by the first. */
async function placeOf(
	parts: Parts,
	payout: Payout,
	units: bigint,
): Promise<{ readonly to: string; readonly rows: readonly RowChange[] } | Problem> {
	const { book, lightning, rails } = parts;
	const { kind, to } = payout.target;
	if (kind === "stripe") return { to, rows: [] };
	if (!lightning) return problem("rail-closed", "Nothing goes out by Lightning here.");
	const invoice = payout.invoice ?? (await lightning.invoiceFrom(to, units));
	if (isProblem(invoice)) return invoice;
	const read = readBrought(parts, invoice);
	if (isProblem(read)) return read;
	if (read.amountMsat !== units)
		return problem("unavailable", "The invoice is over another amount than was asked for.");
	for (const { name } of rails)
		if (await book.record("references", referenceKey(name, read.paymentHash)))
			return problem("malformed", "That is an invoice of this market's own.");
	const key = `invoice:${read.paymentHash}`;
	const before = await book.record("references", key);
	if (before) return problem("conflict", "That invoice belongs to another payout; a new one is needed.");
	const row = { key, account: payout.account, state: "of-payout", dueMs: 0, value: payout.id };
	return { to: invoice, rows: [{ table: "references", expect: 0, row }] };
}
