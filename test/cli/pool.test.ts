import assert from "node:assert/strict";
import { readFile, writeFile } from "node:fs/promises";
import { after, before, suite, test } from "node:test";
import { toHex } from "#contracts/bytes";
import { systemClock } from "#host/clock";
import { crypto } from "#host/crypto";
import { openSilentLog } from "#host/log";
import { openMemoryBoard } from "#marketplace/board/memory";
import { playConfig } from "#marketplace/config";
import { openMemoryBook } from "#marketplace/ledger/memory";
import { type RunningMarketplace, startMarketplace } from "#marketplace/main";
import { fine } from "#test/support/market";
import { assertRefused, Place } from "#test/support/process";

suite("farelay pool and commons", () => {
	const pool = "d4".repeat(16);
	let place: Place;
	let market: RunningMarketplace;
	const run = (home: string, ...words: string[]) => place.run(words, { home, market: market.url });
	const done = (home: string, ...words: string[]) => place.done(words, { home, market: market.url });

	before(async () => {
		place = await Place.open();
		const deps = { clock: systemClock, log: openSilentLog(), crypto, book: openMemoryBook(), board: openMemoryBoard() };
		market = fine(await startMarketplace(playConfig(place.path("market")), deps));
	});
	after(async () => {
		await market.stop();
		await place.end();
	});

	test("a sponsor makes a pool, fills it, changes a rule, takes back, and hands anybody a report that is checked offline", async () => {
		assert.match((await run("sponsor", "pool")).out, /You have no pool/);
		await done("sponsor", "fund", "10");
		const made = await run("sponsor", "pool", "create", "--day", "2", "--country", "KE,UG", "--id", pool);
		assert.match(made.out, new RegExp(`^Pool ${pool} is open\\.\nFor people of KE, UG, from`));
		await done("sponsor", "pool", "fund", pool, "5");
		const given = await run("neighbour", "fund", "1", "--pool", pool, "--rail", "play");
		assert.match(given.out, /Given \$1\.00 to pool d4/);
		const rules = await done("sponsor", "pool", "rules", pool, "--day", "1", "--person-day", "5");
		assert.deepEqual((rules.rules as { countries: string[] }).countries, ["KE", "UG"]);
		assert.match((await run("sponsor", "pool", "take-back", pool, "2")).out, /\$4\.00 {2}left\n +\$2\.00 {2}went back/);
		assert.match((await run("sponsor", "pool")).out, /open +\$6\.00/);
		const report = await run("sponsor", "pool", "report", pool, "--out", "report.json", "--csv", "report.csv");
		assert.match(report.out, /Every nano-dollar of pool d4d4.* is accounted for[\s\S]*Written to report\.json/);
		assert.match(await readFile(place.path("report.csv"), "utf8"), /\ncame,,[-\d]+,,,,,6000000000,\n/);
		const verified = await run("anybody", "verify", "report.json", "--market", toHex(market.market));
		assert.match(verified.out, /^Every nano-dollar of pool d4d4/);
		const text = await readFile(place.path("report.json"), "utf8");
		await writeFile(place.path("forged.json"), text.replace('"back":"2000000000"', '"back":"1000000000"'));
		const forged = await run("anybody", "verify", "forged.json");
		assert.equal(forged.code, 1);
		assert.match(forged.err, /The check of the sum fails: \$6\.00 came to the pool, and \$5\.00 are accounted for/);
	});

	test("pauses, resumes and ends; refuses what is not its sponsor's or cannot be read", async () => {
		assert.match((await run("sponsor", "pool", "pause", pool)).out, /is paused/);
		assert.match((await run("sponsor", "pool", "resume", pool)).out, /is open/);
		assertRefused(await run("neighbour", "pool", "pause", pool, "--json"), 1, "not-found");
		assertRefused(await run("sponsor", "pool", "take-back", pool, "100", "--json"), 1, "balance-short");
		for (const words of [["show"], ["show", "x"], ["create"], ["fund", pool], ["burn", pool], ["pause", pool, "5"]])
			assertRefused(await run("sponsor", "pool", ...words, "--json"), 2, "usage");
		assert.match((await run("sponsor", "pool", "end", pool)).out, /is ending/);
		assertRefused(await run("sponsor", "pool", "pause", pool, "--json"), 1, "conflict");
	});

	test("anybody sees what the commons are, and the fee", async () => {
		assert.match((await run("anybody", "commons")).out, /The solidarity fee is 2 % of the full price/);
	});
});
