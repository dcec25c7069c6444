/**
 * The fast way through the relay (rows, runs, our own end of a WebSocket) against the plain way, in which each frame is handled and sent
 * alone: the same traffic gives every connection the same deliveries, in the same order, byte for byte, and every number the same answer.
 */
import assert from "node:assert/strict";
import { suite, test } from "node:test";
import fc from "fast-check";
import { writeEmpty } from "#contracts/control";
import { FRAME } from "#contracts/frame";
import { crypto } from "#host/crypto";
import { keys, payload, type RawClient, until } from "#test/support/rawclient";
import { startTestRelay, type TestRelay } from "#test/support/relay";

const READERS = 4;
const TTL_S = 3_600;

/** What a sender does: a send of a size by a handle, the same again, other bytes under a number, a voucher, the end of a message, a handle bound anew. */
const step = fc.oneof(
	{
		weight: 12,
		arbitrary: fc.record({
			is: fc.constant("send" as const),
			handle: fc.integer({ min: 0, max: 2 * READERS }),
			size: fc.oneof(fc.integer({ min: 1, max: 90 }), fc.constantFrom(1_000, 5_000, 16_384)),
			row: fc.integer({ min: 1, max: 12 }),
		}),
	},
	{ weight: 2, arbitrary: fc.record({ is: fc.constant("again" as const), back: fc.integer({ min: 1, max: 20 }) }) },
	{ weight: 1, arbitrary: fc.record({ is: fc.constant("other" as const), back: fc.integer({ min: 1, max: 5 }) }) },
	{ weight: 1, arbitrary: fc.record({ is: fc.constant("gap" as const) }) },
	{
		weight: 3,
		arbitrary: fc.record({ is: fc.constant("pay" as const), bytes: fc.integer({ min: 500, max: 200_000 }) }),
	},
	{ weight: 5, arbitrary: fc.record({ is: fc.constant("message" as const) }) },
	{ weight: 1, arbitrary: fc.record({ is: fc.constant("bind" as const), handle: fc.integer({ min: 0, max: 7 }) }) },
);
type Step = typeof step extends fc.Arbitrary<infer One> ? One : never;

/** Plays the steps of each sender to a relay and says what every connection heard. */
async function play(relay: TestRelay, steps: readonly Step[], finishes: boolean) {
	const token = crypto.random(16);
	const boxes = Array.from({ length: READERS }, () => keys());
	const readers: RawClient[] = [];
	for (const [i, box] of boxes.entries()) {
		const reader = await relay.reader();
		// the last one is slow: it acknowledges when all is over
		reader.acks = i < READERS - 1;
		reader.put(reader.listenFrame(10 + i, box, token));
		await reader.listening();
		readers.push(reader);
	}
	const alice = await relay.sender();
	const open = (handle: number) => {
		const box = boxes[handle % READERS];
		if (box) alice.put(alice.openFrame(handle, box.publicKey, handle < READERS ? 0 : TTL_S, token));
	};
	for (let handle = 0; handle < 2 * READERS; handle++) open(handle);
	const sent = new Map<number, Uint8Array>();
	const numbers = new Set<number>();
	let [seq, paid] = [0, 0];
	let frames: Uint8Array[] = [];
	let bytes = 0;
	const flush = () => {
		if (frames.length > 0) alice.put(...frames);
		frames = [];
		bytes = 0;
	};
	const add = (frame: Uint8Array) => {
		if (bytes + frame.length > 60_000) flush();
		frames.push(frame);
		bytes += frame.length;
	};
	for (const one of steps) {
		if (one.is === "send")
			for (let i = 0; i < one.row; i++, seq++) {
				const frame = alice.sendFrame(one.handle, seq, payload(one.size, seq));
				sent.set(seq, frame);
				numbers.add(seq);
				add(frame);
			}
		else if (one.is === "again") {
			const frame = sent.get(seq - one.back);
			if (frame) add(frame);
		} else if (one.is === "other" && sent.has(seq - one.back))
			add(alice.sendFrame(1, seq - one.back, payload(33, 9_999)));
		else if (one.is === "gap") seq += 3;
		else if (one.is === "pay") {
			paid += one.bytes;
			add(alice.payFrame(paid, TTL_S));
		} else if (one.is === "message") flush();
		else if (one.is === "bind") {
			flush();
			open(one.handle);
		}
	}
	for (let i = 0; i < 8; i++) numbers.add(seq + i);
	// in one message: what holds for a row before the end of the tab does not hold behind it
	for (let i = 0; i < 4; i++) add(alice.sendFrame(1, seq++, payload(20, i)));
	if (finishes) add(writeEmpty(FRAME.finish));
	for (let i = 0; i < 4; i++) add(alice.sendFrame(1, seq++, payload(20, i)));
	flush();
	alice.ping(77);
	await until("the end of it", () => alice.closed || alice.of(FRAME.pong).length > 0 || undefined);
	const slow = readers[READERS - 1] as RawClient;
	const answered = () => alice.kept.size + alice.numbers(FRAME.passed).size;
	// a number that came with other bytes is refused, and its first payload may still be on its way
	const settled = () => {
		const passed = alice.numbers(FRAME.passed);
		const isSettled = (number: number) =>
			alice.kept.has(number) || passed.has(number) || (alice.refused.get(number) ?? "seq-reused") !== "seq-reused";
		return [...numbers].every(isSettled);
	};
	// all that was accepted is with a reader; the slow one acknowledges as it comes from here on
	let before = -1;
	await until("all to be answered", () => {
		const now = slow.deliveries.length;
		if (now !== before && slow.deliveries.some(({ number }) => number > 0))
			slow.ack([1, Math.max(...slow.deliveries.map(({ number }) => number))]);
		before = now;
		const delivered = readers.reduce((sum, { deliveries }) => sum + deliveries.length, 0);
		return alice.closed || (settled() && delivered === answered()) || undefined;
	});
	return {
		closed: alice.closed?.code,
		kept: [...alice.kept].sort((a, b) => a - b),
		passed: [...alice.numbers(FRAME.passed)].sort((a, b) => a - b),
		refused: [...alice.refused].sort(([a], [b]) => a - b),
		credited: alice.credits.at(-1),
		readers: readers.map(({ deliveries }) =>
			deliveries.map(({ handle, number, payload: body }) => [handle, number, Buffer.from(body).toString("base64")]),
		),
	};
}

