/** What every mail store must do. Run by each engine's test; see `services/relay/mailbox/store.ts`. */

import assert from "node:assert/strict";
import { afterEach, beforeEach, describe, it } from "node:test";
import { LIMIT } from "#contracts/limit";
import type { Mail, MailStore, Visit } from "#relay/mailbox/store";

/** Options of an engine that the suite needs. */
export type StoreOptions = { mailboxesMax?: number; idleMs?: number };

/** A mailbox's id from a small number. */
export const box = (n: number): string => n.toString(16).padStart(64, "0");

/** A device's id from a small number. */
export const device = (n: number): string => (n + 0xd0).toString(16).padStart(32, "0");

/** A tag from a small number. */
export const tag = (n: number): string => n.toString(16).padStart(32, "0");

/** A mail with unlikely contents, so that a mix-up shows. */
export function mail(position: number, more: Partial<Mail> = {}): Mail {
	const payload = new Uint8Array(10).map((_, i) => (position * 7 + i) & 255);
	const print = 2 ** 52 + position;
	return {
		mailbox: box(1),
		position,
		expiresAtMs: 10_000,
		payload,
		tag: tag(1),
		seq: position,
		print,
		byCard: true,
		...more,
	};
}

/** Everything that waits for a device. */
export const readAll = (store: MailStore, mailbox = box(1), nowMs = 0, by = device(1)) =>
	store.read(mailbox, by, 0, nowMs, 1_000_000, 2 ** 40);

/** What a device finds when it comes, at no time and without a card. */
export async function visit(store: MailStore, mailbox = box(1), by = device(1), nowMs = 0): Promise<Visit> {
	const found = await store.visit(mailbox, by, undefined, nowMs);
	assert(typeof found === "object", String(found));
	return found;
}

/** What was lost to a device since it was told, by time and by quota. */
export async function lost(store: MailStore, mailbox = box(1), by = device(1)): Promise<[ttl: number, quota: number]> {
	const { droppedTtl, droppedQuota } = await visit(store, mailbox, by);
	return [droppedTtl, droppedQuota];
}

