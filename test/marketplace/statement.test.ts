/** Lines of money: what stands on a statement sums to what is on the purse, with every fee said once. */

import assert from "node:assert/strict";
import { afterEach, beforeEach, describe, it } from "node:test";
import type { StatementLine } from "#contracts/statement";
import { openSilentLog } from "#host/log";
import { fundRisk } from "#marketplace/funding/risk";
import { startDeposit } from "#marketplace/funding/start";
import { openWatch } from "#marketplace/funding/watch";
import { earnedAccount, freshAccount, leavingAccount, payerAccount } from "#marketplace/ledger/chart";
import { billOfPayout } from "#marketplace/payout/payout";
import { linesOf, marketLinesOf } from "#marketplace/statement";
import { crypto, fine } from "#test/support/market";
import { OPERATOR, openTill, type Till, usd } from "#test/support/payouts";
import { heldRates, scriptedRail } from "#test/support/rail";

const ADA = "a1".repeat(32);
let till: Till;

beforeEach(() => {
	till = openTill();
});
afterEach(async () => {
	await till.payouts.stop();
	await till.book.close();
});

const all = (account = OPERATOR) => linesOf(till.book, account, 0, 200).then(fine);
const net = (lines: readonly StatementLine[], purse: string) =>
	lines.filter((line) => line.purse === purse).reduce((sum, line) => sum + line.net, 0n);

/** On every line gross is net and fees. */
function holds(lines: readonly StatementLine[]): void {
	for (const { gross, marketFee, solidarityFee, exchangeFee, railFee, net: own, id } of lines)
		assert.equal(gross, own + marketFee + solidarityFee + exchangeFee + railFee, id);
}

/** A deposit on a rail, paid with what the rail takes of it. */
async function deposit(change: Parameters<typeof scriptedRail>[0], fee: bigint): Promise<void> {
	const rail = scriptedRail(change);
	const { book, clock } = till;
	const market = {
		book,
		clock,
		crypto,
		log: openSilentLog(),
		rails: [rail],
		rates: heldRates(),
	};
	const watch = openWatch(market);
	const { reference = "" } = fine(await startDeposit(market, ADA, { id: "d", rail: rail.name, asked: usd(10) }));
	rail.comes(reference, rail.orders.get(reference)?.amount ?? 0n, clock.nowMs());
	const said = rail.said.get(reference);
	assert(said?.state === "paid");
	rail.said.set(reference, { ...said, fee });
	rail.hint(reference);
	await watch.idle();
	await watch.close();
}

describe("a statement", () => {
	it("of an operator shows a payout with gross, what the exchange kept, what the rail took, and net", async () => {
		till.rail.fee = 7_000n;
		await till.earn(usd(10));
		await till.goTo();
		const payout = await till.click({ name: "first" });
		const bill = billOfPayout(payout);
		assert(bill);
		const lines = await all();
		holds(lines);
		const sent = lines.find(({ id, purse }) => id === `payout:${payout.id}:sent` && purse === "leaving");
		assert.deepEqual(
			[sent?.exchangeFee, sent?.railFee, sent?.net],
			[bill.marketFee, bill.railFee, -(payout.terms?.reserved ?? 0n)],
		);
		assert.equal(sent?.gross, -(bill.net + bill.rest));
		const [earned, leaving] = await till.book.balances([earnedAccount(OPERATOR), leavingAccount(OPERATOR)]);
		assert.deepEqual([net(lines, "earned"), net(lines, "leaving")], [earned, leaving]);
	});

	it("of an overrun: the operator's shows the ceiling, and the market's what the rail took beyond it, once", async () => {
		till.rail.fee = 1_000_000_000n;
		await till.earn(usd(10));
		await till.goTo();
		const payout = await till.click({ name: "first" });
		const bill = billOfPayout(payout);
		assert(bill && bill.over > 0n);
		const own = await all();
		holds(own);
		const sent = own.find(({ id, purse }) => id === `payout:${payout.id}:sent` && purse === "leaving");
		assert.deepEqual([sent?.exchangeFee, sent?.railFee], [bill.marketFee, bill.railFee]);
		const lines = fine(await marketLinesOf(till.book, 0, 200));
		holds(lines);
		assert.deepEqual(
			lines.map(({ purse, gross, railFee, net: nanos }) => [purse, gross, railFee, nanos]),
			[
				["exchange", bill.marketFee, 0n, bill.marketFee],
				["overrun", 0n, bill.over, -bill.over],
			],
		);
	});

	it("of a payer shows what the spread kept of a Lightning deposit", async () => {
		await deposit({}, 0n);
		const [line, ...more] = await all(ADA);
		assert(line && more.length === 0);
		holds([line]);
		assert.deepEqual([line.purse, line.exchangeFee > 0n, line.railFee], ["spending", true, 0n]);
		assert.equal(line.net, await till.book.balance(payerAccount(ADA)));
	});

	it("of a payer shows what the card's rail took, which never came to the ledger", async () => {
		await fundRisk(till, usd(100));
		const fee = 61n;
		const card = {
			unit: "cent",
			world: "world:card",
			name: "card",
			quote: async () => ({ fee, isAbout: true }),
		} as const;
		await deposit({ ...card, ranges: { in: { min: 1n, max: 100_000n }, out: undefined } }, fee);
		const [line] = await all(ADA);
		assert(line);
		holds([line]);
		assert.deepEqual([line.gross, line.railFee, line.net], [10_610_000_000n, 610_000_000n, 10_000_000_000n]);
	});

	it("is the same whole or in pages of any size: what one transfer moves between purses is never torn apart", async () => {
		for (let n = 0; n < 5; n++) {
			await till.earn(usd(2));
			await till.goTo();
			await till.click({ name: `p${n}` });
		}
		const whole = await all();
		for (const limit of [1, 2, 3, 7, 200]) {
			const pages: StatementLine[] = [];
			for (let after = 0; ; ) {
				const page = fine(await linesOf(till.book, OPERATOR, after, limit));
				const last = page.at(-1);
				if (!last) break;
				assert.ok(new Set(page.map(({ position }) => position)).size <= limit, "a page is bounded");
				pages.push(...page);
				after = last.position;
			}
			assert.deepEqual(pages, whole, `in pages of ${limit}`);
		}
		assert.ok(whole.length > 10);
	});

	it("shows fresh money apart, and fees once where a transfer touches several purses", async () => {
		const entries = [
			{ account: "world:card", nanos: -105n },
			{ account: payerAccount(ADA), nanos: 30n },
			{ account: freshAccount(ADA), nanos: 70n },
			{ account: "market:fees", nanos: 2n },
			{ account: "commons", nanos: 3n },
		];
		await till.book.apply([{ transfer: { id: "mixed:1", cause: "Mixed", atMs: 0, entries } }]);
		const lines = await all(ADA);
		holds(lines);
		assert.deepEqual(
			lines.map((line) => [line.purse, line.gross, line.marketFee, line.solidarityFee, line.net]),
			[
				["spending", 30n, 0n, 0n, 30n],
				["fresh", 75n, 2n, 3n, 70n],
			],
		);
	});

	it("of the market shows what each of its purses got, and sums to what is there", async () => {
		till.rail.fee = 7_000n;
		await till.earn(usd(10));
		await till.goTo();
		await till.click({ name: "first" });
		await deposit({}, 0n);
		const lines = fine(await marketLinesOf(till.book, 0, 200));
		holds(lines);
		assert.deepEqual(new Set(lines.map(({ purse }) => purse)), new Set(["exchange"]));
		assert.equal(net(lines, "exchange"), await till.book.balance("market:rate"));
	});
});
