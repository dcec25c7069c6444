/** The card rail against a double of Stripe, over a real socket. */

import assert from "node:assert/strict";
import { afterEach, beforeEach, describe, it } from "node:test";
import { isProblem } from "#contracts/problem";
import type { PaymentState, Rail, Started } from "#marketplace/rail/rail";
import { openStripe } from "#marketplace/rail/stripe";
import type { StripeOptions } from "#marketplace/rail/stripe-client";
import { type HeldClock, heldClock } from "#test/support/clock";
import { EVENT_SECRET, STRIPE_KEY, type StripeDouble, startStripe, THIN_SECRET } from "#test/support/stripe/double";

let clock: HeldClock;
let stripe: StripeDouble;
let rail: Rail;
let hints: string[];

function options(more: Partial<StripeOptions> = {}): StripeOptions {
	return {
		key: STRIPE_KEY,
		eventSecret: EVENT_SECRET,
		thinEventSecret: THIN_SECRET,
		returnUrl: "https://market.example/paid",
		clock,
		at: { host: stripe.host, port: stripe.port },
		timeoutMs: 250,
		...more,
	};
}

async function open(more: Partial<StripeOptions> = {}): Promise<Rail> {
	const opened = await openStripe(options(more));
	assert.ok(!isProblem(opened), isProblem(opened) ? opened.detail : "");
	return opened;
}

beforeEach(async () => {
	clock = heldClock(Date.UTC(2026, 9, 15, 12));
	stripe = await startStripe(() => clock.nowMs());
	rail = await open();
	hints = [];
	rail.onEvent((reference) => void hints.push(reference));
});

afterEach(async () => {
	await rail.close();
	await stripe.close();
});

const order = (id = "deposit-1", amount = 500n) => ({
	id,
	amount,
	text: "Relay credit",
	expiresAtMs: clock.nowMs() + 300_000,
});

async function start(id?: string, amount?: bigint): Promise<Started> {
	const started = await rail.start(order(id, amount));
	assert.ok(!isProblem(started), isProblem(started) ? started.detail : "");
	return started;
}

async function operator(): Promise<string> {
	const account = `acct_test${stripe.world.accounts.size}`;
	stripe.world.accounts.set(account, {
		id: account,
		configuration: {
			recipient: {
				capabilities: { stripe_balance: { stripe_transfers: { status: "active", status_details: [] } } },
			},
		},
	});
	return account;
}

