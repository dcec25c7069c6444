/** Draws `docs/bench/` from the results that are kept there, and takes away charts that no result asks for any more. */
import { existsSync, globSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { Kept } from "#test/bench/measure";
import type { SoakResult } from "#test/soak/soak";
import { drawn } from "./page.ts";

export const FOLDER = join(import.meta.dirname, "../../../docs/bench");

/** The order of the page; what is not named here stands after it. */
const ORDER = ["forward", "latency", "mailbox", "ledger", "payments", "idle", "workers"];

/** The results of a folder, in the page's order. Other JSON (the soak's) is no result of a benchmark. */
export function results(folder: string = FOLDER): Kept[] {
	const rank = ({ name }: Kept) => (ORDER.includes(name) ? ORDER.indexOf(name) : ORDER.length);
	return globSync("*.json", { cwd: folder })
		.sort()
		.map((file) => JSON.parse(readFileSync(join(folder, file), "utf8")) as Kept)
		.filter((kept) => Array.isArray(kept.rows))
		.sort((a, b) => rank(a) - rank(b));
}

/** What the last soak that was kept came to. */
export function soakOf(folder: string = FOLDER): SoakResult | undefined {
	const path = join(folder, "soak.json");
	return existsSync(path) ? (JSON.parse(readFileSync(path, "utf8")) as SoakResult) : undefined;
}

/** Writes the page and its charts; their names. */
export function draw(folder: string = FOLDER): string[] {
	const files = drawn(results(folder), soakOf(folder));
	for (const file of globSync("*.svg", { cwd: folder })) if (!files.has(file)) rmSync(join(folder, file));
	for (const [file, words] of files) writeFileSync(join(folder, file), words);
	return [...files.keys()];
}
