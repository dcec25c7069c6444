/**
 * Holds each rail against the ledger: every movement of ours against the rail's own word, the ledger's entries against the records that caused them, and
 * what the rail says it holds against what our movements leave there. Every difference is said in a sentence; one that nothing explains is for a person.
 */

import { type Amount, formatDollars } from "#contracts/amount";
import { isProblem, type Problem } from "#contracts/problem";
import { type Deposit, readDeposit, referenceKey } from "#marketplace/funding/deposit";
import { creditFor } from "#marketplace/funding/exchange";
import { MONTHLY_LOOK_MS } from "#marketplace/funding/monthly";
import type { LedgerReads, RecordRow, RecordTable } from "#marketplace/ledger/book";
import { billOfPayout, leftOf, orderOf, type Payout, readPayout } from "#marketplace/payout/payout";
import type { Rail, RailBalance, RailUnit } from "#marketplace/rail/rail";
import { type Held, holdDeposit, holdPayout } from "./hold.ts";
import { holdWorlds } from "./worlds.ts";

/** One difference. */
export type Difference = { readonly rail: string; readonly explained: boolean; readonly says: string };

/** A rail's sums, in its unit. */
export type RailSums = {
	readonly rail: string;
	readonly unit: RailUnit;
	readonly deposits: number;
	readonly payouts: number;
	/** what came in (and was not taken back) and went out by our records, fees taken off and added on */
	readonly cameIn: bigint;
	readonly wentOut: bigint;
	/** what the owner has put there, or taken from there, as was last accepted */
	readonly own: bigint;
	readonly provider: RailBalance | undefined;
	/** what is there that neither our movements nor the owner's own money explain; accepting it makes it the owner's */
	readonly beyond: bigint | undefined;
};

/** What reconciling came to. */
export type Reconciliation = {
	/** nothing is unexplained */
	readonly holds: boolean;
	readonly rails: readonly RailSums[];
	/** the first {@link DIFFERENCES_MAX}, those that are unexplained first */
	readonly differences: readonly Difference[];
	readonly explained: number;
	readonly unexplained: number;
};

/** What to reconcile. */
export type ReconcileOrder = {
	readonly ledger: LedgerReads;
	readonly rails: readonly Rail[];
	readonly nowMs: number;
	/** movements that ended before this are counted, and their rails are not asked about them again */
	readonly sinceMs: number;
	/** what the owner has on each rail, in its unit */
	readonly own: Readonly<Record<string, bigint>>;
};

/** Nobody reads more at once. */
export const DIFFERENCES_MAX = 100;
/** Records read at once. */
const PAGE = 200;
/** Questions under way to one rail. */
const ASKED_MAX = 8;
/** A rail that could not be asked so often is not asked again: each time may have taken as long as its patience. */
const FAILS_MAX = 3;
/**
 * A Lightning channel's own fee, which moves with the network's and is part of nobody's balance: 10,000 satoshi. Up to this a difference is taken for it.
 */
const CHANNEL_FEE_MSAT = 10_000_000n;

const DEPOSIT_STATES = ["starting", "waiting", "expired", "monthly", "credited", "ended"];
const PAYOUT_STATES = ["queued", "reserved", "sending", "unknown", "sent", "failed"];

/** Units of a satoshi that a rail may round a movement by: some wallets know no parts of one. */
const SATOSHI_MSAT = 1_000n;

/** Reconciles; a second time where something is unexplained, for money moves meanwhile. */
export async function reconcile(order: ReconcileOrder): Promise<Reconciliation> {
	const first = await reconcileOnce(order);
	return first.holds ? first : await reconcileOnce(order);
}

async function reconcileOnce(order: ReconcileOrder): Promise<Reconciliation> {
	const found: Difference[] = [];
	const counts = { explained: 0, unexplained: 0 };
	const find = (rail: string, { explained, says }: Held): void => {
		counts[explained ? "explained" : "unexplained"] += 1;
		// what is explained gives way to what is not
		if (found.length >= DIFFERENCES_MAX) {
			const last = explained ? -1 : found.findLastIndex((difference) => difference.explained);
			if (last < 0) return;
			found.splice(last, 1);
		}
		found.push({ rail, explained, says });
	};
	const watched = new Map(order.rails.map((rail) => [rail.name, tally(rail)]));
	const gone = (await holdDeposits(order, watched, find)) + (await holdPayouts(order, watched, find));
	const counted = gone > 0 ? undefined : countWorlds(watched);
	for (const says of await holdWorlds(order.ledger, order.rails, counted)) find("ledger", { explained: false, says });
	const rails: RailSums[] = [];
	for (const sums of watched.values()) rails.push(await holdBalance(sums, order.own[sums.rail.name] ?? 0n, find));
	found.sort((a, b) => Number(a.explained) - Number(b.explained));
	return { holds: counts.unexplained === 0, rails, differences: found, ...counts };
}

