/**
 * A deposit that comes every month. Its rail says which months were paid, and each becomes a deposit of its own, under the rail's own reference of that month: so a month
 * is credited, cleared, taken back and given back like any other payment, and once, however often it is told of.
 */

import { hash } from "node:crypto";
import { isProblem, type Problem, problem } from "#contracts/problem";
import type { RowChange } from "#marketplace/ledger/book";
import type { DepositState, Rail } from "#marketplace/rail/rail";
import { decide, end, nextLookMs, postpone, type Step, write } from "./decide.ts";
import {
	type Deposit,
	type Monthly,
	newOrder,
	readDeposit,
	referenceKey,
	writeDeposit,
	writeReference,
} from "./deposit.ts";
import type { FundingMarket } from "./start.ts";

type MonthlyState = Extract<DepositState, { state: "monthly" }>;

/** Before somebody agreed to it. */
export const NOT_YET_MONTHLY: Monthly = { isStopped: false, isFailing: false, months: 0 };

/** A month's id is that of what it is of, a point and eight digits of its reference's hash; with its account it must fit a key. */
export const MONTHLY_ID_CHARS_MAX = 26;
const MONTH_DIGITS = 8;

/** Hints get lost: a month that was paid is found within this. */
export const MONTHLY_LOOK_MS = 6 * 3_600_000;
/** A month's own fee may be known a moment later than that it was paid; until then it waits. */
const SETTLE_MS = 3_600_000;
/** Months written down in one change. */
const MONTHS_AT_ONCE = 8;

const STOPPED = "It was ended; no more will come.";
const ENDED = "It has ended by itself: the card could not be charged any more, or its owner ended it there.";

/** What becomes of it now that its rail was asked. */
export async function stepMonthly(
	market: FundingMarket,
	deposit: Deposit,
	monthly: Monthly,
	first: DepositState,
	rail: Rail,
): Promise<Step> {
	const stopped = await stopAt(deposit, monthly, first, rail);
	const nowMs = market.clock.nowMs();
	if (isProblem(stopped)) return postpone(deposit, nowMs);
	if (stopped.state === "ended") return end(deposit, monthly.isStopped ? STOPPED : "Nobody agreed to it in time.");
	if (stopped.state === "monthly") return await follow(market, deposit, monthly, stopped);
	// somebody agreed to it before: a rail that knows nothing of that any more is wrong, and asked again
	const isKnown = deposit.state === "monthly" || monthly.overMs !== undefined;
	if (isKnown || stopped.state === "paid" || stopped.state === "returned")
		return { ...postpone(deposit, nowMs), wrong: `says "${stopped.state}" of what comes every month` };
	return monthly.isStopped ? postpone(deposit, nowMs) : decide(deposit, stopped, nowMs, rail.world);
}

/** Tells the rail to end it, where its owner wants that and it has not. */
async function stopAt(
	{ reference }: Deposit,
	{ isStopped }: Monthly,
	said: DepositState,
	rail: Rail,
): Promise<DepositState | Problem> {
	const isOver = said.state === "ended" || (said.state === "monthly" && said.isOver);
	if (!isStopped || isOver || !rail.monthly || reference === undefined) return said;
	return await rail.monthly.stop(reference);
}

/** Writes down each month that is new; then when to ask again. */
async function follow(market: FundingMarket, deposit: Deposit, monthly: Monthly, said: MonthlyState): Promise<Step> {
	const { book, clock } = market;
	const nowMs = clock.nowMs();
	const unknown: string[] = [];
	// oldest first, so that they are credited in their order
	for (const month of said.months.toReversed())
		if (!(await book.record("references", referenceKey(deposit.quote.rail, month)))) unknown.push(month);
	const some = unknown.slice(0, MONTHS_AT_ONCE);
	const rows = some.flatMap((month) => rowsOf(market, deposit, month));
	const overMs = said.isOver ? (monthly.overMs ?? nowMs) : undefined;
	const next: Monthly = {
		...monthly,
		isFailing: said.isFailing,
		url: said.url,
		months: monthly.months + some.length,
		overMs,
	};
	const more = unknown.length > some.length;
	const lateMs =
		overMs === undefined ? undefined : nextLookMs({ startedMs: deposit.startedMs, payUntilMs: overMs }, nowMs);
	const isDone = overMs !== undefined && lateMs === undefined && !more;
	const dueMs = more ? nowMs : (lateMs ?? nowMs + MONTHLY_LOOK_MS);
	const changed: Partial<Deposit> = { monthly: next, dueMs, fails: 0 };
	const says = monthly.isStopped ? STOPPED : ENDED;
	if (isDone && rows.length === 0) return end({ ...deposit, monthly: next }, says);
	const step = write(
		deposit,
		said.isOver ? { ...changed, state: "expired", says } : { ...changed, state: "monthly", says: undefined },
	);
	return { ...step, change: { rows: [...rows, ...(step.change?.rows ?? [])] }, more };
}

/** One month, as a deposit that was paid and is to be credited. */
function rowsOf(
	{ crypto, clock }: FundingMarket,
	{ key, account, quote, pool }: Deposit,
	reference: string,
): RowChange[] {
	const nowMs = clock.nowMs();
	const month: Deposit = {
		key: `${key}.${hash("sha256", reference, "hex").slice(0, MONTH_DIGITS)}`,
		version: 0,
		account,
		state: "waiting",
		dueMs: nowMs,
		order: newOrder(crypto),
		quote,
		startedMs: nowMs,
		payUntilMs: nowMs + SETTLE_MS,
		reference,
		pay: undefined,
		came: undefined,
		of: key,
		...(pool !== undefined && { pool }),
		fails: 0,
		says: undefined,
	};
	return [writeDeposit(month), writeReference(month, reference)];
}

/** A bank that takes a month back would take the next ones too, each at a charge: no more are asked for. Undefined when that is so already. */
export async function endDisputed({ book, clock }: FundingMarket, month: Deposit): Promise<Step | undefined> {
	const row = month.of === undefined ? undefined : await book.record("deposits", month.of);
	const whole = row && readDeposit(row);
	if (!whole || whole.monthly?.isStopped) return undefined;
	const stop = beginStop(whole, clock.nowMs());
	if (isProblem(stop) || !stop.change) return undefined;
	return { next: month, change: stop.change, contended: true, more: true };
}

/** Its owner wants it to end: the next look tells the rail. A problem for what does not come every month. */
export function beginStop(deposit: Deposit, nowMs: number): Step | Problem {
	const { monthly, reference, state } = deposit;
	if (!monthly) return problem("malformed", "This deposit does not come every month: there is nothing to end.");
	if (state === "ended" || monthly.overMs !== undefined) return { next: deposit, change: undefined };
	// nobody was told how to pay it
	if (reference === undefined) return end(deposit, STOPPED);
	return write(deposit, { monthly: { ...monthly, isStopped: true }, dueMs: nowMs, fails: 0 });
}
