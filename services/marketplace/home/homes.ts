/** Carries draws out on the book: one home for each account, drawn once however often and by how many processes it is asked for. */

import { toHex } from "#contracts/bytes";
import type { Offer } from "#contracts/listing";
import { isPoolEligible } from "#contracts/need";
import { type Problem, problem } from "#contracts/problem";
import { type Book, type Change, LIST_MAX, type Most, type RecordRow, type RowChange } from "#marketplace/ledger/book";
import { ATTEMPTS_MAX, type Market, problemOfRefusal } from "#marketplace/market";
import type { PersonFacts } from "#marketplace/sponsor/facts";
import { RULES } from "#marketplace/sponsor/rules";
import { type Candidate, type Chance, type DrawnHome, draw, mayDraw, type NoDraw } from "./draw.ts";
import { paidOf, quotaBytesOf } from "./right.ts";
import type { HomeRules } from "./room.ts";

/** How often it is written down which relays there are. */
export const SEEN_MS = 3_600_000;

const DAY_MS = 86_400_000;

/** A relay that was written down as seen is not written again for so long: a quarter of a day is exact enough for what is counted in weeks. */
const SEEN_AGAIN_MS = DAY_MS / 4;

/** Who was seen within a day, and was here for a week before, should be there when homes are drawn. A crowd that comes for an hour is not missed. */
const LATELY_MS = DAY_MS;
const REGULAR_MS = 7 * DAY_MS;

/** A relay that was not seen for so long is forgotten: its people have long been drawn another home. */
const FORGET_MS = 180 * DAY_MS;

/** As many as a market shows; beyond it a new relay counts as seen today, each day. */
const ROOM: Most = { states: ["seen"], ofAccount: 1, ofAll: 10_000 };

function homeKey(account: string): string {
	return `home:${account}`;
}

function seenKey(relay: string): string {
	return `seen:${relay}`;
}

function tagKey(tag: string): string {
	return `tag:${tag}`;
}

/** The home that a person was drawn at another account, where they took their pass from there: a pass that moves is no new draw. */
async function homeOfPerson(
	book: Pick<Book, "record">,
	known: readonly (RecordRow | undefined)[],
): Promise<DrawnHome | undefined> {
	const homes = await Promise.all(known.map((row) => row && homeOf(book, row.account)));
	return homes.find((home) => home !== undefined);
}

/** Remembers by a person's tags at which account their home is. */
function tagRows(account: string, tags: readonly string[], known: readonly (RecordRow | undefined)[]): RowChange[] {
	return tags.flatMap((tag, i): RowChange[] => {
		if (known[i]?.account === account) return [];
		const row = { key: tagKey(tag), account, state: "known", dueMs: 0, value: "" };
		return [{ table: "homes", expect: known[i]?.version ?? 0, row }];
	});
}

function readHome({ value, dueMs }: RecordRow): DrawnHome {
	const { relay, group, spentUntilMs } = JSON.parse(value) as Omit<DrawnHome, "drawnMs">;
	return { relay, group, drawnMs: dueMs, spentUntilMs };
}

function homeRow(account: string, expect: number, home: DrawnHome): RowChange {
	const { relay, group, drawnMs, spentUntilMs } = home;
	const value = JSON.stringify({ relay, group, ...(spentUntilMs !== undefined && { spentUntilMs }) });
	return { table: "homes", expect, row: { key: homeKey(account), account, state: "drawn", dueMs: drawnMs, value } };
}

/** The home that was drawn for an account. */
export async function homeOf(book: Pick<Book, "record">, account: string): Promise<DrawnHome | undefined> {
	const row = await book.record("homes", homeKey(account));
	return row && readHome(row);
}

/** The person with no quota left while it is gone for a home that they asked for in place of another. */
export async function withoutSpent(
	book: Pick<Book, "record">,
	person: PersonFacts,
	nowMs: number,
): Promise<PersonFacts> {
	const home = await homeOf(book, person.account);
	if (home?.spentUntilMs === undefined || nowMs >= home.spentUntilMs) return person;
	const passes = person.passes.map((pass) => ({ ...pass, usedMonth: pass.monthBytes }));
	return { ...person, passes, commonsUsed: RULES.quotaBytes };
}

