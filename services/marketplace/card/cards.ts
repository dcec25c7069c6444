/**
 * The published cards of people (PROTOCOL.md, "Cards, sealing and files"). The market checks who wrote, that it is newer and how long it
 * lasts; it can read none of them. Apart from the ledger, so that nobody's card waits for money or money for a card.
 */

import type { Crypto } from "#contracts/identity";
import { LIMIT } from "#contracts/limit";
import { isProblem, type Problem, problem } from "#contracts/problem";
import { readPublished } from "#contracts/published";

/** Places in all: a quarter of a gigabyte. Whoever is there stays; only new ones are refused, so that a flood pushes nobody out. */
export const PLACES_MAX = 200_000;

/** A publication as it is kept. */
export type CardRow = {
	readonly place: Uint8Array;
	readonly serial: number;
	readonly withdrawn: 0 | 1;
	readonly untilMs: number;
	readonly bytes: Uint8Array;
};

/**
 * Where publications are kept: one row for each place, with the highest serial it had. Two engines (`sqlite.ts`, `postgres.ts`) pass one
 * acceptance suite (test/acceptance/cards.ts).
 */
export interface Places {
	/**
	 * Puts a publication in the place of an older one; durable when it is answered. The same one again is a success with no effect; `older`: one
	 * with its serial or a higher one was there; `full`: there is no room for one more place. What was there counts for as long as it could be
	 * shown as new.
	 */
	put(row: CardRow): Promise<"put" | "older" | "full" | Problem>;
	/** What is at a place now; undefined where nothing is, was, or is any more. */
	find(place: Uint8Array, nowMs: number): Promise<Uint8Array | undefined | Problem>;
	/** Forgets some places of which all that was ever published is over; how many. Any number of processes may do it at once. */
	sweep(nowMs: number): Promise<number | Problem>;
	close(): Promise<void>;
}

/** Places forgotten in one transaction: a few milliseconds of a disk. */
export const SWEEP_MAX = 500;

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

/** The cards at some places. */
export function makeCards(crypto: Crypto, places: Places): Cards {
	return {
		publish: async (bytes, nowMs) => {
			const said = readPublished(crypto, bytes);
			if (isProblem(said)) return said;
			const { place, serial, untilMs, sealed } = said;
			if (untilMs <= nowMs || untilMs > nowMs + LIMIT.publishedMsMax + LIMIT.requestAgeMsMax)
				return problem("clock", "The published card is over already, or lasts longer than a market keeps one.");
			const put = await places.put({ place, serial, withdrawn: sealed ? 0 : 1, untilMs, bytes: said.bytes });
			if (put === "older")
				return problem("conflict", "A newer card was published here; an older one is never put back.");
			if (put === "full") return problem("too-many", "The market keeps as many cards as it can.");
			return put === "put" ? undefined : put;
		},
		find: async (place, nowMs) =>
			(await places.find(place, nowMs)) ?? problem("not-found", "No card is published there."),
		sweep: async (nowMs) => {
			const swept = await places.sweep(nowMs);
			return isProblem(swept) ? 0 : swept;
		},
		close: () => places.close(),
	};
}
