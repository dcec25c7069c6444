import assert from "node:assert/strict";
import { type AddressInfo, connect, createServer, type Socket } from "node:net";
import { afterEach, beforeEach, describe, it } from "node:test";
import { isProblem } from "#contracts/problem";
import { systemClock } from "#host/clock";
import { openPostgres, PAGE_ROWS, type Postgres, type Session } from "#host/postgres";
import { readPostgresUrl } from "#host/postgres-url";
import { type Cutting, cuttingProxy } from "#test/support/cutting";
import { startPostgres } from "#test/support/postgres";
import { until } from "#test/support/rawclient";

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

describe("a network that cuts", () => {
	let proxy: Cutting;
	let postgres: Postgres;
	let direct: string;
	beforeEach(async () => {
		direct = await server.database();
		proxy = await cuttingProxy(direct);
		postgres = await server.open({ url: proxy.url });
		await server.run(direct, "CREATE TABLE things (n int)");
	});
	afterEach(() => proxy.close());
	const insert = (session: Session) => session.ask("INSERT INTO things VALUES (1)");
	const rows = async () => (await server.run(direct, "SELECT n FROM things")).length;

	it("before a transaction ends: it is done again, once, for nothing of it had happened", async () => {
		proxy.cutAt("INSERT INTO things", "before");
		assert(!isProblem(await postgres.change("differs", insert)));
		proxy.cutAt("INSERT INTO things", "after");
		assert(!isProblem(await postgres.change("differs", insert)));
		proxy.cutAt("SELECT 7", "after");
		assert.deepEqual(await postgres.read((session) => session.ask("SELECT 7 AS n")), [{ n: 7 }]);
		assert.deepEqual([proxy.cuts(), await rows()], [3, 2]);
	});

	it("between COMMIT and its answer: nobody knows, and nothing is done twice", async () => {
		for (const cut of ["after", "before"] as const) {
			proxy.cutAt("COMMIT\0", cut);
			const unknown = await postgres.change("differs", insert);
			assert(isProblem(unknown));
			assert.deepEqual([unknown.problem, unknown.spent], ["unavailable", "unknown"]);
		}
		assert.deepEqual([proxy.cuts(), await rows()], [2, 1], "one was done and one was not");
	});

	it("between COMMIT and its answer: what is the same when done twice is done again", async () => {
		proxy.cutAt("COMMIT\0", "after");
		assert(!isProblem(await postgres.change("same-as-once", insert)));
		assert.deepEqual([proxy.cuts(), await rows()], [1, 2]);
	});

	it("says that nobody knows also when the last it knows is that the server is gone", async () => {
		const impatient = await server.open({ url: proxy.url, patienceMs: 0 });
		proxy.cutAt("INSERT INTO things", "after");
		const call = () => impatient.call("same-as-once", "INSERT INTO things VALUES (2)");
		const unknown = await call();
		assert(isProblem(unknown) && unknown.spent === "unknown", JSON.stringify(unknown));
		await proxy.close();
		const away = await call();
		assert(isProblem(away) && away.spent === "no", JSON.stringify(away));
		proxy = await cuttingProxy(direct);
		assert.equal(await rows(), 1);
	});
});

describe("a server that refuses", () => {
	it("serialization failures and deadlocks are tried again, and both sides end", async () => {
		const postgres = await server.open();
		const step = (session: Session, n: number) => session.ask("UPDATE things SET n = n + 1 WHERE id = $1", [n]);
		await postgres.change("differs", (session) =>
			session.ask("CREATE TABLE things AS SELECT id, 0 AS n FROM generate_series(1, 2) id"),
		);
		const met = [Promise.withResolvers<void>(), Promise.withResolvers<void>()];
		let attempts = 0;
		const crossing = (own: number) =>
			postgres.change("differs", async (session) => {
				attempts += 1;
				await step(session, own + 1);
				met[own]?.resolve();
				await met[1 - own]?.promise;
				await step(session, 2 - own);
			});
		for (const ended of await Promise.all([crossing(0), crossing(1)])) assert(!isProblem(ended), JSON.stringify(ended));
		assert(attempts >= 3, "one of them was chosen to give way");
		assert.deepEqual(await postgres.read((session) => session.ask("SELECT sum(n)::int AS n FROM things")), [{ n: 4 }]);
	});

	it("a database that takes no changes is a problem that says that nothing was changed", async () => {
		const postgres = await server.open({ patienceMs: 0 });
		const refused = await postgres.change("differs", async (session) => {
			await session.ask("SET TRANSACTION READ ONLY");
			await session.ask("CREATE TABLE things (n int)");
		});
		assert(isProblem(refused));
		assert.deepEqual([refused.problem, refused.spent, refused.retry], ["unavailable", "no", true]);
	});

	it("what takes too long is stopped, a bug is thrown, and the connection is whole after either", async () => {
		const postgres = await server.open({ statementMsMax: 100, connectionsMax: 1 });
		const pid = () => postgres.read((session) => session.ask("SELECT pg_backend_pid() AS pid"));
		const before = await pid();
		const slow = await postgres.read((session) => session.ask("SELECT pg_sleep(9)"));
		assert(isProblem(slow) && slow.problem === "too-many", JSON.stringify(slow));
		await assert.rejects(
			postgres.change("differs", (session) => session.ask("SELECT 1 / 0")),
			/division by zero/,
		);
		assert.deepEqual(await pid(), before);
	});

	it("threat 13: a server that is not there is a problem once patience ends, and money is safe", async () => {
		const url = new URL(await server.database());
		url.port = "1";
		const refused = await openPostgres({ ...parts, url: url.href });
		assert(isProblem(refused));
		assert.deepEqual([refused.problem, refused.spent], ["unavailable", "no"]);
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

	it("without a password where the server wants one is refused, and keeps nobody waiting", async () => {
		const url = new URL(await server.database());
		const port = Number(url.port);
		const sockets = new Set<Socket>();
		const between = createServer((from) => {
			sockets.add(from);
			const to = connect(port).on("error", () => {});
			from
				.on("error", () => {})
				.pipe(to)
				.pipe(from);
		});
		await new Promise<void>((done) => between.listen(0, "127.0.0.1", done));
		url.port = String((between.address() as AddressInfo).port);
		url.password = "";
		try {
			for (const password of [undefined, ""]) {
				const none = await openPostgres({ ...parts, url: url.href, password });
				assert(isProblem(none) && none.problem === "usage");
				assert.match(none.detail ?? "", /none was given/);
			}
			const held = () => new Promise<number>((done) => between.getConnections((_, count) => done(count)));
			await until("the connections to be let go", async () => (await held()) === 0);
		} finally {
			for (const socket of sockets) socket.destroy();
			between.close();
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
