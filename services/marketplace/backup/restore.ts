/**
 * A market brought back from a backup. Its book is older than the world: payouts may have left since, deposits come, vouchers been redeemed. So it begins
 * held: nothing new is paid out, what was set aside to be sent is taken for told and only asked about, and its owner releases it when every rail was
 * held against the book. It says since when it does not know, so that relays claim anew what they were paid meanwhile.
 */

import { cp, mkdir, rename, rm } from "node:fs/promises";
import { dirname, join } from "node:path";
import type { Crypto } from "#contracts/identity";
import type { Restored } from "#contracts/market";
import { isProblem, type Problem, problem } from "#contracts/problem";
import { PART, readJson, syncFolder, writeJson } from "#host/replace";
import type { Check } from "#marketplace/ledger/audit";
import { auditFile } from "#marketplace/ledger/sqlite";
import { DATABASES, filesIn, hashOfFile, isThere, LIST, problemOfDisk, readList } from "./backup.ts";

/** In a market's folder: that it was restored, and whether its owner has released it. */
const FILE = "restored.json";

/** A folder that was restored. */
export type RestoredMark = Restored & { readonly released: boolean };

/** What is brought back where. */
export type RestoreOrder = {
	readonly crypto: Crypto;
	readonly from: string;
	readonly dataPath: string;
	readonly nowMs: number;
	readonly checks: readonly Check[];
};

/** Brings a backup back into a folder that is not there or empty: whole or not at all. */
export async function restoreBackup(order: RestoreOrder): Promise<RestoredMark | Problem> {
	const { crypto, from, dataPath, nowMs, checks } = order;
	const list = await readList(from);
	if (isProblem(list)) return list;
	if (await isThere(dataPath))
		return problem("conflict", `${dataPath} exists: move it away first. It may know what the backup does not.`);
	const wrong = problem("data-corrupt", `${from} is not as it was written; take another backup.`);
	const names = await filesIn(from);
	if (names.join() !== Object.keys(list.files).sort().join()) return wrong;
	const part = `${dataPath}${PART}`;
	try {
		await rm(part, { recursive: true, force: true });
		await mkdir(dirname(dataPath), { recursive: true });
		await cp(from, part, { recursive: true, filter: (path) => path !== join(from, LIST) });
		for (const name of names)
			if ((await hashOfFile(crypto, join(part, name))) !== list.files[name]) {
				await rm(part, { recursive: true, force: true });
				return wrong;
			}
		const report = await auditFile(join(part, DATABASES[0]), checks);
		if (isProblem(report) || !report.holds) {
			await rm(part, { recursive: true, force: true });
			return isProblem(report) ? report : wrong;
		}
		const mark: RestoredMark = { fromMs: list.atMs, atMs: Math.max(nowMs, list.atMs), released: false };
		await writeJson(join(part, FILE), mark);
		// a market is only ever there with its mark
		await rename(part, dataPath);
		await syncFolder(dirname(dataPath));
		return mark;
	} catch (error) {
		const known = problemOfDisk(error, dataPath);
		if (known) return known;
		throw error;
	}
}

/** A market's own restoring, if it was restored. */
export interface Restoring {
	/** since when the book does not know what happened, and until when; undefined where it was never restored */
	readonly span: Restored | undefined;
	/** whether nothing new may be paid out */
	isHeld(): boolean;
	/** Lets payouts go again, on disk first. */
	release(): Promise<void>;
}

/** Reads a folder's mark. */
export async function openRestoring(dataPath: string): Promise<Restoring | Problem> {
	const path = join(dataPath, FILE);
	const json = (await readJson(path)) as RestoredMark | null | undefined;
	if (json === undefined) return { span: undefined, isHeld: () => false, release: async () => {} };
	const { fromMs, atMs } = json ?? {};
	if (!json || !Number.isSafeInteger(fromMs) || !Number.isSafeInteger(atMs))
		return problem("data-corrupt", `${path} does not say any more from when this market was restored.`);
	let { released } = json;
	return {
		span: { fromMs: json.fromMs, atMs: json.atMs },
		isHeld: () => released !== true,
		release: async () => {
			await writeJson(path, { ...json, released: true } satisfies RestoredMark);
			released = true;
		},
	};
}
