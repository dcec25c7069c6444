/** What Stripe charges the market beside what goes back: in the ledger, on the market's statement, and explained when the rail is held against it. */

import assert from "node:assert/strict";
import { afterEach, describe, it } from "node:test";
import { amount } from "#contracts/amount";
import { depositKey } from "#marketplace/funding/deposit";
import { lookAt } from "#marketplace/funding/look";
import { depositOf, startDeposit } from "#marketplace/funding/start";
import { refundDeposit } from "#marketplace/funding/wish";
import { type Reconciliation, reconcile } from "#marketplace/inspect/reconcile";
import type { Book } from "#marketplace/ledger/book";
import { freshAccount, OVERRUN, payerAccount, RISK } from "#marketplace/ledger/chart";
import { marketLinesOf } from "#marketplace/statement";
import { fine } from "#test/support/market";
import { type CardMarket, openCardMarket } from "#test/support/stripe/market";

const ADA = "a1".repeat(32);
const DOLLAR = 1_000_000_000n;
const TEN = amount(10n * DOLLAR);
/** What the double charges for a dispute. */
const PENALTY = 15n * DOLLAR;

let at: CardMarket;
afterEach(() => at.close());

/** Ada pays ten dollars by card. Answers the payment intent. */
async function paid(id = "d"): Promise<string> {
	const begun = fine(await startDeposit(at.market, ADA, { id, rail: "card", asked: TEN }));
	const intent = at.stripe.pay(begun.reference ?? "");
	await at.post("checkout.session.completed");
	return intent;
}

async function held(): Promise<Reconciliation> {
	const { market, rail, clock } = at;
	return await reconcile({ ledger: market.book, rails: [rail], nowMs: clock.nowMs(), sinceMs: 0, own: {} });
}

/** Won, and what it cost is given back too. */
function winAll(dispute: string): void {
	at.stripe.win(dispute);
	const moved = at.stripe.world.disputes.get(dispute)?.balance_transactions as { fee: number }[] | undefined;
	const won = moved?.[1];
	assert.ok(won);
	won.fee = -1_500;
	at.stripe.world.available += 1_500;
}

const balances = () => at.market.book.balances([RISK, OVERRUN]);
const came = async (id = "d") => (await depositOf(at.market, depositKey(ADA, id)))?.came;

