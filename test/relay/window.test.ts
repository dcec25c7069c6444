import assert from "node:assert/strict";
import { suite, type TestContext, test } from "node:test";
import { writePing } from "#contracts/control";
import { FRAME, frame } from "#contracts/frame";
import { LIMIT } from "#contracts/limit";
import { heldClock } from "#test/support/clock";
import { keys, payload, type RawClient, until } from "#test/support/rawclient";
import { startTestRelay } from "#test/support/relay";

const TTL_S = 3_600;

suite("PROTOCOL: Reading (windows)", () => {
	/** Bob with a window, and Alice who has paid. */
	const pair = async (t: TestContext, before?: (bob: RawClient) => void) => {
		const relay = await startTestRelay(t);
		const mailbox = keys();
		const bob = await relay.reader();
		before?.(bob);
		bob.put(bob.listenFrame(1, mailbox, new Uint8Array(16).fill(3)));
		await bob.listening();
		const alice = await relay.sender();
		alice.put(alice.payFrame(20_000_000, TTL_S), alice.openFrame(1, mailbox.publicKey, TTL_S));
		/** Sends some and waits until the relay has them: those that Bob has not, it says are kept. */
		let sent = 0;
		const send = async (count: number, size: number) => {
			for (let i = 0; i < count; i++) alice.put(alice.sendFrame(1, sent++, payload(size, sent)));
			alice.ping(sent);
			await until("the sends to be worked on", () => alice.of(FRAME.pong).some(({ body }) => body[0] === sent % 256));
		};
		const order = () => bob.deliveries.map(({ payload }) => payload);
		const expected = (from: number, to: number, size: number) =>
			Array.from({ length: to - from }, (_, i) => payload(size, from + i + 1));
		return { relay, mailbox, bob, alice, send, order, expected };
	};
	const settled = async (bob: RawClient) => {
		bob.ping(99);
		const before = bob.of(FRAME.pong).length;
		await bob.next(FRAME.pong, before);
	};

	test("a reader's own window bounds what is under way to it; the rest is on disk and comes as it acknowledges", async (t) => {
		const { relay, bob, alice, send, order, expected } = await pair(t, (bob) => bob.narrow(3, 1_000_000));
		await send(10, 100);
		// what went over the window is on disk, and with it what came before it: order is kept
		await alice.keptAll(10);
		await settled(bob);
		assert.equal(bob.deliveries.length, 3);
		for (let had = 3; had < 10; had++) {
			bob.ack([had - 2, had - 2]);
			await until("one more", () => bob.deliveries.length === had + 1 || undefined);
			await settled(bob);
			assert.equal(bob.deliveries.length, had + 1);
		}
		assert.deepEqual(order(), expected(0, 10, 100));
		assert.equal(relay.counts.toDisk, 7);
	});

	test("bytes bound it too; a payload that is larger than the window comes alone, live and from the disk", async (t) => {
		const { bob, alice, send, order } = await pair(t, (bob) => bob.narrow(100, 10_000));
		await send(1, 30_000);
		await until("the large one", () => bob.deliveries.length === 1 || undefined);
		assert.equal(alice.kept.size, 0, "it came live");
		await send(3, 30_000);
		await alice.keptAll(4);
		await settled(bob);
		assert.equal(bob.deliveries.length, 1, "one at a time");
		for (let had = 1; had < 4; had++) {
			bob.ack([1, had]);
			await until("the next", () => bob.deliveries.length === had + 1 || undefined);
			await settled(bob);
			assert.equal(bob.deliveries.length, had + 1, "one at a time");
		}
		bob.ack([1, 4]);
		await send(5, 2_000);
		await alice.keptAll(9);
		await settled(bob);
		assert.equal(order().length, 4 + 4, "four of 2,256 bytes fit 10,000");
	});

	test("no frames pause deliveries, live-only ones are gone, and raising the window goes on with all of it", async (t) => {
		const { relay, mailbox, bob, alice, send, order, expected } = await pair(t);
		await send(2, 50);
		await until("both", () => bob.deliveries.length === 2 || undefined);
		bob.narrow(0, 0);
		await settled(bob);
		await send(5, 50);
		await alice.keptAll(7);
		alice.put(
			alice.openFrame(2, mailbox.publicKey, 0, new Uint8Array(16).fill(3)),
			alice.sendFrame(2, 100, payload(9)),
		);
		await until("nobody to be there", () => alice.refused.get(100) === "gone" || undefined);
		bob.ack([1, 2]);
		await settled(bob);
		assert.equal(bob.deliveries.length, 2, "paused");
		bob.narrow(2, 100_000);
		await until("two more", () => bob.deliveries.length === 4 || undefined);
		bob.narrow(4_294_967_295, 4_294_967_295);
		await until("the rest", () => bob.deliveries.length === 7 || undefined);
		assert.deepEqual(order(), expected(0, 7, 50));
		bob.ack([1, 7]);
		alice.put(alice.sendFrame(2, 101, payload(9)));
		await until("live-only mail to pass again", () => alice.numbers(FRAME.passed).has(101) || undefined);
		assert.equal(relay.counts.closings.get("internal"), undefined);
	});

	test("threat 11: a window beyond the relay's own is the relay's, whatever a reader asks for", async (t) => {
		const { bob, send, alice } = await pair(t, (bob) => bob.narrow(4_294_967_295, 4_294_967_295));
		await send(LIMIT.windowFrames + 50, 10);
		await alice.keptAll(LIMIT.windowFrames + 50);
		await settled(bob);
		assert.equal(bob.deliveries.length, LIMIT.windowFrames);
	});

	test("what one mailbox of a connection acknowledges makes room for the others", async (t) => {
		const relay = await startTestRelay(t);
		const mailboxes = [keys(), keys()];
		const bob = await relay.reader();
		bob.narrow(1, 1_000_000);
		bob.put(...mailboxes.map((mailbox, i) => bob.listenFrame(i + 1, mailbox)));
		await bob.listening(1);
		const alice = await relay.sender();
		alice.put(alice.payFrame(1_000_000, TTL_S));
		alice.put(...mailboxes.map((mailbox, i) => alice.openFrame(i + 1, mailbox.publicKey, TTL_S)));
		alice.put(alice.sendFrame(1, 0, payload(10)), alice.sendFrame(2, 1, payload(20)));
		await until("the second to be on disk", () => alice.kept.has(1) || undefined);
		assert.equal(bob.deliveries.length, 1);
		bob.ack([1, 1]);
		await until("the other mailbox's", () => bob.deliveries.length === 2 || undefined);
	});

	test("threat 10: a window or a ping of another length ends its connection", async (t) => {
		const relay = await startTestRelay(t);
		for (const type of [FRAME.window, FRAME.ping])
			for (const length of [0, 4, 7, 9]) {
				const mallory = await relay.reader();
				mallory.put(frame(type, new Uint8Array(length)));
				assert.equal((await mallory.gone()).code, 1002);
			}
	});
});

