import assert from "node:assert/strict";
import { after, before, suite, test } from "node:test";
import { startWorld, type World } from "#test/support/world";
import { BROWSER_MS, type Chromium, openChromium } from "./chromium.ts";
import type { Page } from "./page.ts";

declare const page: Page;

suite("the SDK in a real browser, from the same source as in Node", { timeout: 4 * BROWSER_MS }, () => {
	let world: World;
	let chromium: Chromium;

	before(async () => {
		world = await startWorld();
		await world.relay();
		chromium = await openChromium();
	});
	after(async () => {
		await chromium?.close();
		await world?.end();
	});

	test("Alice in one browser writes and sends a file to Bob in another, who is offline; he gets both, and the money adds up", async () => {
		const market = world.market.url;
		const [alice, bob] = await Promise.all([chromium.open(), chromium.open()]);
		await bob.tab.evaluate((url) => page.start("bob", url, "0"), market);
		const card = await bob.tab.evaluate(() => page.card("bob"));
		await alice.tab.evaluate((url) => page.start("alice", url, "1000000000"), market);
		const sent = await alice.tab.evaluate((to) => page.send("alice", to, "Good morning, Bob — ça va? 🌍"), card);
		assert.equal(sent.tick, "sent");
		assert.ok(BigInt(sent.total) > 0n);
		assert.equal(await alice.tab.evaluate((to) => page.sendFile("alice", to, "photo.jpg", 300_000), card), "sent");

		const link = await bob.tab.evaluate(() => page.publish("bob"));
		assert.equal(
			await alice.tab.evaluate((to) => page.nameOn("alice", to), link),
			"bob",
			"across origins, as web apps are",
		);

		await bob.tab.evaluate(() => page.listen("bob"));
		await bob.tab.waitForFunction(() => page.heard().length === 2);
		assert.deepEqual(await bob.tab.evaluate(() => page.heard()), [
			{ text: "Good morning, Bob — ça va? 🌍" },
			{ name: "photo.jpg", bytes: 300_000, first: 1, last: 299_999 % 251 },
		]);

		assert.deepEqual(await alice.tab.evaluate(() => page.settle("alice")), [true]);
		const balance = BigInt(await alice.tab.evaluate(() => page.balance("alice")));
		assert.ok(balance < 1_000_000_000n && balance > 999_000_000n, `${balance}`);

		const account = await alice.tab.evaluate(() => page.account("alice"));
		await alice.tab.reload();
		await alice.tab.waitForFunction(() => "page" in globalThis);
		assert.equal(
			await alice.tab.evaluate((url) => page.start("alice", url, "0"), market),
			account,
			"the same person after a reload",
		);
		assert.equal(BigInt(await alice.tab.evaluate(() => page.balance("alice"))), balance);
		assert.deepEqual([alice.faults, bob.faults], [[], []]);
	});
});
