/**
 * Walks through a deposit failing each call to the database and to the rail in turn: the process dies before it, the process dies when it
 * was done and nobody heard, or it is refused. After a restart there is exactly one honest outcome, and ledger, rail and person are told the same.
 */

import assert from "node:assert/strict";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { amount } from "#contracts/amount";
import { isProblem, problem } from "#contracts/problem";
import { openSilentLog } from "#host/log";
import { type Deposit, depositKey, ROOM } from "#marketplace/funding/deposit";
import { QUOTE_MS } from "#marketplace/funding/quote";
import { depositOf, type FundingMarket, startDeposit } from "#marketplace/funding/start";
import { openWatch } from "#marketplace/funding/watch";
import { type Book, BookFailure, type Change } from "#marketplace/ledger/book";
import { payerAccount } from "#marketplace/ledger/chart";
import { openSqliteBook } from "#marketplace/ledger/sqlite";
import { makePlayRail } from "#marketplace/rail/play";
import type { Rail } from "#marketplace/rail/rail";
import { type HeldClock, heldClock } from "./clock.ts";
import { crypto, fine } from "./market.ts";
import { heldRates, type ScriptedRail, scriptedRail } from "./rail.ts";

/** What Ada does. */
export type Story = {
	readonly says: string;
	readonly play?: boolean;
	/** she pays only when the quote is over */
	readonly late?: boolean;
	/** no hint comes */
	readonly unhinted?: boolean;
	/** she does not ask again for what failed */
	readonly givesUp?: boolean;
	/** she never pays */
	readonly never?: boolean;
};

export const STORIES: readonly Story[] = [
	{ says: "pays at once" },
	{ says: "pays at once, and the hint gets lost", unhinted: true },
	{ says: "pays late", late: true },
	{ says: "does not ask again for what failed", givesUp: true },
	{ says: "never pays", never: true },
	{ says: "takes play money", play: true },
];

export const MODES = ["dies before", "dies after", "refused"] as const;
type Mode = (typeof MODES)[number];

const ADA = "a1".repeat(32);
const ASKED = amount(1_000_000_000n);
const ROUND_MS = 5_000;
const DAY_MS = 86_400_000;

export class Died extends Error {}

