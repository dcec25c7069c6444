/** Whatever is opened on funds, redeemed, closed and left to end, in any order and by two processes at once: no nano is lost or made, and counters say what funds paid. */

import assert from "node:assert/strict";
import { it } from "node:test";
import fc from "fast-check";
import { isProblem } from "#contracts/problem";
import { NO_TRAFFIC, price, type Traffic } from "#contracts/tariff";
import { COMMONS, earnedAccount, holdAccount, MARKET_FEES, poolAccount } from "#marketplace/ledger/chart";
import { openMemoryBook } from "#marketplace/ledger/memory";
import { checkTabs } from "#marketplace/tab/check";
import { sweep } from "#marketplace/tab/sweep";
import { billed, type Tab } from "#marketplace/tab/tab";
import { tabOf } from "#marketplace/tab/tabs";
import { DOLLAR, Funds, kept, OTHER_POOL, POOL, pass, Somebody, TARIFF } from "#test/support/funds";
import { DAY_MS, toHex } from "#test/support/market";

const MB = 1_000_000n;
const PUT = DOLLAR;

const step = fc.oneof(
	fc.record({ do: fc.constant("open" as const), who: fc.nat(2), cap: fc.bigInt(1n, 90_000_000n) }),
	fc.record({ do: fc.constant("redeem" as const), tab: fc.nat(5), part: fc.nat(100) }),
	fc.record({ do: fc.constant("close" as const), tab: fc.nat(5), part: fc.nat(100) }),
	fc.record({ do: fc.constant("pass" as const), hours: fc.constantFrom(1, 13, 60) }),
	fc.record({ do: fc.constant("sweep" as const) }),
	fc.record({
		do: fc.constant("rules" as const),
		open: fc.boolean(),
		room: fc.constantFrom(0n, 9_000_000n, undefined),
	}),
);

it("threat 5: funds, payers, operator and fees come to what was put in, to the nano, and counters to what is reserved and spent", async () => {
	const seen = new Set<string>();
	await fc.assert(
		fc.asyncProperty(fc.array(fc.array(step, { minLength: 1, maxLength: 4 }), { maxLength: 10 }), async (rounds) => {
			const book = openMemoryBook();
			const one = new Funds(book);
			const processes = [one, new Funds(book, one.clock)];
			const people = [new Somebody(), new Somebody(), new Somebody()];
			const passes = [pass(POOL, { monthBytes: 8n * MB, isVouched: true }), pass(OTHER_POOL, { monthBytes: 5n * MB })];
			const accounts = [poolAccount(POOL), poolAccount(OTHER_POOL), COMMONS, ...people.map(({ purse }) => purse)];
			for (const account of accounts) await one.put(account, PUT);
			for (const { held } of processes) held.person = { passes, country: "MW", evidence: "said" };
			const tabs: { readonly who: Somebody; readonly tab: Tab; signed: Traffic }[] = [];

			const run = async (n: number, asked: (typeof rounds)[number][number]): Promise<void> => {
				const funds = processes[n % 2] as Funds;
				const line = "tab" in asked ? tabs[asked.tab] : undefined;
				if (asked.do === "open") {
					const who = people[asked.who] as Somebody;
					const tab = await funds.open(who, asked.cap);
					if (!isProblem(tab)) tabs.push({ who, tab, signed: NO_TRAFFIC });
					else assert(["conflict", "balance-short", "too-many"].includes(tab.problem), tab.detail);
				} else if (asked.do === "pass") await one.clock.advance(asked.hours * 3_600_000);
				else if (asked.do === "sweep") await sweep(funds.market);
				else if (asked.do === "rules") {
					for (const { held } of processes) {
						held.funds = { state: asked.open ? "open" : "paused" };
						held.relay = asked.room === undefined ? {} : { room: asked.room };
					}
				} else if (line) {
					// as much as fits the cap at this price
					const most = (line.tab.grant.cap * MB * BigInt(asked.part)) / 100n / 2_056_000n;
					const used = kept(most > line.signed.bytes ? most : line.signed.bytes);
					if ((price(TARIFF, used) ?? 0n) > line.tab.grant.cap) return;
					line.signed = used;
					if (asked.do === "redeem") await funds.redeem(line.who, line.tab, used);
					else await funds.close(line.who, line.tab, used);
				}
			};

			const check = async (): Promise<void> => {
				assert.deepEqual((await book.audit([checkTabs])).findings, []);
				let [held, asks, spent, solidarity] = [0n, 0n, 0n, 0n];
				const burned = new Map<string, bigint>();
				for (const { tab: opened } of tabs) {
					const tab = await tabOf(one.market, opened.tab);
					assert(tab);
					held += await book.balance(holdAccount(tab.tab));
					const bill = billed(tab);
					assert.equal(bill.payer + bill.commons + bill.pools, bill.total);
					[asks, spent, solidarity] = [asks + bill.ask, spent + bill.total, solidarity + bill.solidarityFee];
					const counted =
						tab.state === "closed" ? bill : billed({ ...tab, paid: { ...tab.paid, nanos: tab.grant.cap } });
					for (const { tranche, rest } of counted.parts) {
						const fund = tranche.pool ? toHex(tranche.pool) : tranche.fund;
						if (fund !== "own") burned.set(fund, (burned.get(fund) ?? 0n) + rest);
					}
				}
				let left = 0n;
				for (const account of accounts) left += await book.balance(account);
				const operator = await book.balance(earnedAccount(toHex(one.operator.publicKey)));
				const fees = await book.balance(MARKET_FEES);
				assert.equal(operator, asks, "the operator has its whole ask");
				assert.equal(left - solidarity + held + spent, PUT * BigInt(accounts.length), "no nano is lost or made");
				assert.equal(operator + fees + solidarity, spent);
				const counters = await one.counted();
				for (const [fund, nanos] of burned) {
					const months = Object.entries(counters).filter(
						([key]) => key.startsWith(`fund:${fund}:`) && key.endsWith(" burned"),
					);
					assert.equal(
						months.reduce((sum, [, count]) => sum + BigInt(count), 0n),
						nanos,
						`the counter of ${fund}`,
					);
					if (nanos > 0n) seen.add(fund);
				}
				assert(Object.values(counters).every((count) => BigInt(count) > 0n));
			};

			for (const together of rounds) {
				await Promise.all(together.map((asked, n) => run(n, asked)));
				await check();
			}
			await one.clock.advance(4 * DAY_MS);
			await sweep(one.market);
			await check();
			for (const { tab } of tabs) assert.equal(await book.balance(holdAccount(tab.tab)), 0n, "nothing stays on hold");
		}),
		{ numRuns: 60 },
	);
	assert.equal(seen.size, 3, "both pools and the commons have paid");
});
