import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { amount } from "#contracts/amount";
import { isProblem, problem } from "#contracts/problem";
import {
	ABSENT_AFTER_MS,
	CONFIRM_MS,
	type Course,
	type Event,
	follow,
	lookAgainMs,
	mayTell,
	QUEUED,
	TELL_WITHIN_MS,
} from "#marketplace/payout/course";
import { termsOf } from "#marketplace/payout/terms";
import type { PaymentState } from "#marketplace/rail/rail";

const sending: Course = { state: "sending", begunAtMs: 0, looks: 0 };
const failed: PaymentState = { state: "failed", why: "no route" };
const lost = problem("unavailable", "Nothing came back.");
const ask = (course: Course, says: PaymentState | typeof lost, atMs: number) =>
	follow(course, { is: "asked", says, amount: 1n, atMs }).course;

describe("the course of a payout", () => {
	it("has no way from where an event cannot happen", () => {
		const events: Record<Event["is"], Event> = {
			reserved: { is: "reserved" },
			refused: { is: "refused", why: "no" },
			begun: { is: "begun", atMs: 0 },
			told: { is: "told", says: lost },
			asked: { is: "asked", says: lost, amount: 1n, atMs: 0 },
			"by hand": { is: "by hand", how: "failed", fee: 0n, note: "seen", atMs: 0 },
		};
		const may: Record<Course["state"], Event["is"][]> = {
			queued: ["reserved", "refused", "by hand"],
			reserved: ["refused", "begun", "by hand"],
			sending: ["told", "asked", "by hand"],
			unknown: ["asked", "by hand"],
			sent: [],
			failed: [],
		};
		for (const [state, allowed] of Object.entries(may))
			for (const event of Object.values(events)) {
				const go = () => follow({ ...QUEUED, state: state as Course["state"] }, event);
				if (allowed.includes(event.is)) go();
				else assert.throws(go, /cannot be/, `${state} ${event.is}`);
			}
	});

	it("keeps the rail's first word through an answer that was lost, and ends at exactly half a minute", () => {
		const once = ask(sending, failed, 5);
		assert.deepEqual([once.state, once.unpaidSinceMs, lookAgainMs(once)], ["unknown", 5, CONFIRM_MS]);
		const after = ask(once, lost, 10);
		assert.deepEqual([after.unpaidSinceMs, after.why], [5, "Nothing came back."]);
		assert.equal(ask(after, failed, 5 + CONFIRM_MS - 1).state, "unknown");
		assert.equal(ask(after, failed, 5 + CONFIRM_MS).state, "failed");
		assert.equal(ask(once, { state: "sending" }, 10).unpaidSinceMs, undefined);
	});

	it("counts an absence from ten minutes on, tells within one, and asks ever more seldom", () => {
		assert.equal(ask(sending, { state: "absent" }, ABSENT_AFTER_MS - 1).unpaidSinceMs, undefined);
		assert.equal(ask(sending, { state: "absent" }, ABSENT_AFTER_MS).unpaidSinceMs, ABSENT_AFTER_MS);
		assert.deepEqual([0, TELL_WITHIN_MS - 1, TELL_WITHIN_MS, -1].map(mayTell), [true, true, false, false]);
		assert.deepEqual(
			[0, 1, 2, 30].map((looks) => lookAgainMs({ ...sending, looks })),
			[5_000, 10_000, 20_000, 900_000],
		);
		assert.equal(ask(sending, lost, 1).looks, 1);
	});

	it("ends by a person's word, which stays with it: money goes back or is spent once, and never where none was set aside", () => {
		const say = (state: Course["state"], how: "sent" | "failed") =>
			follow({ ...QUEUED, state, why: "lost" }, { is: "by hand", how, fee: 7n, note: "seen in the wallet", atMs: 9 });
		assert.deepEqual([say("queued", "failed").move, say("queued", "sent").course.state], [undefined, "failed"]);
		for (const state of ["reserved", "sending", "unknown"] as const) {
			const { course, move } = say(state, "failed");
			assert.deepEqual(
				[course.state, move, course.byHand, course.why],
				["failed", "return", "seen in the wallet", "seen in the wallet"],
			);
		}
		for (const state of ["sending", "unknown"] as const) {
			const { course, move } = say(state, "sent");
			assert.deepEqual([course.state, move, course.byHand], ["sent", "spend", "seen in the wallet"]);
			assert.deepEqual([course.paid, course.why], [{ fee: 7n, proof: "", atMs: 9 }, undefined]);
		}
		assert.throws(() => say("reserved", "sent"), /cannot have been sent/);
	});

	it("shows what the rail said to being told, and ends by none of it", () => {
		const told = (says: PaymentState | typeof lost) => follow(sending, { is: "told", says }).course.state;
		const sent: PaymentState = { state: "sent", amount: 1n, fee: 0n, proof: "", atMs: 0 };
		assert.deepEqual([{ state: "sending" } as const, sent, failed, lost].map(told), [
			"sending",
			"sending",
			"unknown",
			"unknown",
		]);
	});
});

describe("the terms of a payout", () => {
	const terms = (nanos: bigint, more: { exactly?: bigint; fee?: bigint; min?: bigint; quote?: typeof lost } = {}) =>
		termsOf(
			{ unit: "nano" },
			{
				nanos: amount(nanos),
				exactly: more.exactly,
				feeMaxPpm: 100_000,
				range: { min: more.min ?? 10n, max: 1_000n },
				quote: async () => more.quote ?? { fee: more.fee ?? 0n, isAbout: false },
			},
		);
	const code = async (...given: Parameters<typeof terms>) => {
		const found = await terms(...given);
		return isProblem(found) ? found.problem : found.amount;
	};

	it("are within the rail's range to the last unit, and never over what was earned", async () => {
		assert.equal(await code(10n), 10n);
		assert.equal(await code(9n), "balance-short");
		assert.equal(await code(5_000n), 1_000n);
		assert.equal(await code(5_000n, { exactly: 1_001n }), "malformed");
		assert.equal(await code(100n, { fee: 10n }), 90n);
		assert.equal(await code(100n, { fee: 10n, min: 91n }), "balance-short", "what is left would be too little");
		assert.equal(await code(100n, { exactly: 100n, fee: 1n }), "balance-short");
		assert.equal(await code(101n, { exactly: 100n, fee: 1n }), 100n);
		assert.equal(await code(100n, { quote: lost }), "unavailable");
	});
});
