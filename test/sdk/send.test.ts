import assert from "node:assert/strict";
import { after, before, suite, test } from "node:test";
import { amount } from "#contracts/amount";
import { toHex } from "#contracts/bytes";
import { FRAME } from "#contracts/frame";
import { crypto } from "#host/crypto";
import { FarelayError } from "#sdk/error";
import { bytesSink, bytesSource } from "#sdk/file";
import type { IncomingText } from "#sdk/incoming";
import { type ScriptedRelay, scriptedRelay } from "#test/support/scripted-relay";
import { marketInMemory, type Person, person, type TestMarket, until } from "#test/support/sdk";

suite("Alice writes to Bob", () => {
	let relay: ScriptedRelay;
	let market: TestMarket;
	let alice: Person;
	let bob: Person;
	let card: string;

	before(async () => {
		relay = await scriptedRelay();
		market = marketInMemory([{ key: relay.key.publicKey, url: relay.url }]);
		alice = await person(market);
		bob = await person(market);
		card = await bob.client.card({ name: "Bob" });
	});
	after(async () => {
		await alice.client.close();
		await bob.client.close();
		await relay.close();
	});

	test("a text to someone offline is kept, and there when he listens, once", async () => {
		const sent = await alice.client.send(card, "Good morning");
		assert.equal(sent.tick, "sent");
		const texts: IncomingText[] = [];
		await bob.client.listen({ text: (message) => void texts.push(message) });
		await until(() => texts.length === 1, "the text arrives");
		assert.equal(texts[0]?.text, "Good morning");
		assert.equal(toHex(texts[0]?.from ?? new Uint8Array()), alice.client.account);
		await until(() => [...relay.boxes.values()].every(({ mail }) => mail.length === 0), "it was acknowledged");
		await bob.client.close();
		assert.equal(texts.length, 1);
	});

	test("hello, voucher, open and send travel in one message: nothing waits for money or for a welcome", () => {
		const first = relay.messages.find((types) => types.includes(FRAME.send));
		assert.deepEqual(first, [FRAME.hello, FRAME.voucher, FRAME.open, FRAME.send]);
		assert.equal(relay.vouchers[0]?.bytes, 65_536n, "the first voucher covers one step of a stranger");
	});

	test("a file arrives as it was, whatever its size", async () => {
		for (const size of [0, 1, 16_347, 16_348, 700_000]) {
			const bytes = crypto.random(size);
			const sink = bytesSink(size);
			let received = 0;
			await bob.client.listen({ file: () => sink, received: () => void received++ });
			const progress: number[] = [];
			await alice.client.send(card, bytesSource("photo.jpg", bytes), { progress: (kept) => progress.push(kept) });
			await until(() => received === 1, `a file of ${size} bytes arrives`);
			assert.deepEqual(sink.bytes, bytes);
			assert.equal(progress.at(-1) ?? 0, size);
			await bob.client.close();
		}
		assert.deepEqual(await bob.storage.list("part/"), [], "nothing is left over");
		assert.deepEqual(await alice.storage.list("outbox/"), []);
	});

	test("what something costs is known before, and is what is counted after", async () => {
		const before = [...relay.tabs.values()][0]?.used.bytes ?? 0n;
		const estimate = await alice.client.estimate(card, bytesSource("a", new Uint8Array(50_000)), { ttlS: 60 });
		const sent = await alice.client.send(card, bytesSource("a", new Uint8Array(50_000)), { ttlS: 60 });
		assert.deepEqual(sent.cost, estimate);
		const after = [...relay.tabs.values()][0]?.used.bytes ?? 0n;
		assert.equal(after - before, estimate.sealedBytes);
		assert.equal(estimate.total, estimate.ask + (estimate.ask * 2n) / 100n + (estimate.ask * 2n) / 100n);
	});

	test("the relay never holds a voucher for more than what it served and one step", () => {
		const steps = relay.vouchers.map(({ bytes }, i) => bytes - (relay.vouchers[i - 1]?.bytes ?? 0n));
		assert.ok(steps.every((step) => step <= 1_048_576n));
		assert.ok(relay.vouchers.length < 20, `${relay.vouchers.length} vouchers for a MB`);
	});

	test("settling signs exactly what both sides counted, and the rest comes back", async () => {
		const used = [...relay.tabs.values()][0]?.used;
		const [settlement] = await alice.client.settle();
		assert.ok(settlement?.agreement);
		assert.deepEqual(
			[settlement.agreement.voucher.bytes, settlement.agreement.voucher.byteSeconds],
			[used?.bytes, used?.byteSeconds],
		);
		assert.equal(market.closes.length, 1);
		assert.ok(market.closes[0]?.final);
	});

	test("a day's limit refuses before anything is sent", async () => {
		const spent = await alice.client.spentToday();
		alice.client.spendLimit(amount(spent + 100n));
		const sends = relay.sends.length;
		await assert.rejects(alice.client.send(card, bytesSource("big", new Uint8Array(10_000_000))), (error) => {
			assert.ok(error instanceof FarelayError);
			assert.equal(error.problem.problem, "spending-limit");
			assert.equal(error.problem.spent, "no");
			return true;
		});
		assert.equal(relay.sends.length, sends);
		assert.equal(await alice.client.spentToday(), spent);
		alice.client.spendLimit(undefined);
	});
});
