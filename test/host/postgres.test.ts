import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { isProblem } from "#contracts/problem";
import { systemClock } from "#host/clock";
import { openPostgres, PAGE_ROWS } from "#host/postgres";
import { readPostgresUrl } from "#host/postgres-url";
import { startPostgres } from "#test/support/postgres";

const server = await startPostgres();
const parts = { clock: systemClock, random: Math.random, patienceMs: 0 };

describe("a Postgres", () => {
	it("gives money as bigint, whole, and takes it", async () => {
		const postgres = await server.open();
		const most = 2n ** 63n - 1n;
		const rows = await postgres.read((session) => session.ask("SELECT $1::bigint AS nanos", [most]));
		assert.deepEqual(rows, [{ nanos: most }]);
	});

	it("brings what is large page by page, all at one moment", async () => {
		const postgres = await server.open();
		const sizes = await postgres.snapshot(async (session) => {
			const found: number[] = [];
			for await (const page of session.pages("SELECT * FROM generate_series(1, $1::int)", [PAGE_ROWS * 2 + 5]))
				found.push(page.length);
			return found;
		});
		assert.deepEqual(sizes, [PAGE_ROWS, PAGE_ROWS, 5]);
	});

	it("brings tables up to date once though several processes start at once, and refuses those of a later version", async () => {
		const url = await server.database();
		const steps = ["CREATE TABLE things (n int)", "INSERT INTO things VALUES (1)"];
		const many = await Promise.all(
			Array.from({ length: 4 }, async () => {
				const postgres = await openPostgres({ ...parts, url });
				assert(!isProblem(postgres), JSON.stringify(postgres));
				return postgres;
			}),
		);
		const outcomes = await Promise.all(many.map((postgres) => postgres.migrate("things", steps)));
		assert.deepEqual(outcomes, [undefined, undefined, undefined, undefined]);
		assert.deepEqual(await server.run(url, "SELECT n FROM things"), [{ n: 1 }]);
		const older = await many[0]?.migrate("things", steps.slice(0, 1));
		assert.equal(older?.problem, "data-corrupt");
		for (const postgres of many) await postgres.close();
	});
});

describe("the address of a Postgres", () => {
	it("threat 22: is refused without showing its password", async () => {
		const wrong = new URL(await server.database());
		wrong.password = "tell-nobody";
		const refused = await openPostgres({ ...parts, url: wrong.href });
		assert(isProblem(refused));
		assert.deepEqual([refused.problem, refused.spent], ["usage", "no"]);
		for (const url of [
			"postgres://me:tell-nobody@/x",
			"postgres://me:tell-nobody@h/x?sslmode=require",
			"postgres://tell-nobody",
		]) {
			const read = readPostgresUrl(url);
			assert(isProblem(read) && !JSON.stringify(read).includes("tell-nobody"), url);
		}
	});

	it("asks for encryption wherever the database is not on this machine", () => {
		const ssl = (url: string) => {
			const read = readPostgresUrl(url, "secret");
			return isProblem(read) ? read.detail : read.ssl;
		};
		assert.equal(ssl("postgres://me@127.0.0.1/x"), false);
		assert.deepEqual(ssl("postgres://me@db.example/x"), { rejectUnauthorized: true });
		assert.equal(ssl("postgres://me@10.0.0.1/x?sslmode=disable"), false);
		assert.equal(ssl("postgres:///x?host=/run/postgresql&user=me"), false);
		assert.match(String(ssl("postgres://me:other@db.example/x")), /twice/);
	});
});
