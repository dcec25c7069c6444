/**
 * Operators as funds count them: which are one, how long they have been paid, how many there are. What they have in common is looked at again and again and remembered
 * for sixty days: whoever moves or is paid elsewhere is the same for so long.
 */

import { hash } from "node:crypto";
import { toHex } from "#contracts/bytes";
import type { Listing, Offer } from "#contracts/listing";
import { isPoolEligible } from "#contracts/need";
import type { Clock } from "#host/clock";
import type { Book, RecordRow, RowChange } from "#marketplace/ledger/book";
import type { Listings } from "#marketplace/listing/listings";
import { heldOf } from "./cases.ts";
import { groupsOf, marksOf } from "./group.ts";
import { isNewOperator, NEW_OPERATOR_MS, type OperatorCount } from "./share.ts";

/** What is known of an operator where a tab is opened. */
export type OperatorFacts = {
	readonly operator: string;
	readonly group: string;
	readonly isNewOperator: boolean;
	readonly eligibleOperators: number;
	readonly agedOperators: number;
	/** eligible relays of all who are one with it */
	readonly relaysOfGroup: number;
	/** a finding stands, or is not decided: funds pay nothing new */
	readonly isPaused: boolean;
};

/** Operators of a market. */
export interface Operators {
	/** Of the operator of an offer. */
	of(offer: Offer, nowMs: number): Promise<OperatorFacts>;
	/** How many there are to be paid, groups counted as one. */
	count(): Promise<OperatorCount>;
	/** Looks at what they have in common again, as it does by itself every minute. */
	look(): Promise<void>;
}

/** What they are looked at with. */
export type OperatorParts = {
	readonly book: Book;
	readonly clock: Clock;
	readonly listings: Pick<Listings, "all">;
	/** the market's root key: marks are kept as hashes under it */
	readonly market: Uint8Array;
	/** a host's addresses; none when it has none or says nothing in time */
	readonly resolve: (host: string) => Promise<readonly string[]>;
};

/** How often they are looked at. */
export const OPERATORS_MS = 60_000;
/** Names asked for at once. */
const ASKED_MAX = 32;
const PAGE = 1_000;
/** Marks of one operator that are remembered: relays in a dozen places, and the places before. */
const MARKS_MAX = 64;
/** How often it is written down that a mark is still there. */
const SEEN_MS = 86_400_000;

/** What is kept of an operator. */
type Kept = {
	/** when it was first listed, and when a fund first paid it anything */
	readonly sinceMs: number;
	readonly firstMs?: number | undefined;
	/** counts by itself, whatever it has in common with others: the desk decided so */
	readonly isApart?: boolean | undefined;
	/** when each mark was seen last */
	readonly marks: Readonly<Record<string, number>>;
};

type Looked = {
	readonly groups: ReadonlyMap<string, string>;
	readonly firsts: ReadonlyMap<string, number>;
	readonly eligible: number;
	readonly aged: number;
	/** eligible relays, by group */
	readonly relays: ReadonlyMap<string, number>;
};

const keyOf = (operator: string) => `operator:${operator}`;

function readKept(row: RecordRow | undefined, nowMs: number): Kept {
	return row ? (JSON.parse(row.value) as Kept) : { sinceMs: nowMs, marks: {} };
}

function writeKept(row: RecordRow | undefined, operator: string, kept: Kept): RowChange {
	const written = { key: keyOf(operator), account: operator, state: "operator", dueMs: kept.sinceMs };
	return { table: "findings", expect: row?.version ?? 0, row: { ...written, value: JSON.stringify(kept) } };
}

/** The change by which an operator's first subsidised cent is remembered; none where it had one. */
export async function firstCent(book: Pick<Book, "record">, operator: string, nowMs: number): Promise<RowChange[]> {
	const row = await book.record("findings", keyOf(operator));
	const kept = readKept(row, nowMs);
	return kept.firstMs === undefined ? [writeKept(row, operator, { ...kept, firstMs: nowMs })] : [];
}

/** The change by which an operator counts by itself from now on. */
export async function writeApart(book: Pick<Book, "record">, operator: string, nowMs: number): Promise<RowChange> {
	const row = await book.record("findings", keyOf(operator));
	return writeKept(row, operator, { ...readKept(row, nowMs), isApart: true });
}

