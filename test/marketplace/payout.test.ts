import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { isProblem, type Problem, problem } from "#contracts/problem";
import { openSilentLog } from "#host/log";
import { referenceKey } from "#marketplace/funding/deposit";
import type { Book, Change, Outcome } from "#marketplace/ledger/book";
import { leavingAccount } from "#marketplace/ledger/chart";
import { askDue, askPayout, payoutOf, setWishes } from "#marketplace/payout/ask";
import { checkPayouts } from "#marketplace/payout/check";
import { readTarget } from "#marketplace/payout/destination";
import { openLightning } from "#marketplace/payout/lightning";
import { billOfPayout, type Payout } from "#marketplace/payout/payout";
import { makePayouts, type Payouts } from "#marketplace/payout/payouts";
import { nanosOfMsat } from "#marketplace/rate/rate";
import { heldClock } from "#test/support/clock";
import { DoubleRail } from "#test/support/doublerail";
import { makeInvoice } from "#test/support/lightning/invoice";
import { fine } from "#test/support/market";
import { ADDRESS, OPERATOR, openTill, type Till, usd } from "#test/support/payouts";

const HOUR_MS = 3_600_000;
const DAY_MS = 24 * HOUR_MS;

/** An operator with ten dollars and a Lightning address. */
async function ready(given?: Parameters<typeof openTill>[0]): Promise<Till> {
	const till = openTill(given);
	await till.earn(usd(10));
	await till.goTo();
	return till;
}

/** What is refused, and with what. */
function refused(answer: unknown): Problem {
	if (!isProblem(answer)) return assert.fail(`was not refused: ${JSON.stringify(answer, (_, v) => `${v}`)}`);
	return answer;
}

/** A second owner, whose record is written by a test's leave in the moment before the rail is told. */
function atBegin(till: Till, leave: (go: () => Promise<Outcome[]>) => Promise<Outcome[]>): Payouts {
	const begins = (change: Change) =>
		change.rows?.some(({ table, row }) => table === "payouts" && row.state === "sending");
	const book: Book = {
		...till.book,
		apply: (changes) => {
			const go = () => till.book.apply(changes);
			return changes.some(begins) ? leave(go) : go();
		},
	};
	return makePayouts({ ...till, book, log: openSilentLog() });
}

/** Ten dollars are there or on their way, or what is missing was paid once. */
async function holds(till: Till, payout: Payout): Promise<void> {
	await till.audit();
	const { earned, leaving, out, rate, overrun } = await till.money();
	assert.equal(leaving, 0n);
	assert.equal(earned + out + rate + overrun, usd(10));
	assert.equal(till.rail.paid.length, payout.course.state === "sent" ? 1 : 0);
	if (payout.course.state !== "sent") assert.equal(earned, usd(10), "all of it is back");
}

