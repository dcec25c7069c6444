/**
 * What goes through a sender: payloads with their number and price, and what the wallet does for the sender meanwhile.
 */

import type { Problem } from "#contracts/problem";
import type { Traffic } from "#contracts/tariff";
import type { Purse } from "./purse.ts";

/** A payload on its way: to whom, for how long, with which card's token. */
export type Parcel = {
	readonly mailbox: Uint8Array;
	readonly token: Uint8Array;
	readonly ttlS: number;
	readonly payload: Uint8Array;
};
export type Answer = "kept" | "passed" | Problem;

/** A parcel with its number, until it is answered. */
export type Entry = Parcel & {
	readonly seq: number;
	readonly copy: Traffic;
	/** Whether the purse counts it: then it was covered, and may go again as it is. */
	counted: boolean;
	readonly settle: (answer: Answer) => void;
};

/** What the wallet does for a sender. */
export type SenderEvents = {
	/** The purse changed: make it last. */
	changed(purse: Purse): void;
	/** Paid for and never answered. */
	lost(purse: Purse, lost: Traffic): void;
	/** The relay claims what was never signed: the tab must not be used again. */
	dishonest(purse: Purse, why: Problem): void;
	/** The tab's cap or life is used up: closes it and answers the next one. */
	next(purse: Purse): Promise<Purse | Problem>;
	/** Worth knowing, already dealt with. */
	problem(problem: Problem): void;
};
