/** Small frames with large answers, and ends in the middle of a message: what one connection may cost a relay, or spoil for another. */

import assert from "node:assert/strict";
import { once } from "node:events";
import { connect, type Socket } from "node:net";
import { suite, test } from "node:test";
import { writeEmpty } from "#contracts/control";
import { writeFan } from "#contracts/fan";
import { FRAME } from "#contracts/frame";
import { crypto } from "#host/crypto";
import { RELAY_LIMITS } from "#relay/limit";
import { keys, payload, until } from "#test/support/rawclient";
import { startTestRelay, type TestRelay } from "#test/support/relay";

const TTL_S = 3_600;

/** Somebody with a card out, who listens, and a payer with that card: handle 1 keeps, handle 2 is live or nothing. */
async function pair(relay: TestRelay, paidBytes: number) {
	const mailbox = keys();
	const token = crypto.random(16);
	const bob = await relay.listener(mailbox, 1, token);
	const alice = await relay.sender();
	alice.put(
		alice.payFrame(paidBytes, TTL_S),
		alice.openFrame(1, mailbox.publicKey, TTL_S, token),
		alice.openFrame(2, mailbox.publicKey, 0, token),
	);
	return { alice, bob, mailbox };
}

/** A WebSocket by hand, upgraded, that reads nothing from now on. */
async function deafSocket(port: number): Promise<Socket> {
	const socket = connect({ port, host: "127.0.0.1" });
	socket.on("error", () => {});
	await once(socket, "connect");
	socket.write(
		"GET / HTTP/1.1\r\nHost: relay\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n" +
			"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Protocol: farelay.v1\r\n\r\n",
	);
	await once(socket, "data");
	socket.pause();
	return socket;
}

suite("what one connection may cost, or spoil for another", () => {
	test("threat 11: a contact's live fan of many copies is gone where the socket is full, and does not end its reader's connection", async (t) => {
		const relay = await startTestRelay(t);
		const { alice, bob } = await pair(relay, 100_000_000);
		bob.ws.pause();
		const handles = Array.from({ length: 256 }, () => 2);
		alice.put(writeFan({ seq: 0, handles, payload: payload(60_000) }));
		await until("an answer to each", () => alice.refused.size + alice.numbers(FRAME.passed).size === 256 || undefined);
		assert.deepEqual([...new Set(alice.refused.values())], ["gone"]);
		assert(alice.numbers(FRAME.passed).size * 60_000 < 3 * RELAY_LIMITS.unsentBytesHigh);
		bob.ws.resume();
		bob.ping();
		await bob.next(FRAME.pong);
		assert.equal(bob.deliveries.length, alice.numbers(FRAME.passed).size);
		assert.deepEqual(bob.problems, []);
	});

	test("threat 11: thirty thousand requests for a count that there is none of are one answer", async (t) => {
		const relay = await startTestRelay(t);
		const mallory = await relay.reader();
		mallory.put(...Array.from({ length: 30_000 }, () => writeEmpty(FRAME.usageRequest)));
		mallory.ping();
		await mallory.next(FRAME.pong);
		assert((await mallory.problem("grant-needed")).retry === false);
		assert(mallory.problems.length <= 2, `${mallory.problems.length} answers`);
	});

	test("threat 11: WebSocket pings that come by the thousand are not answered by as many system calls, and the last one is", async (t) => {
		const relay = await startTestRelay(t);
		const mallory = await deafSocket(relay.port);
		t.after(() => mallory.destroy());
		const pings = Buffer.concat(Array.from({ length: 10_000 }, () => Buffer.from([0x89, 0x80, 0, 0, 0, 0])));
		mallory.write(Buffer.concat([pings, Buffer.from([0x89, 0x81, 0, 0, 0, 0, 0x77])]));
		let heard = Buffer.alloc(0);
		mallory.on("data", (more: Buffer) => {
			heard = Buffer.concat([heard, more]);
		});
		mallory.resume();
		await until("the answer to the last one", () => heard.subarray(-3).equals(Buffer.from([0x8a, 1, 0x77])));
		// some for each of the reads that brought them
		assert(heard.length / 2 < 2_000, `${heard.length / 2} pongs`);
	});

	test("threat 24: what was taken before the frame that ends a connection reaches its reader", async (t) => {
		const relay = await startTestRelay(t);
		const { alice, bob } = await pair(relay, 1_000);
		bob.acks = true;
		await alice.next(FRAME.credited);
		const unpaid = (from: number, count: number) =>
			Array.from({ length: count }, (_, i) => alice.sendFrame(1, from + i, payload(1_001)));
		for (let from = 0; from < 1_000; from += 25) alice.put(...unpaid(from, 25));
		await until("all to be refused", () => alice.refused.size === 1_000 || undefined);
		alice.put(alice.sendFrame(1, 0, payload(100)), alice.sendFrame(2, 1, payload(100)), ...unpaid(2, 30));
		assert.equal((await alice.gone()).reason, "unpaid");
		await until("both to arrive", () => bob.deliveries.length === 2 || undefined, 3_000);
	});
});
