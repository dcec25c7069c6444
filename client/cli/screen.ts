/**
 * What a person or a program sees: lines for people, one JSON object for programs, progress on anything that takes longer
 * than a second. Results go to standard output, everything else to standard error, so that both can be piped.
 */

import { stripVTControlCharacters, styleText } from "node:util";
import { toJson } from "#contracts/amount";
import type { Problem } from "#contracts/problem";

/** Redrawing more often than this only costs. */
const DRAW_EVERY_MS = 100;
/** A step shorter than this needs no bar. */
const BAR_AFTER_MS = 1000;
const BAR_WIDTH = 28;

/** Colours by what they mean. */
export type Tone = "strong" | "good" | "bad" | "faint";

const STYLES = { strong: "bold", good: "green", bad: "red", faint: "dim" } as const;

/** A bar under way. */
export type Progress = { to(done: number): void; end(): void };

export type Screen = {
	readonly json: boolean;
	/** Text in a tone, where the reader's terminal shows it (never with NO_COLOR). */
	tone(tone: Tone, text: string): string;
	/** A line for people; nothing with `--json`. */
	line(text?: string): void;
	/** A result: the object for programs, or the lines for people. */
	answer(object: object, lines: readonly string[]): void;
	/** Whether lines can be drawn over: a person looks on, at a terminal. */
	readonly live: boolean;
	/** How many characters a line has. */
	readonly columns: number;
	/** Draws lines over those that it drew last; only where {@link live}. */
	redraw(lines: readonly string[]): void;
	/** A problem: what happened, whether money moved, what to do. */
	problem(problem: Problem): void;
	/** A bar for a step of known size, drawn only at a terminal and only once it has taken a second. */
	progress(label: string, total: number): Progress;
};

/** What a problem means for the person's money. */
function moneyOf(problem: Problem): string {
	if (problem.spent === "no") return "No money moved.";
	if (problem.spent === "yes") return "The money was spent.";
	return "Whether money moved is not known yet.";
}

/** What to do next. */
function nextOf(problem: Problem): string {
	if (!problem.retry) return "Trying the same again will not help.";
	const waitS = Math.ceil((problem.retryAfterMs ?? 0) / 1000);
	return waitS > 0 ? `Try again in ${waitS} s.` : "Try again.";
}

/** So many of something, in words: "1 line", "2 lines". */
export function sayCount(n: number | bigint, one: string, many = `${one}s`): string {
	return `${n} ${Number(n) === 1 ? one : many}`;
}

/** A problem in one line. */
export function sayProblem(problem: Problem): string {
	return `${problem.problem}: ${problem.detail} ${moneyOf(problem)} ${nextOf(problem)}`;
}

/** Makes the screen of a process. */
export function openScreen(
	json: boolean,
	out: NodeJS.WriteStream = process.stdout,
	err: NodeJS.WriteStream = process.stderr,
): Screen {
	const tone = (kind: Tone, text: string) => styleText(STYLES[kind], text, { stream: out });
	let drawnLines = 0;
	return {
		json,
		tone,
		live: !json && out.isTTY === true,
		columns: out.columns ?? 80,
		redraw(lines) {
			// a line that the terminal breaks would be two
			const shown = lines.slice(0, (out.rows ?? 24) - 1).map((line) => cut(line, out.columns ?? 80));
			const up = drawnLines > 0 ? `\x1b[${drawnLines}A` : "";
			out.write(`${up}\x1b[0J${shown.join("\n")}\n`);
			drawnLines = shown.length;
		},
		line(text = "") {
			if (!json) out.write(`${text}\n`);
		},
		answer(object, lines) {
			if (json) out.write(`${toJson(object)}\n`);
			else for (const line of lines) out.write(`${line}\n`);
		},
		problem(problem) {
			if (json) out.write(`${toJson(problem)}\n`);
			else
				err.write(
					`${styleText("red", problem.problem, { stream: err })}: ${problem.detail}\n${moneyOf(problem)} ${nextOf(problem)}\n`,
				);
		},
		progress(label, total) {
			const started = Date.now();
			let drawn = 0;
			/** What was done before: a step that goes on where it stopped begins with a leap. */
			let before: number | undefined;
			return {
				to(done) {
					const now = Date.now();
					before ??= done;
					if (json || !err.isTTY || now - started < BAR_AFTER_MS || now - drawn < DRAW_EVERY_MS) return;
					drawn = now;
					const share = total > 0 ? Math.min(done / total, 1) : 1;
					const full = Math.round(share * BAR_WIDTH);
					const rate = ((done - before) / 1e6 / ((now - started) / 1000)).toFixed(1);
					err.write(
						`\r${label} ${"█".repeat(full)}${"░".repeat(BAR_WIDTH - full)} ${Math.floor(share * 100)} %  ${rate} MB/s `,
					);
				},
				end() {
					if (drawn > 0) err.write("\r\x1b[2K");
				},
			};
		},
	};
}

/** A line of at most so many columns; what tones it takes none. */
function cut(line: string, columns: number): string {
	const plain = stripVTControlCharacters(line);
	return plain.length <= columns ? line : `${plain.slice(0, columns - 1)}…`;
}

/** Columns under heads; right-aligned where every cell of a column is a number or money. */
export function table(heads: readonly string[], rows: readonly (readonly string[])[]): string[] {
	const all = [heads, ...rows];
	const widths = heads.map((_, column) => Math.max(...all.map((row) => (row[column] ?? "").length)));
	const numeric = heads.map(
		(_, column) => rows.length > 0 && rows.every((row) => /^[-$]?[$]?[0-9.,]+/.test(row[column] ?? "")),
	);
	return all.map((row) =>
		row
			.map((cell, column) => (numeric[column] ? cell.padStart(widths[column] ?? 0) : cell.padEnd(widths[column] ?? 0)))
			.join("  ")
			.trimEnd(),
	);
}

/** A moment as people read it, to the minute, in UTC. */
export function sayMinute(ms: number): string {
	return new Date(ms).toISOString().slice(0, 16).replace("T", " ");
}

/** The day of a moment, in UTC. */
export function sayDay(ms: number): string {
	return new Date(ms).toISOString().slice(0, 10);
}

/** Bytes as people say them. */
export function sayBytes(bytes: number): string {
	if (bytes < 1000) return `${bytes} B`;
	if (bytes < 1_000_000) return `${(bytes / 1000).toFixed(1)} kB`;
	return bytes < 1_000_000_000 ? `${(bytes / 1e6).toFixed(1)} MB` : `${(bytes / 1e9).toFixed(2)} GB`;
}
