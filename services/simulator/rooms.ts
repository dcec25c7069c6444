/**
 * Where people's mailboxes are, and how much fund money relays have room for: homes drawn and totals signed as the market does it (services/marketplace/home), over
 * the last thirty days.
 */

import { LIMIT } from "#contracts/limit";
import { type Candidate, draw, mayDraw } from "#marketplace/home/draw";
import { countAs, HOME_RULES, type HomeRules, roomBytes } from "#marketplace/home/room";
import { WINDOW_DAYS } from "#marketplace/home/window";
import { quotaAsk, type Rules } from "#marketplace/sponsor/rules";
import type { Actor, World } from "./actor.ts";
import { type Chance, pick } from "./chance.ts";

/** Readers sign in whole MB, rounded up. */
const SIGNED_BYTES = 1_000_000;
/** What is counted of a relay, each day for itself. */
const KINDS = ["known", "paying", "other", "opened"] as const;
type Kind = (typeof KINDS)[number];
/** Who draws no home looks at three relays and takes the one that asks least. */
const LOOKED_AT = 3;
/** An amount that cannot be reached at a relay: of the market's fee, in parts per million. */
const PPM = 1_000_000n;

/** Homes and rooms of a run. */
export class Rooms {
	/** each actor's relay, -1 for none */
	readonly home: Int32Array;
	readonly #isDrawn: Uint8Array;
	readonly #drawnMs: Float64Array;
	readonly #redraws: Uint8Array;
	/** until when an actor's quota is gone for a home that was asked for */
	readonly spentUntilMs: Float64Array;
	/** own money that others' relays earned, in nano-dollars: this month, and since the last draw */
	readonly #paidMonth: bigint[];
	readonly #paidSince: bigint[];
	readonly #received: Float64Array;
	readonly #known: Float64Array;
	readonly #paying: Float64Array;
	readonly #sums: Readonly<Record<Kind, Float64Array>>;
	readonly #days: Readonly<Record<Kind, Float64Array[]>>;
	readonly #world: World;
	readonly #rules: Rules;
	readonly #homeRules: HomeRules;
	readonly #chance: Chance;
	readonly #ofOperator: number[];
	#day = 0;

