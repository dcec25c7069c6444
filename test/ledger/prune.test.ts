/** A ledger whose past went into an archive: the same balances, the same answers, and the same proof, on every engine. */

import assert from "node:assert/strict";
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { after, describe, it } from "node:test";
import fc from "fast-check";
import { amount } from "#contracts/amount";
import { isProblem } from "#contracts/problem";
import { statementCsv } from "#contracts/statement";
import { crypto } from "#host/crypto";
import { type Book, BookFailure, type Change } from "#marketplace/ledger/book";
import { COMMONS, earnedAccount, holdAccount, MARKET_FEES, payerAccount, WORLD_PLAY } from "#marketplace/ledger/chart";
import { openMemoryBook } from "#marketplace/ledger/memory";
import { move } from "#marketplace/ledger/post";
import { openPostgresBook } from "#marketplace/ledger/postgres";
import { type PruneDeps, type Pruned, pruneLedger } from "#marketplace/ledger/prune";
import { auditFile, openSqliteBook } from "#marketplace/ledger/sqlite";
import { linesOf } from "#marketplace/statement";
import { deposit, words } from "#test/acceptance/book";
import { fine } from "#test/support/market";
import { emptied, startPostgres } from "#test/support/postgres";

const root = mkdtempSync(join(tmpdir(), "farelay-prune-"));
const server = await startPostgres();
let postgres: ReturnType<typeof server.open> | undefined;
after(() => rm(root, { recursive: true, force: true }));
let made = 0;
const newName = (): string => join(root, `${made++}`);

const KEYS = ["a1", "b2", "c3"].map((two) => two.repeat(32));
const [ADA, BEA, CLO] = KEYS.map(payerAccount) as [string, string, string];
const OLU = earnedAccount("d4".repeat(32));
const HOLD = holdAccount("e5".repeat(16));
const ACCOUNTS = [WORLD_PLAY, MARKET_FEES, COMMONS, ADA, BEA, CLO, OLU, HOLD];

type Engine = { readonly engine: string; open(): Promise<Book> };
const ENGINES: readonly Engine[] = [
	{ engine: "memory", open: async () => openMemoryBook() },
	{ engine: "SQLite", open: async () => fine(await openSqliteBook({ path: `${newName()}.db` })) },
	{
		engine: "Postgres",
		open: async () => {
			postgres ??= server.open();
			return fine(await openPostgresBook(await emptied(await postgres), crypto));
		},
	},
];

function pay(id: string, from: string, to: string, nanos: bigint, atMs: number): Change {
	return {
		transfer: move(
			{ id, cause: `For "${id}", äé\\`, atMs },
			[{ account: from, nanos: amount(nanos) }],
			[{ account: to, nanos: amount(nanos) }],
		),
	};
}

/** A deposit at 1, and then a payment a moment. */
async function history(book: Book, payments: number): Promise<Change[]> {
	const changes: Change[] = [{ transfer: deposit("d1", ADA, 1_000n) }];
	for (let n = 2; n < payments + 2; n++) changes.push(pay(`p${n}`, ADA, n % 3 === 0 ? OLU : HOLD, 3n, n));
	assert.deepEqual(words(await book.apply(changes)), Array(changes.length).fill("applied"));
	return changes;
}

const all: Pick<PruneDeps, "upToMost"> = { upToMost: Number.POSITIVE_INFINITY };

async function prune(book: PruneDeps["book"], folder: string, beforeMs: number, slice = 2): Promise<Pruned> {
	return fine(await pruneLedger({ book, folder, beforeMs, sliceTransfers: slice, ...all }));
}

const balancesOf = async (book: Book, at?: number): Promise<string[]> => {
	const found: string[] = [];
	await book.eachBalance((page) => void found.push(...page.map(({ account, balance }) => `${account} ${balance}`)), at);
	return found;
};

