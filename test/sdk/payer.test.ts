/** Another account of one's own opens the tabs: what the market sees of one's messages is not one's own account (threat 26). */

import assert from "node:assert/strict";
import { after, before, suite, test } from "node:test";
import { toHex } from "#contracts/bytes";
import { crypto } from "#host/crypto";
import { createClient } from "#sdk/client";
import { memoryStorage } from "#sdk/storage";
import { until } from "#test/support/sdk";
import { startWorld, type World } from "#test/support/world";

suite("a payer of one's own", () => {
	let world: World;
	before(async () => {
		world = await startWorld();
		await world.relay();
	});
	after(async () => {
		assert.deepEqual((await world.end()).findings, []);
	});

	test("threat 26: opens and closes the tabs; the account itself opens none, and its friends see it as ever", async () => {
		const seed = crypto.random(32);
		const bob = await world.person();
		const payer = await world.person({ seed });
		const storage = memoryStorage();
		const alice = await createClient({ market: world.market.url, storage, payer: seed });
		const texts: { text: string; from: string }[] = [];
		const card = await bob.card();
		await alice.send(card, "Good morning");
		await bob.listen({ text: ({ text, from }) => void texts.push({ text, from: toHex(from) }) });
		await until(() => texts.length === 1, "the text arrives");
		assert.deepEqual(texts, [{ text: "Good morning", from: alice.account }]);
		const tabsOf = async (client: typeof alice) => (await client.market.api.tab.list.query({})).tabs;
		assert.deepEqual(await tabsOf(alice), []);
		assert.equal((await tabsOf(payer)).length, 1);
		assert(!JSON.stringify(await tabsOf(payer)).includes(alice.account));
		assert((await storage.list("tab/")).length === 0 && (await storage.list("payer/")).length > 0);
		const before = await payer.balance();
		await alice.settle();
		assert((await payer.balance()) > before, "what was not spent is the payer's again");
		await alice.close();
	});
});
