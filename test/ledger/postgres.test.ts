import assert from "node:assert/strict";
import { afterEach, beforeEach, describe, it } from "node:test";
import { amount } from "#contracts/amount";
import { crypto } from "#host/crypto";
import { type Book, BookFailure, type RowChange } from "#marketplace/ledger/book";
import { COMMONS, payerAccount } from "#marketplace/ledger/chart";
import { move } from "#marketplace/ledger/post";
import { openPostgresBook, openPostgresLedger } from "#marketplace/ledger/postgres";
import { bookSuite, deposit, words } from "#test/acceptance/book";
import { poolsSuite } from "#test/acceptance/pools";
import { type Cutting, cuttingProxy } from "#test/support/cutting";
import { fine } from "#test/support/market";
import { emptied, startPostgres } from "#test/support/postgres";

const server = await startPostgres();

const postgres = await server.open();

async function opened(): Promise<Book> {
	return fine(await openPostgresBook(await emptied(postgres), crypto));
}

bookSuite("postgres", opened);
poolsSuite("postgres", opened);

const part = (account: string, nanos: bigint) => ({ account, nanos: amount(nanos) });

const ADA = payerAccount("a1".repeat(32));
const row = (expect: number, value: string): RowChange => ({
	table: "tabs",
	expect,
	row: { tab: "c3".repeat(16), account: "a1".repeat(32), relay: "b2".repeat(32), state: "open", deadlineMs: 1, value },
});

describe("a network that cuts between the book and its database", () => {
	let proxy: Cutting;
	let far: Book;
	let near: Book;
	beforeEach(async () => {
		const url = await server.database();
		proxy = await cuttingProxy(url);
		far = fine(await openPostgresBook(await server.open({ url: proxy.url }), crypto));
		near = fine(await openPostgresBook(await server.open({ url }), crypto));
	});
	afterEach(async () => {
		await far.close();
		assert.deepEqual((await near.audit()).findings, []);
		await proxy.close();
	});

	for (const cut of ["before", "after", "late"] as const)
		it(`threat 5: answers as if it had been asked once, rows with versions included (${cut})`, async () => {
			proxy.cutAt("applyChanges", cut);
			const changes = [
				{ transfer: deposit("d1", ADA, 5n), rows: [row(0, "{}")] },
				{ rows: [row(1, '{"n":1}')] },
				{ rows: [row(1, '{"n":2}')] },
				{ transfer: deposit("d1", ADA, 5n) },
				{ transfer: deposit("d1", ADA, 6n) },
			];
			assert.deepEqual(words(await far.apply(changes)), ["applied", "applied", "stale", "same", "conflict"]);
			assert.equal(proxy.cuts(), 1);
			await proxy.release();
			assert.deepEqual([await near.balance(ADA), await near.count()], [5n, 1]);
			assert.deepEqual((await near.tab("c3".repeat(16)))?.value, '{"n":1}');
		});

	it("threat 5: what was refused stays refused, though the first asking arrives when there is money", async () => {
		proxy.cutAt("applyChanges", "late");
		const gift = move({ id: "gift", cause: "a gift", atMs: 1 }, [part(ADA, 5n)], [part(COMMONS, 5n)]);
		assert.deepEqual(words(await far.apply([{ transfer: gift }])), ["overdraft"]);
		await near.apply([{ transfer: deposit("d1", ADA, 5n) }]);
		await proxy.release();
		assert.equal(await near.balance(ADA), 5n);
	});

	it("says that it does not know when the database stays away after it was asked, and asking again finds out", async () => {
		const impatient = fine(await openPostgresBook(await server.open({ url: proxy.url, patienceMs: 0 }), crypto));
		proxy.cutAt("applyChanges", "after");
		const change = { transfer: deposit("d1", ADA, 5n) };
		assert.deepEqual(words(await impatient.apply([change])), ["unknown"]);
		assert.deepEqual(words(await impatient.apply([change])), ["same"]);
		proxy.cutAt("applyChanges", "before");
		assert.deepEqual(words(await impatient.apply([{ transfer: deposit("", ADA, 5n) }, change])), [
			"malformed",
			"unknown",
		]);
	});
});

describe("a database that is away from the book", () => {
	it("fails reads with a problem, and ends a walk that has begun", async () => {
		const url = await server.database();
		const proxy = await cuttingProxy(url);
		const far = await server.open({ url: proxy.url, patienceMs: 500 });
		const book = fine(await openPostgresBook(far, crypto));
		const ledger = fine(await openPostgresLedger(far));
		await book.apply([{ transfer: deposit("d1", ADA, 5n) }]);
		proxy.cutAt("DECLARE", "before");
		let pages = 0;
		const take = () => {
			pages += 1;
		};
		assert.equal(await book.eachBalance(take), 1, "before it has begun it may begin again");
		proxy.cutAt("CLOSE", "after");
		await assert.rejects(book.eachBalance(take), BookFailure);
		assert.deepEqual([pages, proxy.cuts()], [2, 2]);
		await proxy.close();
		assert.equal((await ledger.check())?.problem, "unavailable");
		await assert.rejects(book.balance(ADA), (error) => error instanceof BookFailure && error.problem.spent === "no");
		assert.deepEqual(words(await book.apply([{ transfer: deposit("d2", ADA, 5n) }])), ["disk"]);
	});
});