describe("a payout", () => {
	it("takes what was earned, pays it once, and gives back what the rail did not take", async () => {
		const till = await ready();
		till.rail.fee = 7_000n;
		const payout = await till.click({ name: "first" });
		assert.equal(payout.course.state, "sent");
		assert.deepEqual(till.lightning.asked, [ADDRESS]);
		const bill = billOfPayout(payout);
		assert(bill && payout.terms);
		assert.equal(bill.gross, bill.net + bill.railFee + bill.marketFee);
		assert.equal(bill.gross + bill.rest, payout.terms.reserved);
		// ten dollars at 1,666,667 msat the dollar less half a percent, less 1 % that routing may take
		assert.equal(payout.terms.amount % 1_000n, 0n);
		assert(payout.terms.amount > 16_400_000n && payout.terms.amount < 16_420_000n, `${payout.terms.amount}`);
		const { earned, out, rate } = await till.money();
		assert.equal(out, bill.net + bill.railFee);
		assert.equal(rate, bill.marketFee);
		assert.equal(earned, usd(10) - bill.gross);
		await holds(till, payout);
	});

	it("that the rail refuses gives everything back, but only on the rail's word given twice", async () => {
		const till = await ready();
		till.rail.fates.push("fails");
		const payout = await till.click({ name: "first" });
		assert.equal(payout.course.state, "unknown", "it was told once that it failed");
		assert.equal((await till.money()).earned + (await till.money()).leaving, usd(10));
		const ended = await till.end(payout.id);
		assert.equal(ended.course.state, "failed");
		assert.equal(ended.course.why, "No route was found.");
		assert.equal(till.rail.told.length, 1, "it was not tried again");
		await holds(till, ended);
	});

	it("goes out in cents by a rail with a fee that is known before", async () => {
		const rail = new DoubleRail({ world: "world:card", unit: "cent", out: { min: 100n, max: 1_000_000n } });
		rail.fee = 40n;
		rail.feeIsKnown = true;
		const till = openTill({ rail });
		await till.earn(usd(10));
		await till.goTo("stripe", "acct_1234567890");
		const payout = await till.click({ name: "first" });
		assert.deepEqual([rail.paid[0]?.to, rail.paid[0]?.amount], ["acct_1234567890", 960n]);
		const { gross, railFee, marketFee, net } = billOfPayout(payout) ?? assert.fail();
		assert.deepEqual([gross, railFee, marketFee, net], [usd(10), usd(0.4), 0n, usd(9.6)]);
		await holds(till, payout);
	});

	it("is not made when the rail costs more than the operator allows", async () => {
		const rail = new DoubleRail({ world: "world:card", unit: "cent", out: { min: 100n, max: 1_000_000n } });
		rail.fee = 80n;
		rail.feeIsKnown = true;
		const till = openTill({ rail });
		await till.earn(usd(10));
		await till.goTo("stripe", "acct_1234567890");
		const ended = await till.end((await till.click({ name: "first" })).id);
		assert.equal(ended.course.state, "failed");
		assert.match(ended.course.why ?? "", /would cost \$0\.80 now, and at most \$0\.50/);
		assert.equal(rail.told.length, 0);
		await holds(till, ended);
		await setWishes(till, OPERATOR, { feeMaxPpm: 80_000 });
		assert.equal((await till.click({ name: "second" })).course.state, "sent");
	});

	it("charges the operator no more than the ceiling when a rail takes more than it may: the market's owner owes the rest", async () => {
		const till = await ready();
		till.rail.fee = 10n ** 9n;
		const payout = await till.click({ name: "first" });
		const bill = billOfPayout(payout) ?? assert.fail();
		const { exchange, feeMax, reserved } = payout.terms ?? assert.fail();
		assert(exchange.unit === "msat");
		const beyond = 10n ** 9n - feeMax;
		assert.equal(bill.over, nanosOfMsat(beyond, { ...exchange.rate, spreadPpm: 0 }, "out"));
		assert.deepEqual([bill.gross, bill.rest], [reserved, 0n]);
		assert.equal(bill.gross, bill.net + bill.railFee + bill.marketFee, "no part of it is the operator's");
		const { overrun, rate, out } = await till.money();
		assert.deepEqual([overrun, rate], [-bill.over, bill.marketFee], "what the spread brought is not touched");
		assert.equal(out, bill.net + bill.railFee + bill.over, "the world has all that left");
		await holds(till, payout);
	});

	it("of which the rail says that it took a hundred times as much is not believed: somebody must look at it", async () => {
		const till = await ready();
		till.rail.fee = 10n ** 15n;
		const payout = await till.click({ name: "first" });
		assert.equal(payout.course.state, "unknown");
		assert.match(payout.course.why ?? "", /a fee that can be none/);
		assert.equal((await till.money()).overrun, 0n);
	});

	it("by a rail that only makes small payments comes in several, one after the other", async () => {
		// a wallet that pays no more than two dollars at once, for it can be asked to pay twice
		const rail = new DoubleRail({ out: { min: 1_000n, max: 3_333_000n } });
		const till = await ready({ rail });
		for (let round = 0; round < 20; round++) {
			for (const id of await askDue(till)) await till.payouts.advance(id);
			await till.clock.advance(60_000);
		}
		assert(rail.paid.length >= 4 && rail.paid.length <= 6, `${rail.paid.length} payments`);
		assert(rail.paid.every((order) => order.amount <= 3_333_000n));
		const { earned, leaving } = await till.money();
		assert(earned < usd(1) && leaving === 0n, "less than the threshold is left");
		await till.audit();
	});

	it("goes on when the rate or the address cannot be had at first, and says why when it never can", async () => {
		const till = await ready();
		till.lightning.refusal = problem("unavailable", "The address did not answer.");
		const payout = await till.click({ name: "first" });
		assert.deepEqual([payout.course.state, payout.course.why], ["queued", "The address did not answer."]);
		till.lightning.refusal = undefined;
		assert.equal((await till.end(payout.id)).course.state, "sent");
		await till.earn(usd(5));
		till.lightning.refusal = problem("unavailable", "The address did not answer.");
		const second = await till.end((await till.click({ name: "second" })).id);
		assert.deepEqual([second.course.state, second.course.why], ["failed", "The address did not answer."]);
		await till.audit();
	});

	it("to an address that answers with an invoice over more is not made", async () => {
		const till = await ready();
		till.lightning.wrongBy = 1_000n;
		const ended = await till.end((await till.click({ name: "first" })).id);
		assert.deepEqual([ended.course.state, till.rail.told.length], ["failed", 0]);
		assert.match(ended.course.why ?? "", /another amount/);
		await holds(till, ended);
	});

	it("whose money is not set aside is found by the audit", async () => {
		const till = await ready();
		till.rail.fates.push("takes its time");
		await till.click({ name: "first" });
		await till.audit();
		const entries = [
			{ account: leavingAccount(OPERATOR), nanos: -5n },
			{ account: "market:fees", nanos: 5n },
		];
		await till.book.apply([{ transfer: { id: "theft", cause: "A bug", atMs: 0, entries } }]);
		assert.match(
			(await till.book.audit([checkPayouts])).findings[0] ?? "",
			/are under way need \d+ nano-dollars, but \d+ are/,
		);
	});

	it("needs an account that is not frozen, something earned, a way out and enough for it", async () => {
		const frozen = openTill({ frozen: new Set([OPERATOR]) });
		assert.equal(refused(await askPayout(frozen, OPERATOR, { name: "a" })).problem, "unauthorized");
		const till = openTill();
		assert.equal(refused(await askPayout(till, OPERATOR, { name: "a" })).problem, "not-found");
		await till.goTo();
		assert.equal(refused(await askPayout(till, OPERATOR, { name: "a" })).problem, "balance-short");
		const none = openTill({ rails: [] });
		await none.goTo();
		assert.equal(refused(await askPayout(none, OPERATOR, { name: "a" })).problem, "rail-closed");
		await till.earn(1n);
		const ended = await till.click({ name: "b" });
		assert.equal(ended.course.state, "failed");
		assert.match(ended.course.why ?? "", /one payout is from \$0\.0006/);
		assert.equal((await till.money()).earned, 1n);
	});
});

