/** One side of a move: a market's tables in files or in Postgres, to be read in order and written page by page. */

import { join } from "node:path";
import type { DatabaseSync, SQLInputValue } from "node:sqlite";
import { isProblem, type Problem } from "#contracts/problem";
import { PAGE_ROWS, type Session } from "#host/postgres";
import { open as openBoard } from "#marketplace/board/sqlite-thread";
import { PLACES_MAX } from "#marketplace/card/cards";
import { open as openCards } from "#marketplace/card/sqlite-thread";
import type { Source } from "#marketplace/ledger/audit";
import { readForAudit as readPostgres } from "#marketplace/ledger/postgres-read";
import { readForAudit as readSqlite } from "#marketplace/ledger/sqlite-read";
import { open as openLedger } from "#marketplace/ledger/sqlite-thread";
import { ledgerPath } from "#marketplace/stores";
import { leftBehind, TABLES, type Table, type Value } from "./tables.ts";

/** What a move needs of either engine, all within one transaction. */
export interface Side {
	/** What is there that a move does not know, in words. */
	unknown(): Promise<string | undefined>;
	/** A table's rows in the order of its key, page by page. */
	pages(table: Table): AsyncIterable<Value[][]>;
	/** Writes rows; what counts or numbers them is brought up to date by {@link finish}. */
	put(table: Table, rows: readonly Value[][]): Promise<void>;
	/** The number of the last posting that there ever was: readers ask for what came since. */
	place(): Promise<bigint>;
	/** Ends the writing: the next posting, account and card find their places. */
	finish(place: bigint): Promise<void>;
	/** For an audit of the ledger. */
	readonly source: Source;
}

/** The files of a folder, opened (and made, and brought up to date), and how to close them. */
export type Files = Side & { readonly paths: readonly string[]; commit(): void; close(): void };

/** Opens a market's files in one transaction each. */
export function openFiles(folder: string): Files | Problem {
	const paths = { ledger: ledgerPath(folder), board: join(folder, "board.db"), cards: join(folder, "cards.db") };
	const open: { store: Table["store"]; database: DatabaseSync }[] = [];
	const close = () => {
		for (const { database } of open) database.close();
	};
	for (const [store, opened] of [
		["ledger", () => openLedger({ path: paths.ledger })],
		["board", () => openBoard({ path: paths.board })],
		["cards", () => openCards({ path: paths.cards, placesMax: PLACES_MAX })],
	] as const) {
		const found = opened();
		if (isProblem(found)) {
			close();
			return found;
		}
		open.push({ store, database: found.database });
		found.database.exec("BEGIN");
	}
	const of = (store: Table["store"]): DatabaseSync => open.find((one) => one.store === store)?.database as DatabaseSync;
	return {
		paths: Object.values(paths),
		unknown: async () => {
			const text = `SELECT t.name AS "table", c.name AS "column" FROM sqlite_schema t, pragma_table_info(t.name) c
				WHERE t.type = 'table' AND t.name NOT LIKE 'sqlite\\_%' ESCAPE '\\'`;
			const found = open.flatMap(({ database }) => database.prepare(text).all());
			return leftBehind(
				"sqlite",
				found.map((row) => [String(row.table), String(row.column)]),
			);
		},
		async *pages(table) {
			const names = Object.keys(table.columns);
			const all = of(table.store).prepare(
				`SELECT ${names.join(", ")} FROM ${table.sqlite} ORDER BY ${names.slice(0, table.key).join(", ")}`,
			);
			all.setReadBigInts(true);
			let page: Value[][] = [];
			for (const found of all.iterate()) {
				page.push(names.map((name) => found[name] as Value));
				if (page.length < PAGE_ROWS) continue;
				yield page;
				page = [];
			}
			yield page;
		},
		put: async (table, rows) => {
			const names = Object.keys(table.columns);
			const insert = of(table.store).prepare(
				`INSERT INTO ${table.sqlite} (${names.join(", ")}) VALUES (${names.map(() => "?").join(", ")})`,
			);
			for (const values of rows) insert.run(...(values as SQLInputValue[]));
		},
		place: async () => {
			const newest = of("board").prepare("SELECT seq FROM sqlite_sequence WHERE name = 'postings'");
			newest.setReadBigInts(true);
			return (newest.get()?.seq as bigint | undefined) ?? 0n;
		},
		finish: async (place) => {
			of("board").exec("DELETE FROM sqlite_sequence WHERE name = 'postings'");
			of("board").prepare("INSERT INTO sqlite_sequence (name, seq) VALUES ('postings', ?)").run(place);
			of("cards").exec("UPDATE tally SET places = (SELECT count(*) FROM card)");
		},
		source: readSqlite(of("ledger")),
		commit: () => {
			for (const { database } of open) database.exec("COMMIT");
		},
		close,
	};
}

/** The tables of a Postgres, whose transaction the caller has begun. */
export function overPostgres(session: Session): Side {
	const quoted = (names: readonly string[]) => names.map((name) => `"${name}"`).join(", ");
	return {
		unknown: async () => {
			const found = await session.ask<{ table: string; column: string }>(
				`SELECT c.relname AS "table", a.attname AS "column" FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid
				WHERE c.relkind IN ('r', 'p') AND c.relnamespace = current_schema()::regnamespace AND a.attnum > 0 AND NOT a.attisdropped`,
			);
			return leftBehind(
				"postgres",
				found.map(({ table, column }) => [table, column]),
			);
		},
		async *pages(table) {
			const names = Object.keys(table.columns);
			// bytes in order, whatever the database's language is
			const order = names
				.slice(0, table.key)
				.map((name) => `"${name}"${table.columns[name] === "text" ? ' COLLATE "C"' : ""}`);
			const text = `SELECT ${quoted(names)} FROM "${table.postgres}" ORDER BY ${order.join(", ")}`;
			for await (const page of session.pages<Record<string, Value | number>>(text))
				yield page.map((found) =>
					names.map((name) =>
						table.columns[name] === "bigint" ? BigInt(found[name] as bigint) : (found[name] as Value),
					),
				);
		},
		put: async (table, rows) => {
			const kinds = Object.entries(table.columns);
			const columns = kinds.map((_, i) => rows.map((values) => values[i]));
			const arrays = kinds.map(([, kind], i) => `$${i + 1}::${kind}[]`).join(", ");
			await session.ask(
				`INSERT INTO "${table.postgres}" (${quoted(Object.keys(table.columns))}) OVERRIDING SYSTEM VALUE SELECT * FROM unnest(${arrays})`,
				columns.map((values) => values.map((value) => (value instanceof Uint8Array ? Buffer.from(value) : value))),
			);
		},
		place: async () => (await session.ask<{ place: bigint }>('SELECT place FROM "boardPlace"'))[0]?.place ?? 0n,
		finish: async (place) => {
			await session.ask('UPDATE "boardPlace" SET place = $1', [place]);
			await session.ask('UPDATE "cardTally" SET places = (SELECT count(*) FROM cards)');
			await session.ask(
				"SELECT setval(pg_get_serial_sequence('accounts', 'id'), (SELECT coalesce(max(id), 0) + 1 FROM accounts), false)",
			);
		},
		source: readPostgres(session),
	};
}

/** The first table that holds anything. */
export async function findRows(side: Side): Promise<string | undefined> {
	for (const table of TABLES) for await (const page of side.pages(table)) if (page.length > 0) return table.sqlite;
	return undefined;
}
