/** A market's owner prunes its ledger on the command line: refused beside a market on files, in figures once it is stopped, proved with the archive. */

import assert from "node:assert/strict";
import { mkdir, readdir, readFile, writeFile } from "node:fs/promises";
import { after, before, suite, test } from "node:test";
import { amount } from "#contracts/amount";
import { payerAccount } from "#marketplace/ledger/chart";
import { move } from "#marketplace/ledger/post";
import { openSqliteBook } from "#marketplace/ledger/sqlite";
import { ledgerPath } from "#marketplace/stores";
import { deposit } from "#test/acceptance/book";
import { fine } from "#test/support/market";
import { Place } from "#test/support/process";

suite("farelay market prune", () => {
	let place: Place;
	const run = (...words: string[]) => place.run([...words, "--data", place.path("market")]);
	const prune = (...more: string[]) => run("market", "prune", "--to", place.path("archive"), ...more);

	before(async () => {
		place = await Place.open();
		await mkdir(place.path("market"));
		const book = fine(await openSqliteBook({ path: ledgerPath(place.path("market")) }));
		const [ada, bea] = ["a1", "b2"].map((two) => payerAccount(two.repeat(32))) as [string, string];
		const side = (account: string) => [{ account, nanos: amount(1n) }];
		const old = move({ id: "old", cause: "long ago", atMs: 2 }, side(ada), side(bea));
		const young = move({ id: "young", cause: "just now", atMs: Date.now() }, side(ada), side(bea));
		const done = await book.apply([deposit("d1", ada, 9n), old, young].map((transfer) => ({ transfer })));
		assert.deepEqual(done, ["applied", "applied", "applied"]);
		await book.close();
	});
	after(() => place.end());

	test("says what it needs, and that what is young stays", async () => {
		for (const [words, says] of [
			[["market", "prune"], /--to FOLDER/],
			[["market", "prune", "--to", "there", "--before", "30"], /120 at least/],
			[["market", "prune", "--to", "there", "--before", "old"], /number of days/],
		] as const) {
			const refused = await run(...words);
			assert.equal(refused.code, 2, refused.out + refused.err);
			assert.match(refused.err, says);
		}
	});

	test("leaves a market alone that runs on its files", async () => {
		const market = await place.market();
		const refused = await prune();
		assert.equal(refused.code, 1);
		assert.match(refused.err, /(in use|another|runs)/i);
		await market.end();
	});

	test("takes what is old out of a stopped one, and the audit proves both", async () => {
		const done = await prune();
		assert.equal(done.code, 0, done.out + done.err);
		assert.match(
			done.out,
			/^1 new file in \S+archive now has 2 transfers, of which 2 entries went .* up to transfer 2\./,
		);
		assert.match((await prune()).out, /Nothing is older than 400 days/);
		const alone = await run("audit");
		assert.match(alone.out, /pruned up to transfer 2; --archive FOLDER/);
		const whole = await run("audit", "--archive", place.path("archive"));
		assert.equal(whole.code, 0, whole.out + whole.err);
		assert.match(whole.out, /was held against the archive/);
		const [file] = await readdir(place.path("archive"));
		const path = place.path("archive", file as string);
		await writeFile(path, (await readFile(path, "utf8")).replace("long ago", "long Ago"));
		const altered = await run("audit", "--archive", place.path("archive"));
		assert.equal(altered.code, 1);
		assert.match(altered.out + altered.err, /another one in the archive/);
	});
});
