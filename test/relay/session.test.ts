import assert from "node:assert/strict";
import { suite, test } from "node:test";
import { FRAME } from "#contracts/frame";
import { keys, payload, until } from "#test/support/rawclient";
import { startTestRelay } from "#test/support/relay";

suite("PROTOCOL: Hello, Sending, Reading", () => {
	test("Alice sends to Bob who listens: he has it, acknowledges, and only then she hears kept", async (t) => {
		const relay = await startTestRelay(t);
		const bob = await relay.reader();
		const mailbox = keys();
		bob.put(bob.listenFrame(7, mailbox));
		assert.deepEqual(await bob.listening(), {
			handle: 7,
			waiting: 0,
			waitingBytes: 0,
			droppedTtl: 0,
			droppedQuota: 0,
			fresh: true,
		});
		const alice = await relay.sender();
		alice.put(alice.payFrame(65_536), alice.openFrame(1, mailbox.publicKey), alice.sendFrame(1, 0, payload(100)));
		await until("a delivery", () => bob.deliveries[0]);
		assert.deepEqual(bob.deliveries, [{ handle: 7, number: 1, payload: payload(100) }]);
		assert.equal(alice.kept.size, 0, "not before the reader has it");
		bob.ack([1, 1]);
		await alice.keptAll(1);
		assert.equal(alice.credits.length, 1);
		assert.equal(relay.counts.live, 1);
		assert.equal(relay.counts.toDisk, 0, "live mail touches no disk");
	});

	test("hello, voucher, open and sends may all stand in the first message", async (t) => {
		const relay = await startTestRelay(t);
		const mailbox = keys();
		const bob = await relay.listener(mailbox);
		bob.acks = true;
		const alice = await relay.connect();
		const session = keys();
		const grant = relay.market.grant(relay.publicKey, session.publicKey);
		alice.put(
			alice.helloFrame({ grant, session }),
			alice.payFrame(65_536),
			alice.openFrame(9, mailbox.publicKey),
			alice.sendFrame(9, 1, payload(10, 1)),
			alice.sendFrame(9, 2, payload(20_000, 2)),
			alice.sendFrame(9, 3, payload(30, 3)),
		);
		await alice.keptAll(3);
		assert.deepEqual(
			bob.deliveries.map(({ payload }) => payload),
			[payload(10, 1), payload(20_000, 2), payload(30, 3)],
		);
		assert.equal(alice.refused.size, 0);
	});

	test("mail for someone who is away is kept, read on the next listen, and gone after the ack", async (t) => {
		const relay = await startTestRelay(t);
		const mailbox = keys();
		const first = await relay.listener(mailbox);
		await first.end();
		const alice = await relay.sender();
		alice.put(alice.payFrame(300_000), alice.openFrame(1, mailbox.publicKey));
		for (let seq = 0; seq < 20; seq++) alice.put(alice.sendFrame(1, seq, payload(10_000, seq)));
		await alice.keptAll(20);
		const bob = await relay.reader();
		bob.put(bob.listenFrame(3, mailbox));
		assert.equal((await bob.listening()).waiting, 20);
		await until("twenty deliveries", () => bob.deliveries.length === 20);
		assert.deepEqual(
			bob.deliveries.map(({ payload }) => payload),
			Array.from({ length: 20 }, (_, seq) => payload(10_000, seq)),
		);
		bob.ack([1, 19]);
		bob.ping();
		await bob.next(FRAME.pong);
		await bob.end();
		const again = await relay.reader();
		again.put(again.listenFrame(3, mailbox));
		await until("what was not acknowledged", () => again.deliveries[0]);
		assert.deepEqual(again.deliveries, [{ handle: 3, number: 1, payload: payload(10_000, 19) }]);
	});
});
