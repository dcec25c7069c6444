/** The till in memory: the oracle that the SQLite engine is held against, and the relay's till in tests. Nothing outlives it. */

import { merge, withRedeemed } from "./advance.ts";
import type { Till, TillRow } from "./till.ts";

/** Makes an empty till. */
export function openMemoryTill(): Till {
	const rows = new Map<string, TillRow>();
	return {
		rows,
		put: async (row) => {
			rows.set(row.tab, merge(rows.get(row.tab), row));
			return "kept";
		},
		hurry() {},
		redeemed: async (tab, redeemed, receipt) => {
			const row = rows.get(tab);
			if (row) rows.set(tab, withRedeemed(row, redeemed, receipt.slice()));
			return "kept";
		},
		drop: async (tabs) => {
			for (const tab of tabs) rows.delete(tab);
		},
		close: async () => {},
	};
}
