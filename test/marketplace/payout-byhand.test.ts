/** Payouts that a person ends, because their rail never says what became of them (threat 19): `unknown` is no dead end, and nobody's mistake pays twice. */

import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { isProblem } from "#contracts/problem";
import { reconcile } from "#marketplace/inspect/reconcile";
import { askPayout } from "#marketplace/payout/ask";
import { endByHand, type Known, knownOf, openPayouts, type Word } from "#marketplace/payout/byhand";
import type { PaymentState } from "#marketplace/rail/rail";
import { DoubleRail } from "#test/support/doublerail";
import { fine } from "#test/support/market";
import { OPERATOR, openTill, type Till, usd } from "#test/support/payouts";

const HOUR_MS = 3_600_000;
const sent = (more: Partial<Word> = {}): Word => ({ how: "sent", fee: 0n, note: "seen in the wallet", ...more });
const failed = (more: Partial<Word> = {}): Word => ({ how: "failed", fee: 0n, note: "the wallet was lost", ...more });

/** What a rail says for ever that has nothing of what it was told. */
const MUTE: PaymentState = { state: "unknown", why: "the provider does not have it" };

/** A payout by an invoice that ends in two hours, of which nobody knows what became. */
async function lost(): Promise<{ till: Till; rail: DoubleRail; id: string }> {
	const rail = new DoubleRail();
	rail.word = MUTE;
	const till = openTill({ rail });
	await till.earn(usd(10));
	rail.fates.push("is lost");
	const invoice = till.lightning.invoice(5_000_000n, till.clock.nowMs() + 2 * HOUR_MS);
	const { id, course } = await till.click({ name: "first", invoice });
	assert.equal(course.state, "unknown");
	return { till, rail, id };
}

async function refusedWith(answer: ReturnType<typeof endByHand>, words: RegExp): Promise<void> {
	const said = await answer;
	if (!isProblem(said)) assert.fail("it was ended");
	assert.match(said.detail, words);
}

