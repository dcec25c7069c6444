/** Deposits against a rail that pays in parts, twice and late, hints as it likes, and is away; with rates that move, and markets that start anew. */

import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { amount } from "#contracts/amount";
import { openSilentLog } from "#host/log";
import { depositKey } from "#marketplace/funding/deposit";
import { depositOf, type FundingMarket, startDeposit } from "#marketplace/funding/start";
import { openWatch } from "#marketplace/funding/watch";
import { MARKET_RATE, payerAccount } from "#marketplace/ledger/chart";
import { openMemoryBook } from "#marketplace/ledger/memory";
import { heldClock } from "#test/support/clock";
import { crypto, fine } from "#test/support/market";
import { heldRates, scriptedRail } from "#test/support/rail";

const ADA = "a1".repeat(32);
const ASKED = amount(1_000_000_000n);
const DAY_MS = 86_400_000;

const event = fc.oneof(
	fc.record({ what: fc.constant("pays" as const), msat: fc.bigInt({ min: 1n, max: 3_000_000n }) }),
	fc.record({ what: fc.constant("waits" as const), ms: fc.integer({ min: 1, max: 400_000 }) }),
	fc.record({ what: fc.constant("rate" as const), msat: fc.bigInt({ min: 100_000n, max: 10_000_000n }) }),
	fc.record({ what: fc.constantFrom("hint", "hints", "away", "back", "anew", "round", "unknown", "known", "again") }),
);

test("threats 16 and 17: whatever a rail does in which order, each msat that came is credited once, and the person is told what the ledger says", async () => {
	await fc.assert(
		fc.asyncProperty(fc.array(event, { maxLength: 30 }), async (events) => {
			const clock = heldClock();
			const rail = scriptedRail();
			const rates = heldRates();
			const book = openMemoryBook();
			const make = async (): Promise<FundingMarket> => {
				return { book, clock, crypto, log: openSilentLog(), rails: [rail], rates };
			};
			let market = await make();
			let watch = openWatch(market);
			const start = () => startDeposit(market, ADA, { id: "d", rail: rail.name, asked: ASKED });
			const { reference = "" } = fine(await start());
			let came = 0n;
			let [low, high] = [rates.rate.msatPerDollar, rates.rate.msatPerDollar];

			for (const one of events) {
				if (one.what === "pays" && "msat" in one) {
					came += one.msat;
					rail.comes(reference, one.msat, clock.nowMs());
				} else if (one.what === "rate" && "msat" in one) {
					rates.rate = { ...rates.rate, msatPerDollar: one.msat };
					if (one.msat < low) low = one.msat;
					if (one.msat > high) high = one.msat;
				} else if (one.what === "waits" && "ms" in one) await clock.advance(one.ms);
				else if (one.what === "hint") rail.hint(reference);
				else if (one.what === "hints") for (let i = 0; i < 5; i++) rail.hint(reference);
				else if (one.what === "away" || one.what === "back") rail.down = one.what === "away";
				else if (one.what === "unknown" || one.what === "known") rates.known = one.what === "known";
				else if (one.what === "round") await watch.round();
				else if (one.what === "again") await start();
				else if (one.what === "anew") {
					await watch.close();
					market = await make();
					watch = openWatch(market);
				}
			}

			rail.down = false;
			rates.known = true;
			rail.hint(reference);
			await watch.idle();
			for (let i = 0; i < 10; i++) {
				await clock.advance(DAY_MS);
				await watch.round();
			}
			await watch.close();

			const deposit = await depositOf(market, depositKey(ADA, "d"));
			const [balance = 0n, spread = 0n, world = 0n] = await book.balances([
				payerAccount(ADA),
				MARKET_RATE,
				"world:lightning",
			]);
			assert.equal(deposit?.came?.units ?? 0n, came, "what the rail says came is what was credited");
			assert.deepEqual([deposit?.came?.credited ?? 0n, deposit?.came?.spread ?? 0n], [balance, spread]);
			assert.equal(deposit?.state, came > 0n ? "credited" : "ended");
			assert.equal(balance + spread, -world);
			// worth no less than at the worst of the rates that there were, and no more than at the best, but for rounding down
			const dollars = came * 1_000_000_000n;
			assert(-world <= dollars / low && -world >= dollars / high - 2n * BigInt(events.length), `${-world} for ${came}`);
			assert.deepEqual((await book.audit()).findings, []);
		}),
		{ numRuns: 150 },
	);
});
