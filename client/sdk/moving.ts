/**
 * Messages that wait for a relay which cannot be reached, while their reader may long have moved to another: each failure asks for a newer
 * card, as often as that may be asked.
 */

import { same, toHex } from "#contracts/bytes";
import type { Card, Home } from "#contracts/card";
import { type Problem, type ProblemCode, problem } from "#contracts/problem";
import type { Relay } from "./card.ts";
import type { Letter } from "./letter.ts";

/** Refusals that a reader's move to another relay is the likeliest cause of. */
export const MOVED: readonly ProblemCode[] = ["mailbox-unknown", "not-found", "gone", "relay-dishonest"];

/** Asks for a newer card of somebody; undefined where there is none, or it was asked for a moment ago. */
export type Newer = (card: Card) => Promise<Card | undefined>;

/** What waits for a letter's reader to be found elsewhere, until it is ended. */
type Watch = { readonly moved: Promise<Problem>; end(): void };

export class Moves {
	private readonly newer: Newer;
	private readonly watched = new Map<string, Set<() => void>>();

	constructor(newer: Newer) {
		this.newer = newer;
	}

	/** `moved` resolves when a newer card names no mailbox at the relay that a letter waits for. */
	watch({ card, home, readBack }: Letter): Watch {
		const { relay } = card.homes[home] as Home;
		const key = toHex(relay);
		const found = Promise.withResolvers<Problem>();
		const all = this.watched.get(key) ?? new Set();
		const look = async () => {
			// it would only be given up: it waits for its relay, until its TTL is over
			if (readBack) return;
			const newer = await this.newer(card);
			if (all.has(one) && newer?.homes.every((other) => !same(other.relay, relay)))
				found.resolve(problem("mailbox-unknown", "Whoever this is for has moved to another relay."));
		};
		// a storage that fails here is told by whatever else needs it; the letter waits on
		const one = () => void look().catch(() => {});
		this.watched.set(key, all.add(one));
		const end = () => {
			all.delete(one);
			if (all.size === 0) this.watched.delete(key);
		};
		return { moved: found.promise, end };
	}

	/** A relay cannot be reached: whoever is written to there may have moved. */
	unreachable(relay: Relay): void {
		for (const look of this.watched.get(toHex(relay.key)) ?? []) look();
	}
}
