/** A reader's total against what the market knows of the reader: what of it counts, and how. Pure (threats 1, 4 and 21). */

import { toHex } from "#contracts/bytes";
import { type Problem, problem } from "#contracts/problem";
import { monthOf } from "#contracts/quota";
import { dayOf, type Received } from "#contracts/received";
import { countAs, type HomeRules, type ReaderFacts } from "./room.ts";

/** The highest total that a reader signed for a relay, and its day. */
export type Total = { readonly relay: string; readonly day: number; readonly megabytes: number };

/** A reader as the market keeps it. */
export type ReaderRecord = {
	/** the calendar month that is counted, and what counts of it so far, in bytes */
	readonly month: number;
	readonly known: bigint;
	readonly paying: bigint;
	/** newest last */
	readonly totals: readonly Total[];
};

/** Somebody who never signed. */
export const NO_READER: ReaderRecord = { month: 0, known: 0n, paying: 0n, totals: [] };

/** Homes whose totals are remembered: moving twice a year, those of some years. Who comes back to an older one begins anew there, within the same quota. */
const TOTALS_MAX = 8;

/** How far a reader's day may be from the market's: a clock that is off, a word that was long on its way. */
const DAYS_OFF_MAX = 1;

const BYTES_PER_MB = 1_000_000n;

/** What became of a total: what counts now, or nothing new (`credit` undefined), with the highest total that the market knows. */
export type Counted = {
	readonly megabytes: number;
	readonly credit: { readonly reader: ReaderRecord; readonly known: bigint; readonly paying: bigint } | undefined;
};

/** What wants to be known beside the total itself. */
export type TotalFacts = {
	readonly nowMs: number;
	/** the relay that the reader's home was drawn at; undefined where none was */
	readonly home: string | undefined;
	readonly reader: ReaderRecord;
	/** {@link ReaderFacts} without what counts already */
	readonly quotaBytes: bigint;
	readonly paidElsewhere: bigint;
	/** the highest ask for an MB that funds pay */
	readonly askPerMbMax: bigint;
};

/**
 * Decides on a total whose signature is good. Only the difference to the highest one counts, so a total that is sent again, is older or has fallen
 * counts nothing, however often and by how many processes it is looked at.
 */
export function decideTotal(said: Received, facts: TotalFacts, rules: HomeRules): Counted | Problem {
	const { nowMs, home, reader } = facts;
	const relay = toHex(said.relay);
	if (home !== relay)
		return problem("not-found", "No home was drawn for this account at that relay, so no total counts.");
	const before = reader.totals.find((total) => total.relay === relay);
	const megabytes = before?.megabytes ?? 0;
	const isNew = said.megabytes > megabytes && said.day > (before?.day ?? -1);
	if (!isNew) return { megabytes, credit: undefined };
	if (Math.abs(said.day - dayOf(nowMs)) > DAYS_OFF_MAX)
		return problem("clock", "The total is of another day than the market's.");
	const month = monthOf(nowMs);
	const sofar = month === reader.month ? reader : { ...reader, month, known: 0n, paying: 0n };
	const { quotaBytes, paidElsewhere, askPerMbMax } = facts;
	const person: ReaderFacts = { quotaBytes, paidElsewhere, known: sofar.known, paying: sofar.paying };
	const { known, paying } = countAs(BigInt(said.megabytes - megabytes) * BYTES_PER_MB, person, askPerMbMax, rules);
	const totals = [
		...sofar.totals.filter((total) => total.relay !== relay),
		{ relay, day: said.day, megabytes: said.megabytes },
	].slice(-TOTALS_MAX);
	const next = { month, known: sofar.known + known, paying: sofar.paying + paying, totals };
	return { megabytes: said.megabytes, credit: { reader: next, known, paying } };
}

/** As a record's JSON text. */
export function writeReader({ month, known, paying, totals }: ReaderRecord): string {
	return JSON.stringify({ month, known: known.toString(), paying: paying.toString(), totals });
}

/** Reads it; somebody who never signed where there is none. */
export function readReader(value: string | undefined): ReaderRecord {
	if (value === undefined) return NO_READER;
	const { month, known, paying, totals } = JSON.parse(value) as {
		month: number;
		known: string;
		paying: string;
		totals: Total[];
	};
	return { month, known: BigInt(known), paying: BigInt(paying), totals };
}
