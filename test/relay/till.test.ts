import assert from "node:assert/strict";
import { existsSync } from "node:fs";
import { mkdir, mkdtemp, open as openFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { after, afterEach, beforeEach, describe, it } from "node:test";
import fc from "fast-check";
import { isProblem, type Problem } from "#contracts/problem";
import { writeVoucher } from "#contracts/voucher";
import { openMemoryTill } from "#relay/till/memory";
import { packVouchers, recordOf } from "#relay/till/record";
import { openSqliteTill, type SqliteTillOptions } from "#relay/till/sqlite";
import { open as openThread, type TillCalls } from "#relay/till/sqlite-thread";
import type { Till } from "#relay/till/till";
import { row, tab, tillAcceptance, totals, voucher } from "#test/acceptance/till";

tillAcceptance("memory", async () => openMemoryTill());

const folders: string[] = [];
after(async () => {
	for (const folder of folders) await rm(folder, { recursive: true, force: true });
});
async function newFolder(): Promise<string> {
	const folder = await mkdtemp(join(tmpdir(), "farelay-till-"));
	folders.push(folder);
	return folder;
}
async function openTill(options: SqliteTillOptions): Promise<Till> {
	const till = await openSqliteTill(options);
	assert(!isProblem(till), JSON.stringify(till));
	return till;
}

tillAcceptance("SQLite", async () => openTill({ path: join(await newFolder(), "till.db") }));

describe("the till's file", () => {
	let path: string;
	let till: Till | undefined;

	beforeEach(async () => {
		path = join(await newFolder(), "till.db");
	});
	afterEach(async () => {
		await till?.close();
		till = undefined;
	});
	async function open(options: Partial<SqliteTillOptions> = {}): Promise<Till> {
		await till?.close();
		till = await openTill({ path, ...options });
		return till;
	}

	it("has every row again after it was closed and opened", async () => {
		const first = await open();
		const whole = row(1, {
			voucher: voucher(2n ** 64n - 1n, 5, 9),
			redeemed: totals(1, 1, 1),
			receipt: new Uint8Array(232),
			final: true,
		});
		await Promise.all([first.put(whole), first.put(row(2))]);
		const second = await open();
		assert.deepEqual(
			[...second.rows],
			[
				[tab(1), whole],
				[tab(2), row(2)],
			],
		);
		await second.drop([tab(1)]);
		assert.deepEqual([...(await open()).rows.keys()], [tab(2)]);
	});

	it("threat 13: a newer voucher of a tab that is there is on the disk before it is kept, and an older one never replaces it", async () => {
		const paying = await open();
		await paying.put(row(1));
		// everything else of the row is the very thing that is there, as a tab has it
		const whole = () => paying.rows.get(tab(1)) ?? assert.fail("no row");
		const [low, high] = [voucher(10, 10, 1), voucher(20, 20, 2)];
		const onDisk = () => {
			const file = new DatabaseSync(path, { readOnly: true });
			const found = file.prepare("SELECT voucher FROM till WHERE tab = ?").get(tab(1)) as { voucher: Uint8Array };
			file.close();
			return Buffer.from(found.voucher).toString("hex");
		};
		for (const [put, there] of [
			[low, low],
			[high, high],
			[low, high],
		] as const) {
			assert.equal(await paying.put({ ...whole(), voucher: put }), "kept");
			assert.equal(onDisk(), Buffer.from(writeVoucher(there)).toString("hex"));
		}
	});

	it("a voucher of a tab that is dropped meanwhile brings its row back, whole", async () => {
		const dropping = await open();
		await dropping.put(row(1));
		const paid = { ...(dropping.rows.get(tab(1)) ?? assert.fail("no row")), voucher: voucher(10, 10, 1) };
		const dropped = dropping.drop([tab(1)]);
		assert.equal(await dropping.put(paid), "kept");
		await dropped;
		assert.deepEqual(dropping.rows.get(tab(1)), paid);
		assert.deepEqual([...(await open()).rows.values()], [paid]);
	});

	it("gives what was used after an orderly stop once, and takes it off the disk before it serves", async () => {
		const first = await open();
		const used = { bytes: 5n, byteSeconds: 50n };
		await first.put(row(1, { voucher: voucher(10, 100, 1), used }));
		const second = await open();
		assert.deepEqual(second.rows.get(tab(1))?.used, used);
		// as a crash right after this start would find it
		const other = new DatabaseSync(path, { readOnly: true });
		assert.equal(other.prepare("SELECT used FROM till").get()?.used, null);
		other.close();
		assert.equal((await open()).rows.get(tab(1))?.used, undefined);
	});

	it("keeps what was used of a tab that takes nothing more, at every start: nothing is used after its final statement", async () => {
		const first = await open();
		const used = { bytes: 5n, byteSeconds: 50n };
		await first.put(row(1, { voucher: voucher(10, 100, 1), used, final: true }));
		for (const _ of [1, 2]) assert.deepEqual((await open()).rows.get(tab(1))?.used, used);
	});

	it("writes what waits before it closes", async () => {
		const first = await open();
		const putting = first.put(row(1));
		await first.close();
		assert.equal(await putting, "kept");
		assert.equal((await open()).rows.size, 1);
	});

	it("threat 14: a full disk takes no voucher, the row stays as it was, and the till works when there is room again", async () => {
		const troubles: Problem[] = [];
		const first = await open({ pagesMax: 12, onTrouble: (why) => troubles.push(why) });
		let n = 0;
		while (n < 1_000 && (await first.put(row(++n, { voucher: voucher(1, 1, 1) }))) === "kept");
		assert(n > 5);
		assert.equal(troubles[0]?.problem, "disk");
		assert.equal(first.rows.size, n - 1, "what the disk refused is not in memory");
		assert.equal(first.rows.has(tab(n)), false);
		assert.equal(await first.put(row(n)), "disk");
		const before = structuredClone(first.rows.get(tab(1)));
		const large = await first.redeemed(tab(1), totals(1, 1, 1), new Uint8Array(20_000));
		assert.equal(large, "disk");
		assert.deepEqual(first.rows.get(tab(1)), before);
		await first.drop(Array.from({ length: n - 3 }, (_, i) => tab(i + 1)));
		assert.equal(first.rows.size, 2);
		assert.equal(await first.put(row(500)), "kept");
		const rows = new Map(first.rows);
		assert.deepEqual(new Map((await open()).rows), rows);
	});

	it("threat 14: another process that holds the file makes a slow disk, not a crash, and drops nothing from memory", async () => {
		const first = await open();
		await first.put(row(1));
		const other = new DatabaseSync(path);
		other.exec("BEGIN IMMEDIATE");
		const [put, redeemed] = await Promise.all([
			first.put(row(1, { voucher: voucher(1, 1, 1) })),
			first.redeemed(tab(1), totals(1, 1, 1), new Uint8Array(232)),
			first.drop([tab(1)]),
		]);
		other.exec("ROLLBACK");
		other.close();
		assert.deepEqual([put, redeemed], ["disk", "disk"]);
		assert.deepEqual(first.rows.get(tab(1)), row(1));
		assert.equal(await first.put(row(1, { voucher: voucher(1, 1, 1) })), "kept");
	});

	it("gives the problem of a file that is damaged, of another kind, or cannot be there", async () => {
		await writeFile(path, "no database at all ".repeat(1_000));
		const damaged = await openSqliteTill({ path });
		assert.equal(isProblem(damaged) && damaged.problem, "data-corrupt");
		const [folder, file] = [`${path}-folder`, `${path}-file`];
		await mkdir(folder);
		await writeFile(file, "");
		for (const wrong of [folder, join(file, "till.db")]) {
			const answer = await openSqliteTill({ path: wrong });
			assert.equal(isProblem(answer) && answer.problem, "disk", wrong);
		}
	});

	/** A file with one row, which somebody else then altered. */
	async function altered(sql: string): Promise<void> {
		const first = await open();
		await first.put(row(1, { voucher: voucher(1, 1, 1) }));
		await first.close();
		till = undefined;
		const other = new DatabaseSync(path);
		other.exec(sql);
		other.close();
	}

	const damages = {
		"a voucher that is none": "voucher = x'00'",
		"totals that are none": "redeemed = x'00'",
		"totals past the largest amount": `redeemed = x'${"00".repeat(16)}${"ff".repeat(8)}'`,
		"totals with a byte more": `redeemed = x'${"00".repeat(25)}'`,
		"a count that is none": "used = x'00', final = 1",
	};
	for (const [what, set] of Object.entries(damages))
		it(`gives the problem of a row with ${what}, and lets go of the file`, async () => {
			await altered(`UPDATE till SET ${set}`);
			const answer = openThread({ path });
			assert.equal(isProblem(answer) && answer.problem, "data-corrupt");
			// who closes last takes the log away
			assert.equal(existsSync(`${path}-wal`), false);
		});

	it("has the database itself refuse a row that is neither final nor not", async () => {
		await assert.rejects(altered("UPDATE till SET final = 2"), /CHECK constraint failed/);
	});

	it("throws at a file that is its own and has no rows' table: a bug is no problem of the machine; and lets go of it", async () => {
		await altered("DROP TABLE till");
		assert.throws(() => openThread({ path }), /no such table/);
		assert.equal(existsSync(`${path}-wal`), false);
	});

	it("takes no row that it could not read again", async () => {
		const opened = openThread({ path });
		assert(!isProblem(opened));
		const { put } = opened.writes as TillCalls;
		const record = recordOf(row(1));
		assert.throws(() => put({ ...record, redeemed: new Uint8Array(1) }), /cannot be read/);
		assert.equal(opened.database.prepare("SELECT count(*) AS n FROM till").get()?.n, 0);
		opened.database.close();
	});

	it("takes no voucher that it could not read again, and writes over none that it cannot read", async () => {
		await (await open()).put(row(1, { voucher: voucher(1, 1, 1) }));
		await till?.close();
		till = undefined;
		const opened = openThread({ path });
		assert(!isProblem(opened));
		const { vouchers } = opened.writes as TillCalls;
		const packed = packVouchers([{ tab: tab(1), voucher: voucher(2, 2, 2) }]);
		// an amount beyond what one can be
		const wrong = packed.slice();
		wrong.fill(255, 16, 40);
		assert.throws(() => vouchers(wrong), /cannot be read/);
		opened.database.exec("UPDATE till SET voucher = x'00'");
		assert.throws(() => vouchers(packed), /cannot be read/);
		opened.database.close();
	});

	it("says when its thread dies by a bug, and keeps nothing that is not on disk", async () => {
		await altered("CREATE TRIGGER bug BEFORE INSERT ON till BEGIN SELECT RAISE(ROLLBACK, 'a bug'); END");
		const deaths: Error[] = [];
		const first = await open({ onDeath: (why) => deaths.push(why) });
		await assert.rejects(first.put(row(2)), /a bug/);
		assert.equal(deaths.length, 1);
		assert.equal(first.rows.has(tab(2)), false);
	});

	it("gives the problem of damaged pages", async () => {
		const first = await open();
		await first.put(row(1, { voucher: voucher(1, 1, 1) }));
		await first.close();
		till = undefined;
		const file = await openFile(path, "r+");
		await file.write(new Uint8Array((await file.stat()).size - 4096).fill(0x55), 0, undefined, 4096);
		await file.close();
		const pagesDamaged = await openSqliteTill({ path });
		assert.equal(isProblem(pagesDamaged) && pagesDamaged.problem, "data-corrupt");
	});

	it("any order of puts, confirmations, drops and restarts gives the same rows as the till in memory", async () => {
		const number = fc.integer({ min: 1, max: 4 });
		const vouchers = fc.option(
			fc.tuple(number, number, number).map((of) => voucher(...of)),
			{ nil: undefined },
		);
		const command = fc.oneof(
			{
				weight: 5,
				arbitrary: fc.record({ is: fc.constant("put" as const), n: number, voucher: vouchers, final: fc.boolean() }),
			},
			{
				weight: 3,
				arbitrary: fc.record({ is: fc.constant("redeemed" as const), n: number, to: fc.tuple(number, number, number) }),
			},
			{ weight: 1, arbitrary: fc.record({ is: fc.constant("drop" as const), n: number }) },
			{ weight: 1, arbitrary: fc.record({ is: fc.constant("reopen" as const) }) },
		);
		await fc.assert(
			fc.asyncProperty(fc.array(command, { maxLength: 30 }), async (commands) => {
				const oracle = openMemoryTill();
				path = join(await newFolder(), "till.db");
				let tested = await open();
				let asked: Promise<unknown>[] = [];
				for (const one of commands) {
					for (const each of [oracle, tested]) {
						if (one.is === "put") asked.push(each.put(row(one.n, { voucher: one.voucher, final: one.final })));
						if (one.is === "redeemed")
							asked.push(each.redeemed(tab(one.n), totals(...one.to), new Uint8Array([one.n])));
						if (one.is === "drop") asked.push(each.drop([tab(one.n)]));
					}
					if (one.is !== "reopen") continue;
					await Promise.all(asked);
					asked = [];
					tested = await open();
				}
				await Promise.all(asked);
				const sorted = (rows: Till["rows"]) => [...rows].sort(([a], [b]) => (a < b ? -1 : 1));
				assert.deepEqual(sorted(tested.rows), sorted(oracle.rows));
				assert.deepEqual(sorted((await open()).rows), sorted(oracle.rows));
			}),
			{ numRuns: 8 },
		);
	});
});
