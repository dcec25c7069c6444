import assert from "node:assert/strict";
import { suite, test } from "node:test";
import { writeFan } from "#contracts/fan";
import { advance, cursor, FRAME, frame, MAIL_HEAD_BYTES, mailFrame } from "#contracts/frame";
import type { KeyPair } from "#contracts/identity";
import { LIMIT } from "#contracts/limit";
import { RELAY_LIMITS } from "#relay/limit";
import { Outbox, Post } from "#relay/session/outbox";
import type { Wire } from "#relay/wire/wire";
import { keys, payload, type RawClient, until } from "#test/support/rawclient";
import { startTestRelay, type TestRelay } from "#test/support/relay";
import { slowTill } from "#test/support/slowtill";

const TTL_S = 3_600;
const SLICE = LIMIT.sliceBytes;

type Friend = { readonly mailbox: KeyPair; readonly reader: RawClient };

/** Somebody who listens and acknowledges. */
async function friend(relay: TestRelay, token?: Uint8Array): Promise<Friend> {
	const mailbox = keys();
	const reader = await relay.listener(mailbox, 1, token);
	reader.acks = true;
	return { mailbox, reader };
}

/** A sender with handles from 1 on for these mailboxes, and money. */
async function senderTo(relay: TestRelay, mailboxes: readonly Uint8Array[], bytes = 10_000_000) {
	const alice = await relay.sender();
	const opens = mailboxes.map((mailbox, i) => alice.openFrame(i + 1, mailbox, TTL_S));
	const pays = bytes > 0 ? [alice.payFrame(bytes, TTL_S)] : [];
	alice.put(...pays, ...opens);
	return alice;
}

const handles = (count: number) => Array.from({ length: count }, (_, i) => i + 1);
const fan = (seq: number, to: readonly number[], bytes: Uint8Array) => writeFan({ seq, handles: to, payload: bytes });
const got = ({ reader }: Friend) => reader.deliveries.map(({ payload }) => payload);

type Piece = { readonly data: Uint8Array; readonly fin: boolean };

