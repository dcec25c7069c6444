/** A pool or the commons through a year: what the market counts of it, so that the plan can be asked, and what became of each cent. */

import type { Tranche } from "#contracts/tranche";
import { COMMONS, poolAccount } from "#marketplace/ledger/chart";
import type { FundFacts } from "#marketplace/sponsor/facts";
import type { PoolRules } from "#marketplace/sponsor/rules";
import type { Actor } from "./actor.ts";

/** What became of a fund's money: `honest` paid for what an honest person sent and somebody carried; the rest by how it was lost. */
export const ENDS = ["honest", "said", "code", "enroller", "bought", "liar", "dropped"] as const;
export type End = (typeof ENDS)[number];

/** Where one tab would be paid: whose counters a fund is asked for. */
export type Spot = { readonly group: number; readonly pair: number };

/** A fund. All amounts are nano-dollars, the market fee inside. */
export class Fund {
	readonly name: string;
	readonly hex: string;
	readonly pool: Uint8Array | undefined;
	/** where it stands in the ledger */
	readonly account: string;
	rules: PoolRules | undefined;
	state: FundFacts["state"] = "open";
	free = 0n;
	reserved = 0n;
	dayLimit = 0n;
	budget30 = 0n;
	quotaPpm = 1_000_000;
	/** what came in, what its sponsor took back, what was spent */
	in = 0n;
	back = 0n;
	spent = 0n;
	/** the least that it ever had free */
	lowest = 0n;
	readonly ends: Record<End, bigint> = {
		honest: 0n,
		said: 0n,
		code: 0n,
		enroller: 0n,
		bought: 0n,
		liar: 0n,
		dropped: 0n,
	};
	burnedToday = 0n;
	saidToday = 0n;
	burnedThisMonth = 0n;
	#toNew = 0n;
	#toOperator = new Map<number, bigint>();
	#toPair = new Map<number, bigint>();

	constructor(name: string, hex: string, pool: Uint8Array | undefined) {
		this.name = name;
		this.hex = hex;
		this.pool = pool;
		this.account = pool ? poolAccount(hex) : COMMONS;
	}

	/** What the plan is told of it. */
	facts({ group, pair }: Spot): FundFacts {
		return {
			fund: this.hex,
			pool: this.pool,
			state: this.state,
			free: this.free,
			burnedToday: this.burnedToday,
			dayLimit: this.dayLimit,
			budget30: this.budget30,
			toOperator: this.#toOperator.get(group) ?? 0n,
			toPair: this.#toPair.get(pair) ?? 0n,
			toNewOperators: this.#toNew,
			saidToday: this.saidToday,
			quotaPpm: this.quotaPpm,
			rules: this.rules,
		};
	}

	/** Counts what a tab reserved, or with a minus what it gave back. */
	count(nanos: bigint, { group, pair }: Spot, isNew: boolean, isSaid: boolean): void {
		this.free -= nanos;
		this.reserved += nanos;
		if (this.free < this.lowest) this.lowest = this.free;
		this.burnedToday += nanos;
		this.burnedThisMonth += nanos;
		if (isSaid) this.saidToday += nanos;
		if (isNew) this.#toNew += nanos;
		this.#toOperator.set(group, (this.#toOperator.get(group) ?? 0n) + nanos);
		this.#toPair.set(pair, (this.#toPair.get(pair) ?? 0n) + nanos);
	}

	/** What was reserved is spent, by how it ended. */
	spend(nanos: bigint, end: End): void {
		this.reserved -= nanos;
		this.spent += nanos;
		this.ends[end] += nanos;
	}

	/** Money comes in; the lowest counts from the first cent on. */
	fill(nanos: bigint): void {
		if (this.in === 0n) this.lowest = this.free + nanos;
		this.free += nanos;
		this.in += nanos;
	}

	/** Its sponsor takes back what is not reserved. */
	takeBack(nanos: bigint): void {
		this.free -= nanos;
		this.back += nanos;
		if (this.free < this.lowest) this.lowest = this.free;
	}

	newDay(): void {
		this.burnedToday = 0n;
		this.saidToday = 0n;
	}

	newMonth(): void {
		this.burnedThisMonth = 0n;
		this.#toNew = 0n;
		this.#toOperator.clear();
		this.#toPair.clear();
	}

	/** Whether every cent of it is somewhere, and where not. */
	fault(): string | undefined {
		const ended = ENDS.reduce((sum, end) => sum + this.ends[end], 0n);
		if (ended !== this.spent) return `${this.name}: ${this.spent} was spent, and ${ended} of it ended somewhere`;
		const sum = this.free + this.reserved + this.spent + this.back;
		return sum === this.in ? undefined : `${this.name}: ${this.in} came in, and ${sum} is accounted for`;
	}
}

/** How fund money ended that somebody spent. A liar's pass is a right like anybody's; only the need price was not for them. */
export function endOf({ crowd, isLiar }: Actor, { fund }: Tranche): End {
	if (crowd) return crowd.by;
	return isLiar && fund === "commons" ? "liar" : "honest";
}

/** Whether a fund pays somebody on nothing but their own word. */
export function isSaid({ evidence }: Actor, { fund }: Tranche): boolean {
	return fund === "commons" && evidence !== "strong";
}
