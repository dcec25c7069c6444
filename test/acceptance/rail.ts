/** What every rail must do. Run by each engine's test; see `services/marketplace/rail/rail.ts`. */

import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { after, before, describe, it } from "node:test";
import { isProblem } from "#contracts/problem";
import type { DepositState, PaymentState, PayOrder, Rail, Started, StartOrder } from "#marketplace/rail/rail";
import { fine } from "#test/support/market";

/** A rail, and the world at its other end: who pays in, and who is paid. */
export type RailBench = {
	readonly rail: Rail;
	/** amounts that fit the rail and its other end */
	readonly amounts: { readonly in: bigint; readonly out: bigint };
	/** what a payment out may cost */
	readonly feeMax: bigint;
	nowMs(): number;
	/** somebody pays what `start` answered; undefined where nobody has to */
	readonly payIn?: (started: Started) => Promise<void>;
	/** somebody agrees to pay every month, and pays the first; another month later: references of what was paid. For a rail that has `monthly` */
	readonly months?: {
		first(started: Started): Promise<void>;
		next(started: Started): Promise<void>;
	};
	/** a place that takes a payment out of this amount; undefined for a rail that pays nothing out */
	readonly destination?: (amount: bigint) => Promise<string>;
	/** what has arrived there, in the rail's unit */
	readonly arrived?: (to: string) => Promise<bigint>;
	/** places that no money may leave for */
	readonly nowhere?: readonly string[];
	/** a well-formed reference that the rail never gave out */
	readonly strange: string;
	close(): Promise<void>;
};

/** How long anything may take to settle at the other end. */
const SETTLE_MS_MAX = 30_000;

/** Asks again until it holds. */
async function until<T>(what: string, ask: () => Promise<T>, holds: (answer: T) => boolean): Promise<T> {
	const end = performance.now() + SETTLE_MS_MAX;
	for (;;) {
		const answer = await ask();
		if (holds(answer)) return answer;
		if (performance.now() > end) assert.fail(`waited in vain for ${what}`);
		await new Promise((resolve) => setTimeout(resolve, 50));
	}
}

