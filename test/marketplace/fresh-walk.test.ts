/**
 * Walks through what becomes of a card payment, failing each call to the book and to the rail in turn: the process dies before it, dies when it was done, or is
 * refused. Whatever fails, after a restart every account has what it has when nothing fails.
 */

import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { amount, NOTHING } from "#contracts/amount";
import { toHex } from "#contracts/bytes";
import { signGrant } from "#contracts/grant";
import { isProblem } from "#contracts/problem";
import { bill } from "#contracts/tab";
import { NO_TOTALS } from "#contracts/voucher";
import { openSilentLog } from "#host/log";
import { releaseLate } from "#marketplace/funding/late";
import { fundRisk } from "#marketplace/funding/risk";
import { startDeposit } from "#marketplace/funding/start";
import { openWatch } from "#marketplace/funding/watch";
import { refundDeposit } from "#marketplace/funding/wish";
import { type Book, BookFailure } from "#marketplace/ledger/book";
import {
	COMMONS,
	earnedAccount,
	freshAccount,
	holdAccount,
	MARKET_FEES,
	owedAccount,
	payerAccount,
	RISK,
	RISK_LENT,
	WORLD_CARD,
	waitingAccount,
} from "#marketplace/ledger/chart";
import { openMemoryBook } from "#marketplace/ledger/memory";
import { move } from "#marketplace/ledger/post";
import type { DepositState, PaymentState, Rail } from "#marketplace/rail/rail";
import { checkTabs } from "#marketplace/tab/check";
import { type Tab, writeTab } from "#marketplace/tab/tab";
import { type HeldClock, heldClock } from "#test/support/clock";
import { brittleBook, brittleRail, Died, Gate, MODES } from "#test/support/funding-walk";
import { crypto, FEES, TARIFF } from "#test/support/market";
import { heldRates, scriptedRail } from "#test/support/rail";

const ADA = "a1".repeat(32);
const OLU = "b2".repeat(32);
const DOLLAR = 1_000_000_000n;
const DAY_MS = 86_400_000;
const FRESH_MS = 14 * DAY_MS;

/** What happens to Ada's ten dollars, of which four are on tabs and two are earned by Olu on each. */
type Story = { readonly says: string; readonly back?: bigint; readonly won?: boolean; readonly refund?: bigint };
const STORIES: readonly Story[] = [
	{ says: "clears" },
	{ says: "is taken back", back: 1_000n },
	{ says: "is taken back in part", back: 300n },
	{ says: "is taken back and comes again", back: 1_000n, won: true },
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
	WORLD_CARD,
	MARKET_FEES,
	COMMONS,
];

describe("card money that is credited", () => {
	for (const story of STORIES) {
		it(`has one end, whichever call fails, when it ${story.says}`, async () => {
			const whole = await tell(story, new Gate(0, "refused"));
			const tally = { failed: 0, died: 0, struck: new Set<string>() };
			for (const mode of MODES) {
				for (let at = 1; ; at++) {
					const gate = new Gate(at, mode);
					assert.deepEqual(await tell(story, gate), whole, `call ${at} (${gate.struck}), ${mode}`);
					if (gate.struck === "") break;
					tally.failed += 1;
					if (gate.dead) tally.died += 1;
					tally.struck.add(gate.struck);
				}
			}
			assert.ok(tally.died >= 10, `${tally.died} deaths`);
			for (const call of ["apply", "records", "deposit"]) assert.ok(tally.struck.has(call), call);
		});
	}
});

/** Tells a story on a book that outlives the process; answers what stands on every account in the end. */
async function tell(story: Story, gate: Gate): Promise<bigint[]> {
	const clock = heldClock();
	const book = openMemoryBook();
	let said: DepositState = { state: "waiting" };
	const refunds = new Map<string, bigint>();
	const rail: Rail = scriptedRail({
		name: "card",
		world: "world:card",
		unit: "cent",
		ranges: { in: { min: 500n, max: 100_000n }, out: undefined },
		deposit: async () => {
			const back = [...refunds.values()].reduce((sum, cents) => sum + cents, 0n);
			return back > 0n ? { state: "returned", amount: back, atMs: clock.nowMs(), why: "refund" } : said;
		},
		giveBack: async ({ id, amount: cents }): Promise<PaymentState> => {
			refunds.set(id, cents);
			return { state: "sent", amount: cents, fee: 0n, proof: "re_1", atMs: clock.nowMs() };
		},
	});
	const reference = await prepare(book, rail, clock, (state) => {
		said = state;
	});

	const whole = {
		state: "paid",
		amount: 1_000n,
		fee: 0n,
		atMs: clock.nowMs(),
		backUntilMs: clock.nowMs() + FRESH_MS,
	} as const;
	if (story.back) said = { state: "returned", amount: story.back, atMs: clock.nowMs(), why: "dispute" };
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
	for (let i = 0; i < 3; i++) await live(book, rail);
	const report = await book.audit([checkTabs]);
	assert.deepEqual(report.findings, []);
	return await book.balances(ACCOUNTS);
}

function hint(rail: Rail, reference: string): void {
	(rail as ReturnType<typeof scriptedRail>).hint(reference);
}

/** Ten dollars by card, and two tabs: of each, the cap is two dollars and one is earned. */
async function prepare(book: Book, rail: Rail, clock: HeldClock, say: (state: DepositState) => void): Promise<string> {
	await fundRisk({ book, clock }, amount(100n * DOLLAR));
	const market = {
		book,
		clock,
		crypto,
		log: openSilentLog(),
		rails: [rail],
		rates: heldRates(),
	};
	const begun = await startDeposit(market, ADA, { id: "d", rail: "card", asked: amount(10n * DOLLAR) });
	assert.ok(!isProblem(begun) && begun.reference);
	say({ state: "paid", amount: 1_000n, fee: 0n, atMs: clock.nowMs(), backUntilMs: clock.nowMs() + FRESH_MS });
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
		reserved,
		paid: NO_TOTALS,
		receipt: undefined,
		returned: undefined,
		fresh: reserved,
		late: NOTHING,
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
