/** Enrollers and their passes: who may, how many, one person once, and a country by somebody else's word (threats 21 and 26). */

import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { toHex } from "#contracts/bytes";
import { codeHash, makeCode } from "#contracts/code";
import { COMMONS_POOL, checkedBytes } from "#contracts/pass";
import { isProblem } from "#contracts/problem";
import { crypto } from "#host/crypto";
import { issuePass, lookUp } from "#marketplace/pass/enroll";
import { askToEnroll, decideEnroller, enrollerOf } from "#marketplace/pass/enroller";
import { passesOf, personFactsOf } from "#marketplace/pass/facts";
import { takeCodeBack } from "#marketplace/pass/give";
import { passOf, usedOf } from "#marketplace/pass/pass";
import { sayCountry } from "#marketplace/pass/person";
import { redeemCode } from "#marketplace/pass/redeem";
import {
	blindOf,
	codesFor,
	commonsUsed,
	DAY_MS,
	MONTH_BYTES,
	makePool,
	Partner,
	refusal,
	roomsOf,
	someone,
	useBytes,
	well,
} from "#test/support/passes";

const words = { name: "A school", about: "We teach." };

async function world({ dayMax = 100 } = {}) {
	const rooms = roomsOf();
	const school = await new Partner(rooms).approved(dayMax);
	const clinic = await new Partner(rooms).approved(dayMax);
	const pool = await makePool(rooms, { enrollers: [school.account, clinic.account] });
	return { rooms, school, clinic, pool };
}

