/** The ledger's side of the writer thread (`host/writer.ts`): applies changes and answers reads on one SQLite connection. */

import { isProblem, type Problem } from "#contracts/problem";
import { openDatabase } from "#host/database";
import type { Opened, Pass } from "#host/writer";
import type { Outcome, RecordQuery, RecordRow, RecordTable, TabQuery, TabRow } from "./book.ts";
import type { Pruning, Slice } from "./pruning.ts";
import { LEDGER_KIND, LEDGER_MIGRATIONS, LEDGER_ROOM } from "./schema.ts";
import { applier } from "./sqlite-apply.ts";
import { type Packed, unpack } from "./sqlite-pack.ts";
import { pruner } from "./sqlite-prune.ts";
import { reader } from "./sqlite-read.ts";
import type { KeptTransfer } from "./transfer.ts";

/** What the thread is started with. */
export type LedgerOptions = { readonly path: string; readonly pagesMax?: number };

/** What may be asked of the thread. */
export type LedgerCalls = {
	apply(changes: Packed, pass: Pass): Outcome[];
	balances(accounts: readonly string[]): bigint[];
	transfer(id: string): KeptTransfer | undefined;
	transfers(page: { account: string; after: number; limit: number }): KeptTransfer[];
	count(nothing: undefined): number;
	history(page: { after: number; limit: number }): KeptTransfer[];
	pruned(nothing: undefined): Pruning | undefined;
	carried(accounts: readonly string[]): (bigint | undefined)[];
	prune(slice: Slice): number | Problem;
	tab(tab: string): TabRow | undefined;
	tabs(query: TabQuery): TabRow[];
	record(name: { table: RecordTable; key: string }): RecordRow | undefined;
	records(query: RecordQuery): RecordRow[];
};

/** Opens the ledger's file in the thread. */
export function open(options: LedgerOptions): Opened | Problem {
	const ledger = { kind: LEDGER_KIND, migrations: LEDGER_MIGRATIONS, ...LEDGER_ROOM };
	const database = openDatabase({ ...options, ...ledger, bigints: true });
	if (isProblem(database)) return database;
	const applyAll = applier(database);
	const apply: LedgerCalls["apply"] = (changes, pass) => applyAll(unpack(changes), pass);
	const writes = { apply, prune: pruner(database) };
	const reads = reader(database);
	({ ...writes, ...reads }) satisfies LedgerCalls;
	return { database, writes, reads };
}