/** What is counted of a rail: what came and went, and by how much the rail may hold more or less because of differences that were found. */
type Tally = {
	readonly rail: Rail;
	deposits: number;
	payouts: number;
	cameIn: bigint;
	wentOut: bigint;
	more: bigint;
	less: bigint;
	fails: number;
	/** what the movements came to in dollars, into the ledger */
	nanos: bigint;
};

function tally(rail: Rail): Tally {
	return { rail, deposits: 0, payouts: 0, cameIn: 0n, wentOut: 0n, more: 0n, less: 0n, fails: 0, nanos: 0n };
}

/** What the records of all rails of each world come to. */
function countWorlds(watched: ReadonlyMap<string, Tally>): Map<string, bigint> {
	const worlds = new Map<string, bigint>();
	for (const { rail, nanos } of watched.values()) worlds.set(rail.world, (worlds.get(rail.world) ?? 0n) + nanos);
	return worlds;
}

type Find = (rail: string, held: Held) => void;

async function holdDeposits(order: ReconcileOrder, watched: Map<string, Tally>, find: Find): Promise<number> {
	const gone = new Map<string, number>();
	await eachRow(order.ledger, "deposits", DEPOSIT_STATES, async (row) => {
		const deposit = readDeposit(row);
		const { came, quote, reference } = deposit;
		const sums = watched.get(quote.rail);
		if (!sums) {
			if (came) gone.set(quote.rail, (gone.get(quote.rail) ?? 0) + 1);
			return;
		}
		if (came) {
			sums.deposits += 1;
			const penalty = came.penalty ?? 0n;
			// what is on its way back has left the ledger already
			const leaving = came.refund?.state === "sending" ? came.refund.units : 0n;
			const taken = creditFor(quote.unit, came.back + leaving + penalty, quote.rate);
			sums.cameIn += came.units - came.fee - came.back - penalty;
			sums.nanos += came.credited + came.spread - (taken ? taken.credited + taken.spread : 0n);
		}
		if (reference === undefined || endedBefore(deposit, order.sinceMs)) return;
		const said = await ask(sums, () => sums.rail.deposit(reference));
		if (said) note(sums, holdDeposit(deposit, said, order.nowMs), `Deposit ${short(reference)}`, find);
		if (said && !isProblem(said) && said.state === "monthly") await holdMonths(order, sums, said.months, find);
	});
	return sayGone(gone, "deposits", find);
}

/** Months that were paid and that no deposit here is of yet. */
async function holdMonths(order: ReconcileOrder, sums: Tally, months: readonly string[], find: Find): Promise<void> {
	for (const month of months) {
		if (await order.ledger.record("references", referenceKey(sums.rail.name, month))) continue;
		const said = await ask(sums, () => sums.rail.deposit(month));
		const nothing = { came: undefined, state: "waiting" } as const;
		if (said) note(sums, holdDeposit(nothing, said, order.nowMs - MONTHLY_LOOK_MS), `Month ${short(month)}`, find);
	}
}

async function holdPayouts(order: ReconcileOrder, watched: Map<string, Tally>, find: Find): Promise<number> {
	const gone = new Map<string, number>();
	await eachRow(order.ledger, "payouts", PAYOUT_STATES, async (row) => {
		const payout = readPayout(row);
		const sums = watched.get(payout.rail);
		const { course, terms } = payout;
		if (!sums) {
			if (course.paid) gone.set(payout.rail, (gone.get(payout.rail) ?? 0) + 1);
			return;
		}
		if (course.paid && terms) {
			sums.payouts += 1;
			sums.wentOut += terms.amount + course.paid.fee;
			const bill = billOfPayout(payout);
			sums.nanos -= bill ? leftOf(bill) : 0n;
		}
		if (!terms || payout.to === undefined || paidBefore(payout, order.sinceMs)) return;
		const said = await ask(sums, () => sums.rail.payment(orderOf(payout)));
		const worth = inUnit(sums.rail.unit, terms.amount);
		if (said) note(sums, holdPayout(payout, said), `Payout ${payout.id.slice(0, 8)} of ${worth}`, find);
	});
	return sayGone(gone, "payouts", find);
}

