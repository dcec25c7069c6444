/**
 * Whether people look alike: invented ones do, for whoever plays them saves work (threat 21). Looked at is only what the market has anyway: with which operators they
 * opened tabs, when, and for how much. Never what was sent, nor to whom. Pure; what is said comes with its numbers, so that it can be answered.
 */

/** What the market has of one person in the last thirty days, of the part that a fund paid. */
export type Trace = {
	/** nano-dollars, by operators' groups */
	readonly spent: ReadonlyMap<string, bigint>;
	/** when they opened tabs */
	readonly openedMs: readonly number[];
	/** what they used of their quota, in parts per million */
	readonly usedPpm: number;
};

export const LIKENESSES = ["one-operator", "same-amounts", "same-times", "all-of-it"] as const;
export type LikenessCode = (typeof LIKENESSES)[number];

/** A way in which people are alike, with how much and from where on that is said, both in parts per million. */
export type Likeness = { readonly code: LikenessCode; readonly ppm: number; readonly fromPpm: number };

/** What is looked at. */
export type Alike = {
	readonly people: number;
	readonly likenesses: readonly Likeness[];
	/** alike enough to be asked about */
	readonly isAlike: boolean;
};

/** Below so many people who did something nothing is said: five friends who write to each other every evening are alike. */
export const PEOPLE_MIN = 12;

/** Most of the money of most people at one operator's. Homes are drawn, so honest people's money is spread however they choose. */
const ONE_OPERATOR_PPM = 700_000;
/** Or three times what the operator has of everybody's, where there are so few operators that much of all money is one's. */
const TIMES_USUAL = 3;
/** People whose spending is within a twentieth of the middle one's. */
const SAME_AMOUNTS_PPM = 600_000;
const NEAR_PPM = 50_000n;
/** Tabs opened within five seconds of somebody else's, beyond what a busy hour does by chance. */
const SAME_TIMES_PPM = 600_000;
const NEAR_MS = 5_000;
/** People who used up what they were given, to the last twentieth. */
const ALL_OF_IT_PPM = 800_000;
const USED_PPM = 950_000;
/** A school that writes in the same break is alike in one way; to be asked takes two, or one and the same operator's pocket. */
const WAYS_MIN = 2;

const ALL_PPM = 1_000_000;

/** How alike people are. `usualPpm`: what each operator's group has of all that funds paid here. */
export function alikeOf(traces: readonly Trace[], usualPpm: ReadonlyMap<string, number>): Alike {
	const people = traces.filter(({ spent }) => sumOf(spent) > 0n);
	if (people.length < PEOPLE_MIN) return { people: people.length, likenesses: [], isAlike: false };
	const found = [oneOperator(people, usualPpm), sameAmounts(people), sameTimes(people), allOfIt(people)];
	const likenesses = found.filter(({ ppm, fromPpm }) => ppm >= fromPpm);
	return { people: people.length, likenesses, isAlike: likenesses.length >= WAYS_MIN };
}

function sumOf(spent: ReadonlyMap<string, bigint>): bigint {
	let sum = 0n;
	for (const nanos of spent.values()) sum += nanos;
	return sum;
}

/** The largest part that one operator has of these people's money, where that is far from what it has of everybody's. */
function oneOperator(people: readonly Trace[], usualPpm: ReadonlyMap<string, number>): Likeness {
	const byGroup = new Map<string, bigint>();
	for (const { spent } of people)
		for (const [group, nanos] of spent) byGroup.set(group, (byGroup.get(group) ?? 0n) + nanos);
	const all = sumOf(byGroup);
	let most: Likeness = { code: "one-operator", ppm: 0, fromPpm: ALL_PPM };
	for (const [group, nanos] of byGroup) {
		const partPpm = (nanos * BigInt(ALL_PPM)) / all;
		const ppm = Number(partPpm);
		const fromPpm = Math.max(ONE_OPERATOR_PPM, TIMES_USUAL * (usualPpm.get(group) ?? 0));
		if (ppm - fromPpm > most.ppm - most.fromPpm) most = { code: "one-operator", ppm, fromPpm };
	}
	return most;
}

function sameAmounts(people: readonly Trace[]): Likeness {
	const sums = people.map(({ spent }) => sumOf(spent)).sort((a, b) => (a < b ? -1 : 1));
	const middle = sums[Math.floor(sums.length / 2)] ?? 0n;
	const near = sums.filter(
		(sum) => (sum > middle ? sum - middle : middle - sum) * BigInt(ALL_PPM) <= middle * NEAR_PPM,
	);
	return { code: "same-amounts", ppm: partOf(near.length, sums.length), fromPpm: SAME_AMOUNTS_PPM };
}

function sameTimes(people: readonly Trace[]): Likeness {
	const opened = people
		.flatMap(({ openedMs }, person) => openedMs.map((atMs) => ({ atMs, person })))
		.sort((a, b) => a.atMs - b.atMs);
	// by chance as many stand near another as there are in ten seconds, on the average of the time looked at
	const spanMs = (opened.at(-1)?.atMs ?? 0) - (opened[0]?.atMs ?? 0);
	const byChance = spanMs === 0 ? 0 : 1 - Math.exp((-2 * NEAR_MS * opened.length) / spanMs);
	const near = opened.filter(({ atMs, person }, i) =>
		[opened[i - 1], opened[i + 1]].some(
			(other) => other !== undefined && other.person !== person && Math.abs(other.atMs - atMs) <= NEAR_MS,
		),
	);
	const fromPpm = Math.max(SAME_TIMES_PPM, Math.min(ALL_PPM, Math.ceil(TIMES_USUAL * byChance * ALL_PPM)));
	return { code: "same-times", ppm: partOf(near.length, opened.length), fromPpm };
}

function allOfIt(people: readonly Trace[]): Likeness {
	const full = people.filter(({ usedPpm }) => usedPpm >= USED_PPM);
	return { code: "all-of-it", ppm: partOf(full.length, people.length), fromPpm: ALL_OF_IT_PPM };
}

function partOf(some: number, all: number): number {
	return all === 0 ? 0 : Math.floor((some * ALL_PPM) / all);
}
