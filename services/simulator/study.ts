/**
 * The study: thieves search on small markets, then the year is played with the worst that they found, whole and with each defence off in turn. Whoever knows of a
 * defence that is off searches again, from there.
 */

import { HOME_RULES } from "#marketplace/home/room";
import { DEFENCES, type Defence } from "#marketplace/sponsor/rules";
import { chanceOf } from "./chance.ts";
import type { Crew } from "./crew.ts";
import { type Choice, PLAYS, type Play, schemeOf } from "./plays.ts";
import { nextOf, nextTogether, type Tried, worstOf } from "./search.ts";
import type { Setup } from "./world.ts";
import type { Trial, Year } from "./year.ts";

/** What is asked for. */
export type Asked = { readonly seed: string; readonly people: number; readonly days: number; readonly tries: number };

/** A tenth of operators and enrollers is dishonest, and one of fifty people. */
const DISHONEST: Setup["dishonest"] = { operatorsPct: 10, enrollersPct: 10, peoplePct: 2 };
/** On what thieves try things out: large enough for every kind of pool and enroller, and quickly played. */
const SMALL = { people: 2_000, days: 75 } as const;
/** Runs with a defence off may use so much of the people. */
const PART = 5;
/** Tries of whoever knows that a defence is off, starting at the worst that is known with all of them on. */
const AGAIN = 12;

/** Searches for the worst of all plays together that go on beside each other. */
const BESIDE = 2;

/** What was tried where the goal is not reached: the market's rules otherwise, with the same thieves. */
const TRIALS: readonly { readonly says: string; readonly trial: Trial }[] = [
	{ says: "one operator at most 3 % of a fund's month, not 20 %", trial: { rules: { operatorSharePpm: 30_000 } } },
	{ says: "a quota of 50 MB a month, not 100 MB", trial: { rules: { quotaBytes: 50_000_000n } } },
	{ says: "a tenth of the room that operators begin with", trial: { home: { seedBytes: HOME_RULES.seedBytes / 10n } } },
	{ says: "room for a tenth more than readers signed for, not a quarter", trial: { home: { roomMorePpm: 100_000 } } },
	{ says: "enrollers have passes for a quarter more people than they have", trial: { sparePasses: 25 } },
	{
		says: "all of these",
		trial: {
			rules: { operatorSharePpm: 30_000, quotaBytes: 50_000_000n },
			home: { seedBytes: HOME_RULES.seedBytes / 10n, roomMorePpm: 100_000 },
			sparePasses: 25,
		},
	},
];

/** A play by itself. */
export type Alone = { readonly play: Play; readonly worst: Tried; readonly tries: number };

/** What the study found. */
export type Study = {
	readonly alone: readonly Alone[];
	readonly together: Tried;
	readonly togetherTries: number;
	readonly main: Year;
	/** the same people without any thief */
	readonly honest: Year;
	readonly without: readonly { readonly defence: Defence; readonly year: Year; readonly choice: Choice }[];
	/** all defences on, with as few people */
	readonly fifth: Year;
	readonly undefended: Year;
	/** one of ten people is dishonest */
	readonly worse: Year;
	/** the mix of all people online */
	readonly world: Year;
	/** other rules than the market's */
	readonly trials: readonly { readonly says: string; readonly year: Year }[];
};

/** The part of what funds spent that reached honest people; all of it where nothing was spent. */
export function shareOf({ funds }: Pick<Year, "funds">): number {
	const spent = funds.reduce((sum, fund) => sum + fund.spent, 0n);
	const honest = funds.reduce((sum, fund) => sum + fund.ends.honest, 0n);
	return spent === 0n ? 1 : Number((honest * 1_000_000n) / spent) / 1_000_000;
}

