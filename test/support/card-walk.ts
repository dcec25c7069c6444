/**
 * Walks through what becomes of a card payment, failing each call to the book and to the rail in turn: the process dies before it, dies when it was done, or is
 * refused. Whatever fails, after a restart every account has what it has when nothing fails. On whatever a market is kept: in memory or in a file that each death closes.
 */

import assert from "node:assert/strict";
import { amount, NOTHING } from "#contracts/amount";
import { toHex } from "#contracts/bytes";
import { signGrant } from "#contracts/grant";
import { isProblem, problem } from "#contracts/problem";
import { bill } from "#contracts/tab";
import { ownTranche } from "#contracts/tranche";
import { NO_TOTALS } from "#contracts/voucher";
import { openSilentLog } from "#host/log";
import { releaseLate } from "#marketplace/funding/late";
import { fundRisk } from "#marketplace/funding/risk";
import { startDeposit } from "#marketplace/funding/start";
import { openWatch, ROUND_MS } from "#marketplace/funding/watch";
import { refundDeposit, stopMonthly } from "#marketplace/funding/wish";
import { type Book, BookFailure } from "#marketplace/ledger/book";
import {
	COMMONS,
	earnedAccount,
	freshAccount,
	holdAccount,
	MARKET_FEES,
	OVERRUN,
	owedAccount,
	payerAccount,
	RISK,
	RISK_LENT,
	WORLD_CARD,
	waitingAccount,
} from "#marketplace/ledger/chart";
import { move } from "#marketplace/ledger/post";
import type { DepositState, PaymentState, Rail } from "#marketplace/rail/rail";
import { checkTabs } from "#marketplace/tab/check";
import { type Tab, writeTab } from "#marketplace/tab/tab";
import { type HeldClock, heldClock } from "./clock.ts";
import { brittleBook, brittleRail, Died, type Disk, Gate, MODES } from "./funding-walk.ts";
import { crypto, FEES, TARIFF } from "./market.ts";
import { heldRates, scriptedRail } from "./rail.ts";

const ADA = "a1".repeat(32);
const OLU = "b2".repeat(32);
const DOLLAR = 1_000_000_000n;
const DAY_MS = 86_400_000;
const FRESH_MS = 14 * DAY_MS;

/** What happens to Ada's ten dollars, of which four are on tabs and two are earned by Olu on each. */
export type CardStory = {
	readonly says: string;
	/** so many cents are taken back, at this charge; `won`: they come again */
	readonly back?: bigint;
	readonly penalty?: bigint;
	readonly won?: boolean;
	/** so many cents go back to the card at her wish */
	readonly refund?: bigint;
	/** the payment itself is credited while calls fail; there are no tabs */
	readonly credit?: boolean;
	/** it comes twice, a month each, until she ends it */
	readonly monthly?: boolean;
};
export const CARD_STORIES: readonly CardStory[] = [
	{ says: "is credited", credit: true },
	{ says: "comes every month until it is ended", credit: true, monthly: true },
	{ says: "clears" },
	{ says: "is taken back", back: 1_000n },
	{ says: "is taken back in part", back: 300n },
	{ says: "is taken back in part, at a charge", back: 300n, penalty: 1_500n },
	{ says: "is taken back and comes again", back: 1_000n, penalty: 1_500n, won: true },
	{ says: "goes back to the card in part", refund: 100n },
];

const ACCOUNTS = [
	payerAccount(ADA),
	freshAccount(ADA),
	owedAccount(ADA),
	earnedAccount(OLU),
	waitingAccount(OLU),
	RISK,
	RISK_LENT,
	OVERRUN,
	WORLD_CARD,
	MARKET_FEES,
	COMMONS,
];

