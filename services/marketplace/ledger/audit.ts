/**
 * Proves a book from its entries, trusting no balance and no sum that is stored: run by `farelay audit` on a live database, and
 * by every test that touches money. What is wrong is said in plain words.
 */

import type { RecordRow, RecordTable, TabRow } from "./book.ts";
import { floorOf, isAccountName } from "./chart.ts";
import { openPast } from "./history.ts";
import type { Carried, Pruning } from "./pruning.ts";
import { digestOf, type KeptTransfer } from "./transfer.ts";

/** Things one after the other: from the disk of this machine, or from a database elsewhere. */
type Each<T> = Iterable<T> | AsyncIterable<T>;

/** What is audited, all at one moment. */
export type Source = {
	/** every transfer with its entries, by position */
	transfers(): Each<KeptTransfer>;
	/** every account with its stored balance, in nano-dollars */
	accounts(): Each<{ readonly account: string; readonly balance: bigint }>;
	tabs(): Each<TabRow>;
	records(table: RecordTable): Each<RecordRow>;
	/** what was pruned, in order */
	prunings(): Each<Pruning>;
	/** what accounts carry on from what was pruned, by name */
	carried(): Each<Carried>;
	/** what only the engine can see, in plain words: entries of no transfer, damaged pages */
	oddities(): Each<string>;
};

/** What a further check may look at, with `for await`. */
export type Facts = {
	tabs(): Each<TabRow>;
	records(table: RecordTable): Each<RecordRow>;
	/** what an account's entries sum to */
	balanceOf(account: string): bigint;
};

/** A check of another room (a tab never pays more than its cap): says in plain words what is wrong, once for each thing. */
export type Check = (facts: Facts) => Each<string>;

/** What an audit found. */
export type AuditReport = {
	/** nothing is wrong */
	readonly holds: boolean;
	readonly transfers: number;
	/** up to which transfer it is pruned; 0 where nothing was */
	readonly prunedTo: number;
	readonly entries: number;
	readonly accounts: number;
	readonly tabs: number;
	/** of all entries, in nano-dollars: zero when it holds */
	readonly sum: bigint;
	/** the first {@link FINDINGS_MAX} things that are wrong */
	readonly findings: readonly string[];
	/** all of them */
	readonly findingsTotal: number;
};

/** Nobody reads more; a book that is wrong everywhere must not fill the memory. */
export const FINDINGS_MAX = 100;

/** Transfers looked at before others get a turn: about 10 ms. */
const SLICE = 1_000;

/** Audits a source, with its archive if that folder is given; gives way to other work between slices. */
export async function audit(source: Source, checks: readonly Check[] = [], archive?: string): Promise<AuditReport> {
	const findings: string[] = [];
	const sums = new Map<string, bigint>();
	const count = { transfers: 0, entries: 0, accounts: 0, tabs: 0, findings: 0 };
	const find = (says: string): void => {
		count.findings += 1;
		if (findings.length < FINDINGS_MAX) findings.push(says);
	};

	for await (const says of source.oddities()) find(says);

	const past = await openPast(source, archive, find);
	let sum = 0n;
	for (const [account, gone] of past.gone) {
		sums.set(account, gone);
		sum += gone;
	}
	for await (const transfer of source.transfers()) {
		count.transfers += 1;
		count.entries += transfer.entries.length;
		let own = 0n;
		for (const { account, nanos } of transfer.entries) {
			own += nanos;
			sums.set(account, (sums.get(account) ?? 0n) + nanos);
		}
		sum += own;
		if (own !== 0n) find(`The entries of transfer ${transfer.id} sum to ${own} nano-dollars instead of zero.`);
		const isGone = transfer.position <= past.upTo && (await past.take(transfer));
		if (!isGone && digestOf(transfer) !== transfer.digest) {
			find(`Transfer ${transfer.id} is not what it was when it was made: its digest differs.`);
		}
		if (count.transfers % SLICE === 0) await new Promise(setImmediate);
	}
	await past.end();
	if (sum !== 0n) find(`All entries together sum to ${sum} nano-dollars instead of zero.`);

	const known = new Set<string>();
	for await (const { account, balance } of source.accounts()) {
		count.accounts += 1;
		known.add(account);
		const entries = sums.get(account) ?? 0n;
		if (!isAccountName(account)) find(`There is an account "${account}" which the chart does not know.`);
		if (balance !== entries)
			find(`Account ${account} shows ${balance} nano-dollars, but its entries sum to ${entries}.`);
		if (balance < floorOf(account)) find(`Account ${account} is at ${balance} nano-dollars, below what it may hold.`);
		if (count.accounts % SLICE === 0) await new Promise(setImmediate);
	}
	for (const account of sums.keys()) {
		if (!known.has(account)) find(`There are entries of ${account}, which is not among the accounts.`);
	}

	for await (const _ of source.tabs()) count.tabs += 1;
	const facts: Facts = {
		tabs: () => source.tabs(),
		records: (table) => source.records(table),
		balanceOf: (account) => sums.get(account) ?? 0n,
	};
	for (const check of checks) {
		for await (const says of check(facts)) find(says);
		await new Promise(setImmediate);
	}
	return {
		holds: count.findings === 0,
		transfers: count.transfers,
		prunedTo: past.upTo,
		entries: count.entries,
		accounts: count.accounts,
		tabs: count.tabs,
		sum,
		findings,
		findingsTotal: count.findings,
	};
}
