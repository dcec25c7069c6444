import assert from "node:assert/strict";
import { suite, test } from "node:test";
import { isProblem } from "#contracts/problem";
import { RELAY_LIMITS } from "#relay/limit";
import { askMarket } from "#relay/market/ask";

/** Asks a market that answers so. */
async function ask(body: string, status = 200) {
	const fetch = async () => new Response(body, { status });
	const answer = await askMarket({ fetch, limits: RELAY_LIMITS, marketUrl: "http://market.test" }, "/x");
	return isProblem(answer) ? answer.problem : answer.json;
}

suite("a relay asks its market", () => {
	test("what is JSON is handed on, and a refusal is a problem", async () => {
		assert.deepEqual(await ask('{"ok":true}'), { ok: true });
		const refusal = { problem: "clock", retry: true, spent: "no", detail: "off" };
		assert.equal(await ask(JSON.stringify(refusal), 400), "clock");
	});

	test("what is no answer, or longer than any, is as good as none", async () => {
		assert.equal(await ask("<html>"), "unavailable");
		assert.equal(await ask('{"ok":true}', 502), "unavailable");
		assert.equal(await ask(JSON.stringify("x".repeat(512 * 1024))), "unavailable");
	});
});