for (const { engine, open } of ENGINES)
	describe(`a pruned ledger (${engine})`, () => {
		it("has the same balances, answers repeated ids as before, and holds alone and with its archive", async () => {
			const [book, folder] = [await open(), newName()];
			const changes = await history(book, 9);
			const before = await balancesOf(book);
			const done = await prune(book, folder, 8, 3);
			// the deposit came from outside, and keeps its entries
			assert.deepEqual([done.transfers, done.entries, done.upTo], [7, 12, 7]);
			assert.deepEqual(
				done.files.map((path) => path.slice(folder.length + 1)),
				["001-000000000000003", "004-000000000000006", "007-000000000000007"].map(
					(name) => `ledger-000000000000${name}.jsonl`,
				),
			);
			assert.deepEqual(readdirSync(folder).length, 3);
			assert.deepEqual(await balancesOf(book), before);
			assert.deepEqual(words(await book.apply(changes)), Array(10).fill("same"));
			assert.deepEqual(words(await book.apply([pay("p3", ADA, BEA, 3n, 3)])), ["conflict"]);
			assert.equal(await book.count(), 10);
			const [whole, alone] = [await book.audit([], folder), await book.audit()];
			assert.deepEqual([whole.findings, alone.findings, whole.prunedTo, whole.entries], [[], [], 7, 8]);
			assert.deepEqual((await book.transfer("p3"))?.entries, []);
			assert.equal((await book.transfer("d1"))?.entries.length, 2);
			assert.deepEqual(
				(await book.transfers(ADA, 0, 10)).map(({ id }) => id),
				["d1", "p8", "p9", "p10"],
			);
			// and again, from there
			assert.deepEqual([(await prune(book, folder, 8)).transfers, (await prune(book, folder, 10)).transfers], [0, 2]);
			assert.deepEqual((await book.audit([], folder)).findings, []);
			assert.deepEqual(await balancesOf(book), before);
			await book.close();
		});

		it("goes back to balances as they were after what was pruned, and says that it cannot before", async () => {
			const [book, folder] = [await open(), newName()];
			await history(book, 6);
			const then = [await balancesOf(book, 3), await balancesOf(book, 5)];
			await prune(book, folder, 4);
			assert.deepEqual([await balancesOf(book, 3), await balancesOf(book, 5)], then);
			await assert.rejects(
				balancesOf(book, 2),
				(error) => error instanceof BookFailure && error.problem.problem === "conflict",
			);
			await book.close();
		});

		it("shows on a statement first what pruned lines came to, and refuses a page from among them", async () => {
			const [book, folder] = [await open(), newName()];
			await history(book, 6);
			await prune(book, folder, 5);
			const lines = fine(await linesOf(book, KEYS[0] as string, 0, 50));
			assert.deepEqual(
				lines.map(({ position, id, net }) => [position, id, net]),
				[[4, "carried:4", 991n], ...[5n, 6n, 7n].map((n) => [Number(n), `p${n}`, -3n])],
			);
			assert.equal(
				lines.reduce((sum, { net }) => sum + net, 0n),
				await book.balance(ADA),
			);
			assert.match(statementCsv(lines[0] as (typeof lines)[0]), /earlier lines are in the market's archive/);
			const refused = await linesOf(book, KEYS[0] as string, 2, 50);
			assert(isProblem(refused) && refused.problem === "conflict" && /archive/.test(refused.detail));
			assert.equal(fine(await linesOf(book, KEYS[0] as string, 4, 50)).length, 3);
			assert.deepEqual(await linesOf(book, KEYS[1] as string, 2, 50), [], "who had nothing then misses nothing");
			await book.close();
		});

		it("takes nothing out for whoever decided on an older moment, and not without the archive of before", async () => {
			const [book, folder] = [await open(), newName()];
			await history(book, 6);
			await prune(book, folder, 4);
			const late = await book.prune({ since: 0, upTo: 5, atMs: 5, chain: "0".repeat(64) });
			assert(isProblem(late) && late.problem === "conflict");
			const elsewhere = await pruneLedger({ book, folder: newName(), beforeMs: 9, ...all });
			assert(isProblem(elsewhere) && elsewhere.problem === "not-found");
			assert.deepEqual([(await book.pruned())?.upTo, (await book.audit([], folder)).findings], [3, []]);
			await book.close();
		});

		it("keeps what a commitment is proven from", async () => {
			const [book, folder] = [await open(), newName()];
			await history(book, 6);
			assert.equal(fine(await pruneLedger({ book, folder, beforeMs: 99, upToMost: 5 })).upTo, 5);
			await book.close();
		});

		it("goes on where it was ended, at whatever step that was", async () => {
			class Killed extends Error {}
			let kills = 0;
			const folder = newName();
			const book = await open();
			const changes = await history(book, 8);
			for (let step = 1; ; step++) {
				let left = step;
				const dying = <A extends unknown[], T>(call: (...args: A) => Promise<T>) => {
					return async (...args: A): Promise<T> => {
						left -= 1;
						if (left === 0) throw new Killed();
						const answer = await call(...args);
						left -= 1;
						if (left === 0) throw new Killed();
						return answer;
					};
				};
				const [told, pruned, taken] = [book.history, book.pruned, book.prune].map((call) => dying(call as never));
				const mortal = { history: told, pruned, prune: taken } as PruneDeps["book"];
				try {
					await prune(mortal, folder, 9, 3);
				} catch (error) {
					assert(error instanceof Killed);
					kills += 1;
					assert.deepEqual((await book.audit([], folder)).findings, []);
					continue;
				}
				break;
			}
			assert(kills >= 6, `killed ${kills} times`);
			assert.deepEqual([(await book.pruned())?.upTo, (await book.audit([], folder)).findings], [8, []]);
			assert.deepEqual(words(await book.apply(changes)), Array(9).fill("same"));
			await book.close();
		});

		it("has after any history, pruned at any points, the balances and the answers of one that never was", async () => {
			const step = fc.record({ from: fc.nat(7), to: fc.nat(7), nanos: fc.bigInt(1n, 9n), id: fc.nat(60) });
			const round = fc.record({
				steps: fc.array(step, { minLength: 1, maxLength: 12 }),
				before: fc.nat(40),
				slice: fc.integer({ min: 1, max: 5 }),
			});
			let went = 0;
			await fc.assert(
				fc.asyncProperty(fc.array(round, { minLength: 1, maxLength: 4 }), async (rounds) => {
					const [oracle, book, folder] = [openMemoryBook(), await open(), newName()];
					const told: Change[] = [ADA, BEA, CLO].map((rich) => ({
						transfer: { ...deposit(`rich-${rich}`, rich, 50n), atMs: 0 },
					}));
					for (const { steps, before, slice } of rounds) {
						for (const { from, to, nanos, id } of steps) {
							const [giver, taker] = [ACCOUNTS[from] as string, ACCOUNTS[to === from ? (to + 1) % 8 : to] as string];
							told.push(
								pay(
									`t${id}`,
									id % 3 === 0 ? WORLD_PLAY : giver,
									taker === WORLD_PLAY ? OLU : taker,
									nanos,
									told.length,
								),
							);
						}
						const good = told.filter(({ transfer }) => transfer && transfer.entries.length > 1);
						assert.deepEqual(await book.apply(good), await oracle.apply(good));
						went += (await prune(book, folder, before, slice)).entries;
					}
					assert.deepEqual(await book.balances(ACCOUNTS), await oracle.balances(ACCOUNTS));
					assert.deepEqual(await balancesOf(book), await balancesOf(oracle));
					const [report, first] = [await book.audit([], folder), await oracle.audit()];
					assert.deepEqual([report.findings, (await book.audit()).findings], [[], []]);
					assert.deepEqual([report.transfers, report.sum], [first.transfers, 0n]);
					await book.close();
				}),
				{ numRuns: engine === "memory" ? 50 : 8, endOnFailure: true },
			);
			assert(went > 20, `${went} entries went`);
		});
	});

describe("the archive", () => {
	it("is told apart from one with any other byte in it, and from one that is cut, longer or not there", async () => {
		const [book, folder] = [openMemoryBook(), newName()];
		await history(book, 3);
		await prune(book, folder, 5, 2);
		const files = readdirSync(folder).map((name) => join(folder, name));
		assert.equal(files.length, 2);
		const holds = async () => (await book.audit([], folder)).holds;
		let changed = 0;
		for (const path of files) {
			const bytes = readFileSync(path);
			for (let at = 0; at < bytes.length; at++) {
				const other = Buffer.from(bytes);
				// another digit, another letter, another sign
				other[at] = (other[at] as number) ^ 1;
				writeFileSync(path, other);
				assert(!(await holds()), `byte ${at} of ${path}: ${other.subarray(at - 20, at + 20)}`);
				changed += 1;
			}
			for (const other of [bytes.subarray(0, -1), Buffer.concat([bytes, Buffer.from("\n")]), Buffer.alloc(0)]) {
				writeFileSync(path, other);
				assert(!(await holds()));
			}
			rmSync(path);
			const { findings } = await book.audit([], folder);
			assert.match(findings.join(), /^The archive does not hold: [^,]* cannot be read \(ENOENT\)\.$/);
			writeFileSync(path, bytes);
			assert(await holds());
		}
		await assert.rejects(book.audit([], "no\0folder"), TypeError, "a bug is no finding");
		assert(changed > 600, `${changed} bytes`);
	});

	it("holds whatever its size: a file of many chunks has each line once", async () => {
		const [book, folder] = [openMemoryBook(), newName()];
		const many = Array.from({ length: 1_500 }, (_, n) => pay(`long-${n}`, ADA, OLU, 1n, 2));
		await book.apply([{ transfer: deposit("d1", ADA, 1_500n) }]);
		for (let first = 0; first < many.length; first += 300) await book.apply(many.slice(first, first + 300));
		await prune(book, folder, 9, 2_000);
		const [file = ""] = readdirSync(folder);
		const text = readFileSync(join(folder, file), "utf8");
		assert(text.length > 3 * 65_536, `${text.length} bytes`);
		assert.equal(text.trimEnd().split("\n").length, 1_503);
		assert.deepEqual((await book.audit([], folder)).findings, []);
	});

	it("is of one ledger: another one's files stay as they are, and nothing of the other is taken out", async () => {
		const [book, other, folder] = [openMemoryBook(), openMemoryBook(), newName()];
		await history(book, 4);
		await prune(book, folder, 5, 4);
		const others = [{ transfer: deposit("d1", ADA, 9n) }, ...[2, 3, 4].map((n) => pay(`other${n}`, ADA, OLU, 1n, n))];
		assert.deepEqual(words(await other.apply(others)), Array(4).fill("applied"));
		const refused = await pruneLedger({ book: other, folder, beforeMs: 6, sliceTransfers: 4, ...all });
		assert(isProblem(refused) && refused.problem === "data-corrupt" && /archive of one ledger/.test(refused.detail));
		assert.deepEqual([await other.pruned(), readdirSync(folder).length], [undefined, 1]);
		assert.deepEqual([(await other.audit()).findings, (await book.audit([], folder)).findings], [[], []]);
	});

	it("takes what a killed pruning left for nothing away, and nothing else; who was still writing that ends, and goes on when asked again", async () => {
		const [book, folder] = [openMemoryBook(), newName()];
		await history(book, 6);
		await prune(book, folder, 3);
		const others = ["ledger-notes.part", "statement.csv.part", "ledger-000000000000007.jsonl"];
		for (const name of [...others, "ledger-4-77-0.part"]) writeFileSync(join(folder, name), "{");
		let second: unknown;
		const history1 = async (after: number, limit: number) => {
			const page = await book.history(after, limit);
			if (after === 2) second = await pruneLedger({ book, folder, beforeMs: 0, ...all });
			return page;
		};
		const meant = { history: history1, pruned: book.pruned, prune: book.prune };
		const swept = await pruneLedger({ book: meant, folder, beforeMs: 9, ...all });
		assert(isProblem(swept) && swept.problem === "conflict" && swept.spent === "no", JSON.stringify(swept));
		assert.equal((second as Pruned).transfers, 0);
		const mine = ["ledger-000000000000001-000000000000002.jsonl"];
		assert.deepEqual(readdirSync(folder).sort(), [...others, ...mine].sort());
		assert.equal((await prune(book, folder, 9)).upTo, 7);
		assert.deepEqual((await book.audit([], folder)).findings, []);
	});

	it("is not made of a transfer that is no longer what it was, and nothing of that is taken out", async () => {
		const path = `${newName()}.db`;
		const book = fine(await openSqliteBook({ path }));
		await history(book, 4);
		const database = new DatabaseSync(path);
		database.exec("UPDATE entries SET nanos = nanos * 2 WHERE transfer = 3");
		database.close();
		const folder = newName();
		const refused = await pruneLedger({ book, folder, beforeMs: 9, ...all });
		assert(isProblem(refused) && refused.problem === "data-corrupt" && /p3/.test(refused.detail));
		assert.deepEqual([await book.pruned(), readdirSync(folder)], [undefined, []]);
		await book.close();
	});

	it("is not needed to see that what the ledger carries on was altered by hand", async () => {
		const path = `${newName()}.db`;
		const book = fine(await openSqliteBook({ path }));
		await history(book, 8);
		await prune(book, newName(), 7, 3);
		await book.close();
		const kept = readFileSync(path);
		const swap = "UPDATE carried SET gone = gone + 1, balance = balance + 1 WHERE account = 2";
		const changes = [
			"UPDATE carried SET balance = balance + 1 WHERE account = 2",
			"UPDATE carried SET gone = gone - 1 WHERE account = 2",
			`${swap}; UPDATE carried SET gone = gone - 1, balance = balance - 1 WHERE account = 3;
			UPDATE accounts SET balance = balance + 1 WHERE id = 2; UPDATE accounts SET balance = balance - 1 WHERE id = 3`,
			"DELETE FROM carried WHERE account = 3",
			"UPDATE prunings SET chain = replace(chain, substr(chain, 1, 1), 'x') WHERE upTo = 3",
			"UPDATE prunings SET carried = 'x' WHERE upTo = 6",
			"DELETE FROM prunings WHERE upTo = 3",
			"DELETE FROM prunings WHERE upTo = 6",
			"DELETE FROM prunings",
			"UPDATE transfers SET id = 'p2b' WHERE id = 'p2'",
			"UPDATE transfers SET cause = 'x' WHERE id = 'p2'",
			"UPDATE transfers SET atMs = 99 WHERE id = 'p2'",
			"UPDATE transfers SET digest = replace(digest, substr(digest, 1, 1), 'x') WHERE id = 'p2'",
			"DELETE FROM transfers WHERE id = 'p6'",
			"DELETE FROM transfers WHERE id = 'p2'",
			"DELETE FROM entries WHERE transfer = 1",
			"INSERT INTO entries VALUES (3, 0, 2, 5), (3, 1, 3, -5)",
		];
		for (const change of changes) {
			writeFileSync(path, kept);
			const database = new DatabaseSync(path);
			database.exec(`PRAGMA foreign_keys = OFF; ${change}`);
			database.close();
			const { holds, findings } = fine(await auditFile(path));
			assert.equal(holds, false, change);
			if (change === "DELETE FROM prunings") assert(findings.some((says) => says.startsWith("What accounts carry on")));
			if (change.startsWith("INSERT")) assert(findings.includes("Transfer p3 was pruned, and has entries."));
		}
	});
});

describe("pruning beside markets that write", () => {
	it("holds nobody up and is done once, by whoever comes first of two at once", async () => {
		const book = await (ENGINES[2] as Engine).open();
		const other = fine(await openPostgresBook(await (postgres as NonNullable<typeof postgres>), crypto));
		await history(book, 200);
		const folder = newName();
		let writing = true;
		const writer = (async () => {
			let n = 0;
			for (; writing || n < 20; n++) {
				assert.deepEqual(words(await other.apply([pay(`w${n}`, ADA, BEA, 1n, 500)])), ["applied"]);
				if (n > 300) break;
			}
			return n;
		})();
		const two = await Promise.all(
			[book, other].map((one) => pruneLedger({ book: one, folder, beforeMs: 150, sliceTransfers: 40, ...all })),
		);
		writing = false;
		const written = await writer;
		for (const done of two) assert(!isProblem(done) || done.problem === "conflict", JSON.stringify(done));
		const rest = await prune(book, folder, 150, 40);
		const went = two.reduce((sum, done) => sum + (isProblem(done) ? 0 : done.transfers), 0);
		assert(went + rest.transfers <= 149 && rest.upTo === 149, `${went} and ${rest.transfers}`);
		const report = await book.audit([], folder);
		assert.deepEqual([report.findings, report.transfers], [[], 201 + written]);
	});
});
