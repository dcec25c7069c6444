/** The ledger's tables in SQLite. The database itself refuses an overdraft and a second transfer under one id. */

/** What kind of database file it is (`host/database.ts`). */
export const LEDGER_KIND = "ledger";

/**
 * How the ledger's file is written. A group of some batches of 300 redemptions touches thousands of pages in an old ledger (eight batches: 5,000), most of them again in the
 * next: what does not fit the cache is written twice, and what is folded into the file early is folded again. It costs 64 MiB of memory and of disk.
 */
export const LEDGER_ROOM = { cacheKib: 64 * 1024, checkpointPages: 16_000 } as const;

/** Raises the schema, one step each; only ever appended to. */
export const LEDGER_MIGRATIONS: readonly string[] = [
	`CREATE TABLE accounts (
		id INTEGER PRIMARY KEY,
		name TEXT NOT NULL UNIQUE,
		floor INTEGER NOT NULL CHECK (floor = 0 OR substr(name, 1, 6) = 'world:'),
		balance INTEGER NOT NULL CHECK (balance >= floor)
	) STRICT;
	CREATE TABLE transfers (
		position INTEGER PRIMARY KEY,
		id TEXT NOT NULL UNIQUE,
		cause TEXT NOT NULL,
		atMs INTEGER NOT NULL,
		digest TEXT NOT NULL CHECK (length(digest) = 64)
	) STRICT;
	CREATE TABLE entries (
		transfer INTEGER NOT NULL REFERENCES transfers,
		n INTEGER NOT NULL,
		account INTEGER NOT NULL REFERENCES accounts,
		nanos INTEGER NOT NULL CHECK (nanos <> 0),
		PRIMARY KEY (transfer, n)
	) STRICT, WITHOUT ROWID;
	CREATE UNIQUE INDEX entriesOfAccount ON entries (account, transfer);
	CREATE TABLE tabs (
		tab TEXT NOT NULL UNIQUE,
		version INTEGER NOT NULL CHECK (version >= 1),
		account TEXT NOT NULL,
		relay TEXT NOT NULL,
		state TEXT NOT NULL,
		deadlineMs INTEGER NOT NULL,
		value TEXT NOT NULL
	) STRICT;
	CREATE INDEX tabsOfAccount ON tabs (account, tab);
	CREATE INDEX tabsOfRelay ON tabs (relay, tab);
	CREATE INDEX tabsByDeadline ON tabs (state, deadlineMs, tab);`,
	`CREATE TABLE records (
		kind TEXT NOT NULL,
		key TEXT NOT NULL,
		version INTEGER NOT NULL CHECK (version >= 1),
		account TEXT NOT NULL,
		state TEXT NOT NULL,
		dueMs INTEGER NOT NULL,
		value TEXT NOT NULL,
		UNIQUE (kind, key)
	) STRICT;
	CREATE INDEX recordsOfAccount ON records (kind, account, key);
	CREATE INDEX recordsInState ON records (kind, state, key);
	CREATE INDEX recordsByDue ON records (kind, state, dueMs, key);`,
	// what is counted for a bound on how many there may be
	`CREATE INDEX tabsOfAccountInState ON tabs (account, state);
	CREATE INDEX recordsOfAccountInState ON records (kind, account, state);`,
	// what was pruned, and what accounts carry on from it
	`CREATE TABLE prunings (
		upTo INTEGER PRIMARY KEY CHECK (upTo > since),
		since INTEGER NOT NULL UNIQUE,
		atMs INTEGER NOT NULL,
		chain TEXT NOT NULL,
		carried TEXT NOT NULL
	) STRICT;
	CREATE TABLE carried (
		account INTEGER PRIMARY KEY REFERENCES accounts,
		balance INTEGER NOT NULL,
		gone INTEGER NOT NULL
	) STRICT;`,
];
