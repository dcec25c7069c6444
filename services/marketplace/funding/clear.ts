/**
 * Clears fresh money where it is. What was spent first clears first: the person's tabs in the order they were opened, then the purse. What it had paid an operator moves
 * from waiting to earned, unless it waits on: everything of a payment that was taken back, and over twenty dollars from new payers to one operator.
 */

import { type Amount, add, amount, NOTHING, parseAmount, parseDollars } from "#contracts/amount";
import type { RowChange } from "#marketplace/ledger/book";
import { earnedAccount, freshAccount, payerAccount, waitingAccount } from "#marketplace/ledger/chart";
import { move, type Part } from "#marketplace/ledger/post";
import { clearedBy, sharesOf } from "#marketplace/tab/fresh";
import { readTab, type Tab, writeTab } from "#marketplace/tab/tab";
import { type Step, write } from "./decide.ts";
import type { Backed } from "./deposit.ts";
import { creditFor } from "./exchange.ts";
import type { FundingMarket } from "./start.ts";

/** How long earnings wait that are taken for an attempt to carry stolen money out by one's own relay: banks decide by then. */
export const LATE_MS = 60 * 86_400_000;
/** How long a payer is new. */
const NEW_MS = 30 * 86_400_000;
/** From new payers, one operator earns this much in {@link LATE_MS} that does not wait longer than other card money. */
const NEW_NANOS_MAX: Amount = parseDollars("20") as Amount;

/** Tabs cleared in one change: each may pay an operator of its own, from one account to another. */
const TABS_MAX = 8;

/** The next part of a deposit's fresh money clears. `gone`: the payment itself was taken back, so what is on the purse is not of it. */
export async function clearTabs(market: FundingMarket, deposit: Backed, gone: boolean): Promise<Step> {
	const { account, came } = deposit;
	const nowMs = market.clock.nowMs();
	const tabs = (await freshTabsOf(market, account)).sort(
		(a, b) => a.grant.issuedAtMs - b.grant.issuedAtMs || (a.tab < b.tab ? -1 : 1),
	);
	const sinceMs = await payerSinceMs(market, account);
	const rows: RowChange[] = [];
	const waits = new Waits(market);
	const from: Part[] = [];
	const to: Part[] = [];
	let left: bigint = came.fresh;
	// of a payment that was taken back but for a rest, as much waits as was taken: else all but a cent of it would carry the same money out
	let taken: bigint = takenOf(deposit);
	for (const tab of tabs.slice(0, TABS_MAX)) {
		if (left === 0n) break;
		const part = amount(tab.fresh < left ? tab.fresh : left);
		left -= part;
		const isNew = tab.grant.issuedAtMs - sinceMs < NEW_MS;
		await waits.read(tab, nowMs);
		let isTaken = gone;
		const next = clearedBy(tab, part, (released) => {
			if (gone) return released;
			const ofTaken = released < taken ? released : amount(taken);
			taken -= ofTaken;
			isTaken = ofTaken > 0n;
			return add(ofTaken, isNew ? waits.over(tab.operator, amount(released - ofTaken)) : NOTHING);
		});
		const released = amount(sharesOf(next).earned - sharesOf(tab).earned);
		from.push({ account: waitingAccount(tab.operator), nanos: released });
		to.push({ account: earnedAccount(tab.operator), nanos: released });
		if (next.late > tab.late) rows.push(waits.lateRow(tab, (isTaken ? nowMs : came.atMs) + LATE_MS));
		rows.push(writeTab(next));
	}
	rows.push(...waits.tallies());
	const more = left > 0n && tabs.length > TABS_MAX;
	if (!more && !gone && left > 0n) {
		const purse = await market.book.balance(freshAccount(account));
		const nanos = amount(purse < left ? purse : left);
		from.push({ account: freshAccount(account), nanos });
		to.push({ account: payerAccount(account), nanos });
	}
	const fresh = more ? amount(left) : NOTHING;
	const label = {
		id: `clear:${deposit.quote.rail}:${deposit.reference}:${deposit.version}`,
		cause: `Cleared: a payment by ${deposit.quote.rail}`,
		atMs: nowMs,
	};
	const step = write(deposit, { came: { ...came, fresh }, dueMs: nowMs, fails: 0 });
	const change = { transfer: move(label, from, to), rows: [...(step.change?.rows ?? []), ...rows] };
	return { ...step, change, contended: true, more: true };
}

