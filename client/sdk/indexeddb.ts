/**
 * Storage in a browser: one IndexedDB database, one store of small values. What was put and answered survives a crash of the browser,
 * as far as the browser says so (`durability: "strict"`, docs/decisions/indexeddb.md).
 */

import { type DBSchema, type IDBPDatabase, openDB } from "idb";
import type { Storage } from "./storage.ts";

interface Schema extends DBSchema {
	values: { key: string; value: Uint8Array };
}

/** Storage in IndexedDB; `close` lets go of the database, as before deleting it. */
export type IndexedDbStorage = Storage & { close(): Promise<void> };

/** Sorts behind every key, which are ASCII. */
const LAST = "\uffff";

/** Opens a browser's storage by name: one name for each account, and one client at a time for each. */
export function indexedDbStorage(name = "farelay"): IndexedDbStorage {
	let opened: Promise<IDBPDatabase<Schema>> | undefined;

	/** The connection; opened anew where the browser has ended it, or another tab wants to delete the database. */
	function database(): Promise<IDBPDatabase<Schema>> {
		opened ??= openDB<Schema>(name, 1, {
			upgrade: (fresh) => void fresh.createObjectStore("values"),
			blocking: (_current, _blocked, event) => {
				opened = undefined;
				(event.target as IDBDatabase).close();
			},
			terminated: () => {
				opened = undefined;
			},
		}).catch((fault: unknown) => {
			// tried again at the next call: a browser that was out of room may have some then
			opened = undefined;
			throw fault;
		});
		return opened;
	}

	async function change(run: (values: { put: Put; delete(key: string): Promise<void> }) => Promise<unknown>) {
		const transaction = (await database()).transaction("values", "readwrite", { durability: "strict" });
		// both at once: what the request rejects with must not be left unheard when the transaction fails with it
		await Promise.all([run(transaction.store), transaction.done]);
	}

	return {
		get: async (key) => (await database()).get("values", key),
		// a copy of its own: a view would be stored with the whole buffer behind it, and may change before it is written
		async put(key, value) {
			const own = value.slice();
			await change((values) => values.put(own, key));
		},
		delete: (key) => change((values) => values.delete(key)),
		list: async (prefix) =>
			(await database()).getAllKeys("values", IDBKeyRange.bound(prefix, prefix + LAST, false, true)),
		async close() {
			const closing = opened;
			opened = undefined;
			(await closing)?.close();
		},
	};
}

type Put = (value: Uint8Array, key: string) => Promise<string>;
