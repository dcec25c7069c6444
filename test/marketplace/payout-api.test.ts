import assert from "node:assert/strict";
import { afterEach, beforeEach, describe, it } from "node:test";
import { amount } from "#contracts/amount";
import { isProblem, type Problem } from "#contracts/problem";
import { openSilentLog } from "#host/log";
import { playConfig } from "#marketplace/config";
import { NO_LIGHTNING } from "#marketplace/rail/lightning";
import { openRails } from "#marketplace/rail/open";
import { heldClock } from "#test/support/clock";
import { DoubleLightning, DoubleRail, testRates } from "#test/support/doublerail";
import {
	carried,
	DAY_MS,
	movedBy,
	Person,
	refusedBy,
	startTestMarket,
	type TestMarket,
	TestRelay,
} from "#test/support/market";

const ADDRESS = "olga@wallet.example";

/** Gives a relay's operator so much, for traffic that somebody paid for. */
async function earn(market: TestMarket, relay: TestRelay, dollars: bigint): Promise<void> {
	const alice = new Person(market);
	await alice.fund(dollars * 1_100_000_000n);
	assert.equal((await relay.list()).status, 200);
	const grant = await alice.open({ relay: relay.key.publicKey, cap: amount(dollars * 1_000_000_000n) });
	const used = carried(dollars * 2_000_000_000n);
	const moved = movedBy((await relay.redeem({ tab: grant.tab, voucher: alice.voucher(grant, used), used }))[0]);
	assert.equal(moved, dollars * 1_000_000_000n);
}

function problemIn(answer: unknown): Problem {
	return isProblem(answer) ? answer : assert.fail("was not refused");
}

