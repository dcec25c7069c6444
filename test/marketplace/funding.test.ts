/** Deposits, told with Ada who pays by a rail whose provider does as the story says. A msat is worth 1,000 nano-dollars here, less half a per cent. */

import assert from "node:assert/strict";
import { afterEach, beforeEach, describe, it } from "node:test";
import { amount } from "#contracts/amount";
import { isProblem, type Problem } from "#contracts/problem";
import { openSilentLog } from "#host/log";
import { type Deposit, depositKey, ROOM, WAITING_MAX } from "#marketplace/funding/deposit";
import { lookAt } from "#marketplace/funding/look";
import { QUOTE_MS, quoteDeposit } from "#marketplace/funding/quote";
import { fundRisk } from "#marketplace/funding/risk";
import { depositOf, type FundingMarket, startDeposit } from "#marketplace/funding/start";
import { HINTS_MAX, openWatch, type Watch } from "#marketplace/funding/watch";
import { type Book, CHANGES_MAX, type Change } from "#marketplace/ledger/book";
import { freshAccount, MARKET_RATE, payerAccount } from "#marketplace/ledger/chart";
import { openMemoryBook } from "#marketplace/ledger/memory";
import { makePlayRail } from "#marketplace/rail/play";
import { type HeldClock, heldClock } from "#test/support/clock";
import { crypto, fine } from "#test/support/market";
import { heldRates, type ScriptedRail, scriptedRail } from "#test/support/rail";

const ADA = "a1".repeat(32);
const BOB = "b2".repeat(32);
const DOLLAR = amount(1_000_000_000n);
/** What a dollar costs with the spread: 1,000,000 msat / 0.995, rounded up. */
const DOLLAR_MSAT = 1_005_026n;
const MINUTE_MS = 60_000;
const DAY_MS = 86_400_000;

