/**
 * Where a client keeps what must outlive it: the seam, its memory engine, and JSON on top. A machine's engine keeps files,
 * a browser's uses IndexedDB; all pass `test/acceptance/storage.ts`.
 */

/** Keys are short ASCII paths such as `tab/<hex>`; values are small (under a megabyte) and replaced whole. */
export interface Storage {
	get(key: string): Promise<Uint8Array | undefined>;
	/** Resolves when the value would survive a crash; a crash before leaves the old value whole. */
	put(key: string, value: Uint8Array): Promise<void>;
	/** Deleting what is not there is no error. */
	delete(key: string): Promise<void>;
	/** The keys that start with `prefix`, sorted. */
	list(prefix: string): Promise<string[]>;
}

/** Storage that ends with the process: for tests, and for a client that has nothing to lose. */
export function memoryStorage(): Storage {
	const values = new Map<string, Uint8Array>();
	return {
		get: async (key) => values.get(key)?.slice(),
		put: async (key, value) => {
			values.set(key, value.slice());
		},
		delete: async (key) => {
			values.delete(key);
		},
		list: async (prefix) => [...values.keys()].filter((key) => key.startsWith(prefix)).sort(),
	};
}

const text = new TextEncoder();
const lenient = new TextDecoder();

/** Reads a JSON value; undefined where there is none or it is damaged: every record here can be made again or resynced. */
export async function getJson<Value>(storage: Storage, key: string): Promise<Value | undefined> {
	const bytes = await storage.get(key);
	if (!bytes) return undefined;
	try {
		return JSON.parse(lenient.decode(bytes)) as Value;
	} catch {
		return undefined;
	}
}

/** Writes a JSON value. Bigints are decimal strings and bytes are hex by the time they come here. */
export function putJson(storage: Storage, key: string, value: unknown): Promise<void> {
	return storage.put(key, text.encode(JSON.stringify(value)));
}
