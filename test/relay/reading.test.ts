import assert from "node:assert/strict";
import { suite, test } from "node:test";
import { FRAME } from "#contracts/frame";
import type { KeyPair } from "#contracts/identity";
import { crypto } from "#host/crypto";
import { openMemoryMailStore } from "#relay/mailbox/memory";
import type { MailStore } from "#relay/mailbox/store";
import { heldClock } from "#test/support/clock";
import { keys, payload, type RawClient, until } from "#test/support/rawclient";
import { startTestRelay, type TestRelay } from "#test/support/relay";

async function listen(relay: TestRelay, mailbox: KeyPair, handle = 1, token?: Uint8Array): Promise<RawClient> {
	const bob = await relay.reader();
	bob.put(bob.listenFrame(handle, mailbox, token));
	await bob.listening();
	return bob;
}

async function writer(relay: TestRelay, mailbox: KeyPair, ttlS = 3_600) {
	const alice = await relay.sender();
	alice.put(alice.payFrame(200_000_000, ttlS), alice.openFrame(1, mailbox.publicKey, ttlS));
	await until("the credit", () => alice.credits[0]);
	return alice;
}

suite("PROTOCOL: Reading", () => {
	test("a delivery that is not acknowledged in five seconds goes to the disk, and its sender hears kept", async (t) => {
		const clock = heldClock(Date.now());
		const relay = await startTestRelay(t, {}, { clock });
		const mailbox = keys();
		const bob = await listen(relay, mailbox);
		const alice = await writer(relay, mailbox);
		alice.put(alice.sendFrame(1, 0, payload(100)));
		await until("the delivery", () => bob.deliveries[0]);
		await clock.advance(4_500);
		assert.equal(alice.kept.size, 0);
		await clock.advance(1_500);
		await alice.keptAll(1);
		assert.equal(bob.deliveries.length, 1, "it stays delivered");
		bob.ack([1, 1]);
		bob.ping();
		await bob.next(FRAME.pong);
		await bob.end();
		const again = await listen(relay, mailbox);
		assert.equal((await again.listening()).waiting, 0, "and the late ack took it off the disk");
	});

	test("threat 13: a reader whose connection ends loses nothing, and its senders hear kept", async (t) => {
		const relay = await startTestRelay(t);
		const mailbox = keys();
		const bob = await listen(relay, mailbox);
		const alice = await writer(relay, mailbox);
		for (let seq = 0; seq < 10; seq++) alice.put(alice.sendFrame(1, seq, payload(1_000, seq)));
		await until("ten deliveries", () => bob.deliveries.length === 10 || undefined);
		bob.ack([1, 3], [6, 6]);
		await alice.keptAll(4);
		await bob.end();
		await alice.keptAll(10);
		const again = await listen(relay, mailbox);
		await until("six deliveries", () => again.deliveries.length === 6 || undefined);
		assert.deepEqual(
			again.deliveries.map(({ payload }) => payload),
			[3, 4, 6, 7, 8, 9].map((seq) => payload(1_000, seq)),
		);
	});

	test("threat 11: a reader that never acknowledges costs its window and no more; the rest is on disk, in order", async (t) => {
		const relay = await startTestRelay(t);
		const mailbox = keys();
		const bob = await listen(relay, mailbox);
		const alice = await writer(relay, mailbox);
		for (let seq = 0; seq < 200; seq++) alice.put(alice.sendFrame(1, seq, payload(16_000, seq)));
		await alice.keptAll(200);
		assert.ok(bob.deliveries.length <= 65, `${bob.deliveries.length} deliveries are more than 1 MiB`);
		assert.ok(relay.counts.live <= 65);
		bob.acks = true;
		bob.ack([1, 4_000_000_000]);
		await until("all deliveries", () => bob.deliveries.length >= 200 || undefined);
		assert.deepEqual(
			bob.deliveries.map(({ payload }) => payload),
			Array.from({ length: 200 }, (_, seq) => payload(16_000, seq)),
		);
		// what waited was read, so mail goes straight to the reader again
		const live = relay.counts.live;
		alice.put(alice.sendFrame(1, 200, payload(10)));
		await alice.keptAll(201);
		assert.equal(relay.counts.live, live + 1);
	});

	test("new mail never overtakes what waits on disk, however much room its reader has", async (t) => {
		const inner = openMemoryMailStore();
		let gate: Promise<void> = Promise.resolve();
		const store: MailStore = {
			...inner,
			read: async (...args) => {
				await gate;
				return inner.read(...args);
			},
		};
		const relay = await startTestRelay(t, {}, { store });
		const mailbox = keys();
		await (await listen(relay, mailbox)).end();
		await until("nobody to listen", () => relay.counts.listening === 0);
		const alice = await writer(relay, mailbox);
		alice.put(alice.sendFrame(1, 0, payload(10, 0)));
		await alice.keptAll(1);
		const { promise, resolve } = Promise.withResolvers<void>();
		gate = promise;
		const bob = await listen(relay, mailbox);
		alice.put(alice.sendFrame(1, 1, payload(10, 1)));
		await alice.keptAll(2);
		resolve();
		await until("both", () => bob.deliveries.length === 2 || undefined);
		assert.deepEqual(
			bob.deliveries.map(({ payload }) => payload),
			[payload(10, 0), payload(10, 1)],
		);
	});

	test("threat 25: an ack that comes while its mail is on the way to the disk takes it off again", async (t) => {
		const inner = openMemoryMailStore();
		const { promise, resolve } = Promise.withResolvers<void>();
		const clock = heldClock(Date.now());
		let asked = 0;
		const store: MailStore = {
			...inner,
			keep: async (mails) => {
				asked++;
				await promise;
				return inner.keep(mails);
			},
		};
		const relay = await startTestRelay(t, {}, { store, clock });
		const mailbox = keys();
		const bob = await listen(relay, mailbox);
		const alice = await writer(relay, mailbox);
		alice.put(alice.sendFrame(1, 0, payload(10)));
		await until("the delivery", () => bob.deliveries[0]);
		await clock.advance(6_000);
		await until("the disk to be asked", () => asked === 1);
		bob.ack([1, 1]);
		bob.ping();
		await bob.next(FRAME.pong);
		resolve();
		await alice.keptAll(1);
		await bob.end();
		const again = await listen(relay, mailbox);
		assert.equal((await again.listening()).waiting, 0);
	});

	test("small mail is bounded by the number of deliveries", async (t) => {
		const relay = await startTestRelay(t);
		const mailbox = keys();
		const bob = await listen(relay, mailbox);
		const alice = await writer(relay, mailbox);
		for (let at = 0; at < 2_000; at += 200)
			alice.put(...Array.from({ length: 200 }, (_, i) => alice.sendFrame(1, at + i, payload(8, at + i))));
		await alice.keptAll(2_000);
		assert.equal(bob.deliveries.length, 1_024);
		assert.equal(relay.counts.live, 1_024);
	});

	test("threat 25: acks of numbers that were never given, twice or out of order do no harm", async (t) => {
		const relay = await startTestRelay(t);
		const mailbox = keys();
		const bob = await listen(relay, mailbox);
		const alice = await writer(relay, mailbox);
		bob.ack([0, 4_294_967_295]);
		for (let seq = 0; seq < 3; seq++) alice.put(alice.sendFrame(1, seq, payload(10, seq)));
		await until("three deliveries", () => bob.deliveries.length === 3 || undefined);
		bob.ack([3, 3]);
		bob.ack([3, 3]);
		bob.ack([1, 1], [3, 4_294_967_295]);
		await alice.keptAll(2);
		assert.deepEqual([...alice.kept].sort(), [0, 2]);
		bob.ack([2, 2]);
		await alice.keptAll(3);
	});

	test("threat 23: a listen for another relay, hello, session or mailbox opens nothing", async (t) => {
		const relay = await startTestRelay(t);
		const mailbox = keys();
		const other = await startTestRelay(t);
		const there = await other.reader();
		const bob = await relay.reader();
		const listen = there.listenFrame(1, mailbox);
		bob.put(listen);
		await bob.problem("signature-bad");
		const replay = bob.listenFrame(1, mailbox);
		const thief = await relay.reader();
		thief.put(replay);
		await thief.problem("signature-bad");
		assert.equal(thief.of(FRAME.listening).length + bob.of(FRAME.listening).length, 0);
	});

	test("who listens last has the mailbox, and the other is told", async (t) => {
		const relay = await startTestRelay(t);
		const mailbox = keys();
		const phone = await listen(relay, mailbox);
		const alice = await writer(relay, mailbox);
		alice.put(alice.sendFrame(1, 0, payload(10)));
		await until("the delivery", () => phone.deliveries[0]);
		const laptop = await listen(relay, mailbox);
		await phone.problem("conflict");
		await until("the same mail", () => laptop.deliveries[0]);
		alice.put(alice.sendFrame(1, 1, payload(11)));
		await until("new mail", () => laptop.deliveries[1]);
		assert.equal(phone.deliveries.length, 1);
	});

	test("one connection listens on sixteen mailboxes and no more", async (t) => {
		const relay = await startTestRelay(t);
		const bob = await relay.reader();
		for (let i = 0; i < 17; i++) bob.put(bob.listenFrame(i, keys()));
		await bob.problem("too-many");
		assert.equal(bob.of(FRAME.listening).length, 16);
	});

	test("losses by time are told to the reader with their number, once", async (t) => {
		const clock = heldClock(Date.now());
		const relay = await startTestRelay(t, {}, { clock });
		const mailbox = keys();
		await (await listen(relay, mailbox)).end();
		await until("nobody to listen", () => relay.counts.listening === 0);
		const alice = await writer(relay, mailbox, 30);
		alice.put(alice.sendFrame(1, 0, payload(10)), alice.sendFrame(1, 1, payload(10, 1)));
		await alice.keptAll(2);
		await clock.advance(36_000);
		const hello = { atMs: clock.nowMs() };
		const bob = await relay.connect();
		bob.put(bob.helloFrame(hello), bob.listenFrame(1, mailbox));
		assert.equal((await bob.listening()).droppedTtl, 2);
		bob.put(bob.listenFrame(1, mailbox));
		assert.equal((await bob.listening(1)).droppedTtl, 0);
		assert.equal(bob.deliveries.length, 0);
	});
});