describe("What Stripe charges for a dispute", () => {
	it("is the reserve's loss, once, beside what was taken back; the rail holds what the ledger says", async () => {
		at = await openCardMarket();
		const dispute = at.stripe.dispute(await paid());
		await at.post("charge.dispute.created", "charge.dispute.funds_withdrawn");
		await at.post("charge.dispute.created");
		const short = 610_000_000n;
		assert.deepEqual(await balances(), [100n * DOLLAR - PENALTY - short, 0n], "the fee of the payment is owed by Ada");
		assert.deepEqual([(await came())?.penalty, (await came())?.back], [1_500n, 1_061n]);
		const said = await held();
		assert.deepEqual([said.differences, said.rails[0]?.cameIn, said.rails[0]?.beyond], [[], -61n - 1_500n, 0n]);
		const lines = fine(await marketLinesOf(at.market.book, 0, 100)).filter(({ id }) => id.startsWith("penalty:"));
		assert.deepEqual(
			lines.map(({ purse, net, cause }) => [purse, net, cause]),
			[["risk", -PENALTY, "Charged for a payment by card that went back"]],
		);
		// won: the money comes again, what it cost does not
		at.stripe.win(dispute);
		await at.post("charge.dispute.funds_reinstated");
		assert.deepEqual(await balances(), [100n * DOLLAR - PENALTY, 0n]);
		assert.deepEqual([(await held()).differences, (await came())?.back], [[], 0n]);
	});

	it("comes back where Stripe gives it back", async () => {
		at = await openCardMarket();
		const id = at.stripe.dispute(await paid());
		await at.post("charge.dispute.created");
		winAll(id);
		await at.post("charge.dispute.closed");
		assert.deepEqual([await balances(), (await came())?.penalty], [[100n * DOLLAR, 0n], 0n]);
		assert.deepEqual((await held()).differences, []);
	});

	it("is owed by the market's owner where the reserve cannot pay it, and no card is taken then", async () => {
		at = await openCardMarket(4n * DOLLAR);
		const id = at.stripe.dispute(await paid());
		await at.post("charge.dispute.created");
		assert.deepEqual(await balances(), [0n, -(PENALTY - 4n * DOLLAR + 610_000_000n)]);
		assert.deepEqual((await held()).differences, []);
		const refused = await startDeposit(at.market, ADA, { id: "next", rail: "card", asked: TEN });
		assert.ok("problem" in refused && refused.problem === "rail-closed");
		// given back, it pays that first
		winAll(id);
		await at.post("charge.dispute.closed");
		assert.deepEqual(await balances(), [4n * DOLLAR, 0n]);
	});

	it("is written down within seconds by whoever comes after a market that died in between", async () => {
		at = await openCardMarket();
		at.stripe.dispute(await paid(), { cents: 300 });
		const { market } = at;
		const row = (await depositOf(market, depositKey(ADA, "d"))) ?? assert.fail();
		let changes = 0;
		const dying: Book = {
			...market.book,
			apply: async (change) => {
				changes += 1;
				if (changes > 1) throw new Error("the market dies");
				return await market.book.apply(change);
			},
		};
		await assert.rejects(lookAt({ ...market, book: dying }, row), /dies/);
		assert.deepEqual([(await came())?.back, (await came())?.penalty], [300n, undefined]);
		await at.round();
		assert.deepEqual(await balances(), [100n * DOLLAR - PENALTY, 0n]);
	});

	it("that the ledger has not followed yet is explained", async () => {
		at = await openCardMarket();
		const intent = await paid();
		at.stripe.dispute(intent);
		const before = await held();
		assert.deepEqual([before.unexplained, before.explained], [0, 2], JSON.stringify(before.differences));
		await at.post("charge.dispute.created");
		assert.deepEqual((await held()).differences, []);
	});
});

describe("What goes back to the card at its owner's wish", () => {
	it("is in the ledger as it is at the rail, with what Stripe charges for that", async () => {
		at = await openCardMarket();
		await paid();
		fine(await refundDeposit(at.market, ADA, "d", amount(3n * DOLLAR)));
		assert.deepEqual((await held()).differences, []);
		const [refund] = at.stripe.world.refunds.values();
		const settled = at.stripe.world.settled.get(refund?.balance_transaction as string);
		if (settled) settled.fee = 25;
		at.stripe.world.available -= 25;
		await at.post("charge.refunded");
		assert.deepEqual(await balances(), [100n * DOLLAR - 250_000_000n, 0n]);
		assert.deepEqual((await held()).differences, []);
		assert.equal(await at.market.book.balance(freshAccount(ADA)), 7n * DOLLAR);
	});

	it("while it is on its way is no difference between the ledger and its records", async () => {
		at = await openCardMarket();
		await paid();
		at.stripe.fail(/POST .*refunds/, 503);
		const asked = fine(await refundDeposit(at.market, ADA, "d", amount(3n * DOLLAR)));
		assert.equal(asked.came?.refund?.state, "sending");
		assert.deepEqual((await held()).differences, []);
		await at.round(120_000);
		assert.equal((await came())?.refund?.state, "sent");
		assert.deepEqual((await held()).differences, []);
		// the card's bank does not take it after all
		const [refund] = at.stripe.world.refunds.keys();
		at.stripe.refundFails(refund ?? "");
		at.stripe.world.available += 300;
		await at.post("refund.failed");
		assert.deepEqual((await held()).differences, []);
		const [own = 0n, fresh = 0n] = await at.market.book.balances([payerAccount(ADA), freshAccount(ADA)]);
		assert.equal(own + fresh, TEN);
	});
});
