import assert from "node:assert/strict";
import { test } from "node:test";
import { openMemoryBook } from "#marketplace/ledger/memory";
import { CARD_STORIES, walkCard } from "#test/support/card-walk";

for (const story of CARD_STORIES) {
	test(`card money has one end, whichever call to book or rail fails, when it ${story.says}`, async () => {
		const tally = await walkCard(story, async () => {
			const book = openMemoryBook();
			// what is in memory outlives the process here, as a disk does
			return { open: async () => book, close: async () => {}, end: async () => {} };
		});
		assert.ok(tally.died >= 10, `${tally.died} deaths`);
		for (const call of ["apply", "records", "deposit"]) assert.ok(tally.struck.has(call), call);
		if (story.monthly) assert.ok(tally.struck.has("stop"));
		if (story.refund) assert.ok(tally.struck.has("giveBack"));
	});
}
