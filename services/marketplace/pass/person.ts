/**
 * What is known of an account beside its money: a country and how sure that is. A country that is only said may be wrong; a card's or
 * an enroller's is strong, and of several strong ones the richest counts: nobody gets a poor country's price by a word, with a rich country's card in hand.
 */

import { ECONOMIES } from "#contracts/need";
import { isCountry } from "#contracts/pass";
import { type Problem, problem } from "#contracts/problem";
import { monthEndMs, monthOf } from "#contracts/quota";
import type { RecordRow, RowChange } from "#marketplace/ledger/book";
import { ATTEMPTS_MAX, type Market, problemOfRefusal } from "#marketplace/market";

/** Who says a country, so that it is strong: the bank behind a card, or an enroller. */
export type Witness = "card" | "enroller";

/** Strong evidence of a country. Of each witness the newest is kept. */
export type Evidence = { readonly country: string; readonly by: Witness; readonly untilMs: number };

/** An account as this room keeps it. */
export type Person = {
	readonly account: string;
	readonly version: number;
	/** when it was first seen here */
	readonly sinceMs: number;
	/** what its owner says, and in which month they said it last */
	readonly said: { readonly country: string; readonly month: number } | undefined;
	readonly strong: readonly Evidence[];
};

/** A card says where somebody banks for so long: a year after the last payment by it they may have moved. */
const CARD_MS = 365 * 86_400_000;

/** The account's record, or the one that it would have. */
export async function personOf({ book }: Pick<Market, "book">, account: string, nowMs: number): Promise<Person> {
	const row = await book.record("people", account);
	return row ? readPerson(row) : newPerson(account, nowMs);
}

function newPerson(account: string, nowMs: number): Person {
	return { account, version: 0, sinceMs: nowMs, said: undefined, strong: [] };
}

/** Reads an account's record. */
function readPerson({ key, version, value }: RecordRow): Person {
	const { sinceMs, said, strong } = JSON.parse(value) as Omit<Person, "account" | "version">;
	return { account: key, version, sinceMs, said, strong };
}

/** Writes an account's record over the version that it was read at. */
export function writePerson({ account, version, sinceMs, said, strong }: Person): RowChange {
	const value = JSON.stringify({ sinceMs, said, strong });
	return { table: "people", expect: version, row: { key: account, account, state: "known", dueMs: 0, value } };
}

/** A country, and how sure it is. */
export type Standing = { readonly country?: string; readonly evidence: "none" | "said" | "strong" };

/** Which country counts. Whoever has no figures pays the full price, and so counts as the richest. */
export function standingOf({ said, strong }: Pick<Person, "said" | "strong">, nowMs: number): Standing {
	const income = (country: string) => ECONOMIES.get(country)?.income;
	const richer = (a: Evidence, b: Evidence): Evidence => {
		const [of, than] = [income(a.country), income(b.country)];
		return of === undefined || (than !== undefined && of >= than) ? a : b;
	};
	const valid = strong.filter(({ untilMs }) => untilMs > nowMs);
	const [first, ...rest] = valid;
	if (first) return { country: rest.reduce(richer, first).country, evidence: "strong" };
	return said ? { country: said.country, evidence: "said" } : { evidence: "none" };
}

/** The person with this evidence too: it takes the place of what the same witness said before, unless that was richer and still counts. */
export function withEvidence(person: Person, evidence: Evidence, nowMs: number): Person {
	const before = person.strong.find(({ by, untilMs }) => by === evidence.by && untilMs > nowMs);
	const others = person.strong.filter(({ by }) => by !== evidence.by);
	const kept =
		before && standingOf({ said: undefined, strong: [before, evidence] }, nowMs).country !== evidence.country
			? { ...before, untilMs: Math.max(before.untilMs, evidence.untilMs) }
			: evidence;
	return { ...person, strong: [...others, kept] };
}

/** The person without what an enroller said: it went along to another account. */
export function withoutEnroller(person: Person): Person {
	return { ...person, strong: person.strong.filter(({ by }) => by !== "enroller") };
}

/** The account's record as `change` makes it, written; again when somebody else was first. */
async function change(
	market: Pick<Market, "book" | "clock">,
	account: string,
	decide: (person: Person, nowMs: number) => Person | Problem,
): Promise<Person | Problem> {
	for (let attempt = 0; attempt < ATTEMPTS_MAX; attempt++) {
		const nowMs = market.clock.nowMs();
		const person = await personOf(market, account, nowMs);
		const next = decide(person, nowMs);
		if ("problem" in next || next === person) return next;
		const [outcome] = await market.book.apply([{ rows: [writePerson(next)] }]);
		if (outcome === "applied") return { ...next, version: person.version + 1 };
		if (typeof outcome !== "object") throw new Error("the book answered nothing");
		if (outcome.refused !== "stale") return problemOfRefusal(outcome.refused, outcome.detail);
	}
	return problemOfRefusal("stale", "");
}

/** Takes somebody's word on where they live: once in a calendar month, so that nobody tries out prices. */
export function sayCountry(
	market: Pick<Market, "book" | "clock">,
	account: string,
	country: string,
): Promise<Person | Problem> {
	return change(market, account, (person, nowMs) => {
		if (!isCountry(country) || !ECONOMIES.has(country))
			return problem(
				"malformed",
				"There are no figures of that country; say the two letters of one that has, like KE.",
			);
		if (person.said?.country === country) return person;
		const month = monthOf(nowMs);
		if (person.said?.month === month)
			return problem("too-many", `You said ${person.said.country} this month; a country can be said anew on the 1st.`, {
				retryAfterMs: monthEndMs(month) - nowMs,
			});
		return { ...person, said: { country, month } };
	});
}

/** Notes which country a card is of that has just paid. Nothing else of the card is kept. */
export function noteCard(
	market: Pick<Market, "book" | "clock">,
	account: string,
	country: string,
): Promise<Person | Problem> {
	return change(market, account, (person, nowMs) => {
		const next = withEvidence(person, { country, by: "card", untilMs: nowMs + CARD_MS }, nowMs);
		const [before, after] = [person, next].map(({ strong }) => strong.find(({ by }) => by === "card"));
		// a day more or less is not worth a write at each payment
		const isSame = before && after && before.country === after.country && after.untilMs - before.untilMs < 86_400_000;
		return isSame ? person : next;
	});
}
