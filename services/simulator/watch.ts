/**
 * What the market's people see: their canaries measure relays, and the people of an enroller or an operator are looked at for likeness (services/marketplace/desk).
 * Whoever is found can answer. Here honest ones are let go a week later, and thieves' findings stand: who asks a school about its pupils learns whether they exist.
 */

import { alikeOf, type Trace } from "#marketplace/desk/alike";
import { MEASURES_MAX, type Measure, scoreOf } from "#marketplace/desk/score";
import type { Actor, World } from "./actor.ts";
import { type Chance, pick } from "./chance.ts";
import type { When } from "./quotas.ts";
import type { Scheme } from "./scheme.ts";

const DAY_MS = 86_400_000;
/** What is looked at: the newest thirty days. */
const TRACE_MS = 30 * DAY_MS;
/** How long an honest one takes to answer, and for how long it is not asked again. */
const ANSWER_DAYS = 7;
const QUIET_DAYS = 90;
/** An operator's first subsidised earnings wait for so long. */
const WAITING_DAYS = 14;
/** People of one enroller or operator that are looked at. */
const PEOPLE_MAX = 200;
/** Measurements of a relay in a day. */
const CANARIES_A_DAY = 3;
/** Networks are not perfect: of a thousand messages so many get lost without anybody's fault. */
const LOST_PER_THOUSAND = 5;

type Entry = { readonly group: number; readonly nanos: bigint; readonly atMs: number };

/** Somebody who was found, until the day when that ends (thieves: never). */
type Found = { readonly untilDay: number };

/** The watch of a run. */
export class Watch {
	readonly #world: World;
	readonly #chance: Chance;
	readonly #scheme: Scheme;
	readonly #traces: Entry[][];
	readonly #measures: Measure[][];
	readonly #enrollers = new Map<number, Found>();
	readonly #operators = new Map<number, Found>();
	/** the day of each operator's first subsidised tab */
	readonly #firstDay = new Map<number, number>();
	#spent: readonly Map<string, bigint>[] = [];
	/** people by their enroller */
	readonly #peopleOf: Actor[][];
	/** how often honest ones were asked */
	wronged = 0;
	/** thieves found: enrollers, operators */
	found = { enrollers: 0, operators: 0 };

	constructor(world: World, scheme: Scheme, chance: Chance) {
		this.#world = world;
		this.#scheme = scheme;
		this.#chance = chance;
		this.#traces = world.actors.map(() => []);
		this.#measures = world.relays.map(() => []);
		this.#peopleOf = world.enrollers.map((_, i) => world.actors.filter(({ enroller }) => enroller === i));
	}

