import assert from "node:assert/strict";
import { after, before, suite, test } from "node:test";
import type { Storage } from "#sdk/storage";
import { acceptStorage } from "#test/acceptance/storage";
import { type Chromium, openChromium, type Tab } from "./chromium.ts";
import type { Page } from "./page.ts";

declare const page: Page;

/** How long the suite may take: a small machine starts Chromium slowly. */
const SUITE_MS = 240_000;

suite("IndexedDB storage in a real browser", { timeout: SUITE_MS }, () => {
	let chromium: Chromium;
	let tab: Tab;
	let count = 0;
	before(async () => {
		chromium = await openChromium();
		tab = (await chromium.open()).tab;
	});
	after(() => chromium?.close());

	/** The browser's storage as the suite in Node calls it: one name is one database. */
	function storageIn(name: string): Storage {
		return {
			get: async (key) => {
				const value = await tab.evaluate(([name, key]) => page.storage.get(name, key), [name, key] as const);
				return value && Uint8Array.from(value);
			},
			put: (key, value) =>
				tab.evaluate(([name, key, value]) => page.storage.put(name, key, value), [name, key, [...value]] as const),
			delete: (key) => tab.evaluate(([name, key]) => page.storage.delete(name, key), [name, key] as const),
			list: (prefix) => tab.evaluate(([name, prefix]) => page.storage.list(name, prefix), [name, prefix] as const),
		};
	}

	acceptStorage(
		"IndexedDB",
		async () => storageIn(`acceptance-${++count}`),
		async () => {
			await tab.reload();
			await tab.waitForFunction(() => "page" in globalThis);
			return storageIn(`acceptance-${count}`);
		},
	);

	test("a view is kept as what it shows, and what the app does with its bytes afterwards changes nothing", async () => {
		const kept = await tab.evaluate(() => page.storeView());
		assert.deepEqual(kept, { bytes: [2, 3, 4], bufferBytes: 3 });
	});

	test("another tab that deletes the database is not held up, and this one goes on with a new one", async () => {
		assert.equal(await tab.evaluate(() => page.deletedUnderneath()), "a new one");
	});
});
