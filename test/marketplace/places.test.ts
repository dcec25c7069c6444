import assert from "node:assert/strict";
import { mkdtempSync } from "node:fs";
import { rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { after, describe, it } from "node:test";
import { openPostgresPlaces } from "#marketplace/card/postgres";
import { openSqlitePlaces } from "#marketplace/card/sqlite";
import { cardSuite } from "#test/acceptance/cards";
import { fine } from "#test/support/market";
import { startPostgres } from "#test/support/postgres";

const folder = mkdtempSync(join(tmpdir(), "farelay-places-"));
const server = await startPostgres();
after(() => rm(folder, { recursive: true, force: true }));
let files = 0;

cardSuite("sqlite", async (placesMax) => fine(await openSqlitePlaces(join(folder, `${files++}.db`), { placesMax })));
cardSuite("postgres", async (placesMax) => fine(await openPostgresPlaces(await server.open(), placesMax)));

describe("a file of published cards", () => {
	it("of an older version is brought up to date: what is there is counted", async () => {
		const path = join(folder, "older.db");
		const row = (n: number) => ({
			place: new Uint8Array(32).fill(n),
			serial: 1,
			withdrawn: 0 as const,
			untilMs: 9,
			bytes: new Uint8Array(5).fill(n),
		});
		const first = fine(await openSqlitePlaces(path));
		for (const n of [1, 2]) assert.equal(await first.put(row(n)), "put");
		await first.close();
		const database = new DatabaseSync(path);
		database.exec("DROP TABLE tally; PRAGMA user_version = 1");
		database.close();
		const again = fine(await openSqlitePlaces(path, { placesMax: 3 }));
		assert.deepEqual([await again.put(row(3)), await again.put(row(4))], ["put", "full"]);
		assert.deepEqual(await again.find(row(1).place, 8), row(1).bytes);
		await again.close();
	});
});
