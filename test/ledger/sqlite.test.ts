import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { readdirSync } from "node:fs";
import { open, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { after, beforeEach, describe, it } from "node:test";
import { promisify } from "node:util";
import { amount } from "#contracts/amount";
import { isProblem } from "#contracts/problem";
import type { Opened, Pass } from "#host/writer";
import { type Book, BookFailure, type Change } from "#marketplace/ledger/book";
import { earnedAccount, holdAccount, payerAccount } from "#marketplace/ledger/chart";
import { post, reserve } from "#marketplace/ledger/post";
import { auditFile, openSqliteBook } from "#marketplace/ledger/sqlite";
import { pack } from "#marketplace/ledger/sqlite-pack";
import { type LedgerCalls, open as openThread } from "#marketplace/ledger/sqlite-thread";
import { digestOf } from "#marketplace/ledger/transfer";
import { bookSuite, deposit, words } from "#test/acceptance/book";
import { poolsSuite } from "#test/acceptance/pools";
import { quickFolder } from "#test/support/folder";

const folder = await quickFolder("farelay-ledger-");
const books: Book[] = [];
after(async () => {
	// a story that failed may have left one open
	for (const book of books) await book.close();
	await rm(folder, { recursive: true, force: true });
});
let files = 0;

type More = { pagesMax?: number; onDeath?: (why: Error) => void };
async function opened(path: string, more: More = {}): Promise<Book> {
	const book = await openSqliteBook({ path, ...more });
	assert(!isProblem(book), JSON.stringify(book));
	books.push(book);
	return book;
}
function newPath(): string {
	files += 1;
	return join(folder, `ledger-${files}.db`);
}

bookSuite("sqlite", () => opened(newPath()));
poolsSuite("sqlite", () => opened(newPath()));

const ADA = payerAccount("a1".repeat(32));
const OLU = earnedAccount("b2".repeat(32));
const HOLD = holdAccount("c3".repeat(16));
const label = (id: string) => ({ id, cause: `because of ${id}`, atMs: 7 });

/** A file with a deposit of 1,000, a hold of 600 and 100 paid from it, closed again. */
async function filled(): Promise<string> {
	const path = newPath();
	const book = await opened(path);
	const outcomes = await book.apply([
		{ transfer: deposit("d1", ADA, 1000n) },
		{ transfer: reserve(label("open"), [{ account: ADA, nanos: amount(600n) }], HOLD) },
		{ transfer: post(label("redeem"), HOLD, [{ account: OLU, nanos: amount(100n) }]) },
	]);
	assert.deepEqual(words(outcomes), ["applied", "applied", "applied"]);
	await book.close();
	return path;
}
async function reportOf(path: string) {
	const report = await auditFile(path);
	if (isProblem(report)) assert.fail(report.detail);
	return report;
}
/** What the thread does with changes, in this one. */
const applyOf = (ledger: Opened) => (changes: readonly Change[], pass: Pass) =>
	(ledger.writes.apply as LedgerCalls["apply"])(pack(changes), pass);
async function damage(path: string): Promise<void> {
	const file = await open(path, "r+");
	await file.write(Buffer.alloc((await file.stat()).size - 4096, 0xee), 0, undefined, 4096);
	await file.close();
}
function alter(path: string, sql: string): void {
	// as any editor of SQLite files may, down to the table of tables
	const database = new DatabaseSync(path, { defensive: false });
	database.exec(`PRAGMA foreign_keys = OFF; PRAGMA ignore_check_constraints = ON; ${sql}`);
	database.close();
}

describe("the book on SQLite", () => {
	it("has everything after it was closed and opened again", async () => {
		const path = await filled();
		const book = await opened(path);
		assert.deepEqual(await book.balances([ADA, HOLD, OLU]), [400n, 500n, 100n]);
		assert.deepEqual(words(await book.apply([{ transfer: deposit("d1", ADA, 1000n) }])), ["same"]);
		assert.deepEqual(words(await book.apply([{ transfer: deposit("d1", ADA, 1n) }])), ["conflict"]);
		assert.equal(await book.count(), 3);
		await book.close();
		assert.equal((await reportOf(path)).holds, true);
	});

	it("gives a file of an older version what it lacks, and keeps what it has", async () => {
		const path = await filled();
		alter(
			path,
			"DROP TABLE records; DROP TABLE prunings; DROP TABLE carried; DROP INDEX tabsOfAccountInState; PRAGMA user_version = 1",
		);
		const book = await opened(path);
		const row = { key: "d-1", account: "a1".repeat(32), state: "waiting", dueMs: 1, value: "{}" };
		assert.deepEqual(words(await book.apply([{ rows: [{ table: "deposits", expect: 0, row }] }])), ["applied"]);
		assert.deepEqual(await book.balances([ADA, HOLD, OLU]), [400n, 500n, 100n]);
		await book.close();
		assert.equal((await reportOf(path)).holds, true);
	});

	it("applies a batch with a duplicate in it once, also when the two come in two calls of one turn", async () => {
		const book = await opened(newPath());
		const change = { transfer: deposit("d1", ADA, 5n) };
		const outcomes = await Promise.all([book.apply([change, change]), book.apply([change])]);
		assert.deepEqual(outcomes.map(words), [["applied", "same"], ["same"]]);
		assert.equal(await book.balance(ADA), 5n);
		await book.close();
	});

	it("threat 5: gives an account what a call gives it before the same call takes from it, and no more", async () => {
		const path = await filled();
		const book = await opened(path);
		const take = (id: string, nanos: bigint) => ({
			transfer: reserve(label(id), [{ account: ADA, nanos: amount(nanos) }], HOLD),
		});
		const gifts = [{ transfer: deposit("g1", ADA, 50n) }, { transfer: deposit("g2", ADA, 50n) }];
		const last = { transfer: deposit("g3", ADA, 7n) };
		assert.deepEqual(words(await book.apply([...gifts, take("t1", 300n), last])), Array(4).fill("applied"));
		assert.deepEqual(await book.balances([ADA, HOLD]), [207n, 800n]);
		const late = [take("t2", 208n), { transfer: deposit("g4", ADA, 1n) }];
		assert.deepEqual(words(await book.apply(late)), ["overdraft", "applied"]);
		assert.deepEqual(await book.balances([ADA, HOLD]), [208n, 800n]);
		await book.close();
		assert.equal((await reportOf(path)).holds, true);
	});

	it("threat 5: has the database itself refuse an overdraft, whoever writes", async () => {
		const path = await filled();
		const database = new DatabaseSync(path);
		assert.throws(
			() => database.exec(`UPDATE accounts SET balance = balance - 401 WHERE name = '${ADA}'`),
			/CHECK constraint failed/,
		);
		assert.throws(() => database.exec(`UPDATE accounts SET floor = -1 WHERE name = '${ADA}'`), /CHECK/);
		assert.throws(
			() => database.exec("INSERT INTO transfers SELECT 99, id, cause, atMs, digest FROM transfers LIMIT 1"),
			/UNIQUE constraint failed/,
		);
		for (const odd of [
			"UPDATE transfers SET digest = 'none'",
			"UPDATE entries SET nanos = 0",
			`INSERT INTO tabs VALUES ('${"c3".repeat(16)}', 0, 'a', 'r', 'open', 1, '{}')`,
			"INSERT INTO records VALUES ('deposits', 'd', 0, 'a', 'waiting', 1, '{}')",
		])
			assert.throws(() => database.exec(odd), /CHECK constraint failed/, odd);
		database.close();
	});

	it("leaves no savepoint open after changes that were applied or refused: one would grow until the commit", async () => {
		const ledger = openThread({ path: newPath() });
		assert(!isProblem(ledger));
		const apply = applyOf(ledger);
		assert.deepEqual(words(apply([{ transfer: deposit("d1", ADA, 5n) }], "careful")), ["applied"]);
		assert.equal(ledger.database.isTransaction, false);
		const tooMuch = { transfer: post(label("r1"), HOLD, [{ account: OLU, nanos: amount(1n) }]) };
		assert.deepEqual(words(apply([{ transfer: deposit("d2", ADA, 5n) }, tooMuch], "careful")), [
			"applied",
			"overdraft",
		]);
		assert.equal(ledger.database.isTransaction, false);
		ledger.database.close();
	});

	it("writes boldly what takes the money that the same call gave: only a refusal costs a second, careful pass", async () => {
		const ledger = openThread({ path: newPath() });
		assert(!isProblem(ledger));
		const apply = applyOf(ledger);
		assert.deepEqual(words(apply([{ transfer: deposit("d1", ADA, 1n) }], "careful")), ["applied"]);
		const take = { transfer: reserve(label("t1"), [{ account: ADA, nanos: amount(6n) }], HOLD) };
		ledger.database.exec("BEGIN");
		assert.deepEqual(words(apply([{ transfer: deposit("d2", ADA, 5n) }, take], "bold")), ["applied", "applied"]);
		ledger.database.exec("COMMIT");
		assert.deepEqual((ledger.reads.balances as LedgerCalls["balances"])([ADA, HOLD]), [0n, 6n]);
		ledger.database.close();
	});

	it("does not call it an overdraft when a balance cannot be written for another reason", async () => {
		const ledger = openThread({ path: newPath() });
		assert(!isProblem(ledger));
		const apply = applyOf(ledger);
		assert.deepEqual(words(apply([{ transfer: deposit("d1", ADA, 1n) }], "careful")), ["applied"]);
		ledger.database.exec(
			"CREATE TRIGGER bug BEFORE UPDATE ON accounts BEGIN SELECT abs(-9223372036854775807 - 1); END",
		);
		assert.throws(() => apply([{ transfer: deposit("d2", ADA, 1n) }], "careful"), /integer overflow/);
		ledger.database.close();
	});

	it("says when its thread dies by a bug, and answers nothing as if it had happened", async () => {
		const path = await filled();
		alter(path, "CREATE TRIGGER bug BEFORE INSERT ON transfers BEGIN SELECT RAISE(ROLLBACK, 'a bug'); END");
		const deaths: Error[] = [];
		const book = await opened(path, { onDeath: (why) => deaths.push(why) });
		await assert.rejects(book.apply([{ transfer: deposit("d2", ADA, 1n) }]), /a bug/);
		assert.equal(deaths.length, 1);
	});

	it("threat 2: moves money once when two processes' books apply the same redemption at once", async () => {
		const path = await filled();
		const two = await Promise.all([opened(path), opened(path)]);
		const pay = { transfer: post(label("redeem-2"), HOLD, [{ account: OLU, nanos: amount(500n) }]) };
		const outcomes = (await Promise.all(two.map((book) => book.apply([pay])))).flat();
		assert.deepEqual(words(outcomes).sort(), ["applied", "same"]);
		assert.deepEqual(await two[0].balances([HOLD, OLU]), [0n, 600n]);
		await Promise.all(two.map((book) => book.close()));
	});

	it("is audited by another process while it is written to", async () => {
		const path = await filled();
		const book = await opened(path);
		const script = `import { auditFile } from "#marketplace/ledger/sqlite";
			const report = await auditFile(process.argv[1]);
			console.log(report.holds, report.sum, report.transfers > 3);`;
		let writing = true;
		let n = 0;
		const writer = (async () => {
			while (writing) {
				n += 1;
				await book.apply([{ transfer: deposit(`w${n}`, ADA, 1n) }]);
			}
		})();
		const { stdout } = await promisify(execFile)(process.execPath, ["--input-type=module", "-e", script, path]);
		writing = false;
		await writer;
		assert.equal(stdout, "true 0n true\n");
		assert.equal((await book.audit()).transfers, 3 + n);
		await book.close();
	});

	it("threat 14: answers disk when the disk is full, applies nothing of it, and goes on when there is room", async () => {
		const path = newPath();
		const book = await opened(path, { pagesMax: 30 });
		let applied = 0;
		let refused = 0;
		for (let batch = 0; batch < 40 && refused === 0; batch++) {
			const changes = Array.from({ length: 20 }, (_, i) => ({ transfer: deposit(`d${batch}-${i}`, ADA, 1n) }));
			const outcomes = words(await book.apply(changes));
			applied += outcomes.filter((word) => word === "applied").length;
			refused += outcomes.filter((word) => word === "disk").length;
			assert(outcomes.every((word) => word === "applied") || outcomes.every((word) => word === "disk"));
		}
		assert(applied > 0 && refused > 0, `${applied} applied, ${refused} refused`);
		assert.equal(await book.balance(ADA), BigInt(applied), "what is there can be read on a full disk");
		await book.close();
		const roomy = await opened(path);
		assert.deepEqual(words(await roomy.apply([{ transfer: deposit("later", ADA, 1n) }])), ["applied"]);
		assert.equal(await roomy.balance(ADA), BigInt(applied) + 1n);
		await roomy.close();
		assert.equal((await reportOf(path)).holds, true);
	});

	it("gives the problem of a file that is no ledger instead of a book", async () => {
		const path = newPath();
		await writeFile(path, "nothing of the kind ".repeat(1_000));
		const none = await openSqliteBook({ path });
		assert.equal(isProblem(none) && none.problem, "data-corrupt");
	});

	it("threat 14: fails a read of damaged pages as the machine's, with its problem", async () => {
		const path = await filled();
		const book = await opened(path);
		await damage(path);
		const walk = () => book.eachBalance(() => {});
		for (const asked of [() => book.balance(ADA), () => book.transfer("d1"), () => book.tab(HOLD.slice(5)), walk])
			await assert.rejects(asked, (error) => error instanceof BookFailure && error.problem.problem === "data-corrupt");
	});

	it("fails a walk through balances whose file is gone as the machine's", async () => {
		const path = newPath();
		const book = await opened(path);
		await rm(path);
		await assert.rejects(
			book.eachBalance(() => {}),
			BookFailure,
		);
		await book.close();
	});

	it("goes back far in slices and sees one moment, whatever is written meanwhile; what breaks the walk is thrown, and nothing stays open", async () => {
		const path = newPath();
		const book = await opened(path);
		await book.apply([{ transfer: deposit("first", ADA, 1n) }]);
		const many = Array.from({ length: 1000 }, (_, n) => payerAccount(n.toString(16).padStart(64, "0")));
		await book.apply(many.map((account, i) => ({ transfer: deposit(`m${i}`, account, 1n) })));
		for (let call = 0; call < 5; call++)
			await book.apply(Array.from({ length: 1000 }, (_, i) => ({ transfer: deposit(`d${call}-${i}`, OLU, 1n) })));
		const other = openThread({ path });
		assert(!isProblem(other));
		const late = payerAccount("ff".repeat(32));
		let turns = 0;
		let walking = true;
		const count = (): void => {
			turns += 1;
			// a payment to a name that the walk has not come to yet, in its first pause
			if (turns === 1) applyOf(other)([{ transfer: deposit("late", late, 7n) }], "careful");
			if (walking) setImmediate(count);
		};
		setImmediate(count);
		const seen = new Map<string, bigint>();
		const pages: number[] = [];
		const position = await book.eachBalance((page) => {
			pages.push(turns);
			for (const { account, balance } of page) seen.set(account, balance);
		}, 1);
		walking = false;
		assert.equal(position, 1);
		const [turnsBefore = 0, turnsNext = 0] = pages;
		assert.ok(turnsBefore >= 10 && turnsBefore < 200, `${turnsBefore} turns of others in 12,000 entries`);
		assert.ok(turnsNext > turnsBefore, "others have a turn between two pages");
		assert.deepEqual([seen.get(ADA), seen.get(OLU), seen.get(late) ?? 0n], [1n, 0n, 0n]);
		assert.equal(await book.balance(late), 7n, "it was written meanwhile");
		const open = readdirSync("/proc/self/fd").length;
		for (let n = 0; n < 20; n++)
			await assert.rejects(
				book.eachBalance(() => {
					throw new Error("no more");
				}),
				/no more/,
			);
		assert.ok(readdirSync("/proc/self/fd").length < open + 10, "every walk closes its file");
		other.database.close();
		await book.close();
	});

	it("says busy when too much waits for the disk, and nothing of that was applied", async () => {
		const book = await opened(newPath());
		const outcomes = await Promise.all(
			Array.from({ length: 40 }, (_, call) =>
				book.apply(Array.from({ length: 1000 }, (_, i) => ({ transfer: deposit(`d${call}-${i}`, ADA, 1n) }))),
			),
		);
		const all = outcomes.flatMap(words);
		const applied = all.filter((word) => word === "applied").length;
		assert.deepEqual(new Set(all), new Set(["applied", "busy"]));
		assert.equal(await book.balance(ADA), BigInt(applied));
		await book.close();
	});
});

describe("an audit finds what was altered by hand", () => {
	let path: string;
	beforeEach(async () => {
		path = await filled();
	});

	const alterations: Record<string, { sql: string; says: RegExp }> = {
		"one entry": {
			sql: "UPDATE entries SET nanos = nanos + 1 WHERE transfer = 3 AND nanos > 0",
			says: /transfer redeem sum to 1 .*digest differs.*All entries together sum to 1 .*shows 100 nano-dollars, but its entries sum to 101/s,
		},
		"both entries of a transfer, and the balances with them": {
			sql: `UPDATE entries SET nanos = nanos * 2 WHERE transfer = 3;
				UPDATE accounts SET balance = balance + 100 WHERE name LIKE 'operator:%';
				UPDATE accounts SET balance = balance - 100 WHERE name LIKE 'hold:%'`,
			says: /^Transfer redeem is not what it was when it was made/,
		},
		"a balance": {
			sql: "UPDATE accounts SET balance = balance + 1000 WHERE name LIKE 'payer:%'",
			says: /^Account payer:a1\w+ shows 1400 nano-dollars, but its entries sum to 400\.$/,
		},
		"a cause": {
			sql: "UPDATE transfers SET cause = 'a gift' WHERE position = 2",
			says: /^Transfer open is not what it was/,
		},
		"an id, so that it could be done again": {
			sql: "UPDATE transfers SET id = 'other' WHERE position = 3",
			says: /^Transfer other is not what it was/,
		},
		"whose entry it is": {
			sql: `UPDATE entries SET account = (SELECT id FROM accounts WHERE name LIKE 'payer:%')
				WHERE transfer = 3 AND nanos > 0`,
			says: /Transfer redeem is not what it was.*shows 400 nano-dollars, but its entries sum to 500/s,
		},
		"a transfer that is gone": {
			sql: "DELETE FROM transfers WHERE position = 3",
			says: /2 entries belong to transfer 3, which is missing/,
		},
		"entries that are gone": {
			sql: "DELETE FROM entries WHERE transfer = 3",
			says: /Transfer redeem is not what it was.*shows 100 nano-dollars, but its entries sum to 0/s,
		},
		"an account that is gone": {
			sql: "DELETE FROM accounts WHERE name LIKE 'operator:%'",
			says: /There are entries of number \d+, which is not among the accounts/,
		},
		"an account outside the chart": {
			sql: "INSERT INTO accounts (name, floor, balance) VALUES ('bank', 0, 0)",
			says: /an account "bank" which the chart does not know/,
		},
		"an index that was taken out from under its table": {
			sql: "PRAGMA writable_schema = ON; DELETE FROM sqlite_schema WHERE name = 'tabsByDeadline'",
			says: /^The file itself is not whole: .*never used/s,
		},
		"leave to owe": {
			sql: "UPDATE accounts SET floor = -1000 WHERE name LIKE 'payer:%'",
			says: /^Account payer:a1\w+ was given leave to owe/,
		},
		"a transfer that puts an account below zero": {
			sql: `INSERT INTO transfers VALUES (4, 'theft', 'theft', 1, '${digestOf({
				id: "theft",
				cause: "theft",
				entries: [
					{ account: ADA, nanos: -9000n },
					{ account: OLU, nanos: 9000n },
				],
			})}');
				INSERT INTO entries SELECT 4, 0, id, -9000 FROM accounts WHERE name LIKE 'payer:%';
				INSERT INTO entries SELECT 4, 1, id, 9000 FROM accounts WHERE name LIKE 'operator:%';
				UPDATE accounts SET balance = balance - 9000 WHERE name LIKE 'payer:%';
				UPDATE accounts SET balance = balance + 9000 WHERE name LIKE 'operator:%'`,
			says: /^Account payer:a1\w+ is at -8600 nano-dollars, below what it may hold\.$/,
		},
	};
	for (const [what, { sql, says }] of Object.entries(alterations)) {
		it(`finds ${what}`, async () => {
			assert.equal((await reportOf(path)).holds, true);
			alter(path, sql);
			const report = await reportOf(path);
			assert.equal(report.holds, false);
			assert(report.findings.length > 0);
			assert.match(report.findings.join("\n"), says);
		});
	}

	it("says that a file is damaged, is none, or is missing, instead of auditing it", async () => {
		await damage(path);
		const damaged = await auditFile(path);
		assert.equal(isProblem(damaged) && damaged.problem, "data-corrupt");
		await writeFile(path, "nothing of the kind");
		const none = await auditFile(path);
		assert.equal(isProblem(none) && none.problem, "data-corrupt");
		const missing = await auditFile(join(folder, "nowhere.db"));
		assert.equal(isProblem(missing) && missing.problem, "not-found");
	});

	it("sees one moment of a book that is written to between its slices", async () => {
		const book = await opened(path);
		for (let batch = 0; batch < 2; batch++)
			await book.apply(Array.from({ length: 800 }, (_, i) => ({ transfer: deposit(`x${batch}-${i}`, ADA, 1n) })));
		const other = openThread({ path });
		assert(!isProblem(other));
		const apply = applyOf(other);
		// before the audit goes on after its first thousand transfers
		setImmediate(() => apply([{ transfer: deposit("meanwhile", ADA, 7n) }], "careful"));
		const report = await reportOf(path);
		assert.deepEqual([report.findings, report.transfers], [[], 1603]);
		assert.equal(await book.balance(ADA), 2007n, "it was written meanwhile");
		// an audit that has ended holds nothing: the log can be folded into the file to its end
		assert.equal(other.database.prepare("PRAGMA wal_checkpoint(TRUNCATE)").get()?.busy, 0n);
		other.database.close();
		await book.close();
	});

	it("throws what a further check throws: a bug is no finding and no problem of the machine", async () => {
		const broken = () => {
			throw new TypeError("a bug in a check");
		};
		await assert.rejects(auditFile(path, [broken]), /a bug in a check/);
	});

	it("counts everything that is wrong and shows the first hundred", async () => {
		const book = await opened(path);
		await book.apply(Array.from({ length: 150 }, (_, i) => ({ transfer: deposit(`x${i}`, ADA, 1n) })));
		await book.close();
		alter(path, "UPDATE transfers SET cause = 'altered' WHERE id LIKE 'x%'");
		const report = await reportOf(path);
		assert.equal(report.findingsTotal, 150);
		assert.equal(report.findings.length, 100);
	});
});
