/**
 * What becomes of a deposit by what its rail says of it: pure, so that it can be tried with everything that a rail might say. What came is
 * counted cumulatively, and only the difference to what was credited moves: hints that are doubled, replayed or out of order change nothing
 * (threat 16), and a second payment of the same invoice is credited too (threat 17).
 */

import { type Amount, amount, NOTHING } from "#contracts/amount";
import type { Change } from "#marketplace/ledger/book";
import { freshAccount, MARKET_RATE, payerAccount } from "#marketplace/ledger/chart";
import { move } from "#marketplace/ledger/post";
import type { DepositState, RailWorld } from "#marketplace/rail/rail";
import type { Rate } from "#marketplace/rate/rate";
import { type Came, type Deposit, writeDeposit } from "./deposit.ts";
import { creditFor } from "./exchange.ts";
import { type Gift, giveTo } from "./gift.ts";

/** What the rail says when money came. */
type Paid = Extract<DepositState, { state: "paid" }>;

/** What a look at a deposit ends in. `wrong`: the rail says what cannot be, for whoever runs the market. */
export type Step = {
	readonly next: Deposit;
	readonly change: Change | undefined;
	readonly wrong?: string;
	/** it is about rows and balances beside the deposit's, which others change too */
	readonly contended?: boolean;
	/** there is more to do at once */
	readonly more?: boolean;
};

/** The first look comes this soon after the start, for hints get lost. */
export const LOOK_MS = 5_000;
/** While it can be paid the rail is asked at least this often: a checkout stays open for a day. */
const LOOK_MS_MAX = 300_000;
/** After it expired the rail is asked ever more seldom: first after a minute, at last every six hours... */
const LATE_MS = 60_000;
const LATE_MS_MAX = 6 * 3_600_000;
/** ...and for so long: what is on its way in a network arrives in hours or never. */
const LATE_UNTIL_MS = 3 * 86_400_000;
/** A rail that cannot be asked is asked again this soon, and doubling up to the longest of the waits above. */
const FAIL_MS = 5_000;

/** Not by itself: only a hint has it looked at again. */
export const NEVER_MS = Number.MAX_SAFE_INTEGER;

const NOTHING_CAME = "Nothing was paid in time.";

/** Whether what came must be exchanged at today's rate: it came late, or it is more than the quote was for. */
export function needsRate(deposit: Deposit, said: Paid): boolean {
	return deposit.quote.rate !== undefined && partsOf(deposit, said).late > 0n;
}

/** What is new of what came after the rail's fee, in its unit: within the quote, and beside it. */
function partsOf({ quote, came }: Deposit, said: Paid): { within: bigint; late: bigint; units: bigint; fee: bigint } {
	const before = { units: came?.units ?? 0n, fee: came?.fee ?? 0n };
	const units = said.amount - before.units;
	const fee = said.fee > before.fee ? said.fee - before.fee : 0n;
	const net = units > fee ? units - fee : 0n;
	// a rate is held for what was asked for and not for more: else a quote would be a free bet on the rate (threat 17)
	const room = said.atMs > quote.untilMs || before.units >= quote.units ? 0n : quote.units - before.units;
	const within = quote.rate === undefined || net <= room ? net : room;
	return { within, late: net - within, units, fee };
}

/** What becomes of a deposit now that its rail was asked. `rate`: today's, where {@link needsRate} asks for it; `gift`: the pool that it goes to. */
export function decide(
	deposit: Deposit,
	said: DepositState,
	nowMs: number,
	world: RailWorld,
	rate?: Rate | undefined,
	gift?: Gift | undefined,
): Step {
	switch (said.state) {
		case "paid":
			if (said.amount <= (deposit.came?.units ?? 0n)) return stay(deposit, said, nowMs);
			return credit(deposit, said, nowMs, world, rate, gift);
		case "returned":
			return deposit.came ? stay(deposit, said, nowMs) : end(deposit, "The payment was taken back.");
		case "ended":
			return deposit.came ? rest(deposit) : end(deposit, NOTHING_CAME);
		default:
			return wait(deposit, nowMs);
	}
}

/** Puts a look off when the rail could not be asked: what was hinted at is not lost by that, not even of a deposit that had ended. */
export function postpone(deposit: Deposit, nowMs: number): Step {
	const waitMs = Math.min(FAIL_MS * 2 ** Math.min(deposit.fails, 20), LOOK_MS_MAX);
	const state = deposit.state === "ended" ? "expired" : deposit.state;
	return write(deposit, { state, fails: deposit.fails + 1, dueMs: nowMs + waitMs });
}

/** Ends a deposit by which nothing came. */
export function end(deposit: Deposit, says: string): Step {
	if (deposit.state === "ended") return { next: deposit, change: undefined };
	return write(deposit, { state: "ended", says, fails: 0, dueMs: NEVER_MS });
}

