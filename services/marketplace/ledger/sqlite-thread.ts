/** The ledger's side of the writer thread (`host/writer.ts`): applies changes and answers reads on one SQLite connection. */

import type { DatabaseSync, StatementSync } from "node:sqlite";
import { isProblem, type Problem } from "#contracts/problem";
import { isConstraint, openDatabase } from "#host/database";
import type { Opened } from "#host/writer";
import {
	type Change,
	faultOfRow,
	fullOf,
	type Most,
	nameOfRow,
	type Outcome,
	type RecordQuery,
	type RecordRow,
	type RecordTable,
	type RowChange,
	type TabQuery,
	type TabRow,
} from "./book.ts";
import { floorOf } from "./chart.ts";
import { Numbers } from "./numbers.ts";
import { LEDGER_KIND, LEDGER_MIGRATIONS } from "./schema.ts";
import { reader } from "./sqlite-read.ts";
import { digestOf, faultOf, type KeptTransfer, type Transfer } from "./transfer.ts";

/** What the thread is started with. */
export type LedgerOptions = { readonly path: string; readonly pagesMax?: number };

/** What may be asked of the thread. */
export type LedgerCalls = {
	apply(changes: readonly Change[]): Outcome[];
	balances(accounts: readonly string[]): bigint[];
	transfer(id: string): KeptTransfer | undefined;
	transfers(page: { account: string; after: number; limit: number }): KeptTransfer[];
	count(nothing: undefined): number;
	tab(tab: string): TabRow | undefined;
	tabs(query: TabQuery): TabRow[];
	record(name: { table: RecordTable; key: string }): RecordRow | undefined;
	records(query: RecordQuery): RecordRow[];
};

/** Opens the ledger's file in the thread. */
export function open(options: LedgerOptions): Opened | Problem {
	const database = openDatabase({ ...options, kind: LEDGER_KIND, migrations: LEDGER_MIGRATIONS, bigints: true });
	if (isProblem(database)) return database;
	const { apply, ...reads } = { apply: applier(database), ...reader(database) } satisfies LedgerCalls;
	return { database, writes: { apply }, reads };
}

type Refused = Exclude<Outcome, string>;

