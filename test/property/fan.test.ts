import assert from "node:assert/strict";
import { suite, test } from "node:test";
import fc from "fast-check";
import { toHex } from "#contracts/bytes";
import { readRefused } from "#contracts/control";
import { type Fan, sendsOf, writeFan } from "#contracts/fan";
import { FRAME } from "#contracts/frame";
import { LIMIT } from "#contracts/limit";
import { each } from "#contracts/ranges";
import { keys, payload, type RawClient } from "#test/support/rawclient";
import { startTestRelay, type TestRelay } from "#test/support/relay";

const TTL_S = 600;
const TOKEN = new Uint8Array(16).fill(9);

/** What somebody says: each message is frames, each fan of them by its place among the numbers. */
type Said =
	| { readonly say: "fan"; readonly at: "next" | "again" | "mixed"; readonly handles: number[]; readonly size: number }
	| { readonly say: "pay"; readonly bytes: number }
	| {
			readonly say: "open";
			readonly handle: number;
			readonly mailbox: number;
			readonly ttlS: number;
			readonly card: boolean;
	  };

const handle = fc.integer({ min: 0, max: 8 });
const said: fc.Arbitrary<Said> = fc.oneof(
	{
		weight: 6,
		arbitrary: fc.record({
			say: fc.constant("fan" as const),
			at: fc.constantFrom("next" as const, "next" as const, "next" as const, "again" as const, "mixed" as const),
			handles: fc.array(handle, { minLength: 1, maxLength: 12 }),
			size: fc.constantFrom(1, 8, 100, 1_000, 4_000),
		}),
	},
	{
		weight: 1,
		arbitrary: fc.record({
			say: fc.constant("fan" as const),
			at: fc.constant("next" as const),
			handles: fc.array(handle, { minLength: 1, maxLength: 3 }),
			size: fc.constantFrom(16_384, 20_000),
		}),
	},
	{ weight: 4, arbitrary: fc.record({ say: fc.constant("pay" as const), bytes: fc.integer({ min: 1, max: 60_000 }) }) },
	{
		weight: 1,
		arbitrary: fc.record({
			say: fc.constant("open" as const),
			handle,
			mailbox: fc.nat({ max: 3 }),
			ttlS: fc.constantFrom(0, 60, TTL_S, LIMIT.ttlSMax + 1),
			card: fc.boolean(),
		}),
	},
);

/** One world: two who listen, one who is away, one whom nobody knows, and somebody who sends to them. */
async function world(relay: TestRelay) {
	const mailboxes = Array.from({ length: 4 }, () => keys());
	const readers: RawClient[] = [];
	for (const mailbox of mailboxes.slice(0, 3)) {
		const reader = await relay.reader();
		reader.acks = true;
		reader.put(reader.listenFrame(1, mailbox, TOKEN));
		await reader.listening();
		readers.push(reader);
	}
	await readers.pop()?.end();
	const alice = await relay.sender();
	const open = (handle: number, to: number, ttlS: number, card: boolean) =>
		alice.openFrame(handle, mailboxes[to]?.publicKey as Uint8Array, ttlS, card ? TOKEN : undefined);
	alice.put(open(1, 0, TTL_S, true), open(2, 1, TTL_S, false), open(3, 2, TTL_S, true), open(4, 3, TTL_S, true));
	alice.put(open(5, 0, 0, true), open(6, 1, 0, false), open(7, 2, 0, true));
	return { alice, readers, open };
}

/** Everything that was answered about each number. */
function answersOf(alice: RawClient) {
	const refused: Record<number, string[]> = {};
	for (const { body } of alice.of(FRAME.refused)) {
		const read = readRefused(body);
		assert.ok(read);
		// one turn's answers are gathered by their reason: neither order nor how often is part of what they mean
		for (const seq of each(read.ranges)) refused[seq] = [...new Set([...(refused[seq] ?? []), read.code])].sort();
	}
	const sorted = (numbers: Set<number>) => [...numbers].sort((a, b) => a - b);
	const passed = alice.numbers(FRAME.passed);
	const numbers = new Set([...alice.kept, ...passed, ...Object.keys(refused).map(Number)]);
	return { kept: sorted(alice.kept), passed: sorted(passed), refused, numbers };
}

