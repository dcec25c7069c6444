/**
 * The book in plain maps: the oracle that the SQLite engine is compared with, and the book of tests. It keeps nothing when the
 * process ends.
 */

import { AMOUNT_MAX } from "#contracts/amount";
import type { Problem } from "#contracts/problem";
import { audit, type Source } from "./audit.ts";
import {
	type Book,
	CHANGES_MAX,
	type Change,
	faultOfRow,
	fullOf,
	goneBefore,
	LIST_MAX,
	type Most,
	nameOfRow,
	type Outcome,
	prunedMeanwhile,
	type RecordRow,
	type RowChange,
	type TabRow,
} from "./book.ts";
import { floorOf } from "./chart.ts";
import { type Carried, carriedDigest, isKeptWhole, type Pruning, type Slice } from "./pruning.ts";
import { digestOf, faultOf, type KeptTransfer } from "./transfer.ts";

/** An empty book in memory. */
export function openMemoryBook(): Book {
	const balances = new Map<string, bigint>();
	const transfers: KeptTransfer[] = [];
	const byId = new Map<string, KeptTransfer>();
	const tabs = new Map<string, TabRow>();
	/** by table and key, which holds no blank */
	const records = new Map<string, RecordRow>();
	const prunings: Pruning[] = [];
	const carried = new Map<string, Carried>();
	const carriedByName = (): Carried[] => [...carried.values()].sort((a, b) => (a.account < b.account ? -1 : 1));

	/** Decides first and writes last, so that a refused change leaves nothing. */
	function applyOne({ transfer, rows = [] }: Change): Outcome {
		const fault = (transfer && faultOf(transfer)) ?? rows.map(faultOfRow).find((found) => found !== undefined);
		if (fault) return fault;
		const digest = transfer ? digestOf(transfer) : "";
		if (transfer) {
			const before = byId.get(transfer.id);
			if (before) {
				if (before.digest === digest) return "same";
				return { refused: "conflict", detail: `The id ${transfer.id} was used for another transfer.` };
			}
			for (const { account, nanos } of transfer.entries) {
				const after = (balances.get(account) ?? 0n) + nanos;
				if (after < floorOf(account) || after > AMOUNT_MAX) {
					return { refused: "overdraft", detail: `${account} cannot take ${nanos} nano-dollars.` };
				}
			}
		}
		const writtenTabs = new Map<string, TabRow>();
		const writtenRecords = new Map<string, RecordRow>();
		const rowsNow = (table: RowChange["table"]): Row[] =>
			table === "tabs"
				? [...new Map([...tabs, ...writtenTabs]).values()]
				: [...new Map([...records, ...writtenRecords]).values()].filter((row) => row.table === table);
		for (const change of rows) {
			const { expect } = change;
			const version = expect + 1;
			let before: { version: number } | undefined;
			if (change.table === "tabs") {
				const { row } = change;
				before = writtenTabs.get(row.tab) ?? tabs.get(row.tab);
				writtenTabs.set(row.tab, { ...row, version });
			} else {
				const { table, row } = change;
				const name = `${table} ${row.key}`;
				before = writtenRecords.get(name) ?? records.get(name);
				writtenRecords.set(name, { ...row, table, version });
			}
			if ((before?.version ?? 0) !== expect) {
				return { refused: "stale", detail: `${nameOfRow(change)} is not at version ${expect}.` };
			}
			if (change.most && !hasRoom(change.most, change.row.account, rowsNow(change.table))) return fullOf(change);
		}
		if (transfer) {
			const kept = { ...structuredClone(transfer), position: transfers.length + 1, digest };
			transfers.push(kept);
			byId.set(transfer.id, kept);
			for (const { account, nanos } of transfer.entries) balances.set(account, (balances.get(account) ?? 0n) + nanos);
		}
		for (const [tab, row] of writtenTabs) tabs.set(tab, row);
		for (const [name, row] of writtenRecords) records.set(name, row);
		return "applied";
	}

	function prune(slice: Slice): number | Problem {
		if (slice.since !== (prunings.at(-1)?.upTo ?? 0)) return prunedMeanwhile();
		let gone = 0;
		for (let at = slice.since; at < slice.upTo; at++) {
			const kept = transfers[at] as KeptTransfer;
			const goes = !isKeptWhole(kept.entries);
			for (const { account, nanos } of kept.entries) {
				const before = carried.get(account) ?? { account, balance: 0n, gone: 0n };
				carried.set(account, {
					account,
					balance: before.balance + nanos,
					gone: before.gone + (goes ? nanos : 0n),
				});
			}
			if (!goes) continue;
			gone += kept.entries.length;
			transfers[at] = { ...kept, entries: [] };
			byId.set(kept.id, transfers[at] as KeptTransfer);
		}
		const digest = carriedDigest();
		for (const one of carriedByName()) digest.take(one);
		prunings.push({ ...slice, carried: digest.digest() });
		return gone;
	}

	const source: Source = {
		transfers: () => transfers,
		accounts: () => Array.from(balances, ([account, balance]) => ({ account, balance })),
		tabs: () => tabs.values(),
		records: (table) => [...records.values()].filter((row) => row.table === table),
		prunings: () => prunings,
		carried: carriedByName,
		oddities: () => [],
	};

	return {
		apply: async (changes) => {
			if (changes.length > CHANGES_MAX) throw new RangeError("too many changes in one call");
			return changes.map(applyOne);
		},
		balance: async (account) => balances.get(account) ?? 0n,
		balances: async (accounts) => {
			if (accounts.length > LIST_MAX) throw new RangeError("too many accounts in one call");
			return accounts.map((account) => balances.get(account) ?? 0n);
		},
		eachBalance: async (take, at = transfers.length) => {
			const upTo = prunings.at(-1)?.upTo ?? 0;
			if (at < upTo) throw goneBefore(upTo);
			const then = new Map(balances);
			for (const { entries } of transfers.slice(at))
				for (const { account, nanos } of entries) then.set(account, (then.get(account) ?? 0n) - nanos);
			const all = Array.from(then, ([account, balance]) => ({ account, balance }));
			all.sort((a, b) => (a.account < b.account ? -1 : 1));
			for (let from = 0; from < all.length; from += LIST_MAX) await take(all.slice(from, from + LIST_MAX));
			return at;
		},
		transfer: async (id) => byId.get(id),
		transfers: async (account, after, limit) =>
			transfers
				.filter((kept) => kept.position > after && kept.entries.some((entry) => entry.account === account))
				.slice(0, Math.min(limit, LIST_MAX)),
		count: async () => transfers.length,
		history: async (after, limit) => transfers.slice(after, after + Math.min(limit, LIST_MAX)),
		pruned: async () => prunings.at(-1),
		carried: async (accounts) => accounts.map((account) => carried.get(account)?.balance),
		prune: async (slice) => prune(slice),
		tab: async (tab) => tabs.get(tab),
		tabs: async (query) => {
			const limit = Math.min(query.limit, LIST_MAX);
			const all = [...tabs.values()];
			if (query.by !== "deadline") {
				const { by, of, after = "" } = query;
				return all
					.filter((row) => row[by] === of && row.tab > after)
					.sort((a, b) => (a.tab < b.tab ? -1 : 1))
					.slice(0, limit);
			}
			const { state, beforeMs, after } = query;
			return all
				.filter((row) => row.state === state && row.deadlineMs < beforeMs && (!after || isLater(row, after)))
				.sort((a, b) => (isLater(a, b) ? 1 : -1))
				.slice(0, limit);
		},
		record: async (table, key) => records.get(`${table} ${key}`),
		records: async (query) => {
			const limit = Math.min(query.limit, LIST_MAX);
			const all = [...records.values()].filter((row) => row.table === query.table);
			if (query.by !== "due") {
				const { by, of, after = "" } = query;
				return all
					.filter((row) => row[by] === of && row.key > after)
					.sort((a, b) => (a.key < b.key ? -1 : 1))
					.slice(0, limit);
			}
			const { state, beforeMs, after } = query;
			return all
				.filter((row) => row.state === state && row.dueMs < beforeMs && (!after || isDueLater(row, after)))
				.sort((a, b) => (isDueLater(a, b) ? 1 : -1))
				.slice(0, limit);
		},
		audit: (checks, archive) => audit(source, checks, archive),
		close: async () => {},
	};
}

/** Whether rows, the new one among them, are no more than there may be. */
function hasRoom({ states, ofAccount, ofAll = Number.POSITIVE_INFINITY }: Most, account: string, rows: Row[]): boolean {
	const counted = rows.filter(({ state }) => states.includes(state));
	return counted.length <= ofAll && counted.filter((row) => row.account === account).length <= ofAccount;
}

type Row = { readonly account: string; readonly state: string };

function isLater(a: { deadlineMs: number; tab: string }, b: { deadlineMs: number; tab: string }): boolean {
	return a.deadlineMs > b.deadlineMs || (a.deadlineMs === b.deadlineMs && a.tab > b.tab);
}

function isDueLater(a: { dueMs: number; key: string }, b: { dueMs: number; key: string }): boolean {
	return a.dueMs > b.dueMs || (a.dueMs === b.dueMs && a.key > b.key);
}
