import assert from "node:assert/strict";
import { suite, test } from "node:test";
import { keysAt, startTestCrew } from "#test/support/crew";
import { payload, until } from "#test/support/rawclient";

const TTL_S = 3_600;

suite("a relay of two workers (PROTOCOL.md, Transport)", () => {
	test("carries mail from a tab of one to a mailbox of the other: kept on its disk, then read, in order", async (t) => {
		const crew = await startTestCrew(t);
		const mailbox = keysAt(1, 2);
		const owner = await crew.reader(mailbox);
		await owner.end();
		const alice = await crew.sender(0);
		alice.put(alice.openFrame(7, mailbox.publicKey, TTL_S), alice.payFrame(1_000_000, TTL_S));
		for (let seq = 0; seq < 100; seq++) alice.put(alice.sendFrame(7, seq, payload(700, seq)));
		await alice.keptAll(100);
		const bob = await crew.reader(mailbox);
		await until("mail", () => bob.deliveries.length === 100 || undefined);
		assert.deepEqual(
			bob.deliveries.map((delivery) => delivery.payload),
			Array.from({ length: 100 }, (_, seq) => payload(700, seq)),
		);
	});

	test("hands live mail to a reader at the other worker, and answers once it is acknowledged", async (t) => {
		const crew = await startTestCrew(t);
		const mailbox = keysAt(1, 2);
		const bob = await crew.reader(mailbox);
		const alice = await crew.sender(0);
		alice.put(
			alice.openFrame(7, mailbox.publicKey, TTL_S),
			alice.payFrame(1_000_000, TTL_S),
			...Array.from({ length: 20 }, (_, seq) => alice.sendFrame(7, seq, payload(300, seq))),
		);
		await until("mail", () => bob.deliveries.length === 20 || undefined);
		assert.equal(alice.kept.size, 0, "nothing is answered before its reader acknowledged it");
		bob.ack([1, 20]);
		await alice.keptAll(20);
		alice.askUsage();
		assert.equal((await alice.usage()).used.bytes, 6_000n);
	});
});