	constructor(world: World, rules: Rules, chance: Chance, homeRules: HomeRules = HOME_RULES) {
		this.#homeRules = homeRules;
		const { actors, relays } = world;
		this.#world = world;
		this.#rules = rules;
		this.#chance = chance;
		this.home = new Int32Array(actors.length).fill(-1);
		this.#isDrawn = new Uint8Array(actors.length);
		this.#drawnMs = new Float64Array(actors.length);
		this.#redraws = new Uint8Array(actors.length);
		this.spentUntilMs = new Float64Array(actors.length);
		this.#paidMonth = actors.map(() => 0n);
		this.#paidSince = actors.map(() => 0n);
		this.#received = new Float64Array(actors.length);
		this.#known = new Float64Array(actors.length);
		this.#paying = new Float64Array(actors.length);
		const each = <T>(make: () => T) => ({ known: make(), paying: make(), other: make(), opened: make() });
		this.#sums = each(() => new Float64Array(relays.length));
		this.#days = each(() => Array.from({ length: WINDOW_DAYS }, () => new Float64Array(relays.length)));
		this.#ofOperator = relays.map(
			({ operator }) => relays.filter((other) => other.operator === operator && other.isEligible).length,
		);
	}

	/** A day begins: what is older than thirty days counts no more. */
	newDay(day: number): void {
		this.#day = day;
		for (const kind of KINDS) {
			const gone = this.#days[kind][day % WINDOW_DAYS] as Float64Array;
			const sums = this.#sums[kind];
			for (let relay = 0; relay < gone.length; relay++) sums[relay] = (sums[relay] ?? 0) - (gone[relay] ?? 0);
			gone.fill(0);
		}
	}

	/** A month begins: readers count anew. */
	newMonth(): void {
		this.#known.fill(0);
		this.#paying.fill(0);
		this.#paidMonth.fill(0n);
	}

	/** Counts bytes at a relay today. */
	count(relay: number, kind: Kind, bytes: number): void {
		const today = this.#days[kind][this.#day % WINDOW_DAYS] as Float64Array;
		today[relay] = (today[relay] ?? 0) + bytes;
		const sums = this.#sums[kind];
		sums[relay] = (sums[relay] ?? 0) + bytes;
	}

	/** Somebody paid so much of their own at a relay. */
	paid(actor: number, nanos: bigint): void {
		this.#paidMonth[actor] = (this.#paidMonth[actor] ?? 0n) + nanos;
		this.#paidSince[actor] = (this.#paidSince[actor] ?? 0n) + nanos;
	}

	/** Fund money that may still be opened at a relay, nano-dollars with the fee inside; undefined where nothing limits it. */
	room(relay: number, marketPpm: number): bigint | undefined {
		if (!this.#rules.defences.room) return undefined;
		const at = this.#world.relays[relay];
		if (!at) throw new RangeError("no such relay");
		const sum = (kind: Kind) => {
			const counted = this.#sums[kind][relay] ?? 0;
			return counted > 0 ? BigInt(counted) : 0n;
		};
		const bytes = roomBytes(
			{
				known: sum("known"),
				paying: sum("paying"),
				other: sum("other"),
				opened: sum("opened"),
				relaysOfOperator: this.#ofOperator[relay] ?? 1,
			},
			this.#homeRules,
		);
		return (quotaAsk(at.tariff, bytes) * (PPM + BigInt(marketPpm))) / PPM;
	}

	/** Somebody's mailbox got so many bytes, and signs for them; or signs without, as thieves' do. */
	receive(actor: number, bytes: number): void {
		const before = this.#received[actor] ?? 0;
		this.#received[actor] = before + bytes;
		const signed = Math.ceil((before + bytes) / SIGNED_BYTES) - Math.ceil(before / SIGNED_BYTES);
		const relay = this.home[actor] ?? -1;
		if (signed === 0 || relay < 0 || (!this.#isDrawn[actor] && this.#rules.defences.homes)) return;
		const known = this.#known[actor] ?? 0;
		const paying = this.#paying[actor] ?? 0;
		const more = countAs(
			BigInt(signed) * BigInt(SIGNED_BYTES),
			{
				quotaBytes: this.quotaBytes(this.#world.actors[actor] as Actor),
				paidElsewhere: this.#paidMonth[actor] ?? 0n,
				known: BigInt(known),
				paying: BigInt(paying),
			},
			LIMIT.poolSendPerMbMax,
			this.#homeRules,
		);
		this.#known[actor] = known + Number(more.known);
		this.#paying[actor] = paying + Number(more.paying);
		this.count(relay, "known", Number(more.known));
		this.count(relay, "paying", Number(more.paying));
	}

	/** What somebody counts for who pays so much elsewhere in a month, in bytes. */
	countsForPaying(micros: number): number {
		const counts = (BigInt(micros) * 1_000n * this.#homeRules.paidTimes * PPM) / LIMIT.poolSendPerMbMax;
		return Number(counts);
	}

	/** What somebody counts for as a reader: by a pass, and by strong evidence of a country. */
	quotaBytes({ pool, evidence }: Pick<Actor, "pool" | "evidence">): bigint {
		const { quotaBytes } = this.#rules;
		return (pool === undefined ? 0n : quotaBytes) + (evidence === "strong" ? quotaBytes : 0n);
	}

	/** Gives somebody a home, if they may have (another) one: drawn where homes are, chosen where they are not. */
	settle(actor: Actor, nowMs: number, candidates: readonly Candidate[], relayOf: ReadonlyMap<string, number>): void {
		const { at, crowd } = actor;
		const relays = this.#world.relays;
		const isGangs = (relay: number) => relays[relay]?.isThief === true;
		const home = this.home[at] ?? -1;
		if (!this.#rules.defences.homes) {
			if (home >= 0) return;
			if (crowd)
				this.home[at] = pick(
					this.#chance,
					relays.filter(({ isThief }) => isThief),
				).at;
			else this.home[at] = this.#cheap();
			this.#isDrawn[at] = 1;
			return;
		}
		const drawn = this.#isDrawn[at] === 1;
		const again = crowd !== undefined && !isGangs(home) && (this.#redraws[at] ?? 0) < crowd.redraws;
		if (drawn && !again) return;
		const before = drawn
			? {
					relay: String(home),
					group: String(relays[home]?.operator),
					drawnMs: this.#drawnMs[at] ?? 0,
					spentUntilMs: undefined,
				}
			: undefined;
		const passes = actor.pool === undefined ? 0n : this.#rules.quotaBytes;
		const right = { quotaBytes: passes, paidSince: this.#paidSince[at] ?? 0n };
		const may = mayDraw(before, right, { nowMs, again, unlistedSinceMs: undefined }, this.#homeRules);
		if (may === "not-yet" || may === "has-one" || may === "too-soon") {
			if (home < 0 && !crowd) this.home[at] = this.#cheap();
			return;
		}
		const relay = draw(candidates, (parts) => this.#chance.below(parts), this.#homeRules);
		if (relay === undefined) return;
		this.home[at] = relayOf.get(relay) ?? -1;
		this.#isDrawn[at] = 1;
		this.#drawnMs[at] = nowMs;
		this.#paidSince[at] = 0n;
		if (may === "quota") this.spentUntilMs[at] = nowMs + this.#homeRules.redrawCostMs;
		if (before) this.#redraws[at] = (this.#redraws[at] ?? 0) + 1;
	}

	#cheap(): number {
		const relays = this.#world.relays;
		let best = pick(this.#chance, relays);
		for (let i = 1; i < LOOKED_AT; i++) {
			const other = pick(this.#chance, relays);
			if (other.tariff.sendPerMb < best.tariff.sendPerMb) best = other;
		}
		return best.at;
	}
}
