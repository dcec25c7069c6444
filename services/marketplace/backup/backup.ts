/**
 * A copy of all that a market keeps in its folder, made while it runs: each database at one moment by SQLite itself, keys and small files as they are.
 * What is written has its name only when it is whole, on the disk, and proved by an audit.
 */

import { cp, mkdir, open, readdir, readFile, rename, rm, stat } from "node:fs/promises";
import { dirname, join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { toHex } from "#contracts/bytes";
import { type Crypto, hashFor } from "#contracts/identity";
import { isProblem, type Problem, problem } from "#contracts/problem";
import { problemOfDatabase } from "#host/database";
import { PART, syncFolder, writeJson } from "#host/replace";
import type { Check } from "#marketplace/ledger/audit";
import { auditFile } from "#marketplace/ledger/sqlite";

/** The databases of a market's folder. The ledger comes first: what the others say is about what is in it, or older than it. */
export const DATABASES = ["ledger.db", "cards.db", "board.db"] as const;
/** What else is kept, where it is there. */
const KEPT = ["keys", "own.json"] as const;
/** The list of what is in a backup, written last. */
export const LIST = "backup.json";

/** What a backup says of itself: its files with their hashes, and the moment before which everything is in it. */
export type BackupList = {
	readonly farelay: "backup/1";
	readonly atMs: number;
	readonly transfers: number;
	readonly files: Readonly<Record<string, string>>;
};

/** What is copied where. */
export type BackupOrder = {
	readonly crypto: Crypto;
	readonly dataPath: string;
	/** the folder in which backups are; each is a folder of its own in it */
	readonly to: string;
	readonly nowMs: number;
	readonly checks: readonly Check[];
};

/** Makes a backup; answers its folder. */
export async function makeBackup(
	order: BackupOrder,
): Promise<{ readonly path: string; readonly list: BackupList } | Problem> {
	const { dataPath, to, nowMs } = order;
	const path = join(to, new Date(nowMs).toISOString().slice(0, 19).replaceAll(":", "-"));
	const part = `${path}${PART}`;
	if (!(await isThere(join(dataPath, DATABASES[0])))) return problem("not-found", `There is no market in ${dataPath}.`);
	if (await isThere(path)) return problem("conflict", `${path} exists already; a backup is never written over.`);
	try {
		// what a backup that was killed left behind is nobody's
		await rm(part, { recursive: true, force: true });
		await mkdir(part, { recursive: true, mode: 0o700 });
		const list = await copyInto(part, order);
		if (isProblem(list)) {
			await rm(part, { recursive: true, force: true });
			return list;
		}
		await rename(part, path);
		await syncFolder(to);
		return { path, list };
	} catch (error) {
		await rm(part, { recursive: true, force: true }).catch(() => {});
		const known = problemOfDisk(error, path);
		if (known) return known;
		throw error;
	}
}

async function copyInto(part: string, order: BackupOrder): Promise<BackupList | Problem> {
	const { crypto, dataPath, nowMs, checks } = order;
	for (const name of DATABASES)
		if (await isThere(join(dataPath, name))) copyDatabase(join(dataPath, name), join(part, name));
	for (const name of KEPT)
		if (await isThere(join(dataPath, name)))
			// what is being written beside has another name, and is none of ours
			await cp(join(dataPath, name), join(part, name), { recursive: true, filter: (from) => !from.endsWith(PART) });
	const report = await auditFile(join(part, DATABASES[0]), checks);
	if (isProblem(report)) return report;
	if (!report.holds)
		return problem("data-corrupt", `The ledger does not hold (farelay audit says why): ${report.findings[0]}`);
	const files: Record<string, string> = {};
	for (const name of await filesIn(part)) {
		await syncFile(join(part, name));
		files[name] = await hashOfFile(crypto, join(part, name));
	}
	const list: BackupList = { farelay: "backup/1", atMs: nowMs, transfers: report.transfers, files };
	await writeJson(join(part, LIST), list);
	return list;
}

/** Copies a database as it is at one moment, while others write to it; what was committed by now is in it. */
function copyDatabase(from: string, to: string): void {
	const database = new DatabaseSync(from, { readOnly: true, timeout: 10_000 });
	try {
		database.prepare("VACUUM INTO ?").run(to);
	} finally {
		database.close();
	}
}

/** All files of a backup but its list, as paths with slashes. */
export async function filesIn(folder: string): Promise<string[]> {
	const found = await readdir(folder, { recursive: true, withFileTypes: true });
	return found
		.filter((entry) => entry.isFile())
		.map((entry) => join(entry.parentPath, entry.name).slice(folder.length + 1))
		.filter((name) => name !== LIST)
		.sort();
}

/** SQLite does not sync what it vacuums into. */
async function syncFile(path: string): Promise<void> {
	const file = await open(path, "r+");
	try {
		await file.chmod(0o600);
		await file.sync();
	} finally {
		await file.close();
	}
	await syncFolder(dirname(path));
}

/** Files read at once: hashing goes piece by piece, each over the one before. */
const PIECE_BYTES = 4 * 1024 * 1024;

/** A file's hash, whatever its size. */
export async function hashOfFile(crypto: Crypto, path: string): Promise<string> {
	const file = await open(path, "r");
	try {
		let hash: Uint8Array = new Uint8Array(32);
		for (;;) {
			const piece = new Uint8Array(PIECE_BYTES);
			const { bytesRead } = await file.read(piece, 0, PIECE_BYTES);
			if (bytesRead === 0) return toHex(hash);
			hash = hashFor(crypto, "backup", piece.subarray(0, bytesRead), hash);
		}
	} finally {
		await file.close();
	}
}

/** The list of a backup; a problem when there is none. */
export async function readList(path: string): Promise<BackupList | Problem> {
	const text = await readFile(join(path, LIST), "utf8").catch(() => undefined);
	const none = problem("not-found", `${path} is no backup: it has no ${LIST}.`);
	if (text === undefined) return none;
	try {
		const list = JSON.parse(text) as BackupList;
		const sound = list.farelay === "backup/1" && Number.isSafeInteger(list.atMs) && typeof list.files === "object";
		return sound ? list : none;
	} catch {
		return none;
	}
}

export async function isThere(path: string): Promise<boolean> {
	return (await stat(path).catch(() => undefined)) !== undefined;
}

/** What a disk that does not take or give something is, as a problem. */
export function problemOfDisk(error: unknown, path: string): Problem | undefined {
	const known = problemOfDatabase(error, path);
	if (known) return known;
	const code = (error as NodeJS.ErrnoException).code;
	if (code === undefined || !/^E[A-Z]+$/.test(code)) return undefined;
	return problem("disk", `${path} could not be read or written (${code}).`);
}
