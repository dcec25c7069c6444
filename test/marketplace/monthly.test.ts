/** What comes by card every month, from the page on which somebody agrees to it to the month that is taken back: the card rail on a double of Stripe, over a real socket. */

import assert from "node:assert/strict";
import { afterEach, beforeEach, describe, it } from "node:test";
import { amount } from "#contracts/amount";
import { isProblem, type Problem } from "#contracts/problem";
import { type Deposit, depositKey, readDeposit } from "#marketplace/funding/deposit";
import { lookAt } from "#marketplace/funding/look";
import { MONTHLY_LOOK_MS } from "#marketplace/funding/monthly";
import { depositOf, startDeposit } from "#marketplace/funding/start";
import { refundDeposit, stopMonthly } from "#marketplace/funding/wish";
import { reconcile } from "#marketplace/inspect/reconcile";
import { freshAccount, owedAccount, payerAccount } from "#marketplace/ledger/chart";
import type { DepositState, Rail } from "#marketplace/rail/rail";
import { linesOf } from "#marketplace/statement";
import { fine } from "#test/support/market";
import { type CardMarket, openCardMarket } from "#test/support/stripe/market";
import { makePayment } from "#test/support/stripe/world";

function refused(answer: unknown): Problem {
	return isProblem(answer) ? answer : assert.fail("it was not refused");
}

const ADA = "a1".repeat(32);
const BEA = "b2".repeat(32);
const DOLLAR = 1_000_000_000n;
const TEN = amount(10n * DOLLAR);
const MONTH_MS = 30 * 86_400_000;
/** Ten dollars that arrive, with what the card's fee is put at. */
const CENTS = 1_061n;

let clock: CardMarket["clock"];
let stripe: CardMarket["stripe"];
let rail: CardMarket["rail"];
let market: CardMarket["market"];
let watch: CardMarket["watch"];
let post: CardMarket["post"];
let round: CardMarket["round"];
let close: CardMarket["close"];

beforeEach(async () => {
	({ clock, stripe, rail, market, watch, post, round, close } = await openCardMarket());
});

afterEach(() => close());

const ordered = (more: { id?: string; monthly?: boolean } = {}) => ({
	id: "gift",
	rail: "card",
	asked: TEN,
	monthly: true,
	...more,
});
const now = async (id = "gift"): Promise<Deposit> =>
	(await depositOf(market, depositKey(ADA, id))) ?? assert.fail(`no ${id}`);
const months = async (): Promise<Deposit[]> => {
	const rows = await market.book.records({ table: "deposits", by: "account", of: ADA, limit: 100 });
	return rows.map(readDeposit).filter(({ of }) => of === depositKey(ADA, "gift"));
};
const fresh = () => market.book.balance(freshAccount(ADA));

/** Ada agrees to ten dollars a month and pays the first. Answers the subscription's id. */
async function agreed(): Promise<string> {
	const { reference = "" } = fine(await startDeposit(market, ADA, ordered()));
	const subscription = stripe.pay(reference);
	await post("checkout.session.completed", "invoice.paid");
	return subscription;
}

