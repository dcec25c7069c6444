import assert from "node:assert/strict";
import { suite, type TestContext, test } from "node:test";
import fc from "fast-check";
import { toHex } from "#contracts/bytes";
import { FRAME, frame } from "#contracts/frame";
import { within } from "#contracts/tariff";
import { Meter } from "#relay/tab/meter";
import { keys, payload, until } from "#test/support/rawclient";
import { startTestRelay } from "#test/support/relay";

const TTL_S = 600;

suite("the relay's laws", () => {
	test("any charges, refunds, answers and vouchers keep settled <= used <= paid, and refuse nothing that is covered", () => {
		const size = fc.integer({ min: 1, max: 61_440 });
		const ttlS = fc.constantFrom(0, 1, 600, 604_800, 2_592_000);
		const step = fc.record({ act: fc.constantFrom("charge", "charge", "settle", "refund", "pay"), size, ttlS });
		const start = fc.constantFrom(0n, 2n ** 53n - 1_000n, 2n ** 63n);
		fc.assert(
			fc.property(start, fc.array(step, { maxLength: 200 }), (begin, steps) => {
				let paid = { bytes: begin, byteSeconds: begin };
				let used = paid;
				let settled = paid;
				const open: { size: number; ttlS: number }[] = [];
				const meter = new Meter(paid, used);
				for (const { act, size, ttlS } of steps) {
					const bytes = BigInt(size);
					const byteSeconds = bytes * BigInt(ttlS);
					const plus = (a: typeof paid, sign = 1n, b = { bytes, byteSeconds }) => ({
						bytes: a.bytes + sign * b.bytes,
						byteSeconds: a.byteSeconds + sign * b.byteSeconds,
					});
					if (act === "pay") {
						paid = plus(paid);
						meter.credit(paid);
					} else if (act === "charge") {
						const fits = within(plus(used), paid);
						assert.equal(meter.wouldCover(paid, size, ttlS), fits);
						assert.equal(meter.charge(size, ttlS), fits);
						if (fits) {
							used = plus(used);
							open.push({ size, ttlS });
						}
					} else {
						const copy = open.pop();
						if (!copy) continue;
						const cost = { bytes: BigInt(copy.size), byteSeconds: BigInt(copy.size) * BigInt(copy.ttlS) };
						if (act === "settle") {
							meter.settle(copy.size, copy.ttlS);
							settled = plus(settled, 1n, cost);
						} else {
							meter.refund(copy.size, copy.ttlS);
							used = plus(used, -1n, cost);
						}
					}
					assert.deepEqual([meter.used, meter.settled], [used, settled]);
					assert.ok(within(meter.settled, meter.used) && within(meter.used, paid));
				}
			}),
			{ numRuns: 100 },
		);
	});

	test("threat 10: no bytes at the door, bent frames or frames in any order, hurt the relay or anybody else's session", async (t) => {
		const relay = await startTestRelay(t, { limits: { strangersPerAddressMax: 10_000, acceptsPerSecondMax: 1e9 } });
		const mailbox = keys();
		const bob = await relay.listener(mailbox);
		bob.acks = true;
		const alice = await relay.sender();
		alice.put(alice.payFrame(100_000_000, TTL_S), alice.openFrame(1, mailbox.publicKey, TTL_S));
		let seq = 0;
		const bytes = fc.uint8Array({ minLength: 0, maxLength: 300 });
		const framed = fc.record({ type: fc.constantFrom(...Object.values(FRAME)), body: bytes });
		const message = fc.oneof(bytes, fc.array(framed, { maxLength: 8 }));
		const plan = fc.record({
			introduced: fc.constantFrom("no", "reader", "payer"),
			valid: fc.boolean(),
			flip: fc.option(fc.tuple(fc.nat(2_000), fc.integer({ min: 1, max: 255 })), { nil: undefined }),
			cut: fc.option(fc.nat(2_000), { nil: undefined }),
			messages: fc.array(message, { minLength: 1, maxLength: 4 }),
		});
		await fc.assert(
			fc.asyncProperty(plan, async ({ introduced, valid, flip, cut, messages }) => {
				const mallory = await relay.connect();
				const session = keys();
				const grant = introduced === "payer" ? relay.market.grant(relay.publicKey, session.publicKey) : undefined;
				const parts: Uint8Array[] = introduced === "no" ? [] : [mallory.helloFrame({ grant, session })];
				if (valid && introduced !== "no") {
					parts.push(mallory.openFrame(5, mailbox.publicKey, TTL_S), mallory.listenFrame(3, keys()));
					if (grant) parts.push(mallory.payFrame(10_000, TTL_S), mallory.sendFrame(5, 0, payload(50, 77)));
				}
				const first = new Uint8Array(Buffer.concat(parts));
				if (flip && first.length > 0)
					first[flip[0] % first.length] = (first[flip[0] % first.length] as number) ^ flip[1];
				mallory.ws.send(cut === undefined ? first : first.subarray(0, cut));
				for (const said of messages)
					mallory.ws.send(
						said instanceof Uint8Array ? said : Buffer.concat(said.map(({ type, body }) => frame(type, body))),
					);
				alice.put(alice.sendFrame(1, seq, payload(20, seq)));
				seq++;
				await alice.keptAll(seq);
				mallory.ws.terminate();
			}),
			{ numRuns: 150 },
		);
		assert.equal(relay.counts.closings.get("internal"), undefined, "no session broke");
		assert.ok(bob.deliveries.filter(({ payload }) => payload.length === 20).length >= seq);
		assert.equal(alice.closed, undefined);
	});

	test("threat 13: whatever a reader acknowledges, drops and takes up again, every mail comes, in order, and is charged once", async (t) => {
		const step = fc.oneof(
			{
				weight: 5,
				arbitrary: fc.record({
					act: fc.constant("send" as const),
					count: fc.integer({ min: 1, max: 30 }),
					size: fc.constantFrom(1, 100, 16_000, 50_000),
				}),
			},
			{ weight: 3, arbitrary: fc.record({ act: fc.constant("ack" as const), part: fc.integer({ min: 1, max: 4 }) }) },
			{ weight: 1, arbitrary: fc.record({ act: fc.constant("leave" as const) }) },
			{ weight: 2, arbitrary: fc.record({ act: fc.constant("listen" as const) }) },
			{ weight: 1, arbitrary: fc.record({ act: fc.constant("retry" as const) }) },
		);
		await fc.assert(
			fc.asyncProperty(fc.array(step, { minLength: 5, maxLength: 30 }), (steps) => play(t, steps)),
			{ numRuns: 12 },
		);
	});
});