suite("PROTOCOL: Quota", () => {
	test("threat 12: mail for a mailbox that nobody ever listened on is refused and not charged", async (t) => {
		const relay = await startTestRelay(t);
		const alice = await writer(relay, keys());
		alice.put(alice.sendFrame(1, 0, payload(100)));
		await until("the refusal", () => alice.refused.get(0) === "mailbox-unknown" || undefined);
		alice.askUsage();
		assert.equal((await alice.usage()).used.bytes, 0n);
	});

	test("threat 12: strangers fill a tenth of a mailbox, holders of the card's token the rest; the reader is told", async (t) => {
		const store = openMemoryMailStore();
		const full = {
			...store,
			state: (id: string) => {
				const state = store.state(id);
				return state && { ...state, bytes: 53_687_000, strangerBytes: 53_687_000, messages: 1, strangerMessages: 1 };
			},
		};
		const relay = await startTestRelay(t, {}, { store: full });
		const mailbox = keys();
		const token = crypto.random(16);
		await (await listen(relay, mailbox, 1, token)).end();
		const alice = await writer(relay, mailbox);
		alice.put(alice.openFrame(2, mailbox.publicKey, 3_600, token), alice.sendFrame(1, 0, payload(10_000)));
		await until("the refusal", () => alice.refused.get(0) === "mailbox-full" || undefined);
		alice.put(alice.sendFrame(2, 1, payload(10_000)));
		await alice.keptAll(1);
		const again = await listen(relay, mailbox, 1, token);
		assert.equal((await again.listening()).droppedQuota, 1);
	});

	test("threat 12: a TTL over thirty days is refused", async (t) => {
		const relay = await startTestRelay(t);
		const mailbox = keys();
		await listen(relay, mailbox);
		const alice = await writer(relay, mailbox);
		alice.put(alice.openFrame(2, mailbox.publicKey, 30 * 86_400 + 1), alice.sendFrame(2, 0, payload(10)));
		await until("the refusal", () => alice.refused.get(0) === "ttl-too-long" || undefined);
	});

	test("handles are bounded, and one that was not opened is refused", async (t) => {
		const relay = await startTestRelay(t, { limits: { handlesMax: 2 } });
		const mailbox = keys();
		await listen(relay, mailbox);
		const alice = await writer(relay, mailbox);
		alice.put(
			alice.openFrame(2, mailbox.publicKey),
			alice.openFrame(3, mailbox.publicKey),
			alice.sendFrame(3, 0, payload(10)),
		);
		await alice.problem("too-many");
		await until("the refusal", () => alice.refused.get(0) === "handle-unknown" || undefined);
	});

	test("more than 256 gaps in a tag's numbers are refused", async (t) => {
		const relay = await startTestRelay(t);
		const mailbox = keys();
		await (await listen(relay, mailbox)).end();
		const alice = await writer(relay, mailbox);
		for (let i = 0; i < 300; i++) alice.put(alice.sendFrame(1, i * 2, payload(8, i)));
		await until("a refusal", () => alice.refused.size > 0 || undefined);
		assert.deepEqual(new Set(alice.refused.values()), new Set(["seq-gaps"]));
		await alice.keptAll(257);
	});
});