describe("What comes every month", () => {
	it("is agreed to once, on Stripe's page, and each month is credited as fresh card money, once", async () => {
		const begun = fine(await startDeposit(market, ADA, ordered()));
		assert.deepEqual([begun.state, begun.pay?.kind, begun.quote.units], ["waiting", "link", CENTS]);
		const asked = stripe.asked.find(({ path }) => path === "/v1/checkout/sessions")?.raw ?? "";
		assert.match(decodeURIComponent(asked), /mode=subscription.*\[recurring\]\[interval\]=month/);
		const subscription = stripe.pay(begun.reference ?? "");
		await post("checkout.session.completed", "invoice.paid");
		assert.deepEqual([(await now()).state, (await now()).monthly?.months, await fresh()], ["monthly", 1, TEN]);

		clock.jump(MONTH_MS);
		stripe.renew(subscription);
		for (let i = 0; i < 3; i++) await post("invoice.paid", "charge.succeeded");
		const both = await months();
		assert.deepEqual([(await now()).monthly?.months, both.map(({ state }) => state)], [2, ["credited", "credited"]]);
		assert.equal(new Set(both.map(({ reference }) => reference)).size, 2);
		const lines = fine(await linesOf(market.book, ADA, 0, 50)).filter(
			({ cause }) => cause === "Monthly deposit by card",
		);
		assert.deepEqual(
			lines.map(({ net, railFee, gross }) => [net, railFee, gross]),
			[1, 2].map(() => [TEN, 610_000_000n, 10_610_000_000n]),
		);
	});

	it("is found when every event is lost, within hours", async () => {
		const { reference = "" } = fine(await startDeposit(market, ADA, ordered()));
		const subscription = stripe.pay(reference);
		await round();
		await round();
		assert.equal(await fresh(), TEN);
		clock.jump(MONTH_MS);
		stripe.renew(subscription);
		stripe.renew(subscription);
		await round(MONTHLY_LOOK_MS);
		await round();
		assert.deepEqual([(await now()).monthly?.months, (await months()).length], [3, 3]);
		assert.equal(await fresh(), TEN * 2n, "the first has cleared meanwhile");
		assert.equal(await market.book.balance(payerAccount(ADA)), TEN);
	});

	it("threat 16: of lost answers, doubled, reordered and forged events each month is credited once", async () => {
		const subscription = await agreed();
		const first = stripe.world.events.length;
		for (let i = 0; i < 5; i++) stripe.renew(subscription);
		const events = stripe.world.events.slice(first).toReversed();
		let n = 0;
		stripe.fail(/GET /, "lost");
		stripe.misbehave(() => (n++ % 3 === 0 ? 503 : n % 7 === 0 ? 429 : undefined));
		for (const event of [...events, ...events]) {
			const { body, headers } = stripe.posted(event);
			await rail.receive?.(body, headers);
			const forged = stripe.posted({ ...event, id: `evt_${n}` }, { secret: "whsec_of_somebody" });
			assert.equal(refused(await rail.receive?.(forged.body, forged.headers)).problem, "signature-bad");
		}
		await watch.idle();
		stripe.misbehave(undefined);
		for (let i = 0; i < 4; i++) await round(MONTHLY_LOOK_MS);
		assert.deepEqual([(await months()).length, await fresh()], [6, TEN * 6n]);
		const said = await reconcile({ ledger: market.book, rails: [rail], nowMs: clock.nowMs(), sinceMs: 0, own: {} });
		assert.deepEqual(said.differences, []);
	});

	it("that fails says so, and where its payer can mend it; paid after all, it is credited", async () => {
		const subscription = await agreed();
		clock.jump(MONTH_MS);
		const invoice = stripe.decline(subscription);
		await post("invoice.payment_failed");
		const { state, monthly } = await now();
		assert.deepEqual([state, monthly?.isFailing, monthly?.months], ["monthly", true, 1]);
		assert.equal(monthly?.url, `https://invoice.stripe.test/i/${invoice}`);
		assert.equal((await months()).length, 1, "nothing is credited for it");
		stripe.retry(invoice);
		await post("invoice.paid");
		const mended = (await now()).monthly;
		assert.deepEqual([mended?.isFailing, mended?.url, mended?.months], [false, undefined, 2]);
		assert.equal((await months()).filter(({ came }) => came).length, 2);
	});

	it("ends when its owner says so, also when Stripe's answer is lost or Stripe is away, and takes no month more", async () => {
		for (const fault of ["lost", 429, 503] as const) {
			const id = `gift-${fault}`;
			const { reference = "" } = fine(await startDeposit(market, ADA, ordered({ id })));
			const subscription = stripe.pay(reference);
			await post("checkout.session.completed");
			stripe.fail(/DELETE /, fault);
			const asked = fine(await stopMonthly(market, ADA, id));
			assert.equal(asked.monthly?.isStopped, true);
			assert.equal(asked.monthly?.overMs === undefined, fault !== "lost", "what is over is what Stripe says is over");
			for (let i = 0; i < 3; i++) await round(60_000);
			assert.equal(stripe.world.subscriptions.get(subscription)?.status, "canceled");
			assert.ok((await now(id)).monthly?.overMs);
			const again = fine(await stopMonthly(market, ADA, id));
			assert.match(again.says ?? "", /It was ended/);
			clock.jump(4 * 86_400_000);
			await round();
			assert.equal((await now(id)).state, "ended");
		}
	});

	it("ends before anybody agreed to it: its page is closed", async () => {
		const { reference = "" } = fine(await startDeposit(market, ADA, ordered()));
		const stopped = fine(await stopMonthly(market, ADA, "gift"));
		assert.deepEqual([stopped.state, stripe.world.sessions.get(reference)?.status], ["ended", "expired"]);
		assert.throws(() => stripe.pay(reference));
		// agreed to at the very moment: then it is ended as what it has become
		const other = fine(await startDeposit(market, ADA, ordered({ id: "late" })));
		stripe.fail(/expire$/, 503);
		await stopMonthly(market, ADA, "late");
		const subscription = stripe.pay(other.reference ?? "");
		await round(60_000);
		assert.equal(stripe.world.subscriptions.get(subscription)?.status, "canceled");
		await round();
		assert.equal(await fresh(), TEN, "the month that was paid is credited");
	});

	it("that Stripe ended says so; a month that is paid late all the same is credited", async () => {
		const subscription = await agreed();
		clock.jump(MONTH_MS);
		const invoice = stripe.decline(subscription);
		stripe.endSubscription(subscription);
		await post("customer.subscription.deleted");
		const { state, says, monthly } = await now();
		assert.deepEqual([state, monthly?.isStopped], ["expired", false]);
		assert.match(says ?? "", /has ended by itself/);
		for (let i = 0; i < 20; i++) await round(MONTHLY_LOOK_MS);
		assert.equal((await now()).state, "ended");
		stripe.retry(invoice);
		await post("invoice.paid");
		assert.equal((await months()).filter(({ came }) => came).length, 2);
		for (let i = 0; i < 20; i++) await round(MONTHLY_LOOK_MS);
		assert.equal((await now()).state, "ended");
	});

	it("of which nobody agreed ends by itself", async () => {
		const { reference = "" } = fine(await startDeposit(market, ADA, ordered()));
		stripe.expire(reference);
		await post("checkout.session.expired");
		assert.deepEqual([(await now()).state, (await now()).says], ["ended", "Nobody agreed to it in time."]);
	});
});

