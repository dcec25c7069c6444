/** Quota tokens: drawn by one account, spent by another, once, and nothing ties the two (threats 21 and 26). */

import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { toHex } from "#contracts/bytes";
import { isProblem } from "#contracts/problem";
import { monthEndMs, monthOf, type QuotaToken, TOKEN_QUOTA_BYTES, tokenInput } from "#contracts/quota";
import { crypto } from "#host/crypto";
import { passesOf, personFactsOf } from "#marketplace/pass/facts";
import { takeBatchBack } from "#marketplace/pass/give";
import { passOf, usedOf } from "#marketplace/pass/pass";
import { redeemCode } from "#marketplace/pass/redeem";
import { drawTokens, keyOfMonth } from "#marketplace/token/draw";
import { endMonth } from "#marketplace/token/end";
import { spendTokens } from "#marketplace/token/spend";
import {
	blindOf,
	codesFor,
	DAY_MS,
	draw,
	makePool,
	refusal,
	roomsOf,
	someone,
	turnPool,
	useBytes,
	well,
} from "#test/support/passes";

async function world({ monthBytes = 100_000_000n } = {}) {
	const rooms = roomsOf();
	const pool = await makePool(rooms, { monthBytes });
	const { codes, batch } = await codesFor(rooms, pool);
	const amina = someone();
	well(await redeemCode(rooms, amina, codes[0] ?? ""));
	const month = monthOf(rooms.clock.nowMs());
	const spend = (account: string, tokens: readonly QuotaToken[], change = {}) =>
		spendTokens(rooms, account, { pool: pool.pool, month, tokens, ...change });
	const quota = async (account: string) => {
		const { passes } = await personFactsOf(rooms, account, false, rooms.clock.nowMs());
		return passes.map(({ from, monthBytes: bytes }) => [from, bytes]);
	};
	return { rooms, pool, amina, batch, month, spend, quota };
}

