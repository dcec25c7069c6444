/**
 * What thieves can do, as data: a play turns its settings into a scheme, schemes add up, and the year is played with one. Thieves know all rules, see all
 * public pages, are one gang however many operators and enrollers of it there are, and have as many keys as they like.
 */

/** How a crowd of invented people gets in. */
export type Entrance =
	/** their country by their own word: anybody can */
	| "said"
	/** by the many uses of a code on a poster */
	| "code"
	/** by the word of a dishonest enroller */
	| "enroller"
	/** real people's passes, bought */
	| "bought";

/** Invented people (or bought passes) that act alike. Parts are in percent. */
export type Crowd = {
	readonly by: Entrance;
	/** as many to a hundred of those who could be: real people of the market (said), uses of posters (code), an enroller's own real people (enroller), dishonest users with a pass (bought) */
	readonly perHundred: number;
	/** the day when they begin */
	readonly fromDay: number;
	/** how many days it takes until all are there */
	readonly overDays: number;
	/** of their quota they use */
	readonly usePct: number;
	/** how far the amounts of one differ from another's: what looks alike is found */
	readonly jitterPct: number;
	/** days between their tabs */
	readonly everyDays: number;
	/** whether tabs are opened at times of their own, or all by one script in a row */
	readonly isSpread: boolean;
	/** of their money that goes to honest relays, so as not to stand out */
	readonly coverPct: number;
	/** how often a mailbox that was not drawn to the gang's relays is drawn again; each costs a month's quota */
	readonly redraws: number;
	/** of what a receiver may count for, its mailbox signs for, whatever it got */
	readonly signPct: number;
	/** what each pays of its own at another relay of the gang, in millionths of a dollar a month: receivers count for twenty times that */
	readonly paysMicros: number;
};

/** Rich people who ask for a poor country's prices. */
export type Liars = {
	/** of dishonest users in rich countries */
	readonly pct: number;
	/** whose word: their own, or a dishonest enroller's */
	readonly by: "said" | "enroller";
	/** how much more they send when it costs them less */
	readonly timesPct: number;
};

/** Everything that a gang does in a year. */
export type Scheme = {
	/** what its relays ask, of the most that funds pay for */
	readonly askPct: number;
	/** relays of each of its operators */
	readonly relaysEach: number;
	readonly crowds: readonly Crowd[];
	readonly liars: readonly Liars[];
	/** its relays acknowledge mail and drop it: so much of all of it, from a day on, for so many days of thirty */
	readonly drop: { readonly pct: number; readonly fromDay: number; readonly daysOf30: number } | undefined;
	/** a sponsor who takes back what it can on a day, and again every so many days, having put some in between */
	readonly sponsor:
		| { readonly day: number; readonly pct: number; readonly everyDays: number; readonly putsBackPct: number }
		| undefined;
};

/** Nobody does anything. */
export const HONEST: Scheme = {
	askPct: 40,
	relaysEach: 1,
	crowds: [],
	liars: [],
	drop: undefined,
	sponsor: undefined,
};

/** All of them at once. */
export function together(schemes: readonly Scheme[]): Scheme {
	const lists = schemes.filter(({ crowds }) => crowds.length > 0);
	const most = (of: (scheme: Scheme) => number, or: number) => Math.max(or, ...lists.map(of));
	return {
		askPct: lists.length > 0 ? most(({ askPct }) => askPct, 0) : HONEST.askPct,
		relaysEach: most(({ relaysEach }) => relaysEach, 1),
		crowds: schemes.flatMap(({ crowds }) => crowds),
		liars: schemes.flatMap(({ liars }) => liars),
		drop: schemes.map(({ drop }) => drop).find((drop) => drop !== undefined),
		sponsor: schemes.map(({ sponsor }) => sponsor).find((sponsor) => sponsor !== undefined),
	};
}

/** The same where an enroller has passes for so many more people than it has, of a hundred. */
export function within(scheme: Scheme, sparePasses: number): Scheme {
	const crowds = scheme.crowds.map((crowd) =>
		crowd.by === "enroller" ? { ...crowd, perHundred: Math.min(crowd.perHundred, sparePasses) } : crowd,
	);
	return { ...scheme, crowds };
}
