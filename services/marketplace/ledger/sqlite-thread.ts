/** The ledger's side of the writer thread (`host/writer.ts`): applies changes and answers reads on one SQLite connection. */

import type { DatabaseSync } from "node:sqlite";
import { isProblem, type Problem } from "#contracts/problem";
import { isConstraint, openDatabase } from "#host/database";
import type { Opened } from "#host/writer";
import { type Change, faultOfRow, type Outcome, type RowChange, type TabQuery, type TabRow } from "./book.ts";
import { floorOf } from "./chart.ts";
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
	const moveBalance = database.prepare("UPDATE accounts SET balance = balance + ? WHERE name = ? RETURNING id");
	const insertAccount = database.prepare("INSERT INTO accounts (name, floor, balance) VALUES (?, ?, ?) RETURNING id");
	const insertEntry = database.prepare("INSERT INTO entries (transfer, n, account, nanos) VALUES (?, ?, ?, ?)");
	const insertTab = database.prepare(
		`INSERT INTO tabs (account, relay, state, deadlineMs, value, tab, version) VALUES (?, ?, ?, ?, ?, ?, ? + 1)
		ON CONFLICT (tab) DO NOTHING`,
	);
	const updateTab = database.prepare(
		`UPDATE tabs SET account = ?, relay = ?, state = ?, deadlineMs = ?, value = ?, version = version + 1
		WHERE tab = ? AND version = ?`,
	);

	return (changes) => changes.map(applyOne);

	function applyOne({ transfer, rows = [] }: Change): Outcome {
		const fault = (transfer && faultOf(transfer)) ?? rows.map(faultOfRow).find((found) => found !== undefined);
		if (fault) return fault;
		save.run();
		const outcome = (transfer && applyTransfer(transfer)) ?? applyRows(rows) ?? "applied";
		if (outcome !== "applied") undo.run();
		release.run();
		return outcome;
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
				const row = moveBalance.get(nanos, account) ?? insertAccount.get(account, floorOf(account), nanos);
				insertEntry.run(position, n, row?.id as bigint, nanos);
			} catch (error) {
				// the CHECK on the balance, or the column's type when a sum passes 64 bits
				if (!isConstraint(error)) throw error;
				return { refused: "overdraft", detail: `${account} cannot take ${nanos} nano-dollars.` };
			}
		}
		return undefined;
	}

	function applyRows(rows: readonly RowChange[]): Refused | undefined {
		for (const { expect, row } of rows) {
			const write = expect === 0 ? insertTab : updateTab;
			const { changes } = write.run(row.account, row.relay, row.state, row.deadlineMs, row.value, row.tab, expect);
			if (changes !== 1n) return { refused: "stale", detail: `Tab ${row.tab} is not at version ${expect}.` };
		}
		return undefined;
	}
}
