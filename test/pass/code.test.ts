/** Codes from a sponsor: what they bring, what ends them, and that nobody finds one by trying (threats 21, 22 and 26). */

import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { codeHash, codeLink, makeCode, readCode, showCode } from "#contracts/code";
import { isProblem } from "#contracts/problem";
import { crypto } from "#host/crypto";
import { BATCH_CODES_MAX, ROOM } from "#marketplace/pass/code";
import { passesOf, personFactsOf } from "#marketplace/pass/facts";
import { batchesOf, giveCodes, takeBatchBack, takeCodeBack } from "#marketplace/pass/give";
import { TRIES_MAX, WRONG_MAX } from "#marketplace/pass/guesses";
import { PASSES_MAX } from "#marketplace/pass/pass";
import { redeemCode } from "#marketplace/pass/redeem";
import {
	codesFor,
	DAY_MS,
	MONTH_BYTES,
	makePool,
	refusal,
	roomsOf,
	someone,
	turnPool,
	well,
} from "#test/support/passes";

describe("a code", () => {
	it("is read however people write it, and a slip is seen before it is sent", () => {
		const code = makeCode(crypto);
		const shown = showCode(code);
		assert.match(shown, /^(?:[0-9A-HJKMNP-TV-Z]{4}-){3}[0-9A-HJKMNP-TV-Z]{4}$/);
		const links = [codeLink("https://market.example/", "pass", code), `farelay:pass#${shown}`];
		const ways = [code, shown, ` ${shown.toLowerCase()} `, shown.replaceAll("-", " "), ...links];
		for (const way of ways) assert.equal(readCode(crypto, way), code, way);
		const letters = shown.replaceAll("0", "O").replaceAll("1", "l");
		assert.equal(readCode(crypto, letters), code, "letters that are taken for digits are those digits");
		assert.equal(
			links[0],
			`https://market.example/pass#${shown}`,
			"the secret is behind the #, which no server is told",
		);
		let caught = 0;
		for (let i = 0; i < 200; i++) {
			const at = i % 16;
			const wrong = code.slice(0, at) + (code[at] === "7" ? "8" : "7") + code.slice(at + 1);
			if (isProblem(readCode(crypto, wrong))) caught++;
		}
		assert(caught >= 150, `${caught} of 200 slips were seen`);
		refusal(readCode(crypto, "ABCD-EFGH"), "malformed", /16 letters and digits/);
		refusal(readCode(crypto, "x".repeat(500)), "malformed", /not a code/);
		refusal(readCode(crypto, "ÄÄÄÄ-ÄÄÄÄ-ÄÄÄÄ-ÄÄÄÄ"), "malformed", /not a code/);
	});

	it("has 75 bits of chance: every character but the last is drawn", () => {
		const seen = Array.from({ length: 15 }, () => new Set<string>());
		for (let i = 0; i < 600; i++) for (const [at, set] of seen.entries()) set.add(makeCode(crypto)[at] ?? "");
		for (const set of seen) assert.equal(set.size, 32);
	});

	it("brings a pass of its pool, once, and the same account asking again gets the same", async () => {
		const rooms = roomsOf();
		const pool = await makePool(rooms);
		const { codes } = await codesFor(rooms, pool, { count: 2, days: 10 });
		const [code = "", other = ""] = codes;
		const [amina, bob] = [someone(), someone()];
		const pass = well(await redeemCode(rooms, amina, showCode(code)));
		assert.deepEqual([pass.pool, pass.from, pass.monthBytes, pass.state], [pool.pool, "code", MONTH_BYTES, "held"]);
		assert.equal(pass.validUntilMs, rooms.clock.nowMs() + 10 * DAY_MS);
		assert.deepEqual(well(await redeemCode(rooms, amina, code)), pass);
		refusal(await redeemCode(rooms, bob, code), "conflict", /was used already/);
		refusal(
			await redeemCode(rooms, amina, other),
			"conflict",
			/have a pass of this pool already, until 2026-11-20.*stays unused/,
		);
		well(await redeemCode(rooms, bob, other));
		const { passes, evidence } = await personFactsOf(rooms, amina, false, rooms.clock.nowMs());
		assert.deepEqual(
			[passes, evidence],
			[
				[
					{
						pool: pool.pool,
						from: "code",
						enroller: undefined,
						monthBytes: MONTH_BYTES,
						usedMonth: 0n,
						usedDay: 0n,
						validUntilMs: pass.validUntilMs,
						isVouched: false,
					},
				],
				"none",
			],
		);
	});

	it("that is good for many is good for as many as were said, however they race", async () => {
		const rooms = roomsOf();
		const pool = await makePool(rooms);
		const { codes } = await codesFor(rooms, pool, { uses: 3 });
		const answers = await Promise.all(Array.from({ length: 8 }, () => redeemCode(rooms, someone(), codes[0] ?? "")));
		assert.equal(answers.filter((answer) => !isProblem(answer)).length, 3);
		for (const answer of answers)
			if (isProblem(answer)) refusal(answer, "conflict", /used already, by as many as it was for/);
	});

	it("ends: unused when its time is over, and with its pass when that one's is", async () => {
		const rooms = roomsOf();
		const pool = await makePool(rooms);
		const { codes } = await codesFor(rooms, pool, { count: 2, days: 5 });
		const [used = "", late = ""] = codes;
		const amina = someone();
		well(await redeemCode(rooms, amina, used));
		await rooms.clock.advance(5 * DAY_MS);
		assert.deepEqual(await passesOf(rooms, amina, rooms.clock.nowMs()), []);
		refusal(await redeemCode(rooms, amina, used), "conflict", /used already/);
		await rooms.clock.advance(25 * DAY_MS);
		refusal(await redeemCode(rooms, amina, late), "conflict", /could be used until 2026-12-10/);
		const { codes: more } = await codesFor(rooms, pool);
		well(await redeemCode(rooms, amina, more[0] ?? ""));
	});

	it("is taken back, alone or with all of its batch, and the passes that came of it are over at once", async () => {
		const rooms = roomsOf();
		const pool = await makePool(rooms);
		const { codes, batch } = await codesFor(rooms, pool, { count: 3 });
		const [one = "", two = "", three = ""] = codes;
		const [amina, bob] = [someone(), someone()];
		well(await redeemCode(rooms, amina, one));
		well(await redeemCode(rooms, bob, two));
		const hash = codeHash(crypto, one);
		refusal(await takeCodeBack(rooms, bob, hash), "not-found", /no such code/);
		well(await takeCodeBack(rooms, pool.sponsor, hash));
		well(await takeCodeBack(rooms, pool.sponsor, hash));
		assert.deepEqual(await passesOf(rooms, amina, rooms.clock.nowMs()), []);
		refusal(await redeemCode(rooms, amina, one), "conflict", /took it back/);
		assert.equal((await passesOf(rooms, bob, rooms.clock.nowMs())).length, 1);
		refusal(await takeBatchBack(rooms, amina, batch), "not-found", /no such batch/);
		well(await takeBatchBack(rooms, pool.sponsor, batch));
		assert.equal(well(await takeBatchBack(rooms, pool.sponsor, batch)).state, "batch-revoked");
		assert.deepEqual(await passesOf(rooms, bob, rooms.clock.nowMs()), []);
		refusal(await redeemCode(rooms, someone(), three), "conflict", /took it back/);
		// whoever lost a pass that way can have another
		const { codes: more } = await codesFor(rooms, pool);
		well(await redeemCode(rooms, amina, more[0] ?? ""));
	});

	it("of a pool that has ended brings nothing", async () => {
		const rooms = roomsOf();
		const pool = await makePool(rooms);
		const { codes } = await codesFor(rooms, pool);
		await turnPool(rooms, pool.pool, "ending");
		refusal(await redeemCode(rooms, someone(), codes[0] ?? ""), "conflict", /pool that this code is for has ended/);
		const order = { batch: "aa".repeat(16), pool: pool.pool, hashes: [crypto.random(32)], uses: 1 };
		const more = { untilMs: rooms.clock.nowMs() + DAY_MS, days: 1, monthBytes: 1n };
		refusal(await giveCodes(rooms, pool.sponsor, { ...order, ...more }), "conflict", /nobody can join/);
	});

	it("an account has so many passes and no more", async () => {
		const rooms = roomsOf();
		const amina = someone();
		for (let i = 0; i <= PASSES_MAX; i++) {
			const { codes } = await codesFor(rooms, await makePool(rooms));
			const answer = await redeemCode(rooms, amina, codes[0] ?? "");
			if (i < PASSES_MAX) well(answer);
			else refusal(answer, "too-many", /16 passes at most/);
			await rooms.clock.advance(3_600_000);
		}
	});
});

