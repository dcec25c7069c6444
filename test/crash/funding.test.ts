/** The same walk as in `npm test`, on a ledger's file that is closed and opened again at each death. */

import assert from "node:assert/strict";
import { after, suite, test } from "node:test";
import { fileDisk, STORIES, walk } from "#test/support/funding-walk";

suite("a deposit on a disk", () => {
	let died = 0;
	// a thread starts twice for each call that is failed: the stories that differ by what the disk holds
	for (const story of STORIES.filter(({ unhinted, late, never }) => !unhinted && !late && !never)) {
		test(`threat 16: has one honest end, whichever call fails, when Ada ${story.says}`, async () => {
			const tally = await walk(story, () => fileDisk("farelay-funding-"));
			died += tally.died;
			assert(tally.died >= 16, JSON.stringify(tally));
		});
	}
	after(() => console.log(`the market died ${died} times`));
});
