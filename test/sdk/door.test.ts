import assert from "node:assert/strict";
import { suite, test } from "node:test";
import { isProblem } from "#contracts/problem";
import { device } from "#sdk/device";
import { marketDoor } from "#sdk/door";
import { createIdentity } from "#sdk/identity";
import { memoryStorage } from "#sdk/storage";

/** The door to a market that answers everything so. */
async function doorTo(answer: object, status: number) {
	const fetch = async () => new Response(JSON.stringify(answer), { status });
	const own = await device({ storage: memoryStorage(), fetch });
	return marketDoor(own, createIdentity(own), "http://market.test");
}

suite("the door to a market", () => {
	test("a market that refuses to describe itself is told by its own refusal", async () => {
		const door = await doorTo({ problem: "too-many", retry: true, spent: "no", detail: "slow down" }, 429);
		const terms = await door.terms();
		assert.equal(isProblem(terms) && terms.problem, "too-many");
	});

	test("what a market says in a refusal cannot move a terminal's cursor", async () => {
		const door = await doorTo({ problem: "internal", retry: true, spent: "unknown", detail: "\u001b[2Jgone" }, 500);
		const balance = await door.balance();
		assert.equal(isProblem(balance) && balance.detail, " [2Jgone");
	});
});