describe("a payout whose rail never says what became of it", () => {
	it("stays unknown for weeks, is listed first, and is shown with all that is known of it", async () => {
		const { till, id } = await lost();
		for (let days = 0; days < 20; days++) {
			await till.clock.advance(24 * HOUR_MS);
			await till.payouts.round();
		}
		const [first] = await openPayouts(till);
		assert.deepEqual([first?.id, first?.course.state], [id, "unknown"]);
		const known: Known = fine(await knownOf(till, id));
		assert.deepEqual([known.says, known.refused], [MUTE, { sent: undefined, failed: undefined }]);
	});

	it("threat 19: does not go back by hand while its invoice could be paid, to the minute", async () => {
		const { till, id } = await lost();
		const before = await till.money();
		await refusedWith(endByHand(till, id, failed()), /could still be paid until 2026-01-01T02:10:00/);
		await till.clock.advance(2 * HOUR_MS + 600_000 - 1);
		await refusedWith(endByHand(till, id, failed()), /could still be paid/);
		assert.deepEqual(await till.money(), before);
		await till.clock.advance(1);
		const ended = fine(await endByHand(till, id, failed()));
		assert.deepEqual([ended.course.state, ended.course.byHand], ["failed", "the wallet was lost"]);
		assert.deepEqual([(await till.money()).earned, (await till.money()).leaving], [usd(10), 0n]);
		await till.audit();
		// the operator is free to be paid
		till.rail.fates.length = 0;
		const again = fine(
			await askPayout(till, OPERATOR, { name: "second", invoice: till.lightning.invoice(5_000_000n) }),
		);
		assert.equal(again.course.state, "queued");
		await refusedWith(endByHand(till, id, sent()), /It has ended: failed/);
	});

	it("is spent by hand with the fee that the wallet took, and the ledger says who said so", async () => {
		const { till, id } = await lost();
		await refusedWith(endByHand(till, id, sent({ fee: 500_000_001n })), /100 times/);
		const { course, terms } = fine(await endByHand(till, id, sent({ fee: 1_000n })));
		assert.deepEqual([course.state, course.paid?.fee, terms?.amount], ["sent", 1_000n, 5_000_000n]);
		const { out, leaving, earned, rate } = await till.money();
		assert.deepEqual([leaving, earned + out + rate], [0n, usd(10)]);
		assert(out > 0n);
		const lines = await till.book.transfers("world:lightning", 0, 10);
		assert.deepEqual(
			lines.map(({ cause }) => cause),
			["Paid out by an invoice, ended by hand"],
		);
		await till.audit();
		await refusedWith(endByHand(till, id, failed()), /It has ended: sent/);
	});

	it("threat 19: the rail's own word goes before a person's, and a rail that does not answer holds them up", async () => {
		const { till, rail, id } = await lost();
		await till.clock.advance(3 * HOUR_MS);
		const paid: PaymentState = { state: "sent", amount: 4_999_999n, fee: 0n, proof: "ab", atMs: 1 };
		for (const [word, how] of [
			[{ state: "sending" }, [/under way/, /under way/]],
			[{ state: "failed", why: "no route" }, [/not sent/, /not sent/]],
			[{ state: "absent" }, [/not sent/, /not sent/]],
			[paid, [undefined, /that it was sent/]],
		] as const) {
			rail.word = word;
			const { refused } = fine(await knownOf(till, id));
			for (const [index, one] of [refused.sent, refused.failed].entries())
				if (how[index]) assert.match(one ?? "", how[index]);
				else assert.equal(one, undefined);
		}
		rail.away = true;
		for (const word of [sent(), failed()]) await refusedWith(endByHand(till, id, word), /does not answer/);
	});

	it("ends by hand too where its rail is not set up any more, told or not", async () => {
		const { till, id } = await lost();
		await till.payouts.stop();
		const without = openTill({ rails: [], book: till.book, clock: till.clock });
		await till.clock.advance(3 * HOUR_MS);
		assert.equal((await without.payouts.advance(id)).course.state, "unknown");
		assert.equal(fine(await knownOf(without, id)).says, undefined);
		assert.equal(fine(await endByHand(without, id, failed())).course.state, "failed");

		const untold = openTill();
		await untold.earn(usd(10));
		await untold.goTo();
		const { id: queued } = fine(await askPayout(untold, OPERATOR, { name: "waits" }));
		await refusedWith(endByHand(untold, queued, sent()), /never told/);
		assert.equal(fine(await endByHand(untold, queued, failed())).course.state, "failed");
		assert.deepEqual([(await untold.money()).earned, untold.rail.told.length], [usd(10), 0]);
		await untold.audit();
		assert.ok(isProblem(await endByHand(untold, "ab".repeat(16), failed())));
	});

	it("ends once, whoever goes on with it at the same moment", async () => {
		const { till, rail, id } = await lost();
		await till.clock.advance(3 * HOUR_MS);
		const both = await Promise.all([endByHand(till, id, failed()), endByHand(till, id, sent())]);
		assert.equal(both.filter(isProblem).length, 1);
		rail.word = { state: "failed", why: "no route" };
		await till.payouts.round();
		const { earned, out, rate, leaving } = await till.money();
		assert.deepEqual([earned + out + rate, leaving], [usd(10), 0n]);
		await till.audit();
	});

	it("is explained when the rail is reconciled, until the rail says otherwise", async () => {
		for (const word of [sent(), failed()]) {
			const { till, rail, id } = await lost();
			await till.clock.advance(3 * HOUR_MS);
			fine(await endByHand(till, id, word));
			const order = { ledger: till.book, rails: [rail], nowMs: till.clock.nowMs(), sinceMs: 0, own: {} };
			const found = await reconcile(order);
			assert.equal(found.holds, true, JSON.stringify(found.differences));
			assert.match(found.differences[0]?.says ?? "", /Ended by hand as (sent|failed): /);
			rail.word =
				word.how === "sent"
					? { state: "failed", why: "it came back" }
					: { state: "sent", amount: 5_000_000n, fee: 0n, proof: "ab", atMs: 1 };
			assert.equal((await reconcile(order)).holds, false);
		}
	});
});