describe("an enroller", () => {
	it("applies, is decided on by the market's people, and is told why it may not", async () => {
		const rooms = roomsOf();
		const school = new Partner(rooms);
		const { account } = school;
		const blind = await blindOf([new Uint8Array(9)], await rooms.oblivious.key({ pool: COMMONS_POOL, month: 0 }));
		refusal(await lookUp(rooms, account, blind.blinded), "unauthorized", /is no enroller here; apply first/);
		refusal(await decideEnroller(rooms, account, "approved"), "not-found", /No such account has applied/);
		refusal(await askToEnroll(rooms, account, { name: "", about: "x" }), "malformed", /what you are called/);
		refusal(await askToEnroll(rooms, account, { name: "a\u0007b", about: "x" }), "malformed", /what you are called/);
		refusal(await askToEnroll(rooms, account, { name: "a", about: "x".repeat(1_001) }), "malformed", /1000 at most/);
		well(await askToEnroll(rooms, account, words));
		const again = well(await askToEnroll(rooms, account, { ...words, about: "We teach,\nand feed." }));
		assert.deepEqual([again.state, again.about], ["asked", "We teach,\nand feed."]);
		assert.deepEqual(well(await askToEnroll(rooms, account, { ...words, about: "We teach,\nand feed." })), again);
		refusal(await lookUp(rooms, account, blind.blinded), "unauthorized", /have not decided/);
		refusal(await decideEnroller(rooms, account, "refused"), "malformed", /Say why/);
		refusal(await decideEnroller(rooms, account, "approved", { dayMax: 0 }), "malformed", /1 to 10000/);
		refusal(await decideEnroller(rooms, account, "paused", { why: "\u0000" }), "malformed", /no reason in words/);
		well(await decideEnroller(rooms, account, "approved"));
		well(await lookUp(rooms, account, blind.blinded));
		well(await decideEnroller(rooms, account, "paused", { why: "Its people all write at the same minute." }));
		refusal(
			await lookUp(rooms, account, blind.blinded),
			"unauthorized",
			/paused this enroller: Its people all.*Answer: farelay ask/,
		);
		refusal(await askToEnroll(rooms, account, words), "conflict", /decided on this already: paused. Its people/);
		assert.equal(well(await decideEnroller(rooms, account, "approved")).why, undefined);
		well(await lookUp(rooms, account, blind.blinded));
	});

	it("issues passes for pools that admit it, and for the commons", async () => {
		const { rooms, school, pool } = await world();
		const amina = someone();
		const code = well(await school.enroll(pool.bytes, "12345678"));
		const pass = well(await redeemCode(rooms, amina, code));
		assert.deepEqual([pass.from, pass.enroller, pass.pool], ["enroller", school.account, pool.pool]);
		const facts = await personFactsOf(rooms, amina, false, rooms.clock.nowMs());
		assert.deepEqual(
			facts.passes.map(({ isVouched, enroller }) => [isVouched, enroller]),
			[[true, school.account]],
		);
		const closed = await makePool(rooms, { enrollers: [someone()] });
		const all = await makePool(rooms);
		well(await school.enroll(all.bytes, "12345678"));
		refusal(await school.enroll(closed.bytes, "12345678"), "unauthorized", /does not take this enroller's passes/);
		refusal(await school.enroll(new Uint8Array(16).fill(9), "12345678"), "not-found", /no such pool/);
		const ended = await makePool(rooms, { state: "ended", enrollers: [school.account] });
		refusal(await school.enroll(ended.bytes, "12345678"), "conflict", /nobody can join/);
		well(await redeemCode(rooms, someone(), well(await school.enroll(COMMONS_POOL, "87654321", { country: "KE" }))));
	});

	it("brings only what it signed itself, for this market, now, and once for each code", async () => {
		const { rooms, school, clinic, pool } = await world();
		const tag = well(await school.tag(pool.bytes, "12345678"));
		const code = makeCode(crypto);
		const pass = school.pass(pool.bytes, code, tag);
		refusal(await issuePass(rooms, clinic.account, pass), "unauthorized", /signed by another enroller/);
		refusal(await issuePass(rooms, school.account, pass.slice(1)), "malformed", /not a pass/);
		const flipped = pass.slice();
		flipped[100] = (flipped[100] ?? 0) ^ 1;
		refusal(await issuePass(rooms, school.account, flipped), "signature-bad", /not signed by the enroller/);
		const elsewhere = roomsOf();
		const foreign = { ...rooms, keys: { ...rooms.keys, market: crypto.random(32) } };
		refusal(await issuePass(foreign, school.account, pass), "conflict", /for another market/);
		assert(elsewhere);
		const old = school.pass(pool.bytes, code, tag, { issuedAtMs: rooms.clock.nowMs() - 2 * DAY_MS });
		refusal(await issuePass(rooms, school.account, old), "clock", /./);
		const ahead = school.pass(pool.bytes, code, tag, { issuedAtMs: rooms.clock.nowMs() + 3_600_000 });
		refusal(await issuePass(rooms, school.account, ahead), "clock", /./);
		const issued = well(await issuePass(rooms, school.account, pass));
		assert.deepEqual(well(await issuePass(rooms, school.account, pass)), issued);
		const other = school.pass(pool.bytes, code, crypto.random(32));
		refusal(await issuePass(rooms, school.account, other), "conflict", /code is there already/);
		assert.throws(() => school.pass(pool.bytes, code, tag, { country: "Kenya" }), RangeError);
	});

	it("threat 21: that invents people is bounded: so many looked up in a day, and no more issued than that", async () => {
		const { rooms, school, pool } = await world({ dayMax: 3 });
		const [tag] = [well(await school.tag(pool.bytes, "10000001"))];
		const issue = (rest: Uint8Array) =>
			issuePass(rooms, school.account, school.pass(pool.bytes, makeCode(crypto), rest));
		well(await issue(tag));
		refusal(await issue(crypto.random(32)), "conflict", /more would be issued than were looked up/);
		well(await school.tag(pool.bytes, "10000002"));
		well(await school.tag(pool.bytes, "10000003"));
		const late = refusal(
			await school.tag(pool.bytes, "10000004"),
			"too-many",
			/may look up 3 people in a day; the market's desk can raise that/,
		);
		assert.equal(late.retryAfterMs, DAY_MS / 2);
		for (let i = 0; i < 2; i++) well(await issue(crypto.random(32)));
		refusal(await issue(crypto.random(32)), "conflict", /looked up first/);
		await rooms.clock.advance(DAY_MS);
		well(await school.enroll(pool.bytes, "10000004"));
		assert.equal((await enrollerOf(rooms, school.account))?.issued, 1);
	});

	it("that was paused stops handing out, and what it handed out and nobody used yet is not taken", async () => {
		const { rooms, school, pool } = await world();
		const code = well(await school.enroll(pool.bytes, "12345678"));
		const used = well(await school.enroll(pool.bytes, "12345679"));
		const amina = someone();
		well(await redeemCode(rooms, amina, used));
		well(await decideEnroller(rooms, school.account, "paused", { why: "We are looking." }));
		refusal(await redeemCode(rooms, someone(), code), "conflict", /not working for this market now.*desk/);
		assert.equal((await passesOf(rooms, amina, rooms.clock.nowMs())).length, 1, "who has a pass keeps it");
		well(await decideEnroller(rooms, school.account, "approved"));
		well(await redeemCode(rooms, someone(), code));
	});

	it("takes a pass back by the code that it handed out, used or not; its passes expire", async () => {
		const { rooms, school, pool } = await world();
		const amina = someone();
		const code = well(await school.enroll(pool.bytes, "12345678", { days: 40 }));
		const pass = well(await redeemCode(rooms, amina, code));
		assert.equal(pass.validUntilMs, rooms.clock.nowMs() + 40 * DAY_MS);
		well(await takeCodeBack(rooms, school.account, codeHash(crypto, code)));
		assert.deepEqual(await passesOf(rooms, amina, rooms.clock.nowMs()), []);
		const next = well(await school.enroll(pool.bytes, "12345678", { days: 40 }));
		well(await redeemCode(rooms, amina, next));
		await rooms.clock.advance(40 * DAY_MS);
		assert.deepEqual(await passesOf(rooms, amina, rooms.clock.nowMs()), []);
		const unused = well(await school.enroll(pool.bytes, "12345678"));
		await rooms.clock.advance(30 * DAY_MS);
		refusal(await redeemCode(rooms, amina, unused), "conflict", /could be used until/);
	});
});

describe("threat 21: one person once", () => {
	it("the same document gives the same tag at two enrollers, another one in another pool, and the market sees neither", async () => {
		const { rooms, school, clinic, pool } = await world();
		const other = await makePool(rooms, { enrollers: [school.account] });
		const tag = well(await school.tag(pool.bytes, "ke 1234-5678"));
		assert.deepEqual(well(await clinic.tag(pool.bytes, "KE12345678")), tag);
		assert.notDeepEqual(well(await school.tag(other.bytes, "KE12345678")), tag);
		assert.notDeepEqual(well(await school.tag(pool.bytes, "KE12345678", "ke-passport")), tag);
		const key = await rooms.oblivious.key({ pool: COMMONS_POOL, month: 0 });
		const checked = well(checkedBytes(rooms.keys.market, "ke-national-id", "KE12345678"));
		const [one, two] = [await blindOf([checked], key), await blindOf([checked], key)];
		assert.notDeepEqual(one.blinded, two.blinded, "what the market is shown is another thing each time");
	});

	it("a market that answers by another key than the published one is found out", async () => {
		const { rooms, school, pool } = await world();
		const other = { ...rooms.oblivious, key: async () => rooms.oblivious.key({ pool: pool.bytes, month: 202611 }) };
		const cheated = new Partner({ ...rooms, oblivious: other });
		well(await askToEnroll(rooms, cheated.account, words));
		well(await decideEnroller(rooms, cheated.account, "approved"));
		await assert.rejects(() => cheated.tag(pool.bytes, "12345678"), /proof/i);
		assert(school);
	});

	it("what tells nobody apart is not looked up, and what is no blinded element is not answered", async () => {
		const { rooms, school } = await world();
		for (const [kind, checked] of [
			["ke-national-id", "123"],
			["ke-national-id", " - "],
			["KE", "12345678"],
			["", "12345678"],
		])
			assert(isProblem(checkedBytes(rooms.keys.market, kind ?? "", checked ?? "")));
		const bad = [
			new Uint8Array(32),
			new Uint8Array(32).fill(255),
			new Uint8Array(31),
			new Uint8Array(0),
			new Uint8Array(32 * 21),
		];
		for (const blinded of bad) refusal(await lookUp(rooms, school.account, blinded), "malformed", /blinded element/);
		assert.equal((await enrollerOf(rooms, school.account))?.asked, 0, "and is not counted");
	});

	it("the same person at a second enroller takes the pass along, with what was used of it, once a month", async () => {
		const { rooms, school, clinic, pool } = await world();
		const [old, fresh, third] = [someone(), someone(), someone()];
		well(await redeemCode(rooms, old, well(await school.enroll(pool.bytes, "12345678"))));
		await useBytes(rooms, old, pool.pool, 60_000_000n);
		const moved = well(await redeemCode(rooms, fresh, well(await clinic.enroll(pool.bytes, "1234 5678"))));
		assert.equal(moved.enroller, clinic.account);
		assert.equal((await usedOf(rooms, moved, rooms.clock.nowMs())).usedMonth, 60_000_000n);
		assert.deepEqual(await passesOf(rooms, old, rooms.clock.nowMs()), []);
		assert.equal((await passOf(rooms, old, pool.pool))?.state, "moved");
		const again = well(await school.enroll(pool.bytes, "12345678"));
		refusal(
			await redeemCode(rooms, third, again),
			"conflict",
			/moved once this month already.*the 1st.*ask the enroller/,
		);
		refusal(await redeemCode(rooms, old, again), "conflict", /moved once this month already/);
		await rooms.clock.advance(21 * DAY_MS);
		const back = well(await redeemCode(rooms, third, again));
		assert.equal((await passesOf(rooms, fresh, rooms.clock.nowMs())).length, 0);
		const { usedMonth } = await usedOf(rooms, back, rooms.clock.nowMs());
		assert.deepEqual([usedMonth, back.state], [0n, "held"], "a new month has its quota");
	});

	it("the same person on the same account renews, without a second quota", async () => {
		const { rooms, school, clinic, pool } = await world();
		const amina = someone();
		const first = well(await school.enroll(pool.bytes, "12345678"));
		well(await redeemCode(rooms, amina, first));
		const second = well(await clinic.enroll(pool.bytes, "12345678"));
		refusal(await redeemCode(rooms, amina, second), "conflict", /have a pass of this pool already/);
		await takeCodeBack(rooms, school.account, codeHash(crypto, first));
		well(await redeemCode(rooms, amina, second));
		assert.equal((await passesOf(rooms, amina, rooms.clock.nowMs())).length, 1);
	});

	it("two accounts that race with two codes of one person end with one pass", async () => {
		const { rooms, school, clinic, pool } = await world();
		const codes = [
			well(await school.enroll(pool.bytes, "12345678")),
			well(await clinic.enroll(pool.bytes, "12345678")),
		];
		const people = [someone(), someone()];
		await Promise.all(people.map((person, i) => redeemCode(rooms, person, codes[i] ?? "")));
		const held = await Promise.all(people.map((person) => passesOf(rooms, person, rooms.clock.nowMs())));
		assert.equal(held.flat().length, 1);
	});

	it("an enroller's word takes the place of a code's, on the same quota", async () => {
		const { rooms, school, pool } = await world();
		const amina = someone();
		const { codes } = await codesFor(rooms, pool);
		well(await redeemCode(rooms, amina, codes[0] ?? ""));
		await useBytes(rooms, amina, pool.pool, 5n);
		const vouched = well(await redeemCode(rooms, amina, well(await school.enroll(pool.bytes, "12345678"))));
		assert.deepEqual([vouched.from, vouched.monthBytes], ["enroller", MONTH_BYTES]);
		assert.equal((await usedOf(rooms, vouched, rooms.clock.nowMs())).usedMonth, 5n);
	});
});

describe("an enroller's country", () => {
	it("is strong, and beats what somebody says", async () => {
		const { rooms, school } = await world();
		const amina = someone();
		well(await sayCountry(rooms, amina, "BI"));
		well(
			await redeemCode(rooms, amina, well(await school.enroll(COMMONS_POOL, "12345678", { country: "KE", days: 30 }))),
		);
		const facts = await personFactsOf(rooms, amina, false, rooms.clock.nowMs());
		assert.deepEqual([facts.country, facts.evidence], ["KE", "strong"]);
		const later = await personFactsOf(rooms, amina, false, rooms.clock.nowMs() + 30 * DAY_MS);
		assert.deepEqual([later.country, later.evidence], ["BI", "said"]);
	});

	it("threat 21: is had once, whatever pools somebody is in, and goes along to another account with what was used", async () => {
		const { rooms, school, clinic, pool } = await world();
		refusal(
			await school.enroll(pool.bytes, "12345678", { country: "KE" }),
			"malformed",
			/by a pass of the commons, which a person has once/,
		);
		const [old, fresh] = [someone(), someone()];
		well(await redeemCode(rooms, old, well(await school.enroll(COMMONS_POOL, "12345678", { country: "KE" }))));
		await useBytes(rooms, old, toHex(COMMONS_POOL), 70_000_000n);
		well(await redeemCode(rooms, fresh, well(await clinic.enroll(COMMONS_POOL, "12345678", { country: "KE" }))));
		const at = async (account: string) => (await personFactsOf(rooms, account, false, rooms.clock.nowMs())).evidence;
		assert.deepEqual([await at(old), await at(fresh)], ["none", "strong"]);
		assert.equal(await commonsUsed(rooms, fresh), 70_000_000n);
	});
});

describe("threat 26: what is kept of people", () => {
	it("is keys, countries, hashes and tags: no document, no code, not even who was looked up", async () => {
		const { rooms, school, pool } = await world();
		const code = well(await school.enroll(pool.bytes, "GEHEIM-12345678"));
		const amina = someone();
		well(await redeemCode(rooms, amina, code));
		const all = [];
		for (const table of ["people", "passes", "codes", "enrollers", "tags", "tokens"] as const)
			for (const whose of [amina, school.account, pool.sponsor])
				all.push(...(await rooms.book.records({ table, by: "account", of: whose, limit: 100 })));
		const text = JSON.stringify(all);
		assert(all.length >= 4);
		for (const secret of ["GEHEIM", "12345678", code]) assert(!text.includes(secret), secret);
		const tag = toHex(well(await school.tag(pool.bytes, "GEHEIM-12345678")));
		assert(text.includes(tag), "only the tag, which the same person gives again");
	});
});
