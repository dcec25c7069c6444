/** The same walk as in `npm test`, on a ledger's file that is closed and opened again at each death. */

import assert from "node:assert/strict";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, suite, test } from "node:test";
import { openSqliteBook } from "#marketplace/ledger/sqlite";
import { fine } from "#test/support/market";
import { type By, FATES, walkPayout } from "#test/support/payout-walk";

/** Each fate by a click; by the schedule, the one that is told about least. */
const WALKS: readonly (readonly [(typeof FATES)[number], By])[] = [
	...FATES.map((fate) => [fate, "click"] as const),
	["sends, and the answer is lost", "schedule"],
];

suite("a payout on a disk", () => {
	let died = 0;
	for (const [fate, by] of WALKS)
		test(`threat 19: whose order ${fate}, begun by a ${by}, ends in one honest outcome wherever the process dies`, async () => {
			const { deaths, struck } = await walkPayout(fate, by, async () => {
				const folder = await mkdtemp(join(tmpdir(), "farelay-payouts-"));
				return {
					open: async () => fine(await openSqliteBook({ path: join(folder, "ledger.db") })),
					close: (book) => book.close(),
					end: () => rm(folder, { recursive: true, force: true }),
				};
			});
			died += deaths;
			assert(deaths >= 30, `only ${deaths} deaths`);
			for (const call of ["apply", "record", "pay", "payment"])
				assert(struck.has(`before ${call}`) && struck.has(`after ${call}`), `${call} was failed`);
		});
	after(() => console.log(`the market died ${died} times`));
});
