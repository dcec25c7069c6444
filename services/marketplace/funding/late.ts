/** Ends the waiting of earnings that waited on after the money had cleared, or was taken back (clear.ts). Runs by the clock; doing it twice does nothing. */

import { NOTHING } from "#contracts/amount";
import type { RecordRow } from "#marketplace/ledger/book";
import { earnedAccount, waitingAccount } from "#marketplace/ledger/chart";
import { move } from "#marketplace/ledger/post";
import type { Market } from "#marketplace/market";
import { readTab, writeTab } from "#marketplace/tab/tab";

/** How often it is looked for what has waited long enough. */
export const LATE_ROUND_MS = 600_000;

const PAGE = 100;

/** Releases what is due; answers of how many tabs. What somebody else changed meanwhile is left for the next round. */
export async function releaseLate({ book, clock }: Pick<Market, "book" | "clock">): Promise<number> {
	const nowMs = clock.nowMs();
	let released = 0;
	let after: RecordRow | undefined;
	do {
		const page: RecordRow[] = await book.records({
			table: "late",
			by: "due",
			state: "late",
			beforeMs: nowMs + 1,
			limit: PAGE,
			...(after && { after }),
		});
		for (const record of page) {
			const row = await book.tab(record.key);
			if (!row) throw new Error(`earnings wait by a tab that is not there: ${record.key}`);
			const tab = readTab(row);
			const label = { id: `late:${tab.tab}:${record.version}`, cause: `Waited for: tab ${tab.tab}`, atMs: nowMs };
			const { key, account } = record;
			const [outcome] = await book.apply([
				{
					transfer: move(
						label,
						[{ account: waitingAccount(tab.operator), nanos: tab.late }],
						[{ account: earnedAccount(tab.operator), nanos: tab.late }],
					),
					rows: [
						writeTab({ ...tab, late: NOTHING }),
						{ table: "late", expect: record.version, row: { key, account, state: "done", dueMs: nowMs, value: "" } },
					],
				},
			]);
			if (outcome === "applied") released += 1;
		}
		after = page.at(-1);
	} while (after);
	return released;
}
