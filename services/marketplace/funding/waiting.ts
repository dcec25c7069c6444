/** How many deposits may wait for their payment at once: an invoice costs whoever asks for it nothing, and the market and its rail a place. */

import type { Book, RecordRow } from "#marketplace/ledger/book";

/** Of one account: a few rails tried, on a few devices. */
export const WAITING_MAX = 8;

/** Of all accounts together, for an account costs nothing either: what the rails can be asked about within a minute. */
export const WAITING_ALL_MAX = 4_000;

/** The states in which a deposit has a place. */
export const WAITING_STATES = ["starting", "waiting"] as const;

/** Counts the deposits that wait; counted anew at each start. */
export interface Waiting {
	/** Takes a place for a deposit; false when there is none. The same deposit takes one place, however often. */
	take(account: string, key: string): boolean;
	/** Gives a deposit's place back, if it has one. */
	give(account: string, key: string): void;
}

/** Counts what waits in a book. */
export async function countWaiting(book: Book, max = WAITING_MAX, allMax = WAITING_ALL_MAX): Promise<Waiting> {
	const keys = new Map<string, Set<string>>();
	let all = 0;
	const put = (account: string, key: string): void => {
		const own = keys.get(account) ?? new Set();
		keys.set(account, own);
		if (!own.has(key)) all += 1;
		own.add(key);
	};
	for (const state of WAITING_STATES) {
		let last: RecordRow | undefined;
		do {
			const from = last ? { after: last.key } : {};
			const page: RecordRow[] = await book.records({ table: "deposits", by: "state", of: state, limit: 500, ...from });
			for (const { account, key } of page) put(account, key);
			last = page.at(-1);
		} while (last);
	}
	return {
		take: (account, key) => {
			const own = keys.get(account);
			if (own?.has(key)) return true;
			if ((own?.size ?? 0) >= max || all >= allMax) return false;
			put(account, key);
			return true;
		},
		give: (account, key) => {
			const own = keys.get(account);
			if (!own?.delete(key)) return;
			all -= 1;
			if (own.size === 0) keys.delete(account);
		},
	};
}
