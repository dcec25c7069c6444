/** What is read from the ledger's tables in Postgres: for callers, and by an audit from any process. */

import type { Session } from "#host/postgres";
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
import { carriedOf, lastPruning, prunings } from "./postgres-prune.ts";
import {
	type LedgerTables,
	positionsQuery,
	readRecord,
	readTab,
	recordQuery,
	recordsQuery,
	tabQuery,
	tabsQuery,
	transferQuery,
	transfersQuery,
} from "./postgres-queries.ts";
import type { Entry, KeptTransfer } from "./transfer.ts";

type TransferRow = LedgerTables["transfers"];
type EntryRow = { readonly transfer: bigint; readonly name: string | null; readonly nanos: bigint };

/** The reads of a book, each on a connection that the caller has. */
export const reader = {
	balances: async (session: Session, accounts: readonly string[]): Promise<bigint[]> => {
		const rows = await session.ask<{ balance: bigint }>(
			`SELECT coalesce((SELECT balance FROM accounts a WHERE a.name = w.name), 0) AS balance
			FROM unnest($1::text[]) WITH ORDINALITY w (name, n) ORDER BY w.n`,
			[accounts],
		);
		return rows.map((row) => row.balance);
	},
	transfer: async (session: Session, id: string): Promise<KeptTransfer | undefined> => {
		const rows = await session.rows(transferQuery(id));
		return (await withEntries(session, rows))[0];
	},
	transfers: async (session: Session, account: string, after: number, limit: number): Promise<KeptTransfer[]> => {
		const found = await session.rows(positionsQuery(account, after, limit));
		if (found.length === 0) return [];
		const positions = found.map((row) => row.transfer);
		const read = await withEntries(session, await session.rows(transfersQuery(positions)));
		// pruned between the questions: then they are not among those that are asked for
		if (read.some(({ entries }) => entries.length === 0)) return await reader.transfers(session, account, after, limit);
		return read;
	},
	history: async (session: Session, after: number, limit: number): Promise<KeptTransfer[]> => {
		const page = await session.ask<TransferRow>(
			"SELECT * FROM transfers WHERE position > $1 ORDER BY position LIMIT $2",
			[...[after, Math.min(limit, LIST_MAX)]],
		);
		return await withEntries(session, page);
	},
	carried: async (session: Session, accounts: readonly string[]): Promise<(bigint | undefined)[]> => {
		const rows = await session.ask<{ balance: bigint | null }>(
			`SELECT c.balance FROM unnest($1::text[]) WITH ORDINALITY w (name, n)
			LEFT JOIN accounts a ON a.name = w.name LEFT JOIN carried c ON c.account = a.id ORDER BY w.n`,
			[accounts],
		);
		return rows.map((row) => row.balance ?? undefined);
	},
	count: async (session: Session): Promise<number> => {
		// positions have no gaps: they are given under a lock, and what is refused takes none
		const rows = await session.ask<{ n: bigint }>("SELECT coalesce(max(position), 0) AS n FROM transfers");
		return Number(rows[0]?.n);
	},
	tab: async (session: Session, tab: string): Promise<TabRow | undefined> =>
		(await session.rows(tabQuery(tab))).map(readTab)[0],
	tabs: async (session: Session, query: TabQuery): Promise<TabRow[]> =>
		(await session.rows(tabsQuery(query))).map(readTab),
	record: async (session: Session, table: RecordTable, key: string): Promise<RecordRow | undefined> =>
		(await session.rows(recordQuery(table, key))).map(readRecord)[0],
	records: async (session: Session, query: RecordQuery): Promise<RecordRow[]> =>
		(await session.rows(recordsQuery(query))).map(readRecord),
};

/** Transfers with their entries. What is applied is never changed, and its entries go all at once, so this needs no one moment. */
async function withEntries(session: Session, rows: readonly TransferRow[]): Promise<KeptTransfer[]> {
	const entries = await session.ask<EntryRow>(
		`SELECT transfer, name, nanos FROM entries JOIN accounts ON accounts.id = entries.account
		WHERE transfer = ANY ($1::bigint[]) ORDER BY transfer, n`,
		[rows.map((row) => row.position)],
	);
	const byTransfer = Map.groupBy(entries, (entry) => entry.transfer);
	return rows.map((row) => readTransfer(row, (byTransfer.get(row.position) ?? []).map(readEntry)));
}

