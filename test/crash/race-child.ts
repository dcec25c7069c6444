/** The process that the race kills: a SQLite book for whoever asks over the channel to its parent. */

import { isProblem } from "#contracts/problem";
import type { Change } from "#marketplace/ledger/book";
import { openSqliteBook } from "#marketplace/ledger/sqlite";

/** What is asked: changes to apply, or a tab to show. */
export type Asked = { readonly id: number } & ({ readonly apply: readonly Change[] } | { readonly tab: string });

const book = await openSqliteBook({ path: process.argv[2] ?? "" });
if (isProblem(book)) throw new Error(book.detail);

process.on("message", async (asked: Asked) => {
	const answer = "apply" in asked ? await book.apply(asked.apply) : await book.tab(asked.tab);
	process.send?.({ id: asked.id, answer });
});
process.send?.("ready");