describe("Money comes in by card", () => {
	it("begins a top-up, waits for it, and says what came, what it cost, and until when it can be taken back", async () => {
		const { reference, pay, expiresAtMs } = await start();
		assert.equal(pay.kind, "link");
		assert.ok(expiresAtMs >= clock.nowMs() + 30 * 60_000);
		assert.deepEqual(await rail.deposit(reference), { state: "waiting" });
		stripe.pay(reference);
		assert.deepEqual(await rail.deposit(reference), {
			state: "paid",
			amount: 500n,
			fee: 45n,
			atMs: clock.nowMs(),
			backUntilMs: clock.nowMs() + 14 * 86_400_000,
		});
	});

	it("takes no less than five dollars, and no more than it is told to", async () => {
		for (const amount of [-1n, 0n, 1n, 499n, 100_001n, 2n ** 80n]) {
			const refused = await rail.start(order("small", amount));
			assert.ok(isProblem(refused) && refused.problem === "malformed", String(amount));
		}
		assert.equal(stripe.asked.length, 0);
	});

	it("begins the same top-up once, however often it is asked and whatever gets lost", async () => {
		stripe.fail(/POST .*sessions$/, "silent", "lost", 503, 429, "dropped");
		const answers = [];
		for (let i = 0; i < 6; i++) answers.push(await rail.start(order()));
		assert.equal(stripe.world.sessions.size, 1);
		const [last] = answers.filter((answer) => !isProblem(answer)).slice(-1);
		assert.ok(last && "reference" in last && stripe.world.sessions.has(last.reference));
		const problems = answers.filter((answer) => isProblem(answer));
		assert.ok(problems.length >= 3 && problems.every((refused) => refused.problem === "unavailable" && refused.retry));
	});

	it("says that nothing came by a session that ended, and that it does not know one of somebody else's", async () => {
		const { reference } = await start();
		stripe.expire(reference);
		assert.deepEqual(await rail.deposit(reference), { state: "ended" });
		assert.deepEqual(await rail.deposit("cs_test_nobody"), { state: "absent" });
		assert.deepEqual(await rail.deposit("../../balance"), { state: "absent" });
		const other = await start("deposit-2");
		Object.assign(stripe.world.sessions.get(other.reference) as object, { metadata: { shop: "shoes" } });
		stripe.pay(other.reference);
		assert.deepEqual(await rail.deposit(other.reference), { state: "absent" });
	});

	it("waits for the fee, which Stripe may know a moment after the payment", async () => {
		const { reference } = await start();
		const intent = stripe.pay(reference, { settle: false });
		assert.deepEqual(await rail.deposit(reference), { state: "waiting" });
		stripe.settle(intent);
		const { body, headers } = stripe.posted(stripe.event("charge.updated"));
		assert.equal(await rail.receive?.(body, headers), undefined);
		assert.deepEqual(hints, [reference]);
		assert.equal(((await rail.deposit(reference)) as { state: string }).state, "paid");
	});

	it("threat 17: credits what really came, not what was asked for", async () => {
		const { reference } = await start("part", 2_000n);
		stripe.pay(reference, { cents: 700 });
		const state = await rail.deposit(reference);
		assert.ok(!isProblem(state) && state.state === "paid" && state.amount === 700n);
	});

	it("threat 18: takes no other currency, no real money for a test's, and no odd amount", async () => {
		const euros = await start("euros");
		stripe.pay(euros.reference, { currency: "eur" });
		assert.deepEqual(await rail.deposit(euros.reference), { state: "absent" });
		const odd = await start("odd");
		const intent = stripe.pay(odd.reference);
		const charge = stripe.world.charges.get(stripe.world.intents.get(intent)?.latest_charge as string);
		for (const amount of [4.5, -500, 1e300, null, "500"]) {
			Object.assign(charge as object, { amount_captured: amount });
			assert.ok(isProblem(await rail.deposit(odd.reference)), String(amount));
		}
		const live = await start("live");
		stripe.pay(live.reference);
		Object.assign(stripe.world.sessions.get(live.reference) as object, { livemode: true });
		assert.deepEqual(await rail.deposit(live.reference), { state: "absent" });
	});

	it("threat 18: counts in cents of a dollar also where the market's account is settled in yen or dinars", async () => {
		for (const [currency, perCent] of [
			["jpy", 1.5],
			["kwd", 3],
			["eur", 0.9],
		] as const) {
			const { reference } = await start(currency);
			const intent = stripe.pay(reference, { cents: 10_000 });
			const charge = stripe.world.charges.get(stripe.world.intents.get(intent)?.latest_charge as string);
			const settled = { currency, amount: 10_000 * perCent, fee: 320 * perCent, exchange_rate: perCent };
			Object.assign(stripe.world.settled.get(charge?.balance_transaction as string) as object, settled);
			const paid = await rail.deposit(reference);
			assert.ok(!isProblem(paid) && paid.state === "paid" && paid.amount === 10_000n && paid.fee === 320n, currency);
			const id = stripe.dispute(intent);
			const dispute = stripe.world.disputes.get(id);
			const moved = dispute?.balance_transactions as Record<string, unknown>[];
			Object.assign(moved[0] ?? {}, { currency, amount: -10_000 * perCent });
			const taken = await rail.deposit(reference);
			assert.ok(!isProblem(taken) && taken.state === "returned" && taken.amount === 10_000n, currency);
			// half of it comes again
			stripe.win(id);
			Object.assign(moved[1] ?? {}, { currency, amount: 5_000 * perCent });
			const half = await rail.deposit(reference);
			assert.ok(!isProblem(half) && half.state === "returned" && half.amount === 5_000n, currency);
			Object.assign(moved[1] ?? {}, { currency, amount: 11_000 * perCent });
			const again = await rail.deposit(reference);
			assert.ok(!isProblem(again) && again.state === "paid", currency);
		}
	});

	it("says that it could not ask when Stripe does not answer, and never guesses", async () => {
		const { reference } = await start();
		stripe.pay(reference);
		for (const fault of ["silent", "lost", "dropped", 401, 429, 500, 503] as const) {
			// the package asks once more by itself when a connection ends
			stripe.fail(/GET .*sessions/, fault, fault);
			const state = await rail.deposit(reference);
			assert.ok(isProblem(state) && state.problem === "unavailable" && state.retry, String(fault));
			stripe.fail(/nothing/, 500);
			while (isProblem(await rail.deposit(reference)));
		}
	});
});

