import assert from "node:assert/strict";
import { suite, test } from "node:test";
import { device } from "#sdk/device";
import { Seen } from "#sdk/seen";
import { memoryStorage, type Storage } from "#sdk/storage";

const DAY_MS = 86_400_000;
const START_MS = 1_800_000_000_000;
const id = (mark: number) => new Uint8Array(16).fill(mark);

/** A reader's record on a clock that is moved by hand. */
async function record(storage: Storage = memoryStorage()) {
	const now = { ms: START_MS };
	const seen = await Seen.open(await device({ storage, nowMs: () => now.ms }));
	return { now, seen, storage };
}

suite("what was seen", () => {
	test("a reader that stays for months forgets what could no longer come, in memory and in storage", async () => {
		const { now, seen, storage } = await record();
		seen.add(id(1), START_MS);
		await seen.settle();
		now.ms += 39 * DAY_MS;
		seen.add(id(2), now.ms);
		await seen.settle();
		assert.deepEqual([seen.has(id(1)), seen.has(id(2))], [false, true]);
		assert.equal((await storage.list("seen/")).length, 1);
	});

	test("what the storage did not take is written the next time", async () => {
		const storage = memoryStorage();
		let full = true;
		const put: Storage["put"] = (key, value) =>
			full && key.startsWith("seen/") ? Promise.reject(new Error("full")) : storage.put(key, value);
		const { seen } = await record({ ...storage, put });
		seen.add(id(1), START_MS);
		await assert.rejects(seen.settle());
		full = false;
		await seen.settle();
		assert.equal((await record(storage)).seen.has(id(1)), true);
	});
});