/** Says it all; `write` makes the frames of a fan. Answers what came of it. */
async function play(relay: TestRelay, messages: readonly (readonly Said[])[], write: (fan: Fan) => Uint8Array[]) {
	const { alice, readers, open } = await world(relay);
	const fans: Fan[] = [];
	let next = 0;
	let paid = 0;
	for (const message of messages) {
		const frames: Uint8Array[] = [];
		let bytes = 0;
		for (const one of message) {
			// as sends too it has to fit one message
			const size = one.say === "fan" ? one.handles.length * (one.size + 12) : 128;
			if (bytes + size > LIMIT.messageBytesMax) continue;
			bytes += size;
			if (one.say === "pay") {
				paid += one.bytes;
				frames.push(alice.payFrame(paid, TTL_S));
			} else if (one.say === "open") frames.push(open(one.handle, one.mailbox, one.ttlS, one.card));
			else {
				const known = fans[fans.length - 2] ?? fans[0];
				const fresh = { seq: next, handles: one.handles, payload: payload(one.size, fans.length) };
				const again = known && known.payload.length <= one.size && known.handles.length <= one.handles.length;
				const fan =
					one.at === "next" || !known ? fresh : one.at === "again" && again ? known : { ...fresh, seq: known.seq };
				if (fan === fresh) {
					next += one.handles.length;
					fans.push(fan);
				}
				frames.push(...write(fan));
			}
		}
		if (frames.length > 0) alice.put(...frames);
	}
	// what was refused as another's number may still be on its way as what it was first: all is quiet when two rounds bring nothing new
	const heard = async (client: RawClient) => {
		const { length } = client.of(FRAME.pong);
		client.ping();
		await client.next(FRAME.pong, length);
	};
	const answered = () => alice.kept.size + alice.numbers(FRAME.passed).size + alice.of(FRAME.refused).length;
	for (let quiet = 0, before = -1; quiet < 2; before = answered()) {
		await heard(alice);
		await Promise.all(readers.map(heard));
		await Promise.all(readers.map(heard));
		await heard(alice);
		quiet = answered() === before ? quiet + 1 : 0;
	}
	const answers = answersOf(alice);
	for (const { seq, handles } of fans)
		for (const i of handles.keys()) assert.ok(answers.numbers.has(seq + i), `${seq + i} is answered`);
	alice.askUsage();
	const { used } = await alice.usage();
	const deliveries = readers.map(({ deliveries }) => ({
		kept: deliveries.filter(({ number }) => number > 0).map(({ payload }) => toHex(payload)),
		live: deliveries.filter(({ number }) => number === 0).map(({ payload }) => toHex(payload)),
	}));
	const outcome = { ...answers, used, deliveries, closed: alice.closed };
	await Promise.all([alice.end(), ...readers.map((reader) => reader.end())]);
	return outcome;
}

suite("PROTOCOL: Sending (fans)", () => {
	test("on any traffic a fan means exactly what its sends one after the other mean", async (t) => {
		const relay = await startTestRelay(t, {
			limits: { strangersPerAddressMax: 10_000, newMailboxesPerHourMax: 10_000 },
		});
		const messages = fc.array(fc.array(said, { minLength: 1, maxLength: 6 }), { minLength: 1, maxLength: 10 });
		let copies = 0;
		await fc.assert(
			fc.asyncProperty(messages, async (messages) => {
				const plain = await play(relay, messages, sendsOf);
				const fast = await play(relay, messages, (fan) => [writeFan(fan)]);
				assert.deepEqual(fast, plain);
				copies += fast.used.bytes > 0n ? 1 : 0;
			}),
			{ numRuns: 20, endOnFailure: true },
		);
		assert.ok(copies > 2, `${copies} runs carried something`);
		assert.equal(relay.counts.closings.get("internal"), undefined, "no session broke");
	});
});
