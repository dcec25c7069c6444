/**
 * A market before its first day: operators and their relays, enrollers, pools and who may use them, people and the gang's invented ones. All that honest
 * people are and ask is drawn before the gang comes, so that two runs differ in nothing but what thieves and defences do.
 */

import { amount } from "#contracts/amount";
import { toHex } from "#contracts/bytes";
import { LIMIT } from "#contracts/limit";
import { isPoolEligible } from "#contracts/need";
import type { Tariff } from "#contracts/tariff";
import type { Actor, Enroller, Operator, Relay, World } from "./actor.ts";
import { type Chance, chanceOf } from "./chance.ts";
import { addCrowd, POOREST } from "./crowd.ts";
import { type Human, type Mix, type PassFrom, peopleOf } from "./people.ts";
import type { Scheme } from "./scheme.ts";

/** What a run is of. */
export type Setup = {
	readonly seed: string;
	readonly people: number;
	readonly mix: Mix;
	/** of a hundred, each */
	readonly dishonest: { readonly operatorsPct: number; readonly enrollersPct: number; readonly peoplePct: number };
};

/** One operator for so many people, and one enroller: a school's worth of those who are enrolled at all. */
const PEOPLE_AN_OPERATOR = 1_000;
const OPERATORS_MIN = 20;
const PEOPLE_AN_ENROLLER = 500;
const ENROLLERS_MIN = 10;
/** What operators ask: log-normal around the usual ask; some ask more than funds pay for. */
const ASK_SIGMA = 0.8;
const ASK_MEDIAN_MICROS = 500;
const ASK_MICROS_MIN = 50;
/** An MB kept for a day costs a five-hundredth of an MB sent. */
const STORE_PART = 500n;
/** Of a hundred honest operators, those who have only begun. */
const NEW_PERCENT = 10;
/** The pools of every run: a ministry's for schools of low-income countries, a co-op's elsewhere, one by codes, one that an app's developer fills. */
const POOLS: readonly { readonly name: string; readonly for: PassFrom }[] = [
	{ name: "schools", for: "enroller" },
	{ name: "co-ops", for: "enroller" },
	{ name: "codes", for: "code" },
	{ name: "app", for: "app" },
];

function keyOf(chance: Chance): string {
	return toHex(chance.bytes(32));
}

function tariffOf(micros: number): Tariff {
	const sendPerMb = amount(BigInt(micros) * 1_000n);
	return { sendPerMb, storePerMbDay: amount(sendPerMb / STORE_PART) };
}

/** The tenth, at least one where any are. */
function part(count: number, percent: number): number {
	return percent === 0 ? 0 : Math.max(1, Math.round((count * percent) / 100));
}

/** Makes the world of a run. */
export function worldOf(setup: Setup, scheme: Scheme, hasTags: boolean): World {
	const chance = chanceOf(setup.seed);
	const people = peopleOf(chance.fork("people"), setup.people, setup.mix, setup.dishonest.peoplePct);
	const operators = operatorsOf(chance.fork("operators"), setup);
	const relays = relaysOf(chance.fork("relays"), operators, scheme);
	const ids = chance.fork("ids");
	const count = Math.max(ENROLLERS_MIN, Math.round(setup.people / PEOPLE_AN_ENROLLER));
	const thieves = part(count, setup.dishonest.enrollersPct);
	const enrollers = Array.from({ length: count }, (_, i) => ({ key: keyOf(ids), isThief: i < thieves }));
	const pools = POOLS.map((pool) => {
		const id = ids.bytes(16);
		return { ...pool, id, hex: toHex(id) };
	});
	const actors = humansOf(chance.fork("accounts"), people, enrollers, scheme);
	for (const [i, crowd] of scheme.crowds.entries())
		addCrowd(chance.fork(`crowd ${i}`), crowd, { actors, people, enrollers, hasTags });
	return { operators, relays, enrollers, pools, actors, humans: people.length };
}

function operatorsOf(chance: Chance, { people, dishonest }: Setup): Operator[] {
	const count = Math.max(OPERATORS_MIN, Math.round(people / PEOPLE_AN_OPERATOR));
	const thieves = part(count, dishonest.operatorsPct);
	return Array.from({ length: count }, (_, i) => ({
		key: keyOf(chance),
		isThief: i < thieves,
		isNew: chance.next() * 100 < NEW_PERCENT && i >= thieves,
	}));
}

/** Honest operators have one relay each; those of the gang as many as pay. */
function relaysOf(chance: Chance, operators: readonly Operator[], scheme: Scheme): Relay[] {
	const relays: Relay[] = [];
	for (const [operator, { isThief }] of operators.entries()) {
		const drawn = ASK_MEDIAN_MICROS * Math.exp(ASK_SIGMA * chance.normal());
		const most = Number(LIMIT.poolSendPerMbMax / 1_000n);
		const micros = Math.round(isThief ? (most * scheme.askPct) / 100 : Math.max(ASK_MICROS_MIN, drawn));
		const tariff = tariffOf(micros);
		for (let i = 0; i < (isThief ? scheme.relaysEach : 1); i++) {
			const key = keyOf(chance.fork(`${operator} ${i}`));
			relays.push({ at: relays.length, key, operator, tariff, isThief, isEligible: isPoolEligible(tariff) });
		}
	}
	return relays;
}

function humansOf(
	chance: Chance,
	people: readonly Human[],
	enrollers: readonly Enroller[],
	{ liars }: Scheme,
): Actor[] {
	return people.map((human, at) => {
		const enrolled = human.pass === "enroller";
		const liar = isRich(human) && human.isDishonest ? liars.find(({ pct }) => chance.next() * 100 < pct) : undefined;
		return {
			at,
			account: keyOf(chance),
			human,
			crowd: undefined,
			isLiar: liar !== undefined,
			economy: liar ? POOREST : human.economy,
			evidence: liar ? (liar.by === "said" ? "said" : "strong") : enrolled ? "strong" : human.evidence,
			pool: poolOf(human),
			// neighbours have one enroller
			enroller: enrolled ? human.village % enrollers.length : undefined,
			// a market grows into its first month
			fromDay: chance.below(28),
			monthBytes: liar ? Math.round((human.monthBytes * liar.timesPct) / 100) : human.monthBytes,
		};
	});
}

function isRich({ economy }: Human): boolean {
	return economy.incomeGroup === "high" || economy.incomeGroup === "upper-middle";
}

function poolOf({ pass, economy }: Human): number | undefined {
	if (pass === undefined) return undefined;
	const name =
		pass === "code" ? "codes" : pass === "app" ? "app" : economy.incomeGroup === "low" ? "schools" : "co-ops";
	return POOLS.findIndex((pool) => pool.name === name);
}
