/**
 * A year, day by day: money comes in, people and thieves open tabs, mail is carried or dropped, tabs are settled, the market's people look around. What must hold is
 * checked at the end and each month, and a run in which it does not is thrown.
 */

import type { Candidate } from "#marketplace/home/draw";
import { HOME_RULES, type HomeRules } from "#marketplace/home/room";
import { type Defence, RULES, type Rules, withoutDefences } from "#marketplace/sponsor/rules";
import type { Actor, Relay, World } from "./actor.ts";
import { Cashbook } from "./cashbook.ts";
import { type Chance, chanceOf, pick } from "./chance.ts";
import type { End, Fund } from "./fund.ts";
import { bytesIn, contactOf } from "./people.ts";
import { Quotas, type When } from "./quotas.ts";
import { Rooms } from "./rooms.ts";
import { type Scheme, within } from "./scheme.ts";
import { Sponsors } from "./sponsors.ts";
import { type Market, Tabs } from "./tabs.ts";
import { Tally } from "./tally.ts";
import { Watch } from "./watch.ts";
import { type Setup, worldOf } from "./world.ts";

const DAY_MS = 86_400_000;
/** 1 January 2027, UTC. */
const START_MS = Date.UTC(2027, 0, 1);
const MARKET_PPM = 20_000;
/** How long an operator is new. */
const NEW_DAYS = 60;
const WEEK = 7;

/** What a run is. */
export type Run = {
	readonly setup: Setup;
	readonly days: number;
	readonly scheme: Scheme;
	/** defences that are switched off */
	readonly off: readonly Defence[];
	/** rules that are tried instead of the market's */
	readonly trial?: Trial | undefined;
};

/** Other rules than the market's. */
export type Trial = {
	readonly rules?: Partial<Pick<Rules, "operatorSharePpm" | "quotaBytes">>;
	readonly home?: Partial<HomeRules>;
	/** of a hundred people whom an enroller expects, how many more it can have passes for */
	readonly sparePasses?: number;
};

/** What became of one fund. Amounts are nano-dollars, the market fee inside. */
export type FundResult = {
	readonly name: string;
	readonly in: bigint;
	readonly back: bigint;
	readonly spent: bigint;
	readonly left: bigint;
	readonly lowest: bigint;
	readonly ends: Readonly<Record<End, bigint>>;
};

/** What became of a year. */
export type Year = {
	readonly funds: readonly FundResult[];
	readonly groups: Tally["groups"];
	readonly operators: Tally["operators"];
	readonly reasons: readonly (readonly [code: string, bytes: number])[];
	readonly asked: bigint;
	readonly earned: bigint;
	readonly overNeedPpm: number;
	readonly gangPaid: bigint;
	readonly withdrawn: Sponsors["taken"];
	readonly wronged: number;
	readonly found: Watch["found"];
	/** the commons and the fee at the end of each week */
	readonly weeks: readonly { readonly free: bigint; readonly solidarityPpm: number }[];
	readonly transfers: number;
};

/** Plays a year. @throws Error when anything that must hold does not. */
export async function play(run: Run): Promise<Year> {
	const year = new Playing(run);
	for (let day = 0; day < run.days; day++) await year.day(day);
	return await year.end();
}

/** A year that is being played. */
class Playing {
	readonly #rules: Rules;
	readonly #world: World;
	readonly #chance: Chance;
	readonly #book = new Cashbook();
	readonly #sponsors: Sponsors;
	readonly #rooms: Rooms;
	readonly #watch: Watch;
	readonly #tally: Tally;
	readonly #tabs: Tabs;
	readonly #quotas: Quotas;
	readonly #market: Market;
	readonly #newOperators = new Set<number>();
	readonly #relayOf: ReadonlyMap<string, number>;
	readonly #gang: readonly Relay[];
	readonly #crowds: readonly Actor[];
	readonly #weeks: { free: bigint; solidarityPpm: number }[] = [];
	#month = -1;
	#best: Relay | undefined;
	#looked = 0;

