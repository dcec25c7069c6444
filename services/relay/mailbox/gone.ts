/** Counts of what left a mailbox's disk, from the rows that were deleted. */

import type { Filling } from "./quota.ts";

/** What left a mailbox. */
export type Gone = Filling & { readonly mailbox: string };

/** Counts rows with `byCard` and `bytes`; what was not there is none. */
export function goneOf(mailbox: string, rows: Iterable<Record<string, unknown> | undefined>): Gone {
	const gone = { mailbox, messages: 0, bytes: 0, strangerMessages: 0, strangerBytes: 0 };
	for (const row of rows) {
		if (!row) continue;
		const stranger = 1 - Number(row.byCard);
		gone.messages += 1;
		gone.bytes += Number(row.bytes);
		gone.strangerMessages += stranger;
		gone.strangerBytes += stranger * Number(row.bytes);
	}
	return gone;
}
