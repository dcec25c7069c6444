/**
 * What becomes of card money after it was credited (money.md, "Cards come back"): fresh for two weeks, then cleared where it is by then: spent, reserved or on
 * the purse. Taken back meanwhile or later, the person's balance pays, then the market's reserve; grants that were opened with it stand.
 */

import { amount, NOTHING } from "#contracts/amount";
import type { RowChange } from "#marketplace/ledger/book";
import { freshAccount, OVERRUN, owedAccount, payerAccount, RISK, RISK_LENT } from "#marketplace/ledger/chart";
import { move, type Part } from "#marketplace/ledger/post";
import type { DepositState, Rail, RailWorld } from "#marketplace/rail/rail";
import { clearTabs } from "./clear.ts";
import { NEVER_MS, type Step, write } from "./decide.ts";
import type { Backed, Deposit } from "./deposit.ts";
import { creditFor } from "./exchange.ts";
import { clearGift, pursesOf } from "./giftback.ts";
import { followRefund } from "./refund.ts";
import type { FundingMarket } from "./start.ts";

/** A dispute is decided within four months; after this nobody looks again by themselves. */
const FOLLOW_MS = 180 * 86_400_000;
/** A payment that cleared is looked at so long after it came, should every event of a dispute have been lost: most come within two months, and none after four. */
const LAST_LOOKS_MS = [60 * 86_400_000, 130 * 86_400_000];
/** What was taken back is looked at this often: whether it came again, and whether the person has something to pay it with. */
const LOOK_AGAIN_MS = 3_600_000;
const LOOK_AGAIN_MS_MAX = 86_400_000;

/** The next step of such a deposit; undefined for any other, and when more came of it. */
export async function stepBack(
	market: FundingMarket,
	deposit: Deposit,
	said: DepositState,
	rail: Rail,
): Promise<Step | undefined> {
	if (!isBacked(deposit) || (said.state !== "paid" && said.state !== "returned")) return undefined;
	const { came } = deposit;
	const { world } = rail;
	// what is on its way back is not taken back a second time
	if (came.refund?.state === "sending") return await followRefund(market, deposit, came.refund, rail);
	if (said.state === "paid" && said.amount > came.units) return undefined;
	const taken = said.state === "returned" ? least(said.amount, came.units) : 0n;
	const penalty = said.penalty ?? 0n;
	const isCharged = penalty !== (came.penalty ?? 0n);
	if (taken > came.back) return await takeBack(market, deposit, taken, world, isCharged);
	if (taken < came.back) return await comeAgain(market, deposit, taken, world, isCharged);
	if (isCharged) return await charge(market, deposit, penalty, world);
	const nowMs = market.clock.nowMs();
	const gone = taken === came.units;
	if (came.fresh > 0n) {
		if (!gone && nowMs < came.backUntilMs) return await until(deposit, came.backUntilMs);
		if (came.gift) return await clearGift(market, deposit, came.gift);
		return await clearTabs(market, deposit, gone);
	}
	if (came.back > 0n) return await collect(market, deposit);
	return await until(
		deposit,
		LAST_LOOKS_MS.map((afterMs) => came.atMs + afterMs).find((atMs) => atMs > nowMs) ?? NEVER_MS,
	);
}

function isBacked(deposit: Deposit): deposit is Backed {
	return deposit.came?.backUntilMs !== undefined;
}

/** The payer's bank took money: from the person's purses as far as it goes, the rest from the market's reserve, and the person owes it. */
async function takeBack(
	market: FundingMarket,
	deposit: Backed,
	taken: bigint,
	world: RailWorld,
	more: boolean,
): Promise<Step> {
	const { account, came } = deposit;
	const purses = await pursesOf(market, deposit);
	const [fresh = 0n, cleared = 0n, reserve = 0n] = await market.book.balances([purses.fresh, purses.cleared, RISK]);
	const all = worthOf(deposit, taken - came.back);
	const ofFresh = least(least(fresh, purses.freshMax ?? fresh), all);
	const ofCleared = least(cleared, all - ofFresh);
	const owed = all - ofFresh - ofCleared;
	const lent = least(reserve, owed);
	if (lent === reserve) sayEmpty(market, deposit.quote.rail);
	const gone = purses.taken?.(all, ofFresh, ofCleared);
	const kept = came.fresh - least(came.fresh, ofFresh + (gone?.early ?? 0n));
	const dueMs = kept > 0n && taken < came.units ? came.backUntilMs : market.clock.nowMs() + LOOK_AGAIN_MS;
	const from = [
		part(purses.fresh, ofFresh),
		part(purses.cleared, ofCleared),
		part(owedAccount(account), owed),
		part(RISK, lent),
	];
	return written(
		market,
		deposit,
		{ came: { ...came, back: taken, fresh: amount(kept), ...gone?.came }, dueMs },
		more || (kept > 0n && taken === came.units),
		{
			id: "taken",
			cause: `A payment by ${deposit.quote.rail} was taken back`,
			from,
			to: [part(world, all), part(RISK_LENT, lent)],
			rows: gone?.rows,
		},
	);
}

/**
 * What was taken back came again: a dispute was won, or a bank did not take a refund. First what is owed is paid with it. It is as old as the payment, and no
 * older for having been away: a card that takes no refund any more would else make cleared money of a payment that its bank still takes back.
 */
