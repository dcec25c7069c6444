/** Passes as people's clients ask for them: over HTTP, from a market on its own disk (threats 22 and 26). */

import assert from "node:assert/strict";
import { copyFile, readFile, rm } from "node:fs/promises";
import { join } from "node:path";
import { afterEach, beforeEach, describe, it } from "node:test";
import { fromHex, toHex } from "#contracts/bytes";
import { codeHash, codeLink, makeCode, showCode } from "#contracts/code";
import { checkedBytes, signPass, tagOf } from "#contracts/pass";
import { isProblem } from "#contracts/problem";
import { monthOf, readObliviousKey, tokenInput } from "#contracts/quota";
import { openLog } from "#host/log";
import { openMemoryBoard } from "#marketplace/board/memory";
import { openMemoryBook } from "#marketplace/ledger/memory";
import { startMarketplace } from "#marketplace/main";
import { decideEnroller } from "#marketplace/pass/enroller";
import { heldClock } from "#test/support/clock";
import {
	crypto,
	DAY_MS,
	fine,
	Person,
	refusedBy,
	signToken,
	startTestMarket,
	type TestMarket,
} from "#test/support/market";
import { blindOf, MONTH_BYTES, makePool } from "#test/support/passes";

describe("passes over HTTP", () => {
	const book = () => openMemoryBook();
	let market: TestMarket;
	let kept: ReturnType<typeof book>;
	let sponsor: Person;
	let pool: Awaited<ReturnType<typeof makePool>>;
	let lines: string[];

	beforeEach(async () => {
		lines = [];
		kept = book();
		const log = openLog({ name: "market", level: "trace", to: { write: (line) => void lines.push(line) } });
		market = await startTestMarket(
			{ proxies: 1, wrongCodesPerHourMax: 4 },
			{ book: kept, board: openMemoryBoard(), log },
		);
		sponsor = new Person(market);
		pool = await makePool({ book: kept, clock: market.clock }, { sponsor: sponsor.id, enrollers: [sponsor.id] });
	});
	afterEach(async () => {
		await market.stop();
		await rm(market.folder, { recursive: true, force: true });
	});

	const give = async (count: number, uses = 1) => {
		const codes = Array.from({ length: count }, () => makeCode(crypto));
		const hashes = codes.map((code) => toHex(codeHash(crypto, code)));
		const untilMs = market.clock.nowMs() + DAY_MS;
		const batch = toHex(crypto.random(16));
		const order = { batch, pool: pool.pool, hashes, uses, untilMs, days: 30, monthBytes: MONTH_BYTES.toString() };
		return { codes, batch: await sponsor.client.code.give.mutate(order) };
	};

	it("a code's way: made at home, brought as a hash, used by its link, seen, taken back", async () => {
		const { codes, batch } = await give(2);
		assert.deepEqual((await sponsor.client.code.list.query()).batches, [batch]);
		const amina = new Person(market);
		const link = codeLink(market.url, "pass", codes[0] ?? "");
		const pass = await amina.client.pass.redeem.mutate({ code: link });
		assert.deepEqual([pass.pool, pass.from, pass.monthBytes], [pool.pool, "code", MONTH_BYTES.toString()]);
		assert.deepEqual((await amina.client.pass.show.query()).passes, [pass]);
		assert.equal((await amina.client.pass.say.mutate({ country: "KE" })).country, "KE");
		const { pathname, search, hash } = new URL(link);
		assert.deepEqual([pathname, search, hash], ["/pass", "", `#${showCode(codes[0] ?? "")}`]);
		const page = await fetch(link);
		assert.match(await page.text(), /stayed with you/);
		const hashed = toHex(codeHash(crypto, codes[1] ?? ""));
		assert.deepEqual(await sponsor.client.code.takeBack.mutate({ hash: hashed }), { pool: pool.pool, used: 0 });
		assert.equal((await sponsor.client.code.takeBatch.mutate({ batch: batch.batch })).isBack, true);
		assert.deepEqual((await amina.client.pass.show.query()).passes, []);
	});

	it("an enroller's way: applies, is approved, looks up, issues; the person is vouched for and their country is strong", async () => {
		const school = sponsor;
		assert.equal((await refusedBy(school.client.enroller.show.query())).problem, "not-found");
		const asked = await school.client.enroller.ask.mutate({ name: "A school", about: "We teach." });
		assert.equal(asked.state, "asked");
		fine(await decideEnroller({ book: kept, clock: market.clock }, school.id, "approved"));
		assert.equal((await school.client.enroller.show.query()).state, "approved");
		const online = await fetch(`${market.url}/.well-known/farelay.json`);
		assert((await online.json()) !== null);
		const { key } = await school.client.tokens.key.query({ pool: "00".repeat(16), month: 0 });
		const said = fromHex(key)?.slice(52, 84) ?? new Uint8Array();
		const blind = await blindOf([fine(checkedBytes(market.market, "ke-national-id", "12345678"))], said);
		const answered = await school.client.enroller.lookUp.mutate({ blinded: toHex(blind.blinded) });
		const [output] = await blind.finish({
			evaluated: fromHex(answered.evaluated) ?? new Uint8Array(),
			proof: fromHex(answered.proof) ?? new Uint8Array(),
		});
		assert(output);
		const code = makeCode(crypto);
		const issuedAtMs = market.clock.nowMs();
		const bytes = signPass(
			crypto,
			{
				market: market.market,
				pool: pool.bytes,
				code: codeHash(crypto, code),
				tag: tagOf(crypto, pool.bytes, output),
				country: undefined,
				issuedAtMs,
				validUntilMs: issuedAtMs + 100 * DAY_MS,
			},
			school.account,
		).bytes;
		await school.client.enroller.issue.mutate({ pass: toHex(bytes) });
		const amina = new Person(market);
		const pass = await amina.client.pass.redeem.mutate({ code });
		assert.deepEqual([pass.from, pass.enroller], ["enroller", school.id]);
	});

	it("tokens' way: the key is told to anybody, drawn by one account, spent by another, ended by the sponsor", async () => {
		const { codes } = await give(1);
		const amina = new Person(market);
		await amina.client.pass.redeem.mutate({ code: codes[0] ?? "" });
		const month = monthOf(market.clock.nowMs());
		const nobody = await fetch(
			`${market.url}/trpc/tokens.key?input=${encodeURIComponent(JSON.stringify({ pool: pool.pool, month }))}`,
		);
		const { result } = (await nobody.json()) as { result: { data: { key: string } } };
		const key = fromHex(result.data.key) ?? new Uint8Array();
		const unknown = readObliviousKey(crypto, key, []);
		assert(isProblem(unknown));
		const nonces = [crypto.random(32), crypto.random(32)];
		const blind = await blindOf(
			nonces.map((nonce) => tokenInput(market.market, pool.bytes, month, nonce)),
			key.slice(52, 84),
		);
		const order = { pool: pool.pool, month };
		const answered = await amina.client.tokens.draw.mutate({ ...order, blinded: toHex(blind.blinded) });
		const outputs = await blind.finish({
			evaluated: fromHex(answered.evaluated) ?? new Uint8Array(),
			proof: fromHex(answered.proof) ?? new Uint8Array(),
		});
		const tokens = nonces.map((nonce, i) => ({ nonce: toHex(nonce), output: toHex(outputs[i] ?? new Uint8Array()) }));
		assert.equal((await amina.client.pass.show.query()).passes[0]?.usedMonth, "20000000");
		const apart = new Person(market);
		assert.equal((await apart.client.tokens.spend.mutate({ ...order, tokens })).monthBytes, "20000000");
		assert.equal((await refusedBy(amina.client.tokens.spend.mutate({ ...order, tokens }))).problem, "conflict");
		assert.deepEqual(await sponsor.client.tokens.end.mutate(order), order);
		assert.deepEqual((await apart.client.pass.show.query()).passes, []);
		for (const strange of [
			{ pool: pool.pool, month: 0 },
			{ pool: pool.pool, month: month + 100 },
			{ pool: "99".repeat(16), month },
		])
			assert.equal((await refusedBy(apart.client.tokens.key.query(strange))).problem, "not-found");
	});

	it("threat 22: brute force on codes: one address brings so many wrong ones an hour, with however many accounts; right ones are not counted", async () => {
		const { codes } = await give(1, 50);
		const from = async (address: string, code: string, path = "pass.redeem") => {
			const bob = new Person(market);
			const token = signToken(bob.account, market.market, market.clock.nowMs());
			const headers = {
				"content-type": "application/json",
				"x-forwarded-for": address,
				authorization: `Bearer ${token}`,
			};
			const body = JSON.stringify(path.includes("batch") ? { 0: { code }, 1: { code } } : { code });
			return (await fetch(`${market.url}/trpc/${path}`, { method: "POST", headers, body })).status;
		};
		for (let i = 0; i < 10; i++)
			assert.equal(await from("203.0.113.5", codes[0] ?? ""), 200, "a school is one address");
		for (let i = 0; i < 4; i++) assert.equal(await from("203.0.113.5", makeCode(crypto)), 404);
		for (const path of ["pass.redeem", "%70ass.redeem", "x/pass.redeem", "x%2Fy/pass%2Eredeem"])
			assert.equal(await from("203.0.113.5", codes[0] ?? "", path), 429, path);
		assert.equal(await from("203.0.113.6", codes[0] ?? ""), 200);
		assert.equal(await from("203.0.113.6", codes[0] ?? "", "pass.redeem,pass.redeem?batch=1"), 400);
	});

	it("threat 26: no code, no account and no document is in the log, however much is logged", async () => {
		const { codes } = await give(1);
		const amina = new Person(market);
		await amina.client.pass.redeem.mutate({ code: codes[0] ?? "" });
		const wrong = makeCode(crypto);
		await refusedBy(amina.client.pass.redeem.mutate({ code: wrong }));
		await amina.client.pass.say.mutate({ country: "KE" });
		const text = lines.join("");
		assert(lines.length > 3);
		for (const secret of [codes[0] ?? "", showCode(codes[0] ?? ""), wrong, amina.id, '"KE"'])
			assert(!text.includes(secret));
	});

	it("what is no code, country, batch or token is refused at the door in words", async () => {
		const { client } = new Person(market);
		const bad: [Promise<unknown>, RegExp][] = [
			[client.pass.redeem.mutate({ code: "hello" }), /16 letters and digits/],
			[client.pass.say.mutate({ country: "kenya" }), /country/],
			[client.code.takeBack.mutate({ hash: "00" }), /32 bytes/],
			[client.tokens.draw.mutate({ pool: pool.pool, month: 202613, blinded: "00".repeat(32) }), /month/],
			[client.tokens.draw.mutate({ pool: pool.pool, month: 202601, blinded: "0" }), /blinded/],
			[client.enroller.issue.mutate({ pass: "00" }), /226 bytes/],
		];
		for (const [call, says] of bad) {
			const refused = await refusedBy(call);
			assert.deepEqual([refused.problem, says.test(refused.detail)], ["malformed", true], refused.detail);
		}
		assert.equal((await refusedBy(client.code.takeBack.mutate({ hash: "00".repeat(32) }))).problem, "not-found");
	});
});

