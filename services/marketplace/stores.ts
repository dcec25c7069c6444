/** Everything that a market keeps, and the engines that keep it: files in its data folder, or one database that any number of processes share. */

import { existsSync } from "node:fs";
import { join } from "node:path";
import type { Crypto } from "#contracts/identity";
import { isProblem, type Problem, problem } from "#contracts/problem";
import type { Clock } from "#host/clock";
import { lockFolder } from "#host/lock";
import type { Postgres } from "#host/postgres";
import type { Stopping } from "#host/stop";
import type { Board } from "./board/board.ts";
import { openSqliteBoard } from "./board/sqlite.ts";
import type { Places } from "./card/cards.ts";
import { openSqlitePlaces } from "./card/sqlite.ts";
import type { DatabaseAt } from "./database.ts";
import type { AuditReport, Check } from "./ledger/audit.ts";
import type { Book, LedgerBeside } from "./ledger/book.ts";
import { auditFile, openLedgerFile, openSqliteBook } from "./ledger/sqlite.ts";

/** What a market keeps: its money, what its processes share beside it, and people's sealed cards. */
export type Stores = {
	readonly book: Book;
	readonly board: Board;
	readonly places: Places;
	/** the time of the database that several machines share, Unix milliseconds; left out where a machine's own is the market's */
	readonly nowMs?: () => Promise<number | Problem>;
};

/** Where the ledger is in a market's data folder. */
export function ledgerPath(dataPath: string): string {
	return join(dataPath, "ledger.db");
}

/** The files in a data folder, which is locked. What is given stands in for a file; everything is closed by `stopping`. */
async function openSqliteStores(
	dataPath: string,
	given: Partial<Stores>,
	stopping: Stopping,
	died: (name: string) => (why: Error) => void,
): Promise<Stores | Problem> {
	// SQLite's files are written by one process: two would each believe that theirs is all there is
	const lock = given.book ? undefined : lockFolder(dataPath);
	if (lock && "problem" in lock) return lock;
	stopping.add("lock", async () => lock?.release());
	const book = given.book ?? (await openSqliteBook({ path: ledgerPath(dataPath), onDeath: died("ledger") }));
	if (isProblem(book)) return book;
	stopping.add("ledger", () => book.close());
	const board = given.board ?? (await openSqliteBoard({ path: join(dataPath, "board.db"), onDeath: died("board") }));
	if (isProblem(board)) return board;
	stopping.add("board", () => board.close());
	const places = given.places ?? (await openSqlitePlaces(join(dataPath, "cards.db"), { onDeath: died("cards") }));
	if (isProblem(places)) return places;
	stopping.add("cards", () => places.close());
	return { book, board, places, ...(given.nowMs && { nowMs: given.nowMs }) };
}

/** The tables in a database, made and brought up to date. Whoever opened the database closes it, after these. */
export async function openPostgresStores(
	postgres: Postgres,
	crypto: Pick<Crypto, "random">,
): Promise<Stores | Problem> {
	const { openPostgresBook } = await postgresLedger();
	const { openPostgresBoard } = await import("./board/postgres.ts");
	const { openPostgresPlaces } = await import("./card/postgres.ts");
	const book = await openPostgresBook(postgres, crypto);
	if (isProblem(book)) return book;
	const board = await openPostgresBoard(postgres);
	if (isProblem(board)) return board;
	const places = await openPostgresPlaces(postgres);
	if (isProblem(places)) return places;
	const nowMs = async (): Promise<number | Problem> => {
		const text = "SELECT (extract(epoch FROM clock_timestamp()) * 1000)::bigint AS ms";
		const rows = await postgres.read((session) => session.ask<{ ms: bigint }>(text));
		return isProblem(rows) ? rows : Number(rows[0]?.ms);
	};
	return { book, board, places, nowMs };
}

/** Only where it is needed: the driver and what builds its queries are a third of all modules that a market on files would load. */
const postgresLedger = () => import("./ledger/postgres.ts");

/** Opens a Postgres by its name. */
export async function connect(
	{ url, password }: Extract<DatabaseAt, { engine: "postgres" }>,
	clock: Clock,
	connectionsMax?: number,
): Promise<Postgres | Problem> {
	const { openPostgres } = await import("#host/postgres");
	const bound = connectionsMax === undefined ? {} : { connectionsMax };
	return await openPostgres({ url, password, clock, random: Math.random, ...bound });
}

/** Opens (and creates) what a market keeps; what is given stands in for files, never for a Postgres. Everything is closed by `stopping`. */
export async function openStores(
	at: DatabaseAt,
	given: Partial<Stores> & { readonly clock: Clock; readonly crypto: Pick<Crypto, "random"> },
	stopping: Stopping,
	died: (name: string) => (why: Error) => void,
): Promise<Stores | Problem> {
	if (at.engine === "sqlite") return await openSqliteStores(at.folder, given, stopping, died);
	const postgres = await connect(at, given.clock);
	if (isProblem(postgres)) return postgres;
	stopping.add("database", () => postgres.close());
	const stores = await openPostgresStores(postgres, given.crypto);
	if (isProblem(stores)) return stores;
	stopping.add("ledger", () => stores.book.close());
	return stores;
}

/** Opens a ledger to read it, also one that running markets write to. */
export async function openLedgerBeside(at: DatabaseAt, clock: Clock): Promise<LedgerBeside | Problem> {
	if (at.engine === "sqlite") return openLedgerFile(ledgerPath(at.folder));
	const postgres = await connect(at, clock);
	if (isProblem(postgres)) return postgres;
	const { openPostgresLedger } = await postgresLedger();
	const ledger = await openPostgresLedger(postgres);
	if (isProblem(ledger)) await postgres.close();
	return ledger;
}

/** Opens a ledger that is there to change it: the files of a market that is stopped, a database also beside markets that run. Closing it lets go of all. */
export async function openLedgerAlone(
	at: DatabaseAt,
	{ clock, crypto }: { readonly clock: Clock; readonly crypto: Pick<Crypto, "random"> },
): Promise<Book | Problem> {
	if (at.engine === "sqlite") {
		const path = ledgerPath(at.folder);
		if (!existsSync(path)) return problem("not-found", `There is no ledger in ${at.folder}.`);
		const lock = lockFolder(at.folder);
		if ("problem" in lock) return lock;
		const book = await openSqliteBook({ path });
		if (isProblem(book)) lock.release();
		return isProblem(book) ? book : { ...book, close: () => book.close().finally(lock.release) };
	}
	const postgres = await connect(at, clock);
	if (isProblem(postgres)) return postgres;
	const { openPostgresBook, refuseLedger } = await postgresLedger();
	const book = (await refuseLedger(postgres)) ?? (await openPostgresBook(postgres, crypto));
	if (isProblem(book)) await postgres.close();
	return isProblem(book) ? book : { ...book, close: () => book.close().finally(() => postgres.close()) };
}

/** Audits a ledger, also one that running markets write to; with the folder of its archive from the very beginning. */
export async function auditAt(
	at: DatabaseAt,
	checks: readonly Check[],
	clock: Clock,
	archive?: string,
): Promise<AuditReport | Problem> {
	if (at.engine === "sqlite") return await auditFile(ledgerPath(at.folder), checks, archive);
	const postgres = await connect(at, clock);
	if (isProblem(postgres)) return postgres;
	try {
		const { auditPostgres, refuseLedger } = await postgresLedger();
		return (await refuseLedger(postgres)) ?? (await auditPostgres(postgres, checks, archive));
	} finally {
		await postgres.close();
	}
}
