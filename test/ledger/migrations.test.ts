/** A ledger that an earlier version of Farelay made is brought up to date when it is opened, on either engine, and its money is there. */

import assert from "node:assert/strict";
import { rm } from "node:fs/promises";
import { join } from "node:path";
import { after, describe, it } from "node:test";
import { isProblem } from "#contracts/problem";
import { crypto } from "#host/crypto";
import { openDatabase } from "#host/database";
import type { Book } from "#marketplace/ledger/book";
import { payerAccount } from "#marketplace/ledger/chart";
import { openPostgresBook, openPostgresLedger } from "#marketplace/ledger/postgres";
import { LEDGER_STEPS } from "#marketplace/ledger/postgres-schema";
import { LEDGER_KIND, LEDGER_MIGRATIONS } from "#marketplace/ledger/schema";
import { openSqliteBook } from "#marketplace/ledger/sqlite";
import { digestOf } from "#marketplace/ledger/transfer";
import { deposit } from "#test/acceptance/book";
import { quickFolder } from "#test/support/folder";
import { fine } from "#test/support/market";
import { startPostgres } from "#test/support/postgres";

const server = await startPostgres();
const folder = await quickFolder("farelay-migrations-");
after(() => rm(folder, { recursive: true, force: true }));

const ADA = payerAccount("a1".repeat(32));
const first = deposit("d1", ADA, 5n);

/** A deposit as the first version wrote it: both engines name these the same. */
const WRITTEN = [
	`INSERT INTO accounts (name, floor, balance) VALUES ('world:play', -9223372036854775807, -5), ('${ADA}', 0, 5)`,
	`INSERT INTO transfers (position, id, cause, "atMs", digest) VALUES (1, 'd1', '${first.cause}', 1, '${digestOf(first)}')`,
	"INSERT INTO entries (transfer, n, account, nanos) VALUES (1, 0, 1, -5), (1, 1, 2, 5)",
	`INSERT INTO tabs (tab, version, account, relay, state, "deadlineMs", value) VALUES ('${"c3".repeat(16)}', 4, '${"a1".repeat(32)}', '${"b2".repeat(32)}', 'open', 7, '{}')`,
];

async function holds(book: Book): Promise<void> {
	assert.deepEqual((await book.audit()).findings, []);
	assert.deepEqual(await book.apply([{ transfer: first }, { transfer: deposit("d2", ADA, 6n) }]), ["same", "applied"]);
	assert.deepEqual([await book.balance(ADA), (await book.tab("c3".repeat(16)))?.version], [11n, 4]);
	assert.deepEqual((await book.transfer("d2"))?.position, 2);
	assert.deepEqual((await book.audit()).findings, []);
	await book.close();
}

describe("a ledger of an earlier version", () => {
	for (const version of LEDGER_MIGRATIONS.keys())
		it(`is brought up to date in a file from version ${version + 1}`, async () => {
			const path = join(folder, `${version}.db`);
			const migrations = LEDGER_MIGRATIONS.slice(0, version + 1);
			const database = openDatabase({ path, kind: LEDGER_KIND, migrations });
			assert(!isProblem(database));
			for (const text of WRITTEN) database.exec(text);
			database.close();
			await holds(fine(await openSqliteBook({ path })));
		});

	for (const version of LEDGER_STEPS.keys())
		it(`is brought up to date in Postgres from version ${version + 1}`, async () => {
			const postgres = await server.open();
			fine((await postgres.migrate("ledger", LEDGER_STEPS.slice(0, version + 1))) ?? "");
			for (const text of WRITTEN) fine(await postgres.change("differs", (session) => session.ask(text)));
			if (version + 1 < LEDGER_STEPS.length) {
				const older = await openPostgresLedger(postgres);
				assert(isProblem(older) && older.problem === "data-corrupt", "who only reads changes nothing");
			}
			await holds(fine(await openPostgresBook(postgres, crypto)));
		});

	it("is refused when a later version wrote it, and nothing is changed", async () => {
		const postgres = await server.open();
		fine((await postgres.migrate("ledger", [...LEDGER_STEPS, "CREATE TABLE later (n int)"])) ?? "");
		for (const open of [() => openPostgresBook(postgres, crypto), () => openPostgresLedger(postgres)]) {
			const refused = await open();
			assert(isProblem(refused) && refused.problem === "data-corrupt", JSON.stringify(refused));
		}
	});
});
