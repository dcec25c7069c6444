/** Small files that are replaced whole or not at all, and survive a crash once that was answered. Readable by their owner alone. */

import { mkdir, open, readFile, rename } from "node:fs/promises";
import { dirname } from "node:path";

/** Ends the name of a file that is still being written. */
export const PART = ".part";

let count = 0;

/** Makes sure that a folder's own entry is on the disk too: a rename is not, until its folder is synced. */
export async function syncFolder(path: string): Promise<void> {
	const folder = await open(path, "r");
	try {
		await folder.sync();
	} finally {
		await folder.close();
	}
}

/** Writes a file beside the old one, on disk before it takes its name: after a crash there is the old or the new one. */
export async function replaceFile(path: string, value: string | Uint8Array): Promise<void> {
	// a name of its own for each: two at once must not write into each other's
	const part = `${path}.${process.pid}-${count++}${PART}`;
	await mkdir(dirname(path), { recursive: true, mode: 0o700 });
	const file = await open(part, "w", 0o600);
	try {
		await file.writeFile(value);
		await file.sync();
	} finally {
		await file.close();
	}
	await rename(part, path);
	await syncFolder(dirname(path));
}

/** A file's bytes; undefined when there is no file. Other failures of the machine are thrown. */
export async function readIfThere(path: string): Promise<Uint8Array | undefined> {
	try {
		return new Uint8Array(await readFile(path));
	} catch (error) {
		if ((error as NodeJS.ErrnoException).code === "ENOENT") return undefined;
		throw error;
	}
}

/** A file's JSON; undefined when there is no file, null when it is not JSON. Other failures of the machine are thrown. */
export async function readJson(path: string): Promise<unknown> {
	const bytes = await readIfThere(path);
	if (bytes === undefined) return undefined;
	try {
		return JSON.parse(new TextDecoder().decode(bytes));
	} catch {
		return null;
	}
}

/** Replaces a file by one that holds this JSON. */
export function writeJson(path: string, json: unknown): Promise<void> {
	return replaceFile(path, `${JSON.stringify(json)}\n`);
}
