/**
 * The people of a market: who they are, what they can afford, how much they write and to whom. All of it is drawn from figures of the world and from what is
 * assumed in the open (docs/economy/README.md); honest people are the same whatever thieves do.
 */

import { ECONOMIES, type Economy, INCOME_GROUPS, type IncomeGroup } from "#contracts/need";
import { type Chance, pick } from "./chance.ts";
import online from "./online.json" with { type: "json" };

/** Where the figures of people online are from. */
export const ONLINE_SOURCE: string = online.source;

/** What each country weighs: `world` by people online; `need` the same inside each income group, and the groups as in {@link NEED_MIX_PERCENT}. */
export const MIXES = ["world", "need"] as const;
export type Mix = (typeof MIXES)[number];

/** A market that went where it is needed: people of low-income countries seven times as many as of all people online. */
export const NEED_MIX_PERCENT: Readonly<Record<IncomeGroup, number>> = {
	low: 20,
	"lower-middle": 50,
	"upper-middle": 20,
	high: 10,
};

/** A country and how many of a market's people are there, in parts of all weights. */
export type Weight = { readonly economy: Economy; readonly weight: number };

/** The weights of a mix; they sum to one. */
export function weightsOf(mix: Mix): Weight[] {
	const people = online.economies.flatMap(([code, percent]) => {
		const economy = ECONOMIES.get(String(code));
		return economy ? [{ economy, weight: (economy.population * Number(percent)) / 100 }] : [];
	});
	const sumOf = (of: readonly Weight[]) => of.reduce((sum, { weight }) => sum + weight, 0);
	const all = sumOf(people);
	if (mix === "world") return people.map(({ economy, weight }) => ({ economy, weight: weight / all }));
	return INCOME_GROUPS.flatMap((group) => {
		const inGroup = people.filter(({ economy }) => economy.incomeGroup === group);
		const sum = sumOf(inGroup);
		return inGroup.map(({ economy, weight }) => ({
			economy,
			weight: (weight / sum) * (NEED_MIX_PERCENT[group] / 100),
		}));
	});
}

/** How somebody came by a pass. */
export type PassFrom = "enroller" | "code" | "app";

/** Somebody who exists. */
export type Human = {
	readonly economy: Economy;
	/** the neighbours whom most mail goes to; all of one country */
	readonly village: number;
	/** bytes a month, on the average */
	readonly monthBytes: number;
	/** what the market knows of the country */
	readonly evidence: "none" | "said" | "strong";
	readonly pass: PassFrom | undefined;
	/** the code was one of many uses, from a poster */
	readonly isPoster: boolean;
	/** whom they write to, by number, most often to the first */
	readonly contacts: readonly number[];
	/** day of the week on which they open their tab */
	readonly weekday: number;
	/** would sell a pass, or lie about the country */
	readonly isDishonest: boolean;
};

/** People of a village. */
const VILLAGE = 40;
const CONTACTS = 5;
/** The log-normal of what people send: half send less than 40 MB a month, one in six more than the basket of 100 MB. */
const MEDIAN_BYTES = 40_000_000;
const SIGMA = 1;
const BYTES_MIN = 1_000_000;
const BYTES_MAX = 1_000_000_000;

/** How many of a hundred have a strong proof of their country (a card that pays), by income group; others say it or keep it to themselves. */
const STRONG_PERCENT: Readonly<Record<IncomeGroup, number>> = {
	low: 20,
	"lower-middle": 40,
	"upper-middle": 70,
	high: 90,
};
const SAID_PERCENT = 70;
/** How many villages of a hundred have an enroller, and how many people of a hundred elsewhere have a pass by a code or by an app. */
const ENROLLED_PERCENT: Readonly<Record<IncomeGroup, number>> = {
	low: 50,
	"lower-middle": 25,
	"upper-middle": 3,
	high: 0,
};
const CODE_PERCENT = 8;
const APP_PERCENT = 5;
/** Of codes, those on posters. */
const POSTER_PERCENT = 25;

/** All people of a market. `dishonestPct`: how many of a hundred would sell or lie. */
export function peopleOf(chance: Chance, count: number, mix: Mix, dishonestPct: number): Human[] {
	const weights = weightsOf(mix);
	const villages = Math.max(1, Math.ceil(count / VILLAGE));
	const people: Human[] = [];
	let at = -1;
	let upTo = 0;
	for (let village = 0; village < villages; village++) {
		// laid out along the weights, so that a thousand people are already the mix, and no country is there by luck
		while (upTo <= (village + 0.5) / villages && at < weights.length - 1) {
			at += 1;
			upTo += weights[at]?.weight ?? 0;
		}
		const economy = weights[at]?.economy as Economy;
		const group = economy.incomeGroup;
		const isEnrolled = chance.next() * 100 < ENROLLED_PERCENT[group];
		const from = people.length;
		const to = Math.min(count, from + VILLAGE);
		for (let i = from; i < to; i++) {
			const pass = isEnrolled ? "enroller" : passOf(chance);
			people.push({
				economy,
				village,
				monthBytes: bytesOf(chance),
				evidence:
					chance.next() * 100 < STRONG_PERCENT[group] ? "strong" : chance.next() * 100 < SAID_PERCENT ? "said" : "none",
				pass,
				isPoster: pass === "code" && chance.next() * 100 < POSTER_PERCENT,
				contacts: Array.from({ length: CONTACTS }, () => from + chance.below(to - from)),
				weekday: chance.below(7),
				isDishonest: chance.next() * 100 < dishonestPct,
			});
		}
	}
	return people;
}

function passOf(chance: Chance): PassFrom | undefined {
	const n = chance.next() * 100;
	return n < CODE_PERCENT ? "code" : n < CODE_PERCENT + APP_PERCENT ? "app" : undefined;
}

function bytesOf(chance: Chance): number {
	const drawn = MEDIAN_BYTES * Math.exp(SIGMA * chance.normal());
	return Math.round(Math.min(BYTES_MAX, Math.max(BYTES_MIN, drawn)));
}

/** What somebody sends on one tab that lasts so many days, in bytes: months are of 30 days, and no week is like another. */
export function bytesIn(chance: Chance, monthBytes: number, days: number): number {
	return Math.round(((monthBytes * days) / 30) * (0.5 + chance.next()));
}

/** Whom somebody writes to this time: half of the time to the first, else to any. */
export function contactOf(chance: Chance, contacts: readonly number[]): number {
	return chance.next() < 0.5 ? (contacts[0] ?? 0) : pick(chance, contacts);
}
