/** What both sides of the ledger's benchmark are told, begin from and tell. */
import { createHash } from "node:crypto";
import { copyFileSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import { isProblem } from "#contracts/problem";
import type { Change } from "#marketplace/ledger/book";
import { openSqliteBook } from "#marketplace/ledger/sqlite";
import { deposits, openings, redemptions, type Town } from "./ledger-work.ts";

/** What to do. */
export type BookJob = {
	readonly work: "redemptions" | "deposits";
	readonly town: Town;
	/** Calls of the work. */
	readonly calls: number;
	/** Calls that were made on `file` before. */
	readonly skip?: number;
	/** Calls under way at any moment. */
	readonly underWay: number;
	/** How many calls the bare side puts into each of its commits, in turn. */
	readonly groups: readonly number[];
	/** A ledger that is there, in which the town's tabs are open; left out, one is made, and what is in it at the end is told. */
	readonly file?: string;
};

/** What came of it. */
export type Measured = {
	readonly changes: number;
	readonly seconds: number;
	readonly groups: readonly number[];
	/** Of the process, for each change. */
	readonly cpuMicros: number;
	/** Of the thread that asked, for each change. */
	readonly loopMicros: number;
	/** How late a timer of 1 ms came on it. */
	readonly loopP99Ms: number;
	/** A hash over all that is in the file. */
	readonly contents: string;
};

/** A ledger in which the town's tabs are open, and the work to do on it. */
export async function prepared(job: BookJob): Promise<{ path: string; calls: Change[][]; done: () => void }> {
	const { work, town, calls, skip, file } = job;
	const toDo = work === "deposits" ? deposits(town.tabs, calls) : redemptions(town, calls, skip);
	if (file !== undefined) return { path: file, calls: toDo, done: () => {} };
	const folder = mkdtempSync(join(tmpdir(), "farelay-bench-"));
	const path = join(folder, "ledger.db");
	await openTown(path, town);
	return { path, calls: toDo, done: () => rmSync(folder, { recursive: true, force: true }) };
}

/** Clears away what making the work left, which is none of the work's cost. */
export function tidy(): void {
	setFlagsFromString("--expose-gc");
	(runInNewContext("gc") as () => void)();
}

/** How many calls come before those that are measured: code is cold at first, and memory empty. */
export const warmOf = (calls: readonly unknown[]): number => Math.ceil(calls.length / 5);

/** Opens all of a town's tabs in a ledger. */
export async function openTown(path: string, town: Town): Promise<void> {
	const book = await openSqliteBook({ path });
	if (isProblem(book)) throw new Error(book.detail);
	for (const call of openings(town)) {
		const other = (await book.apply(call)).find((outcome) => outcome !== "applied");
		if (other) throw new Error(`the book answered ${JSON.stringify(other)}`);
	}
	await book.close();
}

/** A copy of a closed ledger, beside it. */
export function copyOf(path: string): string {
	copyFileSync(path, `${path}-copy`);
	return `${path}-copy`;
}

/** A hash over every row of every table of a closed ledger; nothing for one that goes on. */
export function contentsOf({ file }: BookJob, path: string): string {
	if (file !== undefined) return "";
	const database = new DatabaseSync(path, { readOnly: true, readBigInts: true });
	const sum = createHash("sha256");
	const tables = database.prepare("SELECT name FROM sqlite_schema WHERE type = 'table' ORDER BY name").all();
	for (const { name } of tables) {
		const width = database.prepare(`SELECT count(*) AS n FROM pragma_table_info('${name}')`).get()?.n;
		const order = Array.from({ length: Number(width) }, (_, i) => i + 1).join(", ");
		for (const row of database.prepare(`SELECT * FROM ${name} ORDER BY ${order}`).iterate())
			sum.update(`${name} ${Object.values(row).join(" ")}\n`);
	}
	database.close();
	return sum.digest("hex");
}
