/** Tabs that somebody else pays for: what is reserved of whom, what goes back to whom, what is counted, and what no sponsor can take back. */

import assert from "node:assert/strict";
import { beforeEach, describe, it } from "node:test";
import { amount } from "#contracts/amount";
import { billOf, readBill } from "#contracts/bill";
import { fromHex } from "#contracts/bytes";
import { signMarketKey } from "#contracts/market";
import { isProblem } from "#contracts/problem";
import { ownTranche } from "#contracts/tranche";
import { COMMONS, earnedAccount, holdAccount, MARKET_FEES, poolAccount } from "#marketplace/ledger/chart";
import { openMemoryBook } from "#marketplace/ledger/memory";
import { move } from "#marketplace/ledger/post";
import { signers } from "#marketplace/market";
import { checkTabs } from "#marketplace/tab/check";
import { sweep } from "#marketplace/tab/sweep";
import type { Tab } from "#marketplace/tab/tab";
import { billed, billToSign } from "#marketplace/tab/tab";
import { DOLLAR, Funds, kept, OTHER_POOL, POOL, pass, Somebody } from "#test/support/funds";
import { crypto, DAY_MS, fine, toHex } from "#test/support/market";

const MB = 1_000_000n;
/** What an MB costs that is kept for two weeks: its ask, and with the market's fee. */
const ASK = 2_056_000n;
const BURNED = ASK + 41_120n;

