import assert from "node:assert/strict";
import { after, before, suite, test } from "node:test";
import { toHex } from "#contracts/bytes";
import { SUBPROTOCOL } from "#contracts/frame";
import type { Problem } from "#contracts/problem";
import type { Socket } from "#sdk/device";
import { FarelayError } from "#sdk/error";
import { bytesSource } from "#sdk/file";
import type { Waiting } from "#sdk/letter";
import { type ScriptedRelay, scriptedRelay } from "#test/support/scripted-relay";
import { marketInMemory, type Person, person, type TestMarket, until } from "#test/support/sdk";

suite("Alice is offline", () => {
	let relay: ScriptedRelay;
	let market: TestMarket;
	let bob: Person;
	let card: string;
	let online = false;
	const people: Person[] = [];
	const problems: Problem[] = [];

	/** A network that is there or not. */
	const connect = (url: string): Socket => {
		if (!online) throw new Error("no network");
		return new WebSocket(url, SUBPROTOCOL) as unknown as Socket;
	};
	const start = async (given: Parameters<typeof person>[1] = {}): Promise<Person> => {
		const parts = { ...given.parts, connect };
		const someone = await person(market, { ...given, parts, onProblem: (why) => problems.push(why) });
		people.push(someone);
		return someone;
	};

	before(async () => {
		relay = await scriptedRelay();
		market = marketInMemory([{ key: relay.key.publicKey, url: relay.url }]);
		bob = await person(market);
		people.push(bob);
		card = await bob.client.card();
	});
	after(async () => {
		for (const { client } of people) await client.close();
		await relay.close();
	});

	test("what she writes waits, and goes when the network is back", async () => {
		const alice = await start();
		online = false;
		const ticks: string[] = [];
		const sending = alice.client.send(card, "from the tunnel", { tick: (tick) => ticks.push(tick) });
		await until(() => problems.length > 0, "the connection is tried");
		assert.deepEqual(ticks, ["waiting"]);
		online = true;
		await alice.client.hurry();
		await sending;
		assert.deepEqual(ticks, ["waiting", "sent"]);
	});

	test("what waits survives a restart, sealed once: the same message with the same id", async () => {
		const alice = await start();
		online = false;
		const sending = alice.client.send(card, "written before the battery died");
		sending.catch(() => {});
		await until(async () => (await alice.storage.list("outbox/")).length === 1, "it is in the outbox");
		await alice.client.close();
		await assert.rejects(sending, FarelayError);
		assert.equal((await alice.storage.list("outbox/")).length, 1, "and stays there");
		online = true;
		const again = await start(alice);
		const [kept] = await alice.storage.list("outbox/");
		const [sent] = await again.client.resume();
		assert.equal(kept, `outbox/${toHex(sent?.id ?? new Uint8Array(0))}`);
		assert.deepEqual(await alice.storage.list("outbox/"), []);
		const texts: string[] = [];
		await bob.client.listen({ text: ({ text }) => void texts.push(text) });
		await until(() => texts.length === 2, "both arrive");
		assert.deepEqual(texts, ["from the tunnel", "written before the battery died"]);
	});

	test("what waits says until when, and is dropped and told when nobody would have kept it any longer", async () => {
		let aheadMs = 0;
		const over: Waiting[] = [];
		const given = {
			parts: { nowMs: () => Date.now() + aheadMs },
			onOver: (waiting: Waiting) => void over.push(waiting),
		};
		const alice = await start(given);
		online = false;
		const sending = [
			alice.client.send(card, "come today", { ttlS: 86_400 }),
			alice.client.send(card, bytesSource("film", new Uint8Array(9)), { ttlS: 86_400 }),
			alice.client.send(card, "come this week"),
		];
		for (const one of sending) one.catch(() => {});
		await until(async () => (await alice.storage.list("outbox/")).length === 3, "all are in the outbox");
		await alice.client.close();
		await Promise.allSettled(sending);
		const again = await start({ ...given, ...alice });
		const waiting = await again.client.waiting();
		assert.deepEqual(waiting.map(({ file }) => file?.name).toSorted(), ["film", undefined, undefined]);
		const days = waiting.map(({ atMs, endsAtMs }) => (endsAtMs - atMs) / 86_400_000);
		assert.deepEqual(days.toSorted(), [1, 1, 7]);
		aheadMs = 2 * 86_400_000;
		assert.equal((await again.client.waiting()).length, 1);
		assert.deepEqual(over.map(({ file }) => file?.name).toSorted(), ["film", undefined]);
		assert.equal((await alice.storage.list("outbox/")).length, 1);
		aheadMs = 8 * 86_400_000;
		online = true;
		assert.deepEqual(await again.client.resume(), [], "what is over is not sent any more");
		assert.deepEqual(await alice.storage.list("outbox/"), []);
	});

	test("a reader whose network comes and goes reads on, and nothing is shown twice", async () => {
		const carol = await start();
		online = true;
		const to = await carol.client.card();
		const texts: string[] = [];
		await carol.client.listen({ text: ({ text }) => void texts.push(text) });
		for (let i = 0; i < 5; i++) {
			await bob.client.send(to, `${i}`);
			relay.hangUp();
			await carol.client.hurry();
		}
		await until(() => texts.length >= 5, "all arrive");
		assert.deepEqual(texts, ["0", "1", "2", "3", "4"]);
	});
});
