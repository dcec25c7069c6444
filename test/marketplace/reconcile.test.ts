/** A rail held against the ledger: what may differ is explained, what may not is found, whoever lied, lost or took something. */

import assert from "node:assert/strict";
import { afterEach, beforeEach, describe, it } from "node:test";
import { problem } from "#contracts/problem";
import { openSilentLog } from "#host/log";
import { depositKey } from "#marketplace/funding/deposit";
import { fundRisk } from "#marketplace/funding/risk";
import { depositOf, type FundingMarket, startDeposit } from "#marketplace/funding/start";
import { openWatch, type Watch } from "#marketplace/funding/watch";
import { DIFFERENCES_MAX, type Reconciliation, reconcile } from "#marketplace/inspect/reconcile";
import { payerAccount, WORLD_PLAY } from "#marketplace/ledger/chart";
import type { PaymentState, Rail } from "#marketplace/rail/rail";
import { type HeldClock, heldClock } from "#test/support/clock";
import { DoubleRail } from "#test/support/doublerail";
import { crypto, fine } from "#test/support/market";
import { openTill, type Till, usd } from "#test/support/payouts";
import { heldRates, type ScriptedRail, scriptedRail } from "#test/support/rail";

const ADA = "a1".repeat(32);
const MINUTE_MS = 60_000;
const DAY_MS = 86_400_000;

let clock: HeldClock;
let rail: ScriptedRail;
let out: DoubleRail;
let till: Till;
let market: FundingMarket;
let watch: Watch;
/** what the provider holds beside what came and left */
let beside: bigint;
/** what of it the rail itself knows to be its owner's */
let stake: bigint;
/** the word of the rail, where a story wants another */
let lies: Map<string, PaymentState>;

beforeEach(async () => {
	clock = heldClock();
	out = new DoubleRail();
	out.fee = 3_000n;
	beside = 0n;
	stake = 0n;
	lies = new Map();
	rail = scriptedRail({
		ranges: { in: { min: 1_000n, max: 10n ** 12n }, out: { min: 1_000n, max: 10n ** 12n } },
		quote: async (way) => ({ fee: 0n, isAbout: way === "out" }),
		pay: (order) => out.pay(order),
		payment: async (order) => lies.get(order.id) ?? (await out.payment(order)),
		balance: async () => {
			const came = [...rail.said.values()].reduce(
				(sum, said) => sum + (said.state === "paid" ? said.amount - said.fee : 0n),
				0n,
			);
			const left = out.paid.reduce((sum, { amount: units }) => sum + units + out.fee, 0n);
			return { spendable: came - left + beside, pending: 0n, stake };
		},
	});
	till = openTill({ rails: [rail], clock });
	const { book } = till;
	market = {
		book,
		clock,
		crypto,
		log: openSilentLog(),
		rails: [rail],
		rates: heldRates(),
	};
	watch = openWatch(market);
});
afterEach(async () => {
	await watch.close();
	await till.payouts.stop();
	await till.book.close();
});

/** Ada's deposit of a dollar; the reference. */
async function begin(id = "first"): Promise<string> {
	const { reference } = fine(await startDeposit(market, ADA, { id, rail: rail.name, asked: usd(1) }));
	assert(reference);
	return reference;
}

/** A deposit that is paid, and credited unless nobody looks. */
async function deposit(id = "first", look = true): Promise<string> {
	const reference = await begin(id);
	rail.comes(reference, rail.orders.get(reference)?.amount ?? 0n, clock.nowMs());
	if (!look) return reference;
	rail.hint(reference);
	await watch.idle();
	assert.equal((await depositOf(market, depositKey(ADA, id)))?.state, "credited");
	return reference;
}

async function payout(name = "first") {
	await till.earn(usd(0.5));
	await till.goTo();
	return till.click({ name });
}

const look = (
	change: { rails?: readonly Rail[]; own?: Record<string, bigint>; sinceMs?: number } = {},
): Promise<Reconciliation> =>
	reconcile({ ledger: till.book, rails: [rail], nowMs: clock.nowMs(), sinceMs: 0, own: {}, ...change });

/** Something differs and one of the differences says so: all of them explained, or one that is not. */
function only(found: Reconciliation, explained: boolean, says: RegExp): void {
	const told = JSON.stringify(found.differences);
	assert.equal(found.holds, explained, told);
	assert.ok(
		found.differences.some((one) => one.explained === explained && says.test(one.says)),
		told,
	);
}