describe("One month of it", () => {
	it("that is disputed is taken back, and the others stay", async () => {
		const subscription = await agreed();
		stripe.renew(subscription);
		await post("invoice.paid");
		const [month] = await months();
		stripe.dispute(stripe.intentOf(month?.reference ?? ""));
		await post("charge.dispute.created", "charge.dispute.funds_withdrawn");
		const [own = 0n, owed = 0n] = await market.book.balances([freshAccount(ADA), owedAccount(ADA)]);
		assert.deepEqual([own, owed], [TEN * 2n - 10_610_000_000n, 0n]);
		assert.deepEqual((await months()).map(({ came }) => came?.back).sort(), [0n, CENTS]);
		assert.equal(stripe.world.subscriptions.get(subscription)?.status, "canceled", "no month more of such a card");
		assert.deepEqual([(await now()).monthly?.isStopped, (await now()).state], [true, "expired"]);
	});

	it("goes back to the card at its owner's wish, once", async () => {
		await agreed();
		const [month] = await months();
		const id = month?.key.slice(ADA.length + 1) ?? "";
		stripe.fail(/POST .*refunds/, "lost");
		for (let i = 0; i < 2; i++) fine(await refundDeposit(market, ADA, id, TEN));
		await round(120_000);
		assert.deepEqual(
			[...stripe.world.refunds.values()].map(({ amount: cents }) => cents),
			[1_000],
		);
		assert.deepEqual([await fresh(), (await now(id)).came?.refund?.state], [0n, "sent"]);
		assert.equal(refused(await refundDeposit(market, ADA, "gift", TEN)).problem, "rail-closed", "not all at once");
	});

	it("of which the fee is not known yet waits for it", async () => {
		const subscription = await agreed();
		clock.jump(MONTH_MS);
		const invoice = stripe.renew(subscription);
		const charge = stripe.world.charges.get(
			stripe.world.intents.get(stripe.intentOf(invoice))?.latest_charge as string,
		);
		const settled = charge?.balance_transaction;
		if (charge) charge.balance_transaction = null;
		await post("invoice.paid");
		assert.equal((await months()).filter(({ came }) => came).length, 1);
		if (charge) charge.balance_transaction = settled;
		await round(3_600_000);
		assert.equal((await months()).filter(({ came }) => came).length, 2);
	});

	it("threat 18: that is not this market's, of another currency, or marked as paid elsewhere brings nothing", async () => {
		await agreed();
		const [month] = await months();
		const invoice = stripe.world.invoices.get(month?.reference ?? "") ?? {};
		const odd = (id: string, change: object): void => {
			stripe.world.invoices.set(id, { ...structuredClone(invoice), id, ...change });
		};
		odd("in_euros", { currency: "eur" });
		odd("in_live", { livemode: true });
		odd("in_orphan", { parent: null });
		odd("in_elsewhere", {});
		odd("in_void", { status: "void" });
		odd("in_open", { status: "open" });
		const said = async (id: string) => fine(await rail.deposit(id)).state;
		assert.deepEqual(
			await Promise.all(["in_euros", "in_live", "in_orphan", "in_elsewhere", "in_void", "in_open"].map(said)),
			["absent", "absent", "absent", "ended", "ended", "waiting"],
		);
		const before = await fresh();
		for (const id of ["in_euros", "in_elsewhere", "in_void"]) {
			const { body, headers } = stripe.posted({
				...stripe.event("invoice.paid"),
				id: `evt_${id}`,
				data: { object: { id } },
			});
			await rail.receive?.(body, headers);
		}
		makePayment(stripe.world, 500, {});
		await watch.idle();
		await round(MONTHLY_LOOK_MS);
		await round();
		assert.equal(await fresh(), before);
	});
});

