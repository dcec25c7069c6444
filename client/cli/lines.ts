/** A statement on the screen, or into a file of any length, page by page: never more than a page of it in memory. */

import { open, rename, rm } from "node:fs/promises";
import { resolve } from "node:path";
import { formatDollars } from "#contracts/amount";
import { type Problem, problem } from "#contracts/problem";
import { STATEMENT_CSV_HEAD, type StatementLine, statementCsv, statementJson } from "#contracts/statement";
import { sayCount, table } from "./screen.ts";
import type { Call, Options } from "./verb.ts";

/** Whoever gives the lines after a position; a problem when it cannot. An empty page is the end. */
export type Pages = (after: number) => Promise<readonly StatementLine[] | Problem>;

/** The options of a verb that shows lines. */
export const LINES_OPTIONS: Options = { csv: { type: "boolean" } };

/** What they are called in `--help`. */
export const LINES_USAGE: readonly string[] = [
	"  --csv [FILE]     as CSV (RFC 4180), in exact dollars: into the file, or on the screen",
	"  --json [FILE]    as one JSON object, in nano-dollars",
];

/** Lines that the screen shows: more are for a file. */
const SHOWN_MAX = 1_000;

type Form = {
	readonly head: string;
	readonly line: (line: StatementLine, first: boolean) => string;
	readonly tail: string;
};

const CSV: Form = { head: STATEMENT_CSV_HEAD, line: statementCsv, tail: "" };
const JSON_OBJECT: Form = {
	head: '{"lines":[',
	line: (line, first) => `${first ? "" : ","}${JSON.stringify(statementJson(line))}`,
	tail: "]}\n",
};

/** Shows lines as the call asks for: a table, or CSV or JSON on the screen or in the file that its one word names. */
export async function showLines(call: Call, pages: Pages, path: string | undefined): Promise<Problem | undefined> {
	const form = call.options.csv === true ? CSV : call.options.json === true ? JSON_OBJECT : undefined;
	if (call.options.csv === true && call.options.json === true) return problem("usage", "--csv or --json: one of them.");
	if (path !== undefined && !form) return problem("usage", `Say what "${path}" is to be: --csv or --json.`);
	if (!form) return showTable(call, pages);
	if (path === undefined) return write(form, pages, (text) => flushed(text));
	const file = resolve(call.folder, path);
	try {
		const lines = await fill(file, form, pages);
		if (typeof lines !== "number") return lines;
		call.screen.answer({ file, lines }, [`${sayCount(lines, "line")} in ${file}.`]);
		return undefined;
	} catch (error) {
		const { code, syscall } = error as NodeJS.ErrnoException;
		if (syscall === undefined) throw error;
		return problem("disk", `${file} cannot be written (${code}).`, { spent: "no" });
	}
}

/** Fills a file, which has its name once it is whole; how many lines. */
async function fill(file: string, form: Form, pages: Pages): Promise<number | Problem> {
	const part = `${file}.part`;
	const handle = await open(part, "w", 0o600);
	let lines = 0;
	const counted: Pages = async (after) => {
		const page = await pages(after);
		if (!("problem" in page)) lines += page.length;
		return page;
	};
	let whole = false;
	try {
		const refused = await write(form, counted, async (text) => void (await handle.writeFile(text)));
		if (refused) return refused;
		await handle.sync();
		whole = true;
	} finally {
		await handle.close();
		await (whole ? rename(part, file) : rm(part, { force: true }));
	}
	return lines;
}

async function write(form: Form, pages: Pages, out: (text: string) => Promise<void>): Promise<Problem | undefined> {
	let first = true;
	for (let after = 0; ; ) {
		const page = await pages(after);
		if ("problem" in page) return page;
		if (after === 0) await out(form.head);
		const last = page.at(-1);
		if (!last) break;
		let text = "";
		for (const line of page) {
			text += form.line(line, first);
			first = false;
		}
		await out(text);
		after = last.position;
	}
	await out(form.tail);
	return undefined;
}

/** On standard output, no faster than whoever reads it takes it. */
function flushed(text: string): Promise<void> {
	return new Promise((done) => process.stdout.write(text, () => done()));
}

async function showTable(call: Call, pages: Pages): Promise<Problem | undefined> {
	const shown: StatementLine[] = [];
	let all = 0;
	for (let after = 0; ; ) {
		const page = await pages(after);
		if ("problem" in page) return page;
		const last = page.at(-1);
		if (!last) break;
		all += page.length;
		shown.push(...page);
		shown.splice(0, shown.length - SHOWN_MAX);
		after = last.position;
	}
	if (all === 0) call.screen.line("Nothing has moved yet.");
	else for (const row of table(HEAD, shown.map(cellsOf))) call.screen.line(row);
	if (all > shown.length) call.screen.line(`${sayCount(all - shown.length, "earlier line")}: --csv FILE has all.`);
	return undefined;
}

const HEAD = ["when (UTC)", "why", "purse", "gross", "fees", "net"];

function cellsOf(line: StatementLine): string[] {
	const when = new Date(line.atMs).toISOString().slice(0, 19).replace("T", " ");
	const why = line.cause.replaceAll(/\b([0-9a-f]{8})[0-9a-f]{24,}\b/g, "$1");
	return [when, why, line.purse, ...[line.gross, line.gross - line.net, line.net].map(formatDollars)];
}