describe("Money goes back to the card", () => {
	it("gives back a part, then the rest, each once", async () => {
		const { reference } = await start();
		stripe.pay(reference);
		const part = { id: "back-1", reference, amount: 200n };
		stripe.fail(/POST .*refunds/, "silent");
		assert.equal((await rail.giveBack?.(part))?.state, "unknown");
		const states = [await rail.giveBack?.(part), await rail.giveBack?.(part)];
		assert.ok(states.every((state) => state?.state === "sent" && state.amount === 200n));
		assert.equal(stripe.world.refunds.size, 1);
		const state = await rail.deposit(reference);
		assert.ok(!isProblem(state) && state.state === "returned" && state.amount === 200n && state.why === "refund");
		assert.equal((await rail.giveBack?.({ id: "back-2", reference, amount: 300n }))?.state, "sent");
		const more = await rail.giveBack?.({ id: "back-3", reference, amount: 1n });
		assert.deepEqual(more, { state: "failed", why: "Stripe gives nothing back (charge_already_refunded)." });
	});

	it("says so when the card's bank did not take it", async () => {
		const { reference } = await start();
		stripe.pay(reference);
		const back = { id: "back-1", reference, amount: 500n };
		const sent = (await rail.giveBack?.(back)) as PaymentState & { state: "sent" };
		stripe.refundFails(sent.proof);
		assert.equal((await rail.giveBack?.(back))?.state, "failed");
		const state = await rail.deposit(reference);
		assert.ok(!isProblem(state) && state.state === "paid");
	});

	it("knows a dispute by what it took: an inquiry takes nothing, one that is won gives again", async () => {
		const { reference } = await start();
		const intent = stripe.pay(reference);
		stripe.dispute(intent, { inquiry: true });
		assert.equal(((await rail.deposit(reference)) as { state: string }).state, "paid");
		const dispute = stripe.dispute(intent);
		const state = await rail.deposit(reference);
		assert.ok(!isProblem(state) && state.state === "returned" && state.amount === 500n && state.why === "dispute");
		stripe.win(dispute);
		assert.equal(((await rail.deposit(reference)) as { state: string }).state, "paid");
	});
});