suite("PROTOCOL: Sending (fans)", () => {
	test("one upload, a copy for each of 256 handles: each has it, each is answered and charged", async (t) => {
		const relay = await startTestRelay(t);
		const mailboxes = Array.from({ length: 256 }, () => keys());
		const reader = await relay.reader();
		reader.acks = true;
		const friends: Friend[] = [];
		for (let at = 0; at < 256; at += 16) {
			const reader = await relay.reader();
			reader.acks = true;
			const some = mailboxes.slice(at, at + 16);
			reader.put(...some.map((mailbox, i) => reader.listenFrame(i, mailbox)));
			await until("all to be listened on", () => reader.of(FRAME.listening).length === 16 || undefined);
			friends.push(...some.map((mailbox) => ({ mailbox, reader })));
		}
		const alice = await senderTo(
			relay,
			mailboxes.map(({ publicKey }) => publicKey),
			256 * SLICE,
		);
		const photo = payload(SLICE, 5);
		alice.put(fan(1_000, handles(256), photo));
		await alice.keptAll(256);
		assert.deepEqual(
			[...alice.kept].sort((a, b) => a - b),
			handles(256).map((i) => i + 999),
		);
		for (let at = 0; at < 256; at += 16) {
			const { reader } = friends[at] as Friend;
			assert.deepEqual(
				reader.deliveries.map(({ handle }) => handle).sort((a, b) => a - b),
				handles(16).map((i) => i - 1),
			);
			for (const { payload } of reader.deliveries) assert.deepEqual(payload, photo);
		}
		alice.askUsage();
		assert.equal((await alice.usage()).used.bytes, BigInt(256 * SLICE));
		assert.equal(relay.counts.live, 256);
	});

	test("copies that are refused, each for its own reason, leave the others alone", async (t) => {
		const relay = await startTestRelay(t);
		const token = new Uint8Array(16).fill(7);
		const [here, live, away, unlisted] = [await friend(relay), await friend(relay, token), keys(), keys()];
		const owner = await relay.listener(away);
		await owner.end();
		const alice = await senderTo(relay, []);
		alice.put(
			alice.openFrame(1, here.mailbox.publicKey, TTL_S),
			alice.openFrame(2, unlisted.publicKey, TTL_S),
			alice.openFrame(3, away.publicKey, TTL_S),
			alice.openFrame(4, here.mailbox.publicKey, LIMIT.ttlSMax + 1),
			alice.openFrame(5, live.mailbox.publicKey, 0, token),
			alice.openFrame(6, live.mailbox.publicKey, 0),
			alice.openFrame(7, away.publicKey, 0),
			alice.openFrame(8, here.mailbox.publicKey, 60),
		);
		alice.put(fan(0, [1, 2, 3, 4, 5, 6, 7, 99, 0, 8], payload(100)));
		await alice.keptAll(3);
		await until("the refusals", () => alice.refused.size === 6 || undefined);
		assert.deepEqual([...alice.kept].sort(), [0, 2, 9]);
		assert.deepEqual([...alice.numbers(FRAME.passed)], [4]);
		assert.deepEqual(Object.fromEntries(alice.refused), {
			1: "mailbox-unknown",
			3: "ttl-too-long",
			5: "token-needed",
			6: "token-needed",
			7: "handle-unknown",
			8: "handle-unknown",
		});
		assert.deepEqual([got(here), got(live)], [[payload(100), payload(100)], [payload(100)]]);
		alice.askUsage();
		const { used } = await alice.usage();
		assert.deepEqual(
			{ bytes: used.bytes, byteSeconds: used.byteSeconds },
			{ bytes: 400n, byteSeconds: 100n * BigInt(2 * TTL_S + 60) },
		);
	});

	test("threat 6: a fan that comes again, as it was or as sends, is neither charged nor kept again", async (t) => {
		const relay = await startTestRelay(t);
		const friends = [await friend(relay), await friend(relay)];
		const alice = await senderTo(
			relay,
			friends.map(({ mailbox }) => mailbox.publicKey),
		);
		alice.put(fan(5, [1, 2, 1], payload(20_000, 1)));
		await alice.keptAll(3);
		alice.put(fan(5, [1, 2, 1], payload(20_000, 1)));
		alice.put(alice.sendFrame(1, 5, payload(20_000, 1)), alice.sendFrame(2, 6, payload(20_000, 1)));
		alice.put(fan(5, [1, 2], payload(20_000, 2)), fan(5, [2, 1], payload(20_000, 1)));
		await until("other bytes and other mailboxes to be refused", () => alice.refused.size === 2 || undefined);
		assert.deepEqual(Object.fromEntries(alice.refused), { 5: "seq-reused", 6: "seq-reused" });
		alice.askUsage();
		assert.equal((await alice.usage()).used.bytes, 60_000n);
		const [bob, carol] = friends as [Friend, Friend];
		assert.deepEqual([got(bob).length, got(carol).length], [2, 1]);
	});

	test("a fan's copies, sends before it and sends behind it reach each reader in the order in which they stood", async (t) => {
		const relay = await startTestRelay(t);
		const friends = [await friend(relay), await friend(relay)];
		const alice = await senderTo(
			relay,
			friends.map(({ mailbox }) => mailbox.publicKey),
		);
		for (const size of [50, 20_000]) {
			const mark = size;
			const before = friends.map((friend) => got(friend).length);
			alice.put(
				alice.sendFrame(1, size, payload(100, mark)),
				fan(size + 1, [2, 1], payload(size, mark + 1)),
				alice.sendFrame(2, size + 3, payload(100, mark + 2)),
				alice.sendFrame(1, size + 4, payload(17_000, mark + 3)),
				fan(size + 5, [1, 1], payload(10, mark + 4)),
			);
			await alice.keptAll(size === 50 ? 7 : 14);
			const [bob, carol] = friends.map((friend, i) => got(friend).slice(before[i]));
			assert.deepEqual(bob, [
				payload(100, mark),
				payload(size, mark + 1),
				payload(17_000, mark + 3),
				payload(10, mark + 4),
				payload(10, mark + 4),
			]);
			assert.deepEqual(carol, [payload(size, mark + 1), payload(100, mark + 2)]);
		}
	});

	test("threat 24: the copies that a voucher on its way to the disk covers wait for it; those that are covered have gone", async (t) => {
		const { till, release, waiting } = slowTill();
		const relay = await startTestRelay(t, { limits: { drainMs: 100 } }, { till });
		const friends = [await friend(relay), await friend(relay), await friend(relay)];
		const alice = await senderTo(
			relay,
			friends.map(({ mailbox }) => mailbox.publicKey),
			0,
		);
		alice.put(alice.payFrame(2_000, TTL_S));
		await until("the first voucher to be on its way", () => waiting() === 1 || undefined);
		release();
		await until("the first credit", () => alice.credits[0]);
		alice.put(
			fan(9, [99, 1, 2, 3, 1], payload(1_000)),
			alice.sendFrame(2, 14, payload(1_000, 2)),
			alice.payFrame(5_000, TTL_S),
		);
		await alice.keptAll(2);
		await until("the second voucher to be on its way", () => waiting() === 1 || undefined);
		assert.deepEqual(friends.map(got), [[payload(1_000)], [payload(1_000)], []]);
		release();
		await alice.keptAll(5);
		assert.equal(relay.counts.refusals.get("handle-unknown"), 1, "who was refused before the wait is not tried again");
		assert.deepEqual(friends.map(got), [
			[payload(1_000), payload(1_000)],
			[payload(1_000), payload(1_000, 2)],
			[payload(1_000)],
		]);
		alice.askUsage();
		assert.equal((await alice.usage()).used.bytes, 5_000n);
	});

	test("threat 7: beyond what is paid the copies are unpaid from the first uncovered one on, and too many of them end the connection", async (t) => {
		const relay = await startTestRelay(t);
		const bob = await friend(relay);
		const alice = await senderTo(relay, [bob.mailbox.publicKey], 2_500);
		alice.put(fan(0, [1, 1, 1, 1], payload(1_000)));
		await until("two refusals", () => alice.refused.size === 2 || undefined);
		await alice.keptAll(2);
		assert.deepEqual(
			[[...alice.kept].sort(), [...alice.refused.keys()]],
			[
				[0, 1],
				[2, 3],
			],
		);
		alice.put(alice.payFrame(10_000, TTL_S), fan(3, [1], payload(1_000)));
		await until("order to be kept", () => alice.of(FRAME.refused).length === 2 || undefined);
		alice.put(fan(2, [1, 1], payload(1_000)));
		await alice.keptAll(4);
		const mallory = await senderTo(relay, [bob.mailbox.publicKey], 0);
		mallory.put(fan(0, Array(256).fill(1), payload(LIMIT.payloadBytesMax)));
		assert.equal((await mallory.gone()).code, 4026);
		assert.equal(bob.reader.deliveries.length, 4);
		assert.equal(relay.counts.refusals.get("grant-needed"), undefined, "nothing is looked at after the end");
		assert.equal(relay.counts.closings.get("internal"), undefined);
	});

	test("threat 10: a fan that is none ends its connection as malformed, and nothing of it is taken", async (t) => {
		const relay = await startTestRelay(t);
		const bob = await friend(relay);
		const good = fan(0, [1, 1], payload(3));
		const c = cursor();
		advance(good, c);
		const body = good.slice(c.start, c.end);
		const last = body.slice();
		last.set([0xff, 0xff, 0xff, 0xff], 1);
		const wrong: Uint8Array[] = [
			new Uint8Array(0),
			body.slice(0, 5),
			body.slice(0, -3),
			Uint8Array.of(2, ...body.slice(1)),
			Uint8Array.of(255, ...body.slice(1)),
			last,
			new Uint8Array([...body.slice(0, 13), ...payload(LIMIT.payloadBytesMax + 1)]),
		];
		for (const bytes of wrong) {
			const mallory = await senderTo(relay, [bob.mailbox.publicKey]);
			mallory.put(frame(FRAME.fan, bytes));
			assert.equal((await mallory.gone()).code, 1002, `${bytes.length} bytes`);
			assert.equal((await mallory.problem("malformed")).spent, "no");
		}
		const reading = await relay.reader();
		reading.put(fan(0, [1, 2], payload(3)));
		await until("who has no tab to be refused", () => reading.refused.get(1) === "grant-needed" || undefined);
		assert.equal(reading.closed, undefined);
		const last2 = await senderTo(relay, [bob.mailbox.publicKey]);
		last2.put(fan(0xfffffffe, [1, 1], payload(3)));
		await last2.keptAll(2);
		assert.equal(bob.reader.deliveries.length, 2);
	});

	test("a large payload is not copied for each reader: all sockets get views of the same bytes", (t) => {
		const sent: Piece[][] = [];
		const post = new Post();
		const bytes = payload(40_000);
		for (let i = 0; i < 3; i++) {
			const written: Piece[] = [];
			sent.push(written);
			const wire = { unsentBytes: i === 2 ? 9 : 0, flush() {} } as unknown as Wire;
			wire.send = (data, start, end, _room, fin) => {
				const view = data.subarray(start, end);
				written.push({ data: view.length < 100 ? new Uint8Array(view) : view, fin });
			};
			const outbox = new Outbox(wire, post, () => 0, RELAY_LIMITS);
			outbox.frame(mailFrame(FRAME.deliver, 1, 1, payload(20)));
			outbox.deliver(1, 2, bytes, 1_000, 21_000);
			outbox.deliver(1, 3, bytes, 0, 10);
			outbox.send();
		}
		for (const written of sent) {
			assert.deepEqual(
				written.map(({ fin }) => fin),
				[true, false, true, true],
			);
			const [, head, body] = written as Piece[] as [Piece, Piece, Piece];
			assert.equal(body.data.buffer, bytes.buffer, "a view");
			assert.ok(head.data.length <= 4 + MAIL_HEAD_BYTES);
			const whole = Buffer.concat(written.map(({ data }) => data));
			const expected = [payload(20), bytes.subarray(1_000, 21_000), bytes.subarray(0, 10)];
			assert.deepEqual(whole, Buffer.concat(expected.map((one, i) => mailFrame(FRAME.deliver, 1, i + 1, one))));
		}
		t.diagnostic("three readers, one of them behind");
	});
});
