/** What every mail store must do for several devices of one mailbox. Run by each engine's test, with `mailstore.ts`. */

import assert from "node:assert/strict";
import { afterEach, beforeEach, describe, it } from "node:test";
import { LIMIT } from "#contracts/limit";
import { roomFor } from "#relay/mailbox/quota";
import type { MailStore } from "#relay/mailbox/store";
import { box, device, lost, mail, readAll, type StoreOptions, visit } from "./mailstore.ts";

/** The suite. `open` gives a fresh, empty store, which the suite closes. */
export function devicesAcceptance(name: string, open: (options?: StoreOptions) => Promise<MailStore>): void {
	describe(`several devices of a mailbox on ${name}`, () => {
		let store: MailStore;
		beforeEach(async () => {
			store = await open();
		});
		afterEach(() => store.close());

		const phone = device(1);
		const laptop = device(2);
		const waiting = async (by: string) => (await readAll(store, box(1), 0, by)).map(({ position }) => position);
		const acknowledge = (by: string, ...positions: number[]) => store.acknowledge(box(1), by, positions);
		const kept = () => store.state(box(1))?.messages;

		it("keeps mail until all have acknowledged it, and gives each what it has not", async () => {
			for (const by of [phone, laptop]) await visit(store, box(1), by);
			await store.keep([1, 2, 3].map((position) => mail(position)));
			await acknowledge(laptop, 1, 2);
			assert.deepEqual([await waiting(phone), await waiting(laptop), kept()], [[1, 2, 3], [3], 3]);
			await acknowledge(phone, 2, 3);
			assert.deepEqual([await waiting(phone), await waiting(laptop), kept()], [[1], [3], 2]);
			await acknowledge(laptop, 3);
			await acknowledge(phone, 1);
			assert.deepEqual([await waiting(phone), await waiting(laptop), kept()], [[], [], 0]);
		});

		it("gives first what was passed over, in pages too, and counts it", async () => {
			for (const by of [phone, laptop]) await visit(store, box(1), by);
			await store.keep([1, 2, 3, 4, 5, 6, 7].map((position) => mail(position)));
			await acknowledge(laptop, 2, 5, 6);
			const page = async (after: number, countMax: number, bytesMax = 1_000) =>
				(await store.read(box(1), laptop, after, 0, countMax, bytesMax)).map(({ position }) => position);
			assert.deepEqual(await page(0, 10), [1, 3, 4, 7]);
			assert.deepEqual(await page(0, 2), [1, 3]);
			assert.deepEqual(await page(1, 10), [3, 4, 7]);
			assert.deepEqual(await page(0, 10, 25), [1, 3]);
			assert.deepEqual(await page(4, 10), [7]);
			const { waiting, waitingBytes, fresh, devices } = await visit(store, box(1), laptop);
			assert.deepEqual([waiting, waitingBytes, fresh], [4, 40, false]);
			assert.deepEqual(
				devices.map((known) => known.device),
				[phone, laptop],
			);
		});

		it("lets a new device begin with what is still there", async () => {
			await visit(store, box(1), phone);
			await store.keep([1, 2, 3].map((position) => mail(position)));
			await acknowledge(phone, 1);
			const found = await visit(store, box(1), laptop);
			assert.deepEqual([found.fresh, found.waiting], [true, 2]);
			await acknowledge(phone, 2, 3);
			assert.deepEqual([await waiting(phone), await waiting(laptop)], [[], [2, 3]]);
		});

		it("threat 25: an ack twice, of what is not there, or by a device that is not there, changes nothing", async () => {
			for (const by of [phone, laptop]) await visit(store, box(1), by);
			await store.keep([1, 2].map((position) => mail(position)));
			await Promise.all([acknowledge(phone, 1, 1, 99), acknowledge(phone, 1), acknowledge(device(9), 1, 2)]);
			assert.deepEqual([await waiting(phone), await waiting(laptop), kept()], [[2], [1, 2], 2]);
			await Promise.all([acknowledge(laptop, 1), acknowledge(phone, 2)]);
			assert.deepEqual([await waiting(phone), await waiting(laptop), kept()], [[], [2], 1]);
		});

		it("threat 25: two devices that acknowledge the same at once delete it once", async () => {
			for (const by of [phone, laptop]) await visit(store, box(1), by);
			const positions = Array.from({ length: 50 }, (_, i) => i + 1);
			await store.keep(positions.map((position) => mail(position, { byCard: position % 2 === 0 })));
			await Promise.all(positions.flatMap((position) => [acknowledge(phone, position), acknowledge(laptop, position)]));
			const { messages, bytes, strangerMessages, strangerBytes } = store.state(box(1)) ?? assert.fail();
			assert.deepEqual([messages, bytes, strangerMessages, strangerBytes], [0, 0, 0, 0]);
		});

		it("of nine devices the one unseen the longest gives way, but never one that is there now", async () => {
			for (let n = 1; n <= LIMIT.devicesMax; n++) await store.visit(box(1), device(n), undefined, 1_000 - n);
			const others = Array.from({ length: 7 }, (_, i) => device(i + 2));
			assert.equal(
				await store.visit(box(1), device(9), undefined, 2_000, [device(1), ...others]),
				"too-many",
				"all are there now",
			);
			const ninth = await store.visit(box(1), device(9), undefined, 2_000, [device(8)]);
			assert(typeof ninth === "object");
			assert.deepEqual(store.state(box(1))?.devices, [1, 2, 3, 4, 5, 6, 8, 9].map(device));
			assert.equal(typeof (await store.visit(box(1), device(3), undefined, 3_000, others)), "object", "one it knows");
		});

		it("threat 25: a dead device pins mail until it is given up; then the mail that only it lacked goes, in slices", async () => {
			const quota = { mailboxBytesMax: 60, mailboxMessagesMax: 100, strangerShare: 10 };
			for (const by of [phone, laptop]) await visit(store, box(1), by);
			await store.keep([1, 2, 3, 4, 5, 6].map((position) => mail(position)));
			await acknowledge(laptop, 1, 2, 3, 5);
			const state = () => store.state(box(1)) ?? assert.fail();
			assert.equal(roomFor(1, true, state(), undefined, quota), "mailbox-full");
			assert.deepEqual(await store.forget(box(1), phone), [{ device: laptop, seenMs: 0 }]);
			assert.equal(await store.expire(0, 3), 3);
			assert.equal(await store.expire(0, 3), 1);
			assert.equal(await store.expire(0, 3), 0);
			assert.equal(roomFor(1, true, state(), undefined, quota), "room");
			assert.deepEqual([await waiting(laptop), kept(), state().bytes], [[4, 6], 2, 20]);
			await acknowledge(laptop, 6);
			assert.deepEqual([await waiting(laptop), kept()], [[4], 1]);
		});

		it("keeps the mail of a mailbox whose last device was given up, for whoever comes", async () => {
			await visit(store, box(1), phone);
			await store.keep([mail(1)]);
			assert.deepEqual(await store.forget(box(1), phone), []);
			assert.deepEqual(await store.forget(box(1), phone), []);
			assert.deepEqual(await store.forget(box(9), phone), []);
			assert.equal(await store.expire(0, 10), 0);
			const { fresh, waiting } = await visit(store, box(1), laptop);
			assert.deepEqual([fresh, waiting], [true, 1]);
		});

		it("gives a device up that nobody saw for thirty days, and no other", async () => {
			for (const by of [phone, laptop]) await store.visit(box(1), by, undefined, 0);
			await store.keep([mail(1, { expiresAtMs: 1e12 })]);
			await acknowledge(laptop, 1);
			store.seen(box(1), laptop, 50);
			store.seen(box(1), device(9), 50);
			store.seen(box(9), phone, 50);
			assert.equal(await store.expire(LIMIT.deviceMs - 1, 10), 0);
			assert.deepEqual([store.state(box(1))?.devices, kept()], [[phone, laptop], 1]);
			assert.equal(await store.expire(LIMIT.deviceMs, 10), 2, "the phone, and the mail that only it had not read");
			assert.deepEqual([store.state(box(1))?.devices, kept()], [[laptop], 0]);
			assert.equal((await visit(store, box(1), phone)).fresh, true);
		});

		it("tells each device of each loss once, and of mail past its time only those that had not read it", async () => {
			for (const by of [phone, laptop]) await visit(store, box(1), by);
			await store.keep([mail(1, { expiresAtMs: 100 }), mail(2, { expiresAtMs: 100 })]);
			await acknowledge(laptop, 2);
			store.dropped(box(1), 3);
			await store.expire(100, 10);
			assert.deepEqual(
				[await lost(store, box(1), phone), await lost(store, box(1), laptop)],
				[
					[2, 3],
					[1, 3],
				],
			);
			await store.told(box(1), phone, await visit(store, box(1), phone));
			assert.deepEqual(
				[await lost(store, box(1), phone), await lost(store, box(1), laptop)],
				[
					[0, 0],
					[1, 3],
				],
			);
			assert.deepEqual(await lost(store, box(1), device(3)), [0, 0], "it had nothing to lose");
		});

		it("tells whoever comes first of what was lost while there was no device, and of what the last one was not told", async () => {
			await visit(store, box(1), phone);
			await store.keep([mail(1, { expiresAtMs: 100 }), mail(2, { expiresAtMs: 200 })]);
			await store.expire(100, 10);
			await store.forget(box(1), phone);
			store.dropped(box(1), 2);
			await store.expire(200, 10);
			assert.deepEqual(await lost(store, box(1), laptop), [2, 2]);
			assert.deepEqual(await lost(store, box(1), phone), [0, 0]);
		});

		it("forgets a mailbox with its devices", async () => {
			await store.close();
			store = await open({ idleMs: 1_000 });
			for (const by of [phone, laptop]) await visit(store, box(1), by);
			assert.equal(await store.expire(1_000, 10), 1);
			assert.equal(store.state(box(1)), undefined);
			const { devices } = await visit(store, box(1), laptop);
			assert.deepEqual(devices, [{ device: laptop, seenMs: 0 }]);
		});
	});
}