/** The suite. `open` starts the rail and its other end once; what a test does is under ids of its own. */
export function railAcceptance(name: string, open: () => Promise<RailBench>): void {
	describe(`the rail ${name}`, () => {
		let bench: RailBench;
		before(async () => {
			bench = await open();
		});
		after(() => bench?.close());

		const order = (more: Partial<StartOrder> = {}): StartOrder => ({
			id: randomBytes(16).toString("hex"),
			amount: bench.amounts.in,
			text: "Farelay: a deposit",
			expiresAtMs: bench.nowMs() + 600_000,
			...more,
		});
		const begun = async (more: Partial<StartOrder> = {}) => {
			const asked = order(more);
			return { asked, started: fine(await bench.rail.start(asked)) };
		};
		const deposit = async (reference: string): Promise<DepositState> => fine(await bench.rail.deposit(reference));
		const paid = (reference: string) =>
			until(
				"the deposit to be paid",
				() => deposit(reference),
				({ state }) => state === "paid",
			);
		/** All that the rail has, once it has told the same for a while: a payment that was made is not done at once on both sides. */
		const calm = async (): Promise<bigint | undefined> => {
			let [last, times]: [bigint | undefined, number] = [undefined, 0];
			return until(
				"the balance to stand still",
				async () => {
					const found = await bench.rail.balance();
					const now = found && fine(found).spendable + fine(found).pending;
					times = now === last ? times + 1 : 0;
					last = now;
					return now;
				},
				() => times >= 6,
			);
		};
		const goesOut = () => bench.rail.ranges.out !== undefined && bench.destination !== undefined;
		const payout = async (more: Partial<PayOrder> = {}): Promise<PayOrder> => ({
			id: randomBytes(16).toString("hex"),
			to: (await bench.destination?.(bench.amounts.out)) ?? "",
			amount: bench.amounts.out,
			feeMax: bench.feeMax,
			...more,
		});
		const ends = (asked: PayOrder) =>
			until(
				"the payment to end",
				async () => fine(await bench.rail.payment(asked)),
				({ state }) => state === "sent" || state === "failed",
			);

		it("is well, says what it can do, and quotes both ways within its bounds", async () => {
			const { rail, amounts } = bench;
			assert.equal(await rail.check(), undefined);
			assert.match(rail.name, /^[a-z][a-z0-9-]{1,39}$/);
			for (const way of ["in", "out"] as const) {
				const range = rail.ranges[way];
				if (!range) {
					assert.ok(isProblem(await rail.quote(way, 1n)), `${way} is not open`);
					continue;
				}
				assert.ok(range.min > 0n && range.min <= amounts[way] && amounts[way] <= range.max);
				assert.ok(fine(await rail.quote(way, amounts[way])).fee >= 0n);
				assert.ok(isProblem(await rail.quote(way, range.max + 1n)));
				assert.ok(isProblem(await rail.quote(way, 0n)));
			}
		});

		it("a deposit waits until somebody pays, is paid in full then, and stays so however often one asks", async () => {
			const { asked, started } = await begun();
			assert.ok(started.reference.length > 0 && started.reference.length <= 200);
			assert.ok(started.expiresAtMs > bench.nowMs());
			if (bench.payIn) {
				assert.deepEqual(await deposit(started.reference), { state: "waiting" });
				await bench.payIn(started);
			}
			const first = await paid(started.reference);
			assert.ok(first.state === "paid" && first.amount === asked.amount && first.fee >= 0n);
			assert.ok(Number.isSafeInteger(first.atMs) && first.atMs > 0);
			assert.deepEqual(await deposit(started.reference), first);
		});

		it("the same deposit begun again, at once or after it was paid, is the same deposit", async () => {
			const { asked, started } = await begun();
			const again = await Promise.all([bench.rail.start(asked), bench.rail.start(asked)]);
			for (const each of again) assert.equal(fine(each).reference, started.reference);
			await bench.payIn?.(started);
			await paid(started.reference);
			assert.equal(fine(await bench.rail.start(asked)).reference, started.reference);
			assert.equal((await deposit(started.reference)).state, "paid");
		});

		it("two deposits are two, though they are alike", async () => {
			const [one, other] = [await begun(), await begun()];
			assert.notEqual(one.started.reference, other.started.reference);
			await bench.payIn?.(one.started);
			await paid(one.started.reference);
			if (bench.payIn) assert.equal((await deposit(other.started.reference)).state, "waiting");
		});

		it("what comes every month waits for somebody who agrees, is each month a deposit of its own, and is over when it was stopped", async () => {
			const { rail, months } = bench;
			if (!rail.monthly || !months) return assert.equal(rail.monthly, months, "it has both, or neither");
			const asked = order();
			const started = fine(await rail.monthly.start(asked));
			assert.equal(fine(await rail.monthly.start(asked)).reference, started.reference, "begun again it is the same");
			assert.deepEqual(await deposit(started.reference), { state: "waiting" });
			await months.first(started);
			await months.next(started);
			const running = await deposit(started.reference);
			assert.ok(running.state === "monthly" && !running.isOver && !running.isFailing, JSON.stringify(running));
			assert.equal(new Set(running.months).size, 2);
			for (const month of running.months) {
				const came = await paid(month);
				assert.ok(came.state === "paid" && came.amount === asked.amount);
			}
			for (const _ of "twice") {
				const stopped: DepositState = fine(await rail.monthly.stop(started.reference));
				assert.deepEqual(stopped, { ...running, isOver: true });
			}
			const other = fine(await rail.monthly.start(order()));
			assert.deepEqual(await rail.monthly.stop(other.reference), { state: "ended" }, "before anybody agreed");
			assert.deepEqual(await rail.monthly.stop(bench.strange), { state: "absent" });
			for (const amount of [0n, -1n, (rail.ranges.in?.max ?? 0n) + 1n])
				assert.ok(isProblem(await rail.monthly.start(order({ amount }))), String(amount));
		});

		it("threat 18: an amount of nothing, below or above what it takes begins no deposit", async () => {
			const { min, max } = bench.rail.ranges.in ?? assert.fail("nothing can come in");
			for (const amount of [0n, -1n, min - 1n, max + 1n, 2n ** 70n])
				assert.ok(isProblem(await bench.rail.start(order({ amount }))), String(amount));
		});

		it("threat 18: knows nothing of references that it did not give out, however odd", async () => {
			assert.deepEqual(await deposit(bench.strange), { state: "absent" });
			for (const odd of ["", "x", "../../secret", "é".repeat(80), "a".repeat(5_000), "%00", "?a=b"])
				assert.deepEqual(await deposit(odd), { state: "absent" }, odd.slice(0, 20));
		});

		it("takes texts in any script, and ids of every length that is allowed", async () => {
			for (const text of ["", "Σ σοφός 漢字 🐎", "a".repeat(100), 'quotes " and \\ and \n'])
				fine(await bench.rail.start(order({ text })));
			for (const id of [randomBytes(4).toString("hex"), randomBytes(32).toString("hex")])
				fine(await bench.rail.start(order({ id })));
		});

		it("hints at a deposit that was paid", async () => {
			if (!bench.payIn) return;
			const hints: string[] = [];
			const cancel = bench.rail.onEvent((reference) => hints.push(reference));
			try {
				// what is listened to takes a moment to be open, and a hint may be lost: it is enough that one of several comes
				await until(
					"a hint",
					async () => {
						const { started } = await begun();
						await bench.payIn?.(started);
						await paid(started.reference);
						return hints.includes(started.reference);
					},
					(heard) => heard,
				);
			} finally {
				cancel();
			}
		});

		it("pays out what was ordered, with a proof, for no more than the fee that was allowed", async () => {
			if (!goesOut()) return;
			const asked = await payout();
			const said = await bench.rail.pay(asked);
			assert.ok(said.state === "sent" || said.state === "sending", JSON.stringify(said, showBigint));
			const sent = await ends(asked);
			assert.ok(sent.state === "sent", JSON.stringify(sent, showBigint));
			assert.ok(sent.amount === asked.amount && sent.fee >= 0n && sent.fee <= asked.feeMax && sent.proof.length > 0);
			await until(
				"the money to arrive",
				async () => bench.arrived?.(asked.to),
				(came) => came === asked.amount,
			);
		});

		it("threat 19: the same payment ordered again, at once and later, pays once", async () => {
			if (!goesOut()) return;
			const asked = await payout();
			const said = await Promise.all([bench.rail.pay(asked), bench.rail.pay(asked), bench.rail.pay(asked)]);
			const first = await ends(asked);
			assert.equal(first.state, "sent");
			for (const each of said) assert.notEqual(each.state, "failed", JSON.stringify(each, showBigint));
			const before = await calm();
			const again = await bench.rail.pay(asked);
			assert.deepEqual(proofOf(again), proofOf(first));
			assert.deepEqual(proofOf(fine(await bench.rail.payment(asked))), proofOf(first));
			assert.equal(await bench.arrived?.(asked.to), asked.amount);
			assert.equal(await calm(), before);
		});

		it("threat 19: a payment that it never had is not said to be sent, failed or under way", async () => {
			if (!goesOut()) return;
			const { state } = fine(await bench.rail.payment(await payout()));
			assert.ok(state === "absent" || state === "unknown", state);
		});

		it("threat 18: pays nothing to nowhere, and no amount that it may not", async () => {
			const { rail, nowhere = [] } = bench;
			const out = rail.ranges.out;
			if (!goesOut() || !out) return;
			const before = await calm();
			for (const to of [...nowhere, "", "nonsense", "x".repeat(20_000)]) {
				const said = await rail.pay(await payout({ to }));
				assert.equal(said.state, "failed", `${to.slice(0, 30)}: ${JSON.stringify(said, showBigint)}`);
			}
			for (const amount of [0n, -1n, out.min - 1n, out.max + 1n]) {
				const said = await rail.pay(await payout({ amount }));
				assert.equal(said.state, "failed", `${amount}: ${JSON.stringify(said, showBigint)}`);
			}
			assert.equal(await calm(), before);
		});

		it("its balance falls by what was sent and its fee, and rises by what came", async () => {
			const { rail } = bench;
			let expected = await calm();
			if (expected === undefined) return;
			if (goesOut()) {
				const asked = await payout();
				await rail.pay(asked);
				const sent = await ends(asked);
				assert.ok(sent.state === "sent");
				expected -= sent.amount + sent.fee;
			}
			if (bench.payIn) {
				const { started } = await begun();
				await bench.payIn(started);
				const came = await paid(started.reference);
				assert.ok(came.state === "paid");
				expected += came.amount - came.fee;
			}
			assert.equal(await calm(), expected);
		});
	});
}

const showBigint = (_: string, value: unknown) => (typeof value === "bigint" ? String(value) : value);

/** What must be the same of a payment however often it is asked for. */
function proofOf(said: PaymentState): unknown {
	return said.state === "sent" ? [said.amount, said.fee, said.proof] : said;
}
