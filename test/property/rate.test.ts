/** Any rate, any amount, any way: conversions are whole numbers, and going back and forth makes nobody money. */

import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import { AMOUNT_MAX, type Amount, amount } from "#contracts/amount";
import { centsOfNanos, msatOfNanos, nanosOfCents, nanosOfMsat, type Rate, spreadOfMsat } from "#marketplace/rate/rate";

/** From a bitcoin at $1 to one at $100 million. */
const anyRate = (spreadPpmMax = 500_000): fc.Arbitrary<Rate> =>
	fc.record({
		msatPerDollar: fc.bigInt(1_000n, 100_000_000_000n),
		spreadPpm: fc.integer({ min: 0, max: spreadPpmMax }),
		atMs: fc.constant(0),
		says: fc.constant("a test's"),
	});
/** Up to ten million dollars: within the largest amount at any of the rates, spread and all. */
const anyNanos = fc.bigInt(0n, 10_000_000_000_000_000n).map(amount);
const anyMsat = fc.bigInt(0n, 1_000_000_000n);

describe("dollars and millisatoshi", () => {
	it("what a payer is asked for is enough for what was wanted, and not a millisatoshi more", () => {
		fc.assert(
			fc.property(anyNanos, anyRate(), (nanos, rate) => {
				const msat = msatOfNanos(nanos, rate, "in");
				assert.ok(nanosOfMsat(msat, rate, "in") >= nanos);
				if (msat > 0n) assert.ok(nanosOfMsat(msat - 1n, rate, "in") < nanos);
			}),
		);
	});

	it("what an operator is sent is covered by what was taken, and another millisatoshi would not be", () => {
		fc.assert(
			fc.property(anyNanos, anyRate(), (nanos, rate) => {
				const msat = msatOfNanos(nanos, rate, "out");
				assert.ok(nanosOfMsat(msat, rate, "out") <= nanos);
				assert.ok(nanosOfMsat(msat + 1n, rate, "out") > nanos);
			}),
		);
	});

	it("money that goes in and out again, or out and in, never grows, however often", () => {
		fc.assert(
			fc.property(anyMsat, anyNanos, anyRate(), fc.integer({ min: 1, max: 20 }), (msat, nanos, rate, times) => {
				let purse = msat;
				let balance = nanos;
				for (let i = 0; i < times; i += 1) {
					const [purseBefore, balanceBefore] = [purse, balance];
					purse = msatOfNanos(nanosOfMsat(purse, rate, "in"), rate, "out");
					balance = nanosOfMsat(msatOfNanos(balance, rate, "out"), rate, "in");
					assert.ok(purse <= purseBefore);
					assert.ok(balance <= balanceBefore);
				}
			}),
		);
	});

	it("without a spread, a round trip loses at most one unit of the coarser side", () => {
		fc.assert(
			fc.property(anyMsat, anyNanos, anyRate(0), (msat, nanos, rate) => {
				const oneMsat = nanosOfMsat(1n, rate, "out");
				const oneNano = msatOfNanos(amount(1n), rate, "in");
				const purse = msatOfNanos(nanosOfMsat(msat, rate, "in"), rate, "out");
				assert.ok(msat - purse >= 0n && msat - purse <= oneNano, `${msat} became ${purse}`);
				const balance = nanosOfMsat(msatOfNanos(nanos, rate, "out"), rate, "in");
				assert.ok(nanos - balance >= 0n && nanos - balance <= oneMsat, `${nanos} became ${balance}`);
			}),
		);
	});

	it("an amount cut into parts is worth no more than whole, whichever way it goes", () => {
		fc.assert(
			fc.property(fc.array(anyMsat, { minLength: 1, maxLength: 10 }), anyRate(), (parts, rate) => {
				const sum = parts.reduce((all, part) => all + part, 0n);
				const credited = parts.reduce((all, part) => all + nanosOfMsat(part, rate, "in"), 0n);
				const taken = parts.reduce((all, part) => all + nanosOfMsat(part, rate, "out"), 0n);
				assert.ok(credited <= nanosOfMsat(sum, rate, "in"));
				assert.ok(taken >= nanosOfMsat(sum, rate, "out"));
			}),
		);
	});

	it("the spread is the market's both ways, and with it nothing is missing", () => {
		fc.assert(
			fc.property(anyMsat, anyRate(), (msat, rate) => {
				const fair = { ...rate, spreadPpm: 0 };
				assert.equal(nanosOfMsat(msat, rate, "in") + spreadOfMsat(msat, rate, "in"), nanosOfMsat(msat, fair, "in"));
				assert.equal(nanosOfMsat(msat, rate, "out") - spreadOfMsat(msat, rate, "out"), nanosOfMsat(msat, fair, "out"));
				assert.ok(
					spreadOfMsat(msat, rate, "in") >=
						(msat * 1_000_000_000n * BigInt(rate.spreadPpm)) / (rate.msatPerDollar * 1_000_000n),
				);
			}),
		);
	});

	it("a figure worked by hand: a dollar at $80,000 a bitcoin with half a percent", () => {
		const rate: Rate = { msatPerDollar: 1_250_000n, spreadPpm: 5_000, atMs: 0, says: "by hand" };
		const dollar = amount(1_000_000_000n);
		// 1,250,000 / 0.995 = 1,256,281.4...
		assert.equal(msatOfNanos(dollar, rate, "in"), 1_256_282n);
		assert.equal(msatOfNanos(dollar, rate, "out"), 1_243_750n);
		assert.equal(nanosOfMsat(1_256_282n, rate, "in"), 1_000_000_472n);
		assert.equal(nanosOfMsat(1_243_750n, rate, "out"), dollar);
		assert.equal(spreadOfMsat(1_250_000n, rate, "in"), 5_000_000n);
	});

	it("what is no amount and no rate is a bug that is thrown, never money (threat 18)", () => {
		const rate: Rate = { msatPerDollar: 1_250_000n, spreadPpm: 5_000, atMs: 0, says: "by hand" };
		assert.throws(() => nanosOfMsat(-1n, rate, "in"), RangeError);
		assert.throws(() => nanosOfMsat(AMOUNT_MAX, rate, "in"), RangeError);
		assert.throws(() => msatOfNanos(amount(1n), { ...rate, msatPerDollar: 0n }, "in"), RangeError);
		assert.throws(() => msatOfNanos(amount(1n), { ...rate, spreadPpm: 1_000_000 }, "in"), RangeError);
		assert.throws(() => msatOfNanos(amount(1n), { ...rate, spreadPpm: 0.5 }, "out"), RangeError);
		assert.throws(() => msatOfNanos(amount(9_999n), { ...rate, spreadPpm: 2_000_000 }, "out"), RangeError);
		assert.throws(() => msatOfNanos(-9_999n as Amount, rate, "out"), RangeError);
		assert.throws(() => centsOfNanos(-10_000_000n as Amount, "out"), RangeError);
	});
});

describe("dollars and cents", () => {
	it("a cent is ten million nano-dollars, there and back", () => {
		fc.assert(
			fc.property(fc.bigInt(0n, 900_000_000_000n), (cents) => {
				assert.equal(nanosOfCents(cents), cents * 10_000_000n);
				for (const way of ["in", "out"] as const) assert.equal(centsOfNanos(nanosOfCents(cents), way), cents);
			}),
		);
	});

	it("a payer is asked for the cent that was begun, and nobody is sent it", () => {
		fc.assert(
			fc.property(anyNanos, (nanos) => {
				const [asked, sent] = [centsOfNanos(nanos, "in"), centsOfNanos(nanos, "out")];
				assert.ok(nanosOfCents(asked) >= nanos && nanosOfCents(sent) <= nanos);
				assert.ok(asked - sent === (nanos % 10_000_000n === 0n ? 0n : 1n));
			}),
		);
	});
});