describe("the secret behind the oblivious functions", () => {
	it("is made once, sealed, and the same in every process and after a restart; another one is not taken", async () => {
		const clock = heldClock();
		const board = openMemoryBoard();
		const first = await startTestMarket(
			{ keysPassphrase: "a long enough passphrase" },
			{ clock, board, book: openMemoryBook() },
		);
		const tags = { pool: "00".repeat(16), month: 0 };
		const keyAt = async (market: TestMarket) => (await new Person(market).client.tokens.key.query(tags)).key;
		const key = await keyAt(first);
		await first.stop();
		const path = join(first.folder, "keys", "oblivious.json");
		const text = await readFile(path, "utf8");
		assert.match(text, /sealed\/1/);
		const again = await startTestMarket(
			{ keysPassphrase: "a long enough passphrase" },
			{ clock, board, book: openMemoryBook(), folder: first.folder },
		);
		assert.equal((await keyAt(again)).slice(0, 168), key.slice(0, 168));
		await again.stop();
		const start = async () =>
			startMarketplace(first.config, {
				clock,
				log: openLog({ name: "market", level: "silent" }),
				crypto,
				board,
				book: openMemoryBook(),
			});
		await rm(path);
		const missing = await start();
		assert(isProblem(missing) && missing.problem === "not-found" && /copy it from where/.test(missing.detail));
		const other = await startTestMarket();
		await other.stop();
		await copyFile(join(other.folder, "keys", "oblivious.json"), path);
		const strange = await start();
		assert(isProblem(strange) && strange.problem === "data-corrupt" && /copy theirs here/.test(strange.detail));
		for (const { folder } of [first, other]) await rm(folder, { recursive: true, force: true });
	});
});
