/** PROTOCOL.md, "Ranges": the steps of a set that grows, one by one. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { include, type Range, rangesOf } from "#contracts/ranges";

const cases: [string, Range[], number, Range[]][] = [
	["the first number", [], 5, [[5, 5]]],
	["one that is there", [[1, 9]], 9, [[1, 9]]],
	[
		"one that is there, not at the end",
		[
			[1, 3],
			[5, 9],
		],
		2,
		[
			[1, 3],
			[5, 9],
		],
	],
	["the next of the last", [[1, 9]], 10, [[1, 10]]],
	[
		"one past a gap",
		[[1, 9]],
		11,
		[
			[1, 9],
			[11, 11],
		],
	],
	[
		"one that closes a gap of one",
		[
			[1, 3],
			[5, 9],
		],
		4,
		[[1, 9]],
	],
	[
		"one at the lower side of a gap of two",
		[
			[1, 3],
			[6, 9],
		],
		4,
		[
			[1, 4],
			[6, 9],
		],
	],
	[
		"one at the upper side of a gap of two",
		[
			[1, 3],
			[6, 9],
		],
		5,
		[
			[1, 3],
			[5, 9],
		],
	],
	[
		"one in the middle of a gap of three",
		[
			[1, 3],
			[7, 9],
		],
		5,
		[
			[1, 3],
			[5, 5],
			[7, 9],
		],
	],
	[
		"one before the first",
		[[5, 9]],
		3,
		[
			[3, 3],
			[5, 9],
		],
	],
	["the one before the first", [[5, 9]], 4, [[4, 9]]],
	["zero, before one", [[1, 1]], 0, [[0, 1]]],
	["the highest", [[0, 4_294_967_294]], 4_294_967_295, [[0, 4_294_967_295]]],
];

for (const [name, before, number, after] of cases)
	test(`ranges take in ${name}`, () => {
		const ranges = before.map((range): Range => range);
		include(ranges, number);
		assert.deepEqual(ranges, after);
	});

test("a list in any order, with numbers twice, is one set", () => {
	assert.deepEqual(rangesOf([10, 2, 9, 1, 2, 10, 5]), [
		[1, 2],
		[5, 5],
		[9, 10],
	]);
	assert.deepEqual(rangesOf([]), []);
});
