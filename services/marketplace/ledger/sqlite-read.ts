/** What is read from the ledger's tables: by the writer's thread for its callers, and by an audit from any process. */

import type { DatabaseSync } from "node:sqlite";
import { checkDatabase } from "#host/database";
import type { Source } from "./audit.ts";
import {
	type Balance,
	goneBefore,
	LIST_MAX,
	type RecordQuery,
	type RecordRow,
	type RecordTable,
	type TabQuery,
	type TabRow,
} from "./book.ts";
import type { Pruning } from "./pruning.ts";
import type { Entry, KeptTransfer } from "./transfer.ts";

type Row = Record<string, unknown>;

const TRANSFER = "SELECT position, id, cause, atMs, digest FROM transfers";
const TAB = "SELECT tab, version, account, relay, state, deadlineMs, value FROM tabs";
const RECORD = "SELECT kind, key, version, account, state, dueMs, value FROM records";

/** The reads of a book, over a connection that gives integers as bigint. */
export function reader(database: DatabaseSync) {
	const balanceOf = database.prepare("SELECT balance FROM accounts WHERE name = ?");
	const transferOf = database.prepare(`${TRANSFER} WHERE id = ?`);
	const transfersOf = database.prepare(
		`${TRANSFER} WHERE position IN (SELECT transfer FROM entries
			WHERE account = (SELECT id FROM accounts WHERE name = ?) AND transfer > ? ORDER BY transfer LIMIT ?)
		ORDER BY position`,
	);
	const entriesOf = database.prepare(
		"SELECT name, nanos FROM entries JOIN accounts ON accounts.id = entries.account WHERE transfer = ? ORDER BY n",
	);
	const transfersAfter = database.prepare(`${TRANSFER} WHERE position > ? ORDER BY position LIMIT ?`);
	const carriedBy = database.prepare(
		"SELECT balance FROM carried WHERE account = (SELECT id FROM accounts WHERE name = ?)",
	);
	const countAll = database.prepare("SELECT count(*) AS n FROM transfers");
	const tabOf = database.prepare(`${TAB} WHERE tab = ?`);
	const tabsOf = {
		account: database.prepare(`${TAB} WHERE account = ? AND tab > ? ORDER BY tab LIMIT ?`),
		relay: database.prepare(`${TAB} WHERE relay = ? AND tab > ? ORDER BY tab LIMIT ?`),
	};
	const tabsDue = database.prepare(
		`${TAB} WHERE state = ? AND deadlineMs < ? AND (deadlineMs, tab) > (?, ?) ORDER BY deadlineMs, tab LIMIT ?`,
	);

	const recordOf = database.prepare(`${RECORD} WHERE kind = ? AND key = ?`);
	const recordsOf = {
		account: database.prepare(`${RECORD} WHERE kind = ? AND account = ? AND key > ? ORDER BY key LIMIT ?`),
		state: database.prepare(`${RECORD} WHERE kind = ? AND state = ? AND key > ? ORDER BY key LIMIT ?`),
	};
	const recordsDue = database.prepare(
		`${RECORD} WHERE kind = ? AND state = ? AND dueMs < ? AND (dueMs, key) > (?, ?) ORDER BY dueMs, key LIMIT ?`,
	);

	const withEntries = (row: Row): KeptTransfer => {
		const entries = (entriesOf.all(row.position as bigint) as Row[]).map(
			(entry): Entry => ({ account: entry.name as string, nanos: entry.nanos as bigint }),
		);
		return readTransfer(row, entries);
	};

	return {
		balances: (accounts: readonly string[]): bigint[] =>
			accounts.map((account) => (balanceOf.get(account)?.balance as bigint | undefined) ?? 0n),
		transfer: (id: string): KeptTransfer | undefined => {
			const row = transferOf.get(id);
			return row && withEntries(row);
		},
		transfers: ({ account, after, limit }: { account: string; after: number; limit: number }): KeptTransfer[] =>
			transfersOf.all(account, after, Math.min(limit, LIST_MAX)).map(withEntries),
		count: (): number => Number(countAll.get()?.n),
		history: ({ after, limit }: { after: number; limit: number }): KeptTransfer[] =>
			transfersAfter.all(after, Math.min(limit, LIST_MAX)).map(withEntries),
		pruned: (): Pruning | undefined => lastPruning(database),
		carried: (accounts: readonly string[]): (bigint | undefined)[] =>
			accounts.map((account) => carriedBy.get(account)?.balance as bigint | undefined),
		tab: (tab: string): TabRow | undefined => {
			const row = tabOf.get(tab);
			return row && readTab(row);
		},
		tabs: (query: TabQuery): TabRow[] => {
			const limit = Math.min(query.limit, LIST_MAX);
			if (query.by !== "deadline") return tabsOf[query.by].all(query.of, query.after ?? "", limit).map(readTab);
			const after = query.after ?? { deadlineMs: Number.MIN_SAFE_INTEGER, tab: "" };
			return tabsDue.all(query.state, query.beforeMs, after.deadlineMs, after.tab, limit).map(readTab);
		},
		record: ({ table, key }: { table: RecordTable; key: string }): RecordRow | undefined => {
			const row = recordOf.get(table, key);
			return row && readRecord(row);
		},
		records: (query: RecordQuery): RecordRow[] => {
			const limit = Math.min(query.limit, LIST_MAX);
			if (query.by !== "due")
				return recordsOf[query.by].all(query.table, query.of, query.after ?? "", limit).map(readRecord);
			const { table, state, beforeMs, after = { dueMs: Number.MIN_SAFE_INTEGER, key: "" } } = query;
			return recordsDue.all(table, state, beforeMs, after.dueMs, after.key, limit).map(readRecord);
		},
	};
}