describe("a rail and the ledger", () => {
	it("that say the same leave nothing to say, with what came and what went", async () => {
		await deposit();
		const { terms } = await payout();
		const found = await look();
		assert.deepEqual([found.holds, found.differences, found.explained], [true, [], 0]);
		const [sums] = found.rails;
		assert.deepEqual([sums?.deposits, sums?.payouts, sums?.cameIn, sums?.beyond], [1, 1, 1_005_026n, 0n]);
		assert.equal(sums?.wentOut, (terms?.amount ?? 0n) + 3_000n);
	});

	it("differ while a deposit is in flight: it came and is not credited yet", async () => {
		await deposit("first", false);
		only(await look(), true, /Deposit ref-.*In flight: it came at the rail/);
	});

	it("differ by money that came and that nobody credited for hours: that is not in flight any more", async () => {
		await deposit("first", false);
		clock.jump(61 * MINUTE_MS);
		only(await look(), false, /Money came by it 1 hours ago and was never credited/);
	});

	it("differ by a fee on which the rail has settled since", async () => {
		const reference = await deposit();
		const said = rail.said.get(reference);
		assert(said?.state === "paid");
		rail.said.set(reference, { ...said, fee: 700n });
		only(await look(), true, /A fee: the rail took 700 for it, and the ledger counted 0/);
	});

	it("agree on a fee beyond its ceiling, which the ledger has too: it is said, and that the market bore it", async () => {
		await deposit();
		out.fee = 700_000n;
		const { terms } = await payout();
		assert.ok(terms && terms.feeMax < out.fee);
		const found = await look();
		only(found, true, /An overrun: the rail took 700000 for it, of \d+ allowed/);
		assert.deepEqual([found.explained, found.rails[0]?.beyond], [1, 0n]);
	});

	it("differ by a payout of which nobody knows what became", async () => {
		out.fates.push("sends, and the answer is lost");
		out.onPay = () => {
			out.away = true;
		};
		const { course } = await payout();
		assert.equal(course.state, "unknown");
		out.away = false;
		only(await look(), true, /In flight: the rail says "sent"/);
		out.away = true;
		lies.set(out.paid[0]?.id ?? "", { state: "unknown", why: "It does not say." });
		only(await look(), true, /An unknown payout: the rail was told, and nobody knows/);
	});

	it("differ by money that nobody started, until its owner says that it is theirs", async () => {
		await deposit();
		beside = 50_000_000n;
		const found = await look();
		only(found, false, /It holds 50000000 msat more.*money that nobody started here/);
		const own = { [rail.name]: found.rails[0]?.beyond ?? 0n };
		assert.equal((await look({ own })).holds, true);
		beside = 0n;
		only(await look({ own }), false, /50000000 msat less.*no payout sent/);
	});

	it("differ by what the rail knows to be its owner's own, which accepting does not count twice", async () => {
		await deposit();
		stake = 15_680_000_000n;
		beside = stake;
		only(await look(), true, /^15680000000 msat of what it holds were there before anything moved/);
		assert.equal((await look()).rails[0]?.beyond, 0n);
		beside = stake + 20_000_000n;
		only(await look(), false, /20000000 msat more .* money that nobody started/);
		const { rails } = await look();
		only(await look({ own: { [rail.name]: rails[0]?.beyond ?? 0n } }), true, /were there before/);
	});

	it("differ by rounding to whole satoshi, and by a channel's own fee, and not by more", async () => {
		await deposit();
		beside = -999n;
		only(await look(), true, /rounding, less than a satoshi for each movement/);
		beside = -10_000_000n;
		only(await look(), true, /no more than a channel's own fee/);
		beside = -10_000_001n;
		only(await look(), false, /money left that no payout sent/);
	});

	it("of cards are exact: a cent that nobody started is found", async () => {
		rail = scriptedRail({
			...rail,
			name: "card",
			unit: "cent",
			world: "world:card",
			balance: async () => ({ spendable: 1n, pending: 0n }),
		});
		only(await look({ rails: [rail] }), false, /It holds \$0\.01 more/);
	});

	it("of cards know the market's own reserve from money that nobody started", async () => {
		await fundRisk(till, usd(5));
		const card = scriptedRail({ name: "card", unit: "cent", world: "world:card" });
		assert.deepEqual((await look({ rails: [card] })).differences, []);
		const entries = [
			{ account: "world:card", nanos: -5n },
			{ account: payerAccount(ADA), nanos: 5n },
		];
		await till.book.apply([{ transfer: { id: "gift:1", cause: "A gift", atMs: 0, entries } }]);
		only(await look({ rails: [card] }), false, /moved by transfer gift:1, which no deposit and no payout started/);
	});

	it("differ by a transfer that no deposit and no payout started", async () => {
		const entries = [
			{ account: "world:lightning", nanos: -5n },
			{ account: payerAccount(ADA), nanos: 5n },
		];
		await till.book.apply([{ transfer: { id: "gift:1", cause: "A gift", atMs: 0, entries } }]);
		only(await look(), false, /\$0\.000000005 moved by transfer gift:1, which no deposit and no payout started/);
	});

	it("differ by a credit under the name of a deposit that was never credited", async () => {
		const reference = await begin();
		const entries = [
			{ account: "world:lightning", nanos: -5n },
			{ account: payerAccount(ADA), nanos: 5n },
		];
		await till.book.apply([
			{ transfer: { id: `deposit:scripted:${reference}`, cause: "A forgery", atMs: 0, entries } },
		]);
		only(await look(), false, /no deposit of that name was credited/);
	});

	it("differ by a deposit that was credited twice under two names", async () => {
		const reference = await deposit();
		const entries = [
			{ account: "world:lightning", nanos: -5n },
			{ account: payerAccount(ADA), nanos: 5n },
		];
		await till.book.apply([{ transfer: { id: `deposit:scripted:${reference}:9`, cause: "Again", atMs: 0, entries } }]);
		only(await look(), false, /world:lightning: the transfers come to .*, and the deposits and payouts to/);
	});

	it("differ when the rail takes its word back about what was credited (threat 16)", async () => {
		const reference = await deposit();
		for (const state of ["waiting", "ended", "absent"] as const) {
			rail.said.set(reference, { state });
			only(await look(), false, new RegExp(`It was credited, and the rail says "${state}"`));
		}
		rail.said.set(reference, { state: "returned", amount: 1_005_026n, atMs: clock.nowMs(), why: "dispute" });
		only(await look(), true, /In flight: it was taken back/);
		clock.jump(61 * MINUTE_MS);
		only(await look(), false, /disputed by the bank of whoever paid 1 hours ago, and the ledger counts another amount/);
		rail.said.set(reference, { state: "paid", amount: 1_000n, fee: 0n, atMs: clock.nowMs() });
		only(await look(), false, /More was credited than came/);
	});

	it("say the same of a payment that was taken back once the ledger has followed, and when it came again (threat 20)", async () => {
		const reference = await begin();
		const units = rail.orders.get(reference)?.amount ?? 0n;
		const paid = {
			state: "paid",
			amount: units,
			fee: 0n,
			atMs: clock.nowMs(),
			backUntilMs: clock.nowMs() + DAY_MS,
		} as const;
		const follow = async () => {
			rail.hint(reference);
			await watch.idle();
		};
		rail.said.set(reference, paid);
		await follow();
		rail.said.set(reference, { state: "returned", amount: units, atMs: clock.nowMs(), why: "dispute" });
		only(await look(), true, /In flight: it was taken back/);
		await follow();
		const found = await look();
		assert.deepEqual([found.differences, found.rails[0]?.cameIn], [[], 0n]);
		rail.said.set(reference, paid);
		only(await look(), true, /came again, and the ledger follows/);
		await follow();
		assert.deepEqual((await look()).differences, []);
	});

	it("differ by a payout that failed here and left there, and by one that is sent here and not there (threat 19)", async () => {
		const sent = await payout("sent");
		lies.set(sent.id, { state: "failed", why: "No route." });
		only(await look(), false, /It is sent here, and the rail says "failed"/);
		lies.set(sent.id, { state: "sent", amount: 1n, fee: 3_000n, proof: "", atMs: 1 });
		only(await look(), false, /Another amount left at the rail/);
		lies.clear();
		out.fates.push("fails");
		const failed = await till.end((await payout("failed")).id);
		assert.equal(failed.course.state, "failed");
		assert.equal((await look()).holds, true);
		lies.set(failed.id, { state: "sent", amount: 1n, fee: 0n, proof: "", atMs: 1 });
		only(await look(), false, /It is "failed" here, and the rail says "sent": money may have left that was given back/);
	});

	it("cannot be held against each other while the rail is away, which is asked no more after three times", async () => {
		for (const id of ["a", "b", "c", "d", "e", "f"]) await deposit(id);
		rail.down = true;
		const before = rail.asked;
		const away = { ...rail, balance: async () => problem("unavailable", "The node is away.") };
		const found = await look({ rails: [away] });
		assert.equal(found.holds, false);
		assert.ok(found.differences.some(({ says }) => /^Deposit .*could not be asked about it/.test(says)));
		assert.ok(rail.asked - before <= 2 * 8, "one round of questions side by side, twice");
	});

	it("cannot be held against each other where the rail was taken out of the settings", async () => {
		await deposit();
		only(await look({ rails: [] }), false, /This rail is not set up here now: its 1 deposits are held against nothing/);
	});

	it("what ended long ago is counted, and the rail is not asked about it again", async () => {
		await deposit();
		const asked = rail.asked;
		clock.jump(40 * DAY_MS);
		const found = await look({ sinceMs: clock.nowMs() - 30 * DAY_MS });
		assert.deepEqual([found.holds, rail.asked - asked, found.rails[0]?.deposits], [true, 0, 1]);
	});

	it("a ledger that is wrong everywhere fills no screen, and what is unexplained stands first", async () => {
		const entry = (n: number) => [
			{ account: WORLD_PLAY, nanos: -1n },
			{ account: payerAccount(n.toString(16).padStart(64, "0")), nanos: 1n },
		];
		const changes = Array.from({ length: 200 }, (_, n) => ({
			transfer: { id: `odd:${n}`, cause: "Odd", atMs: 0, entries: entry(n) },
		}));
		await till.book.apply(changes);
		await deposit("first", false);
		const play = scriptedRail({ name: "play", world: "world:play", unit: "nano" });
		const found = await look({ rails: [rail, play] });
		assert.ok(found.unexplained >= 50 && found.differences.length <= DIFFERENCES_MAX);
		assert.deepEqual(
			found.differences.map(({ explained }) => explained).sort(),
			found.differences.map(({ explained }) => explained),
		);
	});
});