describe("a tab that others pay for", () => {
	let funds: Funds;
	const alice = new Somebody();

	beforeEach(async () => {
		funds = new Funds(openMemoryBook());
		await funds.put(poolAccount(POOL), DOLLAR);
	});

	const free = (account: string) => funds.book.balance(account);
	const proved = async () => assert.deepEqual((await funds.book.audit([checkTabs])).findings, []);

	it("costs a person with nothing nothing: the pool pays the ask and the market's fee, and has back what was not used", async () => {
		funds.held.person = { passes: [pass(POOL)] };
		const tab = fine(await funds.open(alice, 10n * ASK));
		assert.equal(await free(holdAccount(tab.tab)), 10n * BURNED);
		assert.equal(await free(poolAccount(POOL)), DOLLAR - 10n * BURNED);
		assert(!isProblem(await funds.redeem(alice, tab, kept(3n * MB))));
		await proved();
		const closed = fine(await funds.close(alice, tab, kept(4n * MB)));
		assert.equal(closed.returned, 0n, "nothing of it was the person's");
		assert.equal(await free(poolAccount(POOL)), DOLLAR - 4n * BURNED);
		assert.equal(
			await free(earnedAccount(toHex(funds.operator.publicKey))),
			4n * ASK,
			"the operator has its whole ask",
		);
		assert.equal(await free(MARKET_FEES), 4n * 41_120n);
		assert.equal(await free(COMMONS), 0n, "no solidarity fee is taken of a sponsor's money");
		await proved();
	});

	it("takes pool, commons and own money in this order, and each has its own back to the nano", async () => {
		await funds.put(COMMONS, 10n * DOLLAR);
		await funds.put(alice.purse, DOLLAR);
		funds.held.person = { passes: [pass(POOL, { monthBytes: 2n * MB })], country: "MW", evidence: "strong" };
		const tab = fine(await funds.open(alice, 200n * ASK));
		assert.deepEqual(
			tab.tranches.map(({ fund, cap }) => [fund, cap / ASK]),
			[
				["pool", 2n],
				["commons", 100n],
				["own", 98n],
			],
		);
		const before = { own: await free(alice.purse), commons: await free(COMMONS) };
		const used = fine(await funds.close(alice, tab, kept(52n * MB)));
		const bill = billed(used);
		assert.equal(await free(poolAccount(POOL)), DOLLAR - 2n * BURNED);
		assert.equal(10n * DOLLAR + bill.solidarityFee - (await free(COMMONS)), bill.commons);
		assert.equal(DOLLAR - (await free(alice.purse)), bill.payer);
		assert.equal(bill.payer + bill.commons + bill.pools, bill.total);
		assert.equal(used.returned, (await free(alice.purse)) - before.own);
		// half a percent of the income of the poorer 40 % for 100 MB: never more for any of them
		assert(bill.payer <= 50n * 2_100_000n && bill.payer > 0n && bill.commons > 0n);
		await proved();
	});

	it("is counted when it is opened, and taken off every counter by what it did not spend, in the same change", async () => {
		await funds.put(COMMONS, DOLLAR);
		await funds.put(alice.purse, DOLLAR);
		funds.held.relay = { room: 3n * BURNED, isNewOperator: true };
		funds.held.person = {
			...{ passes: [pass(POOL, { monthBytes: 2n * MB, isVouched: true })], country: "MW", evidence: "said" },
		};
		const tab = fine(await funds.open(alice, 4n * ASK));
		const counted = await funds.counted();
		const of = (word: string) => Object.entries(counted).filter(([key]) => key.startsWith(word));
		assert.deepEqual(
			of(`fund:${POOL}`)
				.map(([key, nanos]) => [key.split(" ")[1], nanos])
				.sort(),
			[
				["burned", 2n * BURNED],
				["day.burned", 2n * BURNED],
				["day.said", 2n * BURNED],
				["new", 2n * BURNED],
			].map(([name, nanos]) => [name, String(nanos)]),
		);
		assert.deepEqual(
			of("use:")
				.map(([key]) => key.split(" ")[1])
				.sort(),
			["commons", "elsewhere"],
		);
		assert(of("pair:").length === 2 && of("to:").length === 2 && of("at:").length === 1 && of("pass:").length === 2);
		assert(!JSON.stringify(of("pair:")).includes(alice.id), "nobody reads from it who wrote to whom");
		fine(await funds.close(alice, tab, kept(0n)));
		assert.deepEqual(await funds.counted(), {});
		await proved();
	});

	it("uses quota up, and the next month it is there again", async () => {
		funds.held.person = { passes: [pass(POOL, { monthBytes: 5n * MB })] };
		const first = fine(await funds.open(alice, 3n * ASK));
		const { tranches, reasons } = await funds.quote(alice, 3n * ASK);
		assert.deepEqual(
			tranches.map(({ fund, cap }) => [fund, cap]),
			[
				["pool", 2n * ASK],
				["own", ASK],
			],
		);
		assert.deepEqual(
			reasons.map(({ code }) => code),
			["quota-used", "pool-pays", "no-country"],
		);
		assert.equal(reasons[0]?.untilMs, Date.UTC(2026, 5, 1));
		fine(await funds.close(alice, first, kept(3n * MB)));
		assert.equal((await funds.quote(alice, 3n * ASK)).tranches[0]?.cap, 2n * ASK, "what was used stays used");
		await funds.clock.advance(30 * DAY_MS);
		assert.equal((await funds.quote(alice, 3n * ASK)).tranches[0]?.cap, 3n * ASK);
	});

	it("uses a fund's day up, and the next day begins anew: what a tab of the day before gives back is not today's", async () => {
		funds.held.person = { passes: [pass(POOL)] };
		funds.held.funds = { dayLimit: 3n * BURNED };
		const cap = async () => (await funds.quote(alice, 9n * ASK)).tranches.find(({ fund }) => fund === "pool")?.cap;
		const first = fine(await funds.open(alice, 2n * ASK));
		assert.equal(await cap(), ASK);
		await funds.clock.advance(DAY_MS / 2);
		assert.equal(await cap(), 3n * ASK, "it is another day");
		const second = fine(await funds.open(alice, 2n * ASK));
		fine(await funds.close(alice, first, kept(0n)));
		assert.equal(await cap(), ASK);
		fine(await funds.close(alice, second, kept(0n)));
		assert.equal(await cap(), 3n * ASK);
		assert.deepEqual(await funds.counted(), {});
	});

	it("is decided again when it is ordered: another answer than was quoted is a conflict, and nothing is reserved", async () => {
		funds.held.person = { passes: [pass(POOL), pass(OTHER_POOL)] };
		const { tranches } = await funds.quote(alice, 10n * ASK);
		funds.held.funds = { state: "paused" };
		const refused = await funds.open(alice, 10n * ASK, tranches);
		assert(isProblem(refused) && refused.problem === "conflict");
		assert.equal(await free(poolAccount(POOL)), DOLLAR);
		assert.deepEqual(await funds.counted(), {});
		funds.held.funds = {};
		const other = [{ ...tranches[0], pool: fromHex(OTHER_POOL) as Uint8Array }] as typeof tranches;
		const wished = await funds.open(alice, 10n * ASK, other);
		assert(isProblem(wished) && wished.problem === "conflict", "nobody chooses the pool that pays");
	});

	it("lives a day at most, and whoever wants to pay all themselves may, for a week", async () => {
		await funds.put(alice.purse, DOLLAR);
		funds.held.person = { passes: [pass(POOL)] };
		const { tranches } = await funds.quote(alice, ASK);
		for (const [cut, lifeMs, wanted] of [
			[tranches, DAY_MS + 1, "malformed"],
			[tranches, DAY_MS, undefined],
			[[ownTranche(amount(ASK))], 7 * DAY_MS, undefined],
		] as const) {
			const order = { ...funds.order(alice, ASK, cut), lifeMs };
			const { openTab } = await import("#marketplace/tab/tabs");
			const { signOpen } = await import("#contracts/tab");
			const opened = await openTab(funds.market, order, signOpen(crypto, order, alice.keys));
			assert.equal(isProblem(opened) ? opened.problem : undefined, wanted);
		}
		assert.equal(await free(poolAccount(POOL)), DOLLAR - BURNED);
	});

	it("threat 20: a sponsor takes back what is not reserved, changes its rules, and what was granted is paid all the same", async () => {
		funds.held.person = { passes: [pass(POOL)] };
		const tab = fine(await funds.open(alice, 10n * ASK));
		const left = await free(poolAccount(POOL));
		const take = (nanos: bigint, id: string) =>
			funds.book.apply([
				{
					transfer: move(
						{ id, cause: "taken back", atMs: 1 },
						[{ account: poolAccount(POOL), nanos: amount(nanos) }],
						[{ account: alice.purse, nanos: amount(nanos) }],
					),
				},
			]);
		const [over] = await take(left + 1n, "more-than-is-free");
		assert(typeof over === "object" && over.refused === "overdraft", "what is reserved is nobody's to take");
		assert.deepEqual(await take(left, "all-that-is-free"), ["applied"]);
		funds.held.funds = { state: "ended", rules: undefined };
		funds.held.person = { passes: [] };
		assert(!isProblem(await funds.redeem(alice, tab, kept(9n * MB))));
		assert.equal(await free(earnedAccount(toHex(funds.operator.publicKey))), 9n * ASK);
		const { tranches } = await funds.quote(alice, ASK);
		assert.equal(tranches[0]?.fund, "own", "and nothing new is granted");
		await funds.clock.advance(3 * DAY_MS);
		funds.market.book.tabs({ by: "deadline", state: "open", beforeMs: Number.MAX_SAFE_INTEGER, limit: 1 });
		assert.equal(await sweep(funds.market), 1);
		assert.equal(await free(poolAccount(POOL)), BURNED, "what was not spent is the pool's again");
		await proved();
	});

	it("gives its payer a signed bill that says who paid what, and the relay's receipt says nothing of it", async () => {
		funds.held.person = { passes: [pass(POOL, { monthBytes: 2n * MB })] };
		await funds.put(alice.purse, DOLLAR);
		const tab = fine(await funds.open(alice, 5n * ASK));
		const result = await funds.redeem(alice, tab, kept(3n * MB));
		assert(result && !isProblem(result));
		const { root } = funds;
		const nowMs = funds.clock.nowMs();
		const key = signMarketKey(crypto, root, root.publicKey, nowMs - DAY_MS, nowMs + DAY_MS);
		const paid: Tab = { ...tab, paid: { ...kept(3n * MB), nanos: amount(3n * ASK) } };
		const { bytes } = signers(funds.market).bill(billToSign(paid, nowMs));
		const read = fine(readBill(crypto, bytes, [key]));
		assert.deepEqual(read.bill, billOf(amount(3n * ASK), tab.tranches, tab.fees));
		assert.equal(read.bill.pools, 2n * BURNED);
		assert.equal(read.bill.payer, BURNED + 41_120n, "both fees on what is the payer's own");
		assert(!result.receipt.includes(POOL));
	});

	it("refuses at the queue of a fund what would wait too long, and nobody waits for each other", async () => {
		const { turns } = funds.market;
		const gate = Promise.withResolvers<void>();
		const order: string[] = [];
		const first = turns.take(["b", "a"], async () => {
			await gate.promise;
			order.push("first");
		});
		const rest = Array.from({ length: 1_005 }, (_, i) =>
			turns.take(i % 2 ? ["a"] : ["a", "b"], async () => order.push(String(i))),
		);
		const free = turns.take(["c"], async () => order.push("elsewhere"));
		await free;
		gate.resolve();
		await first;
		const answers = await Promise.all(rest);
		assert(answers.filter(isProblem).length >= 5);
		assert.deepEqual(order.slice(0, 2), ["elsewhere", "first"]);
		assert.equal(await turns.take(["a", "b"], async () => "empty again"), "empty again");
	});
});
