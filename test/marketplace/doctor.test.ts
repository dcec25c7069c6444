/** What a market's owner is told of what it stands on: each thing that can be wrong, made wrong, is found and said with what to do. */

import assert from "node:assert/strict";
import { chmod, mkdtemp, open, readFile, rm, writeFile } from "node:fs/promises";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, afterEach, before, beforeEach, describe, it } from "node:test";
import { signKeyEnd } from "#contracts/market";
import { isProblem, problem } from "#contracts/problem";
import { examine, type Patient } from "#marketplace/inspect/doctor";
import { checkRails, type Finding } from "#marketplace/inspect/finding";
import { makeReach } from "#marketplace/inspect/reach";
import { readFolder, writeEnds } from "#marketplace/keys/files";
import { openKeys } from "#marketplace/keys/keys";
import { openSqliteBook } from "#marketplace/ledger/sqlite";
import { openSources } from "#marketplace/rate/open";
import { type HeldClock, heldClock } from "#test/support/clock";
import { crypto, fine, startTestMarket } from "#test/support/market";
import { scriptedRail } from "#test/support/rail";
import { EXCHANGES, openTickers, says, type Tickers, ticker } from "#test/support/tickers";

const DAY_MS = 86_400_000;
let tickers: Tickers;
let clock: HeldClock;
let folder: string;
let patient: Patient;

before(async () => {
	tickers = await openTickers();
});
after(() => tickers.close());
beforeEach(async () => {
	clock = heldClock();
	for (const name of EXCHANGES) tickers.script(name);
	folder = await mkdtemp(join(tmpdir(), "farelay-doctor-"));
	const ledger = join(folder, "ledger.db");
	await fine(await openSqliteBook({ path: ledger })).close();
	fine(await openKeys(crypto, join(folder, "keys"), clock.nowMs()));
	const sources = openSources(tickers.list, { clock, fetch });
	assert.ok(!isProblem(sources));
	patient = {
		dataPath: folder,
		database: { engine: "sqlite", folder },
		crypto,
		clock,
		fetch,
		sources: [...sources],
		needsRate: true,
		publicUrl: undefined,
		word: "w",
	};
});
afterEach(() => rm(folder, { recursive: true, force: true }));

/** What is said of one thing. */
async function said(what: string, change: Partial<Patient> = {}): Promise<Finding> {
	const found = (await examine({ ...patient, ...change })).find((finding) => finding.what === what);
	return found ?? assert.fail(`nothing is said of ${what}`);
}

async function isBad(what: string, words: RegExp, change: Partial<Patient> = {}, state = "bad"): Promise<void> {
	const found = await said(what, change);
	assert.equal(found.state, state, JSON.stringify(found));
	assert.match(found.says, words);
	assert.ok((found.mend ?? "").length > 10, "it is said what to do");
}

