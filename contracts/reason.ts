/**
 * Why somebody else pays for a person, or does not: a closed list, in words for the person whom it concerns and with what they can do (PROTOCOL.md, "Tranches").
 */

import table from "./reason.json" with { type: "json" };

/** The closed list: what to tell a person, and what they can do. */
export const REASONS = table as {
	readonly [code in keyof typeof table]: { readonly says: string; readonly do: string };
};

/** A code of the closed list. */
export type ReasonCode = keyof typeof REASONS;

/** Why a fund pays, or pays no more than it does. */
export type Reason = {
	readonly code: ReasonCode;
	/** "commons" or a pool's id in hex, where it is about one */
	readonly fund?: string;
	/** until when it is so, Unix milliseconds */
	readonly untilMs?: number;
};