describe("the book on Postgres", () => {
	it("sends what waits together in one call, as many changes as fit, and refuses what would wait too long", async () => {
		const book = await opened();
		const calls = async () => (await ask('SELECT count(*)::int AS n FROM "ledgerCalls"'))[0]?.n;
		const ask = async (text: string) =>
			fine(await postgres.read((session) => session.ask<Record<string, unknown>>(text)));
		await Promise.all(Array.from({ length: 50 }, (_, n) => book.apply([{ transfer: deposit(`d${n}`, ADA, 1n) }])));
		assert.equal(await calls(), 1);
		const nothing = (n: number) => Array.from({ length: n }, () => ({}));
		await Promise.all([400, 600, 400, 400].map((n) => book.apply(nothing(n))));
		assert.equal(await calls(), 3, "a thousand and eight hundred");
		assert.deepEqual(await book.apply([]), []);
		assert.equal(await calls(), 3, "nothing is asked for nothing");

		const held = Promise.withResolvers<void>();
		const holding = Promise.withResolvers<void>();
		const holder = postgres.change("differs", async (session) => {
			await session.ask('LOCK TABLE "ledgerCalls" IN ACCESS EXCLUSIVE MODE');
			holding.resolve();
			await held.promise;
		});
		await holding.promise;
		const stuck = [book.apply(nothing(1_000))];
		await new Promise((turn) => setImmediate(() => setImmediate(turn)));
		for (let n = 0; n < 65; n++) stuck.push(book.apply(nothing(1_000)));
		assert.deepEqual(words(await book.apply(nothing(537))).slice(0, 2), ["busy", "busy"]);
		stuck.push(book.apply(nothing(536)));
		held.resolve();
		fine(await holder);
		assert((await Promise.all(stuck)).flat().every((outcome) => outcome === "applied"));
	});

	it("threat 5: the database itself refuses an overdraft, a second transfer under one id, and rows that others changed meanwhile", async () => {
		const book = await opened();
		await book.apply([{ transfer: deposit("d1", ADA, 5n) }]);
		const by = (text: string) => postgres.change("differs", (session) => session.ask(text));
		await assert.rejects(by("UPDATE accounts SET balance = balance - 6 WHERE name LIKE 'payer:%'"), /accounts_check/);
		await assert.rejects(
			by('INSERT INTO transfers SELECT 2, id, cause, "atMs", digest FROM transfers'),
			/transfers_id_key/,
		);
		await book.close();
	});

	it("threat 18: an audit finds what was altered by hand", async () => {
		const book = await opened();
		await book.apply([{ transfer: deposit("d1", ADA, 5n) }, { transfer: deposit("d2", ADA, 7n) }]);
		const by = async (...texts: string[]) => {
			for (const text of texts) fine(await postgres.change("differs", (session) => session.ask(text)));
			return (await book.audit()).findings.join("\n");
		};
		assert.match(
			await by("UPDATE accounts SET balance = balance + 1 WHERE floor = 0"),
			/shows 13 nano-dollars, but its entries sum to 12/,
		);
		assert.match(
			await by("UPDATE entries SET nanos = nanos + 1 WHERE nanos = 5"),
			/transfer d1 sum to 1 .*digest differs/s,
		);
		assert.match(await by("DELETE FROM accounts WHERE floor = 0"), /There are entries of number \d+, which is not/);
		assert.match(await by("DELETE FROM entries WHERE transfer = 2"), /^Transfer d2 is not what it was/m);
		assert.match(
			await by("DELETE FROM transfers WHERE position = 1"),
			/2 entries belong to transfer 1.*1 transfers are missing/s,
		);
	});

	it("threat 2: many books on one database race, and positions rise in the order in which transfers are seen", async () => {
		const first = await opened();
		const books = [
			first,
			...(await Promise.all([1, 2, 3].map(async () => fine(await openPostgresBook(postgres, crypto))))),
		];
		await first.apply([{ transfer: deposit("d1", ADA, 100n) }]);
		let racing = true;
		const seen: number[] = [];
		const reading = (async () => {
			for (let after = 0; racing; ) {
				for (const { position } of await first.transfers(ADA, after, 100)) {
					seen.push(position);
					after = position;
				}
			}
		})();
		const gift = (id: string) => move({ id, cause: "a gift", atMs: 1 }, [part(ADA, 3n)], [part(COMMONS, 3n)]);
		const outcomes = await Promise.all(
			books.flatMap((book, b) =>
				Array.from({ length: 16 }, async (_, i) => words(await book.apply([{ transfer: gift(`g-${b}-${i}`) }]))),
			),
		);
		racing = false;
		await reading;
		const all = await first.transfers(ADA, 0, 1_000);
		assert.deepEqual(seen, all.map(({ position }) => position).slice(0, seen.length), "a cursor never misses one");
		assert.equal(outcomes.flat().filter((word) => word === "applied").length, 33);
		assert.deepEqual(await first.balances([ADA, COMMONS]), [1n, 99n]);
		assert.deepEqual((await first.audit()).findings, []);
	});
});

it("threats 2 and 18: three processes race on a database whose owner made another isolation its default, and each call is answered", async () => {
	const url = await server.database();
	const name = new URL(url).pathname.slice(1);
	await server.run(url, `ALTER DATABASE "${name}" SET default_transaction_isolation = 'repeatable read'`);
	const books = await Promise.all(
		[1, 2, 3].map(async () => fine(await openPostgresBook(await server.open({ url }), crypto))),
	);
	const rounds = Array.from({ length: 20 }, (_, round) => round);
	for (const round of rounds) {
		const answers = await Promise.all(books.map((book) => book.apply([{ transfer: deposit(`d${round}`, ADA, 1n) }])));
		assert.deepEqual(words(answers.flat()).toSorted(), ["applied", "same", "same"]);
	}
	assert.equal(await books[0]?.balance(ADA), BigInt(rounds.length));
	assert.deepEqual((await books[0]?.audit())?.findings, []);
});
