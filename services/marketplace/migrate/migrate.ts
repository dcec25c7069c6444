/**
 * Moves a market from one engine to the other: all tables in one transaction of the target, page by page, held against the source by a digest
 * over every row and by an audit of both ledgers before any of it lasts. A move that ends early has changed nothing.
 */

import { createHash } from "node:crypto";
import { existsSync, mkdtempSync, renameSync, rmSync } from "node:fs";
import { mkdir } from "node:fs/promises";
import { basename, dirname, join } from "node:path";
import { isDeepStrictEqual } from "node:util";
import type { Crypto } from "#contracts/identity";
import { isProblem, type Problem, problem } from "#contracts/problem";
import type { Clock } from "#host/clock";
import { problemOfDatabase } from "#host/database";
import { lockFolder } from "#host/lock";
import type { Postgres, Session } from "#host/postgres";
import { syncFolder } from "#host/replace";
import { type DatabaseAt, rememberDatabase } from "#marketplace/database";
import { type AuditReport, audit, type Check } from "#marketplace/ledger/audit";
import { refuseLedger } from "#marketplace/ledger/postgres";
import { connect, ledgerPath, openPostgresStores } from "#marketplace/stores";
import { type Files, findRows, openFiles, overPostgres, type Side } from "./side.ts";
import { TABLES } from "./tables.ts";

/** What a move came to. */
export type Moved = {
	/** rows by table */
	readonly rows: Readonly<Record<string, number>>;
	/** SHA-256 over every row of every table, the same on both sides */
	readonly digest: string;
	/** of the target, the same as of the source */
	readonly report: AuditReport;
};

/** What a move takes beside the two databases. */
export type MoveDeps = {
	readonly clock: Clock;
	readonly crypto: Pick<Crypto, "random">;
	readonly checks: readonly Check[];
};

/** Moves all that is in `from` to `to`, which must be empty and of the other engine. Both markets must be stopped. */
export async function moveMarket(from: DatabaseAt, to: DatabaseAt, deps: MoveDeps): Promise<Moved | Problem> {
	if (from.engine === to.engine)
		return problem(
			"usage",
			"A market moves between SQLite and Postgres; files of one engine are copied by its own tools.",
		);
	const [at, folder] = from.engine === "postgres" ? [from, to] : [to, from];
	if (at.engine !== "postgres" || folder.engine !== "sqlite") throw new Error("one side is Postgres");
	if (from.engine === "sqlite" && !existsSync(ledgerPath(folder.folder)))
		return problem("not-found", `There is no ledger in ${folder.folder}.`);
	const lock = lockFolder(folder.folder);
	if ("problem" in lock) return lock;
	// one connection: any other that calls itself Farelay's is a market that runs
	const postgres = await connect(at, deps.clock, 1);
	try {
		if (isProblem(postgres)) return postgres;
		const moved = await (from.engine === "sqlite"
			? toPostgres(folder.folder, postgres, deps)
			: toFiles(postgres, folder.folder, deps));
		// the files stay as they were: a market that was started on them as before would go on beside what was moved
		if (!isProblem(moved)) await rememberDatabase(folder.folder, to);
		return moved;
	} catch (error) {
		const known = problemOfDatabase(error, folder.folder);
		if (known) return known;
		throw error;
	} finally {
		if (!isProblem(postgres)) await postgres.close();
		lock.release();
	}
}

async function toPostgres(folder: string, postgres: Postgres, deps: MoveDeps): Promise<Moved | Problem> {
	const made = await openPostgresStores(postgres, deps.crypto);
	if (isProblem(made)) return made;
	const files = openFiles(folder);
	if (isProblem(files)) return files;
	try {
		return await withRefusals(postgres, async (session) => {
			const target = overPostgres(session);
			const there = await findRows(target);
			if (there)
				throw new Refused(problem("conflict", `The target is not empty: it has ${there}. Nothing was changed.`));
			return await move(files, target, deps.checks);
		});
	} finally {
		files.close();
	}
}

