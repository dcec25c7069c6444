/** A market's books are moved from files to Postgres and back, whole or not at all, and nothing is lost on the way. */

import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { existsSync, readdirSync } from "node:fs";
import { mkdir, rm } from "node:fs/promises";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { after, describe, it } from "node:test";
import { amount } from "#contracts/amount";
import { isProblem } from "#contracts/problem";
import { systemClock } from "#host/clock";
import { crypto } from "#host/crypto";
import { openSqliteBoard } from "#marketplace/board/sqlite";
import { openSqlitePlaces } from "#marketplace/card/sqlite";
import { type DatabaseAt, databaseOf } from "#marketplace/database";
import { COMMONS, payerAccount } from "#marketplace/ledger/chart";
import { move } from "#marketplace/ledger/post";
import { openPostgresBook } from "#marketplace/ledger/postgres";
import { pruneLedger } from "#marketplace/ledger/prune";
import { openSqliteBook } from "#marketplace/ledger/sqlite";
import { moveMarket } from "#marketplace/migrate/migrate";
import { auditAt, ledgerPath, openLedgerAlone } from "#marketplace/stores";
import { deposit, words } from "#test/acceptance/book";
import { cuttingProxy } from "#test/support/cutting";
import { quickFolder } from "#test/support/folder";
import { fine } from "#test/support/market";
import { startPostgres } from "#test/support/postgres";

const server = await startPostgres();
const folder = await quickFolder("farelay-migrate-");
after(() => rm(folder, { recursive: true, force: true }));

const deps = { clock: systemClock, crypto, checks: [] };
const key = (n: number) => n.toString(16).padStart(64, "0");
const inFolder = (name: string): DatabaseAt => ({ engine: "sqlite", folder: join(folder, name) });
const inPostgres = async (): Promise<DatabaseAt> => ({
	engine: "postgres",
	url: await server.database(),
	password: undefined,
});

/** Files with so many deposits, some of the rest, and odd letters. */
async function filled(name: string, depositsTotal = 10): Promise<DatabaseAt> {
	const path = join(folder, name);
	await mkdir(path);
	const book = fine(await openSqliteBook({ path: ledgerPath(path) }));
	const deposits = Array.from({ length: depositsTotal }, (_, n) => ({
		transfer: { ...deposit(`d${n}`, payerAccount(key(n)), 7n), cause: 'Grüße, 👋 \\ { } "NULL"' },
	}));
	await book.apply(deposits);
	const rows = Array.from({ length: 3 }, (_, n) => ({
		table: "deposits" as const,
		expect: 0,
		row: { key: ["Z", "a", "~"][n] as string, account: key(n), state: "open", dueMs: n, value: `{"n":"${n}\\n"}` },
	}));
	const tab = { tab: "c3".repeat(16), account: key(1), relay: key(2), state: "open", deadlineMs: 5, value: "{}" };
	await book.apply([{ rows: [...rows, { table: "tabs", expect: 0, row: tab }] }]);
	await book.close();
	const board = fine(await openSqliteBoard({ path: join(path, "board.db") }));
	await board.writeNote("outages", 0, "[1,2]");
	await board.use(createHash("sha256").update("used").digest(), Date.now() + 60_000);
	await board.close();
	const places = fine(await openSqlitePlaces(join(path, "cards.db")));
	const at = { place: new Uint8Array(32).fill(0xff), bytes: new Uint8Array([0, 1, 255]) };
	await places.put({ ...at, serial: 3, withdrawn: 0, untilMs: Date.now() + 60_000 } as never);
	await places.close();
	return { engine: "sqlite", folder: path };
}

