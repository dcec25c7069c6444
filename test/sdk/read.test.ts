import assert from "node:assert/strict";
import { afterEach, beforeEach, suite, test } from "node:test";
import { toHex } from "#contracts/bytes";
import { readCardLink } from "#contracts/card";
import type { Problem } from "#contracts/problem";
import { crypto } from "#host/crypto";
import { bytesSink, bytesSource } from "#sdk/file";
import { type ScriptedRelay, scriptedRelay } from "#test/support/scripted-relay";
import { marketInMemory, type Person, person, type TestMarket, until } from "#test/support/sdk";

suite("Bob reads", () => {
	let relays: ScriptedRelay[];
	let market: TestMarket;
	let people: Person[];
	let alice: Person;
	let bob: Person;
	const relay = () => relays[0] as ScriptedRelay;
	const listed = () => relays.map(({ key, url }) => ({ key: key.publicKey, url }));

	const start = async (given: Parameters<typeof person>[1] = {}): Promise<Person> => {
		const someone = await person(market, given);
		people.push(someone);
		return someone;
	};
	const mailbox = () => [...relay().boxes.values()][0] as { mail: { payload: Uint8Array; number: number }[] };

	beforeEach(async () => {
		people = [];
		relays = [await scriptedRelay(), await scriptedRelay()];
		market = marketInMemory(listed());
		alice = await start();
		bob = await start();
	});
	afterEach(async () => {
		for (const { client } of people) await client.close();
		for (const relay of relays) await relay.close();
	});

	test("threat 13: what a relay delivers twice is shown once, after a restart and another device's backup too", async () => {
		const card = await bob.client.card();
		await alice.client.send(card, "once");
		const copy = (mailbox().mail[0] as { payload: Uint8Array }).payload;
		const texts: string[] = [];
		const listen = (who: Person) => who.client.listen({ text: ({ text }) => void texts.push(text) });
		mailbox().mail.push({ payload: copy.slice(), number: 0 });
		await listen(bob);
		await until(() => mailbox().mail.length === 0, "both copies are acknowledged");
		await bob.client.close();
		mailbox().mail.push({ payload: copy.slice(), number: 0 });
		const again = await start(bob);
		await listen(again);
		await until(() => mailbox().mail.length === 0, "the third is acknowledged too");
		assert.deepEqual(texts, ["once"]);
	});

	test("a message that was recorded too long ago is refused: it could not be told from a repeat", async () => {
		const card = await bob.client.card();
		const past = await start({ parts: { nowMs: () => Date.now() - 40 * 86_400_000 } });
		relay().script.clockAheadMs = -40 * 86_400_000;
		await past.client.send(card, "forty days ago");
		delete relay().script.clockAheadMs;
		const problems: Problem[] = [];
		await bob.client.listen({ text: () => assert.fail("shown"), problem: (problem) => problems.push(problem) });
		await until(() => problems.length === 1, "it is reported");
		assert.equal(problems[0]?.problem, "seal-broken");
	});

	test("threat 10: what does not open is reported and acknowledged: it must not come for ever", async () => {
		await bob.client.card();
		for (const size of [0, 1, 30, 60, 500, 16_384]) mailbox().mail.push({ payload: crypto.random(size), number: 0 });
		mailbox().mail.push({ payload: Uint8Array.from([2, ...crypto.random(400)]), number: 0 });
		const problems: Problem[] = [];
		await bob.client.listen({ problem: (problem) => problems.push(problem) });
		await until(() => mailbox().mail.length === 0, "all are acknowledged");
		assert.ok(problems.length >= 6);
	});

	test("what the app could not take is not acknowledged and comes again", async () => {
		const card = await bob.client.card();
		await alice.client.send(card, "listen!");
		let tries = 0;
		const texts: string[] = [];
		await bob.client.listen({
			text({ text }) {
				if (++tries === 1) throw new Error("the disk is full");
				texts.push(text);
			},
		});
		await until(() => texts.length === 1, "it comes again");
		assert.equal(tries, 2);
	});

	test("a file whose pieces were exchanged, or that is not what was announced, is never handed out", async () => {
		const card = await bob.client.card();
		await alice.client.send(card, bytesSource("a", crypto.random(40_000)));
		const [manifest, first, second, third] = mailbox().mail;
		assert.ok(manifest && first && second && third);
		// The relay swaps bytes inside a chunk, drops one, and repeats another.
		const bent = first.payload.slice();
		bent[100] = (bent[100] as number) ^ 1;
		mailbox().mail = [manifest, { payload: bent, number: 0 }, second, second, third];
		const problems: Problem[] = [];
		const sink = bytesSink(40_000);
		let received = false;
		await bob.client.listen({
			file: () => sink,
			received: () => {
				received = true;
			},
			problem: (problem) => problems.push(problem),
		});
		await until(() => mailbox().mail.length === 0, "all are acknowledged");
		assert.equal(received, false);
		assert.equal(sink.bytes, undefined);
		assert.equal(problems.length, 1);
		assert.equal((await bob.storage.list("part/")).length, 1, "it waits for the piece that is missing");
	});

	test("a file that is not wanted costs no room, now or later", async () => {
		const card = await bob.client.card();
		await alice.client.send(card, bytesSource("big", new Uint8Array(100_000)));
		const failed: string[] = [];
		await bob.client.listen({ failed: ({ name }) => void failed.push(name) });
		await until(() => mailbox().mail.length === 0, "its pieces are acknowledged");
		assert.deepEqual(failed, ["big"]);
		assert.deepEqual(await bob.storage.list("part/"), []);
	});

	test("a card with two homes: when the first refuses, is paused or has used up what it may, the second takes the message", async () => {
		const card = await bob.client.card({ relays: listed() });
		const codes = ["mailbox-full", "relay-paused", "relay-full"] as const;
		for (const code of codes) {
			relay().script.answer = () => code;
			const sent = await alice.client.send(card, code);
			assert.equal(sent.tick, "sent");
		}
		const texts: string[] = [];
		await bob.client.listen({ text: ({ text }) => void texts.push(text) });
		await until(() => texts.length === codes.length, "all arrive");
		assert.deepEqual(texts, codes);
		const homes = readCardLink(crypto, card);
		assert.ok("homes" in homes && homes.homes.length === 2);
		assert.notEqual(toHex(homes.homes[0]?.mailbox as Uint8Array), toHex(homes.homes[1]?.mailbox as Uint8Array));
	});

	test("with receipts, Alice sees waiting, sent, delivered", async () => {
		const payer = await start({ receipts: true });
		const card = await payer.client.card();
		const mine = readCardLink(crypto, await alice.client.card({ name: "Alice" }));
		assert.ok("homes" in mine);
		await payer.client.know(mine);
		await payer.client.listen({});
		await alice.client.listen({});
		const ticks: string[] = [];
		await alice.client.send(card, "are you there?", { tick: (tick) => ticks.push(tick) });
		await until(() => ticks.includes("delivered"), "the receipt comes");
		assert.deepEqual(ticks.toSorted(), ["delivered", "sent", "waiting"]);
	});

	test("a name on a file never leads out of its folder, and a text that is no text is not shown", async () => {
		const card = await bob.client.card();
		await alice.client.send(card, bytesSource("../../../.ssh/authorized_keys", new Uint8Array(3)));
		const names: string[] = [];
		await bob.client.listen({
			file({ name }) {
				names.push(name);
				return bytesSink(3);
			},
		});
		await until(() => names.length === 1, "the file is announced");
		assert.deepEqual(names, ["authorized_keys"]);
	});
});
