import assert from "node:assert/strict";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, describe, it } from "node:test";
import fc from "fast-check";
import { isProblem } from "#contracts/problem";
import { openMemoryMailStore } from "#relay/mailbox/memory";
import { roomFor } from "#relay/mailbox/quota";
import { openSqliteMailStore } from "#relay/mailbox/sqlite";
import type { MailStore } from "#relay/mailbox/store";
import { box, device, mail, readAll, tag } from "#test/acceptance/mailstore";

const folders: string[] = [];
after(async () => {
	for (const folder of folders) await rm(folder, { recursive: true, force: true });
});

const few = fc.integer({ min: 1, max: 3 });
const time = fc.integer({ min: 0, max: 100 });
/** Past every dedupe record's time, and every device's, so that those go too. */
const later = fc.oneof(
	time,
	fc.integer({ min: 14 * 86_400_000, max: 14 * 86_400_000 + 7_200_000 }),
	fc.integer({ min: 30 * 86_400_000, max: 30 * 86_400_000 + 100 }),
);
const place = fc.integer({ min: 1, max: 40 });
const command = fc.oneof(
	{
		weight: 8,
		arbitrary: fc.record({
			is: fc.constant("keep" as const),
			mails: fc.array(
				fc.record({ box: few, tag: few, seq: place, expiresAtMs: time, length: place, byCard: fc.boolean() }),
				{ maxLength: 5 },
			),
		}),
	},
	{
		weight: 3,
		arbitrary: fc.record({
			is: fc.constant("visit" as const),
			box: few,
			by: fc.integer({ min: 1, max: 10 }),
			present: fc.subarray([1, 2, 3, 4, 5, 6, 7, 8, 9]),
			hash: fc.option(few),
			nowMs: later,
		}),
	},
	{
		weight: 3,
		arbitrary: fc.record({
			is: fc.constant("acknowledge" as const),
			box: few,
			by: few,
			back: fc.array(place, { maxLength: 20 }),
		}),
	},
	{
		weight: 2,
		arbitrary: fc.record({
			is: fc.constant("expire" as const),
			nowMs: later,
			countMax: fc.integer({ min: 0, max: 6 }),
		}),
	},
	{ weight: 2, arbitrary: fc.record({ is: fc.constant("mark" as const), tag: few, from: place, untilMs: later }) },
	{ weight: 1, arbitrary: fc.record({ is: fc.constant("dropped" as const), box: few, n: few }) },
	{ weight: 1, arbitrary: fc.record({ is: fc.constant("told" as const), box: few, by: few, n: few }) },
	{ weight: 1, arbitrary: fc.record({ is: fc.constant("forget" as const), box: few, by: few }) },
	{ weight: 1, arbitrary: fc.record({ is: fc.constant("seen" as const), box: few, by: few, nowMs: later }) },
	{
		weight: 2,
		arbitrary: fc.record({
			is: fc.constant("read" as const),
			box: few,
			by: few,
			nowMs: time,
			countMax: few,
			bytesMax: place,
		}),
	},
	{ weight: 2, arbitrary: fc.record({ is: fc.constant("marks" as const), tag: few }) },
	{ weight: 1, arbitrary: fc.record({ is: fc.constant("reopen" as const) }) },
);
type Command = typeof command extends fc.Arbitrary<infer One> ? One : never;

/** Found by this test: one number twice in one batch, of which the engines gave different fingerprints. */
const again = { box: 1, tag: 2, seq: 3, expiresAtMs: 0, length: 1, byCard: false };
const twice: Command[] = [
	{ is: "visit", box: 1, by: 1, present: [], hash: null, nowMs: 0 },
	{ is: "keep", mails: [again, again] },
	{ is: "marks", tag: 2 },
];

/** Does one command; what it answers. `position` is the last one used. */
function run(store: MailStore, one: Command, position: number): Promise<unknown> {
	switch (one.is) {
		case "keep":
			return store.keep(
				one.mails.map(({ length, ...more }, i) =>
					mail(position + 1 + i, {
						...more,
						mailbox: box(more.box),
						tag: tag(more.tag),
						payload: new Uint8Array(length).fill(i),
					}),
				),
			);
		case "visit":
			return store.visit(
				box(one.box),
				device(one.by),
				one.hash === null ? undefined : new Uint8Array(32).fill(one.hash),
				one.nowMs,
				one.present.map(device),
			);
		case "seen":
			store.seen(box(one.box), device(one.by), one.nowMs);
			return Promise.resolve();
		case "forget":
			return store.forget(box(one.box), device(one.by));
		case "acknowledge":
			return store.acknowledge(
				box(one.box),
				device(one.by),
				one.back.map((back) => position - back),
			);
		case "expire":
			return store.expire(one.nowMs, one.countMax);
		case "mark":
			void store.mark(tag(one.tag), [[one.from, one.from + 3]], one.untilMs);
			return Promise.resolve();
		case "dropped":
			store.dropped(box(one.box), one.n);
			return Promise.resolve();
		case "told":
			return store.told(box(one.box), device(one.by), { droppedTtl: one.n, droppedQuota: 1 });
		case "read":
			return store.read(box(one.box), device(one.by), 0, one.nowMs, one.countMax, one.bytesMax);
		case "marks":
			return store.marks(tag(one.tag));
		case "reopen":
			return Promise.resolve();
	}
}

