/** A crash at every step of every payout (threat 19), on a book in memory that outlives the process as a disk does; `test/crash` walks on a real one. */

import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { isProblem } from "#contracts/problem";
import { openSilentLog } from "#host/log";
import type { Book } from "#marketplace/ledger/book";
import { openMemoryBook } from "#marketplace/ledger/memory";
import { askPayout, setWishes } from "#marketplace/payout/ask";
import { isUnderWay } from "#marketplace/payout/payout";
import { makePayouts } from "#marketplace/payout/payouts";
import { FATES, walkPayout } from "#test/support/payout-walk";
import { ADDRESS, OPERATOR, openTill, usd } from "#test/support/payouts";

describe("a market that dies in the middle of a payout", () => {
	for (const fate of FATES)
		for (const by of ["click", "schedule"] as const)
			it(`whose order ${fate}, begun by a ${by}, ends in one honest outcome wherever it dies`, async (t) => {
				const { deaths, ends } = await walkPayout(fate, by, async () => {
					const book = openMemoryBook();
					return { open: async () => book, close: async () => {}, end: async () => {} };
				});
				t.diagnostic(`${deaths} deaths: ${[...ends].map(([state, count]) => `${count} ${state}`).join(", ")}`);
				assert(deaths >= 40, `only ${deaths} deaths`);
			});
});

describe("a rail or a book that fails once", () => {
	it("and lives on leaves a payout that goes on by itself", async () => {
		const till = openTill();
		await till.earn(usd(10));
		await setWishes(till, OPERATOR, { target: { kind: "lightning", to: ADDRESS } });
		for (let at = 0; at < 30; at++) {
			await till.earn(usd(10));
			let calls = 0;
			const apply = till.book.apply.bind(till.book);
			const flaky: Book = {
				...till.book,
				apply: async (changes) =>
					calls++ === at % 6 ? [{ refused: "disk", detail: "The disk is full." }] : apply(changes),
			};
			const payouts = makePayouts({ ...till, book: flaky, log: openSilentLog() });
			const asked = await askPayout(till, OPERATOR, { name: `payout ${at}` });
			assert(!isProblem(asked));
			await payouts.advance(asked.id).catch(() => {});
			await payouts.stop();
			assert(!isUnderWay(await till.end(asked.id)));
			assert(till.rail.told.length <= at + 1);
		}
		const { leaving } = await till.money();
		assert.equal(leaving, 0n);
		assert.equal(new Set(till.rail.paid.map(({ id }) => id)).size, till.rail.paid.length);
		await till.audit();
	});
});
