/**
 * The published cards of people (PROTOCOL.md, "Cards, sealing and files"). The market checks who wrote, that it is newer and how long it
 * lasts; it can read none of them. A file of its own, so that nobody's card waits for money or money for a card.
 */

import type { Crypto } from "#contracts/identity";
import { LIMIT } from "#contracts/limit";
import { isProblem, type Problem, problem } from "#contracts/problem";
import { readPublished } from "#contracts/published";
import { startWriter } from "#host/writer";
import type { CardCalls, CardThreadOptions } from "./sqlite-thread.ts";

/** Places in all: a quarter of a gigabyte. Whoever is there stays; only new ones are refused, so that a flood pushes nobody out. */
export const PLACES_MAX = 200_000;

/** A row on its way, with room for what surrounds it. */
const ROW_BYTES = 1_536;

/** The cards that a market keeps. */
export interface Cards {
	/** Takes what a place's owner signed, or says why not. Answers when it is on disk. */
	publish(bytes: Uint8Array, nowMs: number): Promise<Problem | undefined>;
	/** What is published at a place; `not-found` where nothing is. */
	find(place: Uint8Array, nowMs: number): Promise<Uint8Array | Problem>;
	/** Forgets what is over; how many places. */
	sweep(nowMs: number): Promise<number>;
	close(): Promise<void>;
}

/** Opens (and creates) the cards' file. `onDeath` is told when its thread dies by a bug. */
export async function openCards(
	crypto: Crypto,
	path: string,
	{ placesMax = PLACES_MAX, onDeath }: { placesMax?: number; onDeath?: (why: Error) => void } = {},
): Promise<Cards | Problem> {
	const options: CardThreadOptions = { path, placesMax };
	const writer = await startWriter<CardCalls>({
		name: "cards",
		module: import.meta.resolve("./sqlite-thread.ts"),
		options,
		...(onDeath && { onDeath }),
	});
	if (isProblem(writer)) return writer;
	return {
		async publish(bytes, nowMs) {
			const said = readPublished(crypto, bytes);
			if (isProblem(said)) return said;
			const { place, serial, untilMs, sealed } = said;
			if (untilMs <= nowMs || untilMs > nowMs + LIMIT.publishedMsMax + LIMIT.requestAgeMsMax)
				return problem("clock", "The published card is over already, or lasts longer than a market keeps one.");
			const row = { place, serial, withdrawn: sealed ? 0 : 1, untilMs, bytes: said.bytes } as const;
			const answer = await writer.call("put", row, { bytes: ROW_BYTES });
			return isProblem(answer) ? answer : undefined;
		},
		find: async (place, nowMs) =>
			(await writer.call("find", { place, nowMs })) ?? problem("not-found", "No card is published there."),
		async sweep(nowMs) {
			const swept = await writer.call("sweep", nowMs);
			return isProblem(swept) ? 0 : swept;
		},
		close: () => writer.close(),
	};
}
