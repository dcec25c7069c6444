/** Ends tabs whose redemption deadline has passed: what is left goes back to who paid it. Runs every minute; doing it twice does nothing. */

import { isProblem } from "#contracts/problem";
import type { TabRow } from "#marketplace/ledger/book";
import type { Market } from "#marketplace/market";
import { readTab } from "./tab.ts";
import { endTab, redeemByMs } from "./tabs.ts";

/** How often deadlines are looked at. */
export const SWEEP_MS = 60_000;

/** Tabs ended in one go before the next page is read. */
const PAGE = 200;

/** Ends what is due; answers how many tabs ended. A tab that cannot be ended now is left for the next round. */
export async function sweep(market: Market): Promise<number> {
	// one instant for the whole round: a clock that jumps while pages are read must not end what was not due when it began
	const nowMs = market.clock.nowMs();
	let ended = 0;
	for (const state of ["open", "closing"]) {
		let after: TabRow | undefined;
		for (;;) {
			// the row's deadline is the grant's: those that an outage has moved are read too, and left
			const page: TabRow[] = await market.book.tabs({
				by: "deadline",
				state,
				beforeMs: nowMs + 1,
				limit: PAGE,
				...(after && { after }),
			});
			const due = page.map(readTab).filter((tab) => redeemByMs(market, tab) <= nowMs);
			const outcomes = await Promise.all(due.map((tab) => endTab(market, tab)));
			ended += outcomes.filter((outcome) => outcome === "done").length;
			if (outcomes.some(isProblem)) return ended;
			after = page.at(-1);
			if (!after) break;
		}
	}
	return ended;
}
