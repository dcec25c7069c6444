/** Passes, tokens and gifts on every engine that keeps a book and a board, by two processes at once: what is had once is had once (threats 21 and 22). */

import assert from "node:assert/strict";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, describe, it } from "node:test";
import { amount } from "#contracts/amount";
import { codeHash, makeCode } from "#contracts/code";
import { isProblem } from "#contracts/problem";
import { monthOf } from "#contracts/quota";
import { systemClock } from "#host/clock";
import { crypto } from "#host/crypto";
import { openPostgres } from "#host/postgres";
import type { Board } from "#marketplace/board/board";
import { openMemoryBoard } from "#marketplace/board/memory";
import { openSqliteBoard } from "#marketplace/board/sqlite";
import type { Book } from "#marketplace/ledger/book";
import { payerAccount, WORLD_PLAY } from "#marketplace/ledger/chart";
import { openMemoryBook } from "#marketplace/ledger/memory";
import { openSqliteBook } from "#marketplace/ledger/sqlite";
import { passesOf } from "#marketplace/pass/facts";
import { claimGift, giveByLink, takeGiftBack } from "#marketplace/pass/gift";
import { takeBatchBack } from "#marketplace/pass/give";
import { redeemCode } from "#marketplace/pass/redeem";
import { openPostgresStores } from "#marketplace/stores";
import { spendTokens } from "#marketplace/token/spend";
import { codesFor, draw, makePool, Partner, refusal, roomsOf, someone, well } from "#test/support/passes";
import { startPostgres } from "#test/support/postgres";

type Kept = { readonly book: Book; readonly board: Board };
const server = await startPostgres();
const folders: string[] = [];
after(async () => {
	for (const folder of folders) await rm(folder, { recursive: true, force: true });
});

/** What two processes share, as each of them opens it. */
const ENGINES: Record<string, () => Promise<{ both: readonly [Kept, Kept]; close: () => Promise<void> }>> = {
	memory: async () => {
		const kept = { book: openMemoryBook(), board: openMemoryBoard() };
		return { both: [kept, kept], close: () => kept.book.close() };
	},
	sqlite: async () => {
		const folder = await mkdtemp(join(tmpdir(), "farelay-passes-"));
		folders.push(folder);
		const kept = {
			book: well(await openSqliteBook({ path: join(folder, "ledger.db") })),
			board: well(await openSqliteBoard({ path: join(folder, "board.db") })),
		};
		return { both: [kept, kept], close: () => kept.book.close().then(() => kept.board.close()) };
	},
	postgres: async () => {
		const url = await server.database();
		const opened = await Promise.all(
			[0, 1].map(async () => {
				const postgres = well(await openPostgres({ url, clock: systemClock, random: Math.random }));
				const { book, board } = well(await openPostgresStores(postgres, crypto));
				return {
					book,
					board,
					close: () =>
						board
							.close()
							.then(() => book.close())
							.then(() => postgres.close()),
				};
			}),
		);
		const [one, two] = opened;
		assert(one && two);
		return { both: [one, two], close: async () => void (await Promise.all(opened.map(({ close }) => close()))) };
	},
};

for (const [engine, open] of Object.entries(ENGINES))
	describe(`passes kept on ${engine}, by two processes`, () => {
		it("a code for three brings three, one person has one pass, a token and a gift are had once, and what is taken back is gone for both", async () => {
			const { both, close } = await open();
			const here = roomsOf(both[0]);
			const there = roomsOf({ ...both[1], clock: here.clock });
			const of = (i: number) => (i % 2 ? there : here);
			try {
				const school = await new Partner(here).approved();
				const pool = await makePool(here, { enrollers: [school.account] });
				const { codes, batch } = await codesFor(here, pool, { uses: 3 });
				const people = Array.from({ length: 6 }, someone);
				const brought = await Promise.all(people.map((person, i) => redeemCode(of(i), person, codes[0] ?? "")));
				assert.equal(brought.filter((answer) => !isProblem(answer)).length, 3);

				const twins = [someone(), someone()];
				const handed = [
					well(await school.enroll(pool.bytes, "12345678")),
					well(await school.enroll(pool.bytes, "12345678")),
				];
				await Promise.all(twins.map((twin, i) => redeemCode(of(i), twin, handed[i] ?? "")));
				const held = await Promise.all(twins.map((twin) => passesOf(here, twin, here.clock.nowMs())));
				assert.equal(held.flat().length, 1);

				const holder = people[brought.findIndex((answer) => !isProblem(answer))] ?? "";
				const tokens = well(await draw(here, holder, pool.bytes, 2));
				const order = { pool: pool.pool, month: monthOf(here.clock.nowMs()), tokens };
				const spenders = Array.from({ length: 4 }, someone);
				const spent = await Promise.all(spenders.map((spender, i) => spendTokens(of(i), spender, order)));
				assert.equal(spent.filter((answer) => !isProblem(answer)).length, 1);

				const ada = someone();
				const nanos = amount(1_000_000_000n);
				const entries = [
					{ account: WORLD_PLAY, nanos: -nanos },
					{ account: payerAccount(ada), nanos },
				];
				await here.book.apply([{ transfer: { id: "play", cause: "Play money", atMs: 0, entries } }]);
				const code = makeCode(crypto);
				const free = { frozen: new Set<string>() };
				well(await giveByLink({ ...here, ...free }, ada, { hash: codeHash(crypto, code), nanos, days: 1 }));
				const claims = await Promise.all([
					...spenders.map((spender, i) => claimGift({ ...of(i), ...free }, spender, code)),
					takeGiftBack({ ...there, ...free }, ada, codeHash(crypto, code)),
				]);
				assert.equal(claims.filter((answer) => !isProblem(answer)).length, 1);

				well(await takeBatchBack(there, pool.sponsor, batch));
				assert.deepEqual(await passesOf(here, holder, here.clock.nowMs()), []);
				refusal(await redeemCode(here, someone(), codes[0] ?? ""), "conflict", /took it back/);

				const mallory = someone();
				const tries = await Promise.all(
					Array.from({ length: 14 }, (_, i) => redeemCode(of(i), mallory, makeCode(crypto))),
				);
				assert.equal(tries.filter((answer) => isProblem(answer) && answer.problem === "not-found").length, 10);
				assert.deepEqual((await here.book.audit()).findings, []);
			} finally {
				await close();
			}
		});
	});