/** Does it all. `say` hears how far it is. */
export async function study(asked: Asked, crew: Crew, say: (words: string) => void): Promise<Study> {
	const setup: Setup = { seed: asked.seed, people: asked.people, mix: "need", dishonest: DISHONEST };
	const small: Setup = { ...setup, people: Math.min(setup.people, SMALL.people) };
	const smallDays = Math.min(asked.days, SMALL.days);
	const part: Setup = { ...setup, people: Math.max(small.people, Math.round(setup.people / PART)) };
	const chance = chanceOf(`${asked.seed}/search`);

	const attempt = async (choice: Choice, off: readonly Defence[]): Promise<Tried> => {
		const year = await crew.play({ setup: small, days: smallDays, scheme: schemeOf(choice), off });
		return { choice, share: shareOf(year) };
	};
	const searchAlone = async (play: Play): Promise<Alone> => {
		const own = chance.fork(play.name);
		const tried: Tried[] = [];
		while (tried.length < asked.tries) tried.push(await attempt(nextOf(own, play, asked.tries, tried), []));
		const worst = worstOf(tried) as Tried;
		say(`${play.name}: ${percent(worst.share)} at the worst of ${tried.length}`);
		return { play, worst, tries: tried.length };
	};
	const searchTogether = async (
		from: readonly Tried[],
		tries: number,
		off: readonly Defence[],
		name: string,
	): Promise<Tried> => {
		const own = chance.fork(`together ${name}`);
		const tried: Tried[] = [];
		while (tried.length < tries) tried.push(await attempt(nextTogether(own, PLAYS, from, tried), off));
		return worstOf(off.length === 0 ? [...tried, ...from] : tried) as Tried;
	};

	const alone = await Promise.all(PLAYS.map(searchAlone));
	const worsts = alone.map(({ worst }) => worst);
	// several beside each other, so that no core waits for one; together they try as many, each from another point on
	const parts = await Promise.all(
		Array.from({ length: BESIDE }, (_, i) => searchTogether(worsts, Math.ceil(asked.tries / BESIDE), [], String(i))),
	);
	const together = worstOf(parts) as Tried;
	say(`together: ${percent(together.share)}`);
	const scheme = schemeOf(together.choice);
	const whole = crew.play({ setup, days: asked.days, scheme, off: [] }, true);
	const later = async (off: readonly Defence[]) => {
		const again = await searchTogether([together], AGAIN, off, off.join(" "));
		const year = await crew.play({ setup: part, days: asked.days, scheme: schemeOf(again.choice), off });
		say(`without ${off.length === DEFENCES.length ? "any" : off.join(", ")}: ${percent(shareOf(year))}`);
		return { year, choice: again.choice };
	};
	const nobody = { operatorsPct: 0, enrollersPct: 0, peoplePct: 0 };
	const [main, undefended, without, fifth, honest, worse, world, trials] = await Promise.all([
		whole,
		later(DEFENCES),
		Promise.all(DEFENCES.map(async (defence) => ({ defence, ...(await later([defence])) }))),
		crew.play({ setup: part, days: asked.days, scheme, off: [] }),
		crew.play({ setup: { ...part, dishonest: nobody }, days: asked.days, scheme: schemeOf({}), off: [] }),
		crew.play({ setup: { ...part, dishonest: { ...DISHONEST, peoplePct: 10 } }, days: asked.days, scheme, off: [] }),
		crew.play({ setup: { ...part, mix: "world" }, days: asked.days, scheme, off: [] }),
		Promise.all(
			TRIALS.map(async ({ says, trial }) => ({
				says,
				year: await crew.play({ setup: part, days: asked.days, scheme, off: [], trial }),
			})),
		),
	]);
	say(`all defences: ${percent(shareOf(main))} of what funds spent reached honest people`);
	return {
		alone,
		together,
		togetherTries: asked.tries,
		main,
		honest,
		without,
		fifth,
		undefended: undefended.year,
		worse,
		world,
		trials,
	};
}

function percent(share: number): string {
	return `${(share * 100).toFixed(2)} %`;
}