function sayGone(gone: ReadonlyMap<string, number>, what: string, find: Find): number {
	for (const [rail, count] of gone)
		find(rail, {
			explained: false,
			says: `This rail is not set up here now: its ${count} ${what} are held against nothing.`,
		});
	return gone.size;
}

/** Asks a rail, and once it failed too often, no more. */
async function ask<Answer>(
	sums: Tally,
	question: () => Promise<Answer | Problem>,
): Promise<Answer | Problem | undefined> {
	if (sums.fails >= FAILS_MAX) return undefined;
	const said = await question();
	if (isProblem(said)) sums.fails += 1;
	return said;
}

function note(sums: Tally, held: Held | undefined, what: string, find: Find): void {
	if (!held) return;
	sums.more += held.more ?? 0n;
	sums.less += held.less ?? 0n;
	find(sums.rail.name, { ...held, says: `${what}: ${held.says}` });
}

function endedBefore({ state, came, startedMs }: Deposit, sinceMs: number): boolean {
	return (state === "credited" || state === "ended") && (came?.atMs ?? startedMs) < sinceMs;
}

function paidBefore({ course, askedAtMs }: Payout, sinceMs: number): boolean {
	return (course.state === "sent" || course.state === "failed") && (course.paid?.atMs ?? askedAtMs) < sinceMs;
}

/** Every record of a table, a page at a time, some of them side by side. */
async function eachRow(
	ledger: LedgerReads,
	table: RecordTable,
	states: readonly string[],
	look: (row: RecordRow) => Promise<void>,
): Promise<void> {
	for (const of of states) {
		let last: RecordRow | undefined;
		do {
			const from: { after?: string } = last ? { after: last.key } : {};
			const page: RecordRow[] = await ledger.records({ table, by: "state", of, limit: PAGE, ...from });
			for (let i = 0; i < page.length; i += ASKED_MAX) await Promise.all(page.slice(i, i + ASKED_MAX).map(look));
			last = page.at(-1);
		} while (last);
	}
}

/** What the rail says it holds against what should be there. */
async function holdBalance(sums: Tally, own: bigint, find: Find): Promise<RailSums> {
	const { rail, deposits, payouts, cameIn, wentOut } = sums;
	const said = await rail.balance();
	const provider = isProblem(said) ? undefined : said;
	if (isProblem(said)) find(rail.name, { explained: false, says: `What it holds could not be asked: ${said.detail}` });
	const stake = provider?.stake ?? 0n;
	if (stake > 0n)
		find(rail.name, {
			explained: true,
			says: `${inUnit(rail.unit, stake)} of what it holds were there before anything moved.`,
		});
	const there = provider && provider.spendable + provider.pending - stake;
	const beyond = there === undefined ? undefined : there - (cameIn - wentOut + own);
	if (beyond !== undefined) {
		const held = explainBalance(sums, beyond);
		if (held) find(rail.name, held);
	}
	return { rail: rail.name, unit: rail.unit, deposits, payouts, cameIn, wentOut, own, provider, beyond };
}

function explainBalance({ rail, more, less, ...sums }: Tally, beyond: bigint): Held | undefined {
	const { unit, world } = rail;
	if (beyond === 0n) return undefined;
	const size = inUnit(unit, beyond < 0n ? -beyond : beyond);
	const says = `It holds ${size} ${beyond > 0n ? "more" : "less"} than our movements leave there`;
	if (-less <= beyond && beyond <= more)
		return { explained: true, says: `${says}, which is what the differences above come to.` };
	const rounding = unit === "msat" ? BigInt(sums.deposits + sums.payouts) * SATOSHI_MSAT : 0n;
	if (-less - rounding < beyond && beyond < more + rounding)
		return { explained: true, says: `${says}: rounding, less than a satoshi for each movement.` };
	const fee = world === "world:lightning" ? CHANNEL_FEE_MSAT : 0n;
	if (-less - fee <= beyond && beyond <= more + fee)
		return { explained: true, says: `${says}: no more than a channel's own fee, which moves with the network's.` };
	return beyond > 0n
		? { explained: false, says: `${says}: money that nobody started here. If it is your own, --accept says so.` }
		: { explained: false, says: `${says}: money left that no payout sent. If you took it yourself, --accept says so.` };
}

/** An amount in a rail's unit, for people. */
export function inUnit(unit: RailUnit, units: bigint): string {
	if (unit === "msat") return `${units} msat`;
	return formatDollars((unit === "cent" ? units * 10_000_000n : units) as Amount);
}

function short(reference: string): string {
	return reference.length > 16 ? `${reference.slice(0, 16)}...` : reference;
}