describe("a market's doctor", () => {
	it("finds nothing bad where all is well, and says of a first start that its root is no offline root and its keys are not sealed", async () => {
		const findings = await examine(patient);
		assert.deepEqual(
			findings.filter(({ state }) => state !== "ok").map(({ what, state }) => [what, state]),
			[
				["root", "warn"],
				["seals", "warn"],
			],
		);
		assert.deepEqual(
			findings.map(({ what }) => what),
			["files", "root", "keys", "seals", "database", "disk", "clock", "rate", "market", "address"],
		);
		await isBad("root", /no offline root: whoever takes this machine has the market for good/, {}, "warn");
		await isBad("seals", /root.json and online.json can be read by whoever gets the file/, {}, "warn");
	});

	it("finds nothing to say of keys that are sealed and whose root is elsewhere, until they are worn out or ended", async () => {
		const passphrase = "a horse and a battery";
		const keys = join(folder, "keys");
		fine(await openKeys(crypto, keys, clock.nowMs(), passphrase));
		await isBad("keys", /is sealed: give its passphrase/);
		await isBad("keys", /passphrase of FARELAY_KEYS_PASSPHRASE does not open/, { passphrase: "another one's words" });
		const found = fine(await readFolder(crypto, keys, passphrase));
		await rm(join(keys, "root.json"));
		const findings = await examine({ ...patient, passphrase });
		assert.deepEqual(
			findings.filter(({ state }) => state !== "ok"),
			[],
		);
		assert.match((await said("root", { passphrase })).says, /is kept elsewhere/);
		clock.jump(23 * DAY_MS);
		await isBad("keys", /has 7 days left/, { passphrase }, "warn");
		const [held] = found.held;
		assert(held && found.root);
		await writeEnds(keys, [signKeyEnd(crypto, found.root, held.key, clock.nowMs())]);
		await isBad("keys", /was ended by the root/, { passphrase });
	});

	it("finds keys and a ledger that others may read", async () => {
		for (const path of [join("keys", "root.json"), join("keys", "online.json"), "ledger.db", "keys"]) {
			await chmod(join(folder, path), path === "keys" ? 0o750 : 0o640);
			await isBad("files", new RegExp(`others on this machine may read or change .*${path}`));
			await chmod(join(folder, path), path === "keys" ? 0o700 : 0o600);
		}
		await chmod(folder, 0o770);
		await isBad("files", /may read or change/);
	});

	it("finds keys that are missing, damaged, another market's, old and worn out", async () => {
		clock.jump(23 * DAY_MS);
		await isBad("keys", /23 days old and has 7 days left/, {}, "warn");
		clock.jump(8 * DAY_MS);
		await isBad("keys", /is not valid now/);
		const online = join(folder, "keys", "online.json");
		const before = await readFile(online, "utf8");
		await writeFile(online, before.replace(/"seed":"../, '"seed":"00'));
		await isBad("keys", /does not hold this market's keys/);
		await writeFile(join(folder, "keys", "root.json"), "{}");
		await isBad("keys", /holds no key/);
		await rm(join(folder, "keys"), { recursive: true });
		await isBad("keys", /There are no keys/);
	});

	it("finds a ledger that is damaged, no ledger, or missing", async () => {
		const file = await open(join(patient.dataPath, "ledger.db"), "r+");
		await file.write(Buffer.alloc(2_048, 0x5a), 0, 2_048, 4_096);
		await file.close();
		await isBad("database", /damaged|malformed|not a database|corrupt/i);
		await writeFile(join(patient.dataPath, "ledger.db"), "nothing");
		await isBad("database", /./);
		await rm(join(patient.dataPath, "ledger.db"));
		await isBad("database", /There is no database/);
	});

	it("finds a clock that is off, by what the sources of the rate say", async () => {
		for (const [offMs, words, state] of [
			[30_000, /3\d s ahead of/, "warn"],
			[7_200_000, /720\d s ahead of/, "bad"],
			[-7_200_000, /7199 s behind|720\d s behind|719\d s behind/, "bad"],
		] as const) {
			clock.jump(offMs);
			await isBad("clock", words, {}, state);
			clock.jump(-offMs);
		}
		for (const name of EXCHANGES) tickers.script(name, says("", 500));
		await isBad("clock", /nobody could be asked/, {}, "warn");
	});

	it("finds sources that say nothing and a rate on which nobody agrees, which is bad only where something needs it", async () => {
		for (const name of EXCHANGES.slice(0, 2)) tickers.script(name, says("", 503));
		await isBad("source coinbase", /^answered with 503/, {}, "warn");
		assert.match((await said("rate")).says, /\$64,225\.00 a bitcoin by bitstamp, gemini, bitfinex/);
		tickers.script("gemini", says(ticker("gemini", { price: "99" })));
		assert.match((await said("rate")).says, /far from the others: gemini/);
		tickers.script("gemini", says("", 503));
		await isBad("rate", /only 2 of 3 sources answered/);
		await isBad("rate", /only 2 of 3/, { needsRate: false }, "warn");
		assert.equal((await said("rate", { sources: [] })).state, "ok");
	});

	it("finds a market that does not run", async () => {
		await isBad("market", /does not run on this folder/, { word: undefined });
	});

	it("finds an address that leads nowhere, elsewhere, or to silence; and one that leads here by a word that only this market knows", async () => {
		const market = await startTestMarket({}, { clock });
		const other = createServer((request, response) => {
			if (request.url !== "/reach/silence") response.writeHead(404).end();
		});
		await new Promise<void>((done) => other.listen(0, "127.0.0.1", done));
		const url = `http://127.0.0.1:${(other.address() as AddressInfo).port}`;
		try {
			await isBad("address", /answers, and is not this market \(404\)/, { publicUrl: market.url });
			await isBad("address", /answers, and is not this market \(404\)/, { publicUrl: url });
			await isBad("address", /cannot be reached/, { publicUrl: "http://127.0.0.1:1" });
			const answer = said("address", { publicUrl: url, word: "silence", sources: [] });
			await new Promise<void>((done) => other.once("request", () => done()));
			await clock.advance(10_000);
			assert.match((await answer).says, /does not answer in time/);
		} finally {
			other.closeAllConnections();
			other.close();
			await market.end();
		}
	});

	it("says of each rail what it says of itself, and does not wait for one that says nothing", async () => {
		const good = scriptedRail({ name: "good" });
		const ill = scriptedRail({ name: "ill", check: async () => problem("unavailable", "The macaroon is refused.") });
		const broken = scriptedRail({ name: "broken", check: () => Promise.reject(new Error("secret")) });
		const silent = scriptedRail({ name: "silent", check: () => new Promise(() => {}) });
		const found = checkRails([good, ill, broken, silent], clock);
		await clock.advance(15_000);
		assert.deepEqual(
			(await found).map(({ what, state, says: words }) => [what, state, words]),
			[
				["rail good", "ok", "works."],
				["rail ill", "bad", "The macaroon is refused."],
				["rail broken", "bad", "It broke when it was asked."],
				["rail silent", "bad", "It does not answer."],
			],
		);
		assert.equal((await checkRails([], clock))[0]?.state, "warn");
	});
});

describe("a word by which an address is tried", () => {
	it("is known once, for a minute, and not when it was never given out", async () => {
		const reach = makeReach(crypto, clock);
		const word = reach.make();
		assert.equal(reach.knows("0".repeat(32)), false);
		assert.deepEqual([reach.knows(word), reach.knows(word)], [true, false]);
		const old = reach.make();
		await clock.advance(60_000);
		assert.equal(reach.knows(old), false);
	});

	it("gives way to newer ones: nobody fills the memory with words", () => {
		const reach = makeReach(crypto, clock);
		const words = Array.from({ length: 17 }, () => reach.make());
		assert.deepEqual(
			words.map((word) => reach.knows(word)),
			[false, ...Array(16).fill(true)],
		);
	});
});