/** Walks through one story; answers how many calls were failed, which, and how often the process died. */
export async function walkCard(
	story: CardStory,
	newDisk: () => Promise<Disk>,
	modes: readonly (typeof MODES)[number][] = MODES,
): Promise<{ failed: number; died: number; struck: Set<string> }> {
	const on = async (gate: Gate): Promise<bigint[]> => {
		const disk = await newDisk();
		try {
			return await tell(story, gate, disk);
		} finally {
			await disk.end();
		}
	};
	const whole = await on(new Gate(0, "refused"));
	const tally = { failed: 0, died: 0, struck: new Set<string>() };
	for (const mode of modes) {
		for (let at = 1; ; at++) {
			const gate = new Gate(at, mode);
			assert.deepEqual(await on(gate), whole, `${story.says}: call ${at} (${gate.struck}), ${mode}`);
			if (gate.struck === "") break;
			tally.failed += 1;
			if (gate.dead) tally.died += 1;
			tally.struck.add(gate.struck);
		}
	}
	return tally;
}

/** Tells a story on a disk that outlives the process; answers what stands on every account in the end. */
async function tell(story: CardStory, gate: Gate, disk: Disk): Promise<bigint[]> {
	const clock = heldClock();
	const book = await disk.open();
	let isOver = false;
	let said: DepositState = { state: "waiting" };
	const refunds = new Map<string, bigint>();
	const rail: Rail = scriptedRail({
		name: "card",
		world: "world:card",
		unit: "cent",
		ranges: { in: { min: 500n, max: 100_000n }, out: undefined },
		deposit: async (reference) => {
			if (story.monthly && reference.startsWith("ref-") && said.state === "paid")
				return { state: "monthly", months: ["month-2", "month-1"], isFailing: false, isOver };
			const back = [...refunds.values()].reduce((sum, cents) => sum + cents, 0n);
			return back > 0n ? { state: "returned", amount: back, atMs: clock.nowMs(), why: "refund" } : said;
		},
		giveBack: async ({ id, amount: cents }): Promise<PaymentState> => {
			refunds.set(id, cents);
			return { state: "sent", amount: cents, fee: 0n, proof: "re_1", atMs: clock.nowMs() };
		},
	});
	const withMonthly: Rail = {
		...rail,
		monthly: {
			start: (order) => rail.start(order),
			stop: (reference) => {
				isOver = true;
				return rail.deposit(reference);
			},
		},
	};
	const reference = await prepare(book, withMonthly, clock, story, (state) => {
		said = state;
	});

	const whole = {
		state: "paid",
		amount: 1_000n,
		fee: 0n,
		atMs: clock.nowMs(),
		backUntilMs: clock.nowMs() + FRESH_MS,
		...(story.penalty && { penalty: story.penalty }),
	} as const;
	const { back: cents, penalty = 0n } = story;
	if (cents) said = { state: "returned", amount: cents, atMs: clock.nowMs(), why: "dispute", penalty };
	if (story.credit) said = whole;
	const live = async (on: Book, by: Rail): Promise<void> => {
		const market = {
			book: on,
			clock,
			crypto,
			log: openSilentLog(),
			rails: [by],
			rates: heldRates(),
		};
		const watch = openWatch(market);
		try {
			if (story.credit) {
				hint(rail, reference);
				await watch.idle();
				clock.jump(ROUND_MS);
				await watch.round();
				await watch.round();
			}
			if (story.monthly) await stopMonthly(market, ADA, "d");
			if (story.refund) {
				const answer = await refundDeposit(market, ADA, "d", amount(story.refund * 10_000_000n));
				// what is refused is asked for again
				if (isProblem(answer)) await refundDeposit(market, ADA, "d", amount(story.refund * 10_000_000n));
			}
			hint(rail, reference);
			await watch.idle();
			if (story.won) said = whole;
			clock.jump(FRESH_MS);
			await watch.round();
			clock.jump(70 * DAY_MS);
			await watch.round();
			await releaseLate(market);
		} finally {
			await watch.close();
		}
	};
	try {
		await live(brittleBook(book, gate), {
			...brittleRail(rail, gate),
			monthly: {
				start: (order) => rail.start(order),
				stop: (ended) =>
					gate.pass(
						"stop",
						() => (withMonthly.monthly as NonNullable<Rail["monthly"]>).stop(ended),
						() => problem("unavailable"),
					),
			},
			...(rail.giveBack && {
				giveBack: (order) =>
					gate.pass(
						"giveBack",
						() => (rail.giveBack as NonNullable<Rail["giveBack"]>)(order),
						() => ({ state: "unknown", why: "told to" }) as const,
					),
			}),
		});
	} catch (error) {
		if (!(error instanceof Died || error instanceof BookFailure)) throw error;
	}
	await disk.close(book);
	const again = await disk.open();
	for (let i = 0; i < 3; i++) await live(again, withMonthly);
	const report = await again.audit([checkTabs]);
	assert.deepEqual(report.findings, []);
	const stands = await again.balances(ACCOUNTS);
	await disk.close(again);
	return stands;
}

