/** A relay that lists one price while people look and another when they pay. */

import assert from "node:assert/strict";
import { afterEach, beforeEach, suite, test } from "node:test";
import { amount } from "#contracts/amount";
import { price } from "#contracts/tariff";
import { FarelayError } from "#sdk/error";
import { bytesSource } from "#sdk/file";
import type { Cost } from "#sdk/spending";
import { type ScriptedRelay, scriptedRelay } from "#test/support/scripted-relay";
import { marketInMemory, type Person, person, TARIFF, type TestMarket, until } from "#test/support/sdk";

const DEAR = { sendPerMb: amount(500_000_000n), storePerMbDay: amount(1_000_000n) };
const asksMore = (error: unknown) => error instanceof FarelayError && error.problem.problem === "conflict";

suite("a relay changes its price", () => {
	let relay: ScriptedRelay;
	let market: TestMarket;
	let alice: Person;
	let bob: Person;
	let card: string;
	/** How often the market is asked before it lists the other price. */
	let looksBefore: number;

	beforeEach(async () => {
		looksBefore = Number.POSITIVE_INFINITY;
		relay = await scriptedRelay();
		market = marketInMemory([{ key: relay.key.publicKey, url: relay.url }]);
		const seam = market.for;
		market.for = (account) => ({
			...seam(account),
			relays: async () => {
				const tariff = looksBefore-- > 0 ? TARIFF : DEAR;
				return [{ key: relay.key.publicKey, url: relay.url, country: "KE", tariff }];
			},
		});
		alice = await person(market);
		bob = await person(market);
		card = await bob.client.card();
	});
	afterEach(async () => {
		for (const { client } of [alice, bob]) await client.close();
		await relay.close();
	});

	/** What the relay can ask for what it carried, over all tabs. */
	const owed = () =>
		[...relay.tabs.values()].reduce((sum, { grant, used }) => sum + (price(grant.tariff, used) ?? 0n), 0n);

	test("threat 6: a price raised between the look and the tab opens none, and the next look shows it", async () => {
		looksBefore = 1;
		await assert.rejects(alice.client.send(card, "hello"), asksMore);
		assert.equal(market.grants.length, 0);
		assert.equal(await alice.client.spentToday(), 0n);
		const { cost } = await alice.client.send(card, "hello, then");
		assert.equal(owed(), cost.ask);
		assert.equal(await alice.client.spentToday(), cost.total);
	});

	test("threat 6: a relay that ends the tab under a file to go on at another price gets nothing at that price", async () => {
		let sends = 0;
		relay.script.answer = () => {
			if (++sends !== 5) return undefined;
			looksBefore = 0;
			return "tab-finished";
		};
		let cost: Cost | undefined;
		const sending = alice.client.send(card, bytesSource("a.bin", new Uint8Array(400_000)), {
			priced: (told) => {
				cost = told;
			},
		});
		await assert.rejects(sending, asksMore);
		assert(cost && owed() < cost.ask, `${owed()} is owed, ${cost?.ask} was agreed to`);
		assert.equal(market.grants.length, 1);
		await until(() => market.closes.length === 1, "the tab that was ended is closed");
	});
});