	/** Notes what a fund reserved for somebody. */
	note(actor: number, group: number, nanos: bigint, { nowMs: atMs, day }: When): void {
		this.#traces[actor]?.push({ group, nanos, atMs });
		if (!this.#firstDay.has(group)) this.#firstDay.set(group, day);
	}

	isEnrollerPaused(enroller: number, day: number): boolean {
		return isFound(this.#enrollers.get(enroller), day);
	}

	isOperatorPaused(operator: number, day: number): boolean {
		return isFound(this.#operators.get(operator), day);
	}

	/** The part of mail that a relay drops on a day, in percent. */
	dropsPct(relay: number, day: number): number {
		const { drop } = this.#scheme;
		if (!drop || !this.#world.relays[relay]?.isThief || day < drop.fromDay) return 0;
		return day % 30 < drop.daysOf30 ? drop.pct : 0;
	}

	/** The canaries of a day: they look like anybody, so a relay that drops mail drops theirs too. */
	measure(day: number): void {
		for (const [relay, measures] of this.#measures.entries()) {
			const lost = this.dropsPct(relay, day) * 10 + LOST_PER_THOUSAND;
			for (let i = 0; i < CANARIES_A_DAY; i++) {
				const end = this.#chance.next() * 1_000 < lost ? "lost" : "delivered";
				measures.push({ atMs: day * DAY_MS, funded: i % 2 === 0, end, tookMs: end === "lost" ? 0 : 200 });
			}
			if (measures.length > MEASURES_MAX) measures.splice(0, measures.length - MEASURES_MAX);
		}
	}

	/** Looks at everything, as once a week. `usedPpm`: what of their quota somebody used this month. */
	look({ day, nowMs }: When, usedPpm: (actor: Actor) => number): void {
		const sinceMs = nowMs - TRACE_MS;
		for (const entries of this.#traces) while ((entries[0]?.atMs ?? sinceMs) < sinceMs) entries.shift();
		for (const [relay, measures] of this.#measures.entries())
			if (scoreOf(measures).faults.length > 0) this.#findOperator(this.#world.relays[relay]?.operator ?? 0, day);
		this.#spent = this.#peopleOf.map((people) => this.#spentOf(people));
		for (const [enroller, people] of this.#peopleOf.entries()) {
			if (this.#enrollers.has(enroller) && !isOld(this.#enrollers.get(enroller), day)) continue;
			const traces = this.#sample(people).map((actor) => this.#trace(actor, usedPpm));
			if (!alikeOf(traces, this.#usual(enroller)).isAlike) continue;
			const isThief = this.#world.enrollers[enroller]?.isThief === true;
			this.#enrollers.set(enroller, { untilDay: isThief ? Number.POSITIVE_INFINITY : day + ANSWER_DAYS });
			if (isThief) this.found.enrollers += 1;
			else this.wronged += 1;
		}
	}

	/** Looks once at who paid an operator by funds, before the first of that is let go of. */
	judge(day: number, eligible: number, usedPpm: (actor: Actor) => number): void {
		const due = [...this.#firstDay].flatMap(([operator, first]) => (day - first === WAITING_DAYS ? [operator] : []));
		for (const operator of due) {
			const payers = this.#world.actors.filter(({ at }) => this.#traces[at]?.some(({ group }) => group === operator));
			const traces = this.#sample(payers).map((actor) => this.#trace(actor, usedPpm));
			// what one of as many has of all money, if it were spread evenly
			const even = Math.floor(1_000_000 / Math.max(1, eligible));
			const usual = new Map(this.#world.operators.map((_, group) => [String(group), even]));
			if (alikeOf(traces, usual).isAlike) this.#findOperator(operator, day);
		}
	}

	/** As many as the market looks at. */
	#sample(people: readonly Actor[]): readonly Actor[] {
		if (people.length <= PEOPLE_MAX) return people;
		return Array.from({ length: PEOPLE_MAX }, () => pick(this.#chance, people));
	}

	#findOperator(operator: number, day: number): void {
		const before = this.#operators.get(operator);
		if (before && !isOld(before, day)) return;
		const isThief = this.#world.operators[operator]?.isThief === true;
		this.#operators.set(operator, { untilDay: isThief ? Number.POSITIVE_INFINITY : day + ANSWER_DAYS });
		if (isThief) this.found.operators += 1;
		else this.wronged += 1;
	}

	#trace(actor: Actor, usedPpm: (actor: Actor) => number): Trace {
		const spent = new Map<string, bigint>();
		const entries = this.#traces[actor.at] ?? [];
		for (const { group, nanos } of entries) spent.set(String(group), (spent.get(String(group)) ?? 0n) + nanos);
		return { spent, openedMs: entries.map(({ atMs }) => atMs), usedPpm: usedPpm(actor) };
	}

	/** What operators have of the money of other enrollers' people: whoever has many of its own must not be what is usual. */
	#usual(than: number): Map<string, number> {
		const sums = new Map<string, bigint>();
		let all = 0n;
		for (const [enroller, own] of this.#spent.entries())
			for (const [group, part] of enroller === than ? [] : own) {
				sums.set(group, (sums.get(group) ?? 0n) + part);
				all += part;
			}
		return new Map([...sums].map(([group, part]) => [group, Number((part * 1_000_000n) / all)]));
	}

	/** What operators have of each enroller's people's money. */
	#spentOf(people: readonly Actor[]): Map<string, bigint> {
		const sums = new Map<string, bigint>();
		for (const { at } of people)
			for (const { group, nanos } of this.#traces[at] ?? [])
				sums.set(String(group), (sums.get(String(group)) ?? 0n) + nanos);
		return sums;
	}
}

function isFound(found: Found | undefined, day: number): boolean {
	return found !== undefined && day < found.untilDay;
}

function isOld({ untilDay }: Found | undefined = { untilDay: 0 }, day: number): boolean {
	return day >= untilDay + QUIET_DAYS;
}
