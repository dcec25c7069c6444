/** PROTOCOL.md, "Price": nobody is asked for more than they can afford, and what they do not pay is paid by somebody. */
import assert from "node:assert/strict";
import { suite, test } from "node:test";
import fc from "fast-check";
import { amount, formatDollars, NANOS_PER_DOLLAR } from "#contracts/amount";
import { split } from "#contracts/bill";
import { LIMIT } from "#contracts/limit";
import {
	ECONOMIES,
	type Economy,
	INCOME_GROUPS,
	isPoolEligible,
	needPerMb,
	needPrice,
	payerPpm,
	TWO_PERCENT,
} from "#contracts/need";
import { bill } from "#contracts/tab";
import { price } from "#contracts/tariff";
import { must } from "#test/contracts/world";

const economies = [...ECONOMIES.values()];
const USUAL = { sendPerMb: amount(500_000n), storePerMbDay: amount(1_000n) };
const FEES = { marketPpm: 20_000, solidarityPpm: 20_000 };

suite("need prices", () => {
	test("there are 218 economies, each with an income, a year, a group and people", () => {
		assert.equal(economies.length, 218);
		for (const { code, name, income, incomeGroup, year, population, measure } of economies) {
			assert.match(code, /^[A-Z]{2}$/);
			assert.ok(name.length > 2 && population > 0 && year >= 2014 && year <= 2025, code);
			assert.ok(income >= 100n * NANOS_PER_DOLLAR && INCOME_GROUPS.includes(incomeGroup), code);
			assert.match(measure, /^(gni|gdp)$/);
		}
		const count = (group: string) => economies.filter(({ incomeGroup }) => incomeGroup === group).length;
		assert.deepEqual(INCOME_GROUPS.map(count), [26, 51, 54, 87]);
	});

	test("India's is the half percent of 0.45 of its mean income, for a hundred MB, and the UN's measure is 8.9 times that", () => {
		const india = must(ECONOMIES.get("IN"));
		const month = (india.income * 45n) / 100n / 12n;
		assert.equal(needPerMb(india), month / 200n / 100n);
		assert.equal(needPerMb(india, TWO_PERCENT), india.income / 12n / 50n / 100n);
	});

	test("the price that somebody pays within the basket is never above what they can afford, whatever is asked and for how long it is kept", () => {
		fc.assert(
			fc.property(
				fc.constantFrom(...economies),
				fc.bigInt(0n, LIMIT.poolSendPerMbMax),
				fc.bigInt(0n, LIMIT.poolStorePerMbDayMax),
				fc.integer({ min: 0, max: 100_000 }),
				fc.integer({ min: 0, max: 100_000 }),
				fc.bigInt(1n, 100n),
				fc.bigInt(0n, BigInt(LIMIT.poolTtlDaysMax)),
				(economy, send, store, marketPpm, solidarityPpm, mb, days) => {
					const tariff = { sendPerMb: amount(send), storePerMbDay: amount(store) };
					const fees = { marketPpm, solidarityPpm };
					const said = needPrice(economy, tariff, fees, { mb, days });
					const most = said.needPerMb * mb;
					assert.ok(said.split.payer <= most, `${said.split.payer} of ${most}`);
					const due = said.why === "need" ? said.reduced.total : said.full.total;
					assert.equal(said.split.payer + said.split.rest, due, "what is due is paid in full");
					assert.ok(
						due >= said.ask + bill(said.ask, fees).marketFee,
						"the relay has its whole ask, the market its fee",
					);
					const bytes = mb * 1_000_000n;
					assert.equal(said.ask, price(tariff, { bytes, byteSeconds: bytes * days * 86_400n }));
				},
			),
			{ numRuns: 2_000 },
		);
	});

	test("whoever can pay the full price pays it, solidarity fee and all, and the commons nothing", () => {
		const said = needPrice(must(ECONOMIES.get("DE")), USUAL, FEES, { mb: 100n, days: 7n });
		assert.equal(said.why, "affordable");
		assert.deepEqual(said.split, { payer: said.full.total, rest: 0n });
		assert.equal(formatDollars(said.split.payer), "$0.052728");
	});

	test("between the reduced and the full price nobody else pays, and there is no solidarity fee", () => {
		const asked = bill(amount(514_000n), FEES);
		const reduced = asked.ask + asked.marketFee;
		assert.equal(payerPpm(amount(asked.total), USUAL, FEES), undefined);
		assert.equal(payerPpm(amount(asked.total - 1n), USUAL, FEES), 1_000_000);
		assert.equal(payerPpm(amount(reduced), USUAL, FEES), 1_000_000);
		assert.equal(payerPpm(amount(reduced - 1n), USUAL, FEES), 999_998);
		assert.deepEqual(split(amount(reduced), 999_998), { payer: 524_278n, rest: 2n });
	});

	test("a relay that asks more than the commons pay for costs everybody the full price", () => {
		const burundi = must(ECONOMIES.get("BI")) as Economy;
		for (const tariff of [
			{ sendPerMb: amount(LIMIT.poolSendPerMbMax + 1n), storePerMbDay: amount(0n) },
			{ sendPerMb: amount(0n), storePerMbDay: amount(LIMIT.poolStorePerMbDayMax + 1n) },
		]) {
			assert.equal(isPoolEligible(tariff), false);
			const said = needPrice(burundi, tariff, FEES, { mb: 3n, days: 14n });
			assert.equal(said.why, "asks-too-much");
			assert.equal(said.split.payer, said.full.total);
		}
		const most = { sendPerMb: amount(LIMIT.poolSendPerMbMax), storePerMbDay: amount(LIMIT.poolStorePerMbDayMax) };
		assert.equal(needPrice(burundi, most, FEES, { mb: 3n, days: 14n }).why, "need");
	});
});