describe("threat 19: a payout", () => {
	it("is clicked twice, and a hundred times at once: it is paid once", async () => {
		const till = await ready();
		const clicks = await Promise.all(
			Array.from({ length: 100 }, async (_, at) => {
				const asked = await askPayout(till, OPERATOR, { name: at % 2 ? "one" : `other ${at}` });
				return isProblem(asked) ? asked : till.payouts.advance(asked.id);
			}),
		);
		const ids = new Set(clicks.flatMap((answer) => (isProblem(answer) ? [] : [answer.id])));
		assert.equal(ids.size, 1, "one payout was begun");
		assert(clicks.every((answer) => !isProblem(answer) || answer.problem === "too-many"));
		assert.equal(till.rail.told.length, 1);
		const payout = (await payoutOf(till, [...ids][0] ?? "")) ?? assert.fail();
		await holds(till, payout);
	});

	it("is carried out by two processes at once: the rail is told once", async () => {
		const till = await ready();
		const other = makePayouts({ ...till, log: openSilentLog() });
		const { id } = fine(await askPayout(till, OPERATOR, { name: "first" }));
		await Promise.all([till.payouts.advance(id), other.advance(id)]);
		const ended = await till.end(id);
		assert.deepEqual([ended.course.state, till.rail.told.length], ["sent", 1]);
		await holds(till, ended);
	});

	it("is retried after a time-out: the same name is the same payout, and nothing is sent again", async () => {
		const till = await ready();
		till.rail.fates.push("sends, and the answer is lost");
		till.rail.onPay = () => {
			till.rail.away = true;
		};
		const payout = await till.click({ name: "first" });
		assert.equal(payout.course.state, "unknown");
		assert.equal((await till.click({ name: "first" })).id, payout.id);
		assert.equal(refused(await askPayout(till, OPERATOR, { name: "second" })).problem, "too-many");
		await till.clock.advance(3 * DAY_MS);
		assert.equal((await payoutOf(till, payout.id))?.course.state, "unknown", "nothing is given back on an error alone");
		assert.equal((await till.money()).earned < usd(1), true);
		till.rail.away = false;
		const ended = await till.end(payout.id);
		assert.equal(ended.course.state, "sent");
		assert.equal(till.rail.told.length, 1);
		await holds(till, ended);
	});

	it("is not begun while the rail is away: it waits, or its money is back, and nothing has to be found out", async () => {
		const till = await ready();
		till.rail.away = true;
		const payout = await till.click({ name: "first" });
		assert.deepEqual([payout.course.state, payout.course.why], ["reserved", "The node is away."]);
		till.rail.away = false;
		assert.equal((await till.end(payout.id)).course.state, "sent");
		assert.equal(till.rail.told.length, 1);
		till.rail.away = true;
		const second = await till.end((await till.click({ name: "second" })).id);
		assert.deepEqual([second.course.state, second.course.why], ["failed", "The node is away."]);
		assert.equal(till.rail.told.length, 1);
		assert.equal((await till.money()).leaving, 0n);
		await till.audit();
	});

	it("is not put off for a year by a clock that was a year ahead for a moment, also when the market starts anew", async () => {
		for (const again of [false, true]) {
			const till = await ready();
			till.rail.fates.push("takes its time");
			const { id } = await till.click({ name: "first" });
			till.clock.jump(365 * DAY_MS);
			await till.payouts.round();
			till.clock.jump(-365 * DAY_MS);
			till.rail.onEvent = () => () => {};
			if (again) {
				await till.payouts.stop();
				till.payouts = makePayouts({ ...till, log: openSilentLog() });
				till.rail.finish("sent");
				await till.payouts.round();
			} else {
				await till.clock.advance(60_000);
				assert.ok(((await payoutOf(till, id))?.dueMs ?? 0) < till.clock.nowMs() + DAY_MS);
				till.rail.finish("sent");
			}
			assert.equal((await till.end(id)).course.state, "sent");
			assert.ok(till.clock.nowMs() < Date.UTC(2026, 0, 2));
			await till.payouts.stop();
		}
	});

	it("hangs at the rail: it is asked about after a minute, and not sent again", async () => {
		const till = await ready();
		till.rail.onPay = () => new Promise(() => {});
		const { id } = fine(await askPayout(till, OPERATOR, { name: "first" }));
		const going = till.payouts.advance(id);
		for (let turn = 0; turn < 50; turn++) await new Promise(setImmediate);
		assert.equal((await payoutOf(till, id))?.course.state, "sending");
		till.rail.hint(id);
		for (let turn = 0; turn < 50; turn++) await new Promise(setImmediate);
		assert.equal(till.rail.asked, 1, "it is asked before it is told, and not while it is");
		await till.clock.advance(60_000);
		assert.equal((await going).course.state, "unknown");
		const ended = await till.end(id);
		assert.deepEqual([ended.course.state, ended.course.why], ["failed", "It never left."]);
		assert(till.clock.nowMs() - ended.askedAtMs >= 10 * 60_000, "it could still have been on its way");
		await holds(till, ended);
	});

	it('"fails" after it left: the rail is asked, and what was paid is not given back', async () => {
		const till = await ready();
		till.rail.fates.push("sends, and says that it failed");
		const payout = await till.click({ name: "first" });
		assert.equal(payout.course.state, "sent");
		await holds(till, payout);
	});

	it("takes its time: a hint brings the question forward, and is no answer itself", async () => {
		const till = await ready();
		till.rail.fates.push("takes its time");
		const payout = await till.click({ name: "first" });
		assert.equal(payout.course.state, "sending");
		till.rail.finish("sent");
		for (let turn = 0; turn < 50; turn++) await new Promise(setImmediate);
		const ended = (await payoutOf(till, payout.id)) ?? assert.fail();
		assert.equal(ended.course.state, "sent");
		await holds(till, ended);
	});

	it("goes to an address changed a minute ago: neither the new one nor the old one is paid for a day", async () => {
		const till = await ready();
		await till.clock.advance(60_000);
		await till.goTo("lightning", "mallory@evil.example");
		await till.clock.advance(60_000);
		const waits = refused(await askPayout(till, OPERATOR, { name: "first" }));
		assert.equal(waits.problem, "destination-waits");
		assert.match(waits.detail, /payouts wait until 2026-01-02 00:01 UTC/);
		assert.equal(waits.retryAfterMs, DAY_MS - 60_000);
		assert.deepEqual(await askDue(till), []);
		assert.deepEqual(till.lightning.asked, [], "the old one is used by nothing meanwhile");
		// its owner looks, and changes it back: that waits too
		await till.clock.advance(HOUR_MS);
		await till.goTo();
		await till.clock.advance(DAY_MS - 1);
		assert.equal(refused(await askPayout(till, OPERATOR, { name: "first" })).problem, "destination-waits");
		await till.clock.advance(1);
		assert.equal((await till.click({ name: "first" })).course.state, "sent");
		assert.deepEqual(till.lightning.asked, [ADDRESS]);
	});

	it("is under way while its address is changed: before it left it comes back, after that it is finished", async () => {
		const till = await ready();
		const { id } = fine(await askPayout(till, OPERATOR, { name: "first" }));
		await till.goTo("lightning", "mallory@evil.example");
		// nobody went on with it for two days, in which the new address has come of age
		await till.clock.advance(2 * DAY_MS);
		const stopped = await till.payouts.advance(id);
		assert.deepEqual(
			[stopped.course.state, stopped.course.why],
			["failed", "The destination was changed after this payout was asked for."],
		);
		assert.deepEqual(till.lightning.asked, []);
		assert.equal(till.rail.told.length, 0);
		await holds(till, stopped);
		till.rail.fates.push("takes its time");
		const second = await till.click({ name: "second" });
		await till.goTo();
		till.rail.finish("sent");
		assert.equal((await till.end(second.id)).course.state, "sent");
	});

	it("is about to leave in the moment in which its address changes: the change is first, and it does not leave", async () => {
		const till = await ready();
		let changed = false;
		const payouts = atBegin(till, async (go) => {
			if (!changed) await till.goTo("lightning", "mallory@evil.example");
			changed = true;
			return go();
		});
		const { id } = fine(await askPayout(till, OPERATOR, { name: "first" }));
		const stopped = await payouts.advance(id);
		assert.deepEqual([changed, stopped.course.state, till.rail.told.length], [true, "failed", 0]);
		await holds(till, stopped);
	});

	it("is held up for longer than a minute before it leaves: it does not leave at all, for it might be taken for lost", async () => {
		const till = await ready();
		const payouts = atBegin(till, async (go) => {
			const outcomes = await go();
			till.clock.jump(61_000);
			return outcomes;
		});
		const { id } = fine(await askPayout(till, OPERATOR, { name: "first" }));
		await payouts.advance(id);
		const ended = await till.end(id);
		assert.deepEqual([ended.course.state, till.rail.told.length], ["failed", 0]);
		await holds(till, ended);
	});

	it("is of an account that was frozen meanwhile: it does not leave", async () => {
		const frozen = new Set<string>();
		const till = await ready({ frozen });
		const { id } = fine(await askPayout(till, OPERATOR, { name: "first" }));
		frozen.add(OPERATOR);
		const stopped = await till.payouts.advance(id);
		assert.deepEqual([stopped.course.state, till.rail.told.length], ["failed", 0]);
		await holds(till, stopped);
	});

	it("was sent over another amount than was ordered, as the rail says: nothing is believed of that", async () => {
		const till = await ready();
		till.rail.short = 1n;
		const payout = await till.click({ name: "first" });
		assert.equal(payout.course.state, "unknown");
		await till.clock.advance(HOUR_MS);
		assert.equal((await payoutOf(till, payout.id))?.course.state, "unknown");
		till.rail.short = 0n;
		assert.equal((await till.end(payout.id)).course.state, "sent");
	});

	it("by an invoice that was used before, or is the market's own, or is over another amount, is refused", async () => {
		const till = openTill();
		await till.earn(usd(10));
		const invoice = till.lightning.invoice(1_000_000n);
		const first = await till.click({ name: "first", invoice });
		assert.equal(first.course.state, "sent");
		assert.equal(till.rail.paid[0]?.to, invoice);
		const second = await till.click({ name: "second", invoice });
		assert.equal(second.course.state, "failed");
		assert.match(second.course.why ?? "", /belongs to another payout/);
		assert.equal(till.rail.told.length, 1);
		const none = await askPayout(till, OPERATOR, { name: "third", invoice: "lnbc1nonsense" });
		assert.equal(refused(none).problem, "malformed");
		const ended = till.lightning.invoice(1_000_000n, till.clock.nowMs() + 30_000);
		assert.match(refused(await askPayout(till, OPERATOR, { name: "fourth", invoice: ended })).detail, /about to/);
		const endless = till.lightning.invoice(1_000_000n, till.clock.nowMs() + 32 * DAY_MS);
		assert.equal(refused(await askPayout(till, OPERATOR, { name: "endless", invoice: endless })).problem, "malformed");
		const own = till.lightning.invoice(1_000_000n);
		const { paymentHash } = fine(till.lightning.readInvoice(own));
		const row = {
			key: referenceKey("double", paymentHash),
			account: OPERATOR,
			state: "of-deposit",
			dueMs: 0,
			value: "x",
		};
		assert.deepEqual(await till.book.apply([{ rows: [{ table: "references", expect: 0, row }] }]), ["applied"]);
		assert.match((await till.click({ name: "own", invoice: own })).course.why ?? "", /this market's own/);
		const dear = till.lightning.invoice(10n ** 9n);
		assert.equal((await till.click({ name: "fifth", invoice: dear })).course.state, "failed");
		await till.audit();
	});

	it("by an invoice of another network is refused before anything is begun", () => {
		const lightning = openLightning("regtest", heldClock());
		const invoice = (prefix: string) => makeInvoice({ prefix, amountMsat: 1_000n, atMs: 0 });
		assert.equal(fine(lightning.readInvoice(invoice("bcrt"))).amountMsat, 1_000n);
		assert.match(
			refused(lightning.readInvoice(invoice("bc"))).detail,
			/is for bitcoin, and this market pays on regtest/,
		);
	});

	it("by an invoice needs an account that is paid by invoices: for one with an address it would be a changed address", async () => {
		const till = await ready();
		const invoice = till.lightning.invoice(1_000_000n);
		assert.equal(refused(await askPayout(till, OPERATOR, { name: "first", invoice })).problem, "conflict");
		await till.goTo("invoice", "");
		assert.equal(refused(await askPayout(till, OPERATOR, { name: "first", invoice })).problem, "destination-waits");
		await till.clock.advance(DAY_MS);
		assert.equal((await till.click({ name: "first", invoice })).course.state, "sent");
	});
});

describe("a schedule", () => {
	it("leaves what somebody did not ask for by hand for its own time", async () => {
		const till = await ready();
		assert.equal((await till.click({ name: "first", nanos: usd(2) })).course.state, "sent");
		await till.clock.advance(HOUR_MS);
		assert.deepEqual(await askDue(till), []);
		await till.clock.advance(DAY_MS);
		assert.equal((await askDue(till)).length, 1);
	});

	it("pays those over their threshold, once though many look", async () => {
		const till = await ready();
		await till.earn(usd(0.5), "0f".repeat(32));
		await setWishes(till, "0f".repeat(32), { target: fine(readTarget("lightning", "paul@wallet.example")) });
		const looks = await Promise.all(Array.from({ length: 20 }, () => askDue(till)));
		assert.equal(looks.flat().length, 1);
		await Promise.all(looks.flat().map((id) => till.payouts.advance(id)));
		assert.deepEqual(till.lightning.asked, [ADDRESS]);
		assert.equal(till.rail.paid.length, 1);
		await till.earn(usd(3));
		assert.deepEqual(await askDue(till), [], "it looks once a day");
		await till.clock.advance(DAY_MS);
		assert.equal((await askDue(till)).length, 1);
		await till.audit();
	});

	it("is the operator's: their threshold, how often, or never", async () => {
		const till = openTill();
		await till.earn(usd(10));
		await setWishes(till, OPERATOR, { threshold: usd(20), schedule: "weekly" });
		await till.goTo();
		assert.deepEqual(await askDue(till), []);
		await till.earn(usd(10));
		await till.clock.advance(6 * DAY_MS);
		assert.deepEqual(await askDue(till), []);
		await till.clock.advance(DAY_MS);
		const [id = ""] = await askDue(till);
		assert.equal((await till.payouts.advance(id)).course.state, "sent");
		await till.earn(usd(100));
		await setWishes(till, OPERATOR, { schedule: "never" });
		await till.clock.advance(30 * DAY_MS);
		assert.deepEqual(await askDue(till), []);
	});

	it("by Stripe begins at fifty dollars unless told otherwise", async () => {
		const rail = new DoubleRail({ world: "world:card", unit: "cent", out: { min: 100n, max: 1_000_000n } });
		const till = openTill({ rail });
		await till.earn(usd(49.99));
		await till.goTo("stripe", "acct_1234567890");
		assert.deepEqual(await askDue(till), []);
		await till.earn(usd(0.01));
		await till.clock.advance(DAY_MS);
		assert.equal((await askDue(till)).length, 1);
	});
});
