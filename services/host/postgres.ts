/**
 * A Postgres the one way Farelay uses it: a bounded pool, money as `bigint`, migrations by Kysely under a lock, and troubles as problems.
 * What is known not to have happened is tried again here, for a while; what may have happened is never repeated unless the caller says
 * that twice is the same as once (docs/decisions/postgres.md).
 */

import { Socket } from "node:net";
import type { CompiledQuery } from "kysely";
import pg from "pg";
import { isProblem, type Problem, problem } from "#contracts/problem";
import type { Clock } from "./clock.ts";
import { type Attempt, countSteps, migrate, otherVersion } from "./postgres-migrate.ts";
import { troubleOf, unreachable } from "./postgres-trouble.ts";
import { readPostgresUrl } from "./postgres-url.ts";

/** What {@link openPostgres} needs. */
export type PostgresOptions = {
	/** `postgres://USER@HOST:PORT/DATABASE` */
	readonly url: string;
	/** from a file or the environment, when the URL has none */
	readonly password?: string | undefined;
	readonly clock: Clock;
	/** from 0 to 1, for jitter only */
	readonly random: () => number;
	/** connections to the server; default {@link CONNECTIONS_MAX} */
	readonly connectionsMax?: number;
	/** how long something is tried again before it is given up; default {@link PATIENCE_MS} */
	readonly patienceMs?: number;
	/** how long the server may work on a statement; default {@link STATEMENT_MS_MAX} */
	readonly statementMsMax?: number;
};

/** A hundred are all that a server gives by default, and several processes share it. */
export const CONNECTIONS_MAX = 10;

/** Longer than a server needs to come back after a crash, or a standby to take over; shorter than people wait for an answer. */
export const PATIENCE_MS = 15_000;

/** Longer than any statement of ours takes; what takes longer hangs. */
export const STATEMENT_MS_MAX = 10_000;

/** The same in a walk through everything (an audit), where a page may need a table sorted, and whoever reads it may be slow. */
const WALK_MS_MAX = 600_000;

/** What may wait for a connection; more would wait longer than whoever asked. */
const WAITING_MAX = 10_000;

/** How long a network that swallows everything goes unnoticed, beyond what the server may take. */
const SILENCE_MS = 5_000;

/** What one call of {@link Session.pages} brings at a time: a few megabytes at most. */
export const PAGE_ROWS = 1_000;

/** One connection while it is used. */
export interface Session {
	/** The rows that a statement answers. Integers of 64 bits are `bigint`. */
	rows<Row>(statement: CompiledQuery<Row>): Promise<Row[]>;
	/** The same by hand, for what is hot: `$1` and on in the text. */
	ask<Row extends object>(text: string, values?: readonly unknown[]): Promise<Row[]>;
	/** All rows of a statement, page by page, in bounded memory. Only within {@link Postgres.snapshot} and {@link Postgres.change}. */
	pages<Row extends object>(text: string, values?: readonly unknown[]): AsyncGenerator<Row[]>;
}

/** Whether doing something twice ends as doing it once: then it is done again also when nobody knows whether it was done. */
export type Twice = "same-as-once" | "differs";

/** An open database. A problem says by `spent` whether anything can have been changed. */
export interface Postgres {
	/** Statements that only read, each by itself; asked again on another connection when theirs was lost. */
	read<T>(work: (session: Session) => Promise<T>): Promise<T | Problem>;
	/** Statements that only read, all at one moment. */
	snapshot<T>(work: (session: Session) => Promise<T>): Promise<T | Problem>;
	/** One transaction (read committed). `work` may run several times, and must do nothing outside of its session. */
	change<T>(twice: Twice, work: (session: Session) => Promise<T>): Promise<T | Problem>;
	/** One long transaction over everything, all at one moment: done once, and its time is not bounded as that of others is. */
	walk<T>(twice: Twice, work: (session: Session) => Promise<T>): Promise<T | Problem>;
	/** One statement that is a transaction of its own: one way there and back instead of three. */
	call<Row extends object>(twice: Twice, text: string, values?: readonly unknown[]): Promise<Row[] | Problem>;
	/** Brings the tables of one kind ("ledger") up to date; each step is SQL, only ever appended to. Refuses tables of a later version. */
	migrate(kind: string, steps: readonly string[]): Promise<Problem | undefined>;
	/** The same without changing anything: `not-found` where nothing of that kind is. */
	refuseOther(kind: string, steps: readonly string[]): Promise<Problem | undefined>;
	/** Finishes what is under way and lets go of the server. */
	close(): Promise<void>;
}