async function comeAgain(
	market: FundingMarket,
	deposit: Backed,
	taken: bigint,
	world: RailWorld,
	more: boolean,
): Promise<Step> {
	const { account, came } = deposit;
	const purses = await pursesOf(market, deposit);
	const [owes = 0n, lent = 0n] = await market.book.balances([owedAccount(account), RISK_LENT]);
	const nowMs = market.clock.nowMs();
	const all = worthOf(deposit, came.back - taken);
	const owed = least(-owes, all);
	const returned = least(lent, owed);
	// no more is fresh than the payment brought: what the rail's fee made of it was taken from other money
	const ofFresh = nowMs < came.backUntilMs ? least(all - owed, came.credited - came.fresh) : 0n;
	const { refund } = came;
	const isBack = refund !== undefined && taken < refund.units;
	const fresh = amount(came.fresh + ofFresh);
	const next = { ...came, back: taken, fresh, ...(isBack && { refund: { ...refund, state: "failed" as const } }) };
	return written(market, deposit, { came: next, dueMs: nowMs + LOOK_AGAIN_MS }, more, {
		id: "again",
		cause: `A payment by ${deposit.quote.rail} that was taken back came again`,
		from: [part(world, all), part(RISK_LENT, returned)],
		to: [
			part(owedAccount(account), owed),
			part(purses.fresh, ofFresh),
			part(purses.cleared, all - owed - ofFresh),
			part(RISK, returned),
		],
		rows: purses.again?.(all - owed),
	});
}

/** What the provider charged the market is the owner's loss: the reserve pays it as far as it goes, and what is beyond that is owed by the owner. */
async function charge(market: FundingMarket, deposit: Backed, penalty: bigint, world: RailWorld): Promise<Step> {
	const { came, quote } = deposit;
	const [reserve = 0n, over = 0n] = await market.book.balances([RISK, OVERRUN]);
	const more = penalty - (came.penalty ?? 0n);
	const all = worthOf(deposit, more < 0n ? -more : more);
	const beyond = more > 0n ? all - least(reserve, all) : least(-over, all);
	const own = [part(RISK, all - beyond), part(OVERRUN, beyond)];
	const there = [part(world, all)];
	if (more > 0n && reserve <= all) sayEmpty(market, quote.rail);
	return written(market, deposit, { came: { ...came, penalty } }, true, {
		id: "penalty",
		cause:
			more > 0n ? `Charged for a payment by ${quote.rail} that went back` : `Such a charge by ${quote.rail} came back`,
		from: more > 0n ? own : there,
		to: more > 0n ? there : own,
	});
}

function sayEmpty({ log }: FundingMarket, rail: string): void {
	log.error({ rail }, "the reserve for payments that are taken back is empty: cards are not taken");
}

/** Pays what is owed with what has come to the person's purses since. */
async function collect(market: FundingMarket, deposit: Backed): Promise<Step> {
	const { account, came } = deposit;
	const [fresh = 0n, cleared = 0n, owes = 0n, lent = 0n] = await market.book.balances([
		freshAccount(account),
		payerAccount(account),
		owedAccount(account),
		RISK_LENT,
	]);
	const nowMs = market.clock.nowMs();
	const sinceMs = nowMs - came.atMs;
	const waitMs = Math.min(Math.max(LOOK_AGAIN_MS, sinceMs / 8), LOOK_AGAIN_MS_MAX);
	const dueMs = sinceMs > FOLLOW_MS && owes === 0n ? NEVER_MS : Math.ceil(nowMs + waitMs);
	const ofCleared = least(cleared, -owes);
	const ofFresh = least(fresh, -owes - ofCleared);
	if (ofCleared + ofFresh === 0n) return await until(deposit, dueMs, nowMs);
	const returned = least(lent, ofCleared + ofFresh);
	return written(market, deposit, { dueMs }, false, {
		id: "paid-back",
		cause: "Paid what was owed for a payment that was taken back",
		from: [part(payerAccount(account), ofCleared), part(freshAccount(account), ofFresh), part(RISK_LENT, returned)],
		to: [part(owedAccount(account), ofCleared + ofFresh), part(RISK, returned)],
	});
}

type Moved = {
	readonly id: string;
	readonly cause: string;
	readonly from: readonly Part[];
	readonly to: readonly Part[];
	readonly rows?: readonly RowChange[] | undefined;
};

function written(
	market: FundingMarket,
	deposit: Backed,
	changed: Partial<Deposit>,
	more: boolean,
	{ id, cause, from, to, rows = [] }: Moved,
): Step {
	// the version makes it this step's: the same can happen to a payment more than once
	const label = {
		id: `${id}:${deposit.quote.rail}:${deposit.reference}:${deposit.version}`,
		cause,
		atMs: market.clock.nowMs(),
	};
	// what is left to do at once is due also for whoever comes after this process
	const step = write(deposit, { ...changed, ...(more && { dueMs: label.atMs }), fails: 0 });
	const all = [...(step.change?.rows ?? []), ...rows];
	return { ...step, change: { transfer: move(label, from, to), rows: all }, contended: true, more };
}

/** Nothing is to be done until then. */
async function until(deposit: Backed, dueMs: number, nowMs?: number): Promise<Step> {
	const same = deposit.dueMs === dueMs || (nowMs !== undefined && deposit.dueMs > nowMs && dueMs !== NEVER_MS);
	return same && deposit.fails === 0 ? { next: deposit, change: undefined } : write(deposit, { dueMs, fails: 0 });
}

/** What so much of the rail's unit is worth, the market's spread included: it leaves as it came. */
function worthOf({ quote }: Deposit, units: bigint): bigint {
	const worth = creditFor(quote.unit, units, quote.rate);
	if (!worth) throw new RangeError("what was credited before is an amount");
	return worth.credited + worth.spread;
}

function part(account: string, nanos: bigint): Part {
	return { account, nanos: nanos > 0n ? amount(nanos) : NOTHING };
}

function least(a: bigint, b: bigint): bigint {
	return a < b ? a : b;
}
