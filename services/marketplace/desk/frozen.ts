/** Accounts that open nothing and are paid nothing. A record, so that every process of the market sees at once what the desk decided; the settings are where it begins. */

import type { Book, RowChange } from "#marketplace/ledger/book";

/** Tells whether an account (public key in hex) is frozen. */
export interface Frozen {
	has(account: string): boolean | Promise<boolean>;
}

/** What the settings say holds until the desk decides otherwise. */
export function makeFrozen(book: Pick<Book, "record">, settings: readonly string[]): Frozen {
	const fromSettings = new Set(settings);
	return {
		has: async (account) => {
			const row = await book.record("findings", keyOf(account));
			return row ? row.state === "frozen" : fromSettings.has(account);
		},
	};
}

/** The change that freezes an account or lets go of it. */
export async function writeFrozen(
	book: Pick<Book, "record">,
	account: string,
	isFrozen: boolean,
	nowMs: number,
): Promise<RowChange> {
	const before = await book.record("findings", keyOf(account));
	const state = isFrozen ? "frozen" : "free";
	const row = { key: keyOf(account), account, state, dueMs: nowMs, value: "" };
	return { table: "findings", expect: before?.version ?? 0, row };
}

function keyOf(account: string): string {
	return `frozen:${account}`;
}
