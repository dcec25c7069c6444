/** Whether an address in the world leads to this very market: it alone knows the words that its owner was given a moment ago. */

import { toHex } from "#contracts/bytes";
import type { Crypto } from "#contracts/identity";
import type { Clock } from "#host/clock";

/** Long enough for one request, and for nothing else. */
const KNOWN_MS = 60_000;
/** Given out and not yet asked back; the oldest gives way. */
const KNOWN_MAX = 16;

/** Words given out and known again. */
export interface Reach {
	/** A word that nobody guesses. */
	make(): string;
	/** Whether a word was given out within the last minute; once. */
	knows(word: string): boolean;
}

/** Makes it, for one market that runs. */
export function makeReach(crypto: Pick<Crypto, "random">, clock: Pick<Clock, "elapsedMs">): Reach {
	const known = new Map<string, number>();
	return {
		make: () => {
			const oldest = known.keys().next().value;
			if (known.size >= KNOWN_MAX && oldest !== undefined) known.delete(oldest);
			const word = toHex(crypto.random(16));
			known.set(word, clock.elapsedMs() + KNOWN_MS);
			return word;
		},
		knows: (word) => {
			const untilMs = known.get(word);
			known.delete(word);
			return untilMs !== undefined && clock.elapsedMs() < untilMs;
		},
	};
}