describe("What somebody may not", () => {
	it("is to make one payment of it under the same id, to end another's, or what does not come every month", async () => {
		await agreed();
		assert.equal(refused(await startDeposit(market, ADA, ordered({ monthly: false }))).problem, "conflict");
		assert.equal(refused(await stopMonthly(market, BEA, "gift")).problem, "not-found");
		fine(await startDeposit(market, ADA, ordered({ id: "once", monthly: false })));
		assert.equal(refused(await stopMonthly(market, ADA, "once")).problem, "malformed");
		const long = refused(await startDeposit(market, ADA, ordered({ id: "a".repeat(27) })));
		assert.match(long.detail, /at most 26/);
		fine(await startDeposit(market, ADA, ordered({ id: "a".repeat(26) })));
	});
});

describe("A rail that says what cannot be", () => {
	it("of what comes every month credits nothing and ends nothing by that; it is asked again soon", async () => {
		const { reference = "" } = fine(await startDeposit(market, ADA, ordered()));
		let said: DepositState | Problem = { state: "waiting" };
		const odd: Rail = { ...rail, deposit: async () => said };
		const look = async (answer: DepositState | Problem): Promise<Deposit> => {
			said = answer;
			return fine(await lookAt({ ...market, rails: [odd] }, await now()));
		};
		const paid: DepositState = { state: "paid", amount: CENTS, fee: 0n, atMs: clock.nowMs() };
		const returned: DepositState = { state: "returned", amount: CENTS, atMs: clock.nowMs(), why: "refund" };
		for (const answer of [paid, returned]) {
			const looked = await look(answer);
			assert.deepEqual([looked.state, looked.came, looked.fails > 0], ["waiting", undefined, true]);
		}
		// before anybody agreed, to wait is what it does
		assert.deepEqual([(await look({ state: "waiting" })).state, (await now()).fails], ["waiting", 0]);
		stripe.pay(reference);
		await post("checkout.session.completed", "invoice.paid");
		for (const answer of [{ state: "waiting" }, { state: "absent" }, paid] as const) {
			const { fails } = await now();
			const looked = await look(answer);
			assert.deepEqual([looked.state, looked.fails], ["monthly", fails + 1], answer.state);
		}
		const isOver = { state: "monthly", months: [], isFailing: false, isOver: true } as const;
		assert.deepEqual([(await look(isOver)).state, (await now()).fails], ["expired", 0]);
		const forgot = await look({ state: "waiting" });
		assert.deepEqual([forgot.state, forgot.fails], ["expired", 1]);
		assert.equal(await fresh(), TEN, "the month that was paid, and nothing else");
	});
});
