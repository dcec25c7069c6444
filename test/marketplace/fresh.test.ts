/** Card money and what becomes of it, told with Ada who pays by card, Olu who runs a relay, and a double of Stripe. */

import assert from "node:assert/strict";
import { afterEach, beforeEach, describe, it } from "node:test";
import { amount } from "#contracts/amount";
import type { Grant } from "#contracts/grant";
import { bill } from "#contracts/tab";
import { type HeldClock, heldClock } from "#test/support/clock";
import {
	carried,
	DAY_MS,
	FEES,
	movedBy,
	Person,
	refusedBy,
	startTestMarket,
	type TestMarket,
	TestRelay,
} from "#test/support/market";
import { type Posted, type StripeDouble, startStripe } from "#test/support/stripe/double";
import { openCards } from "#test/support/stripe/market";

const DOLLAR = 1_000_000_000n;
/** What a dollar carries: 2,000 MB at the usual ask. */
const DOLLAR_BYTES = 2_000_000_000n;

let clock: HeldClock;
let stripe: StripeDouble;
let market: TestMarket;
let ada: Person;
let relay: TestRelay;

async function comeUp(risk = 100n * DOLLAR): Promise<void> {
	const card = await openCards(stripe, clock);
	market = await startTestMarket({ risk: amount(risk) }, { clock, rails: [card] });
	ada = new Person(market);
	relay = new TestRelay(market);
	await relay.list();
}

beforeEach(async () => {
	clock = heldClock(Date.UTC(2026, 9, 1, 12));
	stripe = await startStripe(() => clock.nowMs());
});
afterEach(async () => {
	await market.end();
	await stripe.close();
});

function post({ body, headers }: Posted, rail = "card"): Promise<Response> {
	return fetch(`${market.url}/v1/event/${rail}`, { method: "POST", headers, body: Buffer.from(body) });
}

/** Stripe posts its newest event of a type, and what follows from it is done. */
async function posted(type: string): Promise<void> {
	const response = await post(stripe.posted(stripe.event(type)));
	assert.equal(response.status, 200);
	await market.lookAtDeposits();
}

/** Ada pays by card, so much that `asked` dollars are credited. Answers the payment intent. */
async function pay(asked: bigint, who = ada, id = "first"): Promise<string> {
	await who.client.funding.start.mutate({ id, rail: "card", amount: (asked * DOLLAR).toString() });
	const session = [...stripe.world.sessions.values()].at(-1);
	const intent = stripe.pay(session?.id as string);
	await posted("checkout.session.completed");
	return intent;
}

async function money(who = ada) {
	const { balance, fresh, owed } = await who.client.account.balance.query();
	return { balance: BigInt(balance), fresh: BigInt(fresh), owed: BigInt(owed) };
}

async function earnings() {
	const { earned, waiting } = await relay.operator.client.operator.earnings.query();
	return { earned: BigInt(earned), waiting: BigInt(waiting) };
}

async function use(grant: Grant, bytes: bigint, who = ada): Promise<bigint> {
	const used = carried(bytes);
	const [result] = await relay.redeem({ tab: grant.tab, voucher: who.voucher(grant, used), used });
	return movedBy(result);
}

async function close(grant: Grant, bytes: bigint): Promise<void> {
	const used = carried(bytes);
	await ada.close(grant, { usage: relay.final(grant, used), voucher: ada.voucher(grant, used) });
}

async function later(ms: number): Promise<void> {
	clock.jump(ms);
	await market.lookAtDeposits();
	await relay.list();
}

const total = (ask: bigint): bigint => bill(amount(ask), FEES).total;