describe("an operator's payouts at the market's door", () => {
	let market: TestMarket;
	let rail: DoubleRail;
	let relay: TestRelay;
	const payouts = () => relay.operator.client.operator.payout;
	/** Lets minutes pass until something has come about; the book answers from a thread of its own. */
	const passing = async (what: string, holds: () => Promise<boolean>) => {
		for (const end = performance.now() + 20_000; !(await holds()); ) {
			assert(performance.now() < end, `waited in vain for ${what}`);
			await market.clock.advance(60_000);
			// a minute of the market's time is at least so long for its disk, or it would seem to have slept
			for (let polls = 0; polls < 200 && !(await holds()); polls++) await new Promise((done) => setTimeout(done, 5));
		}
	};
	const newest = async () => (await payouts().show.query()).newest;
	beforeEach(async () => {
		rail = new DoubleRail();
		const clock = heldClock();
		const lightning = new DoubleLightning(() => clock.nowMs());
		market = await startTestMarket({}, { clock, rails: [rail], rates: testRates, lightning });
		relay = new TestRelay(market);
		await earn(market, relay, 10n);
	});
	afterEach(() => market.end());

	it("show where they go, what each came to, and four numbers that are never added up", async () => {
		const fresh = await payouts().show.query();
		assert.deepEqual(
			[fresh.destination, fresh.threshold, fresh.feeMaxPpm, fresh.schedule, fresh.ways],
			[null, "1000000000", 10_000, "daily", ["lightning", "invoice"].map((kind) => ({ kind, rail: "double" }))],
		);
		assert.equal((await refusedBy(payouts().now.mutate({ id: "a" }))).problem, "not-found");
		const set = await payouts().set.mutate({ destination: { kind: "lightning", to: "Olga@Wallet.Example" } });
		assert.deepEqual([set.destination?.to, set.destination?.waitsUntilMs], [ADDRESS, null]);
		rail.fee = 3_000n;
		const paid = await payouts().now.mutate({ id: "a" });
		assert.equal(paid.state, "sent");
		const [gross, market_, rail_, net] = [paid.gross, paid.marketFee, paid.railFee, paid.net].map(BigInt as never);
		assert.equal(gross, (market_ as unknown as bigint) + (rail_ as unknown as bigint) + (net as unknown as bigint));
		const numbers = await relay.operator.client.operator.earnings.query();
		assert.equal(numbers.paidOut, paid.gross);
		assert.equal(BigInt(numbers.earned), 10_000_000_000n - BigInt(paid.gross ?? 0));
		assert.deepEqual([numbers.waiting, numbers.leaving], ["0", "0"]);
		assert.deepEqual(await payouts().now.mutate({ id: "a" }), paid, "asking again answers the same");
		assert.deepEqual(await payouts().list.query(), { payouts: [paid], next: null });
		assert.equal(rail.paid.length, 1);
	});

	it("stand on the statement with what the rail and the exchange took, and every purse adds up", async () => {
		await payouts().set.mutate({ destination: { kind: "lightning", to: ADDRESS } });
		rail.fee = 9_000n;
		const paid = await payouts().now.mutate({ id: "a" });
		const { lines } = await relay.operator.client.account.statement.query();
		const sum = (purse: string) =>
			lines.filter((line) => line.purse === purse).reduce((all, line) => all + BigInt(line.net), 0n);
		const sent = lines.find((line) => line.id === `payout:${paid.payout}:sent` && line.purse === "leaving");
		assert.deepEqual([sent?.railFee, sent?.exchangeFee], [paid.railFee, paid.marketFee]);
		assert(BigInt(paid.railFee ?? 0) > 0n);
		assert.equal(sum("leaving"), 0n);
		assert.equal(sum("earned"), 10_000_000_000n - BigInt(paid.gross ?? 0));
	});

	it("are never of play money in real money: such a market does not start", async () => {
		const deps = { clock: heldClock(), log: openSilentLog() };
		const config = { ...playConfig("/nowhere"), lightning: { ...NO_LIGHTNING, lndUrl: "https://127.0.0.1:1" } };
		const real = { ...config, lightning: { ...config.lightning, lightningNetwork: "bitcoin" as const } };
		assert.match(problemIn(await openRails(real, deps)).detail, /^Play money and real money/);
		assert.match(
			problemIn(await openRails(config, deps)).detail,
			/macaroon/,
			"on a test network it goes on to open it",
		);
		const card = {
			key: "sk_live_1",
			eventSecret: "x",
			thinEventSecret: undefined,
			returnUrl: "https://market.example",
		};
		assert.match(problemIn(await openRails({ ...playConfig("/nowhere"), card }, deps)).detail, /^Play money and real/);
	});

	it("are nobody else's", async () => {
		await payouts().set.mutate({ destination: { kind: "lightning", to: ADDRESS } });
		const { payout } = await payouts().now.mutate({ id: "a" });
		const mallory = new Person(market).client.operator.payout;
		assert.equal((await refusedBy(mallory.get.query({ payout }))).problem, "not-found");
		assert.deepEqual((await mallory.list.query()).payouts, []);
		assert.equal((await refusedBy(mallory.now.mutate({ id: "a" }))).problem, "not-found");
	});

	it("say clearly what is none: an address, an account, a way that is not open", async () => {
		for (const to of ["olga", "olga@", "a@b", "olga@wallet.example/x", "http://wallet.example", "o".repeat(250)])
			assert.equal(
				(await refusedBy(payouts().set.mutate({ destination: { kind: "lightning", to } }))).problem,
				"malformed",
				to,
			);
		const stripe = payouts().set.mutate({ destination: { kind: "stripe", to: "acct_1234567890" } });
		assert.equal((await refusedBy(stripe)).problem, "rail-closed");
		assert.equal((await refusedBy(payouts().now.mutate({ id: "a b" }))).problem, "malformed");
		assert.equal((await refusedBy(payouts().set.mutate({ feeMaxPpm: -1 }))).problem, "malformed");
	});

	it("say until when a changed destination waits", async () => {
		await payouts().set.mutate({ destination: { kind: "lightning", to: ADDRESS } });
		const changed = await payouts().set.mutate({ destination: { kind: "lightning", to: "m@evil.example" } });
		assert.equal(changed.destination?.waitsUntilMs, market.clock.nowMs() + DAY_MS);
		const waits = await refusedBy(payouts().now.mutate({ id: "a" }));
		assert.deepEqual(
			[waits.problem, waits.spent, waits.retry, waits.retryAfterMs],
			["destination-waits", "no", true, DAY_MS],
		);
		const same = await payouts().set.mutate({ destination: { kind: "lightning", to: "m@evil.example" } });
		assert.equal(same.destination?.waitsUntilMs, changed.destination?.waitsUntilMs, "the same again waits no longer");
	});

	it("go on after the market was stopped in the middle of one, by its chores alone", async () => {
		await payouts().set.mutate({ destination: { kind: "lightning", to: ADDRESS } });
		rail.fates.push("takes its time");
		const begun = await payouts().now.mutate({ id: "a" });
		assert.equal(begun.state, "sending");
		assert.equal((await relay.operator.client.operator.earnings.query()).leaving, begun.reserved);
		market = await market.restart();
		relay.where = market;
		relay.operator.where = market;
		rail.finish("sent");
		await passing("its end", async () => (await payouts().get.query({ payout: begun.payout })).state === "sent");
		assert.equal(rail.told.length, 1);
	});

	it("come by themselves to those who earned enough, once a day", async () => {
		await payouts().set.mutate({ destination: { kind: "lightning", to: ADDRESS }, threshold: "20000000000" });
		// the schedule has looked when it is due another day
		const looked = async () => (await payouts().show.query()).dueMs > market.clock.nowMs();
		await passing("a look", looked);
		assert.equal(rail.told.length, 0);
		await payouts().set.mutate({ threshold: null });
		await passing("a payout", async () => (await newest())?.state === "sent");
		await earn(market, relay, 5n);
		await passing("another look", looked);
		assert.equal(rail.paid.length, 1);
		market.clock.jump(DAY_MS);
		await passing("the next day's", async () => rail.paid.length === 2);
	});

	it("hold up no stop: a rail that does not answer is asked about by the next process", async () => {
		await payouts().set.mutate({ destination: { kind: "lightning", to: ADDRESS } });
		rail.onPay = () => new Promise(() => {});
		const asked = payouts().now.mutate({ id: "a" });
		for (const end = performance.now() + 20_000; (await newest())?.state !== "sending"; )
			assert(performance.now() < end, "waited in vain for the rail to be told");
		assert.equal(await market.stop(), true);
		assert.equal((await asked).state, "unknown");
		rail.onPay = () => {};
		market = await market.restart();
		relay.operator.where = market;
		market.clock.jump(15 * 60_000);
		await passing("its end", async () => (await newest())?.state === "failed");
		assert.equal((await newest())?.why, "It never left.");
	});
});