/** Counts calls, and lets one of them fail. */
export class Gate {
	count = 0;
	struck = "";
	#dead = false;
	readonly #at: number;
	readonly #mode: Mode;
	constructor(at: number, mode: Mode) {
		this.#at = at;
		this.#mode = mode;
	}
	async pass<T>(name: string, run: () => Promise<T>, refuse: () => T): Promise<T> {
		if (this.#dead) throw new Died();
		this.count += 1;
		if (this.count !== this.#at) return await run();
		this.struck = name;
		if (this.#mode === "refused") return refuse();
		this.#dead = true;
		if (this.#mode === "dies after") await run();
		throw new Died();
	}
	get dead(): boolean {
		return this.#dead;
	}
}

export function brittleBook(book: Book, gate: Gate): Book {
	const broken = (): never => {
		throw new BookFailure(problem("disk"));
	};
	return {
		...book,
		apply: (changes) =>
			gate.pass(
				"apply",
				() => book.apply(changes),
				() => changes.map((_: Change) => ({ refused: "disk", detail: "the disk is full" }) as const),
			),
		balance: (account) => gate.pass("balance", () => book.balance(account), broken),
		record: (table, key) => gate.pass("record", () => book.record(table, key), broken),
		records: (query) => gate.pass("records", () => book.records(query), broken),
		balances: (accounts) => gate.pass("balances", () => book.balances(accounts), broken),
		tabs: (query) => gate.pass("tabs", () => book.tabs(query), broken),
		tab: (tab) => gate.pass("tab", () => book.tab(tab), broken),
		transfers: (account, after, limit) => gate.pass("transfers", () => book.transfers(account, after, limit), broken),
	};
}

export function brittleRail(rail: Rail, gate: Gate): Rail {
	const away = () => problem("unavailable");
	return {
		...rail,
		quote: (way, units) => gate.pass("quote", () => rail.quote(way, units), away),
		start: (order) => gate.pass("start", () => rail.start(order), away),
		deposit: (reference) => gate.pass("deposit", () => rail.deposit(reference), away),
	};
}

/** A folder's worth of market: `open` gives the book as it is on the disk after whatever happened. */
export type Disk = { open(): Promise<Book>; close(book: Book): Promise<void>; end(): Promise<void> };

/** A ledger's file in a folder of its own, which each death closes and the next process opens. */
export async function fileDisk(name: string): Promise<Disk> {
	const folder = await mkdtemp(join(tmpdir(), name));
	return {
		open: async () => fine(await openSqliteBook({ path: join(folder, "ledger.db") })),
		close: (book) => book.close(),
		end: () => rm(folder, { recursive: true, force: true }),
	};
}

/** Walks through one story; answers how many calls were failed, and how often the process died. */
export async function walk(
	story: Story,
	newDisk: () => Promise<Disk>,
): Promise<{ failed: number; died: number; struck: Set<string> }> {
	const tally = { failed: 0, died: 0, struck: new Set<string>() };
	for (const mode of MODES) {
		for (let at = 1; ; at++) {
			const gate = new Gate(at, mode);
			const disk = await newDisk();
			try {
				await tell(story, gate, disk, `${story.says}; call ${at}, ${mode}`);
			} finally {
				await disk.end();
			}
			if (gate.struck === "") break;
			tally.failed += 1;
			if (gate.dead) tally.died += 1;
			tally.struck.add(gate.struck);
		}
	}
	return tally;
}

async function tell(story: Story, gate: Gate, disk: Disk, where: string): Promise<void> {
	const clock = heldClock();
	const rail = scriptedRail();
	const play = makePlayRail(clock);
	const real: Rail = story.play ? play : rail;
	const ada = new Ada(story, rail, clock);

	const book = await disk.open();
	let first: Awaited<ReturnType<typeof comeUp>> | undefined;
	try {
		first = await comeUp(brittleBook(book, gate), brittleRail(real, gate));
		await ada.lives(first, true);
	} catch (error) {
		if (!(error instanceof Died || error instanceof BookFailure)) throw error;
	}
	await first?.watch.close();
	await disk.close(book);

	const again = await disk.open();
	const second = await comeUp(again, real);
	await ada.lives(second, !story.givesUp);
	// until nothing is due any more
	for (let i = 0; i < 100; i++) {
		await clock.advance(DAY_MS / 10);
		await second.watch.round();
	}
	await second.watch.close();
	await judge(second.market, ada, rail, story, where);
	await disk.close(again);

	async function comeUp(on: Book, by: Rail) {
		const parts = { book: on, clock, crypto, log: openSilentLog(), rails: [by], rates: heldRates() };
		return { market: parts satisfies FundingMarket, watch: openWatch(parts) };
	}
}

/** Ada with her client: she asks, pays what she is told how to pay, once, and asks again. */
class Ada {
	readonly #story: Story;
	readonly #rail: ScriptedRail;
	readonly #clock: HeldClock;
	paid = 0n;
	told: Deposit | undefined;

	constructor(story: Story, rail: ScriptedRail, clock: HeldClock) {
		this.#story = story;
		this.#rail = rail;
		this.#clock = clock;
	}

	async lives({ market, watch }: { market: FundingMarket; watch: ReturnType<typeof openWatch> }, asks: boolean) {
		const { late, never, play, unhinted } = this.#story;
		if (asks) {
			const answer = await startDeposit(market, ADA, { id: "d", rail: play ? "play" : "scripted", asked: ASKED });
			if (!isProblem(answer)) this.told = answer;
		}
		const reference = this.told?.reference;
		if (late && reference !== undefined) await this.#clock.advance(QUOTE_MS + 1);
		if (reference !== undefined && !never && !play && this.paid === 0n) {
			this.paid = this.told?.quote.units ?? 0n;
			this.#rail.comes(reference, this.paid, this.#clock.nowMs());
		}
		if (reference !== undefined && !unhinted) this.#rail.hint(reference);
		await watch.idle();
		await this.#clock.advance(ROUND_MS);
		await watch.round();
	}
}

/** What must be true in the end, whatever happened. */
async function judge(market: FundingMarket, ada: Ada, rail: ScriptedRail, story: Story, where: string): Promise<void> {
	const row = await depositOf(market, depositKey(ADA, "d"));
	const balance = await market.book.balance(payerAccount(ADA));
	const transfers = await market.book.count();
	const report = await market.book.audit();
	assert.deepEqual(report.findings, [], where);
	const came = story.play ? row?.came !== undefined : ada.paid > 0n;
	if (came) {
		assert.equal(row?.state, "credited", where);
		assert.equal(row?.came?.credited, balance, `the person is told what the ledger says: ${where}`);
		assert.equal(transfers, 1, `once: ${where}`);
		if (story.play) assert.equal(balance, ASKED, where);
		else assert.equal(row?.came?.units, ada.paid, `what the rail says came is what was credited: ${where}`);
		assert(balance >= ASKED, where);
	} else {
		assert(row === undefined || row.state === "ended", `${row?.state}: ${where}`);
		assert.deepEqual([transfers, balance], [0, 0n], where);
	}
	if (!story.givesUp) assert(came !== Boolean(story.never), `what is asked for again comes: ${where}`);
	if (!story.play) assert(rail.orders.size <= 1, `one order at the rail: ${where}`);
	for (const state of ROOM.states)
		assert.deepEqual(await market.book.records({ table: "deposits", by: "state", of: state, limit: 9 }), [], where);
}
