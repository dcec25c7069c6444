/**
 * Opens a database file the one way Farelay does it: `node:sqlite`, write-ahead log, `synchronous=FULL`, migrations by `user_version`.
 * A damaged file, a full or read-only disk are problems, never stack traces (docs/decisions/node-sqlite.md).
 */

import { closeSync, existsSync, mkdirSync, openSync } from "node:fs";
import { dirname } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { type Problem, problem } from "#contracts/problem";

/** How long a statement waits for another process's lock before it is refused: an audit or a backup holds one for moments. */
const BUSY_TIMEOUT_MS = 5_000;

/** What the write-ahead log is cut back to after a checkpoint: a burst must not keep its disk space for ever. */
const LOG_BYTES_MAX = 64 * 1024 * 1024;

/** A page, and that of a database of large rows: fewer pages a row are fewer to check, log and copy, and three rows of 1 KiB waste a fifth of a small one. */
const PAGE_BYTES = 4 * 1024;
const LARGE_PAGE_BYTES = 16 * 1024;

/** Pages (of 4 KiB) in the log before it is folded into the file: fewer, larger checkpoints cost fewer fsyncs than SQLite's default of 1,000. */
const CHECKPOINT_PAGES = 4_000;

/** Pages kept in memory, in KiB: what a group of writes touches beyond them spills to the log early. */
const CACHE_KIB = 16 * 1024;

/** What {@link openDatabase} needs. */
export type DatabaseOptions = {
	/** where the file is; ":memory:" is a database that nobody else sees. Its folder is made when missing. */
	readonly path: string;
	/** what the file is, e.g. "ledger": a file of another kind is refused, not migrated into a mixture. */
	readonly kind: string;
	/** SQL that raises the schema from version i to i + 1; only ever appended to. */
	readonly migrations: readonly string[];
	/** opens an existing file without ever writing to it, next to a process that does (audit, statements). */
	readonly readOnly?: boolean;
	/** integers come back as bigint: for money, which a JS number cannot hold. */
	readonly bigints?: boolean;
	/** a ceiling for the file in pages of 4 KiB; beyond it a write is refused as on a full disk. */
	readonly pagesMax?: number;
	/**
	 * an answer does not wait for the disk: after a power failure (never after a crash of the process) the last moments may be gone, and the
	 * file is whole. For what nobody misses.
	 */
	readonly relaxed?: boolean;
	/** rows of a KiB and more that come and go: a new file gets larger pages, and {@link shrink} can give back what was deleted. */
	readonly largeRows?: boolean;
	/** pages kept in memory, in KiB; default {@link CACHE_KIB} */
	readonly cacheKib?: number;
	/** pages (of 4 KiB) in the log before it is folded into the file; default {@link CHECKPOINT_PAGES} */
	readonly checkpointPages?: number;
};

/** Opens (and unless `readOnly` creates and migrates) a database; a problem `data-corrupt`, `disk` or `not-found` when that cannot be. */
export function openDatabase(options: DatabaseOptions): DatabaseSync | Problem {
	const { path, readOnly = false } = options;
	let database: DatabaseSync | undefined;
	try {
		if (path !== ":memory:" && !existsSync(path)) {
			if (readOnly) return problem("not-found", `There is no database at ${path}.`);
			mkdirSync(dirname(path), { recursive: true, mode: 0o700 });
			// readable by its owner alone: SQLite gives the log beside it the same permissions
			closeSync(openSync(path, "a", 0o600));
		}
		database = new DatabaseSync(path, {
			readOnly,
			timeout: BUSY_TIMEOUT_MS,
			readBigInts: options.bigints === true,
			enableForeignKeyConstraints: true,
		});
		database.exec(`PRAGMA trusted_schema = OFF; PRAGMA cell_size_check = ON; PRAGMA temp_store = MEMORY;
			PRAGMA cache_size = -${options.cacheKib ?? CACHE_KIB}`);
		const refused = readOnly ? checkVersion(database, options) : prepare(database, options);
		if (!refused) return database;
		database.close();
		return refused;
	} catch (error) {
		if (database?.isOpen) database.close();
		const known = problemOfDatabase(error, path);
		if (known) return known;
		throw error;
	}
}

/** Sets what must be set on a database that is written to, and brings its schema up to date in one transaction. */
function prepare(database: DatabaseSync, options: DatabaseOptions): Problem | undefined {
	const found = readPragma(database, "user_version");
	if (found > 0) {
		const refused = checkVersion(database, { ...options, migrations: options.migrations.slice(0, found) });
		if (refused) return refused;
	}
	// both count for a file that is still empty only, and before its first log
	if (options.largeRows) database.exec(`PRAGMA page_size = ${LARGE_PAGE_BYTES}; PRAGMA auto_vacuum = INCREMENTAL`);
	database.exec("PRAGMA journal_mode = WAL");
	const pages = PAGE_BYTES / readPragma(database, "page_size");
	database.exec(`PRAGMA synchronous = ${options.relaxed ? "NORMAL" : "FULL"}; PRAGMA journal_size_limit = ${LOG_BYTES_MAX};
		PRAGMA wal_autocheckpoint = ${(options.checkpointPages ?? CHECKPOINT_PAGES) * pages}`);
	if (options.pagesMax !== undefined) database.exec(`PRAGMA max_page_count = ${Math.ceil(options.pagesMax * pages)}`);
	if (found === options.migrations.length) return undefined;
	database.exec("BEGIN IMMEDIATE");
	// read again under the lock: two processes may have opened a new file at once
	for (const migration of options.migrations.slice(readPragma(database, "user_version"))) database.exec(migration);
	database.exec(
		`PRAGMA application_id = ${idOfKind(options.kind)}; PRAGMA user_version = ${options.migrations.length}`,
	);
	database.exec("COMMIT");
	return undefined;
}

