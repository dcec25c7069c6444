/** Who and what is in a market: the things of a world, and who of it is whose. */

import type { Economy } from "#contracts/need";
import type { Tariff } from "#contracts/tariff";
import type { Human, PassFrom } from "./people.ts";
import type { Crowd } from "./scheme.ts";

export type Operator = { readonly key: string; readonly isThief: boolean; readonly isNew: boolean };
export type Relay = {
	readonly at: number;
	readonly key: string;
	readonly operator: number;
	readonly tariff: Tariff;
	readonly isThief: boolean;
	readonly isEligible: boolean;
};
export type Enroller = { readonly key: string; readonly isThief: boolean };

/** A pool: who can have a pass of it. */
export type Pool = { readonly name: string; readonly id: Uint8Array; readonly hex: string; readonly for: PassFrom };

/** Somebody with an account: a real person, or one that the gang made up or bought. */
export type Actor = {
	readonly at: number;
	readonly account: string;
	/** undefined: nobody is there */
	readonly human: Human | undefined;
	/** of the gang: who sends is a thief, whatever was promised to the fund */
	readonly crowd: Crowd | undefined;
	/** pays a poor country's price in a rich one */
	readonly isLiar: boolean;
	/** what the market is told */
	readonly economy: Economy;
	readonly evidence: "none" | "said" | "strong";
	/** the pool of the pass, and who signed it */
	readonly pool: number | undefined;
	readonly enroller: number | undefined;
	readonly fromDay: number;
	readonly monthBytes: number;
};

export type World = {
	readonly operators: readonly Operator[];
	readonly relays: readonly Relay[];
	readonly enrollers: readonly Enroller[];
	readonly pools: readonly Pool[];
	readonly actors: readonly Actor[];
	/** how many of the actors are real; they come first */
	readonly humans: number;
};