/** Operators by what a market lists. */
export function makeOperators({ book, clock, listings, market, resolve }: OperatorParts): Operators {
	let looked: Looked | undefined;
	let looking: Promise<void> | undefined;

	const blur = (mark: string): string =>
		`${mark.slice(0, mark.indexOf(":"))}:${hash("sha256", `${toHex(market)} ${mark}`, "hex").slice(0, 16)}`;

	async function look(): Promise<void> {
		const nowMs = clock.nowMs();
		const listed = await listings.all(nowMs);
		const rows = await pages(book, { table: "findings", by: "state", of: "operator" });
		const kept = new Map(rows.map((row) => [row.account, { row, kept: readKept(row, nowMs) }]));
		const destinations = new Map<string, string>();
		for (const kind of ["lightning", "stripe"])
			for (const { account, value } of await pages(book, { table: "destinations", by: "state", of: kind }))
				destinations.set(account, `${kind}:${(JSON.parse(value) as { to: string }).to}`);
		for (const [operator, marks] of await marksNow(listed, destinations)) {
			const before = kept.get(operator);
			const was = before?.kept ?? { sinceMs: nowMs, marks: {} };
			const isKnown = marks.every((mark) => nowMs - (was.marks[mark] ?? Number.NEGATIVE_INFINITY) < SEEN_MS);
			if (before && isKnown) continue;
			const seen = { ...was.marks, ...Object.fromEntries(marks.map((mark) => [mark, nowMs])) };
			const newest = Object.entries(seen)
				.filter(([, atMs]) => nowMs - atMs < NEW_OPERATOR_MS)
				.sort(([, a], [, b]) => b - a)
				.slice(0, MARKS_MAX);
			const next = { ...was, marks: Object.fromEntries(newest) };
			// what another process wrote meanwhile says the same, or the next look does
			await book.apply([{ rows: [writeKept(before?.row, operator, next)] }]);
			kept.set(operator, { row: before?.row as RecordRow, kept: next });
		}
		looked = sumUp(listed, kept, nowMs);
	}

	/** What each listed operator has in common with others now. */
	async function marksNow(
		listed: readonly Listing[],
		destinations: ReadonlyMap<string, string>,
	): Promise<ReadonlyMap<string, string[]>> {
		const marks = new Map<string, string[]>();
		for (let i = 0; i < listed.length; i += ASKED_MAX)
			await Promise.all(
				listed.slice(i, i + ASKED_MAX).map(async ({ operator, url }) => {
					const who = toHex(operator);
					const host = new URL(url).hostname;
					const found = marksOf({ host, addresses: await resolve(host), destination: destinations.get(who) });
					marks.set(who, [...new Set([...(marks.get(who) ?? []), ...found.map(blur)])]);
				}),
			);
		return marks;
	}

	return {
		count: async () => {
			if (!looked) await look();
			const { eligible, aged } = looked as unknown as Looked;
			return { eligible, aged };
		},
		look: async () => {
			looking ??= look().finally(() => {
				looking = undefined;
			});
			await looking;
		},
		async of(offer, nowMs) {
			const operator = toHex(offer.operator);
			if (!looked?.groups.has(operator)) await this.look();
			const { groups, firsts, eligible, aged, relays } = looked as Looked;
			const group = groups.get(operator) ?? operator;
			const { isPaused } = await heldOf(book, operator);
			return {
				operator,
				group,
				isNewOperator: isNewOperator(firsts.get(operator), nowMs),
				eligibleOperators: eligible,
				agedOperators: aged,
				relaysOfGroup: relays.get(group) ?? 1,
				isPaused,
			};
		},
	};
}

function sumUp(listed: readonly Listing[], kept: ReadonlyMap<string, { readonly kept: Kept }>, nowMs: number): Looked {
	const seats = [...kept]
		.map(([operator, { kept: of }]) => ({ operator, ...of }))
		.sort((a, b) => a.sinceMs - b.sinceMs || (a.operator < b.operator ? -1 : 1))
		.map(({ operator, isApart, marks }) => ({
			operator,
			marks: isApart ? [] : Object.keys(marks).filter((mark) => nowMs - (marks[mark] ?? 0) < NEW_OPERATOR_MS),
		}));
	const groups = groupsOf(seats);
	const firsts = new Map<string, number>();
	for (const [operator, { kept: of }] of kept) if (of.firstMs !== undefined) firsts.set(operator, of.firstMs);
	const eligible = new Set<string>();
	const aged = new Set<string>();
	const relays = new Map<string, number>();
	for (const { takes, tariff, operator: key } of listed) {
		if (!takes || !isPoolEligible(tariff)) continue;
		const operator = toHex(key);
		const group = groups.get(operator) ?? operator;
		eligible.add(group);
		relays.set(group, (relays.get(group) ?? 0) + 1);
		if (!isNewOperator(firsts.get(operator), nowMs)) aged.add(group);
	}
	return { groups, firsts, eligible: eligible.size, aged: aged.size, relays };
}

async function pages(
	book: Pick<Book, "records">,
	query: { readonly table: "findings" | "destinations"; readonly by: "state"; readonly of: string },
): Promise<RecordRow[]> {
	const rows: RecordRow[] = [];
	let after: RecordRow | undefined;
	do {
		const page: RecordRow[] = await book.records({ ...query, limit: PAGE, ...(after && { after: after.key }) });
		rows.push(...page);
		after = page.length < PAGE ? undefined : page.at(-1);
	} while (after);
	return rows;
}
