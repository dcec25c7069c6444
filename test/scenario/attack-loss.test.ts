/** A relay that says again and again that it crashed, to keep what was paid ahead and carry nothing. */

import assert from "node:assert/strict";
import { suite, test } from "node:test";
import { LIMIT } from "#contracts/limit";
import type { Problem } from "#contracts/problem";
import { NO_TRAFFIC, plus } from "#contracts/tariff";
import { FarelayError } from "#sdk/error";
import { scriptedRelay } from "#test/support/scripted-relay";
import { marketInMemory, person, until } from "#test/support/sdk";

const SMALL_STEP = BigInt(LIMIT.stepBytesFirst);

/** Alice and Bob at a relay that takes what was paid as used whenever it is greeted. */
async function town() {
	const relay = await scriptedRelay({ state: (truth) => ({ ...truth, used: truth.voucher ?? truth.used }) });
	const market = marketInMemory([{ key: relay.key.publicKey, url: relay.url }]);
	let lost = NO_TRAFFIC;
	const dishonest: Problem[] = [];
	const alice = await person(market, {
		onLost: (_relay, gone) => {
			lost = plus(lost, gone);
		},
		onDishonest: (_relay, why) => dishonest.push(why),
	});
	const bob = await person(market);
	const end = async () => {
		await alice.client.close();
		await bob.client.close();
		await relay.close();
	};
	return { relay, alice: alice.client, card: await bob.client.card(), dishonest, lost: () => lost.bytes, end };
}

suite("rule 3: a relay crashes at will", () => {
	test("threat 6: one message costs two small steps at most, then the app is told", async (t) => {
		const { relay, alice, card, lost, end } = await town();
		t.after(end);
		let sends = 0;
		relay.script.answer = () => (sends++ % 2 === 0 ? "unpaid" : "hang-up");
		await assert.rejects(
			alice.send(card, "hello"),
			(error) => error instanceof FarelayError && error.problem.problem === "unpaid" && error.problem.retry,
		);
		assert(lost() <= 2n * SMALL_STEP, `${lost()} bytes were paid for and not carried`);
		relay.script.answer = () => undefined;
		relay.script.state = (truth) => truth;
		await alice.send(card, "honest again");
	});

	test("threat 6: carrying a little in between, it gains no more than one large step, and is used no more", async (t) => {
		const { relay, alice, card, dishonest, lost, end } = await town();
		t.after(end);
		let sends = 0;
		relay.script.answer = () => (["unpaid", "hang-up", undefined] as const)[sends++ % 3];
		const posting = Promise.allSettled(Array.from({ length: 60 }, (_, i) => alice.send(card, `message ${i}`)));
		const hurrying = setInterval(() => void alice.hurry(), 20);
		t.after(() => clearInterval(hurrying));
		await until(() => dishonest.length > 0, "the relay is found out", 60_000);
		await posting;
		assert.equal(dishonest[0]?.problem, "relay-dishonest");
		assert(lost() <= BigInt(LIMIT.stepBytesMax) + SMALL_STEP, `${lost()} bytes were paid for and not carried`);
	});
});
