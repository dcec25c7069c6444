/**
 * What pruning costs a market. On Postgres it runs on: relays' batches, one after the other, with a pruning beside and without. On files it is stopped meanwhile: for how
 * long is told besides.
 */
import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { mkdir, mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { isProblem } from "#contracts/problem";
import { crypto } from "#host/crypto";
import type { Book, Change } from "#marketplace/ledger/book";
import { openPostgresBook } from "#marketplace/ledger/postgres";
import { openSqliteBook } from "#marketplace/ledger/sqlite";
import { ledgerPath } from "#marketplace/stores";
import { runPostgres, type TestPostgres } from "#test/support/postgres";
import { BATCH, openings, redemptions, type Town } from "./ledger-work.ts";
import { median, type Result, rowOf } from "./measure.ts";
import type { Pruning } from "./prune-job.ts";
import type { Terms } from "./run.ts";

export const about = "how long pruning holds up redemptions on Postgres, and a market on files";

const RELAYS = 4;
const TOWN: Town = { tabs: RELAYS * BATCH, relays: RELAYS };

type Waits = { readonly longest: number; readonly middle: number };

/** Measures both. */
export async function bench({ runs, quick }: Terms): Promise<Result> {
	// two changes of 50,000 transfers, or a part of one
	const before = quick ? 40 : 340;
	const work = redemptions(TOWN, before + 1_000);
	const raw = {
		longest: { ours: [] as number[], peer: [] as number[] },
		middle: { ours: [] as number[], peer: [] as number[] },
	};
	const prunings: Pruning[] = [];
	const stops: Pruning[] = [];
	const server = await runPostgres({ durable: true });
	const folder = await mkdtemp(join(tmpdir(), "farelay-bench-prune-"));
	try {
		for (let run = 0; run < runs; run++) {
			let batches = 0;
			for (const side of ["ours", "peer"] as const) {
				const { waits, pruning } = await beside(
					server,
					join(folder, `${run}`),
					work,
					before,
					side === "peer" ? batches : undefined,
				);
				batches = waits.length;
				if (pruning) prunings.push(pruning);
				raw.longest[side].push(Math.max(...waits));
				raw.middle[side].push(median(waits));
			}
			stops.push(await stopped(join(folder, `files-${run}`), work.slice(0, before)));
		}
	} finally {
		await server.stop();
		await rm(folder, { recursive: true, force: true });
	}
	const middleOf = (of: readonly Pruning[], figure: keyof Pruning) => median(of.map((one) => one[figure]));
	const besides = {
		"transfers pruned": middleOf(prunings, "transfers"),
		"Postgres: ms of the pruning": middleOf(prunings, "ms"),
		"Postgres: ms of its longest change": middleOf(prunings, "longestMs"),
		"files: ms that the market is stopped": middleOf(stops, "ms"),
		"files: ms of the longest change": middleOf(stops, "longestMs"),
	};
	const row = (which: keyof Waits, name: string) => {
		const contest = { case: name, unit: "ms a batch of 300", better: "lower" as const, peerName: "no pruning" };
		return { ...rowOf(contest, raw[which]), besides };
	};
	const rows = [row("longest", "longest wait while it is pruned"), row("middle", "middle wait while it is pruned")];
	return { name: "prune", runs, rows, notMeasured: [] };
}

async function fill(book: Book, calls: readonly (readonly Change[])[]): Promise<void> {
	for (const call of [...openings(TOWN), ...calls]) await apply(book, call);
}

async function apply(book: Book, call: readonly Change[]): Promise<void> {
	const other = (await book.apply(call)).find((outcome) => outcome !== "applied");
	if (other) throw new Error(`the book answered ${JSON.stringify(other)}`);
}

async function prune(at: string, archive: string, upTo: number): Promise<Pruning> {
	const words = [join(import.meta.dirname, "prune-job.ts"), at, archive, String(upTo)];
	return JSON.parse((await promisify(execFile)(process.execPath, words)).stdout) as Pruning;
}

/** How long each batch waits, in milliseconds: as many as a pruning lasts, or so many without one. */
async function beside(
	server: TestPostgres,
	archive: string,
	work: readonly (readonly Change[])[],
	before: number,
	batches: number | undefined,
): Promise<{ waits: number[]; pruning: Pruning | undefined }> {
	const url = await server.database();
	const postgres = await server.open({ url, connectionsMax: 2 });
	try {
		const book = await openPostgresBook(postgres, crypto);
		assert(!isProblem(book), JSON.stringify(book));
		await fill(book, work.slice(0, before));
		let pruning: Pruning | undefined;
		const waits: number[] = [];
		const going =
			batches === undefined
				? prune(url, archive, await book.count()).then((done) => {
						pruning = done;
					})
				: Promise.resolve();
		for (const call of work.slice(before)) {
			if (batches === undefined ? pruning : waits.length >= batches) break;
			const began = performance.now();
			await apply(book, call);
			waits.push(performance.now() - began);
		}
		await going;
		await book.close();
		return { waits, pruning };
	} finally {
		await postgres.close();
	}
}

/** How long a market on files is stopped. */
async function stopped(folder: string, calls: readonly (readonly Change[])[]): Promise<Pruning> {
	await mkdir(folder);
	const book = await openSqliteBook({ path: ledgerPath(folder) });
	assert(!isProblem(book), JSON.stringify(book));
	await fill(book, calls);
	const upTo = await book.count();
	await book.close();
	return await prune(folder, join(folder, "archive"), upTo);
}