/**
 * All balances after the transfer `at` (the last one when left out), by name, in pages. The caller holds a read transaction, and takes what `since` gives out of the pages:
 * what moved later, by an account's number, an entry at a time, so that going back far holds nobody up.
 */
export function readBalances(
	database: DatabaseSync,
	at?: number,
): {
	readonly position: number;
	readonly since: Iterable<{ readonly account: bigint; readonly nanos: bigint }>;
	readonly pages: Iterable<(Balance & { readonly number: bigint })[]>;
} {
	const last = Number(database.prepare("SELECT coalesce(max(position), 0) AS last FROM transfers").get()?.last);
	const position = at ?? last;
	const upTo = lastPruning(database)?.upTo ?? 0;
	if (position < upTo) throw goneBefore(upTo);
	const since = database.prepare("SELECT account, nanos FROM entries WHERE transfer > ?");
	const all = database.prepare("SELECT id AS number, name AS account, balance FROM accounts ORDER BY name");
	function* pages(): Generator<(Balance & { number: bigint })[]> {
		let page: (Balance & { number: bigint })[] = [];
		for (const row of all.iterate() as Iterable<Balance & { number: bigint }>) {
			page.push(row);
			if (page.length < LIST_MAX) continue;
			yield page;
			page = [];
		}
		if (page.length > 0) yield page;
	}
	return { position, since: since.iterate(position) as Iterable<never>, pages: pages() };
}

/** All of a ledger as an audit wants it. The caller holds a read transaction, so that it is all of one moment. */
export function readForAudit(database: DatabaseSync): Source {
	const everything = database.prepare(
		`SELECT position, transfers.id, cause, atMs, digest, entries.account AS number, name, nanos FROM transfers
		LEFT JOIN entries ON entries.transfer = transfers.position LEFT JOIN accounts ON accounts.id = entries.account
		ORDER BY position, n`,
	);
	const accounts = database.prepare("SELECT name AS account, balance FROM accounts ORDER BY name");
	const strays = database.prepare(
		"SELECT transfer, count(*) AS n FROM entries WHERE transfer NOT IN (SELECT position FROM transfers) GROUP BY transfer",
	);
	const wrongFloors = database.prepare("SELECT name FROM accounts WHERE floor <> 0 AND substr(name, 1, 6) <> 'world:'");
	const prunings = database.prepare(`${PRUNING} ORDER BY upTo`);
	const carried = database.prepare(CARRIED);
	return {
		*prunings() {
			for (const row of prunings.iterate()) yield readPruning(row);
		},
		carried: () => carried.iterate() as Iterable<never>,
		*transfers() {
			let current: Row | undefined;
			let entries: Entry[] = [];
			for (const row of everything.iterate()) {
				if (current && current.position !== row.position) {
					yield readTransfer(current, entries);
					entries = [];
				}
				current = row;
				if (row.nanos === null) continue;
				entries.push({ account: (row.name as string | null) ?? `number ${row.number}`, nanos: row.nanos as bigint });
			}
			if (current) yield readTransfer(current, entries);
		},
		accounts: () => accounts.iterate() as Iterable<never>,
		*tabs() {
			// a statement each time: a check may walk through them while another walk is under way
			for (const row of database.prepare(`${TAB} ORDER BY tab`).iterate()) yield readTab(row);
		},
		*records(table) {
			for (const row of database.prepare(`${RECORD} WHERE kind = ? ORDER BY key`).iterate(table)) yield readRecord(row);
		},
		*oddities() {
			const pages = checkDatabase(database);
			if (pages) yield `The file itself is not whole: ${pages.detail}.`;
			for (const row of strays.iterate())
				yield `${row.n} entries belong to transfer ${row.transfer}, which is missing.`;
			for (const row of wrongFloors.iterate()) yield `Account ${row.name} was given leave to owe.`;
		},
	};
}

function readTransfer(row: Row, entries: Entry[]): KeptTransfer {
	return {
		id: row.id as string,
		cause: row.cause as string,
		entries,
		atMs: Number(row.atMs),
		position: Number(row.position),
		digest: row.digest as string,
	};
}

const PRUNING = "SELECT since, upTo, atMs, chain, carried FROM prunings";

/** What accounts carry on, by name. */
export const CARRIED =
	"SELECT name AS account, carried.balance, gone FROM carried JOIN accounts ON accounts.id = carried.account ORDER BY name";

/** The newest pruning. */
export function lastPruning(database: DatabaseSync): Pruning | undefined {
	const row = database.prepare(`${PRUNING} ORDER BY upTo DESC LIMIT 1`).get();
	return row && readPruning(row);
}

function readPruning(row: Row): Pruning {
	const [since, upTo, atMs] = [row.since, row.upTo, row.atMs].map(Number) as [number, number, number];
	return { since, upTo, atMs, chain: row.chain as string, carried: row.carried as string };
}

function readTab(row: Row): TabRow {
	return {
		tab: row.tab as string,
		version: Number(row.version),
		account: row.account as string,
		relay: row.relay as string,
		state: row.state as string,
		deadlineMs: Number(row.deadlineMs),
		value: row.value as string,
	};
}

function readRecord(row: Row): RecordRow {
	return {
		table: row.kind as RecordTable,
		key: row.key as string,
		version: Number(row.version),
		account: row.account as string,
		state: row.state as string,
		dueMs: Number(row.dueMs),
		value: row.value as string,
	};
}
