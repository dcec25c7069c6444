/** Countries and how sure they are: what is said, what a card says, and which of them counts (threat 21). */

import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { amount } from "#contracts/amount";
import { startDeposit } from "#marketplace/funding/start";
import { freshAccount } from "#marketplace/ledger/chart";
import { personFactsOf } from "#marketplace/pass/facts";
import { noteCard, personOf, sayCountry, standingOf, withEvidence } from "#marketplace/pass/person";
import { DAY_MS, refusal, roomsOf, someone, well } from "#test/support/passes";
import { openCardMarket } from "#test/support/stripe/market";

const standing = async (rooms: ReturnType<typeof roomsOf>, account: string) => {
	const { country, evidence } = await personFactsOf(rooms, account, false, rooms.clock.nowMs());
	return [country, evidence];
};

describe("a country that somebody says", () => {
	it("is theirs by their own word, and can be said anew in another month", async () => {
		const rooms = roomsOf();
		const amina = someone();
		assert.deepEqual(await standing(rooms, amina), [undefined, "none"]);
		well(await sayCountry(rooms, amina, "KE"));
		assert.deepEqual(await standing(rooms, amina), ["KE", "said"]);
		well(await sayCountry(rooms, amina, "KE"));
		const early = refusal(await sayCountry(rooms, amina, "BI"), "too-many", /You said KE this month.*on the 1st/);
		assert.equal(early.retryAfterMs, Date.UTC(2026, 11, 1) - rooms.clock.nowMs());
		await rooms.clock.advance(early.retryAfterMs ?? 0);
		well(await sayCountry(rooms, amina, "BI"));
		assert.deepEqual(await standing(rooms, amina), ["BI", "said"]);
		for (const none of ["ke", "XX", "K", "", "KEN"])
			refusal(await sayCountry(rooms, amina, none), "malformed", /no figures of that country/);
	});

	it("is written once when two devices say two at once", async () => {
		const rooms = roomsOf();
		const amina = someone();
		const answers = await Promise.all(["KE", "BI"].map((country) => sayCountry(rooms, amina, country)));
		assert.equal(answers.filter((answer) => "problem" in answer).length, 1);
	});
});

describe("a card that pays", () => {
	it("says where its bank is, in the change before the money, and only then", async () => {
		const cards = await openCardMarket();
		try {
			const { market, stripe } = cards;
			const facts = async (account: string) => personFactsOf(market, account, false, cards.clock.nowMs());
			const pay = async (country?: string): Promise<string> => {
				const account = someone();
				const order = { id: "first", rail: "card", asked: amount(5_000_000_000n) };
				const begun = well(await startDeposit(market, account, order));
				stripe.pay(begun.reference ?? "", country === undefined ? {} : { country });
				assert.equal((await facts(account)).evidence, "none", "a payment that nobody looked at says nothing");
				await cards.post("checkout.session.completed");
				assert.notEqual(await market.book.balance(freshAccount(account)), 0n);
				return account;
			};
			const { country, evidence } = await facts(await pay("DE"));
			assert.deepEqual([country, evidence], ["DE", "strong"]);
			for (const strange of [undefined, "", "de", "DEU", "D\u0000"])
				assert.equal((await facts(await pay(strange))).evidence, "none", String(strange));
		} finally {
			await cards.close();
		}
	});
});

describe("threat 21: need prices claimed from a rich country", () => {
	it("a rich country's card beats a poor country's word, whichever came first", async () => {
		for (const order of [0, 1]) {
			const rooms = roomsOf();
			const rich = someone();
			const steps = [() => sayCountry(rooms, rich, "BI"), () => noteCard(rooms, rich, "DE")];
			for (const step of order ? steps.reverse() : steps) well(await step());
			assert.deepEqual(await standing(rooms, rich), ["DE", "strong"]);
		}
	});

	it("of two cards the richer country's counts, and a newer one from a poor country does not wipe it out", async () => {
		const rooms = roomsOf();
		const rich = someone();
		well(await noteCard(rooms, rich, "DE"));
		await rooms.clock.advance(30 * DAY_MS);
		well(await noteCard(rooms, rich, "KE"));
		assert.deepEqual(await standing(rooms, rich), ["DE", "strong"]);
		await rooms.clock.advance(340 * DAY_MS);
		assert.deepEqual(
			await standing(rooms, rich),
			["DE", "strong"],
			"it goes on for as long as the account pays by card",
		);
		await rooms.clock.advance(26 * DAY_MS);
		assert.deepEqual(await standing(rooms, rich), [undefined, "none"], "and is over a year after the last one");
		well(await noteCard(rooms, rich, "KE"));
		assert.deepEqual(await standing(rooms, rich), ["KE", "strong"]);
		well(await noteCard(rooms, rich, "DE"));
		assert.deepEqual(await standing(rooms, rich), ["DE", "strong"]);
	});

	it("of a card and an enroller the richer counts; a country without figures counts as the richest", async () => {
		const rooms = roomsOf();
		const nowMs = rooms.clock.nowMs();
		const person = await personOf(rooms, someone(), nowMs);
		const by = (country: string, witness: "card" | "enroller", untilMs = nowMs + DAY_MS) => ({
			country,
			by: witness,
			untilMs,
		});
		const of = (...strong: ReturnType<typeof by>[]) => standingOf({ said: undefined, strong }, nowMs).country;
		assert.equal(of(by("KE", "enroller"), by("DE", "card")), "DE");
		assert.equal(of(by("DE", "enroller"), by("KE", "card")), "DE");
		assert.equal(of(by("DE", "enroller", nowMs), by("KE", "card")), "KE");
		assert.equal(of(by("DE", "enroller"), by("XX", "card")), "XX");
		assert.equal(of(by("XX", "card"), by("DE", "enroller")), "XX");
		const both = withEvidence(withEvidence(person, by("DE", "card"), nowMs), by("KE", "enroller"), nowMs);
		assert.equal(both.strong.length, 2);
	});

	it("a card that pays often is written down seldom, and nothing of it but its country", async () => {
		const rooms = roomsOf();
		const amina = someone();
		const first = well(await noteCard(rooms, amina, "KE"));
		await rooms.clock.advance(DAY_MS / 2);
		assert.equal(well(await noteCard(rooms, amina, "KE")).version, first.version);
		await rooms.clock.advance(DAY_MS);
		assert.equal(well(await noteCard(rooms, amina, "KE")).version, first.version + 1);
		const row = await rooms.book.record("people", amina);
		const kept = JSON.parse(row?.value ?? "") as { strong: object[] };
		assert.deepEqual(Object.keys(kept).sort(), ["sinceMs", "strong"]);
		assert.deepEqual(Object.keys(kept.strong[0] ?? {}).sort(), ["by", "country", "untilMs"]);
	});
});
