/** The commons day by day, told with people who pay the solidarity fee, people of a country where that is not to be had, and two processes on one book. */

import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import { type Amount, amount, portion } from "#contracts/amount";
import { openCommons } from "#marketplace/commons/commons";
import type { Book } from "#marketplace/ledger/book";
import { COMMONS, WORLD_PLAY } from "#marketplace/ledger/chart";
import { openMemoryBook } from "#marketplace/ledger/memory";
import { heldClock } from "#test/support/clock";
import {
	carried,
	clientOf,
	DAY_MS,
	FEES,
	fine,
	movedBy,
	Person,
	refusedBy,
	startTestMarket,
	TARIFF,
	type TestMarket,
	TestRelay,
} from "#test/support/market";

const DOLLAR = 1_000_000_000n;
const START_MS = Date.UTC(2026, 8, 7, 12);

describe("the commons' days", () => {
	let redeemed = 0;
	/** So much came to the commons by the fee. */
	async function brought(book: Book, nanos: bigint, atMs: number): Promise<void> {
		const entries = [
			{ account: COMMONS, nanos },
			{ account: WORLD_PLAY, nanos: -nanos },
		];
		const transfer = { id: `redeem:${++redeemed}`, cause: "a story", atMs, entries };
		assert.deepEqual(await book.apply([{ transfer }]), ["applied"]);
	}

	it("of two processes one decides, once a day, and both go by it from the same moment on", async () => {
		const book = openMemoryBook();
		const clock = heldClock(START_MS);
		const one = await openCommons({ book, clock }, 20_000);
		const two = await openCommons({ book, clock }, 20_000);
		assert.deepEqual([await one.run(), await two.run(), await one.run()], [true, false, false]);
		await brought(book, 2n * DOLLAR, clock.nowMs());
		clock.jump(DAY_MS);
		const ran = await Promise.all([one.run(), two.run()]);
		assert.deepEqual(ran.sort(), [false, true]);
		assert.equal(one.feePpm(), two.feePpm());
		await book.close();
	});

	it("a fee that was decided comes into force a quarter of an hour later; while nobody wants any it falls once a hundred dollars are put by", async () => {
		const book = openMemoryBook();
		const clock = heldClock(START_MS);
		const commons = await openCommons({ book, clock }, 20_000);
		await commons.run();
		let fee = 20_000;
		for (let day = 0; day < 40; day++) {
			await brought(book, 5n * DOLLAR, clock.nowMs());
			clock.jump(DAY_MS);
			assert.equal(await commons.run(), true);
			assert.equal(commons.feePpm(), fee);
			clock.jump(15 * 60_000);
			const isFull = day >= 19;
			assert.equal(commons.feePpm(), isFull ? Math.max(0, fee - 2_500) : 20_000, `day ${day}`);
			fee = commons.feePpm();
		}
		assert.equal(fee, 0);
		const kept = commons.kept();
		assert.ok(kept && kept.days.length === 31);
		assert.ok(kept.days.every(({ fees, out, given }) => fees === 5n * DOLLAR && out === 0n && given === 0n));
		// another process, or the same after a restart, goes by what is written down
		assert.equal((await openCommons({ book, clock }, 20_000)).feePpm(), 0);
		await book.close();
	});
});

describe("the commons of a market", () => {
	const clock = heldClock(START_MS);
	let market: TestMarket;
	let relay: TestRelay;
	let rich: Person;
	let poor: Person;

	before(async () => {
		market = await startTestMarket({}, { clock });
		relay = new TestRelay(market);
		await relay.list();
		[rich, poor] = [new Person(market), new Person(market)];
		await rich.fund(100n * DOLLAR);
		await rich.fund(100n * DOLLAR);
		await poor.fund(DOLLAR);
	});
	after(() => market.end());

	const page = () => clientOf(market.url, () => undefined).commons.show.query();

	/** Somebody sends so much and pays what they are to pay of it. */
	async function sends(person: Person, ask: Amount, fees = FEES): Promise<void> {
		const tariff = { sendPerMb: TARIFF.sendPerMb.toString(), storePerMbDay: TARIFF.storePerMbDay.toString() };
		const quote = await person.client.tab.quote.query({ relay: relay.id, cap: ask.toString(), tariff });
		const tranches = quote.tranches.map(({ fund, cap, payerPpm }) => ({ fund, cap: amount(BigInt(cap)), payerPpm }));
		const grant = await person.open({ relay: relay.key.publicKey, cap: ask, tranches, fees });
		const used = carried((ask * 1_000_000n) / TARIFF.sendPerMb);
		const voucher = person.voucher(grant, used);
		const [result] = await relay.redeem({ tab: grant.tab, voucher, used });
		assert.equal(movedBy(result), ask);
		await person.close(grant, { usage: relay.final(grant, used), voucher });
	}
	async function nextDay(): Promise<void> {
		const { atMs } = await page();
		clock.jump(DAY_MS);
		await relay.list();
		const endMs = Date.now() + 20_000;
		while ((await page()).atMs === atMs) {
			assert.ok(Date.now() < endMs, "no day was written down");
			await clock.advance(61_000);
			await new Promise((done) => setTimeout(done, 20));
		}
	}

	it("what everybody sees is of the day's beginning, by tRPC and by plain HTTP for any cache", async () => {
		await clock.advance(61_000);
		await sends(rich, amount(100n * DOLLAR));
		assert.equal((await page()).left, "0");
		await nextDay();
		const now = await page();
		const brought = portion(amount(100n * DOLLAR), FEES.solidarityPpm);
		assert.equal(now.left, brought.toString());
		assert.deepEqual(
			now.days.map(({ fees, given, out }) => [fees, given, out]),
			[[brought.toString(), "0", "0"]],
		);
		assert.equal(now.forecast.daysOfCover, null);
		assert.equal(now.fee.nowPpm, 20_000);
		const plain = await fetch(`${market.url}/v1/commons`);
		assert.deepEqual(await plain.json(), now);
		assert.equal(plain.headers.get("access-control-allow-origin"), "*");
	});

	it("who says a poor country pays the need price; what the commons gave is in the next day's figures, and the fee that follows is signed anew by whoever quoted the old one", async () => {
		await poor.client.pass.say.mutate({ country: "BI" });
		const tariff = { sendPerMb: TARIFF.sendPerMb.toString(), storePerMbDay: TARIFF.storePerMbDay.toString() };
		const quote = await poor.client.tab.quote.query({ relay: relay.id, cap: "1000000", tariff });
		const [first] = quote.tranches;
		assert.equal(first?.fund, "commons", JSON.stringify(quote));
		await sends(poor, amount(BigInt(first.cap)));
		await nextDay();
		const now = await page();
		const [yesterday] = now.days;
		assert.ok(yesterday && BigInt(yesterday.out) > 0n);
		const left = BigInt(now.left);
		assert.equal(left, BigInt(now.days[1]?.fees ?? 0) - BigInt(yesterday.out));
		assert.ok(now.fee.next, "little is wanted, and much is put by: the fee falls");
		assert.equal(now.fee.next.feePpm, 17_500);
		clock.jump(15 * 60_000);
		await relay.list();
		const refused = await refusedBy(
			rich.openOrder(rich.order({ relay: relay.key.publicKey })).then((answer) => fine(answer)),
		);
		assert.equal(refused.problem, "conflict");
		await sends(rich, amount(DOLLAR), { ...FEES, solidarityPpm: 17_500 });
	});
});
