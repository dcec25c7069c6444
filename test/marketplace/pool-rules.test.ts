/** What a sponsor may and may not say of a pool. */

import assert from "node:assert/strict";
import { test } from "node:test";
import { refuseRules } from "#marketplace/pool/rules";
import { type PoolRules, RULES } from "#marketplace/sponsor/rules";

const NOW_MS = Date.UTC(2026, 8, 1);
const DAY_MS = 86_400_000;
const KEY = "a1".repeat(32);
const GOOD: PoolRules = {
	...{ countries: ["KE", "UG"], enrollers: [KEY], monthBytes: 100n, dayBytes: 100n, dayLimit: 1n, fromMs: NOW_MS },
	...{ untilMs: NOW_MS + 7 * DAY_MS, app: KEY },
	...{ operatorSharePpm: RULES.operatorSharePpm, pairSharePpm: RULES.pairSharePpm },
};
const says = (change: Partial<PoolRules>, before?: PoolRules): string | undefined =>
	refuseRules({ ...GOOD, ...change }, RULES, NOW_MS, before)?.detail;

test("rules are within the market's bounds, name what there is, and end seven days ahead at the earliest", () => {
	assert.equal(says({}), undefined);
	assert.equal(says({ countries: [], enrollers: [], untilMs: undefined, app: undefined }), undefined);
	const wrong: [Partial<PoolRules>, RegExp][] = [
		[{ countries: ["XX"] }, /none that is known/],
		[{ countries: ["KE", "KE"] }, /named twice/],
		[{ enrollers: [KEY, KEY] }, /named twice/],
		[{ enrollers: ["x"] }, /public key/],
		[{ app: "x" }, /public key/],
		[{ enrollers: Array.from({ length: 65 }, (_, n) => n.toString(16).padStart(64, "0")) }, /at most 64/],
		[{ dayBytes: 0n }, /bytes a day/],
		[{ dayBytes: 101n }, /bytes a day/],
		[{ monthBytes: 10n ** 15n + 1n }, /bytes a day/],
		[{ dayLimit: 0n }, /more than nothing/],
		[{ operatorSharePpm: RULES.operatorSharePpm + 1 }, /at most the market's, 20 %/],
		[{ operatorSharePpm: 0 }, /at most the market's/],
		[{ pairSharePpm: RULES.pairSharePpm + 1 }, /at most the market's, 5 %/],
		[{ fromMs: -1 }, /no time/],
		[{ untilMs: NOW_MS }, /ends after it starts/],
		[{ untilMs: NOW_MS + 7 * DAY_MS - 1 }, /seven days before/],
	];
	for (const [change, why] of wrong) assert.match(says(change) ?? "", why, String(why));
	// an end that people were told of before is no news
	const told = { ...GOOD, untilMs: NOW_MS + DAY_MS };
	assert.equal(says({ untilMs: NOW_MS + DAY_MS }, told), undefined);
});
