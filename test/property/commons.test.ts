/** The solidarity fee against any figures: its bounds, its direction, and that it settles where it pays for what is wanted. */

import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { type CommonsFigures, dayBudget, daysOfCover, FEE_RULE, nextFeePpm } from "#marketplace/commons/rule";

const money = fc.bigInt({ min: 0n, max: 10n ** 16n });
const fee = fc.integer({ min: 0, max: FEE_RULE.maxPpm });
const figures = fc.record({ free: money, wantedADay: money, paidADay: money });

test("the fee is never below nothing, never above a tenth, and moves by at most a quarter of a hundredth a day", () => {
	fc.assert(
		fc.property(fee, figures, (now, facts) => {
			const next = nextFeePpm(now, facts);
			assert.ok(Number.isInteger(next) && next >= 0 && next <= 100_000);
			assert.ok(Math.abs(next - now) <= 2_500);
		}),
	);
});

test("whoever wants more, or has less put by, or pays less at the full price, never lowers the fee", () => {
	fc.assert(
		fc.property(fee, figures, money, (now, facts, more) => {
			const next = nextFeePpm(now, facts);
			if (facts.wantedADay > 0n)
				assert.ok(nextFeePpm(now, { ...facts, wantedADay: facts.wantedADay + more }) >= next, "wanted");
			assert.ok(nextFeePpm(now, { ...facts, free: facts.free + more }) <= next, "free");
			assert.ok(nextFeePpm(now, { ...facts, paidADay: facts.paidADay + more }) <= next, "paid");
		}),
	);
});

test("a market that has just begun asks two percent until it has put a hundred dollars by, and nothing beyond that while nobody wants any", () => {
	const idle = (free: bigint): CommonsFigures => ({ free, wantedADay: 0n, paidADay: 1_000_000_000n });
	assert.equal(nextFeePpm(20_000, idle(0n)), 20_000);
	assert.equal(nextFeePpm(20_000, idle(99_999_999_999n)), 20_000);
	assert.equal(nextFeePpm(20_000, idle(100_000_000_000n)), 17_500);
	assert.equal(nextFeePpm(1_000, idle(100_000_000_000n)), 0);
	assert.equal(nextFeePpm(19_000, idle(0n)), 20_000);
});

test("with two months put by the fee is exactly what is wanted of what is paid, rounded up; without anybody who pays it goes to its most", () => {
	const covered = { free: 600n, wantedADay: 10n, paidADay: 300n };
	assert.equal(nextFeePpm(33_000, covered), 33_334);
	assert.equal(nextFeePpm(34_000, covered), 33_334);
	assert.equal(nextFeePpm(33_000, { ...covered, free: 1_200n }), 30_500);
	assert.equal(nextFeePpm(2_000, { ...covered, free: 1_200n }), 0);
	assert.equal(nextFeePpm(33_000, { ...covered, free: 600n, paidADay: 0n }), 35_500);
	assert.equal(nextFeePpm(99_000, { ...covered, wantedADay: 1_000n }), 100_000);
});

test("over years of even demand within a tenth the commons are never overdrawn and the fee settles at what it costs", () => {
	fc.assert(
		fc.property(
			fc.bigInt({ min: 10_000_000n, max: 10n ** 12n }),
			fc.integer({ min: 1, max: 80 }),
			(paid, thousandths) => {
				const wanted = (paid * BigInt(thousandths)) / 1_000n;
				let free = 0n;
				let ppm = FEE_RULE.startPpm;
				for (let day = 0; day < 1_500; day++) {
					const inADay = (paid * BigInt(ppm)) / 1_000_000n;
					const budget = dayBudget(free, inADay);
					const out = budget < wanted ? budget : wanted;
					free += inADay - out;
					assert.ok(free >= 0n);
					ppm = nextFeePpm(ppm, { free, wantedADay: wanted, paidADay: paid });
				}
				const right = thousandths * 1_000;
				assert.ok(Math.abs(ppm - right) <= right / 20 + 50, `settled at ${ppm}, and ${right} pays for it`);
				assert.ok(free >= wanted * 50n, "two months are put by, but for a few days");
			},
		),
		{ numRuns: 30 },
	);
});

test("a day's budget is a thirtieth of what is there and what comes in, and never more than is there; cover is told in whole days", () => {
	assert.equal(dayBudget(3_000n, 50n), 150n);
	assert.equal(dayBudget(10n, 50n), 10n);
	assert.equal(dayBudget(0n, 0n), 0n);
	assert.equal(daysOfCover(100n, 30n, 0n), 3n);
	assert.equal(daysOfCover(100n, 30n, 10n), 5n);
	assert.equal(daysOfCover(100n, 30n, 30n), undefined);
	assert.equal(daysOfCover(0n, 1n, 0n), 0n);
});
