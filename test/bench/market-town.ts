/** What the market's benchmark is measured with: a market's process as its owner runs it, on either engine, with relays that have tabs, and as many others' tabs as are asked for. */
import assert from "node:assert/strict";
import { once } from "node:events";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { amount } from "#contracts/amount";
import { toHex } from "#contracts/bytes";
import { type Grant, signGrant } from "#contracts/grant";
import type { KeyPair } from "#contracts/identity";
import { LIMIT } from "#contracts/limit";
import { bill } from "#contracts/tab";
import { ownTranche } from "#contracts/tranche";
import { NO_TOTALS } from "#contracts/voucher";
import { systemClock } from "#host/clock";
import { openDatabase } from "#host/database";
import { openPostgres, type Postgres } from "#host/postgres";
import { openKeys } from "#marketplace/keys/keys";
import type { Book, Change } from "#marketplace/ledger/book";
import { holdAccount, payerAccount, WORLD_PLAY } from "#marketplace/ledger/chart";
import { move, reserve } from "#marketplace/ledger/post";
import { openPostgresBook } from "#marketplace/ledger/postgres";
import { LEDGER_KIND, LEDGER_MIGRATIONS } from "#marketplace/ledger/schema";
import { openSqliteBook } from "#marketplace/ledger/sqlite";
import { ledgerPath } from "#marketplace/stores";
import { writeTab } from "#marketplace/tab/tab";
import { crypto, FEES, fine, TARIFF, TestRelay } from "#test/support/market";
import type { TestPostgres } from "#test/support/postgres";
import { BATCH } from "./ledger-work.ts";
import { BOTH_CORES, start } from "./measure.ts";

export type Engine = "sqlite" | "postgres";

/** A tab at a relay, and whoever may sign vouchers for it. */
export type LiveTab = { readonly grant: Grant; readonly session: KeyPair };

/** A market that is up. */
export type TownMarket = {
	readonly url: string;
	readonly market: Uint8Array;
	/** of the market's process */
	readonly pid: number;
	/** the first with {@link BATCH} tabs each, those beyond {@link WHOLE} with {@link PART} */
	readonly relays: readonly { readonly relay: TestRelay; readonly tabs: readonly LiveTab[] }[];
	stop(): Promise<void>;
};

/** Relays that hand in whole batches, and how much of one each of a hundred hands in: a hundred whole ones would take minutes in all. */
const WHOLE = 10;
export const PART = BATCH / 6;

const CAP = amount(500_000_000n);

/** Makes a market's folder or database with so many relays and so many tabs in all, and starts the market on it. */
export async function startTown(
	engine: Engine,
	server: TestPostgres,
	size: { readonly relays: number; readonly tabs: number },
): Promise<TownMarket> {
	const folder = mkdtempSync(join(tmpdir(), "farelay-bench-"));
	const url = engine === "postgres" ? await server.database() : undefined;
	const keys = fine(await openKeys(crypto, join(folder, "keys"), Date.now()));
	const online = keys.online(Date.now());
	const where = { url: "", market: keys.market, clock: systemClock };
	const postgres =
		url === undefined ? undefined : fine(await openPostgres({ url, clock: systemClock, random: Math.random }));
	const book = fine(
		postgres ? await openPostgresBook(postgres, crypto) : await openSqliteBook({ path: ledgerPath(folder) }),
	);
	const relays: { relay: TestRelay; tabs: LiveTab[] }[] = [];
	let like = "";
	const waiting: Promise<void>[] = [];
	for (let i = 0; i < size.relays; i++) {
		const relay = new TestRelay(where);
		const made = Array.from({ length: i < WHOLE ? BATCH : PART }, () => newTab(keys.market, relay, online));
		const changes = made.flatMap(({ changes }) => changes);
		// some calls at once share a commit
		waiting.push(applied(book, changes));
		if (waiting.length > 4) await waiting.shift();
		relays.push({ relay, tabs: made.map(({ tab }) => tab) });
		like = made[0]?.value ?? like;
	}
	await Promise.all(waiting);
	await book.close();
	const others = size.tabs - relays.reduce((sum, { tabs }) => sum + tabs.length, 0);
	if (others > 0)
		await (postgres ? fillPostgres(postgres, others, like) : fillSqlite(ledgerPath(folder), others, like));
	await postgres?.close();
	const { at, env } = addressOf(folder, url);
	const started = await startMarket(["--data", folder, ...at], env);
	where.url = started.url;
	return {
		...{ url: started.url, pid: started.pid, market: keys.market, relays },
		stop: async () => {
			await started.stop();
			rmSync(folder, { recursive: true, force: true });
		},
	};
}

