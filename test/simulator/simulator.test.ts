/** The simulator: a year of a market is played the same each time, holds what it must, and its thieves are strong enough to prove something (threat 21). */

import assert from "node:assert/strict";
import { test } from "node:test";
import { DEFENCES } from "#marketplace/sponsor/rules";
import { chanceOf } from "#simulator/chance";
import { ENDS } from "#simulator/fund";
import { weightsOf } from "#simulator/people";
import { type Choice, PLAYS, schemeOf } from "#simulator/plays";
import { priceTable } from "#simulator/prices";
import { nextOf, type Tried, worstOf } from "#simulator/search";
import { shareOf } from "#simulator/study";
import { play, type Run, type Year } from "#simulator/year";

const DISHONEST = { operatorsPct: 10, enrollersPct: 10, peoplePct: 2 };

/** A few hundred people for six weeks. */
function run(choice: Choice, more: Partial<Run> = {}): Run {
	const setup = { seed: "a story", people: 600, mix: "need", dishonest: DISHONEST } as const;
	return { setup, days: 45, scheme: schemeOf(choice), off: [], ...more };
}

/** Every play at its boldest: the last of each list of values. */
const BOLD: Choice = Object.fromEntries(
	PLAYS.map(({ name, space }) => [
		name,
		Object.fromEntries(Object.entries(space).map(([setting, values]) => [setting, values.at(-1) ?? 0])),
	]),
);

const asText = (year: Year): string =>
	JSON.stringify(year, (_, value) => (typeof value === "bigint" ? `${value}n` : value));

test("the same seed plays the same year, to the nano-dollar, and another seed another one", async () => {
	const [once, again] = [await play(run(BOLD)), await play(run(BOLD))];
	assert.equal(asText(once), asText(again));
	const setup = { ...run({}).setup, seed: "another" };
	assert.notEqual(asText(await play(run(BOLD, { setup }))), asText(once));
});

test("where nobody is dishonest every cent of every fund reaches honest people, and every operator has all that its relays asked", async () => {
	const honest = { operatorsPct: 0, enrollersPct: 0, peoplePct: 0 };
	const year = await play(run({}, { setup: { ...run({}).setup, dishonest: honest } }));
	assert.equal(shareOf(year), 1);
	assert.ok(
		year.funds.every(({ spent }) => spent > 0n),
		"each fund pays for somebody",
	);
	assert.equal(year.earned, year.asked);
	assert.equal(year.wronged, 0);
});

test("21: with all defences off the plays take at least a fifth, and with all of them on they take less", async () => {
	const [defended, bare] = [await play(run(BOLD)), await play(run(BOLD, { off: DEFENCES }))];
	assert.ok(shareOf(bare) <= 0.8, `thieves are too weak to prove anything: ${shareOf(bare)} reached honest people`);
	assert.ok(shareOf(defended) > shareOf(bare), `${shareOf(defended)} with defences, ${shareOf(bare)} without`);
});

test("what was spent, taken back and left of each fund is what came in, under every play at once, and the commons owe nobody", async () => {
	const sponsor = { day: 10, pct: 100, everyDays: 7, putsBackPct: 60 };
	const year = await play(run({ ...BOLD, "sponsor-withdraws": sponsor }));
	for (const { name, in: came, back, spent, left, lowest, ends } of year.funds) {
		assert.equal(back + spent + left, came, name);
		assert.equal(
			ENDS.reduce((sum, end) => sum + ends[end], 0n),
			spent,
			name,
		);
		assert.ok(lowest >= 0n, name);
	}
	assert.ok(year.withdrawn.times > 0, "the sponsor took something back under open tabs");
	assert.equal(year.earned, year.asked, "and every tab was paid as granted");
});

test("nobody honest in a low-income country pays more than the need price for what the commons pay too", async () => {
	const year = await play(run(BOLD));
	assert.ok(year.overNeedPpm > 0, "somebody paid a need price");
	assert.ok(year.overNeedPpm <= 1_000_000);
});

test("thieves who search find worse than the first that they try, and the same seed tries the same", () => {
	const [crowd] = PLAYS;
	assert.ok(crowd);
	// a market that loses more the more they ask and the more of a quota they use
	const search = (): Tried[] => {
		const chance = chanceOf("thieves");
		const tried: Tried[] = [];
		while (tried.length < 50) {
			const choice = nextOf(chance, crowd, 50, tried);
			const settings = choice[crowd.name] ?? {};
			tried.push({
				choice,
				share: 1 - ((settings.askPct ?? 0) + (settings.usePct ?? 0) + (settings.signPct ?? 0)) / 400,
			});
		}
		return tried;
	};
	const tried = search();
	assert.deepEqual(worstOf(tried)?.share, 0.25);
	assert.ok((worstOf(tried)?.share ?? 1) < (tried[0]?.share ?? 0));
	assert.deepEqual(search(), tried);
});

test("there are at least eight plays, and each changes what a gang does", () => {
	assert.ok(PLAYS.length >= 8);
	for (const { name } of PLAYS) assert.notDeepEqual(schemeOf({ [name]: BOLD[name] ?? {} }), schemeOf({}), name);
});

test("weights of a mix sum to one, and the table of prices is the one of the plan", () => {
	for (const mix of ["world", "need"] as const) {
		const sum = weightsOf(mix).reduce((all, { weight }) => all + weight, 0);
		assert.ok(Math.abs(sum - 1) < 1e-9, mix);
	}
	const fees = priceTable().map(({ worldPpm, needPpm }) => [worldPpm, needPpm]);
	// 0.11 % and 0.86 % at $0.001, 0.72 % and 6.3 % at $0.002, 6.3 % and 42 % at $0.005, 323 % and 969 % at $0.05
	const expected = [
		[1_100, 8_600],
		[7_200, 63_000],
		[63_000, 420_000],
		[3_230_000, 9_690_000],
	];
	for (const [i, [world = 0, need = 0]] of expected.entries()) {
		assert.ok(Math.abs((fees[i + 1]?.[0] ?? 0) / world - 1) < 0.03, `world, row ${i + 1}`);
		assert.ok(Math.abs((fees[i + 1]?.[1] ?? 0) / need - 1) < 0.03, `need, row ${i + 1}`);
	}
});
