/**
 * What rails were told to pay, a line each, on a disk of its own: on it before the rail hears of it. A book that comes back from a backup learns from it what
 * left meanwhile. Kept apart from the book, because both on one disk are lost together.
 */

import { appendFile, type FileHandle, open, stat } from "node:fs/promises";
import { type Problem, problem } from "#contracts/problem";
import { replaceFile } from "#host/replace";
import { problemOfDisk } from "./backup.ts";

/** A payout that a rail was told of: its record, as the book kept it. */
export type Told = {
	readonly atMs: number;
	readonly id: string;
	readonly account: string;
	readonly value: string;
};

/** Told so long ago, it is in every backup that anybody still brings back; older lines are forgotten at a start. */
const KEPT_MS = 90 * 86_400_000;

/** What ends a line that the disk did not take, or took in part: a whole one ends with its brace. */
const CUT = " cut";

type Head = { readonly farelay: "told/1"; readonly sinceMs: number };

/** The journal. */
export interface Journal {
	/** Writes a line; a problem when the disk did not take it, and then the rail is not to be told. */
	append(told: Told): Promise<Problem | undefined>;
	/** What was told since a moment. */
	since(fromMs: number): readonly Told[];
	/** Whether it has been kept since then without a gap. */
	covers(fromMs: number): boolean;
	close(): Promise<void>;
}

/** Opens a journal, or begins one. A last line that a crash cut is dropped: its rail was not told. */
export async function openJournal(path: string, nowMs: number): Promise<Journal | Problem> {
	try {
		await using before = await openIfThere(path);
		const bytes = await before?.readFile();
		const read = bytes ? readLines(new TextDecoder().decode(bytes)) : { sinceMs: nowMs, lines: [] };
		if (!read) return problem("data-corrupt", `${path} is not a journal of payouts; move it away to begin another.`);
		const lines = read.lines.filter(({ atMs }) => atMs > nowMs - KEPT_MS);
		const sinceMs = Math.max(read.sinceMs, nowMs - KEPT_MS);
		const head: Head = { farelay: "told/1", sinceMs };
		const text = [head, ...lines].map((line) => `${JSON.stringify(line)}\n`).join("");
		// left alone where nothing is to be mended or forgotten: another process of the market may be writing to it
		const isReplaced = !bytes || new TextDecoder().decode(bytes) !== text;
		if (isReplaced) await replaceFile(path, text);
		// if one did just now, the line is in the file that was there before; what it writes there later it writes again
		if (isReplaced && before) await appendFile(path, await before.readFile());
		let file = await open(path, "a", 0o600);
		let torn = false;
		let last: Promise<unknown> = Promise.resolve();
		/** One at a time: what follows a line that was cut must end it first, or both would be lost, and the whole journal with them. */
		async function write(told: Told): Promise<Problem | undefined> {
			try {
				for (;;) {
					await file.appendFile(`${torn ? `${CUT}\n` : ""}${JSON.stringify(told)}\n`);
					torn = false;
					await file.sync();
					// a process that started meanwhile may have put another file in its place
					if ((await stat(path)).ino === (await file.stat()).ino) break;
					await file.close();
					file = await open(path, "a", 0o600);
				}
			} catch (error) {
				torn = true;
				return problemOfDisk(error, path) ?? problem("disk");
			}
			lines.push(told);
			return undefined;
		}
		return {
			append: (told) => {
				const written = last.then(() => write(told));
				last = written;
				return written;
			},
			since: (fromMs) => lines.filter(({ atMs }) => atMs >= fromMs),
			covers: (fromMs) => sinceMs <= fromMs,
			close: async () => {
				await last;
				await file.close();
			},
		};
	} catch (error) {
		const known = problemOfDisk(error, path);
		if (known) return known;
		throw error;
	}
}

async function openIfThere(path: string): Promise<FileHandle | undefined> {
	try {
		return await open(path, "r");
	} catch (error) {
		if ((error as NodeJS.ErrnoException).code === "ENOENT") return undefined;
		throw error;
	}
}

function readLines(text: string): { readonly sinceMs: number; readonly lines: readonly Told[] } | undefined {
	// what stands behind the last line's end is half a line
	const whole = text.split("\n").slice(0, -1);
	const [head, ...lines] = whole.filter((line) => !line.endsWith(CUT)).map(parse);
	const { farelay, sinceMs } = (head ?? {}) as Partial<Head>;
	if (farelay !== "told/1" || !Number.isSafeInteger(sinceMs)) return undefined;
	const told = lines.map((line) => line as Told | undefined);
	const sound = told.every((line) => Number.isSafeInteger(line?.atMs) && typeof line?.value === "string");
	return sound ? { sinceMs: sinceMs as number, lines: told as readonly Told[] } : undefined;
}

function parse(line: string): unknown {
	try {
		return JSON.parse(line);
	} catch {
		return undefined;
	}
}