/** Applies changes one by one: a refused one is undone alone. */
function applier(database: DatabaseSync): LedgerCalls["apply"] {
	const save = database.prepare("SAVEPOINT change");
	const release = database.prepare("RELEASE change");
	const undo = database.prepare("ROLLBACK TO change");
	const insertTransfer = database.prepare(
		"INSERT INTO transfers (id, cause, atMs, digest) VALUES (?, ?, ?, ?) ON CONFLICT (id) DO NOTHING",
	);
	const digestOfId = database.prepare("SELECT digest FROM transfers WHERE id = ?");
	const moveByNumber = database.prepare("UPDATE accounts SET balance = balance + ? WHERE id = ? AND name = ?");
	const moveByName = database.prepare("UPDATE accounts SET balance = balance + ? WHERE name = ? RETURNING id");
	const insertAccount = database.prepare("INSERT INTO accounts (name, floor, balance) VALUES (?, ?, ?) RETURNING id");
	const insertEntry = database.prepare("INSERT INTO entries (transfer, n, account, nanos) VALUES (?, ?, ?, ?)");
	const insertTab = database.prepare(
		`INSERT INTO tabs (account, relay, state, deadlineMs, value, tab, version) VALUES (?, ?, ?, ?, ?, ?, ? + 1)
		ON CONFLICT (tab) DO NOTHING`,
	);
	// most changes are redemptions, which change the value alone: naming an indexed column would rewrite its index
	const updateValue = database.prepare(
		`UPDATE tabs SET value = ?, version = version + 1
		WHERE tab = ? AND version = ? AND account = ? AND relay = ? AND state = ? AND deadlineMs = ?`,
	);
	const updateTab = database.prepare(
		`UPDATE tabs SET account = ?, relay = ?, state = ?, deadlineMs = ?, value = ?, version = version + 1
		WHERE tab = ? AND version = ?`,
	);
	const insertRecord = database.prepare(
		`INSERT INTO records (account, state, dueMs, value, kind, key, version) VALUES (?, ?, ?, ?, ?, ?, ? + 1)
		ON CONFLICT (kind, key) DO NOTHING`,
	);
	const updateRecord = database.prepare(
		`UPDATE records SET account = ?, state = ?, dueMs = ?, value = ?, version = version + 1
		WHERE kind = ? AND key = ? AND version = ?`,
	);
	const numbers = new Numbers();
	const hasRoom = counter(database);

	return (changes) => {
		// A savepoint for each change costs more than the change (SQLite copies each page it touches), and refusals are rare:
		// one for all, and only if one has to be undone, all again with one for each.
		save.run();
		const outcomes: Outcome[] = [];
		for (const change of changes) {
			const outcome = applyOne(change);
			if (typeof outcome === "object") {
				undo.run();
				release.run();
				return changes.map(applyAlone);
			}
			outcomes.push(outcome);
		}
		release.run();
		return outcomes;
	};

	function applyAlone(change: Change): Outcome {
		save.run();
		const outcome = applyOne(change);
		if (typeof outcome === "object") undo.run();
		release.run();
		return outcome;
	}

	/** Leaves behind what it wrote before a refusal: whoever calls it undoes that. */
	function applyOne({ transfer, rows = [] }: Change): Outcome {
		const fault = (transfer && faultOf(transfer)) ?? rows.map(faultOfRow).find((found) => found !== undefined);
		return fault ?? (transfer && applyTransfer(transfer)) ?? applyRows(rows) ?? "applied";
	}

	function applyTransfer(transfer: Transfer): "same" | Refused | undefined {
		const { id, cause, atMs, entries } = transfer;
		const digest = digestOf(transfer);
		const { changes, lastInsertRowid: position } = insertTransfer.run(id, cause, atMs, digest);
		if (changes === 0n) {
			if (digestOfId.get(id)?.digest === digest) return "same";
			return { refused: "conflict", detail: `The id ${id} was used for another transfer.` };
		}
		for (const [n, { account, nanos }] of entries.entries()) {
			try {
				insertEntry.run(position, n, moveBalance(account, nanos), nanos);
			} catch (error) {
				// the CHECK on the balance, or the column's type when a sum passes 64 bits
				if (!isConstraint(error)) throw error;
				return { refused: "overdraft", detail: `${account} cannot take ${nanos} nano-dollars.` };
			}
		}
		return undefined;
	}

	/** Moves a balance and gives the account's number. A remembered number may have been undone since, so the name must fit it. */
	function moveBalance(account: string, nanos: bigint): number | bigint {
		const known = numbers.get(account);
		if (known !== undefined && moveByNumber.run(nanos, known, account).changes === 1n) return known;
		const row = moveByName.get(nanos, account) ?? insertAccount.get(account, floorOf(account), nanos);
		const number = row?.id as bigint;
		numbers.set(account, number);
		return number;
	}

	function applyRows(rows: readonly RowChange[]): Refused | undefined {
		for (const change of rows) {
			if (!writeRow(change))
				return { refused: "stale", detail: `${nameOfRow(change)} is not at version ${change.expect}.` };
			if (change.most && !hasRoom(change.most, change)) return fullOf(change);
		}
		return undefined;
	}

	function writeRow(change: RowChange): boolean {
		const { expect } = change;
		if (change.table !== "tabs") {
			const { key, account, state, dueMs, value } = change.row;
			const write = expect === 0 ? insertRecord : updateRecord;
			return write.run(account, state, dueMs, value, change.table, key, expect).changes === 1n;
		}
		const { tab, account, relay, state, deadlineMs, value } = change.row;
		if (expect === 0) return insertTab.run(account, relay, state, deadlineMs, value, tab, expect).changes === 1n;
		if (updateValue.run(value, tab, expect, account, relay, state, deadlineMs).changes === 1n) return true;
		return updateTab.run(account, relay, state, deadlineMs, value, tab, expect).changes === 1n;
	}
}

/** Tells whether rows, the new one among them, are as many as there may be. Counts through indexes, and no further than it must. */
function counter(database: DatabaseSync): (most: Most, change: RowChange) => boolean {
	const tabs = { all: "tabs WHERE state = ?", own: "tabs WHERE state = ? AND account = ?" };
	const records = {
		all: "records WHERE state = ? AND kind = ?",
		own: "records WHERE state = ? AND kind = ? AND account = ?",
	};
	const count = (rows: string) => database.prepare(`SELECT count(*) AS n FROM (SELECT 1 FROM ${rows} LIMIT ?)`);
	const ofTabs = { all: count(tabs.all), own: count(tabs.own) };
	const ofRecords = { all: count(records.all), own: count(records.own) };

	return ({ states, ofAccount, ofAll }, { table, row: { account } }) => {
		const { all, own } = table === "tabs" ? ofTabs : ofRecords;
		const kind = table === "tabs" ? [] : [table];
		const sum = (one: StatementSync, atMost: number, ...of: string[]): boolean =>
			states.reduce((n, state) => n + Number(one.get(state, ...kind, ...of, atMost + 1)?.n), 0) <= atMost;
		return sum(own, ofAccount, account) && (ofAll === undefined || sum(all, ofAll));
	};
}