describe("card money", () => {
	it("is fresh for two weeks, can be spent at once, waits at the operator's, and then clears to the nano on both sides", async () => {
		await comeUp();
		await pay(10n);
		assert.deepEqual(await money(), { balance: 10n * DOLLAR, fresh: 10n * DOLLAR, owed: 0n });
		const grant = await ada.open({ relay: relay.key.publicKey, cap: amount(4n * DOLLAR) });
		assert.equal(await use(grant, DOLLAR_BYTES), DOLLAR);
		assert.deepEqual(await earnings(), { earned: 0n, waiting: DOLLAR });
		await later(13 * DAY_MS);
		assert.deepEqual(await earnings(), { earned: 0n, waiting: DOLLAR });
		await later(DAY_MS);
		assert.deepEqual(await earnings(), { earned: DOLLAR, waiting: 0n });
		const { fresh, balance } = await money();
		assert.deepEqual([fresh, balance], [0n, 10n * DOLLAR - total(4n * DOLLAR)]);
	});

	it("is reserved last and used last, and what is left goes back to where it came from", async () => {
		await comeUp();
		await ada.fund(3n * DOLLAR);
		await pay(10n);
		const { fresh } = await money();
		const grant = await ada.open({ relay: relay.key.publicKey, cap: amount(5n * DOLLAR) });
		assert.equal((await money()).fresh, fresh - (total(5n * DOLLAR) - 3n * DOLLAR));
		await use(grant, 2n * DOLLAR_BYTES);
		assert.deepEqual(await earnings(), { earned: 2n * DOLLAR, waiting: 0n });
		await use(grant, 4n * DOLLAR_BYTES);
		assert.deepEqual(await earnings(), { earned: 3n * DOLLAR, waiting: DOLLAR });
		await close(grant, 4n * DOLLAR_BYTES);
		assert.deepEqual(await money(), {
			balance: fresh + 3n * DOLLAR - total(4n * DOLLAR),
			fresh: fresh + 3n * DOLLAR - total(4n * DOLLAR),
			owed: 0n,
		});
		await later(14 * DAY_MS);
		assert.deepEqual(await earnings(), { earned: 4n * DOLLAR, waiting: 0n });
		assert.equal((await money()).fresh, 0n);
	});

	it("clears in the order in which it came, by each payment's own two weeks", async () => {
		await comeUp();
		await pay(10n);
		const first = (await money()).fresh;
		await later(7 * DAY_MS);
		await pay(20n, ada, "second");
		const both = (await money()).fresh;
		const grant = await ada.open({ relay: relay.key.publicKey, cap: amount(15n * DOLLAR) });
		await use(grant, (15n * 2n * DOLLAR_BYTES) / 2n);
		await later(7 * DAY_MS);
		assert.deepEqual(await earnings(), {
			earned: 15n * DOLLAR - (total(15n * DOLLAR) - first) + (total(15n * DOLLAR) - 15n * DOLLAR),
			waiting: total(15n * DOLLAR) - first - (total(15n * DOLLAR) - 15n * DOLLAR),
		});
		assert.equal((await money()).fresh, both - total(15n * DOLLAR));
		await later(7 * DAY_MS);
		assert.deepEqual(await earnings(), { earned: 15n * DOLLAR, waiting: 0n });
		assert.equal((await money()).fresh, 0n);
	});

	it("of new payers waits sixty days at one operator over twenty dollars", async () => {
		await comeUp();
		const bob = new Person(market);
		for (const who of [ada, bob]) {
			await pay(20n, who);
			const grant = await who.open({ relay: relay.key.publicKey, cap: amount(15n * DOLLAR) });
			await use(grant, 15n * DOLLAR_BYTES, who);
		}
		await later(14 * DAY_MS);
		assert.deepEqual(await earnings(), { earned: 20n * DOLLAR, waiting: 10n * DOLLAR });
		assert.equal((await money(bob)).fresh, 0n, "the payer does not wait");
		await later(45 * DAY_MS);
		await clock.advance(600_000);
		assert.deepEqual(await earnings(), { earned: 20n * DOLLAR, waiting: 10n * DOLLAR });
		await later(DAY_MS);
		await clock.advance(600_000);
		await until(async () => (await earnings()).waiting === 0n);
		assert.deepEqual(await earnings(), { earned: 30n * DOLLAR, waiting: 0n });
	});

	it("threat 5, threat 16: taken back, empties the balance, refuses new tabs, and the reserve pays what grants that stand still cost", async () => {
		await comeUp(10n * DOLLAR);
		const intent = await pay(10n);
		const units = stripe.world.intents.get(intent)?.amount as number;
		const grant = await ada.open({ relay: relay.key.publicKey, cap: amount(6n * DOLLAR) });
		await use(grant, 2n * DOLLAR_BYTES);
		stripe.dispute(intent);
		for (let i = 0; i < 3; i++) await posted("charge.dispute.created");
		const left = 10n * DOLLAR - total(6n * DOLLAR);
		const owed = BigInt(units) * 10_000_000n - left;
		assert.deepEqual(await money(), { balance: 0n, fresh: 0n, owed });
		const refused = await refusedBy(ada.open({ relay: relay.key.publicKey }));
		assert.equal(refused.problem, "balance-short");
		await ada.fund(5n * DOLLAR);
		const again = await refusedBy(ada.open({ relay: relay.key.publicKey }));
		assert.match(again.detail, /was taken back, and it owes \$/, "with money of another kind too");
		// the grant stands, and its operator is owed its whole ask; not before banks have decided
		assert.equal(await use(grant, 6n * DOLLAR_BYTES), 4n * DOLLAR);
		assert.deepEqual(await earnings(), { earned: 4n * DOLLAR, waiting: 2n * DOLLAR });
		await later(61 * DAY_MS);
		await clock.advance(600_000);
		await until(async () => (await earnings()).waiting === 0n);
		assert.deepEqual(await earnings(), { earned: 6n * DOLLAR, waiting: 0n });
	});

	it("taken back, is paid with what a tab gives back and with the next payment, and then tabs open again", async () => {
		await comeUp(10n * DOLLAR);
		const intent = await pay(10n);
		const grant = await ada.open({ relay: relay.key.publicKey, cap: amount(6n * DOLLAR) });
		stripe.dispute(intent);
		await posted("charge.dispute.created");
		const { owed } = await money();
		await close(grant, 1_000_000n);
		await later(2 * DAY_MS);
		const after = await money();
		assert.deepEqual([after.balance, after.owed], [0n, owed - total(6n * DOLLAR) + total(500_000n)]);
		await pay(8n, ada, "second");
		await later(2 * DAY_MS);
		assert.equal((await money()).owed, 0n);
		await ada.open({ relay: relay.key.publicKey });
	});

	it("comes again when the market wins a dispute", async () => {
		await comeUp(10n * DOLLAR);
		const intent = await pay(10n);
		const before = await money();
		const dispute = stripe.dispute(intent);
		await posted("charge.dispute.created");
		stripe.win(dispute);
		await posted("charge.dispute.funds_reinstated");
		const { balance, owed } = await money();
		// what Stripe kept for the payment comes back too: the payer's bank had taken it with the rest
		assert.equal(owed, 0n);
		assert.equal(balance, before.balance);
	});

	it("is not taken when the reserve is empty, and that is said", async () => {
		await comeUp(1n * DOLLAR);
		const intent = await pay(10n);
		await ada.open({ relay: relay.key.publicKey, cap: amount(6n * DOLLAR) });
		stripe.dispute(intent);
		await posted("charge.dispute.created");
		const bob = new Person(market);
		const refused = await refusedBy(
			bob.client.funding.start.mutate({ id: "first", rail: "card", amount: (10n * DOLLAR).toString() }),
		);
		assert.equal(refused.problem, "rail-closed");
		const { rails } = await bob.client.funding.rails.query({ amount: (10n * DOLLAR).toString() });
		assert.match(rails.find(({ rail }) => rail === "card")?.refused ?? "", /reserve .* is empty/);
	});

	it("that nobody posts anything about is asked about all the same before it clears", async () => {
		await comeUp(10n * DOLLAR);
		stripe.dispute(await pay(10n));
		await later(14 * DAY_MS);
		assert.equal((await money()).balance, 0n);
	});

	it("that has cleared is asked about twice more, after two months and after four", async () => {
		await comeUp();
		const first = await pay(10n);
		const bob = new Person(market);
		const second = await pay(10n, bob, "second");
		await later(14 * DAY_MS);
		stripe.dispute(first);
		await later(45 * DAY_MS);
		assert.equal((await money()).balance, 10n * DOLLAR);
		await later(DAY_MS);
		assert.equal((await money()).balance, 0n);
		stripe.dispute(second);
		await later(69 * DAY_MS);
		assert.equal((await money(bob)).balance, 10n * DOLLAR);
		await later(DAY_MS);
		assert.equal((await money(bob)).balance, 0n);
	});
});

