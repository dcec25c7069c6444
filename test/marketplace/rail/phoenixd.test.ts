import assert from "node:assert/strict";
import { afterEach, beforeEach, describe, it } from "node:test";
import { isProblem } from "#contracts/problem";
import { systemClock } from "#host/clock";
import { openPhoenixd } from "#marketplace/rail/phoenixd";
import type { PayOrder, Rail } from "#marketplace/rail/rail";
import { railAcceptance } from "#test/acceptance/rail";
import { makeInvoice } from "#test/support/lightning/invoice";
import { PASSWORD, startPhoenixd } from "#test/support/lightning/phoenixd";
import { Purse, purseBench } from "#test/support/lightning/purse";
import { fine } from "#test/support/market";

const RANGE = { min: 1_000n, max: 1_000_000_000n };
const openRail = (url: string, more: { password?: string; clock?: typeof systemClock } = {}): Rail =>
	fine(
		openPhoenixd(
			{ url, password: more.password ?? PASSWORD, network: "regtest", ranges: { in: RANGE, out: RANGE } },
			{ clock: more.clock ?? systemClock },
		),
	);

railAcceptance("of phoenixd", async () => {
	const purse = new Purse();
	const double = await startPhoenixd(purse);
	const rail = openRail(double.url);
	// its balance is told in whole satoshi
	return purseBench(purse, rail, 7_500_000n, () => double.close());
});

describe("the rail of phoenixd", () => {
	let purse: Purse;
	let double: Awaited<ReturnType<typeof startPhoenixd>>;
	let rail: Rail;
	beforeEach(async () => {
		purse = new Purse();
		double = await startPhoenixd(purse);
		rail = openRail(double.url);
	});
	afterEach(async () => {
		await rail.close();
		await double.close();
	});
	const order = (more: Partial<PayOrder> = {}): PayOrder => ({
		id: "payout",
		to: purse.destination(5_000_000n),
		amount: 5_000_000n,
		feeMax: 100_000n,
		...more,
	});
	const told = () => double.asked.filter((path) => path === "POST /payinvoice").length;

	it("asks for whole satoshi, never for less than was wanted, and begins a deposit once over a restart", async () => {
		const asked = { id: "d1", amount: 1_234_567n, text: "Farelay", expiresAtMs: Date.now() + 60_000 };
		const { reference, pay } = fine(await rail.start(asked));
		await rail.close();
		rail = openRail(double.url);
		assert.equal(fine(await rail.start(asked)).reference, reference);
		const other = await rail.start({ ...asked, amount: 2_000_000n });
		assert.ok(isProblem(other) && other.problem === "conflict");
		assert.ok(pay.kind === "invoice");
		purse.receive(pay.invoice);
		const paid = fine(await rail.deposit(reference));
		assert.ok(paid.state === "paid" && paid.amount === 1_235_000n);
	});

	it("the fee that a new channel cost is part of what came, and told", async () => {
		const asked = { id: "d1", amount: 5_000_000n, text: "", expiresAtMs: Date.now() + 60_000 };
		const { reference, pay } = fine(await rail.start(asked));
		assert.ok(pay.kind === "invoice");
		purse.receive(pay.invoice);
		double.mishap = (_, json) => ({ ...(json as object), receivedSat: 4_900, fees: 100_000 });
		const paid = fine(await rail.deposit(reference));
		assert.ok(paid.state === "paid" && paid.amount === 5_000_000n && paid.fee === 100_000n);
	});

	it("a fee above the ceiling is seen before anything is sent", async () => {
		const low = await rail.pay(order({ feeMax: 23_999n }));
		assert.ok(low.state === "failed" && /24000 msat/.test(low.why));
		assert.equal(told(), 0);
		const sent = await rail.pay(order({ feeMax: 24_000n }));
		assert.ok(sent.state === "sent" && sent.fee === 24_000n);
	});

	it("threat 19: an answer that was lost is looked up, and the payment is not made again", async () => {
		double.mishap = (path, json) => (path === "POST /payinvoice" ? "lost" : json);
		const asked = order();
		const said = await rail.pay(asked);
		assert.ok(said.state === "sent");
		assert.deepEqual(await rail.pay(asked), said);
		assert.equal(told(), 1);
		assert.equal(purse.arrived(asked.to), 5_000_000n);
	});

	it("threat 19: with every answer lost it is unknown, and stays so while phoenixd has nothing", async () => {
		const asked = order();
		double.mishap = () => "lost";
		assert.equal((await rail.pay(asked)).state, "unknown");
		assert.ok(isProblem(await rail.payment(asked)));
		double.mishap = (_, json) => json;
		assert.equal(fine(await rail.payment(asked)).state, "unknown");
		// until nothing can hold the order any more
		const later = openRail(double.url, { clock: { ...systemClock, nowMs: () => Date.now() + 2 * 3_600_000 + 1_000 } });
		assert.deepEqual(await later.payment(asked), { state: "absent" });
		await later.close();
	});

	it("threat 19: what is under way is sending, also for a second order of the same", async () => {
		let release = () => {};
		purse.held = new Promise((resolve) => {
			release = resolve;
		});
		const asked = order();
		const paying = rail.pay(asked);
		while (purse.outgoing.size === 0) await new Promise(setImmediate);
		assert.deepEqual(await rail.payment(asked), { state: "sending" });
		const other = openRail(double.url);
		assert.deepEqual(await other.pay(asked), { state: "sending" });
		await other.close();
		release();
		assert.equal((await paying).state, "sent");
		assert.equal(purse.arrived(asked.to), 5_000_000n);
	});

	it("threat 19: paid is what is proved, though phoenixd says so of a payment that failed", async () => {
		const asked = order({ to: makeInvoice({ amountMsat: 5_000_000n }) });
		assert.equal((await rail.pay(asked)).state, "failed");
		assert.equal(fine(await rail.payment(asked)).state, "failed");
		double.mishap = (path, json) =>
			path.includes("outgoing") ? { ...(json as object), preimage: "00".repeat(32) } : json;
		assert.equal(fine(await rail.payment(asked)).state, "unknown");
	});

	it("threat 22: says what is wrong with its password and network, and never the password", async () => {
		const wrong = openRail(double.url, { password: "another-secret-word" });
		const said = await wrong.check();
		assert.ok(isProblem(said) && /password/.test(said.detail));
		assert.ok(!JSON.stringify([said, await wrong.balance(), await wrong.pay(order())]).includes("another-secret"));
		await wrong.close();
		const main = await startPhoenixd(purse, "mainnet");
		const rail2 = openRail(main.url);
		const other = await rail2.check();
		assert.ok(isProblem(other) && /bitcoin/.test(other.detail));
		await rail2.close();
		await main.close();
		for (const url of ["http://phoenixd.example.org:9740", "nonsense"])
			assert.ok(
				isProblem(
					openPhoenixd(
						{ url, password: "x", network: "regtest", ranges: { in: RANGE, out: RANGE } },
						{ clock: systemClock },
					),
				),
			);
	});
});
