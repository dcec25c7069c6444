/** The same walk as in `npm test`, on a ledger's file that is closed and opened again at each death. */

import assert from "node:assert/strict";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, suite, test } from "node:test";
import { openSqliteBook } from "#marketplace/ledger/sqlite";
import { STORIES, walk } from "#test/support/funding-walk";
import { fine } from "#test/support/market";

suite("a deposit on a disk", () => {
	let died = 0;
	// a thread starts twice for each call that is failed: the stories that differ by what the disk holds
	for (const story of STORIES.filter(({ unhinted, late, never }) => !unhinted && !late && !never)) {
		test(`threat 16: has one honest end, whichever call fails, when Ada ${story.says}`, async () => {
			const tally = await walk(story, async () => {
				const folder = await mkdtemp(join(tmpdir(), "farelay-funding-"));
				return {
					open: async () => fine(await openSqliteBook({ path: join(folder, "ledger.db") })),
					close: (book) => book.close(),
					end: () => rm(folder, { recursive: true, force: true }),
				};
			});
			died += tally.died;
			assert(tally.died >= 16, JSON.stringify(tally));
		});
	}
	after(() => console.log(`the market died ${died} times`));
});