suite("PROTOCOL: Keepalive", () => {
	/** Pings that agree on `nextMs`, and how long the connection lives after the last of them. */
	const lifeMs = async (t: TestContext, nextMs: number | undefined): Promise<number> => {
		const clock = heldClock(Date.now());
		const relay = await startTestRelay(t, {}, { clock });
		const bob = await relay.reader();
		if (nextMs !== undefined) {
			bob.put(writePing({ mark: 5, nextMs }));
			assert.deepEqual([...(await bob.next(FRAME.pong)).body], [5, 0, 0, 0]);
		}
		const from = clock.elapsedMs();
		while (relay.counts.open > 0 && clock.elapsedMs() - from < 2_000_000) {
			await clock.advance(1_000);
			if (bob.problems.length > 0) break;
		}
		const livedMs = clock.elapsedMs() - from;
		assert.equal((await bob.problem("idle")).retry, true);
		return livedMs;
	};

	for (const [nextMs, least] of [
		[undefined, 121_000],
		[0, 10_000],
		[1_000, 10_000],
		[10_000, 22_000],
		[120_000, 264_000],
		[600_000, 1_320_000],
		[4_294_967_295, 1_320_000],
	] as const)
		test(`a client that ${nextMs === undefined ? "never pinged" : `will speak again in ${nextMs} ms`} and does not is given up after ${least} ms`, async (t) => {
			const livedMs = await lifeMs(t, nextMs);
			assert.ok(livedMs >= least && livedMs <= least + 3_000, `${livedMs}`);
		});
});