	constructor(run: Run) {
		const rules = withoutDefences(RULES, run.off);
		if (!rules) throw new RangeError("no such defence");
		this.#rules = { ...rules, ...run.trial?.rules };
		const scheme = within(run.scheme, run.trial?.sparePasses ?? Number.POSITIVE_INFINITY);
		const world = worldOf(run.setup, scheme, rules.defences.tags);
		this.#world = world;
		this.#chance = chanceOf(`${run.setup.seed}/year`);
		this.#sponsors = new Sponsors(world, this.#rules, this.#book, run.scheme);
		this.#rooms = new Rooms(world, this.#rules, this.#chance.fork("homes"), {
			...HOME_RULES,
			...run.trial?.home,
		});
		this.#watch = new Watch(world, run.scheme, this.#chance.fork("watch"));
		this.#tally = new Tally(world, run.days);
		for (const [i, { isNew }] of world.operators.entries()) if (isNew) this.#newOperators.add(i);
		this.#relayOf = new Map(world.relays.map(({ key, at }) => [key, at]));
		this.#gang = world.relays.filter(({ isThief }) => isThief);
		this.#crowds = world.actors.slice(world.humans);
		this.#market = {
			world,
			rules: this.#rules,
			rooms: this.#rooms,
			watch: this.#watch,
			tally: this.#tally,
			book: this.#book,
			pools: this.#sponsors.pools,
			commons: this.#sponsors.commons,
			fees: { marketPpm: MARKET_PPM, solidarityPpm: this.#sponsors.solidarityPpm },
			eligibleOperators: new Set(world.relays.filter((relay) => relay.isEligible).map(({ operator }) => operator)).size,
			newOperators: this.#newOperators,
		};
		this.#quotas = new Quotas(world.actors.length);
		this.#tabs = new Tabs(this.#market, this.#quotas);
	}

	/** One day. */
	async day(day: number): Promise<void> {
		const nowMs = START_MS + day * DAY_MS;
		const month = new Date(nowMs).getUTCMonth() + 12 * new Date(nowMs).getUTCFullYear();
		const when: When = { nowMs, day, month };
		this.#book.at(nowMs);
		this.#rooms.newDay(day);
		this.#tabs.newDay();
		if (day === NEW_DAYS) this.#newOperators.clear();
		if (month !== this.#month) await this.#newMonth(month, nowMs);
		this.#sponsors.newDay();
		this.#market.fees = { marketPpm: MARKET_PPM, solidarityPpm: this.#sponsors.solidarityPpm };
		if (this.#rules.defences.watching) this.#look(when, this.#rules.defences.waiting);
		// thieves are first each day: what is limited by the day is theirs before it is anybody else's
		for (const [i, actor] of this.#crowds.entries()) this.#playThief(actor, i, when);
		for (const actor of this.#world.actors.slice(0, this.#world.humans)) this.#write(actor, when);
		this.#sponsors.withdraw(day);
		this.#tabs.settle(when);
		this.#sponsors.endDay(day, this.#tabs);
		await this.#book.flush();
		if (day % WEEK === WEEK - 1) {
			const { commons, solidarityPpm } = this.#sponsors;
			this.#weeks.push({ free: commons.free, solidarityPpm });
		}
	}

	async #newMonth(month: number, nowMs: number): Promise<void> {
		this.#month = month;
		await this.#book.prune();
		this.#rooms.newMonth();
		this.#sponsors.newMonth();
		const candidates = this.#candidates();
		for (const actor of this.#world.actors) this.#rooms.settle(actor, nowMs, candidates, this.#relayOf);
	}

	#candidates(): Candidate[] {
		return this.#world.relays
			.filter(({ isEligible }) => isEligible)
			.map(({ key, operator }) => ({
				relay: key,
				group: String(operator),
				isNewOperator: this.#newOperators.has(operator),
			}));
	}

	#look(when: When, waits: boolean): void {
		const { day } = when;
		this.#watch.measure(day);
		const usedPpm = ({ at }: Actor): number => this.#quotas.usedPpm(at, this.#rules.quotaBytes);
		// first earnings wait until their operator was looked at; where they do not, nobody is
		if (waits) this.#watch.judge(day, this.#market.eligibleOperators, usedPpm);
		if (day % WEEK !== 0) return;
		this.#watch.look(when, usedPpm);
		const heard = this.#world.enrollers.filter((_, i) => !this.#watch.isEnrollerPaused(i, day));
		this.#sponsors.enrollers(heard.map(({ key }) => key));
	}

	/** What somebody who exists sends today. */
	#write(actor: Actor, when: When): void {
		const { human } = actor;
		if (!human || when.day < actor.fromDay || when.day % WEEK !== human.weekday) return;
		const bytes = bytesIn(this.#chance, actor.monthBytes, WEEK);
		const reader = contactOf(this.#chance, human.contacts);
		const relay = this.#world.relays[this.#rooms.home[reader] ?? -1];
		const nowMs = when.nowMs + this.#chance.below(DAY_MS);
		if (relay) this.#tabs.open(actor, relay, bytes, { ...when, nowMs }, reader);
	}

	/** What one of the gang does today: opens a tab to its own relays, signs for mail, pays a little to count for more. */
	#playThief(actor: Actor, i: number, when: When): void {
		const { crowd, at } = actor;
		if (!crowd || when.day < actor.fromDay) return;
		const home = this.#world.relays[this.#rooms.home[at] ?? -1];
		if (crowd.paysMicros > 0 && when.day % 30 === at % 28) {
			const others = this.#gang.filter(({ operator }) => operator !== home?.operator);
			const relay = others.length > 0 ? pick(this.#chance, others) : undefined;
			if (relay) this.#tabs.openOwn(actor, relay, BigInt(crowd.paysMicros) * 1_000n, when);
		}
		if (home?.isThief && when.day % WEEK === at % WEEK) {
			const quota = Number(this.#rooms.quotaBytes(actor)) + this.#rooms.countsForPaying(crowd.paysMicros);
			this.#rooms.receive(at, Math.round((quota * WEEK * crowd.signPct) / 100 / 30));
		}
		if ((when.day + at) % crowd.everyDays !== 0) return;
		const bytes = Math.round((actor.monthBytes * crowd.everyDays) / 30);
		const isCover = this.#chance.next() * 100 < crowd.coverPct;
		const nowMs = when.nowMs + (crowd.isSpread ? this.#chance.below(DAY_MS) : i * 100);
		if (isCover) {
			const reader = this.#chance.below(this.#world.humans);
			const relay = this.#world.relays[this.#rooms.home[reader] ?? -1];
			if (relay) this.#tabs.open(actor, relay, bytes, { ...when, nowMs }, reader);
			return;
		}
		const relay = this.#roomiest(when.day);
		if (relay) this.#tabs.open(actor, relay, bytes, { ...when, nowMs });
	}

	/** The relay of the gang with most room, looked up now and then. */
	#roomiest(day: number): Relay | undefined {
		this.#looked += 1;
		if (this.#best && this.#looked % 20 !== 0) return this.#best;
		const open = this.#gang.filter(
			({ operator, isEligible }) => isEligible && !this.#watch.isOperatorPaused(operator, day),
		);
		if (open.length === 0) return undefined;
		const roomOf = ({ at }: Relay) => this.#rooms.room(at, MARKET_PPM);
		const first = pick(this.#chance, open);
		this.#best = open.reduce((best, relay) => ((roomOf(relay) ?? 0n) > (roomOf(best) ?? 0n) ? relay : best), first);
		return this.#best;
	}

	/** What came of it, once everything was checked. */
	async end(): Promise<Year> {
		const { pools, commons, taken } = this.#sponsors;
		const tally = this.#tally;
		const funds = [...pools, commons];
		const faults = await this.#book.faults(this.#world.relays.map(({ key }) => key));
		for (const fund of funds) faults.push(...(await this.#faultsOf(fund)));
		let earned = 0n;
		for (const { key } of this.#world.operators) earned += await this.#book.earned(key);
		if (earned !== tally.asked) faults.push(`relays asked ${tally.asked}, and operators were paid ${earned}`);
		if (tally.overNeedPpm > 1_000_000)
			faults.push(`somebody in a low-income country paid ${tally.overNeedPpm} millionths of the need price`);
		if (faults.length > 0) throw new Error(`The run does not hold: ${faults.slice(0, 10).join("; ")}`);
		return {
			funds: funds.map(resultOf),
			groups: tally.groups,
			operators: tally.operators,
			reasons: [...tally.reasons].sort(([, a], [, b]) => b - a),
			asked: tally.asked,
			earned,
			overNeedPpm: tally.overNeedPpm,
			gangPaid: tally.gangPaid,
			withdrawn: taken,
			wronged: this.#watch.wronged,
			found: this.#watch.found,
			weeks: this.#weeks,
			transfers: await this.#book.transfers(),
		};
	}

	async #faultsOf(fund: Fund): Promise<string[]> {
		const faults: string[] = [];
		const fault = fund.fault();
		if (fault) faults.push(fault);
		if (fund.lowest < 0n) faults.push(`${fund.name} was at ${fund.lowest}`);
		const stands = await this.#book.balance(fund.account);
		if (stands !== fund.free) faults.push(`${fund.name} has ${fund.free}, and the ledger says ${stands}`);
		return faults;
	}
}

function resultOf({ name, in: came, back, spent, free, lowest, ends }: Fund): FundResult {
	return { name, in: came, back, spent, left: free, lowest, ends };
}
