/**
 * Threat 5 as a race: 32 clients want the same account, tab, pool, payout and event, while what keeps the book is killed under them again and again. Whatever keeps
 * it, nothing that was answered is lost, nothing is done twice, and all of them get on.
 */

import assert from "node:assert/strict";
import { amount } from "#contracts/amount";
import type { Book, Change, Outcome, RowChange } from "#marketplace/ledger/book";
import {
	earnedAccount,
	holdAccount,
	leavingAccount,
	payerAccount,
	poolAccount,
	WORLD_PLAY,
} from "#marketplace/ledger/chart";
import { giveBack, move, post, reserve } from "#marketplace/ledger/post";
import { deposit, words } from "#test/acceptance/book";

const CLIENTS = 32;
const KILLS = 6;
/** What each client tries between two kills, at least. */
const ROUNDS = 6;
/** What a client may take to get on after a kill, on a busy machine. */
const PATIENCE_MS = 60_000;

const ADA = payerAccount("a1".repeat(32));
const OLU = earnedAccount("b2".repeat(32));
const LEAVING = leavingAccount("b2".repeat(32));
const TAB = "c3".repeat(16);
const HOLD = holdAccount(TAB);
/** A pool whose day is counted beside its money, and what is reserved of it. */
const POOL = poolAccount("d4".repeat(16));
const POOL_HOLD = holdAccount("d5".repeat(16));
const POOL_NANOS = 10_000n;
/** What of it may be reserved at once: as much as a few clients take, so that it binds. */
const POOL_LIMIT = 100n;
const DAY = `fund:${"d4".repeat(16)}:202605`;
const part = (account: string, nanos: bigint) => ({ account, nanos: amount(nanos) });
const label = (id: string) => ({ id, cause: "a race", atMs: 1 });

/** A book as a client has it. `apply` may be asked again by itself when an answer was lost: then it says "same" of what was done. */
export type RacedBook = Pick<Book, "apply" | "tab" | "record">;

/** Who races, and how what keeps the book is killed and comes back. */
export type Race = {
	/** the book that each client has, one of several */
	readonly books: readonly RacedBook[];
	kill(): Promise<void>;
	/** a book for looking at the end, once nobody changes it */
	settled(): Promise<Book>;
};

