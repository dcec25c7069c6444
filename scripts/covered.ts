/**
 * Tells what a test runs, from what V8 wrote down of it: the mutation runner tries first the tests that can notice. Node
 * takes types out without moving anything, so that positions hold for the source as it stands.
 */
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { pathToFileURL } from "node:url";

type Range = { startOffset: number; endOffset: number; count: number };
type Report = { result: { url: string; functions: { ranges: Range[] }[] }[] };

/** Which positions of each of the files ran, by one run of a test with `NODE_V8_COVERAGE`, its workers and children included. */
export function covered(reports: string, root: string, paths: readonly string[]): Map<string, Uint8Array> {
	const byUrl = new Map(paths.map((path) => [pathToFileURL(join(root, path)).href, path]));
	const ran = new Map<string, Uint8Array>();
	for (const name of readdirSync(reports)) {
		for (const { url, functions } of read(join(reports, name)).result) {
			const path = byUrl.get(url);
			if (path === undefined) continue;
			const ranges = functions.flatMap((of) => of.ranges);
			const length = Math.max(0, ...ranges.map(({ endOffset }) => endOffset));
			// What lies inside says more than what is around it, so it comes later.
			ranges.sort((a, b) => a.startOffset - b.startOffset || b.endOffset - a.endOffset);
			const here = new Uint8Array(length);
			for (const range of ranges) here.fill(range.count > 0 ? 1 : 0, range.startOffset, range.endOffset);
			const before = ran.get(path);
			ran.set(path, before === undefined ? here : here.map((one, at) => one | (before[at] ?? 0)));
		}
	}
	return ran;
}

/** A report that a killed process left half written counts as none. */
function read(path: string): Report {
	try {
		return JSON.parse(readFileSync(path, "utf8")) as Report;
	} catch {
		return { result: [] };
	}
}
