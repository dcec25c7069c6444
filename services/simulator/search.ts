/**
 * How thieves find what pays: they try settings, keep what was worst for the market, and try its neighbours. The same seed tries the same.
 */

import { type Chance, pick } from "./chance.ts";
import type { Choice, Play, Settings, Space } from "./plays.ts";

/** One that was tried: its choice, and the part of the funds' money that reached honest people. */
export type Tried = { readonly choice: Choice; readonly share: number };

/** Tries of each play, and of all together: at least fifty. */
export const TRIES_MIN = 50;
/** So many are anywhere in the space, before the neighbours of the worst. */
const ANYWHERE = 0.5;

function anywhere(chance: Chance, space: Space): Settings {
	return Object.fromEntries(Object.entries(space).map(([name, values]) => [name, pick(chance, values)]));
}

function neighbour(chance: Chance, space: Space, settings: Settings): Settings {
	const names = Object.keys(space);
	const changed = new Set([pick(chance, names), pick(chance, names)]);
	return Object.fromEntries(
		names.map((name) => [name, changed.has(name) ? pick(chance, space[name] ?? []) : (settings[name] ?? 0)]),
	);
}

/** What to try next of one play, given what was tried. */
export function nextOf(chance: Chance, play: Play, tries: number, tried: readonly Tried[]): Choice {
	const worst = worstOf(tried)?.choice[play.name];
	const settings =
		tried.length < tries * ANYWHERE || !worst ? anywhere(chance, play.space) : neighbour(chance, play.space, worst);
	return { [play.name]: settings };
}

/** What to try next of all together: each play as it was worst alone to begin with, then a few of them otherwise or not at all. */
export function nextTogether(
	chance: Chance,
	plays: readonly Play[],
	alone: readonly Tried[],
	tried: readonly Tried[],
): Choice {
	const whole: Choice = Object.assign({}, ...alone.map(({ choice }) => choice));
	if (tried.length === 0) return whole;
	// one play by itself may be worse for the market than all: what one does can keep another from its share
	const worst = worstOf([...alone, ...tried])?.choice;
	const next: Record<string, Settings> = { ...worst };
	for (let changes = 1 + chance.below(2); changes > 0; changes--) {
		const play = pick(chance, plays);
		const settings = next[play.name];
		if (settings && chance.next() < 0.2 && Object.keys(next).length > 1) delete next[play.name];
		else
			next[play.name] = settings
				? neighbour(chance, play.space, settings)
				: (whole[play.name] ?? anywhere(chance, play.space));
	}
	return next;
}

/** The worst for the market of what was tried; the first of several. */
export function worstOf(tried: readonly Tried[]): Tried | undefined {
	return tried.reduce<Tried | undefined>((worst, one) => (worst && worst.share <= one.share ? worst : one), undefined);
}