function readEntry({ name, nanos }: EntryRow): Entry {
	return { account: name ?? "", nanos };
}

function readTransfer({ position, id, cause, atMs, digest }: TransferRow, entries: Entry[]): KeptTransfer {
	return { id, cause, entries, atMs: Number(atMs), position: Number(position), digest };
}

/** All of a ledger as an audit wants it. The session's transaction shows one moment. */
export function readForAudit(session: Session): Source {
	return {
		prunings: () => prunings(session),
		carried: () => each(carriedOf(session)),
		async *transfers() {
			type Joined = TransferRow & { number: bigint | null; name: string | null; nanos: bigint | null };
			let current: Joined | undefined;
			let entries: Entry[] = [];
			for await (const page of session.pages<Joined>(
				`SELECT position, t.id, cause, "atMs", digest, e.account AS number, name, nanos FROM transfers t
				LEFT JOIN entries e ON e.transfer = t.position LEFT JOIN accounts a ON a.id = e.account ORDER BY position, n`,
			)) {
				for (const row of page) {
					if (current && current.position !== row.position) {
						yield readTransfer(current, entries);
						entries = [];
					}
					current = row;
					if (row.nanos !== null) entries.push({ account: row.name ?? `number ${row.number}`, nanos: row.nanos });
				}
			}
			if (current) yield readTransfer(current, entries);
		},
		accounts: () =>
			each(
				session.pages<{ account: string; balance: bigint }>(
					"SELECT name AS account, balance FROM accounts ORDER BY name",
				),
			),
		tabs: () => each(session.pages<LedgerTables["tabs"]>("SELECT * FROM tabs ORDER BY tab"), readTab),
		records: (table) =>
			each(
				session.pages<LedgerTables["records"]>("SELECT * FROM records WHERE kind = $1 ORDER BY key", [table]),
				readRecord,
			),
		async *oddities() {
			const strays = session.pages<{ transfer: bigint; n: bigint }>(
				`SELECT transfer, count(*) AS n FROM entries e
				WHERE NOT EXISTS (SELECT 1 FROM transfers t WHERE t.position = e.transfer) GROUP BY transfer ORDER BY transfer`,
			);
			for await (const row of each(strays))
				yield `${row.n} entries belong to transfer ${row.transfer}, which is missing.`;
			const floors = session.pages<{ name: string }>(
				"SELECT name FROM accounts WHERE floor <> 0 AND substr(name, 1, 6) <> 'world:' ORDER BY name",
			);
			for await (const row of each(floors)) yield `Account ${row.name} was given leave to owe.`;
			const gaps = await session.ask<{ n: bigint }>("SELECT coalesce(max(position), 0) - count(*) AS n FROM transfers");
			if (gaps[0]?.n !== 0n) yield `${gaps[0]?.n} transfers are missing between the others.`;
		},
	};
}

/** All balances after the transfer `at` (the last one when left out), by name, in pages. The session's transaction shows one moment. */
export async function readBalances(
	session: Session,
	at?: number,
): Promise<{ readonly position: number; readonly pages: AsyncIterable<Balance[]> }> {
	const position = at ?? (await reader.count(session));
	const upTo = (await lastPruning(session))?.upTo ?? 0;
	if (position < upTo) throw goneBefore(upTo);
	const pages = session.pages<Balance>(
		`SELECT name AS account, (balance - coalesce(moved, 0))::bigint AS balance FROM accounts
		LEFT JOIN (SELECT account, sum(nanos) AS moved FROM entries WHERE transfer > $1 GROUP BY account) since
		ON since.account = accounts.id ORDER BY name`,
		[position],
	);
	return { position, pages };
}

function each<Row>(pages: AsyncIterable<Row[]>): AsyncGenerator<Row>;
function each<Row, As>(pages: AsyncIterable<Row[]>, read: (row: Row) => As): AsyncGenerator<As>;
async function* each<Row>(pages: AsyncIterable<Row[]>, read: (row: Row) => unknown = (row) => row) {
	for await (const page of pages) for (const row of page) yield read(row);
}