describe("deposits", () => {
	let clock: HeldClock;
	let rail: ScriptedRail;
	let rates: ReturnType<typeof heldRates>;
	let market: FundingMarket;
	let watch: Watch;

	beforeEach(async () => {
		clock = heldClock();
		rates = heldRates();
		rail = scriptedRail();
		await comeUp(openMemoryBook());
	});
	afterEach(async () => {
		await watch.close();
		const report = await market.book.audit();
		await market.book.close();
		assert.deepEqual(report.findings, [], "the book holds after every story");
	});

	/** A market on this book. */
	async function comeUp(book: Book): Promise<void> {
		market = { book, clock, crypto, log: openSilentLog(), rails: [rail], rates };
		watch = openWatch(market);
	}
	const start = (id = "first", asked = DOLLAR, account = ADA, by = rail.name) =>
		startDeposit(market, account, { id, rail: by, asked });
	async function begun(id?: string): Promise<Deposit & { reference: string }> {
		const deposit = fine(await start(id));
		assert(deposit.reference);
		return { ...deposit, reference: deposit.reference };
	}
	const now = async (id = "first") => {
		const found = await depositOf(market, depositKey(ADA, id));
		assert(found);
		return found;
	};
	const has = (account = ADA) => market.book.balance(payerAccount(account));
	const moved = () => market.book.count();
	async function hint(reference: string): Promise<void> {
		rail.hint(reference);
		await watch.idle();
	}
	async function later(ms: number): Promise<void> {
		await clock.advance(ms);
		await watch.round();
	}
	const codeOf = (answer: unknown): Problem["problem"] | undefined => (isProblem(answer) ? answer.problem : undefined);

	it("are quoted with what to pay, the rate, the spread and for how long", async () => {
		const quote = fine(await quoteDeposit(market, rail, DOLLAR));
		assert.deepEqual(quote, {
			rail: "scripted",
			unit: "msat",
			asked: DOLLAR,
			units: DOLLAR_MSAT,
			fee: 0n,
			feeIsAbout: false,
			rate: rates.rate,
			credited: 1_000_000_870n,
			spread: 5_025_130n,
			untilMs: clock.nowMs() + QUOTE_MS,
		});
		rates.known = false;
		assert.equal(codeOf(await quoteDeposit(market, rail, DOLLAR)), "unavailable", "nothing is promised without a rate");
	});

	it("ask for the rail's own fee on top, so that what was wanted arrives", async () => {
		fine((await fundRisk(market, DOLLAR)) ?? DOLLAR);
		// 2.9 % and 30 cents of what is paid, as cards do
		const card = scriptedRail({
			name: "card",
			unit: "cent",
			world: "world:card",
			ranges: { in: { min: 500n, max: 100_000n }, out: undefined },
			quote: async (_, units) => ({ fee: (units * 29n + 999n) / 1_000n + 30n, isAbout: true }),
		});
		const quote = fine(await quoteDeposit(market, card, amount(10n * DOLLAR)));
		assert.deepEqual([quote.units, quote.fee, quote.credited, quote.spread], [1_061n, 61n, 10n * DOLLAR, 0n]);
		assert.deepEqual([quote.rate, quote.feeIsAbout], [undefined, true]);
		const tooSmall = await quoteDeposit(market, card, DOLLAR);
		assert(isProblem(tooSmall));
		assert.match(tooSmall.detail, /at least \$5.* at most \$1,?000/);
		const greedy = scriptedRail({ ...card, quote: async (_, units) => ({ fee: units, isAbout: false }) });
		assert.equal(codeOf(await quoteDeposit(market, greedy, amount(10n * DOLLAR))), "malformed");
	});

	it("threat 16: are credited once, whatever hints come how often, after the rail was asked", async () => {
		const { reference } = await begun();
		await hint(reference);
		assert.equal(await has(), 0n, "a hint alone brings nothing: the rail says that nothing came");
		rail.comes(reference, DOLLAR_MSAT, clock.nowMs());
		for (let i = 0; i < 20; i++) rail.hint(reference);
		await hint(reference);
		await Promise.all([hint(reference), later(LOOKS), later(LOOKS)]);
		assert.equal(await has(), 1_000_000_870n);
		assert.equal(await market.book.balance(MARKET_RATE), 5_025_130n);
		assert.equal(await market.book.balance("world:lightning"), -(1_000_000_870n + 5_025_130n));
		assert.equal(await moved(), 1);
		assert.equal((await market.book.transfer(`deposit:scripted:${reference}`))?.cause, "Deposit by scripted");
		const deposit = await now();
		assert.deepEqual([deposit.state, deposit.came?.credited], ["credited", 1_000_000_870n]);
	});

	it("threat 16: are not touched by hints that name nothing, or another rail's deposit", async () => {
		const { reference } = await begun();
		rail.comes("ref-forged", DOLLAR_MSAT, clock.nowMs());
		for (const forged of ["ref-forged", "", "x".repeat(10_000), "ref-\u0000", `${reference} `]) await hint(forged);
		assert.deepEqual([await moved(), (await now()).state], [0, "waiting"]);
	});

	it("threat 16: are told apart by their rail where two providers use the same name", async () => {
		const other = scriptedRail({ name: "other" });
		const [one, two] = [fine(await start()), { id: "second", rail: "other", asked: DOLLAR }];
		other.start = async ({ expiresAtMs }) => ({
			reference: one.reference ?? "",
			pay: { kind: "invoice", invoice: "ln" },
			expiresAtMs,
		});
		market = { ...market, rails: [rail, other] };
		await watch.close();
		watch = openWatch(market);
		const begun = fine(await startDeposit(market, ADA, two));
		other.comes(begun.reference ?? "", DOLLAR_MSAT, clock.nowMs());
		rail.hint(begun.reference ?? "");
		await watch.idle();
		assert.equal(await moved(), 0, "the other rail's money is not this one's");
		other.hint(begun.reference ?? "");
		await watch.idle();
		assert.deepEqual([await moved(), (await now()).state, (await now("second")).state], [1, "waiting", "credited"]);
	});

	it("threat 16: are credited once by two that look at the same time, and both are told so", async () => {
		const deposit = await begun();
		rail.comes(deposit.reference, DOLLAR_MSAT, clock.nowMs());
		const both = await Promise.all([lookAt(market, deposit), lookAt(market, deposit)]);
		for (const seen of both) assert.equal(fine(seen).state, "credited");
		assert.equal(await moved(), 1);
	});

	it("threat 16: lose nothing by a lost hint: the rail is asked by and by", async () => {
		const { reference } = await begun();
		rail.comes(reference, DOLLAR_MSAT, clock.nowMs());
		await later(LOOKS);
		assert.equal(await has(), 1_000_000_870n);
	});

	it("ask the rail ever more seldom, and not for ever", async () => {
		await begun();
		for (let i = 0; i < 60; i++) await later(LOOKS);
		assert(rail.asked > 10 && rail.asked < 40, `asked ${rail.asked} times in five minutes`);
		assert.equal((await now()).state, "expired");
		const before = rail.asked;
		for (let i = 0; i < 4 * 24; i++) await later(DAY_MS / 24);
		assert(rail.asked - before < 40, `asked ${rail.asked - before} times in the days after`);
		assert.equal((await now()).state, "ended");
		const last = rail.asked;
		await later(DAY_MS);
		assert.equal(rail.asked, last);
	});

	it("threat 17: a late payment is credited at the rate of its arrival", async () => {
		const { reference } = await begun();
		await later(QUOTE_MS + MINUTE_MS);
		assert.equal((await now()).state, "expired");
		rates.rate = { ...rates.rate, msatPerDollar: 2_000_000n };
		rail.comes(reference, DOLLAR_MSAT, clock.nowMs());
		await hint(reference);
		assert.equal(await has(), 500_000_435n, "bitcoin is worth half of what it was when it was quoted");
	});

	it("threat 17: what came in time has the rate that was quoted, however late it is noticed", async () => {
		const { reference } = await begun();
		rail.comes(reference, DOLLAR_MSAT, clock.nowMs() + QUOTE_MS);
		rates.rate = { ...rates.rate, msatPerDollar: 2_000_000n };
		await later(DAY_MS);
		assert.equal(await has(), 1_000_000_870n);
	});

	it("threat 17: a late payment waits for a rate where none is known", async () => {
		const { reference } = await begun();
		rates.known = false;
		rail.comes(reference, DOLLAR_MSAT, clock.nowMs() + QUOTE_MS + 1);
		await hint(reference);
		assert.deepEqual([await has(), (await now()).state], [0n, "waiting"]);
		rates.known = true;
		await later(MINUTE_MS);
		assert.equal(await has(), 1_000_000_870n);
	});

	it("threat 17: a payment in part is credited as what it is, and so is the rest when it comes", async () => {
		const { reference } = await begun();
		rail.comes(reference, 400_000n, clock.nowMs());
		await hint(reference);
		assert.deepEqual([await has(), (await now()).state], [398_000_000n, "credited"]);
		rail.comes(reference, DOLLAR_MSAT - 400_000n, clock.nowMs());
		await later(LOOKS);
		assert.equal(await has(), 1_000_000_870n, "without a hint");
		assert.deepEqual([await moved(), (await now()).came?.units], [2, DOLLAR_MSAT]);
	});

	it("threat 17: an invoice paid twice is credited twice, the second time at the rate of that moment", async () => {
		const { reference } = await begun();
		rail.comes(reference, DOLLAR_MSAT, clock.nowMs());
		await hint(reference);
		rates.rate = { ...rates.rate, msatPerDollar: 2_000_000n };
		rail.comes(reference, DOLLAR_MSAT, clock.nowMs());
		await hint(reference);
		await hint(reference);
		assert.equal(await has(), 1_000_000_870n + 500_000_435n);
		assert.equal(await moved(), 2);
	});

	it("threat 17: holds a rate for what was quoted and for no more", async () => {
		const { reference } = await begun();
		rates.rate = { ...rates.rate, msatPerDollar: 2_000_000n };
		rail.comes(reference, 2n * DOLLAR_MSAT, clock.nowMs());
		await hint(reference);
		assert.equal(await has(), 1_000_000_870n + 500_000_435n);
	});

	it("threat 17: one that a clock which was ahead ended too early is credited when it is asked for again", async () => {
		const { reference } = await begun();
		clock.jump(30 * DAY_MS);
		await watch.round();
		assert.equal((await now()).state, "ended");
		clock.jump(-30 * DAY_MS);
		rail.comes(reference, DOLLAR_MSAT, clock.nowMs());
		await watch.round();
		assert.equal(await has(), 0n);
		assert.equal(fine(await start()).state, "credited");
		assert.ok((await has()) >= DOLLAR);
		assert.equal(await has(), (await now()).came?.credited);
		assert.equal(fine(await start()).state, "credited");
		assert.equal(await has(), (await now()).came?.credited);
	});

	it("threat 16: a rail that says less than before takes nothing back by its word alone", async () => {
		const { reference } = await begun();
		rail.comes(reference, DOLLAR_MSAT, clock.nowMs());
		await hint(reference);
		for (const state of ["waiting", "ended", "absent"] as const) {
			rail.said.set(reference, { state });
			await hint(reference);
		}
		rail.said.set(reference, { state: "paid", amount: 1n, fee: 0n, atMs: clock.nowMs() });
		await hint(reference);
		rail.said.set(reference, { state: "paid", amount: DOLLAR_MSAT, fee: 0n, atMs: clock.nowMs() });
		await hint(reference);
		assert.deepEqual([await has(), await moved(), (await now()).state], [1_000_000_870n, 1, "credited"]);
	});

	it("threat 18: nothing is credited that no ledger could hold", async () => {
		const { reference } = await begun();
		for (const amount of [2n ** 90n, -1n, 0n]) {
			rail.said.set(reference, { state: "paid", amount, fee: 0n, atMs: clock.nowMs() });
			await hint(reference);
			await later(LOOKS);
		}
		assert.deepEqual([await moved(), (await now()).state], [0, "waiting"]);
		rail.said.set(reference, { state: "paid", amount: 1_000_000n, fee: 2_000_000n, atMs: clock.nowMs() });
		await hint(reference);
		assert.deepEqual([await moved(), await has()], [0, 0n], "a fee that eats all leaves nothing to credit");
	});

	it("takes the rail's fee off what is credited", async () => {
		const { reference } = await begun();
		rail.comes(reference, 1_100_000n, clock.nowMs(), { fee: 100_000n });
		await hint(reference);
		assert.equal(await has(), 995_000_000n);
	});

	it("end when the rail says that nothing can come; what comes all the same is credited", async () => {
		const { reference } = await begun();
		rail.said.set(reference, { state: "ended" });
		await hint(reference);
		assert.equal((await now()).state, "ended");
		rail.said.set(reference, { state: "paid", amount: DOLLAR_MSAT, fee: 0n, atMs: clock.nowMs() });
		rail.down = true;
		await hint(reference);
		rail.down = false;
		await later(MINUTE_MS);
		assert.deepEqual(
			[await has(), (await now()).state],
			[1_000_000_870n, "credited"],
			"also when the rail was away when it was hinted at",
		);
	});

	it("card money that can be taken back comes on a purse of its own", async () => {
		const { reference } = await begun();
		rail.comes(reference, DOLLAR_MSAT, clock.nowMs(), { backUntilMs: clock.nowMs() + 14 * DAY_MS });
		await hint(reference);
		assert.deepEqual([await has(), await market.book.balance(freshAccount(ADA))], [0n, 1_000_000_870n]);
	});

	it("threat 8: are begun once for each id: the same again answers the same, another amount is refused", async () => {
		const both = await Promise.all([start(), start(), start()]);
		const [one, two, three] = both.map((answer) => fine(answer));
		assert.deepEqual([two, three], [one, one]);
		assert.deepEqual(fine(await start()), one);
		assert.equal(rail.orders.size, 1);
		assert.equal(codeOf(await start("first", amount(2n * DOLLAR))), "conflict");
		const bobs = fine(await start("first", DOLLAR, BOB));
		assert.notEqual(bobs.reference, one?.reference, "another account's id is another deposit");
	});

	it("threat 17: have a name at the rail that nobody can guess", async () => {
		await begun("first");
		await begun("second");
		const names = [...rail.orders.values()].map(({ id }) => id);
		assert.equal(new Set(names).size, 2);
		for (const name of names) assert.match(name, /^[0-9a-f]{32}$/);
		for (const { text } of rail.orders.values()) assert.equal(text, "Farelay: $1.00", "and say nothing of who pays");
	});

	it("cannot be begun by a rail that is closed, for nothing, or for more than it takes", async () => {
		assert.equal(codeOf(await start("a", DOLLAR, ADA, "elsewhere")), "rail-closed");
		assert.equal(codeOf(await start("b", amount(0n))), "malformed");
		assert.equal(codeOf(await start("c", amount(2_000_000n * DOLLAR))), "malformed");
		assert.equal((await market.book.records({ table: "deposits", by: "account", of: ADA, limit: 9 })).length, 0);
	});

	it("go on under the same id when the rail was away, and say that no money moved", async () => {
		rail.down = true;
		const refused = await start();
		assert(isProblem(refused));
		assert.deepEqual([refused.problem, refused.spent, (await now()).state], ["unavailable", "no", "starting"]);
		rail.down = false;
		assert.equal((await begun()).state, "waiting");
	});

	it("end by themselves where they were never begun: nobody was told how to pay", async () => {
		rail.down = true;
		await start();
		await later(QUOTE_MS);
		assert.equal((await now()).state, "ended");
		assert.equal(fine(await start()).state, "ended");
	});

	it("threat 18: a rail's odd answer to a start is shown to nobody", async () => {
		const odd = { reference: "ref", pay: { kind: "invoice", invoice: "ln" } as const, expiresAtMs: clock.nowMs() };
		const wrong = [
			{ ...odd, reference: "" },
			{ ...odd, reference: "x".repeat(1_000) },
			{ ...odd, reference: "a b" },
			{ ...odd, expiresAtMs: Number.NaN },
			{ ...odd, pay: { kind: "link", url: "" } as const },
			{ ...odd, pay: { kind: "invoice", invoice: "x".repeat(10_000) } as const },
		];
		for (const [i, answer] of wrong.entries()) {
			const strange = scriptedRail({ name: `strange-${i}`, start: async () => answer });
			market = { ...market, rails: [strange] };
			assert.equal(codeOf(await start(`odd-${i}`, DOLLAR, BOB, strange.name)), "unavailable");
		}
	});

	it(`threat 12: wait ${WAITING_MAX} at a time for each account, and a restart knows how many do`, async () => {
		for (let i = 0; i < WAITING_MAX; i++) await begun(`d-${i}`);
		assert.equal(codeOf(await start("one-more")), "too-many");
		assert.equal(fine(await start("d-0")).state, "waiting", "one that waits already is no more");
		fine(await start("bobs", DOLLAR, BOB));
		await watch.close();
		await comeUp(market.book);
		assert.equal(codeOf(await start("one-more")), "too-many");
		const { reference } = await begun("d-0");
		rail.comes(reference, DOLLAR_MSAT, clock.nowMs());
		await hint(reference);
		await begun("one-more");
		await later(QUOTE_MS);
		await begun("later");
	});

	it("threat 12: wait for all accounts together up to a bound", async () => {
		const { ofAll = 0, states } = ROOM;
		const other = (i: number): Change => {
			const [key, account] = [`other:${i}`, i.toString(16).padStart(64, "0")];
			const state = states[i % states.length] ?? "";
			const row = { key, account, state, dueMs: clock.nowMs() + DAY_MS, value: "{}" };
			return { rows: [{ table: "deposits", expect: 0, row }] };
		};
		for (let i = 0; i < ofAll - 1; i += CHANGES_MAX)
			await market.book.apply(Array.from({ length: Math.min(CHANGES_MAX, ofAll - 1 - i) }, (_, n) => other(i + n)));
		await begun("the-last");
		assert.equal(codeOf(await start("one-more", DOLLAR, BOB)), "too-many");
	});

	it("threat 11: ask a slow rail few things at once, and forget no hint of those that it can be asked about", async () => {
		const references: string[] = [];
		for (let i = 0; i < 40; i++) {
			const account = i.toString(16).padStart(64, "0");
			references.push(fine(await start("d", DOLLAR, account)).reference ?? "");
		}
		let [now, most] = [0, 0];
		const asks = rail.deposit;
		rail.deposit = async (reference) => {
			now += 1;
			most = Math.max(most, now);
			await new Promise(setImmediate);
			now -= 1;
			return await asks(reference);
		};
		for (const reference of references) rail.comes(reference, DOLLAR_MSAT, clock.nowMs());
		for (const reference of [...references, ...references]) rail.hint(reference);
		await watch.idle();
		assert.deepEqual([await moved(), most], [40, 8]);
		most = 0;
		for (let i = 0; i < 40; i++) fine(await start("e", DOLLAR, i.toString(16).padStart(64, "0")));
		await clock.advance(LOOKS);
		assert.deepEqual([await watch.round(), most], [40, 8], "a round asks about all, and of no more at once");
	});

	it("threat 11: hints of nothing are forgotten beyond a bound, and a round finds what was meant", async () => {
		const { reference } = await begun();
		rail.comes(reference, DOLLAR_MSAT, clock.nowMs());
		for (let i = 0; i < HINTS_MAX + 100; i++) rail.hint(`nothing-${i}`);
		rail.hint(reference);
		await watch.idle();
		assert.equal(await moved(), 0, "it came when there was no place for it");
		await later(LOOKS);
		assert.equal(await has(), 1_000_000_870n);
	});

	it("threat 10: are looked at although the rail breaks over another, and although another's record is none", async () => {
		const references: string[] = [];
		for (const id of ["one", "two", "three", "four", "five"]) references.push((await begun(id)).reference);
		const { deposit } = rail;
		rail.deposit = async (reference) =>
			reference === references[4] ? deposit(reference) : assert.fail("an answer that nobody thought of");
		rail.comes(references[4] ?? "", DOLLAR_MSAT, clock.nowMs());
		const row = { key: `${ADA}:none`, account: ADA, state: "waiting", dueMs: 0, value: "{}" };
		assert.deepEqual(await market.book.apply([{ rows: [{ table: "deposits", expect: 0, row }] }]), ["applied"]);
		for (let rounds = 0; rounds < 10; rounds++) {
			clock.jump(MINUTE_MS);
			await assert.rejects(watch.round(), /is no deposit/);
		}
		assert.equal((await now("five")).state, "credited");
		assert.equal((await now("one")).fails > 0, true);
	});

	it("are looked at although another rail is away", async () => {
		const away = scriptedRail({ name: "away" });
		market = { ...market, rails: [away, rail] };
		for (let i = 0; i < 6; i++) fine(await startDeposit(market, BOB, { id: `b-${i}`, rail: "away", asked: DOLLAR }));
		for (let i = 0; i < 6; i++)
			fine(await startDeposit(market, "c3".repeat(32), { id: `c-${i}`, rail: "away", asked: DOLLAR }));
		const { reference } = await begun();
		away.down = true;
		rail.comes(reference, DOLLAR_MSAT, clock.nowMs());
		await watch.close();
		watch = openWatch(market);
		await later(LOOKS);
		assert.equal(await has(), 1_000_000_870n);
		assert.equal(away.asked, 8, "one that fails is asked no further in this round");
	});

	it("of play money come at once, and an account that has much gets no more", async () => {
		market = { ...market, rails: [makePlayRail(clock)] };
		const order = { rail: "play", asked: amount(100n * DOLLAR) };
		for (let i = 0; i < 10; i++) {
			const deposit = fine(await startDeposit(market, ADA, { ...order, id: `p-${i}` }));
			assert.deepEqual([deposit.state, deposit.came?.credited], ["credited", order.asked]);
			assert.deepEqual(fine(await startDeposit(market, ADA, { ...order, id: `p-${i}` })), deposit);
		}
		assert.equal(codeOf(await startDeposit(market, ADA, { ...order, id: "more", asked: amount(1n) })), "malformed");
		assert.equal(await has(), 1_000n * DOLLAR);
		assert.equal(await market.book.balance("world:play"), -1_000n * DOLLAR);
	});
});

/** One wait for the first look of a deposit. */
const LOOKS = 5_000;