async function toFiles(postgres: Postgres, folder: string, deps: MoveDeps): Promise<Moved | Problem> {
	const refused = await refuseLedger(postgres);
	if (refused) return refused;
	await mkdir(folder, { recursive: true, mode: 0o700 });
	const part = mkdtempSync(join(folder, "migrate-"));
	try {
		const files = openFiles(part);
		if (isProblem(files)) return files;
		const there = files.paths.map((path) => join(folder, basename(path))).find((path) => existsSync(path));
		if (there) {
			files.close();
			return problem("conflict", `The target is not empty: it has ${there}. Nothing was changed.`);
		}
		let moved: Moved | Problem;
		try {
			moved = await withRefusals(postgres, (session) => move(overPostgres(session), files, deps.checks));
			if (!isProblem(moved)) files.commit();
		} finally {
			files.close();
		}
		if (!isProblem(moved)) await putInPlace(files, folder);
		return moved;
	} finally {
		rmSync(part, { recursive: true, force: true });
	}
}

/** The ledger last: with it the folder is a market's, and before it is none. Closing a file has folded its log into it. */
async function putInPlace({ paths }: Files, folder: string): Promise<void> {
	for (const path of paths.toReversed()) renameSync(path, join(folder, basename(path)));
	for (const path of new Set([folder, dirname(folder)])) await syncFolder(path);
}

/** A refusal from within a transaction, which it undoes. */
class Refused extends Error {
	readonly why: Problem;
	constructor(why: Problem) {
		super(why.detail);
		this.why = why;
	}
}

async function withRefusals(postgres: Postgres, work: (session: Session) => Promise<Moved>): Promise<Moved | Problem> {
	let begun = false;
	try {
		return await postgres.walk("differs", async (session) => {
			// files that were written to cannot be taken back halfway, so a lost connection ends the move
			if (begun)
				throw new Refused(problem("unavailable", "The database went away; nothing was changed.", { spent: "no" }));
			begun = true;
			const others = await session.ask(
				"SELECT 1 FROM pg_stat_activity WHERE datname = current_database() AND application_name = 'farelay' AND pid <> pg_backend_pid()",
			);
			if (others.length > 0)
				throw new Refused(
					problem("conflict", "A market is connected to the database; stop it first. Nothing was changed."),
				);
			return await work(session);
		});
	} catch (error) {
		if (error instanceof Refused) return error.why;
		throw error;
	}
}

async function move(from: Side, to: Side, checks: readonly Check[]): Promise<Moved> {
	for (const [side, which] of [
		[from, "source"],
		[to, "target"],
	] as const) {
		const unknown = await side.unknown();
		if (unknown)
			throw new Refused(
				problem(
					"conflict",
					`The ${which} has ${unknown}, which is not moved: take it elsewhere first. Nothing was changed.`,
				),
			);
	}
	const before = await audit(from.source, checks);
	if (!before.holds) throw new Refused(problem("data-corrupt", `The ledger does not hold: ${before.findings[0]}`));
	const written = await walk(from, (table, page) => to.put(table, page));
	await to.finish(await from.place());
	const read = await walk(to);
	const after = await audit(to.source, checks);
	if (read.digest !== written.digest || !isDeepStrictEqual(before, after))
		throw new Refused(problem("data-corrupt", "What was written is not what was read; nothing of it stays."));
	return { ...read, report: after };
}

/** Goes through all rows of all tables in order. */
async function walk(
	side: Side,
	each: (...page: Parameters<Side["put"]>) => Promise<void> = async () => {},
): Promise<Pick<Moved, "rows" | "digest">> {
	const hash = createHash("sha256");
	const rows: Record<string, number> = {};
	for (const table of TABLES) {
		rows[table.sqlite] = 0;
		for await (const page of side.pages(table)) {
			for (const values of page) hash.update(`${table.sqlite} ${JSON.stringify(values.map(textOf))}\n`);
			rows[table.sqlite] = (rows[table.sqlite] ?? 0) + page.length;
			if (page.length > 0) await each(table, page);
		}
	}
	hash.update(`place ${await side.place()}`);
	return { rows, digest: hash.digest("hex") };
}

function textOf(value: string | bigint | Uint8Array): string {
	if (typeof value === "string") return value;
	return typeof value === "bigint" ? `${value}` : Buffer.from(value).toString("hex");
}
