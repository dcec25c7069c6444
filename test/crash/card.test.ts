/**
 * The same walk as in `npm test`, on a ledger's file that is closed and opened again at each death. Only deaths after a call, for before it the file is as it was after
 * the call before; and of the stories that differ by nothing on a disk, one.
 */

import assert from "node:assert/strict";
import { after, suite, test } from "node:test";
import { CARD_STORIES, walkCard } from "#test/support/card-walk";
import { fileDisk } from "#test/support/funding-walk";

suite("card money on a disk", () => {
	let died = 0;
	const stories = CARD_STORIES.filter(({ back, penalty }) => back === undefined || penalty !== undefined);
	for (const story of stories) {
		test(`has one end, whichever call fails, when it ${story.says}`, async () => {
			const tally = await walkCard(story, () => fileDisk("farelay-card-"), ["dies after"]);
			died += tally.died;
			assert(tally.died >= 10, JSON.stringify(tally));
		});
	}
	after(() => console.log(`the market died ${died} times`));
});
