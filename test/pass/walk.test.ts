/** Passes, private quota, enrolling and gifts by the SDK, as an app has them (threats 21, 22 and 26). */

import assert from "node:assert/strict";
import { rm } from "node:fs/promises";
import { afterEach, beforeEach, describe, it } from "node:test";
import { amount } from "#contracts/amount";
import { toHex } from "#contracts/bytes";
import { openMemoryBoard } from "#marketplace/board/memory";
import type { Book } from "#marketplace/ledger/book";
import { openMemoryBook } from "#marketplace/ledger/memory";
import { decideEnroller } from "#marketplace/pass/enroller";
import { type Client, createClient } from "#sdk/client";
import { loadCrypto } from "#sdk/crypto";
import { FarelayError } from "#sdk/error";
import { memoryStorage, type Storage } from "#sdk/storage";
import { heldClock } from "#test/support/clock";
import { fine, startTestMarket, type TestMarket } from "#test/support/market";
import { makePool } from "#test/support/passes";

/** The problem that a promise of the SDK's rejects with. */
async function refusedWith(call: Promise<unknown>) {
	try {
		await call;
	} catch (error) {
		if (error instanceof FarelayError) return error.problem;
		throw error;
	}
	return assert.fail("was not refused");
}

describe("the SDK", () => {
	let market: TestMarket;
	let book: Book;
	const clients: Client[] = [];

	beforeEach(async () => {
		book = openMemoryBook();
		const clock = heldClock(Date.UTC(2026, 10, 10, 12));
		market = await startTestMarket({}, { book, board: openMemoryBoard(), clock });
	});
	afterEach(async () => {
		for (const client of clients.splice(0)) await client.close();
		await market.stop();
		await rm(market.folder, { recursive: true, force: true });
	});

	const person = async ({
		storage = memoryStorage(),
		seed = undefined as Uint8Array | undefined,
		fetch: by = fetch,
	} = {}) => {
		const device = { crypto: await loadCrypto(), nowMs: () => market.clock.nowMs(), fetch: by };
		const client = await createClient({ market: market.url, storage, device, ...(seed && { seed }) });
		clients.push(client);
		return client;
	};

	it("makes codes that the market cannot use, and one is used by its link; the country is said once a month", async () => {
		const sponsor = await person();
		const { pool } = await makePool({ book, clock: market.clock }, { sponsor: sponsor.account });
		const { batch, codes } = await sponsor.passes.makeCodes({ pool, count: 3, passDays: 10 });
		const [first, second] = codes;
		assert(first && second && codes.length === 3);
		assert.deepEqual(
			(await sponsor.passes.batches()).map((one) => one.batch),
			[batch],
		);
		const amina = await person();
		const pass = await amina.passes.redeem(first.link);
		assert.deepEqual([pass.pool, pass.from, pass.monthBytes], [pool, "code", 100_000_000n]);
		const rights = await amina.passes.say("KE");
		assert.deepEqual([rights.country, rights.evidence, rights.passes], ["KE", "said", [pass]]);
		assert.equal((await refusedWith(amina.passes.say("BI"))).problem, "too-many");
		assert.equal((await refusedWith(amina.passes.redeem("hello"))).problem, "malformed");
		assert.equal(await sponsor.passes.takeBack(second.code), 0);
		assert.equal(await sponsor.passes.takeBack(first.code), 1);
		assert.equal((await sponsor.passes.takeBatchBack(batch)).isBack, true);
		assert.deepEqual((await amina.passes.show()).passes, []);
	});

	it("enrolls somebody under a tag that two enrollers find alike, and what was checked never leaves the machine", async () => {
		const sent: string[] = [];
		const watched: typeof fetch = async (input, init) => {
			sent.push(String(input), String(init?.body ?? ""));
			return fetch(input, init);
		};
		const [school, clinic] = [await person({ fetch: watched }), await person()];
		const { pool } = await makePool({ book, clock: market.clock }, { enrollers: [school.account, clinic.account] });
		for (const enroller of [school, clinic]) {
			assert.equal((await enroller.enrolling.apply("A school", "We teach.")).state, "asked");
			fine(await decideEnroller({ book, clock: market.clock }, enroller.account, "approved"));
		}
		assert.equal((await school.enrolling.show()).state, "approved");
		const who = { pool, kind: "ke-national-id" };
		const one = await school.enrolling.enroll({ ...who, checked: "GEHEIM 1234-5678" });
		const two = await clinic.enrolling.enroll({ ...who, checked: "geheim12345678" });
		const [old, fresh] = [await person(), await person()];
		assert.equal((await old.passes.redeem(one.code)).from, "enroller");
		await fresh.passes.redeem(two.link);
		assert.deepEqual((await old.passes.show()).passes, [], "one person, one pass");
		const lives = { kind: who.kind, checked: "GEHEIM 1234-5678", country: "KE" };
		await fresh.passes.redeem((await school.enrolling.enroll(lives)).link);
		const { country, evidence } = await fresh.passes.show();
		assert.deepEqual([country, evidence], ["KE", "strong"]);
		assert(sent.length > 4);
		for (const secret of ["GEHEIM", "12345678", "1234-5678", one.code])
			assert(!sent.join("\n").includes(secret), secret);
		for (const wrong of [{ pool: "00" }, { country: "Kenya" }, { checked: "1" }, { kind: "A B" }])
			assert.equal(
				(await refusedWith(school.enrolling.enroll({ ...who, checked: "12345678", ...wrong }))).problem,
				"malformed",
			);
	});

	async function drawn(count = 4) {
		const sponsor = await person();
		const { pool } = await makePool({ book, clock: market.clock }, { sponsor: sponsor.account });
		const { codes } = await sponsor.passes.makeCodes({ pool, count: 1 });
		const storage: Storage = memoryStorage();
		const amina = await person({ storage });
		await amina.passes.redeem(codes[0]?.link ?? "");
		assert.equal(await amina.quotas.draw(pool, count), count);
		return { pool, amina, storage };
	}

	it("threat 26: draws private quota on one account and spends it on another, which the first one's seed alone gives back", async () => {
		const { pool, amina, storage } = await drawn();
		assert.equal((await amina.passes.show()).passes[0]?.usedMonth, 40_000_000n);
		assert.equal(await amina.quotas.spend(pool), undefined, "who spends right after drawing could be told by it");
		const waiting = await amina.quotas.waiting(pool);
		const waitMs = (waiting.nextMs ?? 0) - market.clock.nowMs();
		assert.equal(waiting.bytes, 40_000_000n);
		assert(waitMs >= 3_600_000 && waitMs <= 86_400_000, `${waitMs}`);
		await market.clock.advance(waitMs);
		const again = await person({ storage });
		const pass = await again.quotas.spend(pool);
		assert.deepEqual([pass?.from, pass?.monthBytes], ["token", 40_000_000n]);
		assert.equal((await again.quotas.waiting(pool)).bytes, 0n);
		const apart = await person({ seed: await again.quotas.seed(pool) });
		assert.notEqual(apart.account, amina.account);
		assert.deepEqual(
			(await apart.passes.show()).passes.map(({ monthBytes }) => monthBytes),
			[40_000_000n],
		);
	});

	it("spends at once where that is wished for, and never twice", async () => {
		const { pool, amina } = await drawn(2);
		const pass = await amina.quotas.spend(pool, { now: true });
		assert.equal(pass?.monthBytes, 20_000_000n);
		assert.equal(await amina.quotas.spend(pool, { now: true }), undefined);
		for (const count of [0, 21, 1.5])
			assert.equal((await refusedWith(amina.quotas.draw(pool, count))).problem, "malformed");
		assert.equal((await refusedWith(amina.quotas.draw("x", 1))).problem, "malformed");
		assert.equal((await refusedWith(amina.quotas.draw(pool, 9))).problem, "conflict");
	});

	it("threat 26: a market that shows somebody a key of their own is found out, by its own signed words", async () => {
		const { pool, amina, storage } = await drawn(1);
		const names = await storage.list("oblivious/");
		assert.equal(names.length, 1);
		await storage.put(names[0] ?? "", new TextEncoder().encode(JSON.stringify({ key: "11".repeat(32) })));
		const refused = await refusedWith(amina.quotas.draw(pool, 1));
		assert.deepEqual([refused.problem, refused.spent], ["data-corrupt", "no"]);
		assert.match(refused.detail, /another key than it did before.*nothing is drawn or spent/);
		assert.equal((await refusedWith(amina.quotas.spend(pool, { now: true }))).problem, "data-corrupt");
	});

	it("threat 26: an answer by another key than the published one is not used, and an answer that was lost is asked for again", async () => {
		const { pool, storage } = await drawn(1);
		let broken = 0;
		const lying: typeof fetch = async (input, init) => {
			const answer = await fetch(input, init);
			if (!String(input).includes("tokens.draw") || broken === 0) return answer;
			broken -= 1;
			const text = await answer.text();
			const { result } = JSON.parse(text) as { result: { data: { evaluated: string; proof: string } } };
			return Response.json({ result: { data: { ...result.data, proof: `00${result.data.proof.slice(2)}` } } });
		};
		const cheated = await person({ storage, fetch: lying });
		broken = 1;
		const refused = await refusedWith(cheated.quotas.draw(pool, 1));
		assert.deepEqual(
			[refused.problem, /not by the key that it published/.test(refused.detail)],
			["signature-bad", true],
		);
		let lost = 1;
		const forgetful = await person({
			storage,
			fetch: async (input, init) => {
				const answer = await fetch(input, init);
				if (!String(input).includes("tokens.draw") || lost-- <= 0) return answer;
				throw new TypeError("fetch failed");
			},
		});
		const before = (await forgetful.passes.show()).passes[0]?.usedMonth ?? 0n;
		await forgetful.quotas.draw(pool, 1);
		assert.equal(
			(await forgetful.passes.show()).passes[0]?.usedMonth,
			before + 10_000_000n,
			"and costs its quota once",
		);
	});

	it("gives money to an account and by a link, once, and has it back when nobody claims it", async () => {
		const [ada, bob] = [await person(), await person()];
		await ada.market.api.funding.play.mutate({ id: "first", amount: "5000000000" });
		const dollar = amount(1_000_000_000n);
		await ada.gifts.give(bob.account, dollar, "birthday");
		await ada.gifts.give(bob.account, dollar, "birthday");
		assert.equal(await bob.balance(), dollar);
		const gift = await ada.gifts.offer(dollar);
		assert.match(gift.link, /\/gift#/);
		assert.equal(await bob.gifts.claim(gift.link), dollar);
		const other = await ada.gifts.offer(dollar, 2);
		assert.deepEqual((await ada.gifts.list()).map(({ state }) => state).sort(), ["claimed", "gift"]);
		assert.equal((await ada.gifts.takeBack(other.id)).state, "returned");
		const third = await ada.gifts.offer(dollar, 1);
		await market.clock.advance(86_400_000 + 60_000);
		assert.equal((await refusedWith(bob.gifts.claim(third.code))).problem, "conflict");
		assert.deepEqual([await ada.balance(), await bob.balance()], [amount(3n * dollar), amount(2n * dollar)]);
		assert.equal((await refusedWith(bob.gifts.claim("hello"))).problem, "malformed");
		assert(toHex(new Uint8Array(1)) === "00");
	});
});
