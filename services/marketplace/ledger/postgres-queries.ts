/** The ledger's tables in Postgres and the ordinary queries over them: built and checked by Kysely, run by whoever has a connection (`host/postgres.ts`). */

import { DummyDriver, Kysely, PostgresAdapter, PostgresIntrospector, PostgresQueryCompiler } from "kysely";
import { LIST_MAX, type RecordQuery, type RecordRow, type RecordTable, type TabQuery, type TabRow } from "./book.ts";

/** The tables as queries see them; whole numbers come back as `bigint`. */
export type LedgerTables = {
	accounts: { id: bigint; name: string; floor: bigint; balance: bigint };
	transfers: { position: bigint; id: string; cause: string; atMs: bigint; digest: string };
	entries: { transfer: bigint; n: number; account: bigint; nanos: bigint };
	tabs: {
		tab: string;
		version: bigint;
		account: string;
		relay: string;
		state: string;
		deadlineMs: bigint | number;
		value: string;
	};
	records: {
		kind: string;
		key: string;
		version: bigint;
		account: string;
		state: string;
		dueMs: bigint | number;
		value: string;
	};
};

const TAB = ["tab", "version", "account", "relay", "state", "deadlineMs", "value"] as const;
const RECORD = ["kind", "key", "version", "account", "state", "dueMs", "value"] as const;

/** It has no connection and runs nothing. */
const db = new Kysely<LedgerTables>({
	dialect: {
		createAdapter: () => new PostgresAdapter(),
		createDriver: () => new DummyDriver(),
		createIntrospector: (one) => new PostgresIntrospector(one),
		createQueryCompiler: () => new PostgresQueryCompiler(),
	},
});

/** The transfer with an id. */
export function transferQuery(id: string) {
	return db.selectFrom("transfers").selectAll().where("id", "=", id).compile();
}

/** Transfers at these positions, in their order. */
export function transfersQuery(positions: readonly bigint[]) {
	return db.selectFrom("transfers").selectAll().where("position", "in", positions).orderBy("position").compile();
}

/** One tab. */
export function tabQuery(tab: string) {
	return db.selectFrom("tabs").select(TAB).where("tab", "=", tab).compile();
}

/** A list of tabs. */
export function tabsQuery(query: TabQuery) {
	const rows = db.selectFrom("tabs").select(TAB).limit(Math.min(query.limit, LIST_MAX));
	if (query.by !== "deadline")
		return rows
			.where(query.by, "=", query.of)
			.where("tab", ">", query.after ?? "")
			.orderBy("tab")
			.compile();
	const { state, beforeMs, after = { deadlineMs: Number.MIN_SAFE_INTEGER, tab: "" } } = query;
	return rows
		.where("state", "=", state)
		.where("deadlineMs", "<", beforeMs)
		.where(({ eb, refTuple, tuple }) => eb(refTuple("deadlineMs", "tab"), ">", tuple(after.deadlineMs, after.tab)))
		.orderBy("deadlineMs")
		.orderBy("tab")
		.compile();
}

/** One record. */
export function recordQuery(table: RecordTable, key: string) {
	return db.selectFrom("records").select(RECORD).where("kind", "=", table).where("key", "=", key).compile();
}

/** A list of records. */
export function recordsQuery(query: RecordQuery) {
	const rows = db
		.selectFrom("records")
		.select(RECORD)
		.where("kind", "=", query.table)
		.limit(Math.min(query.limit, LIST_MAX));
	if (query.by !== "due")
		return rows
			.where(query.by, "=", query.of)
			.where("key", ">", query.after ?? "")
			.orderBy("key")
			.compile();
	const { state, beforeMs, after = { dueMs: Number.MIN_SAFE_INTEGER, key: "" } } = query;
	return rows
		.where("state", "=", state)
		.where("dueMs", "<", beforeMs)
		.where(({ eb, refTuple, tuple }) => eb(refTuple("dueMs", "key"), ">", tuple(after.dueMs, after.key)))
		.orderBy("dueMs")
		.orderBy("key")
		.compile();
}

/** The positions of transfers that touch an account. */
export function positionsQuery(account: string, after: number, limit: number) {
	return db
		.selectFrom("entries")
		.select("transfer")
		.where("account", "=", (eb) => eb.selectFrom("accounts").select("id").where("name", "=", account))
		.where("transfer", ">", BigInt(after))
		.orderBy("transfer")
		.limit(Math.min(limit, LIST_MAX))
		.compile();
}

/** A tab's row as the book gives it. */
export function readTab(row: LedgerTables["tabs"]): TabRow {
	return { ...row, version: Number(row.version), deadlineMs: Number(row.deadlineMs) };
}

/** A record's row as the book gives it. */
export function readRecord({ kind, ...row }: LedgerTables["records"]): RecordRow {
	return { ...row, table: kind as RecordTable, version: Number(row.version), dueMs: Number(row.dueMs) };
}
