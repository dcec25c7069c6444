/**
 * Prunes a ledger, stretch by stretch: each is written to the archive, read back from there, and only then taken out of the book in one change. Whoever is killed leaves
 * a ledger that is whole with its archive, and pruning again goes on.
 */

import { existsSync } from "node:fs";
import { isProblem, type Problem, problem } from "#contracts/problem";
import { passFaultPoint } from "#host/fault";
import { ArchiveFault, archivePath, isSwept, readArchive, sweepArchive, writeArchive } from "./archive.ts";
import { type Book, LIST_MAX, prunedMeanwhile } from "./book.ts";
import { NO_CHAIN } from "./pruning.ts";
import type { KeptTransfer } from "./transfer.ts";

/** Transfers pruned in one change, some seconds of work: what a market waits for at most, and what a kill undoes. */
const SLICE_TRANSFERS = 50_000;

/** What pruning needs. */
export type PruneDeps = {
	readonly book: Pick<Book, "history" | "pruned" | "prune">;
	/** where the archive is; the same each time */
	readonly folder: string;
	/** transfers made before go, up to the first that was not */
	readonly beforeMs: number;
	/** the last position that may go: the newest commitment's trees are grown from the ledger as it was then */
	readonly upToMost: number;
	readonly sliceTransfers?: number;
};

/** What was done. */
export type Pruned = {
	/** transfers that went to the archive */
	readonly transfers: number;
	/** entries that are gone from the ledger */
	readonly entries: number;
	/** the archive's new files */
	readonly files: readonly string[];
	/** up to where the ledger is pruned now, all in all */
	readonly upTo: number;
};

/** Prunes what is older. */
export async function pruneLedger(deps: PruneDeps): Promise<Pruned | Problem> {
	const { book, folder, sliceTransfers = SLICE_TRANSFERS } = deps;
	let done: Pruned = { transfers: 0, entries: 0, files: [], upTo: 0 };
	await sweepArchive(folder);
	for (;;) {
		const last = await book.pruned();
		const start = { since: last?.upTo ?? 0, chain: last?.chain ?? NO_CHAIN };
		if (last && !existsSync(archivePath(folder, last)))
			return problem(
				"not-found",
				`The archive of what was pruned before is not in ${folder}; name its folder. Nothing was changed.`,
			);
		const upToMost = Math.min(deps.upToMost, start.since + sliceTransfers);
		try {
			const slice = await writeArchive(folder, start, goingAfter(deps, start.since, upToMost));
			if (!slice) return { ...done, upTo: start.since };
			// what is on the disk is what is relied on, not what was sent there
			for await (const _ of readArchive(folder, start, slice));
			const entries = await book.prune(slice);
			if (isProblem(entries)) return entries;
			passFaultPoint("prune:taken");
			const transfers = done.transfers + slice.upTo - slice.since;
			const files = [...done.files, archivePath(folder, slice)];
			done = { transfers, entries: done.entries + entries, files, upTo: slice.upTo };
		} catch (error) {
			if (isSwept(error)) return prunedMeanwhile();
			if (!(error instanceof ArchiveFault)) throw error;
			// entries that go while they are read are no fault of theirs
			if (((await book.pruned())?.upTo ?? 0) !== start.since) return prunedMeanwhile();
			return problem(
				"data-corrupt",
				`${error.message}. Nothing more was pruned. A folder takes the archive of one ledger; farelay audit says whether this one holds.`,
			);
		}
	}
}

async function* goingAfter(
	{ book, beforeMs }: PruneDeps,
	since: number,
	upToMost: number,
): AsyncGenerator<KeptTransfer> {
	for (let after = since; ; ) {
		const page = await book.history(after, LIST_MAX);
		for (const transfer of page) {
			if (transfer.position > upToMost || transfer.atMs >= beforeMs) return;
			yield transfer;
		}
		const last = page.at(-1);
		if (!last) return;
		after = last.position;
	}
}
