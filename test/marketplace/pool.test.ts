/** A pool from its first dollar to its last, told over HTTP with a foundation, twenty-two people who have nothing, a relay, and somebody who only looks. */

import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import { type Amount, amount, portion } from "#contracts/amount";
import { fromHex } from "#contracts/bytes";
import { codeHash, makeCode } from "#contracts/code";
import { isProblem } from "#contracts/problem";
import { restOf, spentOf } from "#contracts/report";
import { type ReportVerdict, readReport } from "#contracts/reportfile";
import { heldClock } from "#test/support/clock";
import {
	carried,
	clientOf,
	crypto,
	DAY_MS,
	movedBy,
	Person,
	refusedBy,
	startTestMarket,
	TARIFF,
	type TestMarket,
	TestRelay,
	toHex,
} from "#test/support/market";

const bytesOf = (hex: string): Uint8Array => fromHex(hex) ?? assert.fail(hex);
const POOL = "d4".repeat(16);
const DOLLAR = 1_000_000_000n;
const PEOPLE = 22;
const MB = 1_000_000n;
/** What a person sends, and what that costs the pool. */
const ASK: Amount = TARIFF.sendPerMb;
const FEE: Amount = portion(ASK, 20_000);
/** How long a chore may take on a machine that is busy. */
const CHORE_MS_MAX = 20_000;

