/**
 * The plays: what thieves try, each with the settings it chooses among. What is worst for the market is found by trying (search.ts), not here. Settings that
 * differ only in luck are left out: the year's chance has that.
 */

import { type Crowd, type Entrance, HONEST, type Scheme, together } from "./scheme.ts";

/** Values that a play chooses among, by name. */
export type Space = Readonly<Record<string, readonly number[]>>;
/** One value of each. */
export type Settings = Readonly<Record<string, number>>;

/** A play: what it is, what can be chosen, and what then happens. */
export type Play = {
	readonly name: string;
	readonly says: string;
	readonly space: Space;
	scheme(settings: Settings): Scheme;
};

/** What every crowd chooses. */
const CROWD: Space = {
	askPct: [40, 100],
	relaysEach: [1, 4],
	fromDay: [0, 30],
	overDays: [1, 30, 90],
	usePct: [30, 60, 90, 100],
	jitterPct: [0, 40],
	everyDays: [1, 7, 28],
	isSpread: [0, 1],
	coverPct: [0, 20, 50],
	redraws: [0, 1, 3],
	signPct: [0, 50, 100],
	paysMicros: [0, 1_000, 10_000],
};

function chosen(settings: Settings, name: string): number {
	const value = settings[name];
	if (value === undefined) throw new RangeError(`the play has no setting ${name}`);
	return value;
}

function crowdOf(by: Entrance, settings: Settings): Scheme {
	const value = (name: string) => chosen(settings, name);
	const crowd: Crowd = {
		by,
		perHundred: value("perHundred"),
		fromDay: value("fromDay"),
		overDays: value("overDays"),
		usePct: value("usePct"),
		jitterPct: value("jitterPct"),
		everyDays: value("everyDays"),
		isSpread: value("isSpread") === 1,
		coverPct: value("coverPct"),
		redraws: value("redraws"),
		signPct: value("signPct"),
		paysMicros: value("paysMicros"),
	};
	return { ...HONEST, askPct: value("askPct"), relaysEach: value("relaysEach"), crowds: [crowd] };
}

/** All of them; the last of each list of numbers is the boldest. */
export const PLAYS: readonly Play[] = [
	{
		name: "own-relay",
		says: "fake users on one's own relay: they come in by the many uses of codes on posters and send to each other",
		space: { ...CROWD, perHundred: [10, 25, 50] },
		scheme: (settings) => crowdOf("code", settings),
	},
	{
		name: "mailbox-farm",
		says: "mailbox farms: mailboxes by the hundred that pay a little of their own, so as to count as readers, and sign for what nobody sent",
		space: { ...CROWD, perHundred: [2, 5, 10, 20], paysMicros: [1_000, 10_000, 100_000], signPct: [50, 100] },
		scheme: (settings) => crowdOf("said", settings),
	},
	{
		name: "resold-passes",
		says: "resold passes: dishonest people sell theirs, and the gang uses up the quota at its own relays",
		space: { ...CROWD, perHundred: [25, 50, 100] },
		scheme: (settings) => crowdOf("bought", settings),
	},
	{
		name: "invented-people",
		says: "invented people: a dishonest enroller vouches for people who do not exist, beside real ones",
		space: { ...CROWD, perHundred: [5, 20, 50, 100, 300] },
		scheme: (settings) => crowdOf("enroller", settings),
	},
	{
		name: "rich-at-poor-prices",
		says: "rich people with poor countries' prices: by their own word, or by a dishonest enroller's",
		space: { pct: [25, 50, 75, 100], by: [0, 1], timesPct: [100, 150, 200, 400], crowd: [0, 1], askPct: [40, 100] },
		scheme: (settings) => ({
			...HONEST,
			liars: [
				{
					pct: chosen(settings, "pct"),
					by: chosen(settings, "by") === 1 ? "enroller" : "said",
					timesPct: chosen(settings, "timesPct"),
				},
			],
		}),
	},
	{
		name: "said-flood",
		says: "self-declared floods: keys by the thousand that call the poorest country theirs and come first each day",
		space: { ...CROWD, perHundred: [5, 20, 50, 100], paysMicros: [0] },
		scheme: (settings) => crowdOf("said", settings),
	},
	{
		name: "sponsor-withdraws",
		says: "a sponsor that withdraws early: it takes back all it can under open tabs, and puts some in again to try once more",
		space: { day: [1, 10, 45, 80], pct: [50, 100], everyDays: [1, 7, 30], putsBackPct: [0, 20, 60] },
		scheme: (settings) => ({
			...HONEST,
			sponsor: {
				day: chosen(settings, "day"),
				pct: chosen(settings, "pct"),
				everyDays: chosen(settings, "everyDays"),
				putsBackPct: chosen(settings, "putsBackPct"),
			},
		}),
	},
	{
		name: "under-serving",
		says: "an operator that under-serves the sponsored: it acknowledges mail and drops part of it, since whom it is paid by it cannot tell",
		space: { pct: [2, 5, 9, 12, 20, 50, 100], fromDay: [0, 20, 40], daysOf30: [3, 10, 30] },
		scheme: (settings) => ({
			...HONEST,
			drop: {
				pct: chosen(settings, "pct"),
				fromDay: chosen(settings, "fromDay"),
				daysOf30: chosen(settings, "daysOf30"),
			},
		}),
	},
];

/** A choice for each play, by its name; a play that is left out is not played. */
export type Choice = Readonly<Record<string, Settings>>;

/** What a choice comes to. */
export function schemeOf(choice: Choice): Scheme {
	return together(
		PLAYS.flatMap((play) => {
			const settings = choice[play.name];
			return settings ? [play.scheme(settings)] : [];
		}),
	);
}