describe("a payment that its owner wants back", () => {
	const dollars = (count: bigint) => (count * DOLLAR).toString();

	it("goes back to the card once, whatever gets lost, and is not taken back a second time", async () => {
		await comeUp();
		await pay(10n);
		// the answer never comes; asked again, Stripe has it
		stripe.fail(/POST .*refunds/, 503, 503);
		const first = await ada.client.funding.refund.mutate({ id: "first", amount: dollars(4n) });
		assert.equal(first.came?.refund?.state, "sending");
		assert.deepEqual(await money(), { balance: 6n * DOLLAR, fresh: 6n * DOLLAR, owed: 0n });
		await later(60_000);
		await later(60_000);
		const again = await ada.client.funding.refund.mutate({ id: "first", amount: dollars(4n) });
		assert.equal(again.came?.refund?.state, "sent");
		for (let i = 0; i < 3; i++) await posted("charge.refunded");
		assert.deepEqual(await money(), { balance: 6n * DOLLAR, fresh: 6n * DOLLAR, owed: 0n });
		assert.equal(stripe.world.refunds.size, 1);
		await later(14 * DAY_MS);
		assert.deepEqual(await money(), { balance: 6n * DOLLAR, fresh: 0n, owed: 0n });
	});

	it("stays on the purse when Stripe refuses, and what was spent is not given back", async () => {
		await comeUp();
		const intent = await pay(10n);
		await ada.open({ relay: relay.key.publicKey, cap: amount(4n * DOLLAR) });
		const spent = await refusedBy(ada.client.funding.refund.mutate({ id: "first", amount: dollars(8n) }));
		assert.equal(spent.problem, "balance-short");
		const more = await refusedBy(ada.client.funding.refund.mutate({ id: "first", amount: dollars(11n) }));
		assert.equal(more.problem, "malformed");
		const odd = await refusedBy(ada.client.funding.refund.mutate({ id: "first", amount: "1" }));
		assert.equal(odd.problem, "malformed");
		const { balance } = await money();
		const charge = stripe.world.charges.get(stripe.world.intents.get(intent)?.latest_charge as string);
		stripe.fail(/POST .*refunds/, 503);
		await ada.client.funding.refund.mutate({ id: "first", amount: dollars(1n) });
		assert.equal((await money()).balance, balance - DOLLAR);
		Object.assign(charge as object, { amount_captured: 1_061, amount_refunded: 1_061 });
		await later(60_000);
		const said = await ada.client.funding.status.query({ id: "first" });
		assert.equal(said.came?.refund?.state, "failed");
	});
});

