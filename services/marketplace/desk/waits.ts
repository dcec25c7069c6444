/**
 * An operator's first subsidised earnings wait for fourteen days (everyone.md, "Time"): what funds pay on a tab that was opened while it was new. The wait ends in
 * payment, or in a finding that the operator sees and can answer (case.ts): while that is open they wait on, and when it stands the money is its fund's again.
 */

import { type Amount, amount, NOTHING } from "#contracts/amount";
import type { Change, RecordRow, RowChange } from "#marketplace/ledger/book";
import { COMMONS, earnedAccount, MARKET_FEES, poolAccount, waitingAccount } from "#marketplace/ledger/chart";
import { move, type Part } from "#marketplace/ledger/post";
import type { Market } from "#marketplace/market";
import { readPool, writePool } from "#marketplace/pool/pool";
import { ownOf } from "#marketplace/tab/fresh";
import { billed, fundOf, readTab, type Tab, writeTab } from "#marketplace/tab/tab";
import { type Case, isHolding, isPausing } from "./case.ts";
import { casesOf } from "./cases.ts";

/** How long: fraud by one's own relay is seen within two weeks of it, by readers' totals, canaries and what payers have in common. */
export const FIRST_WAIT_MS = 14 * 86_400_000;

const PAGE = 100;

/** The record by which a tab's wait is found when it is over. */
export function waitOf(tab: Pick<Tab, "tab" | "operator" | "grant">): RowChange {
	const dueMs = tab.grant.expiresAtMs + FIRST_WAIT_MS;
	return {
		table: "late",
		expect: 0,
		row: { key: `first:${tab.tab}`, account: tab.operator, state: "first", dueMs, value: "" },
	};
}

type Parts = Pick<Market, "book" | "clock">;

/** Ends the waits that are over; how many. `judge` looks at an operator before it is paid. What somebody else changed meanwhile is left for the next round. */
export async function releaseFirst(
	{ book, clock }: Parts,
	judge: (operator: string) => Promise<void> = async () => {},
): Promise<number> {
	const nowMs = clock.nowMs();
	const known = new Map<string, readonly Case[]>();
	let ended = 0;
	let after: RecordRow | undefined;
	do {
		const page: RecordRow[] = await book.records({
			...{ table: "late", by: "due", state: "first", beforeMs: nowMs + 1, limit: PAGE },
			...(after && { after }),
		});
		for (const record of page) {
			const { account: operator } = record;
			if (!known.has(operator)) {
				await judge(operator);
				known.set(operator, await casesOf(book, operator));
			}
			const row = await book.tab(record.key.slice("first:".length));
			if (!row) throw new Error(`earnings wait by a tab that is not there: ${record.key}`);
			const change = await endWait(book, record, readTab(row), known.get(operator) ?? [], nowMs);
			const [outcome] = change ? await book.apply([change]) : [];
			if (outcome === "applied") ended += 1;
		}
		after = page.at(-1);
	} while (after);
	return ended;
}

/** How a wait ends now; undefined while it does not. */
async function endWait(
	book: Market["book"],
	record: RecordRow,
	tab: Tab,
	cases: readonly Case[],
	nowMs: number,
): Promise<Change | undefined> {
	// what can still be redeemed waits with the rest
	if (tab.state !== "closed" || cases.some(isHolding)) return undefined;
	const { key, account, version } = record;
	const done: RowChange = {
		table: "late",
		expect: version,
		row: { key, account, state: "done", dueMs: nowMs, value: "" },
	};
	const bill = billed(tab);
	const nanos = amount(bill.ask - ownOf(bill));
	// while one stands funds open nothing new here, so it is about all that waits
	const stands = cases.some(isPausing);
	const from: Part[] = [{ account: waitingAccount(tab.operator), nanos }];
	if (!stands) {
		const label = { id: `first:${tab.tab}`, cause: `Waited for: tab ${tab.tab}`, atMs: nowMs };
		const transfer = move(label, from, [{ account: earnedAccount(tab.operator), nanos }]);
		return { transfer, rows: [writeTab({ ...tab, waits: false }), done] };
	}
	const { to, rows } = await fundsOf(book, tab);
	const back = to.reduce((sum, part) => sum + part.nanos, 0n);
	const label = { id: `forfeit:${tab.tab}`, cause: `Back to its fund by a finding: tab ${tab.tab}`, atMs: nowMs };
	// with the market's fee on it: the market earns nothing by what was no honest traffic
	const transfer = move(label, [...from, { account: MARKET_FEES, nanos: amount(back - nanos) }], to);
	return { transfer, rows: [writeTab({ ...tab, waits: false, forfeited: nanos }), done, ...rows] };
}

/** To which funds what they paid goes back. A pool that has ended has no account any more: the commons have it then. */
async function fundsOf(book: Market["book"], tab: Tab): Promise<{ readonly to: Part[]; readonly rows: RowChange[] }> {
	const to: Part[] = [];
	const rows: RowChange[] = [];
	for (const { tranche, rest } of billed(tab).parts) {
		if (tranche.fund === "own" || rest === NOTHING) continue;
		const row = tranche.fund === "pool" ? await book.record("pools", fundOf(tranche)) : undefined;
		const pool = row && readPool(row);
		if (!pool || pool.state === "ended") to.push({ account: COMMONS, nanos: rest });
		else {
			to.push({ account: poolAccount(pool.pool), nanos: rest });
			// in its report it has come to the pool, for what was paid stays as it was
			const came: Amount = amount(pool.flows.came + rest);
			rows.push(writePool({ ...pool, flows: { ...pool.flows, came } }));
		}
	}
	return { to, rows };
}