describe("Threat 16: what is posted to the door", () => {
	it("becomes the reference of what may have changed, and nothing else", async () => {
		const { reference } = await start();
		const intent = stripe.pay(reference);
		const dispute = stripe.dispute(intent);
		stripe.win(dispute);
		for (const type of ["checkout.session.completed", "charge.dispute.created", "charge.dispute.funds_reinstated"]) {
			const { body, headers } = stripe.posted(stripe.event(type));
			assert.equal(await rail.receive?.(body, headers), undefined, type);
		}
		assert.deepEqual(hints, [reference, reference, reference]);
		const thin = stripe.thin("v2.core.account[configuration.recipient].capability_status_updated", "acct_1");
		const { body, headers } = stripe.posted(thin);
		assert.equal(await rail.receive?.(body, headers), undefined);
		assert.equal(hints.at(-1), "acct_1");
	});

	it("is refused when it is forged, altered, unsigned, stale, or of another mode, and asks Stripe nothing", async () => {
		const { reference } = await start();
		stripe.pay(reference);
		const event = stripe.event("checkout.session.completed");
		const good = stripe.posted(event);
		const altered = Buffer.from(good.body.toString().replace("500", "900"));
		const before = stripe.asked.length;
		const bad = {
			forged: stripe.posted(event, { secret: "whsec_guess" }),
			"signed by the other destination's secret": stripe.posted(event, { secret: THIN_SECRET }),
			altered: { ...good, body: altered },
			"with a space more": { ...good, body: Buffer.from(`${good.body} `) },
			unsigned: { ...good, headers: {} },
			"with no signature in its signature": { ...good, headers: { "stripe-signature": "t=,v1=" } },
			stale: stripe.posted(event, { atMs: clock.nowMs() - 301_000 }),
			"no JSON": stripe.posted(event, { body: "<xml>" }),
			empty: stripe.posted(event, { body: "" }),
			"of real money": stripe.posted({ ...event, livemode: true }),
		};
		for (const [name, { body, headers }] of Object.entries(bad)) {
			const refused = await rail.receive?.(body, headers);
			assert.ok(isProblem(refused), name);
			assert.ok(!refused.detail.includes("whsec"), name);
		}
		assert.deepEqual(hints, []);
		assert.equal(stripe.asked.length, before);
	});

	it("causes one question when it is played again and again, and as many as there are events when they are reordered", async () => {
		const first = await start("a");
		const second = await start("b");
		stripe.pay(first.reference);
		stripe.pay(second.reference);
		const events = stripe.world.events.filter(({ type }) => type === "checkout.session.completed");
		for (let i = 0; i < 20; i++) {
			for (const event of events.toReversed()) {
				const { body, headers } = stripe.posted(event);
				assert.equal(await rail.receive?.(body, headers), undefined);
			}
		}
		assert.deepEqual(hints, [second.reference, first.reference]);
	});

	it("is not remembered when Stripe could not be asked about it, so that it is posted again", async () => {
		const { reference } = await start();
		stripe.dispute(stripe.pay(reference));
		const { body, headers } = stripe.posted(stripe.event("charge.dispute.created"));
		stripe.fail(/GET .*sessions/, 503);
		const refused = await rail.receive?.(body, headers);
		assert.ok(isProblem(refused) && refused.retry);
		assert.equal(await rail.receive?.(body, headers), undefined);
		assert.deepEqual(hints, [reference]);
	});

	it("does not make the rail believe what Stripe itself does not say: the event is right but nothing was paid", async () => {
		const { reference } = await start();
		const event = { id: "evt_1", object: "event", type: "checkout.session.completed", livemode: false };
		const lie = { ...event, data: { object: { id: reference, payment_status: "paid", amount_total: 999_999 } } };
		const { body, headers } = stripe.posted(lie);
		assert.equal(await rail.receive?.(body, headers), undefined);
		assert.deepEqual(hints, [reference]);
		assert.deepEqual(await rail.deposit(reference), { state: "waiting" });
	});
});