/** A home, or why there is none (yet, again). */
export type HomeAnswer = { readonly home: DrawnHome | undefined; readonly why: NoDraw | "drawn" };

/** What homes are drawn with. */
export type HomeParts = Pick<Market, "book" | "clock" | "listings" | "operators">;

/** Draws an account a home if it may have one; answers the one that there is. `again`: another one than that. */
export async function drawHome(
	market: HomeParts,
	account: string,
	again: boolean,
	rules: HomeRules,
	chance: Chance,
): Promise<HomeAnswer | Problem> {
	for (let attempt = 0; attempt < ATTEMPTS_MAX; attempt++) {
		const nowMs = market.clock.nowMs();
		const row = await market.book.record("homes", homeKey(account));
		const { passes, tags } = await quotaBytesOf(market, account, nowMs);
		const known = await Promise.all(tags.map((tag) => market.book.record("homes", tagKey(tag))));
		const home = row ? readHome(row) : await homeOfPerson(market.book, known);
		const eligible = await eligibleNow(market, nowMs);
		const isThere = home === undefined || eligible.some(({ relay }) => relay === home.relay);
		const right = {
			quotaBytes: passes,
			paidSince: await paidOf(market, account, { nowMs, ...(home && { sinceMs: home.drawnMs }) }),
		};
		const unlistedSinceMs = isThere ? undefined : await lastSeen(market.book, home);
		const may = mayDraw(home, right, { nowMs, again, unlistedSinceMs }, rules);
		const remembered = home || may === "first" ? tagRows(account, tags, known) : [];
		if (may === "not-yet" || may === "has-one" || may === "too-soon") {
			const rows = [...(home && !row ? [homeRow(account, 0, home)] : []), ...remembered];
			if (rows.length === 0) return { home, why: may };
			const [outcome] = await market.book.apply([{ rows }]);
			if (outcome === "applied") return { home, why: may };
			if (typeof outcome === "object" && outcome.refused !== "stale")
				return problemOfRefusal(outcome.refused, outcome.detail);
			continue;
		}
		const { candidates, regulars } = await candidatesOf(market, eligible, nowMs);
		// whoever could keep others off the show for a while would be drawn by all who ask meanwhile
		if (new Set(candidates.map(({ group }) => group)).size * 2 < regulars)
			return problem(
				"unavailable",
				"Fewer than half of the operators are listed now; a home is drawn when they are back.",
			);
		const others = candidates.filter(({ relay }) => relay !== home?.relay);
		const relay = draw(others.length > 0 ? others : candidates, chance, rules);
		const group = candidates.find((one) => one.relay === relay)?.group;
		if (relay === undefined || group === undefined)
			return problem("unavailable", "No relay is listed now that a home could be drawn at.");
		const spentUntilMs = may === "quota" ? nowMs + rules.redrawCostMs : home?.spentUntilMs;
		const next: DrawnHome = { relay, group, drawnMs: nowMs, spentUntilMs };
		const [outcome] = await market.book.apply([{ rows: [homeRow(account, row?.version ?? 0, next), ...remembered] }]);
		if (outcome === "applied") return { home: next, why: "drawn" };
		if (typeof outcome === "object" && outcome.refused !== "stale")
			return problemOfRefusal(outcome.refused, outcome.detail);
	}
	return problemOfRefusal("stale", "");
}

/** When a home's relay was last one that could be drawn; since it was drawn, where nobody has looked yet. */
async function lastSeen(book: Pick<Book, "record">, { relay, drawnMs }: DrawnHome): Promise<number> {
	const seen = await book.record("homes", seenKey(relay));
	return Math.max(seen?.dueMs ?? drawnMs, drawnMs);
}

/** A relay that asks little enough and takes mail now. */
type Eligible = { readonly relay: string; readonly operator: string; readonly offer: Offer };

async function eligibleNow({ listings }: Pick<Market, "listings">, nowMs: number): Promise<Eligible[]> {
	const all = await listings.all(nowMs);
	return all
		.filter(({ tariff, takes }) => takes && isPoolEligible(tariff))
		.map((offer) => ({ relay: toHex(offer.relay), operator: toHex(offer.operator), offer }));
}

