/** What must be true of pools on every engine of the book, told with a foundation, two neighbours who give by card, and people who are paid for (threat 20). */

import assert from "node:assert/strict";
import { afterEach, beforeEach, describe, it } from "node:test";
import { amount, parseDollars } from "#contracts/amount";
import { isProblem, type Problem } from "#contracts/problem";
import { openSilentLog } from "#host/log";
import { type Deposit, readDeposit } from "#marketplace/funding/deposit";
import { lookAt } from "#marketplace/funding/look";
import { beginStop } from "#marketplace/funding/monthly";
import { type FundingMarket, startDeposit } from "#marketplace/funding/start";
import { refundDeposit } from "#marketplace/funding/wish";
import type { Book } from "#marketplace/ledger/book";
import {
	freshAccount,
	holdAccount,
	owedAccount,
	payerAccount,
	poolAccount,
	poolFreshAccount,
} from "#marketplace/ledger/chart";
import { type Pool, readPool, writePool } from "#marketplace/pool/pool";
import { createPool, fundPool, poolOf, poolsOf, setRules, steer, takeFromPool } from "#marketplace/pool/pools";
import type { PoolRules } from "#marketplace/sponsor/rules";
import { type HeldClock, heldClock } from "#test/support/clock";
import { crypto, DAY_MS, fine } from "#test/support/market";
import { heldRates, type ScriptedRail, scriptedRail } from "#test/support/rail";

const FOUNDATION = "f0".repeat(32);
const ADA = "a1".repeat(32);
const BEN = "b2".repeat(32);
const POOL = "d4".repeat(16);
const DOLLAR = 1_000_000_000n;
const START_MS = Date.UTC(2026, 8, 1, 12);

const dollars = (text: string) => parseDollars(text) ?? amount(0n);
const RULES: PoolRules = {
	countries: ["KE", "UG"],
	enrollers: [],
	monthBytes: 100_000_000n,
	dayBytes: 10_000_000n,
	dayLimit: 5n * DOLLAR,
	fromMs: START_MS,
};