/** Opens a database and asks it something, so that a wrong address or password is known at once. */
export async function openPostgres(options: PostgresOptions): Promise<Postgres | Problem> {
	const address = readPostgresUrl(options.url, options.password);
	if (isProblem(address)) return address;
	const sockets = new Set<Socket>();
	const stream = () => {
		const socket = new Socket();
		sockets.add(socket);
		return socket.once("close", () => sockets.delete(socket));
	};
	const pool = new pg.Pool({ ...poolConfig(address, options), stream });
	const postgres = overPool(pool, options, async () => {
		await pool.end();
		// the driver forgets a connection whose greeting it did not understand, and that would keep the process for a minute
		for (const socket of sockets) socket.destroy();
	});
	const versions = await postgres.read((session) =>
		session.ask<{ version: number }>("SELECT current_setting('server_version_num')::int AS version"),
	);
	const refused = isProblem(versions) ? versions : refuseVersion(versions[0]?.version ?? 0);
	if (refused === undefined) return postgres;
	await postgres.close();
	return refused;
}

/** The oldest that its makers still mend when this was written. */
const VERSION_MIN = 14;

function refuseVersion(version: number): Problem | undefined {
	const major = Math.floor(version / 10_000);
	if (major >= VERSION_MIN) return undefined;
	return problem("usage", `The database is Postgres ${major}; it must be ${VERSION_MIN} or later.`);
}

function poolConfig(address: object, options: PostgresOptions): pg.PoolConfig {
	const { connectionsMax = CONNECTIONS_MAX, statementMsMax = STATEMENT_MS_MAX } = options;
	return {
		...address,
		max: connectionsMax,
		application_name: "farelay",
		keepAlive: true,
		connectionTimeoutMillis: SILENCE_MS,
		statement_timeout: statementMsMax,
		lock_timeout: statementMsMax,
		// a process that stops in the middle of a transaction must not hold its locks
		idle_in_transaction_session_timeout: statementMsMax * 2,
		query_timeout: statementMsMax + SILENCE_MS,
		// whatever the server's own defaults are: an answer means that it is on disk, and what waited for its turn sees what was done before it
		options: "-c synchronous_commit=on -c timezone=UTC -c default_transaction_isolation=read\\ committed",
		types: { getTypeParser: (id, format) => (id === INT8 ? BigInt : pg.types.getTypeParser(id, format)) },
	} as pg.PoolConfig;
}

/** The number of the type `bigint` in Postgres. */
const INT8 = 20;

/** Whether the server was told to make it last. */
type Stage = "undecided" | "decided";