/** Refuses a file of another kind, or of a version that this program does not know exactly. */
function checkVersion(database: DatabaseSync, options: DatabaseOptions): Problem | undefined {
	if (readPragma(database, "application_id") !== idOfKind(options.kind)) {
		return problem("data-corrupt", `${options.path} is no ${options.kind} database of Farelay.`);
	}
	if (readPragma(database, "user_version") !== options.migrations.length) {
		return problem("data-corrupt", `${options.path} was written by another version of Farelay.`);
	}
	return undefined;
}

type Pragma = "user_version" | "application_id" | "page_size" | "page_count" | "freelist_count";

function readPragma(database: DatabaseSync, name: Pragma): number {
	return Number(database.prepare(`PRAGMA ${name}`).get()?.[name]);
}

/** Free pages that a file may keep for what comes next, and the share of it (1 in so many) that may be free. */
const FREE_PAGES_KEPT = 1_024;
const FREE_SHARE = 4;

/**
 * Gives back some of what deletions left free (at most so many pages), once it is more than a quarter of the file: a file that only grows
 * would keep the disk of its worst day. For files made with `largeRows`; of others it gives nothing. Answers how many pages.
 */
export function shrink(database: DatabaseSync, pagesMax: number): number {
	const free = readPragma(database, "freelist_count");
	const spare = free - Math.max(FREE_PAGES_KEPT, Math.ceil(readPragma(database, "page_count") / FREE_SHARE));
	if (spare <= 0) return 0;
	database.exec(`PRAGMA incremental_vacuum(${Math.min(spare, pagesMax)})`);
	return free - readPragma(database, "freelist_count");
}

/** The file's mark in SQLite's header: 31 bits of a hash (FNV-1a) of what kind of database it is. */
function idOfKind(kind: string): number {
	let hash = 0x811c9dc5;
	for (const byte of new TextEncoder().encode(`farelay/${kind}`)) hash = Math.imul(hash ^ byte, 0x01000193);
	return (hash & 0x7fffffff) >>> 0;
}

/**
 * Reads every page and index of a database; a problem `data-corrupt` says what is broken. Takes long on a large file; `quick` leaves out
 * whether the indexes say what the tables say.
 */
export function checkDatabase(database: DatabaseSync, how: "whole" | "quick" = "whole"): Problem | undefined {
	try {
		const pragma = how === "quick" ? "quick_check" : "integrity_check";
		const rows = database.prepare(`PRAGMA ${pragma}(5)`).all();
		const says = rows.map((row) => String(row[pragma]));
		return says.length === 1 && says[0] === "ok" ? undefined : problem("data-corrupt", says.join("; "));
	} catch (error) {
		const known = problemOfDatabase(error);
		if (known) return known;
		throw error;
	}
}

/** SQLite's primary result codes that are a machine's trouble and not a bug (sqlite.org/rescode.html). */
const TROUBLES: Record<number, readonly ["disk" | "data-corrupt", string]> = {
	3: ["disk", "The database may not be opened with these permissions."],
	5: ["disk", "Another process keeps the database locked."],
	8: ["disk", "The database is read-only."],
	10: ["disk", "The disk failed while it was read or written."],
	11: ["data-corrupt", "The database is damaged; restore it from a backup."],
	13: ["disk", "The disk is full."],
	14: ["disk", "The database cannot be opened."],
	26: ["data-corrupt", "The file is not a database, or is damaged; restore it from a backup."],
};

/** What the file system says when a file or folder cannot be made, and what that means to whoever chose the folder. */
const FILE_TROUBLES: Record<string, string> = {
	EACCES: "this user may not write there",
	EDQUOT: "this user's share of the disk is used up",
	EEXIST: "a file is where a folder should be",
	EIO: "the disk failed",
	EISDIR: "a folder is where a file should be",
	ENOSPC: "the disk is full",
	ENOTDIR: "a file is where a folder should be",
	EPERM: "this user may not write there",
	EROFS: "that disk is read-only",
};

/** The problem (`disk` or `data-corrupt`) that a thrown error stands for; undefined when it is a bug or a constraint. */
export function problemOfDatabase(error: unknown, path?: string): Problem | undefined {
	if (!(error instanceof Error)) return undefined;
	const where = path === undefined ? "" : ` (${path})`;
	if ("errcode" in error && typeof error.errcode === "number") {
		const trouble = TROUBLES[error.errcode & 0xff];
		return trouble && problem(trouble[0], `${trouble[1]}${where}`);
	}
	const says = "code" in error && typeof error.code === "string" ? FILE_TROUBLES[error.code] : undefined;
	return says === undefined ? undefined : problem("disk", `The database cannot be written: ${says}${where}.`);
}

/** Whether an error says that the disk, or the file's ceiling, is full (SQLITE_FULL). */
export function isDiskFull(error: unknown): boolean {
	return error instanceof Error && "errcode" in error && error.errcode === 13;
}

/** Whether an error is a `CHECK`, `UNIQUE`, foreign key or other constraint that refused a write (SQLITE_CONSTRAINT). */
export function isConstraint(error: unknown, kind?: "check" | "unique"): boolean {
	if (!(error instanceof Error && "errcode" in error && typeof error.errcode === "number")) return false;
	if ((error.errcode & 0xff) !== 19) return false;
	// extended codes: 275 SQLITE_CONSTRAINT_CHECK, 1555 _PRIMARYKEY, 2067 _UNIQUE
	if (kind === "check") return error.errcode === 275;
	return kind === undefined || error.errcode === 1555 || error.errcode === 2067;
}
