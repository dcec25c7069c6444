/**
 * Walks through a payout to a Stripe account: each call to the book and to the rail ends the process in turn, or each request to Stripe goes wrong. Whatever happens, in the
 * end the ledger, the record and Stripe tell the same, and Stripe transferred once or not at all.
 */

import assert from "node:assert/strict";
import { isProblem } from "#contracts/problem";
import { openSilentLog } from "#host/log";
import { askPayout, payoutOf } from "#marketplace/payout/ask";
import { isUnderWay, payoutId } from "#marketplace/payout/payout";
import { makePayouts } from "#marketplace/payout/payouts";
import type { Rail } from "#marketplace/rail/rail";
import { type HeldClock, heldClock } from "#test/support/clock";
import { testRates } from "#test/support/doublerail";
import { brittleBook, brittleRail, Died, type Disk, Gate, type MODES } from "#test/support/funding-walk";
import { OPERATOR, openTill, type Till, usd } from "#test/support/payouts";
import { type Fault, type StripeDouble, startStripe } from "./double.ts";
import { openCards } from "./market.ts";

const ACCOUNT = "acct_operator1";
const ID = payoutId(OPERATOR, "first");
/** What Stripe has for the market, in cents. */
const AVAILABLE = 1_000_000;

/** What became of a payout in which one thing went wrong. */
export type Outcome = { readonly state: string; readonly struck: string; readonly died: boolean };

/** One payout whose process fails at its so-manieth call. */
export async function failCall(
	at: number,
	mode: (typeof MODES)[number],
	newDisk: () => Promise<Disk>,
): Promise<Outcome> {
	const gate = new Gate(at, mode);
	const state = await tell(gate, newDisk, () => {});
	return { state, struck: gate.struck, died: gate.dead };
}

/** One payout of which so-manieth request to Stripe goes wrong, also when the client asks once more by itself. */
export async function failRequest(at: number, fault: Fault, newDisk: () => Promise<Disk>): Promise<Outcome> {
	let struck = "";
	const state = await tell(new Gate(0, "refused"), newDisk, (stripe) => {
		let asked = 0;
		stripe.misbehave((method, path) => {
			asked += 1;
			const hit = asked === at || (asked === at + 1 && (fault === "lost" || fault === "dropped"));
			if (hit && asked === at) struck = `${method} ${path}`;
			return hit ? fault : undefined;
		});
	});
	return { state, struck, died: false };
}

async function tell(gate: Gate, newDisk: () => Promise<Disk>, harm: (stripe: StripeDouble) => void): Promise<string> {
	const clock = heldClock(Date.UTC(2026, 9, 15, 12));
	const stripe = await startStripe(() => clock.nowMs());
	stripe.world.available = AVAILABLE;
	const active = { stripe_balance: { stripe_transfers: { status: "active", status_details: [] } } };
	stripe.world.accounts.set(ACCOUNT, { id: ACCOUNT, configuration: { recipient: { capabilities: active } } });
	const disk = await newDisk();
	try {
		const book = await disk.open();
		const rail = await openCards(stripe, clock);
		const till = openTill({ clock, book, rails: [rail] });
		await till.earn(usd(100));
		await till.goTo("stripe", ACCOUNT);
		harm(stripe);
		await firstProcess(till, rail, gate, clock);
		await till.payouts.stop();
		await rail.close();
		await disk.close(book);
		return await nextProcess(stripe, disk, clock, gate.struck);
	} finally {
		await disk.end();
		await stripe.close();
	}
}

/** Somebody clicks, and the process goes on with it for some minutes, or dies. */
async function firstProcess(till: Till, rail: Rail, gate: Gate, clock: HeldClock): Promise<void> {
	const parts = {
		clock,
		log: openSilentLog(),
		rates: testRates,
		frozen: new Set<string>(),
		lightning: undefined,
		book: brittleBook(till.book, gate),
		rails: [
			{
				...brittleRail(rail, gate),
				pay: (order) =>
					gate.pass(
						"pay",
						() => rail.pay(order),
						() => ({ state: "unknown", why: "told to" }) as const,
					),
				payment: (order) =>
					gate.pass(
						"payment",
						() => rail.payment(order),
						() => ({ state: "unknown", why: "told to" }) as const,
					),
			} satisfies Rail,
		],
	};
	const payouts = makePayouts(parts);
	try {
		const asked = await askPayout(parts, OPERATOR, { name: "first" });
		for (let waits = 0; !isProblem(asked) && waits < 4; waits++) {
			await payouts.advance(asked.id);
			const payout = await payoutOf(till, asked.id);
			if (!payout || !isUnderWay(payout)) break;
			clock.jump(60_000);
		}
	} catch (error) {
		// what dies says so; what a book or a rail refused is the next process's to go on with
		if (!(error instanceof Died) && gate.struck === "") throw error;
	}
	await payouts.stop();
}

/** The next process, on the same disk and the same Stripe; whoever clicked and heard nothing clicks again. */
async function nextProcess(stripe: StripeDouble, disk: Disk, clock: HeldClock, where: string): Promise<string> {
	const book = await disk.open();
	const rail = await openCards(stripe, clock);
	const till = openTill({ clock, book, rails: [rail] });
	const again = await askPayout(till, OPERATOR, { name: "first" });
	assert.ok(!isProblem(again), where);
	await till.payouts.advance(ID);
	const { course, terms } = await till.end(ID);
	const transfers = [...stripe.world.transfers.values()];
	assert.equal(transfers.length, course.state === "sent" ? 1 : 0, `${where}: ${course.state}`);
	const { earned, leaving, out } = await till.money();
	assert.deepEqual([leaving, earned + out], [0n, usd(100)], where);
	if (course.state === "sent") assert.equal(BigInt(transfers[0]?.amount as number), terms?.amount, where);
	else assert.equal(earned, usd(100), where);
	assert.equal(stripe.world.available, AVAILABLE - Number(transfers[0]?.amount ?? 0), where);
	await till.audit();
	await till.payouts.stop();
	await rail.close();
	await disk.close(book);
	return course.state;
}
