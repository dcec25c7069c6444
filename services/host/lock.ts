/**
 * One process for a folder. Two relays on one till, or two boxes on one market, would each believe that its disk is its own;
 * so a folder is locked by a transaction on a small database in it, which the system lets go of when the process ends, however it ends.
 */

import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { type Problem, problem } from "#contracts/problem";
import { problemOfDatabase } from "./database.ts";

/** A folder that is ours. */
export type FolderLock = { release(): void };

/** Locks a folder, which is made when missing; `conflict` when another process has it. */
export function lockFolder(path: string): FolderLock | Problem {
	let database: DatabaseSync | undefined;
	try {
		mkdirSync(path, { recursive: true, mode: 0o700 });
		database = new DatabaseSync(join(path, "lock.db"), { timeout: 0 });
		database.exec("BEGIN EXCLUSIVE");
		const held = database;
		return { release: () => held.close() };
	} catch (error) {
		if (database?.isOpen) database.close();
		if ((error as { errcode?: number }).errcode === 5)
			return problem("conflict", `Another process is using ${path}; stop it, or name another folder.`);
		const code = (error as NodeJS.ErrnoException).code;
		const known = problemOfDatabase(error, path);
		if (known) return known;
		if (code !== undefined && /^E[A-Z]+$/.test(code))
			return problem("disk", `The folder ${path} cannot be used (${code}).`);
		throw error;
	}
}
