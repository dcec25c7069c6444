/** Where the money is when a soak is over: every nano-dollar of every person, on the market's own books. */

import { isProblem } from "#contracts/problem";
import { auditFile } from "#marketplace/ledger/sqlite";
import { checkPayouts } from "#marketplace/payout/check";
import { checkTabs } from "#marketplace/tab/check";
import type { Client } from "#sdk/client";

export type Reckoning = {
	/** Nano-dollars that are not where they should be, all differences added up without their sign. */
	readonly unaccounted: bigint;
	/** Payload bytes that operators were paid for. */
	readonly paidBytes: bigint;
	readonly notes: readonly string[];
};

const distance = (a: bigint, b: bigint) => (a > b ? a - b : b - a);

/** Ends every tab and adds up: what people paid in is what they have, what is held, what operators earned and both fees. */
export async function reckon(
	people: readonly Client[],
	operator: Client,
	ledger: string,
	fundedNanos: bigint,
): Promise<Reckoning> {
	const notes: string[] = [];
	let [unaccounted, paidBytes, operators] = [0n, 0n, 0n];
	for (const client of people) {
		for (const { closed, dispute } of await client.settle()) {
			// the money of a tab that is not closed in agreement comes back at its deadline: it counts as held
			if (isProblem(closed)) notes.push(`a tab is not closed: ${closed.problem}, ${closed.detail}`);
			if (dispute) notes.push(`a tab ended in dispute: ${dispute.problem}, ${dispute.detail}`);
		}
		let [own, held] = [0n, 0n];
		for (const tab of await tabsOf(client)) {
			const nanos = BigInt(tab.paid.nanos);
			const used = nanos + BigInt(tab.paid.marketFee) + BigInt(tab.paid.solidarityFee);
			own += used;
			operators += nanos;
			paidBytes += BigInt(tab.paid.bytes);
			if (tab.state !== "closed") held += BigInt(tab.reserved) - used;
			else unaccounted += distance(BigInt(tab.reserved), used + BigInt(tab.returned ?? 0));
		}
		unaccounted += distance(fundedNanos, (await client.balance()) + own + held);
	}
	const { earned } = await operator.market.api.operator.earnings.query();
	unaccounted += distance(BigInt(earned), operators);
	const audit = await auditFile(ledger, [checkTabs, checkPayouts]);
	if (isProblem(audit)) throw new Error(audit.detail);
	unaccounted += distance(audit.sum, 0n);
	if (!audit.holds) notes.push(...audit.findings);
	return { unaccounted, paidBytes, notes };
}

const PAGE = 200;

async function tabsOf(client: Client) {
	const { tabs } = await client.market.api.tab.list.query({ limit: PAGE });
	// nobody opens so many in a soak; if they did, some of their money would be left out
	if (tabs.length === PAGE) throw new Error("somebody has more tabs than are read");
	return tabs;
}
