import assert from "node:assert/strict";
import { suite, test } from "node:test";
import { FRAME } from "#contracts/frame";
import type { KeyPair } from "#contracts/identity";
import { RELAY_LIMITS } from "#relay/limit";
import { noteGiven, Rereading, Rereadings } from "#relay/mailbox/rereading";
import { heldClock } from "#test/support/clock";
import { keys, payload, type RawClient, until } from "#test/support/rawclient";
import { startTestRelay, type TestRelay } from "#test/support/relay";

const KIB = 1_024;
const SIZE = 16_000;
/** What a window holds of mail of this size, and what a message takes of the allowance. */
const WINDOW = 64;
const COST = SIZE + 256;
const device = (n: number) => new Uint8Array(16).fill(n);

/** A connection that reads as a device and acknowledges nothing. It has all that it is given now. */
async function read(relay: TestRelay, mailbox: KeyPair, n: number): Promise<RawClient> {
	const bob = await relay.connect();
	bob.put(bob.helloFrame({ atMs: relay.deps.clock.nowMs() }), bob.listenFrame(1, mailbox, undefined, device(n)));
	await bob.listening();
	return settled(bob);
}

async function settled(bob: RawClient): Promise<RawClient> {
	const before = bob.of(FRAME.pong).length;
	bob.ping();
	await bob.next(FRAME.pong, before);
	return bob;
}

async function mails(relay: TestRelay, mailbox: KeyPair, count: number): Promise<void> {
	const owner = await read(relay, mailbox, 1);
	await owner.end();
	await until("the owner to leave", () => relay.counts.listening === 0);
	const alice = await relay.sender();
	alice.put(alice.payFrame(200_000_000), alice.openFrame(1, mailbox.publicKey));
	await until("the credit", () => alice.credits[0]);
	for (let seq = 0; seq < count; seq++) alice.put(alice.sendFrame(1, seq, payload(SIZE, seq)));
	await alice.keptAll(count);
}

suite("PROTOCOL: Reading is free, twice", () => {
	test("threat 12: a reader that never acknowledges and reconnects for ever gets each message twice, then 64 KiB a second in all", async (t) => {
		const clock = heldClock(Date.now());
		const relay = await startTestRelay(t, {}, { clock });
		const mailbox = keys();
		await mails(relay, mailbox, 70);
		const counts: number[] = [];
		let last: RawClient | undefined;
		for (let i = 0; i < 12; i++) {
			last = await read(relay, mailbox, 1);
			counts.push(last.deliveries.length);
		}
		// one second's worth is there at once, and what is begun is given whole
		const burst = Math.ceil((64 * KIB) / COST);
		assert.deepEqual(counts, [WINDOW, WINDOW, burst, ...Array.from({ length: 9 }, () => 0)]);
		let given = 0;
		const seconds = 20;
		for (let i = 0; i < seconds; i++) {
			await clock.advance(1_000);
			if (!last) continue;
			given += (await settled(last)).deliveries.length;
			last = await read(relay, mailbox, 1);
			given += last.deliveries.length;
			last.frames.length = 0;
		}
		const rate = (given * COST) / seconds;
		assert.ok(rate <= 64 * KIB + COST, `${rate} bytes a second`);
		assert.ok(rate >= 0.8 * 64 * KIB, `${rate} bytes a second: it still gets its mail`);
	});

	test("threat 12: ever new devices get no more: the ninth reads with the marks of one before it", async (t) => {
		const clock = heldClock(Date.now());
		const relay = await startTestRelay(t, {}, { clock });
		const mailbox = keys();
		await mails(relay, mailbox, 10);
		const given: number[] = [];
		for (let n = 1; n <= 12; n++) {
			let count = 0;
			for (let i = 0; i < 3; i++) {
				const bob = await read(relay, mailbox, n);
				count += bob.deliveries.length;
				if (n % 2 === 0) {
					// given up, it is forgotten as a device and not as a reader
					bob.put(bob.forgetFrame(1, mailbox, device(n)));
					await bob.problem("conflict");
				} else await bob.end();
				await until("it to leave", () => bob.closed !== undefined || n % 2 === 0 || undefined);
			}
			given.push(count);
		}
		const burst = Math.ceil((64 * KIB) / COST);
		assert.deepEqual(
			given.slice(1, 8),
			Array.from({ length: 7 }, () => 20),
		);
		assert.equal(given[0], 20 + burst);
		assert.deepEqual(given.slice(8), [0, 0, 0, 0]);
	});

	test("who acknowledges what it reads is never slowed, and neither is what was not read yet", async (t) => {
		const clock = heldClock(Date.now());
		const relay = await startTestRelay(t, {}, { clock });
		const mailbox = keys();
		await mails(relay, mailbox, 70);
		for (let i = 0; i < 3; i++) await (await read(relay, mailbox, 1)).end();
		const bob = await read(relay, mailbox, 1);
		bob.acks = true;
		if (bob.deliveries.length > 0) bob.ack([1, 1_000]);
		await clock.advance(30_000);
		await until("all of it", () => bob.deliveries.length >= 70 || undefined);
		const at = bob.deliveries.length;
		const alice = await relay.sender();
		alice.put(alice.payFrame(200_000_000), alice.openFrame(1, mailbox.publicKey));
		await until("the credit", () => alice.credits[0]);
		for (let seq = 0; seq < 80; seq++) alice.put(alice.sendFrame(1, seq, payload(SIZE, seq)));
		await until("what is new", () => bob.deliveries.length === at + 80 || undefined);
	});
});

suite("what was read twice", () => {
	test("a mark says it by two positions, however far each connection came", () => {
		const mark = { once: 0, twice: 0 };
		for (const [position, expected] of [
			[5, { once: 5, twice: 0 }],
			[3, { once: 5, twice: 3 }],
			[8, { once: 8, twice: 5 }],
			[0, { once: 8, twice: 5 }],
			[8, { once: 8, twice: 8 }],
		] as const) {
			noteGiven(mark, position);
			assert.deepEqual(mark, expected);
		}
	});

	test("the allowance is one second's at most, may be overdrawn by a message, and comes back with time", () => {
		const reading = new Rereading(1_000, 0);
		assert.equal(reading.allowed(60_000), 1_000);
		reading.spend(10_000 - 256);
		assert.equal(reading.allowed(60_000), -9_000);
		assert.equal(reading.allowed(69_500), 500);
		assert.equal(Rereading.messages(500), 2);
	});

	test("it is remembered of so many mailboxes and no more", () => {
		const all = new Rereadings({ ...RELAY_LIMITS, rereadingsMax: 2 });
		for (const mailbox of ["a", "b", "a", "c"]) all.begin(mailbox, 0);
		assert.deepEqual(
			["a", "b", "c"].map((mailbox) => all.get(mailbox) !== undefined),
			[false, true, true],
		);
		all.end("b");
		assert.equal(all.get("b"), undefined);
	});
});