describe("Money goes out to an operator's account", () => {
	const payout = (to: string, amount = 5_000n, feeMax = 1_000n, id = "payout-1") => ({ id, to, amount, feeMax });

	it("transfers once, and knows the fee: two dollars a month, a quarter dollar, a quarter of a percent", async () => {
		stripe.world.available = 100_000;
		const to = await operator();
		assert.deepEqual(await rail.quote("out", 5_000n, to), { fee: 238n, isAbout: false });
		const state = await rail.pay(payout(to));
		assert.ok(state.state === "sent" && state.amount === 5_000n && state.fee === 238n);
		assert.deepEqual(await rail.quote("out", 5_000n, to), { fee: 38n, isAbout: false });
		assert.deepEqual(await rail.pay(payout(to)), state);
		assert.deepEqual(await rail.payment(payout(to)), state);
		assert.equal(stripe.world.transfers.size, 1);
		const [made] = stripe.asked.filter(({ method }) => method === "POST");
		assert.equal(made?.key, "payout-1");
	});

	it("threat 19: an answer that is lost is unknown, then looked up; doing it again pays nothing more", async () => {
		stripe.world.available = 100_000;
		const to = await operator();
		stripe.fail(/POST .*transfers/, "silent");
		assert.equal((await rail.pay(payout(to))).state, "unknown");
		assert.equal(((await rail.payment(payout(to))) as { state: string }).state, "sent");
		for (const fault of ["lost", "silent", 503] as const) {
			stripe.fail(/POST .*transfers/, fault);
			await rail.pay(payout(to));
		}
		assert.equal(stripe.world.transfers.size, 1);
	});

	it("threat 19: also after Stripe forgot the key, and in another process", async () => {
		stripe.world.available = 100_000;
		const to = await operator();
		await rail.pay(payout(to));
		await clock.advance(3 * 86_400_000);
		const again = await open();
		const state = await again.pay(payout(to));
		assert.equal(state.state, "sent");
		assert.equal(stripe.asked.filter(({ method }) => method === "POST").length, 1);
		await again.close();
	});

	it("says that it never left only when it could not leave any more", async () => {
		const to = await operator();
		stripe.fail(/POST .*transfers/, 503);
		assert.equal((await rail.pay(payout(to))).state, "unknown");
		assert.equal(((await rail.payment(payout(to))) as { state: string }).state, "unknown");
		await clock.advance(10 * 60_000);
		assert.deepEqual(await rail.payment(payout(to)), { state: "absent" });
		const other = await open();
		assert.equal(
			((await other.payment(payout(to))) as { state: string }).state,
			"unknown",
			"a process that just began",
		);
		await other.close();
	});

	it("fails for what Stripe refuses, and says why in one word of Stripe's", async () => {
		stripe.world.available = 100;
		const to = await operator();
		const short = { state: "failed", why: "Stripe did not transfer it (balance_insufficient)." };
		assert.deepEqual(await rail.pay(payout(to)), short);
		assert.deepEqual(await rail.payment(payout(to)), short);
		const nobody = await rail.pay(payout("acct_nobody", 1n, 1_000n, "payout-2"));
		assert.deepEqual(nobody, { state: "failed", why: "Stripe did not transfer it (resource_missing)." });
		assert.equal(stripe.world.transfers.size, 0);
	});

	it("pays nothing above the fee's ceiling", async () => {
		stripe.world.available = 100_000;
		const to = await operator();
		const state = await rail.pay(payout(to, 5_000n, 237n));
		assert.equal(state.state, "failed");
		assert.equal(stripe.asked.filter(({ method }) => method === "POST").length, 0);
	});

	it("says that all of it came back when a transfer was reversed, and that somebody must look when a part was", async () => {
		stripe.world.available = 100_000;
		const to = await operator();
		const state = (await rail.pay(payout(to))) as PaymentState & { state: "sent" };
		stripe.reverse(state.proof, 1_000);
		assert.equal(((await rail.payment(payout(to))) as { state: string }).state, "unknown");
		stripe.reverse(state.proof, 4_000);
		assert.equal(((await rail.payment(payout(to))) as { state: string }).state, "failed");
	});
});

describe("The key and the balance", () => {
	it("shows what Stripe has for the market, also below nothing", async () => {
		stripe.world.available = -1_500;
		assert.deepEqual(await rail.balance(), { spendable: -1_500n, pending: 0n });
		assert.equal(await rail.check(), undefined);
	});

	it("refuses a key or a secret that is none, without showing it, and anything but Stripe elsewhere than on this machine", async () => {
		const key = "pk_live_publishable";
		for (const wrong of [
			{ key },
			{ key: "" },
			{ eventSecret: "hunter2hunter2" },
			{ at: { host: "192.0.2.1", port: 80 } },
		]) {
			const refused = await openStripe(options(wrong));
			assert.ok(isProblem(refused) && refused.problem === "usage");
			assert.ok(!/publishable|hunter2/.test(refused.detail));
		}
	});

	it("says that Stripe does not take the key, without the key", async () => {
		const other = await open({ key: "sk_test_wrong" });
		const refused = await other.check();
		assert.ok(isProblem(refused) && !refused.detail.includes("sk_test"));
		await other.close();
	});
});
