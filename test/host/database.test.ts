import assert from "node:assert/strict";
import { chmod, mkdtemp, open, readFile, rm, stat, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { DatabaseSync } from "node:sqlite";
import { afterEach, beforeEach, describe, it } from "node:test";
import { isProblem } from "#contracts/problem";
import { checkDatabase, type DatabaseOptions, isConstraint, openDatabase, problemOfDatabase } from "#host/database";

describe("opening a database", () => {
	let folder: string;
	let path: string;
	const migrations = ["CREATE TABLE notes (id INTEGER PRIMARY KEY, text TEXT NOT NULL CHECK (text <> '')) STRICT"];

	beforeEach(async () => {
		folder = await mkdtemp(join(tmpdir(), "farelay-database-"));
		path = join(folder, "deep", "notes.db");
	});
	afterEach(() => rm(folder, { recursive: true, force: true }));

	function opened(more: Partial<DatabaseOptions> = {}): DatabaseSync {
		const database = openDatabase({ path, kind: "notes", migrations, ...more });
		assert(!isProblem(database), JSON.stringify(database));
		return database;
	}
	function refusal(more: Partial<DatabaseOptions> = {}) {
		const answer = openDatabase({ path, kind: "notes", migrations, ...more });
		assert(isProblem(answer), "it opened");
		return answer;
	}

	it("makes the folder and the file, for its owner's eyes only, and syncs every commit", async () => {
		const database = opened();
		assert.equal(database.prepare("PRAGMA journal_mode").get()?.journal_mode, "wal");
		assert.equal(database.prepare("PRAGMA synchronous").get()?.synchronous, 2);
		assert.equal(database.prepare("PRAGMA foreign_keys").get()?.foreign_keys, 1);
		database.exec("INSERT INTO notes VALUES (1, 'kept')");
		assert.equal((await stat(path)).mode & 0o077, 0);
		assert.equal((await stat(`${path}-wal`)).mode & 0o077, 0);
		database.close();
		const again = opened({ readOnly: true });
		assert.equal(again.prepare("SELECT text FROM notes").get()?.text, "kept");
		again.close();
	});

	it("runs only the migrations that are missing, and keeps what is there", () => {
		const database = opened();
		database.exec("INSERT INTO notes VALUES (1, 'old')");
		database.close();
		const later = opened({ migrations: [...migrations, "ALTER TABLE notes ADD COLUMN stars INTEGER DEFAULT 3"] });
		assert.deepEqual({ ...later.prepare("SELECT * FROM notes").get() }, { id: 1, text: "old", stars: 3 });
		later.close();
		assert.match(refusal().detail, /another version/);
	});

	it("leaves nothing of a migration that fails half way", () => {
		assert.throws(() => openDatabase({ path, kind: "notes", migrations: [...migrations, "NOT SQL"] }), /syntax/);
		const database = opened();
		assert.equal(database.prepare("PRAGMA user_version").get()?.user_version, 1);
		database.close();
	});

	it("refuses a database of another kind", () => {
		opened().close();
		const answer = refusal({ kind: "ledger" });
		assert.equal(answer.problem, "data-corrupt");
		assert.match(answer.detail, /no ledger database/);
		assert.equal(refusal({ kind: "ledger", readOnly: true }).problem, "data-corrupt");
	});

	it("says that a file which is no database is damaged, and that one which is missing is missing", async () => {
		assert.equal(refusal({ readOnly: true }).problem, "not-found");
		path = join(folder, "notes.db");
		await writeFile(path, "this is a letter, not a database. ".repeat(500));
		assert.equal(refusal().problem, "data-corrupt");
		assert.equal(refusal({ readOnly: true }).problem, "data-corrupt");
		await writeFile(path, "");
		assert.equal(refusal({ readOnly: true }).problem, "data-corrupt");
	});

	it("finds a page that was overwritten", async () => {
		const database = opened();
		const insert = database.prepare("INSERT INTO notes (text) VALUES (?)");
		for (let i = 0; i < 500; i++) insert.run("x".repeat(100));
		assert.equal(checkDatabase(database), undefined);
		database.close();
		const file = await open(path, "r+");
		await file.write(Buffer.alloc(4096, 0xa5), 0, 4096, 3 * 4096);
		await file.close();
		assert.equal((await readFile(path)).length > 4 * 4096, true);
		const damaged = opened();
		assert.equal(checkDatabase(damaged)?.problem, "data-corrupt");
		assert.throws(
			() => damaged.prepare("SELECT count(text) FROM notes").get(),
			(error) => problemOfDatabase(error)?.problem === "data-corrupt",
		);
		damaged.close();
	});

	it("threat 14: tells a full disk, a read-only file and a place that cannot be written from a bug", async () => {
		const database = opened({ pagesMax: 8 });
		const insert = database.prepare("INSERT INTO notes (text) VALUES (?)");
		assert.throws(
			() => insert.run("x".repeat(100_000)),
			(error) => problemOfDatabase(error)?.problem === "disk",
		);
		insert.run("small ones still fit");
		database.close();
		const readOnly = opened({ readOnly: true });
		assert.throws(
			() => readOnly.exec("INSERT INTO notes VALUES (7, 'no')"),
			(error) => problemOfDatabase(error)?.problem === "disk",
		);
		readOnly.close();
		assert.equal(refusal({ path: join(path, "below-a-file", "x.db") }).problem, "disk");
		assert.equal(refusal({ path: folder }).problem, "disk");
		await chmod(folder, 0o700);
		assert.equal(problemOfDatabase(new TypeError("a bug")), undefined);
		assert.equal(problemOfDatabase("not even an error"), undefined);
	});

	it("tells a constraint that refused a write from every other failure", () => {
		const database = opened();
		database.exec("INSERT INTO notes VALUES (1, 'one')");
		const failing = (sql: string): unknown => {
			try {
				database.exec(sql);
			} catch (error) {
				return error;
			}
			return assert.fail("it was taken");
		};
		const check = failing("INSERT INTO notes VALUES (2, '')");
		const unique = failing("INSERT INTO notes VALUES (1, 'two')");
		const bug = failing("INSERT INTO nowhere VALUES (1)");
		assert.deepEqual(
			[isConstraint(check, "check"), isConstraint(check, "unique"), isConstraint(check)],
			[true, false, true],
		);
		assert.deepEqual([isConstraint(unique, "check"), isConstraint(unique, "unique")], [false, true]);
		assert.equal(isConstraint(bug), false);
		database.close();
	});

	it("gives integers as bigint where money is read", () => {
		const database = opened({ bigints: true });
		database.prepare("INSERT INTO notes VALUES (?, 'most')").run(2n ** 63n - 1n);
		assert.equal(database.prepare("SELECT id FROM notes").get()?.id, 2n ** 63n - 1n);
		database.close();
	});
});