function hint(rail: Rail, reference: string): void {
	(rail as ReturnType<typeof scriptedRail>).hint(reference);
}

/** Ten dollars by card, and two tabs: of each, the cap is two dollars and one is earned. */
async function prepare(
	book: Book,
	rail: Rail,
	clock: HeldClock,
	story: CardStory,
	say: (state: DepositState) => void,
): Promise<string> {
	await fundRisk({ book, clock }, amount(100n * DOLLAR));
	const market = {
		book,
		clock,
		crypto,
		log: openSilentLog(),
		rails: [rail],
		rates: heldRates(),
	};
	const begun = await startDeposit(market, ADA, {
		id: "d",
		rail: "card",
		asked: amount(10n * DOLLAR),
		monthly: story.monthly === true,
	});
	assert.ok(!isProblem(begun) && begun.reference);
	say({ state: "paid", amount: 1_000n, fee: 0n, atMs: clock.nowMs(), backUntilMs: clock.nowMs() + FRESH_MS });
	if (story.credit) return begun.reference;
	const watch = openWatch(market);
	await clock.advance(5_000);
	await watch.round();
	await watch.close();
	for (const n of [1, 2]) await openTabWith(book, clock, n);
	return begun.reference;
}

async function openTabWith(book: Book, clock: HeldClock, n: number): Promise<void> {
	const cap = amount(2n * DOLLAR);
	const reserved = bill(cap, FEES).total;
	const id = new Uint8Array(16).fill(n);
	const key = crypto.keyPair(new Uint8Array(32).fill(n));
	const [market, session, relay] = [key.publicKey, key.publicKey, key.publicKey];
	const times = {
		issuedAtMs: clock.nowMs(),
		expiresAtMs: clock.nowMs() + DAY_MS,
		redeemByMs: clock.nowMs() + 2 * DAY_MS,
	};
	const grant = signGrant(crypto, { market, tab: id, session, relay, cap, tariff: TARIFF, ...times }, key);
	const tab: Tab = {
		version: 0,
		tab: toHex(id),
		account: ADA,
		relay: toHex(relay),
		operator: OLU,
		state: "open",
		grant,
		fees: FEES,
		tranches: [ownTranche(grant.cap)],
		counted: undefined,
		reserved,
		paid: NO_TOTALS,
		receipt: undefined,
		returned: undefined,
		fresh: reserved,
		late: NOTHING,
		waits: false,
		forfeited: NOTHING,
	};
	const half = bill(amount(DOLLAR), FEES);
	const bytes = 2_000_000_000n;
	const label = (what: string) => ({ id: `${what}:${n}`, cause: what, atMs: clock.nowMs() });
	const hold = holdAccount(tab.tab);
	const outcomes = await book.apply([
		{
			transfer: move(
				label("open"),
				[{ account: freshAccount(ADA), nanos: reserved }],
				[{ account: hold, nanos: reserved }],
			),
			rows: [writeTab(tab)],
		},
		{
			transfer: move(
				label("redeem"),
				[{ account: hold, nanos: half.total }],
				[
					{ account: waitingAccount(OLU), nanos: half.ask },
					{ account: MARKET_FEES, nanos: half.marketFee },
					{ account: COMMONS, nanos: half.solidarityFee },
				],
			),
			rows: [writeTab({ ...tab, version: 1, paid: { bytes, byteSeconds: 0n, nanos: half.ask } })],
		},
	]);
	assert.deepEqual(outcomes, ["applied", "applied"]);
}