/** Runs the race and proves its end. */
export async function race({ books, kill, settled }: Race): Promise<void> {
	const [first] = books;
	assert(first);
	await first.apply([{ transfer: deposit("first", ADA, 1_000_000n) }]);
	await first.apply([{ transfer: deposit("sponsor", POOL, POOL_NANOS), rows: [dayRow(0, 0n)] }]);
	await first.apply([{ transfer: reserve(label("open"), [part(ADA, 500_000n)], HOLD), rows: [tabRow(0, 0)] }]);

	const applied = new Set<string>();
	/** what anybody was told is done */
	const done = new Set<string>();
	const tally = { applied: 0, same: 0, stale: 0, overdraft: 0 };
	const state = { running: true, rounds: 0 };

	async function client(n: number): Promise<void> {
		const own = books[n % books.length] as RacedBook;
		for (let round = 0; state.running; round++) {
			const name = `${n}-${round}`;
			const tab = await own.tab(TAB);
			assert(tab);
			const day = await own.record("burns", DAY);
			assert(day);
			const burned = BigInt((JSON.parse(day.value) as { burned: string }).burned);
			assert(burned <= POOL_LIMIT, `${burned} were reserved of the pool at once`);
			const fits = burned + 5n <= POOL_LIMIT;
			const paid = (JSON.parse(tab.value) as { paid: number }).paid;
			const changes: Record<string, Change> = {
				// the same event, told by all clients
				[`event-${round}`]: { transfer: deposit(`event-${round}`, ADA, 100n) },
				// one tab's next voucher, by its version
				[`redeem-${name}`]: {
					transfer: post(label(`redeem-${name}`), HOLD, [part(OLU, 3n)]),
					rows: [tabRow(tab.version, paid + 3)],
				},
				// one account's money, more than there is
				[`spend-${name}`]: { transfer: move(label(`spend-${name}`), [part(ADA, 40_000n)], [part(OLU, 40_000n)]) },
				// one pool: a tab is opened on it while its day's limit leaves room, and given back otherwise
				[`pool-${fits ? "open" : "back"}-${name}`]: {
					transfer: fits
						? reserve(label(`pool-open-${name}`), [part(POOL, 5n)], POOL_HOLD)
						: giveBack(label(`pool-back-${name}`), POOL_HOLD, [part(POOL, 5n)]),
					rows: [dayRow(day.version, fits ? burned + 5n : burned - 5n)],
				},
				// one payout, started by all
				[`payout-${round}`]: { transfer: move(label(`payout-${round}`), [part(OLU, 50n)], [part(LEAVING, 50n)]) },
			};
			const names = Object.keys(changes);
			const outcomes = await own.apply(Object.values(changes));
			for (const [i, outcome] of outcomes.entries()) note(names[i] as string, outcome);
			state.rounds += 1;
		}
	}
	function note(name: string, outcome: Outcome): void {
		const [word] = words([outcome]) as [string];
		assert(word in tally, `${name}: ${JSON.stringify(outcome)}`);
		tally[word as keyof typeof tally] += 1;
		if (word === "applied") {
			assert(!applied.has(name), `${name} was applied twice`);
			applied.add(name);
		}
		// whoever asks again after a lost answer hears "same" of what was done at the first time
		if (word === "applied" || word === "same") done.add(name);
	}

	const clients = Promise.all(Array.from({ length: CLIENTS }, (_, n) => client(n)));
	clients.catch(() => {
		state.running = false;
	});
	let kills = 0;
	for (; kills < KILLS && state.running; kills++) {
		const goal = state.rounds + CLIENTS * ROUNDS;
		const end = performance.now() + PATIENCE_MS;
		while (state.running && state.rounds < goal) {
			assert(performance.now() < end, `after ${kills} kills they got on no more: ${state.rounds} of ${goal}`);
			await new Promise((resolve) => setTimeout(resolve, 5));
		}
		// not waiting for anything to happen: the instant is what is random here
		await new Promise((resolve) => setTimeout(resolve, Math.random() * 40));
		await kill();
	}
	state.running = false;
	await clients;

	const book = await settled();
	const report = await book.audit([
		async function* ({ tabs, records, balanceOf }) {
			for await (const { value } of tabs())
				if (balanceOf(HOLD) !== 500_000n - BigInt((JSON.parse(value) as { paid: number }).paid))
					yield "The tab does not hold what its row says.";
			for await (const { value } of records("burns"))
				if (balanceOf(POOL_HOLD) !== BigInt((JSON.parse(value) as { burned: string }).burned))
					yield "What is reserved of the pool is not what its counter says.";
		},
	]);
	assert.deepEqual(report.findings, []);
	for (const name of done) assert(await book.transfer(name), `${name} was answered and is lost`);
	// and what is there was answered to somebody
	assert.equal(report.transfers, done.size + 3);
	const opened = [...done].filter((name) => name.startsWith("pool-open")).length;
	const back = [...done].filter((name) => name.startsWith("pool-back")).length;
	assert(opened > back && back > 0, `${opened} tabs were opened on the pool, ${back} given back`);
	assert.equal(await book.balance(POOL_HOLD), 5n * BigInt(opened - back));
	assert.equal(
		await book.balance(POOL),
		POOL_NANOS - 5n * BigInt(opened - back),
		"no nano of the pool is lost or made",
	);
	const redeemed = [...done].filter((name) => name.startsWith("redeem-")).length;
	assert.equal(await book.balance(HOLD), 500_000n - 3n * BigInt(redeemed));
	assert((await book.balance(ADA)) >= 0n && (await book.balance(WORLD_PLAY)) < 0n);
	assert.equal(kills, KILLS);
	assert(tally.same > 0 && tally.stale > 0 && tally.overdraft > 0, JSON.stringify(tally));
	console.log(JSON.stringify({ kills, rounds: state.rounds, ...tally }));
}

function dayRow(expect: number, burned: bigint): RowChange {
	const row = { key: DAY, account: "0".repeat(64), state: "counted", dueMs: 1, value: `{"burned":"${burned}"}` };
	return { table: "burns", expect, row };
}

function tabRow(expect: number, paid: number): RowChange {
	return {
		table: "tabs",
		expect,
		row: {
			tab: TAB,
			account: "a1".repeat(32),
			relay: "b2".repeat(32),
			state: "open",
			deadlineMs: 1,
			value: `{"paid":${paid}}`,
		},
	};
}
