/** The board in a SQLite file: for a market of one process. */

import { isProblem, type Problem } from "#contracts/problem";
import { startWriter } from "#host/writer";
import { answerOf } from "#marketplace/ledger/book";
import type { Board } from "./board.ts";
import type { BoardCalls, BoardThreadOptions } from "./sqlite-thread.ts";

/** A posting on its way, with room for what surrounds it. */
const POSTING_BYTES = 2_048;

/** Opens (and creates) a board's file. `onDeath` is told when its thread dies by a bug. */
export async function openSqliteBoard(
	options: BoardThreadOptions & { readonly onDeath?: (why: Error) => void },
): Promise<Board | Problem> {
	const { onDeath, ...rest } = options;
	const writer = await startWriter<BoardCalls>({
		name: "board",
		module: import.meta.resolve("./sqlite-thread.ts"),
		options: rest,
		...(onDeath && { onDeath }),
	});
	if (isProblem(writer)) return writer;

	return {
		post: (posting, room, nowMs) => answerOf(writer.call("post", { posting, room, nowMs }, { bytes: POSTING_BYTES })),
		postingsOf: (relay) => answerOf(writer.call("postingsOf", relay)),
		postingsAfter: (place) => answerOf(writer.call("postingsAfter", place)),
		note: (name) => answerOf(writer.call("note", name)),
		writeNote: (name, expect, text) =>
			answerOf(writer.call("writeNote", { name, expect, text }, { bytes: text.length })),
		use: (mark, untilMs) => answerOf(writer.call("use", { mark, untilMs })),
		sweep: (nowMs) => answerOf(writer.call("sweep", nowMs)),
		close: () => writer.close(),
	};
}
