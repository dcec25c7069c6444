/** Canaries: people of the market's own measure a relay as anybody sees it, and who serves badly is asked about it (threat 15). */
import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import { measure } from "#cli/canary";
import { openSilentLog } from "#host/log";
import { casesOf, heldOf } from "#marketplace/desk/cases";
import { MEASURES_MAX, type Measure } from "#marketplace/desk/score";
import { takeMeasures } from "#marketplace/desk/scores";
import { openMemoryBook } from "#marketplace/ledger/memory";
import { ALL_DEFENCES, RULES } from "#marketplace/sponsor/rules";
import { heldClock } from "#test/support/clock";
import {
	crypto,
	DAY_MS,
	fine,
	Person,
	refusedBy,
	startTestMarket as startMarket,
	TestRelay,
	toHex,
} from "#test/support/market";
import { startTestMarket, type TestMarket } from "#testing/market";

describe("a canary", () => {
	let market: TestMarket;
	before(async () => {
		market = await startTestMarket();
	});
	after(() => market.close());

	it("says that a relay delivers, and how long it took; of one that is away, that it took nothing", async () => {
		const sender = await market.person("somebody");
		const [relay] = await sender.relays();
		const went = await measure(sender, relay ?? assert.fail(), true, market.url);
		assert.deepEqual([went.end, went.funded], ["delivered", true]);
		assert.ok(went.tookMs > 0 && went.tookMs < 30_000);
		await market.relays[0]?.stop();
		const away = await measure(sender, relay ?? assert.fail(), false, market.url, 1_500);
		assert.deepEqual([away.end, away.tookMs, away.funded], ["refused", 0, false]);
	});
});

describe("what canaries measured", () => {
	const clock = heldClock();
	const [relay, operator] = [toHex(crypto.random(32)), toHex(crypto.random(32))];
	const setUp = (rules = RULES) => ({ book: openMemoryBook(), clock, crypto, rules, log: openSilentLog() });
	const many = (count: number, change: Partial<Measure> = {}, fromMs = 0): Measure[] =>
		Array.from({ length: count }, (_, i) => ({
			...{ atMs: clock.nowMs() - DAY_MS + fromMs + i, funded: false, end: "delivered", tookMs: 120 },
			...change,
		}));

	it("is kept once, the newest of a month", async () => {
		const parts = setUp();
		const taken = fine(await takeMeasures(parts, { relay, operator }, many(5)));
		assert.equal(taken.score.own.tries, 5);
		assert.equal(fine(await takeMeasures(parts, { relay, operator }, many(5))).score.own.tries, 5);
		const full = fine(
			await takeMeasures(parts, { relay, operator }, many(MEASURES_MAX, { end: "lost", tookMs: 0 }, 100)),
		);
		assert.deepEqual([full.score.own.tries, full.score.own.lost], [MEASURES_MAX, MEASURES_MAX]);
		clock.jump(31 * DAY_MS);
		const later = fine(await takeMeasures(parts, { relay, operator }, many(1)));
		assert.equal(later.score.own.tries, 1);
		clock.jump(-31 * DAY_MS);
	});

	it("threat 15: asks an operator that serves the sponsored worse, with the numbers, and what funds paid it waits on", async () => {
		const parts = setUp();
		await takeMeasures(parts, { relay, operator }, [...many(15), ...many(10, { funded: true }, 50)]);
		assert.deepEqual(await casesOf(parts.book, operator), []);
		const lost = many(12, { funded: true, end: "lost", tookMs: 0 }, 100);
		await takeMeasures(parts, { relay, operator }, lost);
		const found = await casesOf(parts.book, operator);
		assert.deepEqual(found.map(({ kind }) => kind).sort(), ["not-delivered", "sponsored-worse"]);
		assert.match(
			found[0]?.reasons.join(" ") ?? "",
			/Of 22 that a fund paid for, 45 % arrived \(0 were not taken, 12 got lost\)/,
		);
		assert.deepEqual(await heldOf(parts.book, operator), { isHeld: true, isPaused: true });
		await takeMeasures(parts, { relay, operator }, many(1, { funded: true, end: "lost" }, 200));
		assert.equal((await casesOf(parts.book, operator)).length, 2, "once in a month");
	});

	it("finds nothing where watching is turned off", async () => {
		const parts = setUp({ ...RULES, defences: { ...ALL_DEFENCES, watching: false } });
		await takeMeasures(parts, { relay, operator }, many(30, { end: "lost", tookMs: 0 }));
		assert.deepEqual(await casesOf(parts.book, operator), []);
	});

	it("comes from the market's people only, about relays that are listed, of today", async () => {
		const seed = crypto.random(32);
		const market = await startMarket({ desk: [toHex(crypto.keyPair(seed).publicKey)] });
		try {
			const dora = Object.assign(new Person(market), { seed, account: crypto.keyPair(seed) });
			const listed = new TestRelay(market);
			await listed.list();
			const measures = [{ atMs: market.clock.nowMs(), funded: true, end: "delivered" as const, tookMs: 9 }];
			const said = (person: Person, key = listed.id, of = measures) =>
				person.client.desk.measured.mutate({ relay: key, measures: of });
			assert.equal((await refusedBy(said(new Person(market)))).problem, "unauthorized");
			assert.equal((await refusedBy(said(dora, relay))).problem, "not-found");
			const old = measures.map((one) => ({ ...one, atMs: 5 }));
			assert.equal((await refusedBy(said(dora, listed.id, old))).problem, "clock");
			assert.equal((await said(dora)).operator, listed.operator.id);
			const { scores, next } = await dora.client.desk.scores.query();
			assert.deepEqual([scores.map((one) => one.funded.medianMs), next], [[9], null]);
		} finally {
			await market.end();
		}
	});
});
