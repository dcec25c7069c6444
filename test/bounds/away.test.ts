import assert from "node:assert/strict";
import { suite, test } from "node:test";
import { price, traffic } from "#contracts/tariff";
import { TARIFF } from "#test/support/fakemarket";
import { keys, payload, until } from "#test/support/rawclient";
import { besiege, inWaves, Siege } from "./siege.ts";

const TTL_S = 3_600;
const TABS = 1_000;

suite("threat 14 at full size: the marketplace is away", () => {
	test("a thousand tabs spend while nobody redeems, the relay is killed meanwhile, and all of it is paid in the end", async (t) => {
		const siege = await Siege.begin(t);
		const mailboxes = [keys(), keys(), keys(), keys()];
		const bob = await siege.reader();
		bob.acks = true;
		for (const [i, mailbox] of mailboxes.entries()) bob.put(bob.listenFrame(i, mailbox));
		await bob.listening(3);
		siege.market.mood = "away";
		const pair = await besiege(t, siege, async () => {
			await inWaves(TABS, 20, async (i) => {
				const alice = await siege.sender();
				const to = mailboxes[i % 4] ?? keys();
				// exactly what is used: after a crash nobody can know less
				alice.put(alice.payFrame(3_000, TTL_S), alice.openFrame(1, to.publicKey, TTL_S));
				alice.put(...[0, 1, 2].map((seq) => alice.sendFrame(1, seq, payload(1_000, i * 3 + seq))));
				await alice.keptAll(3);
				alice.ws.terminate();
			});
		});
		assert.equal(bob.deliveries.length, TABS * 3);
		assert((await siege.metric("redeem_failures_total")) > 0);
		const each = price(TARIFF, traffic(3_000, TTL_S)) ?? 0n;
		const owed = BigInt(await siege.metric("unredeemed_nanos"));
		assert(owed >= each * BigInt(TABS), `${owed} nano-dollars`);
		await pair.alice.end();
		await pair.bob.end();
		await siege.relay.end("SIGKILL");
		await siege.again();
		siege.market.mood = "pays";
		await until(
			"all to be paid",
			() => [...siege.market.paid.values()].filter(({ nanos }) => nanos === each).length === TABS,
			60_000,
		);
		await until("the relay to know", () => siege.market.batches.length > 0);
		t.diagnostic(`${TABS} tabs, ${each} nano-dollars each, paid in ${siege.market.batches.length} batches`);
		let left = 1;
		while (left > 0) {
			left = await siege.metric("unredeemed_nanos");
			await new Promise((resolve) => setTimeout(resolve, 200));
		}
	});
});
