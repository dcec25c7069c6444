/** Small private JSON files of the market's own (keys, marks): readable by their owner alone, and replaced whole or not at all. */

import { mkdir, open, readFile, rename } from "node:fs/promises";
import { dirname } from "node:path";

/** A file's JSON; undefined when there is no file, null when it is not JSON. Other failures of the machine are thrown. */
export async function readJson(path: string): Promise<unknown> {
	let text: string;
	try {
		text = await readFile(path, "utf8");
	} catch (error) {
		if (error instanceof Error && "code" in error && error.code === "ENOENT") return undefined;
		throw error;
	}
	try {
		return JSON.parse(text);
	} catch {
		return null;
	}
}

/** Writes a file beside the old one, on disk before it takes its name: after a crash there is the old or the new one. */
export async function writeJson(path: string, json: unknown): Promise<void> {
	const folder = dirname(path);
	await mkdir(folder, { recursive: true, mode: 0o700 });
	const fresh = await open(`${path}.new`, "w", 0o600);
	try {
		await fresh.writeFile(`${JSON.stringify(json)}\n`);
		await fresh.sync();
	} finally {
		await fresh.close();
	}
	await rename(`${path}.new`, path);
	const held = await open(folder, "r");
	try {
		await held.sync();
	} finally {
		await held.close();
	}
}