describe("a quota token", () => {
	it("is ten MB less on the account that draws it, and ten MB more on the one that spends it", async () => {
		const { rooms, pool, amina, spend, quota } = await world();
		const tokens = well(await draw(rooms, amina, pool.bytes, 3));
		const drawn = await passOf(rooms, amina, pool.pool);
		assert(drawn);
		assert.equal((await usedOf(rooms, drawn, rooms.clock.nowMs())).usedMonth, 30_000_000n);
		const other = someone();
		const pass = well(await spend(other, tokens.slice(0, 2)));
		assert.equal(pass.validUntilMs, Date.UTC(2026, 11, 1));
		assert.deepEqual(await quota(other), [["token", 20_000_000n]]);
		well(await spend(other, tokens));
		assert.deepEqual(await quota(other), [["token", 30_000_000n]]);
		await rooms.clock.advance(pass.validUntilMs - rooms.clock.nowMs());
		assert.deepEqual(await quota(other), []);
	});

	it("adds to a pass that an account has already", async () => {
		const { rooms, pool, amina, spend, quota } = await world();
		const tokens = well(await draw(rooms, amina, pool.bytes, 1));
		const { codes } = await codesFor(rooms, pool);
		const bob = someone();
		well(await redeemCode(rooms, bob, codes[0] ?? ""));
		well(await spend(bob, tokens));
		assert.deepEqual(await quota(bob), [["code", 110_000_000n]]);
		const carol = someone();
		const [late] = well(await draw(rooms, amina, pool.bytes, 1));
		assert(late);
		well(await spend(carol, [late]));
		const { codes: more } = await codesFor(rooms, pool);
		well(await redeemCode(rooms, carol, more[0] ?? ""));
		assert.deepEqual(await quota(carol), [["code", 110_000_000n]]);
	});

	it("threat 21: resold passes: no more is drawn than the month's quota, however it is asked for", async () => {
		const { rooms, pool, amina, month } = await world();
		const answers = await Promise.all([1, 2, 3].map(() => draw(rooms, amina, pool.bytes, 4)));
		assert.equal(answers.filter((answer) => !isProblem(answer)).length, 2);
		const refused = answers.find(isProblem);
		refusal(refused, "conflict", /quota for 2 more tokens this month; it is there anew on the 1st/);
		well(await draw(rooms, amina, pool.bytes, 2));
		refusal(await draw(rooms, amina, pool.bytes, 1), "conflict", /for 0 more tokens/);
		await rooms.clock.advance(monthEndMs(month) - rooms.clock.nowMs());
		well(await draw(rooms, amina, pool.bytes, 10));
	});

	it("threat 21: what tabs used of a pass cannot be drawn, and what was drawn cannot be used by tabs", async () => {
		const { rooms, pool, amina } = await world();
		await useBytes(rooms, amina, pool.pool, 85_000_000n);
		refusal(await draw(rooms, amina, pool.bytes, 2), "conflict", /for 1 more tokens/);
		// a tab that is opened at the same moment is counted in the same row
		const outcomes = await Promise.allSettled([
			draw(rooms, amina, pool.bytes, 1),
			useBytes(rooms, amina, pool.pool, 10_000_000n),
		]);
		assert(outcomes.some(({ status, ...rest }) => status === "rejected" || ("value" in rest && isProblem(rest.value))));
	});

	it("threat 21: a pool's own bound for a person holds, and a token brings no right to draw more", async () => {
		const { rooms, pool, amina, spend } = await world({ monthBytes: 25_000_000n });
		refusal(await draw(rooms, amina, pool.bytes, 3), "conflict", /for 2 more tokens/);
		const tokens = well(await draw(rooms, amina, pool.bytes, 2));
		const other = someone();
		well(await spend(other, tokens));
		refusal(await draw(rooms, other, pool.bytes, 1), "not-found", /no pass of this pool to draw from/);
		refusal(await draw(rooms, someone(), pool.bytes, 1), "not-found", /no pass of this pool to draw from/);
	});

	it("threat 21: resold passes: a token counts once, whoever brings it, and however they race", async () => {
		const { rooms, pool, amina, spend, quota } = await world();
		const tokens = well(await draw(rooms, amina, pool.bytes, 1));
		const people = [someone(), someone(), someone(), someone()];
		const answers = await Promise.all(people.map((person) => spend(person, tokens)));
		assert.equal(answers.filter((answer) => !isProblem(answer)).length, 1);
		for (const answer of answers)
			if (isProblem(answer)) refusal(answer, "conflict", /spent by another account already: a token counts once/);
		const sums = (await Promise.all(people.map(quota))).flat();
		assert.deepEqual(sums, [["token", TOKEN_QUOTA_BYTES]]);
		const winner = people[answers.findIndex((answer) => !isProblem(answer))] ?? "";
		await Promise.all([spend(winner, tokens), spend(winner, tokens)]);
		assert.deepEqual(await quota(winner), [["token", TOKEN_QUOTA_BYTES]], "bringing it again is no second one");
	});

	it("the same blinded tokens, asked for again after a lost answer, are answered again and cost nothing more", async () => {
		const { rooms, pool, amina, month } = await world();
		const nonce = crypto.random(32);
		const blind = await blindOf(
			[tokenInput(rooms.keys.market, pool.bytes, month, nonce)],
			await rooms.oblivious.key({ pool: pool.bytes, month }),
		);
		const order = { pool: pool.pool, month, blinded: blind.blinded };
		const [one, two] = [well(await drawTokens(rooms, amina, order)), well(await drawTokens(rooms, amina, order))];
		assert.deepEqual(one.evaluated, two.evaluated);
		assert.deepEqual(await blind.finish(one), await blind.finish(two));
		const pass = await passOf(rooms, amina, pool.pool);
		assert(pass);
		assert.equal((await usedOf(rooms, pass, rooms.clock.nowMs())).usedMonth, TOKEN_QUOTA_BYTES);
	});

	it("forged, of another pool, month or market, doubled, too many: each is refused, and none behind a wrong one counts", async () => {
		const { rooms, pool, amina, month, spend, quota } = await world();
		const [good] = well(await draw(rooms, amina, pool.bytes, 1));
		assert(good);
		const other = someone();
		const forged = { nonce: crypto.random(32), output: crypto.random(64) };
		refusal(await spend(other, [good, forged]), "signature-bad", /no token that this market answered for/);
		refusal(await spend(other, [{ ...good, nonce: crypto.random(32) }]), "signature-bad", /no token/);
		refusal(await spend(other, [{ ...good, output: good.output.slice(1) }]), "signature-bad", /no token/);
		const elsewhere = await makePool(rooms);
		refusal(await spend(other, [good], { pool: elsewhere.pool }), "signature-bad", /for this pool and month/);
		const foreign = { ...rooms, keys: { ...rooms.keys, market: crypto.random(32) } };
		const order = { pool: pool.pool, month, tokens: [good] };
		refusal(await spendTokens(foreign, other, order), "signature-bad", /this market/);
		refusal(await spend(other, [good, good]), "malformed", /there twice/);
		refusal(await spend(other, []), "malformed", /1 to 20/);
		refusal(
			await spend(
				other,
				Array.from({ length: 21 }, () => good),
			),
			"malformed",
			/1 to 20/,
		);
		refusal(await spend(other, [good], { month: month + 1 }), "conflict", /of another month/);
		assert.deepEqual(await quota(other), []);
		await rooms.clock.advance(monthEndMs(month) - rooms.clock.nowMs());
		refusal(await spend(other, [good]), "conflict", /of another month/);
		refusal(await draw(rooms, amina, pool.bytes, 21), "malformed", /1 to 20 blinded/);
		const early = { pool: pool.pool, month, blinded: new Uint8Array(32).fill(1) };
		refusal(await drawTokens(rooms, amina, { ...early, month }), "malformed", /no blinded element/);
	});

	it("is drawn for the month that it is, from a pool that pays, twenty times a day", async () => {
		const { rooms, pool, amina, month } = await world();
		const blind = await blindOf([crypto.random(9)], await rooms.oblivious.key({ pool: pool.bytes, month: month + 1 }));
		const next = { pool: pool.pool, month: month + 1, blinded: blind.blinded };
		refusal(await drawTokens(rooms, amina, next), "conflict", /for the month that it is/);
		for (let i = 0; i < 19; i++) await drawTokens(rooms, amina, { ...next, blinded: new Uint8Array(32) });
		const late = refusal(await drawTokens(rooms, amina, next), "too-many", /20 times a day/);
		assert.equal(late.retryAfterMs, DAY_MS / 2);
		await rooms.clock.advance(DAY_MS / 2);
		await turnPool(rooms, pool.pool, "ending");
		refusal(await draw(rooms, amina, pool.bytes, 1), "conflict", /pool has ended, or is about to/);
		refusal(
			await spendTokens(rooms, amina, {
				pool: pool.pool,
				month,
				tokens: [{ nonce: crypto.random(32), output: crypto.random(64) }],
			}),
			"conflict",
			/has ended/,
		);
	});

	it("is revoked with all of its month, by whoever fills the pool: what was added by it is gone, and other months are not", async () => {
		const { rooms, pool, amina, month, spend, quota } = await world();
		const [one, two] = well(await draw(rooms, amina, pool.bytes, 2));
		assert(one && two);
		const other = someone();
		well(await spend(other, [one]));
		refusal(await endMonth(rooms, other, pool.pool, month), "not-found", /no such pool/);
		for (const past of [202610, 202613, 1.5])
			refusal(await endMonth(rooms, pool.sponsor, pool.pool, past), "malformed", /this month, or one to come/);
		for (let i = 0; i < 2; i++) assert.equal(await endMonth(rooms, pool.sponsor, pool.pool, month), undefined);
		assert.deepEqual(await quota(other), []);
		refusal(await spend(other, [two]), "conflict", /ended this month's tokens/);
		refusal(await draw(rooms, amina, pool.bytes, 1), "conflict", /ended this month's tokens/);
		assert.equal((await passesOf(rooms, amina, rooms.clock.nowMs())).length, 1, "a pass that nobody ended stays");
		await rooms.clock.advance(monthEndMs(month) - rooms.clock.nowMs());
		well(await draw(rooms, amina, pool.bytes, 1));
	});

	it("cannot be drawn from a pass that was taken back", async () => {
		const { rooms, pool, amina, batch } = await world();
		well(await takeBatchBack(rooms, pool.sponsor, batch));
		refusal(await draw(rooms, amina, pool.bytes, 1), "not-found", /no pass/);
	});
});

describe("threat 26: who spends is not who drew", () => {
	it("of what the market keeps and was shown when they were drawn, nothing is in what was spent", async () => {
		const { rooms, pool, amina, month, spend } = await world();
		const nonces = [crypto.random(32), crypto.random(32)];
		const inputs = nonces.map((nonce) => tokenInput(rooms.keys.market, pool.bytes, month, nonce));
		const blind = await blindOf(inputs, await rooms.oblivious.key({ pool: pool.bytes, month }));
		const answered = well(await drawTokens(rooms, amina, { pool: pool.pool, month, blinded: blind.blinded }));
		const outputs = await blind.finish(answered);
		const tokens = nonces.map((nonce, i) => ({ nonce, output: outputs[i] ?? new Uint8Array() }));
		const seen = [toHex(blind.blinded), toHex(answered.evaluated), toHex(answered.proof)].join(" ");
		for (const { nonce, output } of tokens)
			for (const part of [nonce, output, output.slice(0, 32)]) assert(!seen.includes(toHex(part)));
		const apart = someone();
		well(await spend(apart, tokens));
		const spent = JSON.stringify(await rooms.book.records({ table: "tokens", by: "account", of: apart, limit: 10 }));
		const drawn = JSON.stringify(await rooms.book.records({ table: "tokens", by: "account", of: amina, limit: 10 }));
		assert(!spent.includes(amina) && !drawn.includes(apart));
		for (const { nonce } of tokens) assert(!spent.includes(toHex(nonce)), "not even the token itself is kept");
	});

	it("everybody is told one key for a pool and month, signed, and without saying who asks", async () => {
		const { rooms, pool, month } = await world();
		const other = roomsOf(rooms);
		const [here, there] = [await keyOfMonth(rooms, pool.bytes, month), await keyOfMonth(other, pool.bytes, month)];
		assert.deepEqual(here, there, "of another process too");
		assert.notDeepEqual((await keyOfMonth(rooms, pool.bytes, month + 1)).key, here.key);
		assert.notDeepEqual((await keyOfMonth(rooms, crypto.random(16), month)).key, here.key);
	});
});