async function applied(book: Book, changes: readonly Change[]): Promise<void> {
	const other = (await book.apply(changes)).find((outcome) => outcome !== "applied");
	assert.equal(other, undefined, "the book refuses what the benchmark begins from");
}

/** A tab with its grant, as the market would have opened it, and the deposit that pays it. */
function newTab(market: Uint8Array, { key, operator }: TestRelay, online: KeyPair) {
	const [id, session, atMs] = [crypto.random(16), crypto.keyPair(crypto.random(32)), Date.now()];
	const expiresAtMs = atMs + LIMIT.grantMsMax;
	const times = { issuedAtMs: atMs, expiresAtMs, redeemByMs: expiresAtMs + LIMIT.redeemGraceMs };
	const terms = {
		market,
		tab: id,
		session: session.publicKey,
		relay: key.publicKey,
		cap: CAP,
		tariff: TARIFF,
		...times,
	};
	const grant = signGrant(crypto, terms, online);
	const [tab, account, reserved] = [toHex(id), toHex(crypto.random(32)), bill(CAP, FEES).total];
	const row = writeTab({
		...{ version: 0, tab, account, relay: toHex(key.publicKey), operator: operator.id, state: "open", grant },
		...{
			fees: FEES,
			tranches: [ownTranche(grant.cap)],
			counted: undefined,
			reserved,
			paid: NO_TOTALS,
			receipt: undefined,
			returned: undefined,
		},
		...{ fresh: amount(0n), late: amount(0n), waits: false, forfeited: amount(0n) },
	});
	const paid = [{ account: payerAccount(account), nanos: reserved }];
	const deposit = move(
		{ id: `deposit:for-${tab}`, cause: "Deposit of play money", atMs },
		[{ account: WORLD_PLAY, nanos: reserved }],
		paid,
	);
	const label = { id: `open:${tab}`, cause: `Reserved for tab ${tab} at relay ${toHex(key.publicKey)}`, atMs };
	const changes: Change[] = [{ transfer: deposit }, { transfer: reserve(label, paid, holdAccount(tab)), rows: [row] }];
	return { tab: { grant, session }, changes, value: row.row.value };
}

/** Nanos that the tabs of others hold. */
const OTHERS = 1_000;

/** What is only looked up by, and not needed while rows come in: making it afterwards takes a tenth of the time. */
type Index = { readonly name: string; readonly sql: string };

/**
 * Others' tabs, by SQL: as many rows, under names by chance, as opening them would have left, but for their payers. They come in the order of their names, so that
 * what is unique is appended to, and past the log, which would write all of it twice.
 */
function fillSqlite(path: string, count: number, like: string): void {
	const database = fine(openDatabase({ path, kind: LEDGER_KIND, migrations: LEDGER_MIGRATIONS }));
	const indexes = database
		.prepare(
			`SELECT name, sql FROM sqlite_schema WHERE type = 'index' AND sql LIKE 'CREATE INDEX%' AND tbl_name = 'tabs'`,
		)
		.all() as Index[];
	database.exec(`PRAGMA foreign_keys = OFF; PRAGMA synchronous = OFF; PRAGMA cache_size = -500000; PRAGMA journal_mode = OFF; BEGIN;
		${indexes.map(({ name }) => `DROP INDEX "${name}"`).join(";")}`);
	const world = `(SELECT id FROM accounts WHERE name = '${WORLD_PLAY}')`;
	database.exec(`
		CREATE TEMP TABLE named AS WITH RECURSIVE o (n) AS (VALUES (1) UNION ALL SELECT n + 1 FROM o LIMIT ${count})
			SELECT lower(hex(randomblob(16))) AS tab, lower(hex(randomblob(32))) AS payer FROM o;
		CREATE TEMP TABLE others AS SELECT (SELECT max(id) FROM accounts) + n AS account,
			(SELECT max(position) FROM transfers) + n AS position, tab, payer, n
			FROM (SELECT tab, payer, row_number() OVER (ORDER BY tab) AS n FROM named) ORDER BY n;
		INSERT INTO accounts (id, name, floor, balance) SELECT account, 'hold:' || tab, 0, ${OTHERS} FROM others;
		INSERT INTO transfers (position, id, cause, atMs, digest)
			SELECT position, 'open:' || tab, 'Reserved for tab ' || tab, 1750000000000, payer FROM others;
		INSERT INTO entries (transfer, n, account, nanos)
			SELECT position, side.n, CASE side.n WHEN 0 THEN ${world} ELSE account END, side.nanos
			FROM others CROSS JOIN (SELECT 0 AS n, -${OTHERS} AS nanos UNION ALL SELECT 1, ${OTHERS}) AS side;
		UPDATE accounts SET balance = balance - ${count} * ${OTHERS} WHERE id = ${world}`);
	database
		.prepare(`INSERT INTO tabs (tab, version, account, relay, state, deadlineMs, value)
			SELECT tab, 1, payer, format('%064d', n % 100), 'open', ?, ? FROM others`)
		.run(Date.now() + LIMIT.grantMsMax, like);
	database.exec(`${indexes.map(({ sql }) => sql).join(";")}; DROP TABLE others; DROP TABLE named; COMMIT`);
	database.close();
}

