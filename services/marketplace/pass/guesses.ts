/**
 * How many codes may be tried: ten an hour by an account, and so many wrong ones an hour by all together. What one network address may try is counted at the
 * market's door (server.ts). With 75 bits of chance in a code nobody finds one even so; these bounds are what makes that true of machines by the thousand.
 */

import { hash } from "node:crypto";
import { type Problem, problem } from "#contracts/problem";
import type { Board } from "#marketplace/board/board";

/** Tries of one account in an hour: slips of the pen, on a few codes. The check in each code catches most before they are sent. */
export const TRIES_MAX = 10;
/** Wrong codes in an hour by everybody: a market of millions has fewer. A year of it tries one code of 10^14. */
export const WRONG_MAX = 20_000;

const HOUR_MS = 3_600_000;
const NOTE = "wrong-codes";
/** How often the count is written anew when others write it too: one that is missed changes nothing. */
const ATTEMPTS = 4;

/** What tries are counted on. */
type Counted = { readonly board: Pick<Board, "use" | "note" | "writeNote"> };

/** Takes one of an account's tries of this hour; a problem when there is none left, for it or for anybody. */
export async function takeTry({ board }: Counted, account: string, nowMs: number): Promise<Problem | undefined> {
	const hour = Math.floor(nowMs / HOUR_MS);
	const retryAfterMs = (hour + 1) * HOUR_MS - nowMs;
	if (readCount((await board.note(NOTE))?.text, hour) >= WRONG_MAX)
		return problem("too-many", "Too many wrong codes were tried by all together; nobody's is looked at this hour.", {
			retryAfterMs,
		});
	for (let i = 0; i < TRIES_MAX; i++) {
		// the account itself is not written down
		const mark = hash("sha256", `code-try:${hour}:${account}:${i}`, "buffer");
		if (await board.use(mark, (hour + 1) * HOUR_MS)) return undefined;
	}
	return problem("too-many", `You tried ${TRIES_MAX} codes this hour; try again in the next.`, { retryAfterMs });
}

/** Counts a wrong one. */
export async function countWrong({ board }: Counted, nowMs: number): Promise<void> {
	const hour = Math.floor(nowMs / HOUR_MS);
	for (let attempt = 0; attempt < ATTEMPTS; attempt++) {
		const note = await board.note(NOTE);
		const count = readCount(note?.text, hour) + 1;
		if (await board.writeNote(NOTE, note?.version ?? 0, `${hour}:${count}`)) return;
	}
}

function readCount(text: string | undefined, hour: number): number {
	const [of, count] = (text ?? "").split(":").map(Number);
	return of === hour && count !== undefined && Number.isSafeInteger(count) ? count : 0;
}
