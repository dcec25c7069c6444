import assert from "node:assert/strict";
import { test } from "node:test";
import { openMemoryBook } from "#marketplace/ledger/memory";
import { STORIES, walk } from "#test/support/funding-walk";

for (const story of STORIES) {
	test(`threat 16: a deposit has one honest end, whichever call to book or rail fails, when Ada ${story.says}`, async () => {
		const tally = await walk(story, async () => {
			const book = openMemoryBook();
			// what is in memory outlives the process here, as a disk does
			return { open: async () => book, close: async () => {}, end: async () => {} };
		});
		assert(tally.died >= 16 && tally.failed >= 24, JSON.stringify(tally));
		for (const call of ["apply", "record", "records", "start", "deposit", "quote"])
			assert(tally.struck.has(call), `${call} was failed`);
	});
}