/** The same. Whoever runs the benchmark's server may leave out what its foreign keys look up for each row. */
async function fillPostgres(postgres: Postgres, count: number, like: string): Promise<void> {
	const world = `(SELECT id FROM accounts WHERE name = '${WORLD_PLAY}')`;
	const chance = "md5(random()::text || n)";
	const filled = await postgres.walk("differs", async (session) => {
		const indexes = await session.ask<Index>(`SELECT indexname AS name, indexdef AS sql FROM pg_indexes
			WHERE schemaname = 'public' AND tablename = 'tabs' AND indexdef LIKE 'CREATE INDEX%'`);
		const statements: [string, unknown[]?][] = [
			["SET LOCAL session_replication_role = replica"],
			["SET LOCAL maintenance_work_mem = '256MB'"],
			["SET LOCAL work_mem = '256MB'"],
			...indexes.map(({ name }): [string] => [`DROP INDEX "${name}"`]),
			[
				`CREATE TEMP TABLE others ON COMMIT DROP AS SELECT (SELECT max(id) FROM accounts) + n AS account,
				(SELECT max(position) FROM transfers) + n AS position, tab, payer, n FROM (SELECT tab, payer, row_number() OVER (ORDER BY tab COLLATE "C") AS n
				FROM (SELECT ${chance} AS tab, ${chance} || ${chance} AS payer FROM generate_series(1, ${count}) n) named) numbered ORDER BY n`,
			],
			[
				`INSERT INTO accounts (id, name, floor, balance) OVERRIDING SYSTEM VALUE SELECT account, 'hold:' || tab, 0, ${OTHERS} FROM others`,
			],
			[`SELECT setval(pg_get_serial_sequence('accounts', 'id'), (SELECT max(id) FROM accounts))`],
			[
				`INSERT INTO transfers (position, id, cause, "atMs", digest)
				SELECT position, 'open:' || tab, 'Reserved for tab ' || tab, 1750000000000, payer FROM others`,
			],
			[
				`INSERT INTO entries (transfer, n, account, nanos) SELECT position, 0, ${world}, -${OTHERS} FROM others
				UNION ALL SELECT position, 1, account, ${OTHERS} FROM others`,
			],
			[`UPDATE accounts SET balance = balance - ${count}::bigint * ${OTHERS} WHERE id = ${world}`],
			[
				`INSERT INTO tabs (tab, version, account, relay, state, "deadlineMs", value)
				SELECT tab, 1, payer, lpad((n % 100)::text, 64, '0'), 'open', $1::bigint, $2 FROM others`,
				[Date.now() + LIMIT.grantMsMax, like],
			],
			...indexes.map(({ sql }): [string] => [sql]),
		];
		for (const [text, values] of statements) await session.ask(text, values);
	});
	fine(filled ?? "filled");
	for (const table of ["accounts", "transfers", "entries", "tabs"])
		fine(await postgres.read((session) => session.ask(`ANALYZE ${table}`)));
}

/** A database's name for the command line, and its password by a file, as for anybody. */
function addressOf(folder: string, url: string | undefined): { at: string[]; env: Record<string, string> } {
	if (url === undefined) return { at: [], env: {} };
	const named = new URL(url);
	const path = join(folder, "password");
	writeFileSync(path, decodeURIComponent(named.password), { mode: 0o600 });
	named.password = "";
	return { at: ["--database", named.href], env: { FARELAY_DATABASE_PASSWORD_FILE: path } };
}

async function startMarket(words: readonly string[], env: Record<string, string>) {
	const main = join(import.meta.dirname, "../../client/cli/main.ts");
	// everything comes from one address here
	const rate = ["--requests-per-minute", "10000000"];
	const child = start(BOTH_CORES, [main, "market", "--play", "--port", "0", ...rate, ...words], env);
	const ended = once(child, "close");
	const found = Promise.withResolvers<string>();
	const lines = createInterface({ input: child.stdout as NodeJS.ReadableStream });
	lines.on("line", (line) => {
		const port = /"port":(\d+)/.exec(line)?.[1];
		if (port) found.resolve(`http://127.0.0.1:${port}`);
	});
	lines.on("close", () => found.reject(new Error("the market did not start")));
	const stop = async () => {
		child.kill("SIGTERM");
		await ended;
	};
	return { url: await found.promise, pid: child.pid ?? 0, stop };
}
