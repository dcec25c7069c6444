/**
 * How a data folder is divided: one relay's `mail.db` and `till.db` in it, or a folder for each worker, which `shards.json` names. The file is
 * replaced whole, so at every instant one division counts and everything else there is none of the relay's.
 */

import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { z } from "zod";
import { type Problem, problem } from "#contracts/problem";
import { writeJson } from "#host/replace";
import { WORKERS_MAX } from "./share.ts";

const FILE = "shards.json";

/** As the file has it: how many workers, and the folder with theirs. */
const KEPT = z.strictObject({
	workers: z.int().min(1).max(WORKERS_MAX),
	folder: z.string().regex(/^shards-[1-9][0-9]{0,8}$/),
});

/** A division of a data folder. */
export type Layout = {
	/** The databases' folders, one for each worker. */
	readonly folders: readonly string[];
	/** Whether nothing was ever kept there. */
	readonly fresh: boolean;
};

/** How a data folder is divided now; a fresh one is one relay's. */
export function readLayout(data: string): Layout | Problem {
	const path = join(data, FILE);
	let text: string;
	try {
		text = readFileSync(path, "utf8");
	} catch (error) {
		const code = (error as NodeJS.ErrnoException).code;
		if (code !== "ENOENT") return problem("disk", `${path} cannot be read (${code}).`);
		const fresh = !existsSync(join(data, "mail.db")) && !existsSync(join(data, "till.db"));
		return { folders: [data], fresh };
	}
	try {
		const { workers, folder } = KEPT.parse(JSON.parse(text));
		return { folders: foldersIn(join(data, folder), workers), fresh: false };
	} catch {
		// never guessed: with another division mail would seem to be gone
		return problem("data-corrupt", `${path} is damaged; restore it from a backup.`);
	}
}

/** The databases' folders for so many workers; a problem when the data folder is divided otherwise. */
export async function layOut(data: string, workers: number): Promise<readonly string[] | Problem> {
	const layout = readLayout(data);
	if ("problem" in layout) return layout;
	if (layout.folders.length === workers) return layout.folders;
	if (!layout.fresh) return divided(data, layout.folders.length);
	const folder = "shards-1";
	try {
		await writeJson(join(data, FILE), { workers, folder } satisfies z.infer<typeof KEPT>);
	} catch (error) {
		return problem("disk", `${join(data, FILE)} cannot be written (${(error as NodeJS.ErrnoException).code}).`);
	}
	return foldersIn(join(data, folder), workers);
}

/** The folder of a relay without workers; a problem when the data folder is divided among several. */
export function soleFolder(data: string): string | Problem {
	const layout = readLayout(data);
	if ("problem" in layout) return layout;
	const [folder, ...others] = layout.folders;
	return others.length === 0 && folder !== undefined ? folder : divided(data, layout.folders.length);
}

function foldersIn(folder: string, workers: number): string[] {
	return Array.from({ length: workers }, (_, worker) => join(folder, `worker-${worker}`));
}

function divided(data: string, workers: number): Problem {
	return problem(
		"conflict",
		`The mail and the vouchers in ${data} are those of ${workers === 1 ? "a relay without workers" : `${workers} workers`}: start it with --workers ${workers}, or name another folder.`,
	);
}