/** What was taken back of a payment that its owner did not want back. */
function takenOf({ came, quote }: Backed): Amount {
	const given = came.refund?.state === "sent" ? came.refund.units : 0n;
	const units = came.back > given ? came.back - given : 0n;
	return creditFor(quote.unit, units, quote.rate)?.credited ?? NOTHING;
}

async function freshTabsOf(market: FundingMarket, account: string): Promise<Tab[]> {
	const found: Tab[] = [];
	let after: string | undefined;
	for (;;) {
		const page = await market.book.tabs({ by: "account", of: account, limit: 500, ...(after && { after }) });
		for (const row of page) {
			const tab = readTab(row);
			if (tab.fresh > 0n) found.push(tab);
		}
		after = page.at(-1)?.tab;
		if (!after) return found;
	}
}

/** Since when somebody pays here. */
async function payerSinceMs({ book }: FundingMarket, account: string): Promise<number> {
	const first = await Promise.all(
		[payerAccount(account), freshAccount(account)].map((own) => book.transfers(own, 0, 1)),
	);
	return Math.min(...first.flat().map(({ atMs }) => atMs));
}

/** What waits on, as records: of each such tab until when, and of each operator what new payers' money it was not made to wait for. */
class Waits {
	readonly #market: FundingMarket;
	readonly #late = new Map<string, { readonly version: number; readonly untilMs: number }>();
	readonly #tallies = new Map<string, { version: number; sinceMs: number; released: bigint; changed: boolean }>();

	constructor(market: FundingMarket) {
		this.#market = market;
	}

	async read(tab: Tab, nowMs: number): Promise<void> {
		const { book } = this.#market;
		const late = await book.record("late", tab.tab);
		this.#late.set(tab.tab, { version: late?.version ?? 0, untilMs: late?.state === "late" ? late.dueMs : 0 });
		if (this.#tallies.has(tab.operator)) return;
		const row = await book.record("late", tab.operator);
		const old = !row || nowMs - row.dueMs >= LATE_MS;
		this.#tallies.set(tab.operator, {
			version: row?.version ?? 0,
			sinceMs: old ? nowMs : row.dueMs,
			released: old ? 0n : (parseAmount(row.value) ?? 0n),
			changed: false,
		});
	}

	/** What of so much is over the bound of its operator. */
	over(operator: string, nanos: Amount): Amount {
		const tally = this.#tallies.get(operator);
		if (!tally) throw new Error("an operator's tally was not read");
		const room = NEW_NANOS_MAX - tally.released;
		const within = nanos < room ? nanos : room;
		tally.released += within;
		tally.changed ||= within > 0n;
		return amount(nanos - within);
	}

	lateRow(tab: Tab, untilMs: number): RowChange {
		const before = this.#late.get(tab.tab) ?? { version: 0, untilMs: 0 };
		// what waits already waits no shorter for what comes to it
		const dueMs = Math.max(untilMs, before.untilMs);
		const row = { key: tab.tab, account: tab.operator, state: "late", dueMs, value: "" };
		return { table: "late", expect: before.version, row };
	}

	tallies(): RowChange[] {
		return [...this.#tallies].flatMap(([key, { version, sinceMs, released, changed }]) =>
			changed
				? [
						{
							table: "late" as const,
							expect: version,
							row: { key, account: key, state: "tally", dueMs: sinceMs, value: released.toString() },
						},
					]
				: [],
		);
	}
}
