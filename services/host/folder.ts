/**
 * Small values on a machine's disk: one file for each key under a folder that only its owner can read. A value is replaced
 * whole or not at all, and a put that was answered survives a crash. It has the shape of the SDK's storage (client/sdk/storage.ts).
 */

import { readdir, rm } from "node:fs/promises";
import { join, relative, sep } from "node:path";
import { PART, readIfThere, replaceFile } from "./replace.ts";

/** What a key may be: a short path of plain names, so that no key can leave the folder. */
const KEY = /^[A-Za-z0-9_-][A-Za-z0-9_.-]{0,127}(\/[A-Za-z0-9_-][A-Za-z0-9_.-]{0,127}){0,4}$/;

function isMissing(error: unknown): boolean {
	return (error as NodeJS.ErrnoException).code === "ENOENT";
}

/** Keys are short paths of plain names. */
export type Folder = {
	get(key: string): Promise<Uint8Array | undefined>;
	put(key: string, value: Uint8Array): Promise<void>;
	delete(key: string): Promise<void>;
	/** The keys that start with `prefix`, sorted. */
	list(prefix: string): Promise<string[]>;
};

/** Opens a folder; it is made when the first value is put. Errors of the disk are thrown as Node has them. */
export function openFolder(root: string): Folder {
	const pathOf = (key: string): string => {
		if (!KEY.test(key) || key.endsWith(PART)) throw new RangeError(`not a storage key: ${key}`);
		return join(root, key);
	};
	return {
		async get(key) {
			return readIfThere(pathOf(key));
		},
		async put(key, value) {
			await replaceFile(pathOf(key), value);
		},
		async delete(key) {
			await rm(pathOf(key), { force: true });
		},
		async list(prefix) {
			const found = await readdir(root, { recursive: true, withFileTypes: true }).catch((error: unknown) => {
				if (isMissing(error)) return [];
				throw error;
			});
			return found
				.filter((entry) => entry.isFile() && !entry.name.endsWith(PART))
				.map((entry) => relative(root, join(entry.parentPath, entry.name)).split(sep).join("/"))
				.filter((key) => key.startsWith(prefix))
				.sort();
		},
	};
}
