/**
 * What the book is held against: the very statements that it runs for the same work, on a bare `node:sqlite` in the main thread, in groups of the same
 * size, with the same durability. They are written down once, on a copy of the file, and played back on another: without
 * the checks, the savepoints, the reads, the thread and what travels to it. Reads a job from stdin.
 */
import { rmSync } from "node:fs";
import { DatabaseSync, type SQLInputValue, type StatementSync } from "node:sqlite";
import { text } from "node:stream/consumers";
import { isProblem } from "#contracts/problem";
import { openDatabase } from "#host/database";
import { LEDGER_KIND, LEDGER_MIGRATIONS, LEDGER_ROOM } from "#marketplace/ledger/schema";
import { pack } from "#marketplace/ledger/sqlite-pack";
import { open } from "#marketplace/ledger/sqlite-thread";
import { type BookJob, contentsOf, copyOf, type Measured, prepared, tidy, warmOf } from "./ledger-job.ts";
import { changesIn } from "./ledger-work.ts";

const job = JSON.parse(await text(process.stdin)) as BookJob;
const { path, calls, done } = await prepared(job);

/** One statement as it was run: which, and with what. */
type Played = { readonly sql: string; readonly values: SQLInputValue[]; readonly how: "run" | "get" };

/** What a savepoint, a commit or a look says is none of the bare work. */
const WRITES = /^\s*(INSERT|UPDATE|DELETE)/;

/** The statements of each call, by watching the book's own code do it. */
function watched(scratch: string): Played[][] {
	const prepare = DatabaseSync.prototype.prepare;
	let now: Played[] = [];
	DatabaseSync.prototype.prepare = function (this: DatabaseSync, sql: string) {
		const statement = prepare.call(this, sql);
		if (!WRITES.test(sql)) return statement;
		const watch = (how: Played["how"], values: SQLInputValue[]) => {
			now.push({ sql, values, how });
			return statement[how](...values) as never;
		};
		return {
			run: (...values: SQLInputValue[]) => watch("run", values),
			get: (...values: SQLInputValue[]) => watch("get", values),
		};
	} as unknown as typeof prepare;
	const opened = open({ path: scratch });
	if (isProblem(opened)) throw new Error(opened.detail);
	const apply = opened.writes.apply as (changes: unknown, pass: string) => unknown;
	opened.database.exec("BEGIN");
	const all = calls.map((call) => {
		now = [];
		apply(pack(call), "bold");
		return now;
	});
	opened.database.exec("ROLLBACK");
	DatabaseSync.prototype.prepare = prepare;
	opened.database.close();
	rmSync(scratch);
	return all;
}

const plays = watched(copyOf(path));
const ledger = { kind: LEDGER_KIND, migrations: LEDGER_MIGRATIONS, ...LEDGER_ROOM };
const database = openDatabase({ path, ...ledger, bigints: true });
if (isProblem(database)) throw new Error(database.detail);
const statements = new Map<string, StatementSync>();
const ready = plays.map((play) =>
	play.map(({ sql, values, how }) => {
		const statement = statements.get(sql) ?? database.prepare(sql);
		statements.set(sql, statement);
		return { statement, values, how };
	}),
);
const [begin, commit] = [database.prepare("BEGIN IMMEDIATE"), database.prepare("COMMIT")];
let next = 0;

function until(end: number): void {
	for (let group = 0; next < end; group++) {
		const size = job.groups[group % job.groups.length] ?? 1;
		begin.run();
		for (let n = 0; n < size && next < end; n++) {
			for (const { statement, values, how } of ready[next] ?? []) statement[how](...values);
			next++;
		}
		commit.run();
	}
}

const warm = warmOf(calls);
tidy();
until(warm);
const [began, cpu] = [performance.now(), process.cpuUsage()];
until(calls.length);
const seconds = (performance.now() - began) / 1000;
const used = process.cpuUsage(cpu);
database.close();
const changes = changesIn(calls.slice(warm));
const told: Measured = {
	changes,
	seconds,
	groups: job.groups,
	cpuMicros: (used.user + used.system) / changes,
	loopMicros: 0,
	loopP99Ms: 0,
	contents: contentsOf(job, path),
};
done();
process.stdout.write(`${JSON.stringify(told)}\n`);