describe("a batch of codes", () => {
	it("is brought by whoever fills the pool, and the same again changes nothing", async () => {
		const rooms = roomsOf();
		const pool = await makePool(rooms);
		const hashes = [crypto.random(32), crypto.random(32)];
		const order = { batch: "bb".repeat(16), pool: pool.pool, hashes, uses: 2, days: 30, monthBytes: 5n };
		const good = { ...order, untilMs: rooms.clock.nowMs() + DAY_MS };
		const batch = well(await giveCodes(rooms, pool.sponsor, good));
		assert.deepEqual([batch.count, batch.uses, batch.state], [2, 2, "batch"]);
		assert.deepEqual(well(await giveCodes(rooms, pool.sponsor, good)), batch);
		assert.deepEqual(await batchesOf(rooms, pool.sponsor), [batch]);
		refusal(await giveCodes(rooms, someone(), good), "not-found", /no such pool/);
		refusal(await giveCodes(rooms, pool.sponsor, { ...good, pool: "00".repeat(16) }), "not-found", /no such pool/);
		refusal(await giveCodes(rooms, pool.sponsor, { ...good, uses: 3 }), "conflict", /id was used for other codes/);
		const stolen = { ...good, batch: "cc".repeat(16) };
		refusal(await giveCodes(rooms, pool.sponsor, stolen), "conflict", /Code 1 of the batch is there already/);
		const wrong: [Partial<typeof good>, RegExp][] = [
			[{ hashes: [] }, /1 to 200 codes/],
			[{ hashes: Array.from({ length: BATCH_CODES_MAX + 1 }, () => crypto.random(32)) }, /1 to 200 codes/],
			[{ hashes: [hashes[0] ?? new Uint8Array(), hashes[0] ?? new Uint8Array()] }, /in the batch twice/],
			[{ uses: 0 }, /1 to 1000 people/],
			[{ uses: 1_001 }, /1 to 1000 people/],
			[{ days: 0 }, /1 to 400 days/],
			[{ days: 1.5 }, /1 to 400 days/],
			[{ untilMs: rooms.clock.nowMs() }, /next 400/],
			[{ untilMs: rooms.clock.nowMs() + 401 * DAY_MS }, /next 400/],
			[{ monthBytes: 0n }, /more than nothing/],
		];
		for (const [change, says] of wrong)
			refusal(await giveCodes(rooms, pool.sponsor, { ...good, batch: "dd".repeat(16), ...change }), "malformed", says);
	});

	it("is one of a hundred at most", async () => {
		const rooms = roomsOf();
		const pool = await makePool(rooms);
		for (let i = 0; i < ROOM.ofAccount; i++) await codesFor(rooms, pool);
		const untilMs = rooms.clock.nowMs() + DAY_MS;
		const order = {
			batch: "ee".repeat(16),
			pool: pool.pool,
			hashes: [crypto.random(32)],
			uses: 1,
			days: 1,
			monthBytes: 1n,
		};
		refusal(await giveCodes(rooms, pool.sponsor, { ...order, untilMs }), "too-many", /100 batches at most/);
		assert.equal((await batchesOf(rooms, pool.sponsor)).length, 100);
	});
});