suite("the fast way through a relay and the plain way", () => {
	test("any traffic: the same deliveries byte for byte, and the same answer to every number", async (t) => {
		const [fast, plain] = [await startTestRelay(t), await startTestRelay(t, { plain: true })];
		let [passed, kept] = [0, 0];
		await fc.assert(
			fc.asyncProperty(fc.array(step, { minLength: 5, maxLength: 60 }), fc.boolean(), async (steps, finishes) => {
				const paidFirst: Step[] = [{ is: "pay", bytes: 30_000 }, ...steps];
				const [ours, theirs] = await Promise.all([play(fast, paidFirst, finishes), play(plain, paidFirst, finishes)]);
				assert.deepEqual(ours, theirs);
				passed += ours.passed.length;
				kept += ours.kept.length;
			}),
			{ numRuns: Number(process.env.FARELAY_RUNS ?? 12) },
		);
		assert.ok(passed > 20 && kept > 20, `${passed} passed, ${kept} kept: too little to say anything`);
	});

	test("a row asks again for each reader in each message: one that went is gone", async (t) => {
		const relay = await startTestRelay(t);
		const token = crypto.random(16);
		const boxes = [keys(), keys()];
		const readers: RawClient[] = [];
		for (const [i, box] of boxes.entries()) {
			const reader = await relay.reader();
			reader.put(reader.listenFrame(10 + i, box, token));
			await reader.listening();
			readers.push(reader);
		}
		const alice = await relay.sender();
		alice.put(
			...boxes.map((box, i) => alice.openFrame(i, box.publicKey, 0, token)),
			alice.payFrame(10_000, TTL_S),
			...[0, 1, 2, 3].map((seq) => alice.sendFrame(seq % 2, seq, payload(20, seq))),
		);
		await until("four to pass", () => alice.numbers(FRAME.passed).size === 4 || undefined);
		await readers[1]?.end();
		await until("the relay to see it", () => relay.counts.listening === 1 || undefined);
		alice.put(...[4, 5].map((seq) => alice.sendFrame(seq % 2, seq, payload(20, seq))));
		await until("both answers", () => (alice.numbers(FRAME.passed).has(4) && alice.refused.has(5)) || undefined);
		assert.equal(alice.refused.get(5), "gone");
	});
});