describe("a pool", () => {
	const clock = heldClock(Date.UTC(2026, 8, 7, 12));
	let market: TestMarket;
	let relay: TestRelay;
	let sponsor: Person;
	let people: Person[];
	const rules = {
		...{ countries: [], enrollers: [], monthBytes: (20n * MB).toString(), dayBytes: (20n * MB).toString() },
		...{ dayLimit: (5n * DOLLAR).toString(), fromMs: clock.nowMs() },
	};

	before(async () => {
		market = await startTestMarket({}, { clock });
		relay = new TestRelay(market);
		await relay.list();
		sponsor = new Person(market);
		people = Array.from({ length: PEOPLE }, () => new Person(market));
		await sponsor.fund(20n * DOLLAR);
	});
	after(() => market.end());

	/** Asks until it is so: a chore runs when the clock comes to it. */
	async function until<T>(ask: () => Promise<T>, isSo: (answer: T) => boolean): Promise<T> {
		const endMs = Date.now() + CHORE_MS_MAX;
		for (;;) {
			const answer = await ask();
			if (isSo(answer)) return answer;
			assert.ok(Date.now() < endMs, `never was so: ${JSON.stringify(answer)}`);
			await clock.advance(61_000);
			await new Promise((done) => setTimeout(done, 20));
		}
	}
	const anyone = () => clientOf(market.url, () => undefined);
	const shown = (who = sponsor.client) => who.pool.show.query({ pool: POOL });
	async function report(who = sponsor.client): Promise<ReportVerdict> {
		const { text } = await who.pool.report.query({ pool: POOL });
		const verdict = readReport(crypto, text, market.market);
		if (isProblem(verdict)) assert.fail(`${verdict.check}: ${verdict.detail}`);
		return verdict;
	}

	it("is made and filled by its sponsor, who sees its figures at once; somebody else sees nothing of it on its first day", async () => {
		const made = await sponsor.client.pool.create.mutate({ pool: POOL, rules, rest: "commons" });
		assert.deepEqual([made.state, made.came, made.left], ["open", "0", "0"]);
		const ten = { pool: POOL, id: "ten", amount: (10n * DOLLAR).toString() };
		assert.equal((await sponsor.client.pool.fund.mutate(ten)).left, (10n * DOLLAR).toString());
		assert.equal((await sponsor.client.pool.fund.mutate(ten)).left, (10n * DOLLAR).toString());
		assert.equal((await shown(anyone())).own, null);
		assert.deepEqual(await sponsor.client.pool.mine.query(), {
			pools: [{ pool: POOL, state: "open", came: (10n * DOLLAR).toString() }],
		});
		assert.equal(
			(await refusedBy(people[0]?.client.pool.pause.mutate({ pool: POOL }) ?? assert.fail())).problem,
			"not-found",
		);
		assert.equal((await refusedBy(anyone().pool.show.query({ pool: "00".repeat(16) }))).problem, "not-found");
	});

	it("by a card or an invoice anybody gives to it in one step", async () => {
		const giver = new Person(market);
		const order = { id: "gift", rail: "play", amount: DOLLAR.toString(), pool: POOL };
		const given = await giver.client.funding.start.mutate(order);
		assert.deepEqual([given.state, given.pool], ["credited", POOL]);
		assert.equal(await giver.balance(), 0n);
		assert.equal((await shown()).came, (11n * DOLLAR).toString());
	});

	it("pays for people who have nothing, who are told so before; the relay gets its whole ask, and the sponsor sees every nano of it", async () => {
		const code = makeCode(crypto);
		await sponsor.client.code.give.mutate({
			...{ batch: "c1".repeat(16), pool: POOL, hashes: [toHex(codeHash(crypto, code))], uses: 100 },
			...{ untilMs: clock.nowMs() + 20 * DAY_MS, days: 30, monthBytes: (20n * MB).toString() },
		});
		for (const person of people) {
			await person.client.pass.redeem.mutate({ code });
			const cap = amount(4n * ASK);
			const tariff = { sendPerMb: TARIFF.sendPerMb.toString(), storePerMbDay: TARIFF.storePerMbDay.toString() };
			const quote = await person.client.tab.quote.query({ relay: relay.id, cap: cap.toString(), tariff });
			assert.deepEqual(
				quote.tranches.map(({ fund, pool }) => [fund, pool]),
				[["pool", POOL]],
			);
			const tranches = quote.tranches.map(({ fund, pool, cap: part, payerPpm }) => ({
				...{ fund, cap: amount(BigInt(part)), payerPpm },
				...(pool && { pool: bytesOf(pool) }),
			}));
			const grant = await person.open({ relay: relay.key.publicKey, cap, tranches });
			const voucher = person.voucher(grant, carried(MB));
			const [result] = await relay.redeem({ tab: grant.tab, voucher, used: carried(MB) });
			assert.equal(movedBy(result), ASK);
			if (person === people[0]) {
				const { reserved, toOperators } = await shown();
				assert.equal(toOperators, ASK.toString());
				assert.equal(reserved, (4n * ASK + portion(cap, 20_000) - ASK - FEE).toString());
			}
			await person.close(grant, { usage: relay.final(grant, carried(MB)), voucher });
			assert.equal(await person.balance(), 0n);
		}
		const { report: said } = await report();
		const spent = spentOf(said);
		assert.deepEqual([spent.toOperators, spent.marketFee], [ASK * BigInt(PEOPLE), FEE * BigInt(PEOPLE)]);
		assert.equal(said.money.reserved, 0n);
		assert.equal(said.money.left, 11n * DOLLAR - (ASK + FEE) * BigInt(PEOPLE));
		assert.deepEqual(said.stretches, []);
	});

	it("sums its weeks up once they are over: everybody sees them with a signature, and they never change", async () => {
		clock.jump(7 * DAY_MS);
		await relay.list();
		const page = await until(
			() => shown(anyone()),
			({ weeks }) => weeks.length > 0,
		);
		const [week] = page.weeks;
		assert.deepEqual(week, {
			...{ fromMs: Date.UTC(2026, 8, 7), toMs: Date.UTC(2026, 8, 14), people: PEOPLE, countries: ["--"] },
			...{ bytes: (MB * BigInt(PEOPLE)).toString(), toOperators: (ASK * BigInt(PEOPLE)).toString() },
			marketFee: (FEE * BigInt(PEOPLE)).toString(),
		});
		const { report: said } = await report(anyone());
		const [stretch] = said.stretches;
		assert.ok(stretch);
		assert.deepEqual(restOf(stretch), { bytes: 0n, toOperators: 0n, marketFee: 0n });
		assert.deepEqual(
			stretch.lines.map(({ relay: of, country, people: reached }) => [toHex(of), country, reached]),
			[[relay.id, "--", PEOPLE]],
		);
		assert.deepEqual((await report()).report.stretches, said.stretches);
		market = await market.restart();
		for (const person of [sponsor, relay, ...people]) person.where = market;
		assert.deepEqual((await report(anyone())).report.stretches, said.stretches);
	});

	it("tells its people seven days before that it ends, and then what is left goes where its sponsor said at the start", async () => {
		const before = await market.audit();
		assert.deepEqual(before.findings, []);
		await sponsor.client.pool.takeBack.mutate({ pool: POOL, id: "some", amount: DOLLAR.toString() });
		const ending = await sponsor.client.pool.end.mutate({ pool: POOL });
		assert.equal(ending.state, "ending");
		clock.jump(7 * DAY_MS + 3_600_000);
		const ended = await until(shown, ({ on }) => on !== "0");
		const spent = (ASK + FEE) * BigInt(PEOPLE);
		assert.deepEqual([ended.state, ended.left, ended.on], ["ended", "0", (10n * DOLLAR - spent).toString()]);
		assert.equal(await sponsor.balance(), 11n * DOLLAR);
		const { report: said } = await report(anyone());
		assert.equal(said.money.left, 0n);
		assert.equal((await refusedBy(sponsor.client.pool.resume.mutate({ pool: POOL }))).problem, "conflict");
	});
});