/** Nothing came, or nothing more: of a deposit that was paid in part the rest may follow. */
function wait(deposit: Deposit, nowMs: number): Step {
	const { state, came, quote, payUntilMs, dueMs } = deposit;
	if (state === "ended") return { next: deposit, change: undefined };
	if (came) {
		const nextMs = came.units < quote.units ? (nextLookMs(deposit, nowMs) ?? NEVER_MS) : NEVER_MS;
		return nextMs === dueMs ? { next: deposit, change: undefined } : write(deposit, { fails: 0, dueMs: nextMs });
	}
	const nextMs = nextLookMs(deposit, nowMs);
	if (nextMs === undefined) return end(deposit, NOTHING_CAME);
	return write(deposit, { state: nowMs < payUntilMs ? "waiting" : "expired", fails: 0, dueMs: nextMs });
}

/** Nothing more can come. */
function rest(deposit: Deposit): Step {
	if (deposit.dueMs === NEVER_MS) return { next: deposit, change: undefined };
	return write(deposit, { fails: 0, dueMs: NEVER_MS });
}

/** When to ask the rail again; undefined when it was asked for long enough. */
export function nextLookMs(
	{ startedMs, payUntilMs }: Pick<Deposit, "startedMs" | "payUntilMs">,
	nowMs: number,
): number | undefined {
	if (nowMs < payUntilMs) {
		const waitMs = Math.min(Math.max(LOOK_MS, (nowMs - startedMs) / 8), LOOK_MS_MAX);
		return Math.ceil(Math.min(nowMs + waitMs, payUntilMs));
	}
	const lateMs = nowMs - payUntilMs;
	if (lateMs > LATE_UNTIL_MS) return undefined;
	return nowMs + Math.ceil(Math.min(Math.max(LATE_MS, lateMs / 2), LATE_MS_MAX));
}

/** The rail says no more than it did, or less: by its word alone nothing is taken back. */
function stay(deposit: Deposit, said: DepositState, nowMs: number): Step {
	const { came } = deposit;
	const step = wait(deposit, nowMs);
	if (!came || (said.state === "paid" && said.amount === came.units)) return step;
	return { ...step, wrong: `says "${said.state}" of a deposit of which ${came.units} were credited` };
}

function credit(
	deposit: Deposit,
	said: Paid,
	nowMs: number,
	world: RailWorld,
	rate: Rate | undefined,
	gift: Gift | undefined,
): Step {
	const { quote, reference, account, came } = deposit;
	const { within, late, fee } = partsOf(deposit, said);
	const first = creditFor(quote.unit, within, quote.rate);
	const second = creditFor(quote.unit, late, late > 0n ? rate : quote.rate);
	const sum = first && second && { credited: first.credited + second.credited, spread: first.spread + second.spread };
	if (!sum || reference === undefined) return { ...postpone(deposit, nowMs), wrong: `says that ${said.amount} came` };
	const credited = amount(sum.credited);
	const spread = amount(sum.spread);
	const isFresh = said.backUntilMs !== undefined && said.backUntilMs > nowMs;
	const given = gift && giveTo(gift, { credited, spread, railFee: feeOf(quote, fee), isFresh });
	const next: Came = {
		units: said.amount,
		fee: (came?.fee ?? 0n) + fee,
		credited: amount((came?.credited ?? NOTHING) + credited),
		spread: amount((came?.spread ?? NOTHING) + spread),
		atMs: said.atMs,
		backUntilMs: said.backUntilMs,
		fresh: amount((came?.fresh ?? NOTHING) + (isFresh ? credited : NOTHING)),
		back: came?.back ?? 0n,
		...(given && { gift: { early: amount((came?.gift?.early ?? NOTHING) + given.early) } }),
	};
	const id = `deposit:${quote.rail}:${reference}${came ? `:${said.amount}` : ""}`;
	const transfer = move(
		{ id, cause: `${deposit.of === undefined ? "Deposit" : "Monthly deposit"} by ${quote.rail}`, atMs: nowMs },
		[{ account: world, nanos: amount(credited + spread) }],
		[
			// one purse for money that is theirs for good, one for money that may be taken back
			...(given?.to ?? [{ account: isFresh ? freshAccount(account) : payerAccount(account), nanos: credited }]),
			{ account: MARKET_RATE, nanos: spread },
		],
	);
	const lookMs = next.units < quote.units ? (nextLookMs(deposit, nowMs) ?? NEVER_MS) : NEVER_MS;
	const dueMs = isFresh ? Math.min(lookMs, said.backUntilMs ?? NEVER_MS) : lookMs;
	const step = write(deposit, { state: "credited", fails: 0, dueMs, came: next, says: undefined });
	const rows = [...(step.change?.rows ?? []), ...(given?.rows ?? [])];
	return { ...step, change: { transfer, rows }, ...(given && { contended: true }) };
}

/** What the rail kept, in dollars. */
function feeOf({ unit, rate }: Deposit["quote"], fee: bigint): Amount {
	return creditFor(unit, fee, rate && { ...rate, spreadPpm: 0 })?.credited ?? NOTHING;
}

/** What changes of a deposit, as the next step. */
export function write(deposit: Deposit, changed: Partial<Deposit>): Step {
	const next = { ...deposit, ...changed };
	return { next: { ...next, version: deposit.version + 1 }, change: { rows: [writeDeposit(next)] } };
}
