import assert from "node:assert/strict";
import { writeFile } from "node:fs/promises";
import { after, before, suite, test } from "node:test";
import { systemClock } from "#host/clock";
import { crypto } from "#host/crypto";
import { openSilentLog } from "#host/log";
import { openMemoryBoard } from "#marketplace/board/memory";
import { playConfig } from "#marketplace/config";
import type { Book } from "#marketplace/ledger/book";
import { openMemoryBook } from "#marketplace/ledger/memory";
import { type RunningMarketplace, startMarketplace } from "#marketplace/main";
import { decideEnroller } from "#marketplace/pass/enroller";
import { fine } from "#test/support/market";
import { makePool } from "#test/support/passes";
import { assertRefused, Place } from "#test/support/process";

suite("farelay pass, codes, enroll and gift", () => {
	let place: Place;
	let market: RunningMarketplace;
	let book: Book;
	let pool: string;
	const run = (home: string, ...words: string[]) => place.run(words, { home, market: market.url });
	const done = (home: string, ...words: string[]) => place.done(words, { home, market: market.url });

	before(async () => {
		place = await Place.open();
		book = openMemoryBook();
		const deps = { clock: systemClock, log: openSilentLog(), crypto, book, board: openMemoryBoard() };
		market = fine(await startMarketplace(playConfig(place.path("market")), deps));
		const { account } = await done("sponsor", "account");
		({ pool } = await makePool({ book, clock: systemClock }, { sponsor: String(account) }));
	});
	after(async () => {
		await market.stop();
		await place.end();
	});

	test("a sponsor prints codes, somebody uses one by its link and draws private quota, the sponsor takes them back", async () => {
		assert.match((await run("amina", "pass")).out, /Nobody knows where you live.*\n.*no pass/);
		const made = await done("sponsor", "codes", pool, "--count", "2", "--mb", "50");
		const codes = made.codes as { code: string; link: string }[];
		assert.equal(codes.length, 2);
		const used = await run("amina", "pass", codes[0]?.link ?? "");
		assert.match(used.out, /You have a pass: pool [0-9a-f]{8}, by a code: 50\.0 of 50\.0 MB left this month/);
		assert.match((await run("amina", "pass", "--country", "ke")).out, /You live in KE, by your own word\./);
		assertRefused(await run("amina", "pass", "--country", "BI", "--json"), 3, "too-many");
		assert.match((await run("amina", "pass", "--draw", "2", "--pool", pool)).out, /^2 tokens of 10 MB wait here/);
		assert.match(
			(await run("amina", "pass", "--spend", "--pool", pool)).out,
			/^No token is ready; the next can be from 20/,
		);
		const spent = await run("amina", "pass", "--spend", "--now", "--pool", pool);
		assert.match(spent.out, /The private account has pool [0-9a-f]{8}, by tokens: 20\.0 of 20\.0 MB/);
		const batch = String(made.batch);
		assert.match(
			(await run("sponsor", "codes")).out,
			new RegExp(`^${batch} {2}pool ${pool.slice(0, 8)} {2}2 codes for 1 each, until 20`),
		);
		assert.match((await run("sponsor", "codes", "--back", codes[1]?.code ?? "")).out, /0 passes ended/);
		assert.match((await run("sponsor", "codes", "--back", batch)).out, /taken back/);
		assert.match((await run("amina", "pass")).out, /no pass/);
		assertRefused(await run("bob", "pass", codes[1]?.code ?? "", "--json"), 1, "conflict");
	});

	test("an enroller applies, is approved, enrolls by a file, and takes it back", async () => {
		assertRefused(await run("school", "enroll", "--json"), 1, "not-found");
		assert.match(
			(await run("school", "enroll", "--apply", "A school", "--about", "We teach.")).out,
			/You have applied/,
		);
		const { account } = await done("school", "account");
		fine(await decideEnroller({ book, clock: systemClock }, String(account), "approved"));
		assert.match((await run("school", "enroll")).out, /^A school: approved, 100 people a day at most\./);
		const path = place.path("checked.txt");
		await writeFile(path, "12345678\n");
		const words = ["enroll", "--kind", "ke-national-id", "--checked", path];
		const lives = await done("school", ...words, "--country", "KE");
		await done("carol", "pass", String(lives.link));
		const handed = await done("school", ...words, "--pool", pool);
		assert.match((await run("carol", "pass", String(handed.code))).out, /by an enroller: 100\.0 of 100\.0 MB/);
		assert.match((await run("carol", "pass")).out, /You live in KE, by a card or an enroller\./);
		assert.match((await run("school", "enroll", "--back", String(handed.code))).out, /1 passes ended/);
	});

	test("somebody gives money to an account and by a link", async () => {
		await done("ada", "fund", "5");
		const { account } = await done("bob", "account");
		assert.match((await run("ada", "gift", "1", "--to", String(account))).out, /^\$1\.00 are on account/);
		const gift = await done("ada", "gift", "2", "--days", "3");
		assert.match((await run("bob", "gift", "claim", String(gift.link))).out, /^\$2\.00 are on your account\./);
		const other = await done("ada", "gift", "0.5");
		assert.match((await run("ada", "gift", "back", String(other.id))).out, /^\$0\.50 are on your account again\./);
		assert.match((await run("ada", "gift")).out, /claimed/);
		assert.match((await run("bob", "gift")).out, /You made no link/);
		assertRefused(await run("ada", "gift", "500", "--json"), 1, "malformed");
	});

	test("what does not go together is called wrongly, and says what does", async () => {
		const wrong = [
			["pass", "--draw", "2"],
			["pass", "--pool", pool],
			["pass", "CODE", "--country", "KE"],
			["pass", "--now"],
			["codes", "xyz"],
			["codes", pool, "--count", "0"],
			["codes", pool, "--back", "x"],
			["enroll", "--apply", "A"],
			["enroll", "--kind", "a"],
			["enroll", "--apply", "A", "--about", "B", "--back", "C"],
			["gift", "much"],
			["gift", "1", "--id", "a"],
			["gift", "1", "--to", "bob"],
			["gift", "claim"],
		];
		for (const words of wrong) assertRefused(await run("ada", ...words, "--json"), 2, "usage");
	});
});
