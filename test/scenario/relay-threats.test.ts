import assert from "node:assert/strict";
import type { Socket } from "node:net";
import { suite, test } from "node:test";
import { join } from "#contracts/bytes";
import { writePing } from "#contracts/control";
import { FRAME } from "#contracts/frame";
import { crypto } from "#host/crypto";
import { heldClock } from "#test/support/clock";
import { keys, payload, until } from "#test/support/rawclient";
import { startTestRelay } from "#test/support/relay";

const TTL_S = 3_600;

suite("relays and traffic", () => {
	test("threat 11: a reader that never reads is passed over, closed, and stalls nobody", async (t) => {
		const clock = heldClock(Date.now());
		const relay = await startTestRelay(t, {}, { clock });
		const [deaf, awake] = [keys(), keys()];
		const token = crypto.random(16);
		const bob = await relay.listener(deaf, 1, token);
		const carol = await relay.listener(awake);
		carol.acks = true;
		bob.ws.pause();
		const alice = await relay.sender();
		alice.put(
			alice.voucherFrame({ bytes: 1_000_000_000n, byteSeconds: 1_000_000_000n }),
			alice.openFrame(1, deaf.publicKey, 0, token),
			alice.openFrame(2, awake.publicKey, TTL_S),
		);
		let seq = 0;
		// live mail has no window: only the socket bounds it
		await until("the socket to be full", () => {
			for (let i = 0; i < 20; i++) alice.put(alice.sendFrame(1, seq++, payload(60_000)));
			return [...alice.refused.values()].includes("gone");
		});
		assert.deepEqual(new Set(alice.refused.values()), new Set(["gone"]));
		alice.put(alice.sendFrame(2, seq, payload(10)));
		await alice.keptAll(1);
		await clock.advance(25_000);
		assert.equal(relay.counts.listening, 2);
		carol.ping();
		alice.ping();
		await Promise.all([carol.next(FRAME.pong), alice.next(FRAME.pong)]);
		await clock.advance(10_000);
		bob.ws.resume();
		assert.equal((await bob.gone()).code, 4010);
		assert.equal(relay.counts.closings.get("reader-slow"), 1);
		assert.equal(carol.closed, undefined);
	});

	test("threat 11: a reader on a very slow line, of whom only acknowledgements show that it takes something, is not closed", async (t) => {
		const clock = heldClock(Date.now());
		const relay = await startTestRelay(t, {}, { clock });
		const mailbox = keys();
		const token = crypto.random(16);
		const bob = await relay.reader();
		bob.put(bob.listenFrame(1, mailbox, token));
		await bob.listening();
		const alice = await relay.sender();
		alice.put(
			alice.voucherFrame({ bytes: 1_000_000_000n, byteSeconds: 1_000_000_000n }),
			alice.openFrame(1, mailbox.publicKey, TTL_S, token),
			alice.openFrame(2, mailbox.publicKey, 0, token),
			...[0, 1, 2].map((seq) => alice.sendFrame(1, seq, payload(1_000, seq))),
		);
		await until("three deliveries", () => bob.deliveries.length === 3 || undefined);
		const waiting = () => relay.state().disk.mails;
		await clock.advance(6_000);
		await until("them to be on disk", () => waiting() === 3);
		bob.ws.pause();
		let seq = 3;
		await until("the socket to be full", () => {
			for (let i = 0; i < 20; i++) alice.put(alice.sendFrame(2, seq++, payload(60_000)));
			return [...alice.refused.values()].includes("gone");
		});
		for (const number of [1, 2, 3]) {
			await clock.advance(25_000);
			bob.ack([number, number]);
			bob.ping(number);
			await until("the relay to have read it", () => relay.counts.listening === 0 || waiting() === 3 - number);
			assert.equal(relay.counts.listening, 1, `after ${number}`);
		}
		bob.ack([1, 3]);
		await clock.advance(31_000);
		assert.equal(relay.counts.listening, 0, "what was acknowledged before shows nothing");
		bob.ws.resume();
		assert.equal((await bob.gone()).code, 4010);
	});

	test("threat 11: who asks for answers and never reads them is closed before they fill the memory", async (t) => {
		const relay = await startTestRelay(t);
		const mallory = await relay.reader();
		mallory.ws.pause();
		const pings = join(...Array.from({ length: 10_000 }, (_, i) => writePing({ mark: i, nextMs: 55_000 })));
		await until("mallory to be closed", () => {
			if (mallory.ws.bufferedAmount < 1_000_000) for (let i = 0; i < 10; i++) mallory.put(pings);
			return relay.counts.closings.get("reader-slow") ?? (mallory.ws.readyState > 1 || undefined);
		});
		mallory.ws.resume();
		await mallory.gone();
		const next = await relay.reader();
		next.ping();
		await next.next(FRAME.pong);
	});

	test("threat 11: a sender of one byte a minute is closed when its time is over", async (t) => {
		const clock = heldClock(Date.now());
		const relay = await startTestRelay(t, {}, { clock });
		const slow = await relay.reader();
		const { _socket: socket } = slow.ws as unknown as { _socket: Socket };
		// the head of a WebSocket message of 16 bytes, and then a byte now and then
		socket.write(Uint8Array.of(0x82, 0x80 | 16, 0, 0, 0, 0));
		for (let minute = 0; minute < 3; minute++) {
			socket.write(Uint8Array.of(0));
			await clock.advance(60_000);
		}
		assert.equal((await slow.gone()).code, 4011);
	});

	test("threat 7: a thousand new keys take nothing unpaid", async (t) => {
		const relay = await startTestRelay(t);
		const mailbox = keys();
		const bob = await relay.listener(mailbox);
		let refused = 0;
		for (let round = 0; round < 10; round++) {
			const clients = await Promise.all(
				Array.from({ length: 20 }, async () => {
					const client = await relay.connect();
					const session = keys();
					const grant = relay.market.grant(relay.publicKey, session.publicKey);
					const sends = [0, 1, 2, 3, 4].map((seq) => client.sendFrame(1, seq, payload(100, seq)));
					client.put(client.helloFrame({ grant, session }), client.openFrame(1, mailbox.publicKey, TTL_S), ...sends);
					await until("five refusals", () => client.refused.size === 5 || undefined);
					return client;
				}),
			);
			refused += clients.reduce((sum, client) => sum + client.refused.size, 0);
			await Promise.all(clients.map((client) => client.end()));
		}
		assert.equal(refused, 1_000);
		assert.equal(bob.deliveries.length + relay.counts.live + relay.counts.toDisk, 0);
		await until("their tabs to be forgotten", () => relay.counts.open === 1);
		const metrics = await (await fetch(`http://127.0.0.1:${relay.port}/metrics`)).text();
		assert.match(metrics, /farelay_relay_tabs 0/);
	});

	test("threat 12: a flood against one mailbox stops at its quota, and other mailboxes do not notice", async (t) => {
		const relay = await startTestRelay(t);
		const [flooded, quiet] = [keys(), keys()];
		const owner = await relay.reader();
		owner.put(owner.listenFrame(1, flooded), owner.listenFrame(2, quiet));
		await owner.listening(1);
		await owner.end();
		await until("nobody to listen", () => relay.counts.listening === 0);
		const alice = await relay.sender();
		alice.put(
			alice.payFrame(100_000_000, TTL_S),
			alice.openFrame(1, flooded.publicKey, TTL_S),
			alice.openFrame(2, quiet.publicKey, TTL_S),
		);
		// strangers may leave a tenth of the messages too: one byte each does not fill a mailbox by its bytes
		for (let at = 0; at < 10_400; at += 400)
			alice.put(...Array.from({ length: 400 }, (_, i) => alice.sendFrame(1, at + i, payload(1, at + i))));
		await until("the quota", () => [...alice.refused.values()].includes("mailbox-full") || undefined);
		alice.put(alice.sendFrame(2, 20_000, payload(100)));
		await until("the other mailbox", () => alice.kept.has(20_000) || undefined);
		assert.equal(alice.kept.size, 10_001);
	});

	test("many small deliveries of one turn are one message, and large ones come whole", async (t) => {
		const relay = await startTestRelay(t);
		const [one, two] = [keys(), keys()];
		const bob = await relay.reader();
		const carol = await relay.reader();
		bob.put(bob.listenFrame(1, one));
		carol.put(carol.listenFrame(1, two));
		await Promise.all([bob.listening(), carol.listening()]);
		const alice = await relay.sender();
		alice.put(
			alice.payFrame(1_000_000, TTL_S),
			alice.openFrame(1, one.publicKey, TTL_S),
			alice.openFrame(2, two.publicKey, TTL_S),
		);
		const before = bob.messages.length;
		alice.put(...Array.from({ length: 200 }, (_, i) => alice.sendFrame(1 + (i % 2), i, payload(64, i))));
		await until(
			"a hundred each",
			() => (bob.deliveries.length === 100 && carol.deliveries.length === 100) || undefined,
		);
		assert.equal(bob.messages.length - before, 1);
		alice.put(
			alice.sendFrame(1, 200, payload(40_000)),
			alice.sendFrame(1, 201, payload(20_000, 1)),
			alice.sendFrame(2, 202, payload(10)),
		);
		await until("the large ones", () => bob.deliveries.length === 102 || undefined);
		assert.deepEqual(
			bob.deliveries.slice(100).map(({ payload }) => payload),
			[payload(40_000), payload(20_000, 1)],
		);
		assert.deepEqual(
			carol.deliveries.slice(0, 3).map(({ payload }) => payload),
			[payload(64, 1), payload(64, 3), payload(64, 5)],
		);
	});
});
