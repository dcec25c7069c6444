/** The story on the tape: told once to a real node, when the tape is made, and again to the tape by `npm test`. Both times all of it must hold. */

import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { isProblem } from "#contracts/problem";
import { type Clock, systemClock } from "#host/clock";
import { openLnd } from "#marketplace/rail/lnd";
import type { PayOrder, Rail } from "#marketplace/rail/rail";
import { fine } from "#test/support/market";
import type { Tape } from "./tape.ts";

/** The key of the story's deposits, for tests alone. */
const KEY = new Uint8Array(32).fill(7);

/** A clock whose wall time is the story's: what is asked must be the same each time. */
export const storyClock = (nowMs: () => number): Clock => ({ ...systemClock, nowMs });

const RANGE = { min: 1_000n, max: 1_000_000_000n };

/** The rail of the story. */
export async function storyRail(url: string, macaroonPath: string, clock: Clock): Promise<Rail> {
	return fine(
		await openLnd(
			{
				url,
				macaroonPath,
				certPath: undefined,
				network: "simnet",
				ranges: { in: RANGE, out: RANGE },
				payMsMax: 20_000,
			},
			{ clock, preimageKey: KEY },
		),
	);
}

/** An order of the story. */
export const payout = (to: string | undefined, amount: bigint, feeMax = 50_000n): PayOrder => ({
	id: "payout",
	to: to ?? assert.fail("the tape has no such fact"),
	amount,
	feeMax,
});

/** Tells the story. `act` is what somebody else does meanwhile: for real the first time, nothing afterwards. */
export async function tell(
	rail: Rail,
	clock: { nowMs: number },
	facts: Tape["facts"],
	act: (what: string, does: () => Promise<void>) => Promise<void>,
	world: Record<string, (detail: string) => Promise<void>>,
): Promise<void> {
	const does = (what: string, detail: string) => act(what, () => world[what]?.(detail) ?? assert.fail(what));
	const begin = clock.nowMs;
	assert.equal(await rail.check(), undefined);
	assert.ok(fine((await rail.balance()) ?? assert.fail()).spendable > 1_000_000_000n);

	const order = { id: "first", amount: 5_000_000n, text: "Farelay", expiresAtMs: begin + 600_000 };
	const first = fine(await rail.start(order));
	assert.deepEqual(fine(await rail.start(order)), first);
	const other = await rail.start({ ...order, amount: 5_000_001n });
	assert.ok(isProblem(other) && other.problem === "conflict");
	assert.deepEqual(await rail.deposit(first.reference), { state: "waiting" });
	assert.ok(first.pay.kind === "invoice");
	const hints: string[] = [];
	const cancel = rail.onEvent((reference) => hints.push(reference));
	await does("listens", "");
	await does("pays", first.pay.invoice);
	const end = performance.now() + 10_000;
	while (!hints.includes(first.reference)) {
		assert.ok(performance.now() < end, "no hint came");
		await new Promise((resolve) => setTimeout(resolve, 10));
	}
	cancel();
	const paid = fine(await rail.deposit(first.reference));
	assert.ok(paid.state === "paid" && paid.amount === 5_000_000n && paid.fee === 0n);

	const late = fine(await rail.start({ ...order, id: "late" }));
	await does("cancels", late.reference);
	assert.deepEqual(await rail.deposit(late.reference), { state: "ended" });
	assert.deepEqual(await rail.deposit(createHash("sha256").update("strange").digest("hex")), { state: "absent" });

	const good = payout(facts.good, 3_000_000n);
	const never = fine(await rail.payment(good));
	assert.equal(never.state, "unknown");
	const sent = await rail.pay(good);
	assert.ok(sent.state === "sent" && sent.amount === 3_000_000n && sent.fee === 1_003n);
	assert.deepEqual(await rail.payment(good), sent);
	assert.deepEqual(await rail.pay(good), sent);
	const free = await rail.pay(payout(facts.free, 2_000_001n));
	assert.ok(free.state === "sent" && free.amount === 2_000_001n);

	const low = payout(facts.low, 3_000_000n, 1_002n);
	const refused = { state: "failed", why: "there is no way to the receiver within the fee ceiling" };
	assert.deepEqual(await rail.pay(low), refused);
	assert.deepEqual(await rail.payment(low), refused);
	const gone = await rail.pay(payout(facts.gone, 3_000_000n));
	assert.deepEqual(gone, { state: "failed", why: "the receiver does not know the invoice, or not any more" });
	const own = await rail.pay(payout(facts.own, 3_000_000n));
	assert.ok(own.state === "failed" && /self/.test(own.why));

	const held = payout(facts.held, 4_000_000n);
	await does("holds", held.to);
	assert.deepEqual(await rail.payment(held), { state: "sending" });
	await does("settles", held.to);
	const settled = fine(await rail.payment(held));
	assert.ok(settled.state === "sent" && settled.fee === 1_004n);

	const unused = payout(facts.unused, 1_000_000n);
	assert.equal(fine(await rail.payment(unused)).state, "unknown");
	clock.nowMs = begin + 3_600_000 + 240_000;
	assert.deepEqual(await rail.payment(unused), { state: "absent" });
	assert.deepEqual(await rail.pay(unused), { state: "failed", why: "the invoice has ended" });
	clock.nowMs = begin;
}