function overPool(
	pool: pg.Pool,
	{ clock, random, patienceMs = PATIENCE_MS }: PostgresOptions,
	end: () => Promise<void>,
): Postgres {
	// an idle connection that is lost leaves the pool by itself; whoever asks next gets another
	pool.on("error", () => {});
	// one in use that is lost says so to whoever uses it; said to nobody as well, it would end the process
	pool.on("connect", (client) => client.on("error", () => {}));
	let closing: Promise<void> | undefined;

	/** Tries until it is done, known not to be worth trying again, or too late. */
	async function patiently<T>(attempt: () => Promise<Attempt<T>>): Promise<T | Problem> {
		if (pool.waitingCount >= WAITING_MAX) return problem("too-many", "Too much waits for the database already.");
		const beganMs = clock.elapsedMs();
		let doubt = false;
		for (let tries = 0; ; tries++) {
			const tried = await attempt();
			if ("value" in tried) return tried.value;
			// what the last attempt knows of itself says nothing of an earlier one that nobody answered
			doubt ||= tried.doubt === true;
			if (!tried.again || closing !== undefined || clock.elapsedMs() - beganMs >= patienceMs)
				return doubt ? problem("unavailable", IN_DOUBT) : tried.problem;
			await pause(tries);
		}
	}

	/** Longer each time, up to a second, and never in step with others that wait for the same. */
	async function pause(tries: number): Promise<void> {
		const mostMs = Math.min(1_000, 10 * 2 ** Math.min(tries, 10));
		const done = Promise.withResolvers<void>();
		clock.after(mostMs * (0.5 + random() / 2), done.resolve);
		await done.promise;
	}

	/** One attempt on one connection, which is thrown away when anything went wrong with it. */
	async function once<T>(
		twice: Twice,
		work: (client: pg.PoolClient, reach: (stage: Stage) => void) => Promise<T>,
	): Promise<Attempt<T>> {
		let client: pg.PoolClient | undefined;
		let stage = "undecided" as Stage;
		let whole = false;
		try {
			client = await pool.connect();
			const value = await work(client, (reached) => {
				stage = reached;
			});
			whole = true;
			return { value };
		} catch (error) {
			const trouble = troubleOf(error);
			// a transaction that a statement's refusal has ended leaves its connection whole
			whole = client !== undefined && trouble?.kind !== "lost" && (await isRolledBack(client));
			if (trouble === undefined) throw error;
			if (trouble.kind === "refused") return { problem: trouble.problem, again: trouble.again };
			const doubt = stage === "decided";
			return { problem: unreachable(trouble.says), again: !doubt || twice === "same-as-once", doubt };
		} finally {
			client?.release(!whole);
		}
	}

	function transaction<T>(
		begin: string,
		twice: Twice,
		work: (session: Session) => Promise<T>,
		msMax?: number,
	): Promise<T | Problem> {
		return patiently(() =>
			once(twice, async (client, reach) => {
				await client.query(begin);
				const value = await work(sessionOn(client, msMax));
				reach("decided");
				const { command } = await client.query("COMMIT");
				if (command !== "COMMIT") throw new Error("a transaction went on after one of its statements was refused");
				return value;
			}),
		);
	}

	return {
		read: (work) => patiently(() => once("same-as-once", (client) => work(sessionOn(client)))),
		snapshot: (work) =>
			transaction(`BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY; ${UNHURRIED}`, "same-as-once", work, WALK_MS_MAX),
		walk: (twice, work) => transaction(`BEGIN ISOLATION LEVEL REPEATABLE READ; ${UNHURRIED}`, twice, work, WALK_MS_MAX),
		change: (twice, work) => transaction("BEGIN ISOLATION LEVEL READ COMMITTED", twice, work),
		call: (twice, text, values) =>
			patiently(() =>
				once(twice, (client, reach) => {
					reach("decided");
					return sessionOn(client).ask(text, values);
				}),
			),
		migrate: (kind, steps) => patiently(() => migrate(pool, kind, steps)),
		refuseOther: async (kind, steps) => {
			const found = await patiently(() => once("same-as-once", (client) => countSteps(sessionOn(client), kind)));
			if (isProblem(found)) return found;
			if (found === undefined) return problem("not-found", `The database has no ${kind}.`);
			return found === steps.length ? undefined : otherVersion(kind);
		},
		close: async () => {
			closing ??= end();
			await closing;
		},
	};
}

/** Said at the start of a long transaction. */
const UNHURRIED = `SET LOCAL statement_timeout = ${WALK_MS_MAX}; SET LOCAL idle_in_transaction_session_timeout = ${WALK_MS_MAX}`;

const IN_DOUBT = "The database went away while it was asked, and did not say whether it did it; ask again.";

/** Ends a transaction if one is open; false when the connection does not even do that. */
async function isRolledBack(client: pg.PoolClient): Promise<boolean> {
	try {
		await client.query("ROLLBACK");
		return true;
	} catch {
		return false;
	}
}

function sessionOn(client: pg.PoolClient, msMax?: number): Session {
	// the driver knows this setting for each query, and its types do not
	const silence = msMax === undefined ? {} : { query_timeout: msMax + SILENCE_MS };
	const ask = async <Row extends object>(text: string, values: readonly unknown[] = []): Promise<Row[]> =>
		(await client.query<Row>({ text, values: [...values], ...silence })).rows;
	let cursors = 0;
	return {
		ask,
		rows: async <Row>({ sql: text, parameters }: CompiledQuery<Row>) => (await ask<object>(text, parameters)) as Row[],
		async *pages<Row extends object>(text: string, values: readonly unknown[] = []) {
			cursors += 1;
			const name = `page${cursors}`;
			await ask(`DECLARE ${name} NO SCROLL CURSOR FOR ${text}`, values);
			for (;;) {
				const page = await ask<Row>(`FETCH ${PAGE_ROWS} FROM ${name}`);
				if (page.length > 0) yield page;
				if (page.length < PAGE_ROWS) break;
			}
			await ask(`CLOSE ${name}`);
		},
	};
}
