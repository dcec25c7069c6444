/** What decides who pays for a tab, as values: gathered from records by the market, made up by the simulator. */

import type { FeeRates } from "#contracts/tab";
import type { PoolRules } from "./rules.ts";

/** All that decides who pays. Amounts are nano-dollars, those of funds with the market fee inside; days and months are those of the calendar, UTC. */
export type Facts = {
	readonly nowMs: number;
	readonly fees: FeeRates;
	readonly person: PersonFacts;
	/** in the order in which they pay */
	readonly pools: readonly FundFacts[];
	readonly commons: FundFacts;
	readonly relay: RelayFacts;
};

/** Whoever pays or is paid for. */
export type PersonFacts = {
	readonly account: string;
	readonly sinceMs: number;
	readonly frozen: boolean;
	readonly country?: string | undefined;
	/** how well the country is known */
	readonly evidence: "none" | "said" | "strong";
	readonly passes: readonly PassFacts[];
	/** bytes of the commons' quota used this month */
	readonly commonsUsed: bigint;
	/** bytes beyond the quota used today for texts */
	readonly textUsed: bigint;
	/** bytes used this month at relays without room */
	readonly elsewhereUsed: bigint;
};

/** A right to be paid for from a pool. */
export type PassFacts = {
	/** the pool's id in hex */
	readonly pool: string;
	readonly from: "code" | "enroller" | "token" | "gift" | "app";
	/** key in hex */
	readonly enroller?: string | undefined;
	/** of quota, a month */
	readonly monthBytes: bigint;
	readonly usedMonth: bigint;
	readonly usedDay: bigint;
	readonly validUntilMs: number;
	/** somebody vouches for the person: they keep a little a day for texts */
	readonly isVouched: boolean;
};

/** A pool or the commons. */
export type FundFacts = {
	/** "commons" or a pool's id in hex */
	readonly fund: string;
	/** the same id as bytes, of a pool */
	readonly pool?: Uint8Array | undefined;
	readonly state: "open" | "paused" | "ending" | "ended";
	/** what is reserved for nobody */
	readonly free: bigint;
	readonly burnedToday: bigint;
	readonly dayLimit: bigint;
	/** what it may pay in a month; shares are parts of it */
	readonly budget30: bigint;
	/** paid this month to the relay's operator, to it for this person's mail, and to all new operators */
	readonly toOperator: bigint;
	readonly toPair: bigint;
	readonly toNewOperators: bigint;
	/** of the commons: burned today for people whose country is their own word */
	readonly saidToday: bigint;
	/** what is left of everybody's quota while the fund is thin, in parts per million; all of it otherwise */
	readonly quotaPpm: number;
	/** when a thin fund is refilled */
	readonly refillsAtMs?: number | undefined;
	readonly rules?: PoolRules | undefined;
};

/** Where the tab is opened. */
export type RelayFacts = {
	readonly relay: string;
	readonly operator: string;
	/** all operators that are one: their counters are kept under this name */
	readonly group: string;
	/** it asks little enough for funds to pay */
	readonly isEligible: boolean;
	readonly isPaused: boolean;
	readonly isNewOperator: boolean;
	readonly eligibleOperators: number;
	/** of these, with sixty days behind them (desk/share.ts); undefined: enough of them */
	readonly agedOperators?: number | undefined;
	/** how much fund money may still be opened here; undefined: not limited */
	readonly room: bigint | undefined;
};

/** Bytes of quota that a tranche takes: of the month's, of the little a day for texts, and of the little a month elsewhere (which is among the others). */
export type Use = { readonly quota: bigint; readonly texts: bigint; readonly elsewhere: bigint };

/** What funds' counters need to know of a tab when it ends (burn.ts). */
export type Counted = {
	/** the operators that the tab's counts as one with */
	readonly group: string;
	readonly isNewOperator: boolean;
	/** the person's country was their own word */
	readonly isSaid: boolean;
	/** of each fund's tranche, in their order */
	readonly uses: readonly Use[];
};