type Step =
	| { act: "send"; count: number; size: number }
	| { act: "ack"; part: number }
	| { act: "leave" | "listen" | "retry" };

async function play(t: TestContext, steps: readonly Step[]): Promise<void> {
	// it takes up again more often than twice, which is slow on purpose (test/relay/rereading.test.ts)
	const relay = await startTestRelay(t, { limits: { rereadBytesPerSecond: 1e9 } });
	const mailbox = keys();
	const listen = async () => {
		const reader = await relay.listener(mailbox);
		return reader;
	};
	let bob: Awaited<ReturnType<typeof listen>> | undefined = await listen();
	const alice = await relay.sender();
	alice.put(alice.payFrame(100_000_000, TTL_S), alice.openFrame(1, mailbox.publicKey, TTL_S));
	const sent: Uint8Array[] = [];
	/** First sight of each mail, in the order of sight. */
	const seen = new Set<string>();
	const look = () => {
		for (const { payload } of bob?.deliveries ?? []) seen.add(toHex(payload));
	};
	for (const step of steps) {
		if (step.act === "send") {
			for (let i = 0; i < step.count; i++) {
				const bytes = payload(step.size + 4, sent.length);
				new DataView(bytes.buffer).setUint32(0, sent.length);
				alice.put(alice.sendFrame(1, sent.length, bytes));
				sent.push(bytes);
			}
		} else if (step.act === "retry" && sent.length > 0) {
			const seq = Math.floor(sent.length / 2);
			alice.put(alice.sendFrame(1, seq, sent[seq] as Uint8Array));
		} else if (step.act === "ack" && bob && bob.deliveries.length > 0) {
			look();
			bob.ack([1, Math.ceil(bob.deliveries.length / step.part)]);
		} else if (step.act === "leave" && bob) {
			look();
			await bob.end();
			bob = undefined;
		} else if (step.act === "listen") {
			look();
			bob = await listen();
		}
		alice.ping(sent.length);
	}
	look();
	bob = await listen();
	bob.acks = true;
	bob.ack([1, 4_294_967_295]);
	await until(`all ${sent.length} to come`, () => {
		look();
		return seen.size === sent.length || undefined;
	});
	await alice.keptAll(sent.length);
	alice.askUsage();
	const usage = await alice.usage();
	assert.equal(usage.used.bytes, BigInt(sent.reduce((sum, { length }) => sum + length, 0)));
	assert.deepEqual(alice.refused.size, 0);
	// within one connection, what comes comes in the order in which it was sent
	const order = bob.deliveries.map(({ payload }) => new DataView(payload.buffer, payload.byteOffset).getUint32(0));
	assert.deepEqual(
		order,
		[...order].sort((a, b) => a - b),
	);
	await relay.stop();
	await relay.market.stop();
}
