/**
 * Threats 5 and 13 on a database that several processes share: 32 clients in four books race the same accounts, tabs, payouts and events while the server is
 * killed with SIGKILL, by its id, again and again. Nothing that was answered is lost, nothing is done twice, and all of them get on.
 */

import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { amount } from "#contracts/amount";
import { systemClock } from "#host/clock";
import { crypto } from "#host/crypto";
import { openPostgres } from "#host/postgres";
import type { Book, Change, Outcome, RowChange } from "#marketplace/ledger/book";
import { earnedAccount, holdAccount, leavingAccount, payerAccount, WORLD_PLAY } from "#marketplace/ledger/chart";
import { move, post, reserve } from "#marketplace/ledger/post";
import { openPostgresBook } from "#marketplace/ledger/postgres";
import { deposit, words } from "#test/acceptance/book";
import { fine } from "#test/support/market";
import { startPostgres } from "#test/support/postgres";

const CLIENTS = 32;
const BOOKS = 4;
const KILLS = 6;
/** What each client tries between two kills, at least. */
const ROUNDS = 6;

const ADA = payerAccount("a1".repeat(32));
const OLU = earnedAccount("b2".repeat(32));
const LEAVING = leavingAccount("b2".repeat(32));
const TAB = "c3".repeat(16);
const HOLD = holdAccount(TAB);
const part = (account: string, nanos: bigint) => ({ account, nanos: amount(nanos) });
const label = (id: string) => ({ id, cause: "a race", atMs: 1 });

describe("threat 5: 32 clients race one account, tab, payout and event on one Postgres that is killed under them", async () => {
	const server = await startPostgres({ durable: true });

	it("loses nothing that was answered, does nothing twice, and ends", async () => {
		const url = await server.database();
		const open = async () =>
			fine(await openPostgres({ url, clock: systemClock, random: Math.random, connectionsMax: 3, patienceMs: 60_000 }));
		const databases = await Promise.all(Array.from({ length: BOOKS }, open));
		const books: Book[] = [];
		for (const database of databases) books.push(fine(await openPostgresBook(database, crypto)));
		const book = books[0] as Book;
		await book.apply([{ transfer: deposit("first", ADA, 1_000_000n) }]);
		await book.apply([{ transfer: reserve(label("open"), [part(ADA, 500_000n)], HOLD), rows: [tabRow(0, 0)] }]);

		const answered = new Map<string, string>();
		const tally = { applied: 0, same: 0, stale: 0, overdraft: 0 };
		let kills = 0;
		let running = true;
		let rounds = 0;

		async function client(n: number): Promise<void> {
			const own = books[n % BOOKS] as Book;
			for (let round = 0; running; round++) {
				const name = `${n}-${round}`;
				const tab = await own.tab(TAB);
				assert(tab);
				const paid = BigInt((JSON.parse(tab.value) as { paid: number }).paid);
				const changes: Record<string, Change> = {
					// the same event, told by all clients
					[`event-${round}`]: { transfer: deposit(`event-${round}`, ADA, 100n) },
					// one tab's next voucher, by its version
					[`redeem-${name}`]: {
						transfer: post(label(`redeem-${name}`), HOLD, [part(OLU, 3n)]),
						rows: [tabRow(tab.version, Number(paid) + 3)],
					},
					// one account's money, more than there is
					[`spend-${name}`]: { transfer: move(label(`spend-${name}`), [part(ADA, 40_000n)], [part(OLU, 40_000n)]) },
					// one payout, started by all: its id is the operator's balance's
					[`payout-${round}`]: { transfer: move(label(`payout-${round}`), [part(OLU, 50n)], [part(LEAVING, 50n)]) },
				};
				const names = Object.keys(changes);
				const outcomes = await own.apply(Object.values(changes));
				for (const [i, outcome] of outcomes.entries()) note(names[i] as string, outcome);
				rounds += 1;
			}
		}
		function note(name: string, outcome: Outcome): void {
			const [word] = words([outcome]) as [string];
			assert(word in tally, `${name}: ${JSON.stringify(outcome)}`);
			tally[word as keyof typeof tally] += 1;
			if (word === "applied") {
				assert(!answered.has(name), `${name} was applied twice`);
				answered.set(name, word);
			}
		}

		const clients = Array.from({ length: CLIENTS }, (_, n) => client(n));
		const failed = Promise.all(clients);
		failed.catch(() => {
			running = false;
		});
		for (; kills < KILLS && running; kills++) {
			const goal = rounds + CLIENTS * ROUNDS;
			const end = performance.now() + 60_000;
			while (running && rounds < goal) {
				assert(performance.now() < end, `after ${kills} kills they got on no more: ${rounds} of ${goal}`);
				await new Promise((resolve) => setTimeout(resolve, 5));
			}
			// not waiting for anything to happen: the instant is what is random here
			await new Promise((resolve) => setTimeout(resolve, Math.random() * 40));
			process.kill((await server.pid()) as number, "SIGKILL");
			await server.restart();
		}
		running = false;
		await failed;

		const report = await book.audit([
			async function* ({ tabs, balanceOf }) {
				for await (const { value } of tabs())
					if (balanceOf(HOLD) !== 500_000n - BigInt((JSON.parse(value) as { paid: number }).paid))
						yield "The tab does not hold what its row says.";
			},
		]);
		assert.deepEqual(report.findings, []);
		let lost = 0;
		for (const name of answered.keys()) if ((await book.transfer(name)) === undefined) lost += 1;
		assert.equal(lost, 0, "what was answered is there");
		// and what is there was answered to somebody as applied, once
		assert.equal(report.transfers, answered.size + 2);
		const redeemed = [...answered.keys()].filter((name) => name.startsWith("redeem-")).length;
		assert.equal(await book.balance(HOLD), 500_000n - 3n * BigInt(redeemed));
		assert((await book.balance(ADA)) >= 0n && (await book.balance(WORLD_PLAY)) < 0n);
		assert.equal(kills, KILLS);
		assert(tally.same > 0 && tally.stale > 0 && tally.overdraft > 0, JSON.stringify(tally));
		console.log(JSON.stringify({ kills, rounds, ...tally }));
		for (const database of databases) await database.close();
	});
});

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
