import assert from "node:assert/strict";
import { test } from "node:test";
import { Numbers } from "#marketplace/ledger/numbers";

test("threat 13: account numbers are remembered up to a bound, whatever comes, and the newest always", () => {
	const numbers = new Numbers(2);
	numbers.set("a", 1n);
	numbers.set("b", 2n);
	assert.deepEqual([numbers.get("a"), numbers.get("b"), numbers.get("c")], [1n, 2n, undefined]);
	numbers.set("c", 3n);
	assert.deepEqual([numbers.get("a"), numbers.get("b"), numbers.get("c")], [undefined, undefined, 3n]);
});
