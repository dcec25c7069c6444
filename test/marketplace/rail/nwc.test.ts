import assert from "node:assert/strict";
import { afterEach, beforeEach, describe, it, mock } from "node:test";
import { isProblem } from "#contracts/problem";
import { systemClock } from "#host/clock";
import { openNwc } from "#marketplace/rail/nwc";
import type { PayOrder, Rail } from "#marketplace/rail/rail";
import { railAcceptance } from "#test/acceptance/rail";
import { makeInvoice } from "#test/support/lightning/invoice";
import { Purse, purseBench } from "#test/support/lightning/purse";
import { KIND, startWallet } from "#test/support/lightning/wallet";
import { fine } from "#test/support/market";
import { until } from "#test/support/rawclient";

const RANGE = { min: 1_000n, max: 100_000_000n };
const openRail = (connection: string, clock = systemClock): Rail =>
	fine(openNwc({ connection, network: "regtest", ranges: { in: RANGE, out: RANGE } }, { clock }));

railAcceptance("of a wallet by Nostr Wallet Connect", async () => {
	const purse = new Purse();
	const wallet = await startWallet(purse);
	const rail = openRail(wallet.connection);
	return purseBench(purse, rail, 7_654_321n, () => wallet.close());
});

describe("the rail of a wallet by Nostr Wallet Connect", () => {
	let purse: Purse;
	let wallet: Awaited<ReturnType<typeof startWallet>>;
	let rail: Rail;
	beforeEach(async () => {
		// the client tells the console of every refusal
		mock.method(console, "error", () => {});
		purse = new Purse();
		wallet = await startWallet(purse);
		rail = openRail(wallet.connection);
	});
	afterEach(async () => {
		await rail.close();
		await wallet.close();
		mock.restoreAll();
	});
	const order = (more: Partial<PayOrder> = {}): PayOrder => ({
		id: "payout",
		to: purse.destination(5_000_000n),
		amount: 5_000_000n,
		feeMax: 100_000n,
		...more,
	});

	for (const code of ["INSUFFICIENT_BALANCE", "QUOTA_EXCEEDED", "RESTRICTED", "UNAUTHORIZED", "RATE_LIMITED"])
		it(`threat 19: ${code} means that nothing left, and it says so again when asked`, async () => {
			wallet.refuse = { code, message: "no" };
			const asked = order();
			const said = await rail.pay(asked);
			assert.ok(said.state === "failed" && said.why.includes(code));
			assert.deepEqual(await rail.payment(asked), said);
		});

	for (const code of ["PAYMENT_FAILED", "INTERNAL", "OTHER", "SOMETHING_NEW"])
		it(`threat 19: ${code} means nothing until the wallet has it: unknown, and not paid again`, async () => {
			wallet.refuse = { code, message: "it timed out" };
			const asked = order();
			assert.equal((await rail.pay(asked)).state, "unknown");
			wallet.refuse = undefined;
			assert.equal((await rail.pay(asked)).state, "unknown");
			assert.equal(fine(await rail.payment(asked)).state, "unknown");
			assert.equal(wallet.paid, 0);
		});

	it("threat 19: what the wallet never had is unknown for three weeks after its invoice's end, and then it never left", async () => {
		wallet.refuse = { code: "PAYMENT_FAILED", message: "it timed out" };
		const asked = order();
		assert.equal((await rail.pay(asked)).state, "unknown");
		// the invoice is good for an hour
		const endsMs = Date.now() + 3_600_000 + 21 * 86_400_000;
		for (const [atMs, state] of [
			[endsMs - 10_000, "unknown"],
			[endsMs + 10_000, "absent"],
		] as const) {
			const later = openRail(wallet.connection, { ...systemClock, nowMs: () => atMs });
			assert.equal(fine(await later.payment(asked)).state, state);
			await later.close();
		}
		await purse.pay(asked.to);
		const last = openRail(wallet.connection, { ...systemClock, nowMs: () => endsMs + 10_000 });
		assert.equal(fine(await last.payment(asked)).state, "sent", "what the wallet has goes before any clock");
		await last.close();
	});

	it("threat 19: a payment that failed after it had left is found, and one that had arrived too", async () => {
		const nobody = order({ to: makeInvoice({ amountMsat: 5_000_000n }) });
		assert.equal((await rail.pay(nobody)).state, "failed");
		const asked = order();
		// another process of the market paid it, and its answer says that it failed
		await purse.pay(asked.to);
		const said = await rail.pay(asked);
		assert.equal(said.state, "sent");
		assert.equal(purse.arrived(asked.to), 5_000_000n);
		// the wallet was asked first, and told of the other payment alone
		assert.equal(wallet.paid, 1);
	});

	it("threat 19: while an answer does not come the wallet is asked what it has, and it may come at last", async () => {
		const lost: Parameters<typeof wallet.relay.pass>[0][] = [];
		let responses = 0;
		wallet.relay.drop = (event) => event.kind === KIND.response && ++responses === 2 && lost.push(event) > 0;
		const asked = order();
		const paying = rail.pay(asked);
		while (lost.length === 0) await new Promise((resolve) => setTimeout(resolve, 5));
		const found = fine(await rail.payment(asked));
		assert.ok(found.state === "sent" && found.amount === 5_000_000n);
		for (const event of lost) wallet.relay.pass(event);
		assert.deepEqual(await paying, found);
		assert.deepEqual([wallet.paid, purse.arrived(asked.to)], [1, 5_000_000n]);
	});

	it("threat 19: paid is what is proved, and under way is not done", async () => {
		const asked = order();
		assert.equal((await rail.pay(asked)).state, "sent");
		for (const [lie, state] of [
			[{ preimage: "00".repeat(32) }, "unknown"],
			[{ preimage: undefined }, "unknown"],
			[{ state: "pending" }, "sending"],
			[{ state: "accepted" }, "sending"],
		] as const) {
			wallet.twist = (found) => ({ ...found, ...lie });
			assert.equal(fine(await rail.payment(asked)).state, state);
		}
		for (const nonsense of [{ amount: 0.5 }, { payment_hash: "11".repeat(32) }, { type: "sideways" }]) {
			wallet.twist = (found) => ({ ...found, ...nonsense });
			assert.ok(isProblem(await rail.payment(asked)));
		}
	});

	it("threat 17: an invoice that is not over what was asked for is not handed to a payer", async () => {
		const make = purse.invoice.bind(purse);
		purse.invoice = (amount, more) => make(amount - 1n, more);
		const asked = { id: "d1", amount: 5_000_000n, text: "", expiresAtMs: Date.now() + 60_000 };
		assert.ok(isProblem(await rail.start(asked)));
		purse.invoice = make;
		const begun = fine(await rail.start(asked));
		assert.equal(fine(await rail.start(asked)).reference, begun.reference);
		const other = await rail.start({ ...asked, amount: 6_000_000n });
		assert.ok(isProblem(other) && other.problem === "conflict");
	});

	for (const content of [
		"null",
		"7",
		'"text"',
		"{",
		"[]",
		"{}",
		'{"result":7}',
		'{"error":null}',
		'{"error":5}',
		// neither becomes a text
		'{"error":{"code":"OTHER","message":{"toString":1,"valueOf":1}}}',
		'{"error":{"code":{"toString":1,"valueOf":1},"message":"no"}}',
	])
		it(`threat 10: a wallet that answers ${content} is refused, and the market stays up`, async () => {
			wallet.relay.drop = (event) => {
				if (event.kind === KIND.request) void wallet.say(event.id, content);
				return event.kind === KIND.request;
			};
			assert.ok(isProblem(await rail.balance()));
			assert.equal((await rail.pay(order())).state, "unknown");
		});

	it("threat 10: a hint that is no text is none, and the market stays up", async () => {
		const hints: string[] = [];
		const stop = rail.onEvent((reference) => hints.push(reference));
		await until("it listens", () => wallet.relay.listeners(KIND.notification) > 0);
		await wallet.tell({
			notification_type: "payment_received",
			notification: { payment_hash: { toString: 1, valueOf: 1 } },
		});
		await wallet.tell({ notification_type: "payment_received", notification: 5 });
		await wallet.tell({ notification_type: "payment_received", notification: { payment_hash: "ab" } });
		await until("the last one", () => hints.length > 0);
		assert.deepEqual(hints, ["ab"]);
		stop();
	});

	it("says what is wrong with a connection, and never its secret", async () => {
		const secret = /secret=([0-9a-f]{64})/.exec(wallet.connection)?.[1] ?? assert.fail();
		const ranges = { in: RANGE, out: RANGE };
		for (const connection of [
			"",
			"nonsense",
			wallet.connection.replace("secret=", "word="),
			wallet.connection.replace(encodeURIComponent("ws://127.0.0.1"), encodeURIComponent("ws://relay.example.org")),
			`nostr+walletconnect://abc?relay=wss://x.example.org&secret=${secret}`,
		]) {
			const said = openNwc({ connection, network: "regtest", ranges }, { clock: systemClock });
			assert.ok(isProblem(said) && said.problem === "usage" && !said.detail.includes(secret), connection);
		}
		const main = openNwc({ connection: wallet.connection, network: "bitcoin", ranges }, { clock: systemClock });
		const other = await fine(main).check();
		assert.ok(isProblem(other) && /regtest/.test(other.detail));
		await fine(main).close();
		wallet.methods = wallet.methods.filter((each) => each !== "pay_invoice");
		const less = await rail.check();
		assert.ok(isProblem(less) && /pay_invoice/.test(less.detail));
	});
});