/** The suite. `open` gives a fresh, empty store, which the suite closes. */
export function mailStoreAcceptance(name: string, open: (options?: StoreOptions) => Promise<MailStore>): void {
	describe(`the mail store on ${name}`, () => {
		let store: MailStore;
		let closing: MailStore[];
		const make = async (options?: StoreOptions) => {
			const made = await open(options);
			closing.push(made);
			return made;
		};

		beforeEach(async () => {
			closing = [];
			store = await make();
			await store.visit(box(1), device(1), undefined, 1_000);
			await store.visit(box(2), device(1), undefined, 1_000);
		});
		afterEach(async () => {
			for (const made of closing) await made.close();
		});

		const positions = async (mailbox = box(1), nowMs = 0) =>
			(await readAll(store, mailbox, nowMs)).map((kept) => kept.position);

		it("gives back what it kept, byte for byte, in the order of positions and for that mailbox alone", async () => {
			const sent = [
				mail(5),
				mail(3),
				mail(4, { mailbox: box(2) }),
				mail(2 ** 40 + 1),
				mail(9, { payload: new Uint8Array(0) }),
			];
			assert.deepEqual(await store.keep(sent), ["kept", "kept", "kept", "kept", "kept"]);
			const read = await readAll(store);
			assert.deepEqual(
				read.map(({ position }) => position),
				[3, 5, 9, 2 ** 40 + 1],
			);
			for (const kept of read) {
				const { expiresAtMs, payload } = sent.find(({ position }) => position === kept.position) as Mail;
				assert.deepEqual(kept, { position: kept.position, expiresAtMs, payload });
			}
			assert.deepEqual(await positions(box(2)), [4]);
		});

		it("keeps payloads that are views into a larger buffer, which its owner uses again at once", async () => {
			const message = new Uint8Array(64 * 1024).fill(1);
			const keeping = store.keep([mail(1, { payload: message.subarray(100, 110) })]);
			message.fill(2);
			await keeping;
			const [kept] = await readAll(store);
			assert.deepEqual(kept?.payload, new Uint8Array(10).fill(1));
			assert.equal(message.length, 64 * 1024, "the caller's buffer is still its own");
		});

		it("keeps many calls of one turn, each with its own answers, and counts what waits until it is kept", async () => {
			const calls = Array.from({ length: 50 }, (_, i) =>
				store.keep([mail(2 * i + 1), mail(2 * i + 2, { mailbox: box(i % 2 === 0 ? 1 : 77) })]),
			);
			const answers = await Promise.all(calls);
			answers.forEach((answer, i) => {
				assert.deepEqual(answer, ["kept", i % 2 === 0 ? "kept" : "mailbox-unknown"]);
			});
			assert.equal(store.pendingBytes, 0);
			assert.equal((await positions()).length, 75);
		});

		it("answers a call without mail at once", async () => assert.deepEqual(await store.keep([]), []));

		it("threat 12: refuses mail to a mailbox that nobody ever listened on, and remembers nothing of it", async () => {
			assert.equal(store.state(box(9)), undefined);
			const stray = mail(1, { mailbox: box(9), tag: tag(5) });
			assert.deepEqual(await store.keep([stray, mail(2)]), ["mailbox-unknown", "kept"]);
			assert.deepEqual((await store.marks(tag(5))).ranges, []);
			assert.equal(store.state(box(9)), undefined);
		});

		it("counts messages and bytes of each mailbox, and strangers' apart", async () => {
			await store.keep([mail(1), mail(2, { byCard: false }), mail(3, { byCard: false, payload: new Uint8Array(7) })]);
			const { messages, bytes, strangerMessages, strangerBytes } = store.state(box(1)) ?? assert.fail();
			assert.deepEqual(
				{ messages, bytes, strangerMessages, strangerBytes },
				{ messages: 3, bytes: 27, strangerMessages: 2, strangerBytes: 17 },
			);
			assert.equal(store.state(box(2))?.messages, 0);
		});

		it("deletes what was acknowledged, once, and only in the mailbox that acknowledged", async () => {
			await store.keep([mail(1), mail(2, { byCard: false }), mail(3)]);
			assert.equal(await store.acknowledge(box(1), device(1), [2, 2, 99]), "noted");
			assert.equal(await store.acknowledge(box(1), device(1), [2]), "noted");
			assert.equal(await store.acknowledge(box(2), device(1), [1]), "noted");
			assert.equal(await store.acknowledge(box(9), device(1), [1]), "noted");
			assert.deepEqual(await positions(), [1, 3]);
			const { messages, bytes, strangerMessages, strangerBytes } = store.state(box(1)) ?? assert.fail();
			assert.deepEqual([messages, bytes, strangerMessages, strangerBytes], [2, 20, 0, 0]);
		});

		it("deletes mail that is acknowledged while it is still on its way to the disk", async () => {
			const keeping = store.keep([mail(1), mail(2)]);
			const removing = store.acknowledge(box(1), device(1), [1]);
			assert.deepEqual(await keeping, ["kept", "kept"]);
			await removing;
			assert.deepEqual(await positions(), [2]);
			assert.equal(store.state(box(1))?.messages, 1);
		});

		it("reads after a position, up to a count or a sum of bytes, but at least one mail", async () => {
			await store.keep([1, 2, 3, 4, 5].map((position) => mail(position)));
			const page = async (after: number, countMax: number, bytesMax: number) =>
				(await store.read(box(1), device(1), after, 0, countMax, bytesMax)).map(({ position }) => position);
			assert.deepEqual(await page(2, 10, 1_000), [3, 4, 5]);
			assert.deepEqual(await page(0, 2, 1_000), [1, 2]);
			assert.deepEqual(await page(0, 10, 30), [1, 2, 3]);
			assert.deepEqual(await page(0, 10, 29), [1, 2]);
			assert.deepEqual(await page(3, 10, 1), [4]);
			assert.deepEqual(await page(5, 10, 1), []);
			assert.deepEqual(await store.read(box(9), device(1), 0, 0, 10, 10), []);
		});

		it("never gives out mail past its time, and counts it for the reader when it is dropped", async () => {
			await store.keep([mail(1, { expiresAtMs: 100 }), mail(2, { expiresAtMs: 200 }), mail(3, { expiresAtMs: 300 })]);
			assert.deepEqual(await positions(box(1), 199), [2, 3]);
			assert.deepEqual(await positions(box(1), 200), [3]);
			assert.deepEqual(await lost(store), [0, 0]);
			assert.equal(await store.expire(200, 100), 2);
			const { messages, bytes } = store.state(box(1)) ?? assert.fail();
			assert.deepEqual([messages, bytes, await lost(store)], [1, 10, [2, 0]]);
			assert.equal(await store.expire(200, 100), 0);
		});

		it("drops in slices, what is longest past its time first", async () => {
			await store.keep([5, 4, 3, 2, 1].map((i) => mail(i, { expiresAtMs: 100 - i })));
			assert.equal(await store.expire(1_000, 2), 2);
			assert.deepEqual(await positions(), [1, 2, 3]);
			assert.equal(await store.expire(1_000, 2), 2);
			assert.equal(await store.expire(1_000, 2), 1);
			assert.deepEqual(await lost(store), [5, 0]);
		});

		it("tells losses once: what came after they were read stays to be told", async () => {
			await store.keep([mail(1, { expiresAtMs: 100 }), mail(2, { expiresAtMs: 200 })]);
			store.dropped(box(1), 3);
			store.dropped(box(9), 3);
			await store.expire(100, 10);
			const before = await visit(store);
			assert.deepEqual([before.droppedTtl, before.droppedQuota], [1, 3]);
			const telling = store.told(box(1), device(1), before);
			store.dropped(box(1), 1);
			await Promise.all([telling, store.told(box(9), device(1), before), store.told(box(1), device(9), before)]);
			await store.expire(200, 10);
			const after = await visit(store);
			assert.deepEqual([after.droppedTtl, after.droppedQuota], [1, 1]);
			await Promise.all([store.told(box(1), device(1), after), store.told(box(1), device(1), after)]);
			assert.deepEqual(await lost(store), [0, 0]);
		});

		it("notes at each visit of the owner the newest card's token and the time, and keeps the mail", async () => {
			await store.keep([mail(1)]);
			const hash = new Uint8Array(32).fill(7);
			await store.visit(box(1), device(1), hash, 2_000);
			hash.fill(0);
			assert.deepEqual(store.state(box(1))?.tokenHash, new Uint8Array(32).fill(7));
			assert.equal(store.state(box(1))?.seenMs, 2_000);
			await store.visit(box(1), device(1), undefined, 1_500);
			assert.equal(store.state(box(1))?.tokenHash, undefined);
			assert.equal(store.state(box(1))?.seenMs, 2_000, "a clock that jumped back makes nobody look away longer");
			assert.equal(store.state(box(1))?.messages, 1);
		});

		it("threat 12: makes no more mailboxes than its bound, also when all are asked for at once", async () => {
			const small = await make({ mailboxesMax: 3 });
			const asked = [1, 2, 2, 3, 4, 5].map((n) => small.visit(box(n), device(1), undefined, 0));
			assert.deepEqual(
				(await Promise.all(asked)).map((answer) => typeof answer === "object" || answer),
				[true, true, true, true, "too-many", "too-many"],
			);
			assert.equal(await small.visit(box(6), device(1), undefined, 0), "too-many");
			assert.equal(typeof (await small.visit(box(3), device(1), undefined, 0)), "object", "those that are there go on");
			assert.equal(small.state(box(6)), undefined);
		});

		it("forgets mailboxes that are empty and unseen for long, and then there is room for others", async () => {
			const small = await make({ mailboxesMax: 2, idleMs: 1_000 });
			await small.visit(box(1), device(1), undefined, 0);
			await small.visit(box(2), device(1), undefined, 0);
			await small.keep([mail(1, { expiresAtMs: 50_000 })]);
			assert.equal(await small.expire(999, 10), 0);
			assert.equal(await small.expire(1_000, 10), 1);
			assert.equal(small.state(box(2)), undefined);
			assert.equal(small.state(box(1))?.messages, 1, "one with mail stays, however long unseen");
			assert.deepEqual(await small.keep([mail(2, { mailbox: box(2) })]), ["mailbox-unknown"]);
			assert.equal(typeof (await small.visit(box(3), device(1), undefined, 1_000)), "object");
			await small.visit(box(1), device(1), undefined, 49_500);
			assert.equal(await small.expire(50_000, 10), 2);
			assert.deepEqual(await lost(small), [1, 0]);
			assert.equal(await small.expire(50_500, 10), 1);
			assert.equal(small.state(box(1)), undefined);
		});

		it("remembers which numbers of a tag it kept, with the fingerprints of what is still there", async () => {
			await store.keep([
				mail(1, { seq: 7 }),
				mail(2, { seq: 8 }),
				mail(3, { seq: 20 }),
				mail(4, { seq: 0xffffffff, tag: tag(2) }),
			]);
			await store.keep([mail(5, { seq: 9 })]);
			await store.acknowledge(box(1), device(1), [2]);
			const { ranges, prints } = await store.marks(tag(1));
			assert.deepEqual(ranges, [
				[7, 9],
				[20, 20],
			]);
			assert.deepEqual([...prints].sort(), [
				[20, 2 ** 52 + 3],
				[7, 2 ** 52 + 1],
				[9, 2 ** 52 + 5],
			]);
			assert.deepEqual((await store.marks(tag(2))).ranges, [[0xffffffff, 0xffffffff]]);
			assert.deepEqual(await store.marks(tag(3)), { ranges: [], prints: new Map() });
		});

		it("joins numbers taken live with those of kept mail, seen at once", async () => {
			await store.keep([mail(1, { seq: 4 })]);
			const marking = store.mark(
				tag(1),
				[
					[1, 3],
					[6, 6],
				],
				100_000,
			);
			const again = store.mark(tag(1), [[5, 5]], 50_000);
			assert.deepEqual((await store.marks(tag(1))).ranges, [[1, 6]]);
			await Promise.all([marking, again]);
		});

		it("remembers a tag until its time, and for kept mail never less than a grant's life and the grace, in whole hours", async () => {
			const forgotten = LIMIT.grantMsMax + LIMIT.dedupeGraceMs + 3_600_000;
			const marking = Promise.all([
				store.mark(tag(1), [[1, 1]], 5_000),
				store.mark(tag(1), [[2, 2]], 3_000),
				store.mark(tag(2), [[1, 1]], 3_000),
			]);
			await store.keep([mail(1, { tag: tag(3), expiresAtMs: 2_000 })]);
			await marking;
			assert.equal(await store.expire(3_000, 10), 2, "the mail, and tag 2");
			assert.deepEqual((await store.marks(tag(2))).ranges, []);
			assert.deepEqual((await store.marks(tag(1))).ranges, [[1, 2]]);
			assert.equal(await store.expire(5_000, 10), 1);
			assert.deepEqual((await store.marks(tag(1))).ranges, []);
			assert.equal(await store.expire(forgotten - 1, 10), 0);
			assert.deepEqual((await store.marks(tag(3))).ranges, [[1, 1]]);
			assert.equal(await store.expire(forgotten, 10), 1);
			assert.deepEqual((await store.marks(tag(3))).ranges, []);
		});
	});
}