describe("a market is moved", () => {
	it("from files to Postgres and back to other files: every row is the same, and both go on from there", async () => {
		const from = await filled("there", 1_000); // more than a page
		const middle = await inPostgres();
		const there = fine(await moveMarket(from, middle, deps));
		assert.deepEqual(there.rows, {
			...{ accounts: 1_001, transfers: 1_000, entries: 2_000, prunings: 0, carried: 0, tabs: 1, records: 3 },
			...{ relays: 0, postings: 0, notes: 1, used: 1, card: 1 },
		});
		const left = databaseOf({ dataPath: join(folder, "there"), database: undefined, databasePassword: undefined });
		assert(isProblem(left) && left.detail?.includes("keeps its money in postgres://"), "the files are the past");
		const postgres = await server.open({ url: middle.engine === "postgres" ? middle.url : "" });
		const book = fine(await openPostgresBook(postgres, crypto));
		const gift = (id: string) =>
			move(
				{ id, cause: "a gift", atMs: 1 },
				[{ account: payerAccount(key(5)), nanos: amount(3n) }],
				[{ account: COMMONS, nanos: amount(3n) }],
			);
		assert.deepEqual(
			await book
				.apply([{ transfer: gift("g1") }, { transfer: deposit("d1", payerAccount(key(1)), 8n) }])
				.then((all) => all[0]),
			"applied",
		);
		assert.equal((await book.transfer("g1"))?.position, 1_001);
		const busy = await moveMarket(middle, inFolder("busy"), deps);
		assert(isProblem(busy) && busy.problem === "conflict", "a market is connected");
		await postgres.close();
		const back = fine(await moveMarket(middle, inFolder("back"), deps));
		assert.deepEqual([back.rows.transfers, back.rows.accounts], [1_001, 1_002]);
		assert.notEqual(back.digest, there.digest);
		assert.deepEqual(fine(await auditAt(inFolder("back"), [], systemClock)), back.report);
		const again = fine(await openSqliteBook({ path: ledgerPath(join(folder, "back")) }));
		assert.deepEqual(await again.apply([{ transfer: gift("g1") }, { transfer: gift("g2") }]), ["same", "applied"]);
		assert.equal((await again.record("deposits", "~"))?.value, '{"n":"2\\n"}');
		await again.close();
		const places = fine(await openSqlitePlaces(join(folder, "back", "cards.db")));
		assert.deepEqual(await places.find(new Uint8Array(32).fill(0xff), Date.now()), new Uint8Array([0, 1, 255]));
		await places.close();
	});

	it("with a past that was pruned: the archive proves it on the other side too, and pruning goes on there and back", async () => {
		const from = await filled("pruned", 40);
		const archive = join(folder, "archive");
		const gift = (n: number) =>
			move(
				{ id: `g${n}`, cause: "a gift", atMs: n },
				[{ account: payerAccount(key(n % 7)), nanos: amount(1n) }],
				[{ account: COMMONS, nanos: amount(1n) }],
			);
		const gifts = Array.from({ length: 20 }, (_, n) => ({ transfer: gift(n) }));
		const prune = async (at: DatabaseAt, upToMost: number) => {
			const book = fine(await openLedgerAlone(at, deps));
			const done = fine(await pruneLedger({ book, folder: archive, beforeMs: 99, upToMost, sliceTransfers: 9 }));
			assert(words(await book.apply(gifts)).every((word) => word === (done.upTo === 0 ? "applied" : "same")));
			await book.close();
			assert.deepEqual(fine(await auditAt(at, [], systemClock, archive)).findings, []);
			return done.entries;
		};
		assert.equal(await prune(from, 0), 0);
		assert.equal(await prune(from, 50), 20);
		const middle = await inPostgres();
		const there = fine(await moveMarket(from, middle, deps));
		assert.deepEqual([there.rows.prunings, there.rows.carried, there.report.prunedTo], [6, 42, 50]);
		assert.equal(await prune(middle, 55), 10);
		const back = fine(await moveMarket(middle, inFolder("unpruned"), deps));
		assert.deepEqual([back.rows.prunings, back.report.prunedTo], [7, 55]);
		assert.equal(await prune(inFolder("unpruned"), 60), 10);
	});

	it("into nothing but what is empty, from nothing but what holds, and leaves no trace of what it refused", async () => {
		const from = await filled("full");
		const target = await inPostgres();
		const url = target.engine === "postgres" ? target.url : "";
		const refusedOf = async (a: DatabaseAt, b: DatabaseAt) => {
			const refused = await moveMarket(a, b, deps);
			assert(isProblem(refused), "it was moved");
			return refused.problem;
		};
		assert.equal(await refusedOf(inFolder("nowhere"), target), "not-found");
		assert.equal(await refusedOf(target, inFolder("new")), "not-found");
		assert.equal(await refusedOf(from, inFolder("new")), "usage");
		fine(await moveMarket(from, target, deps));
		assert.equal(await refusedOf(from, target), "conflict");
		assert.equal(await refusedOf(target, from), "conflict");
		await server.run(url, "UPDATE accounts SET balance = balance + 1 WHERE name LIKE 'payer%'");
		assert.equal(await refusedOf(target, inFolder("new")), "data-corrupt");
		assert.deepEqual(readdirSync(join(folder, "new")), ["lock.db"]);
		assert.equal(existsSync(ledgerPath(join(folder, "new"))), false);
	});

	it("not at all when there is a table or a column that would be left behind, on either side and engine", async () => {
		const alter = async (at: DatabaseAt, file: string, text: string) => {
			if (at.engine === "postgres") return void (await server.run(at.url, text));
			const database = new DatabaseSync(join(at.folder, file));
			database.exec(text);
			database.close();
		};
		for (const [n, file, name, add, drop] of [
			[0, "ledger.db", "a table pools", "CREATE TABLE pools (id INT)", "DROP TABLE pools"],
			[1, "cards.db", "a table pools", "CREATE TABLE pools (id INT)", "DROP TABLE pools"],
			[2, "ledger.db", "a column pool in tabs", "ALTER TABLE tabs ADD pool TEXT", "ALTER TABLE tabs DROP pool"],
		] as const) {
			const from = await filled(`more-${n}`);
			const target = await inPostgres();
			const refused = async (a: DatabaseAt, b: DatabaseAt, side: string) => {
				const found = await moveMarket(a, b, deps);
				assert(isProblem(found) && found.problem === "conflict", "it was moved");
				assert.match(found.detail, new RegExp(`The ${side} has ${name}, which is not moved.*Nothing was changed`));
			};
			await alter(from, file, add);
			await refused(from, target, "source");
			await alter(from, file, drop);
			await alter(target, file, add);
			await refused(from, target, "target");
			await alter(target, file, drop);
			fine(await moveMarket(from, target, deps));
			await alter(target, file, add);
			await refused(target, inFolder(`back-${n}`), "source");
			assert.deepEqual(readdirSync(join(folder, `back-${n}`)), ["lock.db"]);
		}
	});

	it("not at all when the database goes away in the middle", async () => {
		const from = await filled("cut");
		const target = await inPostgres();
		const url = target.engine === "postgres" ? target.url : "";
		const proxy = await cuttingProxy(url);
		proxy.cutAt('INSERT INTO "entries"', "after");
		const cut = await moveMarket(from, { ...target, url: proxy.url } as DatabaseAt, deps);
		assert(isProblem(cut));
		assert.deepEqual([cut.problem, cut.spent, proxy.cuts()], ["unavailable", "no", 1]);
		await proxy.close();
		fine(await moveMarket(from, target, deps));
	});
});