/** The suite. */
export function poolsSuite(name: string, open: () => Promise<Book>): void {
	describe(`pools on ${name}`, () => {
		let book: Book;
		let clock: HeldClock;
		let rail: ScriptedRail;
		let market: FundingMarket;

		beforeEach(async () => {
			book = await open();
			clock = heldClock(START_MS);
			rail = scriptedRail({
				name: "card",
				world: "world:card",
				unit: "cent",
				ranges: { in: { min: 50n, max: 100_000n }, out: undefined },
				giveBack: async () => assert.fail("nothing goes back"),
			});
			market = { book, clock, crypto, log: openSilentLog(), rails: [rail], rates: heldRates() };
			await give("risk", 1_000n * DOLLAR, "world:card");
			await give(payerAccount(FOUNDATION), 100n * DOLLAR);
		});
		afterEach(async () => {
			assert.deepEqual((await book.audit()).findings, []);
			await book.close();
		});

		async function give(account: string, nanos: bigint, from = "world:play"): Promise<void> {
			await move(`seed:${account}`, from, account, nanos);
		}
		async function move(id: string, from: string, to: string, nanos: bigint): Promise<string> {
			const entries = [
				{ account: from, nanos: -nanos },
				{ account: to, nanos },
			];
			const [outcome] = await book.apply([{ transfer: { id, cause: "a story", atMs: clock.nowMs(), entries } }]);
			return typeof outcome === "object" ? outcome.refused : String(outcome);
		}
		/** Somebody opens a tab that the pool pays for, as far as the money goes. */
		const reserved = (tab: string, nanos: bigint): Promise<string> =>
			move(`open:${tab}`, poolAccount(POOL), holdAccount(tab.repeat(16)), nanos);
		const spent = (tab: string, nanos: bigint): Promise<string> =>
			move(`spent:${tab}`, holdAccount(tab.repeat(16)), `operator:${BEN}:earned`, nanos);

		const create = (of: Partial<Pool> = {}): Promise<Pool | Problem> =>
			createPool(market, { pool: POOL, sponsor: FOUNDATION, rules: RULES, rest: "back", ...of });
		const on = (account: string): Promise<bigint> => book.balance(account);
		const pool = async (): Promise<Pool> => (await poolOf(market, POOL)) ?? assert.fail("no pool");
		const codeOf = (answer: unknown): string => (isProblem(answer) ? answer.problem : "no problem");

		/** Somebody gives by card: so many cents, from a card. */
		async function given(who: string, id: string, asked: string, card = "fp_one", monthly = false): Promise<Deposit> {
			const begun = fine(
				await startDeposit(market, who, { id, rail: "card", asked: dollars(asked), pool: POOL, monthly }),
			);
			assert.ok(begun.reference);
			const atMs = clock.nowMs();
			const paid = {
				state: "paid" as const,
				amount: begun.quote.units,
				fee: 30n,
				atMs,
				backUntilMs: atMs + 14 * DAY_MS,
			};
			rail.said.set(begun.reference, { ...paid, card });
			return fine(await lookAt(market, begun));
		}
		/** The card's bank takes so many cents back. */
		async function takenBack(deposit: Deposit, cents: bigint): Promise<Deposit> {
			const { reference = "", came } = deposit;
			assert.ok(came);
			const { units: all, fee, atMs, backUntilMs = 0 } = came;
			const of = { amount: all, fee, atMs, backUntilMs };
			rail.said.set(reference, { state: "returned", amount: cents, atMs: clock.nowMs(), why: "dispute", of });
			return fine(await lookAt(market, deposit));
		}

		it("is made once under an id of its sponsor's choice; nobody else can have the id, change it, or take from it", async () => {
			const first = fine(await create());
			assert.deepEqual(fine(await create()), first);
			assert.equal(codeOf(await create({ sponsor: ADA })), "conflict");
			assert.equal(codeOf(await create({ rest: "commons" })), "conflict");
			assert.equal(codeOf(await steer(market, POOL, ADA, "pause")), "not-found");
			assert.equal(codeOf(await setRules(market, POOL, ADA, RULES)), "not-found");
			assert.equal(codeOf(await takeFromPool(market, POOL, ADA, { id: "x", nanos: undefined })), "not-found");
			assert.equal(codeOf(await steer(market, "00".repeat(16), ADA, "pause")), "not-found");
			assert.deepEqual(
				(await poolsOf(market, FOUNDATION)).map(({ pool: id }) => id),
				[POOL],
			);
			assert.deepEqual(await poolsOf(market, ADA), []);
			for (let n = 1; n < 16; n++) fine(await create({ pool: n.toString(16).padStart(32, "0") }));
			assert.equal(codeOf(await create({ pool: "ff".repeat(16) })), "too-many");
		});

		it("is filled from a balance once for an id, with cleared money alone, and by anybody", async () => {
			fine(await create());
			const ten = { id: "one", nanos: dollars("10") };
			fine(await fundPool(market, POOL, FOUNDATION, ten));
			fine(await fundPool(market, POOL, FOUNDATION, ten));
			assert.equal(await on(poolAccount(POOL)), 10n * DOLLAR);
			assert.equal(await on(payerAccount(FOUNDATION)), 90n * DOLLAR);
			assert.equal((await pool()).flows.came, 10n * DOLLAR);
			assert.equal(codeOf(await fundPool(market, POOL, FOUNDATION, { ...ten, nanos: dollars("11") })), "conflict");
			assert.equal(
				codeOf(await fundPool(market, POOL, FOUNDATION, { id: "two", nanos: dollars("91") })),
				"balance-short",
			);
			assert.equal(codeOf(await fundPool(market, POOL, FOUNDATION, { id: "two", nanos: dollars("0") })), "malformed");
			await give(freshAccount(ADA), 5n * DOLLAR);
			assert.equal(codeOf(await fundPool(market, POOL, ADA, ten)), "balance-short");
			await give(payerAccount(ADA), 10n * DOLLAR);
			fine(await fundPool(market, POOL, ADA, ten));
			assert.equal((await pool()).flows.came, 20n * DOLLAR);
		});

		it("threat 20: a sponsor takes back what is reserved for nobody, never what was granted, however they race", async () => {
			fine(await create());
			fine(await fundPool(market, POOL, FOUNDATION, { id: "one", nanos: dollars("10") }));
			assert.equal(await reserved("c1", 4n * DOLLAR), "applied");
			assert.equal(
				codeOf(await takeFromPool(market, POOL, FOUNDATION, { id: "x", nanos: dollars("6.000000001") })),
				"balance-short",
			);
			const [one, two, three, ...opened] = await Promise.all([
				takeFromPool(market, POOL, FOUNDATION, { id: "a", nanos: undefined }),
				takeFromPool(market, POOL, FOUNDATION, { id: "a", nanos: undefined }),
				takeFromPool(market, POOL, FOUNDATION, { id: "b", nanos: dollars("1") }),
				...["c2", "c3", "c4", "c5"].map((tab) => reserved(tab, DOLLAR)),
			]);
			assert.ok([one, two].some((answer) => !isProblem(answer)));
			const granted = BigInt(opened.filter((outcome) => outcome === "applied").length) + 4n;
			const { flows } = await pool();
			assert.equal(flows.came, flows.back + (await on(poolAccount(POOL))) + granted * DOLLAR);
			assert.equal(await on(payerAccount(FOUNDATION)), 90n * DOLLAR + flows.back);
			assert.equal(await on(holdAccount("c1".repeat(16))), 4n * DOLLAR);
			assert.equal(await spent("c1", 4n * DOLLAR), "applied");
			assert.ok(three);
		});

		it("threat 20: other rules, a pause and an end leave what was granted alone; an end tells people seven days before", async () => {
			fine(await create());
			fine(await fundPool(market, POOL, FOUNDATION, { id: "one", nanos: dollars("10") }));
			assert.equal(await reserved("c1", 4n * DOLLAR), "applied");
			const less = { ...RULES, countries: ["KE"], dayLimit: 1n };
			assert.deepEqual(fine(await setRules(market, POOL, FOUNDATION, less)).rules, less);
			assert.equal(fine(await steer(market, POOL, FOUNDATION, "pause")).state, "paused");
			assert.equal(fine(await steer(market, POOL, FOUNDATION, "pause")).state, "paused");
			assert.equal(fine(await steer(market, POOL, FOUNDATION, "resume")).state, "open");
			const ending = fine(await steer(market, POOL, FOUNDATION, "end"));
			assert.deepEqual([ending.state, ending.rules.untilMs], ["ending", START_MS + 7 * DAY_MS]);
			assert.equal(codeOf(await steer(market, POOL, FOUNDATION, "pause")), "conflict");
			assert.equal(codeOf(await setRules(market, POOL, FOUNDATION, RULES)), "conflict");
			assert.equal(
				fine(await setRules(market, POOL, FOUNDATION, { ...ending.rules, dayLimit: 2n })).rules.dayLimit,
				2n,
			);
			clock.advance(7 * DAY_MS);
			assert.equal(codeOf(await fundPool(market, POOL, FOUNDATION, { id: "two", nanos: dollars("1") })), "conflict");
			assert.equal(await spent("c1", 4n * DOLLAR), "applied");
			fine(await takeFromPool(market, POOL, FOUNDATION, { id: "a", nanos: undefined }));
			assert.equal(await on(payerAccount(FOUNDATION)), 96n * DOLLAR);
		});

		it("by card, fifty dollars of a card in two weeks count at once and nothing of that can be taken back; the rest counts when it has cleared", async () => {
			fine(await create());
			const deposit = await given(ADA, "gift", "80");
			assert.deepEqual(
				[await on(poolAccount(POOL)), await on(poolFreshAccount(POOL))],
				[50n * DOLLAR, 29_700_000_000n],
			);
			assert.equal(await on(freshAccount(ADA)), 0n);
			const { flows, early } = await pool();
			assert.deepEqual([flows.came, flows.railFee, early], [79_700_000_000n, 300_000_000n, 50n * DOLLAR]);
			assert.equal(
				codeOf(await takeFromPool(market, POOL, FOUNDATION, { id: "a", nanos: undefined })),
				"balance-short",
			);
			// another account with the same card, and the same account with another
			await given(BEN, "again", "5");
			assert.equal(await on(poolFreshAccount(POOL)), 34_400_000_000n);
			await given(BEN, "other", "5", "fp_two");
			assert.equal(await on(poolAccount(POOL)), 54_700_000_000n);
			clock.advance(14 * DAY_MS);
			fine(await lookAt(market, deposit));
			assert.deepEqual(
				[await on(poolAccount(POOL)), await on(poolFreshAccount(POOL))],
				[84_400_000_000n, 4_700_000_000n],
			);
			assert.equal((await pool()).early, 4_700_000_000n);
			fine(await takeFromPool(market, POOL, FOUNDATION, { id: "a", nanos: undefined }));
			assert.equal(await on(payerAccount(FOUNDATION)), 179_700_000_000n);
			// a card that has cleared counts anew
			await given(ADA, "next", "20");
			assert.equal((await pool()).early, 24_400_000_000n);
		});

		it("threat 20: a card's gift that is charged back after it was spent is the reserve's loss and its payer's debt; people keep what was granted", async () => {
			fine(await create());
			const deposit = await given(ADA, "gift", "60");
			assert.equal(await reserved("c1", 45n * DOLLAR), "applied");
			const risk = await on("risk");
			const back = await takenBack(deposit, 6_000n);
			// 9.70 had not counted yet, 5 were reserved for nobody, and 45 with the rail's fee are gone
			assert.deepEqual([await on(poolAccount(POOL)), await on(poolFreshAccount(POOL))], [0n, 0n]);
			assert.equal(await on(owedAccount(ADA)), -45_300_000_000n);
			assert.equal(await on("risk"), risk - 45_300_000_000n);
			assert.equal(await on(holdAccount("c1".repeat(16))), 45n * DOLLAR);
			assert.equal(await spent("c1", 45n * DOLLAR), "applied");
			const { flows, early } = await pool();
			assert.deepEqual([flows.lost, early], [14_700_000_000n, 0n]);
			assert.equal(flows.came - flows.lost, 45n * DOLLAR);
			// the bank decides for the market after all: first what is owed, then the pool has its money again
			clock.advance(DAY_MS);
			const { reference = "" } = back;
			const { amount: units, ...of } = { amount: 6_000n, fee: 30n, atMs: deposit.came?.atMs ?? 0 };
			rail.said.set(reference, { state: "paid", amount: units, ...of, backUntilMs: START_MS + 14 * DAY_MS });
			fine(await lookAt(market, back));
			assert.equal(await on(owedAccount(ADA)), 0n);
			assert.equal(await on("risk"), risk);
			assert.equal((await on(poolAccount(POOL))) + (await on(poolFreshAccount(POOL))), 14_700_000_000n);
			assert.equal((await pool()).flows.lost, 0n);
		});

		it("what a bank takes back of a gift is no longer kept from the sponsor, and a gift goes back to its card by nobody's wish", async () => {
			fine(await create());
			const deposit = await given(ADA, "gift", "60");
			assert.equal(codeOf(await refundDeposit(market, ADA, "gift", dollars("10"))), "conflict");
			await takenBack(deposit, 1_000n);
			assert.deepEqual([await on(poolAccount(POOL)), await on(poolFreshAccount(POOL))], [49_700_000_000n, 0n]);
			assert.equal((await pool()).early, 49_700_000_000n);
			assert.equal((await pool()).flows.lost, 10n * DOLLAR);
		});

		it("what is given every month goes to the pool month by month, until it is stopped", async () => {
			fine(await create());
			const months: string[] = [];
			const stopping = scriptedRail({
				...rail,
				monthly: {
					start: (order) => rail.start(order),
					stop: async () => ({ state: "monthly", months, isFailing: false, isOver: true }),
				},
			});
			market = { ...market, rails: [{ ...stopping, deposit: rail.deposit }] };
			const order = { id: "m", rail: "card", asked: dollars("20"), pool: POOL, monthly: true };
			const begun = fine(await startDeposit(market, ADA, order));
			months.push("in_1");
			const atMs = clock.nowMs();
			const paid = { state: "paid" as const, amount: 2_000n, fee: 0n, atMs, backUntilMs: atMs + 14 * DAY_MS };
			rail.said.set("in_1", { ...paid, card: "fp_one" });
			rail.said.set(begun.reference ?? "", { state: "monthly", months, isFailing: false, isOver: false });
			fine(await lookAt(market, begun));
			const rows = await book.records({ table: "deposits", by: "account", of: ADA, limit: 9 });
			const month = rows.find(({ key }) => key.startsWith(`${ADA}:m.`));
			assert.ok(month);
			fine(await lookAt(market, readDeposit(month)));
			assert.equal(await on(poolAccount(POOL)), 20n * DOLLAR);
			const whole = rows.find(({ key }) => key === `${ADA}:m`);
			assert.ok(whole);
			assert.ok(!isProblem(beginStop(readDeposit(whole), clock.nowMs())));
		});

		it("nothing is given to a pool that is not there or has ended; what was on its way then is its giver's", async () => {
			const order = { id: "g", rail: "card", asked: dollars("10"), pool: POOL };
			assert.equal(codeOf(await startDeposit(market, ADA, order)), "not-found");
			fine(await create());
			const begun = fine(await startDeposit(market, ADA, order));
			assert.equal(codeOf(await startDeposit(market, ADA, { ...order, pool: undefined })), "conflict");
			const row = await book.record("pools", POOL);
			assert.ok(row);
			const ended = { ...readPool(row), state: "ended" as const };
			assert.deepEqual(await book.apply([{ rows: [writePool(ended)] }]), ["applied"]);
			assert.equal(codeOf(await startDeposit(market, ADA, { ...order, id: "h" })), "not-found");
			rail.comes(begun.reference ?? "", 1_000n, clock.nowMs());
			fine(await lookAt(market, begun));
			assert.equal(await on(payerAccount(ADA)), 10n * DOLLAR);
		});
	});
}