describe("an operator who is to be paid at Stripe", () => {
	it("opens one account, is told where to go on, and is ready when Stripe says so", async () => {
		await comeUp();
		const { client } = relay.operator;
		const who = { rail: "card", country: "ke", email: "olu@relay.example" };
		stripe.fail(/POST .*core.accounts/, "lost");
		const first = await client.operator.signUp.mutate(who);
		assert.match(first.url ?? "", /^https:/);
		assert.equal(first.ready, false);
		const second = await client.operator.signUp.mutate(who);
		assert.equal(second.to, first.to);
		assert.equal(stripe.world.accounts.size, 1);
		stripe.activate(first.to);
		assert.deepEqual(await client.operator.signUp.mutate(who), { to: first.to, ready: true, url: null });
		const refused = await refusedBy(client.operator.signUp.mutate({ ...who, rail: "play" }));
		assert.equal(refused.problem, "rail-closed");
	});
});

describe("threat 16: the door for events", () => {
	it("refuses what is forged, altered, stale or too large, and knows no other rail", async () => {
		await comeUp();
		await ada.client.funding.start.mutate({ id: "first", rail: "card", amount: (10n * DOLLAR).toString() });
		const session = [...stripe.world.sessions.values()].at(-1)?.id as string;
		stripe.pay(session);
		const event = stripe.event("checkout.session.completed");
		const good = stripe.posted(event);
		const statuses = [];
		for (const bad of [
			stripe.posted(event, { secret: "whsec_guess" }),
			stripe.posted(event, { atMs: clock.nowMs() - 400_000 }),
			{ ...good, body: Buffer.concat([good.body, Buffer.from(" ")]) },
			{ ...good, body: Buffer.alloc(300_000) },
		])
			statuses.push((await post(bad)).status);
		assert.deepEqual(statuses, [401, 401, 401, 400]);
		assert.deepEqual([(await post(good, "play")).status, (await post(good, "nothing")).status], [404, 404]);
		await market.lookAtDeposits();
		assert.equal((await post(good)).status, 200);
		await market.lookAtDeposits();
		const { balance } = await money();
		for (let i = 0; i < 5; i++) assert.equal((await post(good)).status, 200);
		await market.lookAtDeposits();
		assert.equal((await money()).balance, balance);
		assert.ok(balance > 0n);
	});
});

/** Waits for what the market's clock began, with a deadline. */
async function until(done: () => Promise<boolean>): Promise<void> {
	const endMs = Date.now() + 5_000;
	while (!(await done())) assert.ok(Date.now() < endMs, "it did not come to that");
}
