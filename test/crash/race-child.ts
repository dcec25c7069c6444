/** The process that the race kills: a SQLite book for whoever asks over the channel to its parent. */

import { isProblem } from "#contracts/problem";
import type { Change, RecordTable } from "#marketplace/ledger/book";
import { openSqliteBook } from "#marketplace/ledger/sqlite";

/** What is asked: changes to apply, or a tab or a record to show. */
export type Asked = { readonly id: number } & (
	| { readonly apply: readonly Change[] }
	| { readonly tab: string }
	| { readonly table: RecordTable; readonly key: string }
);

const book = await openSqliteBook({ path: process.argv[2] ?? "" });
if (isProblem(book)) throw new Error(book.detail);
const open = book;

function answerTo(asked: Asked): Promise<unknown> {
	if ("apply" in asked) return open.apply(asked.apply);
	return "tab" in asked ? open.tab(asked.tab) : open.record(asked.table, asked.key);
}

process.on("message", async (asked: Asked) => {
	process.send?.({ id: asked.id, answer: await answerTo(asked) });
});
process.send?.("ready");