suite("PROTOCOL: The disk", () => {
	/** A store whose disk can be told to refuse, or to be slow. */
	function moody() {
		const inner = openMemoryMailStore();
		const mood = { full: false, pendingBytes: 0 };
		const store: MailStore = {
			...inner,
			get pendingBytes() {
				return mood.pendingBytes;
			},
			keep: (mails) => (mood.full ? Promise.resolve(mails.map(() => "disk" as const)) : inner.keep(mails)),
		};
		return { store, mood };
	}

	test("threat 14: what a full disk refuses is said, refunded and may come again; nothing is answered kept", async (t) => {
		const { store, mood } = moody();
		const relay = await startTestRelay(t, {}, { store });
		const mailbox = keys();
		await (await listen(relay, mailbox)).end();
		await until("nobody to listen", () => relay.counts.listening === 0);
		const alice = await writer(relay, mailbox);
		mood.full = true;
		alice.put(alice.sendFrame(1, 0, payload(100)));
		await until("the refusal", () => alice.refused.get(0) === "disk" || undefined);
		alice.askUsage();
		assert.equal((await alice.usage()).used.bytes, 0n);
		assert.deepEqual(relay.health.now().troubles, { disk: "disk" });
		mood.full = false;
		alice.put(alice.sendFrame(1, 0, payload(100)));
		await alice.keptAll(1);
		assert.deepEqual(relay.health.now().troubles, {});
	});

	test("threat 14: while too much is on its way to the disk, senders are not read", async (t) => {
		const { store, mood } = moody();
		const relay = await startTestRelay(t, {}, { store });
		const mailbox = keys();
		await (await listen(relay, mailbox)).end();
		const alice = await writer(relay, mailbox);
		mood.pendingBytes = 17 * 1024 * 1024;
		alice.put(alice.sendFrame(1, 0, payload(100)));
		await alice.keptAll(1);
		alice.put(alice.sendFrame(1, 1, payload(100, 1)));
		const other = await relay.reader();
		other.ping();
		await other.next(FRAME.pong);
		assert.equal(alice.kept.size, 1, "the second was not looked at");
		mood.pendingBytes = 0;
		await alice.keptAll(2);
	});
});
