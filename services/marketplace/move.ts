/** Moves what a market keeps beside its money from one engine to another, and shows that all of it arrived. The market stands still meanwhile. */

import { isDeepStrictEqual } from "node:util";
import { isProblem, type Problem, problem } from "#contracts/problem";
import type { Places } from "./card/cards.ts";
import type { Stores } from "./stores.ts";

/** What was moved. */
export type Moved = { readonly listings: number; readonly cards: number };

/** Moves the board and the cards. A problem says what is not well; what was there stays as it was. */
export async function moveBeside(from: Stores, to: Stores): Promise<Moved | Problem> {
	const all = await from.board.everything();
	// moved before, by a move that was broken off: the same is no harm
	if (!(await to.board.takeOver(all)) && !isDeepStrictEqual(await to.board.everything(), all))
		return problem("conflict", "A market has listings or an attendance of its own there already; nothing was moved.");
	if (!isDeepStrictEqual(await to.board.everything(), all))
		return problem("data-corrupt", "What was moved of the market's board is not what it was.");
	const cards = await moveCards(from.places, to.places);
	return isProblem(cards) ? cards : { listings: all.postings.length, cards };
}

async function moveCards(from: Places, to: Places): Promise<number | Problem> {
	let moved = 0;
	for (let after: Uint8Array | undefined; ; ) {
		const page = await from.rows(after);
		if (isProblem(page)) return page;
		const taken = page.length === 0 ? 0 : await to.takeOver(page);
		if (isProblem(taken)) return taken;
		// read again from where it was: a place more, or another card at one, is somebody else's
		const arrived = await to.rows(after);
		if (isProblem(arrived)) return arrived;
		if (!isDeepStrictEqual(arrived, page))
			return problem("conflict", "There are other cards there already, which no market would know what to do with.");
		if (page.length === 0) return moved;
		moved += page.length;
		after = page.at(-1)?.place;
	}
}