/** All that can be seen of a store. */
async function look(store: MailStore): Promise<unknown> {
	const boxes = [1, 2, 3].map((n) => structuredClone(store.state(box(n))));
	const mails = await Promise.all(
		[1, 2, 3].flatMap((n) => [1, 2, 3].map((by) => readAll(store, box(n), -1, device(by)))),
	);
	const marks = await Promise.all([1, 2, 3].map((n) => store.marks(tag(n))));
	const known = boxes.flatMap((state, i) => (state ? [i + 1] : []));
	const visits = await Promise.all(known.map((n) => store.visit(box(n), device(1), undefined, 0)));
	return { boxes, mails, visits, marks: marks.map(({ ranges, prints }) => ({ ranges, prints: [...prints.keys()] })) };
}

describe("the two mail stores", () => {
	it("answer the same and hold the same after any commands, one by one or at once, and across restarts", async () => {
		await fc.assert(
			fc.asyncProperty(fc.array(command, { maxLength: 40 }), fc.boolean(), async (commands, atOnce) => {
				const folder = await mkdtemp(join(tmpdir(), "farelay-mail-"));
				folders.push(folder);
				const options = { mailboxesMax: 2, idleMs: 50 };
				const open = async () => {
					const store = await openSqliteMailStore({ path: join(folder, "mail.db"), ...options });
					assert(!isProblem(store));
					return store;
				};
				const oracle = openMemoryMailStore(options);
				let tested = await open();
				try {
					let position = 0;
					let asked: Promise<unknown>[] = [];
					let expected: Promise<unknown>[] = [];
					for (const one of commands) {
						// what depends on what is in memory now must have seen the answers to what went before
						if (
							!atOnce ||
							one.is === "visit" ||
							one.is === "dropped" ||
							one.is === "seen" ||
							one.is === "forget" ||
							one.is === "told" ||
							one.is === "reopen"
						) {
							assert.deepEqual(await Promise.all(asked), await Promise.all(expected));
							[asked, expected] = [[], []];
						}
						if (one.is === "reopen") {
							await tested.close();
							tested = await open();
						}
						asked.push(run(tested, one, position));
						expected.push(run(oracle, one, position));
						if (one.is === "keep") position += one.mails.length;
						// a read may see what was asked after it in the same turn; all that is promised is to see what was asked before
						if (one.is !== "read" && one.is !== "marks") continue;
						assert.deepEqual(await Promise.all(asked), await Promise.all(expected));
						[asked, expected] = [[], []];
					}
					assert.deepEqual(await Promise.all(asked), await Promise.all(expected));
					assert.deepEqual(await look(tested), await look(oracle));
					await tested.close();
					tested = await open();
					assert.deepEqual(
						await look(tested),
						await look(oracle),
						"what was counted commit by commit is what is there",
					);
				} finally {
					await tested.close();
				}
			}),
			{ numRuns: 15, examples: [[twice, false]] },
		);
	});
});

describe("a mailbox's quota", () => {
	const quota = { mailboxBytesMax: 1_000, mailboxMessagesMax: 50, strangerShare: 10 };
	const filling = (bytes: number, messages: number, strangerBytes = 0, strangerMessages = 0) => ({
		bytes,
		messages,
		strangerBytes,
		strangerMessages,
	});

	it("lets holders of the card fill all of it, to the byte and to the message, and nobody more", () => {
		assert.equal(roomFor(100, true, filling(600, 10), filling(300, 5), quota), "room");
		assert.equal(roomFor(101, true, filling(600, 10), filling(300, 5), quota), "mailbox-full");
		assert.equal(roomFor(1, true, filling(0, 40), filling(0, 9), quota), "room");
		assert.equal(roomFor(1, true, filling(0, 40), filling(0, 10), quota), "mailbox-full");
	});

	it("threat 12: lets strangers fill a tenth, of bytes and of messages, and only while the whole has room", () => {
		assert.equal(roomFor(10, false, filling(60, 1, 60, 1), filling(30, 1, 30, 1), quota), "room");
		assert.equal(roomFor(11, false, filling(60, 1, 60, 1), filling(30, 1, 30, 1), quota), "mailbox-full");
		assert.equal(roomFor(0, false, filling(0, 4, 0, 2), filling(0, 2, 0, 2), quota), "room");
		assert.equal(roomFor(0, false, filling(0, 5, 0, 3), filling(0, 2, 0, 2), quota), "mailbox-full");
		assert.equal(
			roomFor(11, true, filling(60, 1, 60, 1), filling(30, 1, 30, 1), quota),
			"room",
			"the card still has its room",
		);
		assert.equal(roomFor(1, false, filling(1_000, 10), filling(0, 0), quota), "mailbox-full");
	});

	it("any mail in any order, accepted while there is room, stays within every bound", () => {
		const step = fc.tuple(fc.integer({ min: 0, max: 120 }), fc.boolean());
		fc.assert(
			fc.property(fc.array(step, { maxLength: 120 }), (steps) => {
				const kept = filling(0, 0);
				for (const [bytes, byCard] of steps) {
					if (roomFor(bytes, byCard, kept, undefined, quota) !== "room") continue;
					kept.bytes += bytes;
					kept.messages += 1;
					if (byCard) continue;
					kept.strangerBytes += bytes;
					kept.strangerMessages += 1;
				}
				assert(kept.bytes <= 1_000 && kept.messages <= 50 && kept.strangerBytes <= 100 && kept.strangerMessages <= 5);
			}),
		);
	});
});