describe("threat 22: brute force on codes", () => {
	it("an account tries ten in an hour, through however many processes, and a right one is not looked at after that", async () => {
		const rooms = roomsOf();
		const others = roomsOf(rooms);
		const pool = await makePool(rooms);
		const { codes } = await codesFor(rooms, pool);
		const mallory = someone();
		const tries = Array.from({ length: TRIES_MAX + 5 }, (_, i) =>
			redeemCode(i % 2 ? rooms : others, mallory, makeCode(crypto)),
		);
		const answers = await Promise.all(tries);
		const counted = answers.map((answer) => isProblem(answer) && answer.problem);
		assert.equal(counted.filter((code) => code === "not-found").length, TRIES_MAX);
		assert.equal(counted.filter((code) => code === "too-many").length, 5);
		const late = refusal(await redeemCode(rooms, mallory, codes[0] ?? ""), "too-many", /tried 10 codes this hour/);
		assert.equal(late.retryAfterMs, 3_600_000);
		await rooms.clock.advance(3_600_000);
		well(await redeemCode(rooms, mallory, codes[0] ?? ""));
	});

	it("a slip of the pen costs no try", async () => {
		const rooms = roomsOf();
		const { codes } = await codesFor(rooms, await makePool(rooms));
		const amina = someone();
		for (let i = 0; i < TRIES_MAX + 2; i++)
			refusal(await redeemCode(rooms, amina, "0000-0000-0000-0001"), "malformed", /slip/);
		well(await redeemCode(rooms, amina, codes[0] ?? ""));
	});

	it("new accounts do not help: wrong ones are counted over all, and the next hour begins anew", async () => {
		const rooms = roomsOf();
		const { codes } = await codesFor(rooms, await makePool(rooms));
		const hour = Math.floor(rooms.clock.nowMs() / 3_600_000);
		assert(await rooms.board.writeNote("wrong-codes", 0, `${hour}:${WRONG_MAX - 1}`));
		refusal(await redeemCode(rooms, someone(), makeCode(crypto)), "not-found", /no such code/);
		refusal(await redeemCode(rooms, someone(), codes[0] ?? ""), "too-many", /by all together/);
		await rooms.clock.advance(3_600_000);
		well(await redeemCode(rooms, someone(), codes[0] ?? ""));
	});

	it("a used or unknown hash tells nothing that could be used: what is kept of a code is its hash", async () => {
		const rooms = roomsOf();
		const { codes } = await codesFor(rooms, await makePool(rooms));
		const [code = ""] = codes;
		const rows = await rooms.book.records({ table: "codes", by: "state", of: "open", limit: 10 });
		assert.equal(rows.length, 1);
		assert(!JSON.stringify(rows).includes(code));
		refusal(await redeemCode(rooms, someone(), rows[0]?.key ?? ""), "malformed", /not a code/);
	});
});
