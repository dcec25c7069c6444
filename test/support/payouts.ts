/** Payouts to test with: a book in memory, a double rail, time held, and an operator who has earned something. */

import assert from "node:assert/strict";
import { amount } from "#contracts/amount";
import { openSilentLog } from "#host/log";
import type { Book } from "#marketplace/ledger/book";
import { earnedAccount, leavingAccount, MARKET_RATE, OVERRUN, WORLD_PLAY } from "#marketplace/ledger/chart";
import { openMemoryBook } from "#marketplace/ledger/memory";
import { type Ask, askPayout, payoutOf, setWishes } from "#marketplace/payout/ask";
import { checkPayouts } from "#marketplace/payout/check";
import type { Kind } from "#marketplace/payout/destination";
import { readTarget } from "#marketplace/payout/destination";
import { isUnderWay, type Payout } from "#marketplace/payout/payout";
import { makePayouts, type Payouts } from "#marketplace/payout/payouts";
import type { Parts } from "#marketplace/payout/reserve";
import type { Rail } from "#marketplace/rail/rail";
import { type HeldClock, heldClock } from "./clock.ts";
import { DoubleLightning, DoubleRail, testRates } from "./doublerail.ts";
import { fine } from "./market.ts";

export const OPERATOR = "0e".repeat(32);
export const ADDRESS = "olga@wallet.example";

export type Till = Parts & {
	readonly clock: HeldClock;
	readonly rail: DoubleRail;
	readonly lightning: DoubleLightning;
	payouts: Payouts;
	/** gives an operator so much that was earned */
	earn(nanos: bigint, account?: string): Promise<void>;
	/** says where payouts go */
	goTo(kind?: Kind, to?: string): Promise<void>;
	/** asks for a payout and goes on with it until it waits */
	click(ask: Ask): Promise<Payout>;
	/** lets time pass until a payout has ended */
	end(id: string): Promise<Payout>;
	/** what stands where: earned, leaving, what is out in the world, and what of it a rail took beyond its ceiling */
	money(account?: string): Promise<{ earned: bigint; leaving: bigint; out: bigint; rate: bigint; overrun: bigint }>;
	/** proves the book */
	audit(): Promise<void>;
};

export function openTill(
	given: {
		rail?: DoubleRail;
		rails?: readonly Rail[];
		book?: Book;
		clock?: HeldClock;
		frozen?: ReadonlySet<string>;
	} = {},
): Till {
	const clock = given.clock ?? heldClock();
	const rail = given.rail ?? new DoubleRail();
	const lightning = new DoubleLightning(() => clock.nowMs());
	const book = given.book ?? openMemoryBook();
	const parts = {
		book,
		clock,
		log: openSilentLog(),
		rails: given.rails ?? [rail],
		rates: testRates,
		lightning,
		frozen: given.frozen ?? new Set<string>(),
	};
	let earnings = 0;
	const till: Till = {
		...parts,
		rail,
		lightning,
		payouts: makePayouts(parts),
		earn: async (nanos, account = OPERATOR) => {
			earnings += 1;
			const entries = [
				{ account: WORLD_PLAY, nanos: -nanos },
				{ account: earnedAccount(account), nanos },
			];
			const transfer = { id: `earn:${account}:${earnings}`, cause: "Earned", atMs: clock.nowMs(), entries };
			assert.deepEqual(await book.apply([{ transfer }]), ["applied"]);
		},
		goTo: async (kind = "lightning", to = ADDRESS) => {
			assert.equal(await setWishes(parts, OPERATOR, { target: fine(readTarget(kind, to)) }), undefined);
		},
		click: async (ask) => {
			const payout = fine(await askPayout(parts, OPERATOR, ask));
			return till.payouts.advance(payout.id);
		},
		end: async (id) => {
			for (let waits = 0; waits < 60; waits++) {
				const payout = await payoutOf(parts, id);
				assert(payout, "there is no such payout");
				if (!isUnderWay(payout)) return payout;
				await clock.advance(Math.max(1_000, payout.dueMs - clock.nowMs()));
				await till.payouts.round();
			}
			return assert.fail(`payout ${id} does not end`);
		},
		money: async (account = OPERATOR) => {
			const [earned = 0n, leaving = 0n, ...out] = await book.balances([
				earnedAccount(account),
				leavingAccount(account),
				"world:lightning",
				"world:card",
				MARKET_RATE,
				OVERRUN,
			]);
			const [lightning = 0n, card = 0n, rate = 0n, overrun = 0n] = out;
			return { earned, leaving, out: lightning + card, rate, overrun };
		},
		audit: async () => {
			const report = await book.audit([checkPayouts]);
			assert.deepEqual(report.findings, []);
		},
	};
	return till;
}

/** Dollars. */
export const usd = (dollars: number) => amount(BigInt(Math.round(dollars * 1e9)));
