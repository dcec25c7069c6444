import assert from "node:assert/strict";
import { suite, test } from "node:test";
import { statusLines } from "#cli/status";
import { startTestRelay } from "#test/support/relay";

suite("farelay relay status, in words", () => {
	test("a terminal of 80 columns shows whether the market took the listing and the vouchers, and marks what failed", async (t) => {
		const state = (await startTestRelay(t)).state();
		const failed = { atMs: state.atMs - 3_600_000, problem: "grant-unknown-market" } as const;
		const market = { ...state.market, keys: failed, listing: failed, redemption: failed, claims: 99_999, batches: 999 };
		const lines = statusLines({ ...state, market }, { tone: (tone, text) => (tone === "bad" ? `!${text}!` : text) });
		const said = lines.filter((line) => line.includes("!failed 60 min ago (grant-unknown-market)!"));
		assert.deepEqual(
			said.map((line) => line.split(" ", 1)[0]),
			["its", "listed", "redeemed"],
		);
		for (const line of said) assert.ok(line.replaceAll("!", "").indexOf(")") < 80, line);
	});
});
