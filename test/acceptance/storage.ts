/** What every storage of the SDK does; each engine runs it from a test of its own. */

import assert from "node:assert/strict";
import { test } from "node:test";
import { getJson, putJson, type Storage } from "#sdk/storage";

/** Runs the suite. `open` opens the same place each time it is called in one test; undefined where nothing outlives the process. */
export function acceptStorage(name: string, open: () => Promise<Storage>, again?: () => Promise<Storage>): void {
	const bytes = (text: string) => new TextEncoder().encode(text);

	test(`${name}: what is put is there, replaced whole, and gone when deleted`, async () => {
		const storage = await open();
		assert.equal(await storage.get("tab/aa"), undefined);
		await storage.put("tab/aa", bytes("one"));
		await storage.put("tab/aa", bytes("second"));
		assert.deepEqual(await storage.get("tab/aa"), bytes("second"));
		await storage.put("tab/aa", new Uint8Array(0));
		assert.deepEqual(await storage.get("tab/aa"), new Uint8Array(0));
		await storage.delete("tab/aa");
		await storage.delete("tab/aa");
		assert.equal(await storage.get("tab/aa"), undefined);
	});

	test(`${name}: keys are listed by prefix, sorted`, async () => {
		const storage = await open();
		for (const key of ["list/b", "list/a", "listed", "market/http://127.0.0.1:1/x"]) await storage.put(key, bytes(key));
		assert.deepEqual(await storage.list("list/"), ["list/a", "list/b"]);
		assert.deepEqual(await storage.list("market/"), ["market/http://127.0.0.1:1/x"]);
		assert.deepEqual(await storage.list("nothing/"), []);
		for (const key of await storage.list("list")) await storage.delete(key);
		assert.deepEqual(await storage.list("list"), []);
	});

	test(`${name}: what was given or got can be changed without changing what is kept`, async () => {
		const storage = await open();
		const given = bytes("abc");
		await storage.put("own", given);
		given[0] = 0;
		const got = await storage.get("own");
		assert.deepEqual(got, bytes("abc"));
		(got as Uint8Array)[0] = 0;
		assert.deepEqual(await storage.get("own"), bytes("abc"));
	});

	test(`${name}: many puts at once all arrive, and the last of one key stays`, async () => {
		const storage = await open();
		const puts = Array.from({ length: 50 }, (_, i) => storage.put(`many/${i % 10}`, bytes(`${i}`)));
		await Promise.all(puts);
		assert.equal((await storage.list("many/")).length, 10);
		for (let i = 0; i < 10; i++) assert.deepEqual(await storage.get(`many/${i}`), bytes(`${40 + i}`));
	});

	test(`${name}: damaged JSON reads as nothing`, async () => {
		const storage = await open();
		await storage.put("json", bytes('{"a":'));
		assert.equal(await getJson(storage, "json"), undefined);
		await putJson(storage, "json", { a: [1, "2"] });
		assert.deepEqual(await getJson(storage, "json"), { a: [1, "2"] });
	});

	if (again)
		test(`${name}: what was put is there after a restart`, async () => {
			const before = await open();
			await before.put("seed", bytes("kept"));
			const after = await again();
			assert.deepEqual(await after.get("seed"), bytes("kept"));
		});
}
