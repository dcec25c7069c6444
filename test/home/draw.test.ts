/** Homes are drawn (docs/decisions/drawn-homes.md): nobody chooses where mail that funds pay for goes, threat 21. */
import assert from "node:assert/strict";
import { suite, test } from "node:test";
import fc from "fast-check";
import { type Candidate, type Chance, type DrawnHome, draw, mayDraw } from "#marketplace/home/draw";
import { HOME_RULES } from "#marketplace/home/room";

const DAY_MS = 86_400_000;
const NOW_MS = 1_800_000_000_000;

/** Chance with a seed (mulberry32): the same draws each time a test runs. */
function seeded(seed: number): Chance {
	let state = seed;
	return (parts) => {
		state = (state + 0x6d2b79f5) | 0;
		let t = Math.imul(state ^ (state >>> 15), 1 | state);
		t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
		return Math.floor((((t ^ (t >>> 14)) >>> 0) / 2 ** 32) * parts);
	};
}

const relaysOf = (group: string, count: number, isNewOperator = false): Candidate[] =>
	Array.from({ length: count }, (_, i) => ({ relay: `${group}-${i}`, group, isNewOperator }));

/** The part of so many draws that falls on each operator. */
function parts(candidates: readonly Candidate[], draws = 20_000): Map<string, number> {
	const chance = seeded(7);
	const counts = new Map<string, number>();
	for (let i = 0; i < draws; i++) {
		const group = (draw(candidates, chance, HOME_RULES) ?? "nobody").split("-")[0] as string;
		counts.set(group, (counts.get(group) ?? 0) + 1 / draws);
	}
	return counts;
}

const near = (actual: number | undefined, expected: number) =>
	assert.ok(Math.abs((actual ?? 0) - expected) < 0.02, `${actual} is not about ${expected}`);

suite("drawing a home", () => {
	test("an operator with a hundred relays gets no more homes than one with one relay", () => {
		const shares = parts([...relaysOf("many", 100), ...relaysOf("one", 1), ...relaysOf("other", 2)]);
		near(shares.get("many"), 1 / 3);
		near(shares.get("one"), 1 / 3);
		near(shares.get("other"), 1 / 3);
	});

	test("threat 21: a hundred new operators beside ten old ones get a tenth of the homes together", () => {
		const old = Array.from({ length: 10 }, (_, i) => relaysOf(`old${i}`, 1)).flat();
		const fresh = Array.from({ length: 100 }, (_, i) => relaysOf(`new${i}`, 1, true)).flat();
		const shares = parts([...old, ...fresh]);
		const ofNew = [...shares].filter(([group]) => group.startsWith("new")).reduce((sum, [, part]) => sum + part, 0);
		near(ofNew, 0.1);
	});

	test("an operator is as new as its newest relay's account, and one among many gets its one part at most", () => {
		const old = Array.from({ length: 50 }, (_, i) => relaysOf(`old${i}`, 1)).flat();
		near(parts([...old, ...relaysOf("new", 1, true)]).get("new"), 1 / 51);
		const mixed = [...relaysOf("mixed", 1), ...relaysOf("mixed", 1, true), ...old.slice(0, 19)];
		near(parts(mixed).get("mixed"), 1 / 20);
	});

	test("in a market whose operators are all new every one gets its part, and with few old ones the new take what those may not", () => {
		near(parts([...relaysOf("a", 1, true), ...relaysOf("b", 1, true)]).get("a"), 0.5);
		const shares = parts([...relaysOf("old", 1), ...relaysOf("a", 1, true), ...relaysOf("b", 1, true)]);
		near(shares.get("old"), 1 / 3);
	});

	test("where no relay is eligible nobody is drawn one, and what is drawn is always one of the candidates", () => {
		assert.equal(draw([], seeded(1), HOME_RULES), undefined);
		fc.assert(
			fc.property(
				fc.array(
					fc.record({ relay: fc.string(), group: fc.constantFrom("a", "b", "c"), isNewOperator: fc.boolean() }),
					{
						minLength: 1,
					},
				),
				fc.integer(),
				(candidates, seed) => {
					const drawn = draw(candidates, seeded(seed), HOME_RULES);
					assert.ok(candidates.some(({ relay }) => relay === drawn));
				},
			),
		);
	});

	test("the same chance draws the same relay in whatever order relays were listed", () => {
		const candidates = [...relaysOf("a", 3), ...relaysOf("b", 2), ...relaysOf("c", 1, true)];
		for (let seed = 0; seed < 50; seed++)
			assert.equal(
				draw(candidates, seeded(seed), HOME_RULES),
				draw([...candidates].reverse(), seeded(seed), HOME_RULES),
			);
	});
});

suite("who may draw", () => {
	const asked = { nowMs: NOW_MS, again: false, unlistedSinceMs: undefined };
	const again = { ...asked, again: true };
	const nothing = { quotaBytes: 0n, paidSince: 0n };
	const pass = { ...nothing, quotaBytes: 100_000_000n };
	const payer = { ...nothing, paidSince: HOME_RULES.drawPaidNanos };
	const home = (daysAgo: number): DrawnHome => ({
		relay: "a",
		group: "a",
		drawnMs: NOW_MS - daysAgo * DAY_MS,
		spentUntilMs: undefined,
	});

	test("threat 21: an account that cost nothing is drawn no home, so asking with new ones gains nothing", () => {
		assert.equal(mayDraw(undefined, nothing, asked, HOME_RULES), "not-yet");
		const nearly = { ...nothing, paidSince: HOME_RULES.drawPaidNanos - 1n };
		assert.equal(mayDraw(undefined, nearly, asked, HOME_RULES), "not-yet");
		assert.equal(mayDraw(undefined, pass, asked, HOME_RULES), "first");
		assert.equal(mayDraw(undefined, payer, asked, HOME_RULES), "first");
	});

	test("asking again answers the home that there is; another one is not for the asking", () => {
		assert.equal(mayDraw(home(1), pass, asked, HOME_RULES), "has-one");
		assert.equal(mayDraw(home(1), pass, again, HOME_RULES), "too-soon");
		assert.equal(mayDraw(home(179), payer, again, HOME_RULES), "too-soon");
	});

	test("after half a year another home costs a month's quota, or a payment of somebody who has none", () => {
		assert.equal(mayDraw(home(180), pass, again, HOME_RULES), "quota");
		assert.equal(mayDraw(home(180), payer, again, HOME_RULES), "paid");
		assert.equal(mayDraw(home(180), nothing, again, HOME_RULES), "not-yet");
	});

	test("who lost a home to a relay that is gone for a week is drawn another for nothing, and not before", () => {
		const gone = (days: number) => ({ ...asked, unlistedSinceMs: NOW_MS - days * DAY_MS });
		assert.equal(mayDraw(home(30), nothing, gone(7), HOME_RULES), "free");
		assert.equal(mayDraw(home(30), nothing, gone(6.99), HOME_RULES), "has-one");
	});
});
