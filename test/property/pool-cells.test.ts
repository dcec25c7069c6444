/** What a pool's report shows against anybody who adds and subtracts: no sum that can be made from it is about fewer than twenty people. */

import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { amount } from "#contracts/amount";
import { type Cells, type Paid, Sums } from "#marketplace/pool/cells";

const paid = fc.array(
	fc
		.record({
			person: fc.integer({ min: 0, max: 79 }),
			relay: fc.integer({ min: 0, max: 3 }),
			country: fc.constantFrom("KE", "UG", "--"),
			nanos: fc.bigInt({ min: 0n, max: 10n ** 9n }),
		})
		.map(
			({ person, relay, country, nanos }): Paid => ({
				person: `p${person}`,
				relay: `r${relay}`,
				country,
				bytes: nanos * 2n,
				toOperators: amount(nanos),
				marketFee: amount(nanos / 50n),
			}),
		),
	{ maxLength: 400 },
);

function cellsOf(entries: readonly Paid[]): Cells {
	const sums = new Sums();
	for (const one of entries) sums.add(one);
	return sums.cells();
}

const sumOf = (all: readonly { bytes: bigint; toOperators: bigint; marketFee: bigint }[]) =>
	all.reduce(
		(sum, one) => ({
			bytes: sum.bytes + one.bytes,
			toOperators: sum.toOperators + one.toOperators,
			marketFee: sum.marketFee + one.marketFee,
		}),
		{ bytes: 0n, toOperators: 0n, marketFee: 0n },
	);

test("every line is about twenty people or more, and so is what is left out, or everything is left out", () => {
	fc.assert(
		fc.property(paid, (entries) => {
			const { all, shown, hidden } = cellsOf(entries);
			const names = new Set(hidden.map(({ relay, country }) => `${relay} ${country}`));
			const left = entries.filter(({ relay, country }) => names.has(`${relay} ${country}`));
			const people = new Set(left.map(({ person }) => person)).size;
			assert.ok(shown.every((line) => line.people >= 20));
			if (shown.length > 0) assert.ok(hidden.length === 0 || (hidden.length > 1 && people >= 20));
			assert.deepEqual(sumOf([...shown, ...hidden]), sumOf([all]));
			assert.deepEqual(sumOf(entries), sumOf([all]));
			const total = new Set(entries.map(({ person }) => person)).size;
			assert.equal(all.people, total < 20 ? 0 : total);
		}),
	);
});

test("a line of many people is left out too where the few beside it would be known by subtraction", () => {
	const many = (relay: string, from: number, count: number): Paid[] =>
		Array.from({ length: count }, (_, n) => ({
			person: `p${from + n}`,
			relay,
			country: "KE",
			bytes: 1n,
			toOperators: amount(1n),
			marketFee: amount(0n),
		}));
	const three = cellsOf([...many("a", 0, 30), ...many("b", 30, 25), ...many("c", 55, 1)]);
	assert.deepEqual(
		three.shown.map(({ relay }) => relay),
		["a"],
	);
	assert.deepEqual(
		three.hidden.map(({ relay }) => relay),
		["c", "b"],
	);
	const two = cellsOf([...many("a", 0, 30), ...many("c", 55, 1)]);
	assert.deepEqual([two.shown.length, two.hidden.length], [0, 2]);
	// the same people at two relays are not forty
	const same = cellsOf([...many("a", 0, 30), ...many("b", 0, 19), ...many("c", 0, 19)]);
	assert.deepEqual([same.shown.length, same.hidden.length], [0, 3]);
	const apart = cellsOf([...many("a", 0, 30), ...many("b", 0, 10), ...many("c", 10, 10)]);
	assert.deepEqual([apart.shown.length, apart.hidden.length], [1, 2]);
	const one = cellsOf(many("a", 0, 20));
	assert.deepEqual([one.shown.length, one.hidden.length, one.all.people], [1, 0, 20]);
});
