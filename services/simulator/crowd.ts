/**
 * The gang's people: keys made for nothing, with whatever lets them in, and passes of real people who sold them. As many as the play wants and the entrance
 * lets through.
 */

import { toHex } from "#contracts/bytes";
import { ECONOMIES, type Economy } from "#contracts/need";
import type { Actor, Enroller } from "./actor.ts";
import { type Chance, pick } from "./chance.ts";
import type { Human } from "./people.ts";
import type { Crowd } from "./scheme.ts";

/** A basket: what whoever only pretends to write says that they write. */
const FAKE_MONTH_BYTES = 100_000_000;
/** Without tags one person is enrolled at so many places: thieves go from door to door with the same papers. */
const DOORS = 10;

/** The one that a liar names: where prices are lowest. */
export const POOREST: Economy = [...ECONOMIES.values()].reduce((a, b) => (a.income <= b.income ? a : b));

type Made = {
	readonly from: Actor | undefined;
	readonly pool: number | undefined;
	readonly enroller: number | undefined;
};

/** Adds a crowd's people behind everybody else. */
export function addCrowd(
	chance: Chance,
	crowd: Crowd,
	at: {
		readonly actors: Actor[];
		readonly people: readonly Human[];
		readonly enrollers: readonly Enroller[];
		readonly hasTags: boolean;
	},
): void {
	const { actors, people } = at;
	const humans = actors.slice(0, people.length);
	for (const [i, { from, pool, enroller }] of madeOf(
		chance,
		crowd,
		actors,
		humans,
		at.enrollers,
		at.hasTags,
	).entries()) {
		const jitter = 1 + ((chance.next() * 2 - 1) * crowd.jitterPct) / 100;
		actors.push({
			at: actors.length,
			account: toHex(chance.bytes(32)),
			human: undefined,
			crowd,
			isLiar: false,
			economy: from?.economy ?? POOREST,
			evidence: crowd.by === "said" ? "said" : (from?.evidence ?? (enroller === undefined ? "said" : "strong")),
			pool,
			enroller,
			fromDay: crowd.fromDay + (Math.floor((i * crowd.overDays) / 997) % Math.max(1, crowd.overDays)),
			monthBytes: Math.round((FAKE_MONTH_BYTES * crowd.usePct * jitter) / 100),
		});
	}
}

function madeOf(
	chance: Chance,
	crowd: Crowd,
	actors: Actor[],
	humans: readonly Actor[],
	enrollers: readonly Enroller[],
	hasTags: boolean,
): Made[] {
	const many = (of: number) => Math.round((of * crowd.perHundred) / 100);
	const times = (n: number, made: () => Made): Made[] => Array.from({ length: n }, made);
	switch (crowd.by) {
		case "said":
			return times(many(humans.length), () => ({ from: undefined, pool: undefined, enroller: undefined }));
		case "code": {
			// uses of posters: whoever is first has them, and the sponsor handed out as many as there are people
			const posters = humans.filter(({ human }) => human?.isPoster);
			const pool = posters[0]?.pool;
			return times(many(posters.length), () => ({ from: pick(chance, posters), pool, enroller: undefined }));
		}
		case "enroller":
			return enrollers.flatMap((enroller, place) => {
				if (!enroller.isThief) return [];
				const own = humans.filter((actor) => actor.enroller === place);
				return times(many(own.length), () => {
					const like = pick(chance, own);
					return { from: like, pool: like.pool, enroller: place };
				});
			});
		case "bought": {
			const sold = humans.filter(({ pool, human }) => pool !== undefined && human?.isDishonest);
			return sold
				.filter(() => chance.next() * 100 < crowd.perHundred)
				.flatMap((from) => {
					// whoever sold a pass has none
					actors[from.at] = { ...from, pool: undefined, enroller: undefined };
					const doors = from.enroller === undefined || hasTags ? 1 : DOORS;
					return times(doors, () => ({
						from,
						pool: from.pool,
						enroller: from.enroller === undefined ? undefined : chance.below(enrollers.length),
					}));
				});
		}
	}
}