/** What is known of a relay that was eligible: when first and last, and whose it was. */
type Seen = { readonly version: number; readonly firstMs: number; readonly lastMs: number; readonly operator: string };

async function allSeen(book: Pick<Book, "records">): Promise<Map<string, Seen>> {
	const seen = new Map<string, Seen>();
	let after: string | undefined;
	do {
		const query = { table: "homes", by: "state", of: "seen", limit: LIST_MAX } as const;
		const page: RecordRow[] = await book.records({ ...query, ...(after !== undefined && { after }) });
		for (const { account, version, dueMs, value } of page) {
			const { firstMs, operator } = JSON.parse(value) as Pick<Seen, "firstMs" | "operator">;
			seen.set(account, { version, firstMs, operator, lastMs: dueMs });
		}
		after = page.length < LIST_MAX ? undefined : page.at(-1)?.key;
	} while (after !== undefined);
	return seen;
}

/** Among whom a home is drawn now, and how many operators are here regularly. At relays that the market's people look into nobody is put. */
async function candidatesOf(
	{ book, operators }: Pick<Market, "book" | "operators">,
	eligible: readonly Eligible[],
	nowMs: number,
): Promise<{ readonly candidates: readonly Candidate[]; readonly regulars: number }> {
	const byOperator = new Map(eligible.map(({ operator, offer }) => [operator, offer]));
	const known = new Map(
		await Promise.all([...byOperator].map(async ([key, offer]) => [key, await operators.of(offer, nowMs)] as const)),
	);
	const candidates = eligible.flatMap(({ relay, operator }): Candidate[] => {
		const of = known.get(operator);
		return of && !of.isPaused ? [{ relay, group: of.group, isNewOperator: of.isNewOperator }] : [];
	});
	const seen = [...(await allSeen(book)).values()];
	const regular = seen.filter(({ firstMs, lastMs }) => nowMs - lastMs < LATELY_MS && lastMs - firstMs >= REGULAR_MS);
	const groups = regular.map(({ operator }) => known.get(operator)?.group ?? operator);
	return { candidates, regulars: new Set(groups).size };
}

/** Writes down which relays could be drawn now, and forgets those that are long gone. What somebody else wrote first is as good. */
export async function seeRelays(market: Pick<HomeParts, "book" | "clock" | "listings">): Promise<void> {
	const nowMs = market.clock.nowMs();
	const seen = await allSeen(market.book);
	const changes: Change[] = [];
	const write = (relay: string, before: Seen | undefined, state: "seen" | "gone", now: Omit<Seen, "version">) => {
		const { firstMs, lastMs, operator } = now;
		const row = {
			key: seenKey(relay),
			account: relay,
			state,
			dueMs: lastMs,
			value: JSON.stringify({ firstMs, operator }),
		};
		const expect = before?.version ?? 0;
		changes.push({ rows: [{ table: "homes", expect, row, ...(expect === 0 && { most: ROOM }) }] });
	};
	for (const { relay, operator } of await eligibleNow(market, nowMs)) {
		const before = seen.get(relay) ?? (await goneBefore(market.book, relay));
		if (before && nowMs - before.lastMs < SEEN_AGAIN_MS) continue;
		// a relay that changes hands or comes back after long is as new as any
		const isSame = before?.operator === operator && nowMs - before.lastMs < FORGET_MS;
		write(relay, before, "seen", { firstMs: isSame ? before.firstMs : nowMs, lastMs: nowMs, operator });
	}
	for (const [relay, before] of seen) if (nowMs - before.lastMs >= FORGET_MS) write(relay, before, "gone", before);
	for (let at = 0; at < changes.length; at += LIST_MAX) await market.book.apply(changes.slice(at, at + LIST_MAX));
}

/** A relay that was forgotten and is back. */
async function goneBefore(book: Pick<Book, "record">, relay: string): Promise<Seen | undefined> {
	const row = await book.record("homes", seenKey(relay));
	if (!row) return undefined;
	const { firstMs, operator } = JSON.parse(row.value) as Pick<Seen, "firstMs" | "operator">;
	return { version: row.version, firstMs, operator, lastMs: row.dueMs };
}
