/** Money attacked by people who want it without having paid for it, or twice: a real market on loopback, a double of Stripe, real HTTP. */

import assert from "node:assert/strict";
import { afterEach, beforeEach, describe, it } from "node:test";
import { amount } from "#contracts/amount";
import type { Grant } from "#contracts/grant";
import { type HeldClock, heldClock } from "#test/support/clock";
import { carried, DAY_MS, movedBy, Person, startTestMarket, type TestMarket, TestRelay } from "#test/support/market";
import { STRIPE_KEY, type StripeDouble, startStripe } from "#test/support/stripe/double";
import { openCards } from "#test/support/stripe/market";

const DOLLAR = 1_000_000_000n;
/** What a dollar carries: 2,000 MB at the usual ask. */
const DOLLAR_BYTES = 2_000_000_000n;

let clock: HeldClock;
let stripe: StripeDouble;
let market: TestMarket;
let thief: Person;
let relay: TestRelay;

beforeEach(async () => {
	clock = heldClock(Date.UTC(2026, 9, 1, 12));
	stripe = await startStripe(() => clock.nowMs());
	const card = await openCards(stripe, clock);
	market = await startTestMarket({ risk: amount(100n * DOLLAR) }, { clock, rails: [card] });
	thief = new Person(market);
	relay = new TestRelay(market);
	await relay.list();
});
afterEach(async () => {
	await market.end();
	await stripe.close();
});

async function posted(type: string): Promise<void> {
	const { body, headers } = stripe.posted(stripe.event(type));
	const response = await fetch(`${market.url}/v1/event/card`, { method: "POST", headers, body: Buffer.from(body) });
	assert.equal(response.status, 200);
	await market.lookAtDeposits();
}

async function pay(dollars: bigint, id = "first"): Promise<string> {
	await thief.client.funding.start.mutate({ id, rail: "card", amount: (dollars * DOLLAR).toString() });
	const intent = stripe.pay([...stripe.world.sessions.values()].at(-1)?.id as string);
	await posted("checkout.session.completed");
	return intent;
}

async function money() {
	const { balance, fresh, owed } = await thief.client.account.balance.query();
	return { balance: BigInt(balance), fresh: BigInt(fresh), owed: BigInt(owed) };
}

async function earned(): Promise<bigint> {
	return BigInt((await relay.operator.client.operator.earnings.query()).earned);
}

async function use(grant: Grant, bytes: bigint): Promise<bigint> {
	const used = carried(bytes);
	const [result] = await relay.redeem({ tab: grant.tab, voucher: thief.voucher(grant, used), used });
	return movedBy(result);
}

describe("somebody with a stolen card and a relay of their own", () => {
	it("threat 5: makes no cleared money of fresh money by a refund that the card's bank does not take", async () => {
		await pay(50n);
		const before = await money();
		const wanted = 40n * DOLLAR;
		await thief.client.funding.refund.mutate({ id: "first", amount: wanted.toString() });
		await posted("refund.created");
		const [given] = [...stripe.world.refunds.keys()];
		stripe.refundFails(given as string);
		await posted("refund.failed");
		assert.deepEqual(await money(), before);
		const { refund } = (await thief.client.funding.status.query({ id: "first" })).came ?? {};
		assert.deepEqual(refund, { amount: wanted.toString(), state: "failed" });
		const grant = await thief.open({ relay: relay.key.publicKey, cap: amount(30n * DOLLAR) });
		await use(grant, 30n * DOLLAR_BYTES);
		assert.equal(await earned(), 0n);
		clock.jump(15 * DAY_MS);
		await market.lookAtDeposits();
		assert.equal((await money()).fresh, 0n);
	});

	it("threat 5: has nothing sooner by disputing all but a cent of a payment", async () => {
		const intent = await pay(20n);
		// under what of a new payer's waits in any case
		const grant = await thief.open({ relay: relay.key.publicKey, cap: amount(15n * DOLLAR) });
		await use(grant, 15n * DOLLAR_BYTES);
		const [session] = stripe.world.sessions.values();
		const cents = Number(session?.amount_total);
		stripe.dispute(intent, { cents: cents - 1 });
		await posted("charge.dispute.funds_withdrawn");
		clock.jump(15 * DAY_MS);
		await market.lookAtDeposits();
		assert.equal(await earned(), 0n);
	});

	it("threat 16: hides no dispute behind a refund that Stripe refuses because of it", async () => {
		const intent = await pay(50n);
		clock.jump(15 * DAY_MS);
		await market.lookAtDeposits();
		stripe.fail(/POST .*refunds/, 429);
		await thief.client.funding.refund.mutate({ id: "first", amount: (40n * DOLLAR).toString() });
		stripe.dispute(intent);
		// both of the events that Stripe posts of it come before the first look begins: one look is for both
		await posted("charge.dispute.created");
		const { balance, owed } = await money();
		assert.equal(balance, 0n);
		assert.ok(owed > 0n, "the fee is owed");
	});
});

describe("somebody who paid by card", () => {
	it("threat 17: has what is left of a payment of which a part was given back before the market had looked", async () => {
		await thief.client.funding.start.mutate({ id: "first", rail: "card", amount: (50n * DOLLAR).toString() });
		const intent = stripe.pay([...stripe.world.sessions.values()].at(-1)?.id as string);
		// whoever runs the market does that on Stripe's own pages
		const given = await fetch(`http://${stripe.host}:${stripe.port}/v1/refunds`, {
			method: "POST",
			headers: { authorization: `Bearer ${STRIPE_KEY}`, "content-type": "application/x-www-form-urlencoded" },
			body: `payment_intent=${intent}&amount=1000`,
		});
		assert.equal(given.status, 200);
		await posted("checkout.session.completed");
		const { balance, fresh } = await money();
		assert.deepEqual([balance, fresh], [40_010_000_000n, 40_010_000_000n]);
		assert.equal((await thief.client.funding.status.query({ id: "first" })).state, "credited");
	});

	it("threat 17: has nothing of a payment that was taken back whole before the market had looked", async () => {
		await thief.client.funding.start.mutate({ id: "first", rail: "card", amount: (50n * DOLLAR).toString() });
		stripe.dispute(stripe.pay([...stripe.world.sessions.values()].at(-1)?.id as string));
		await posted("checkout.session.completed");
		assert.deepEqual(await money(), { balance: 0n, fresh: 0n, owed: 0n });
	});
});
