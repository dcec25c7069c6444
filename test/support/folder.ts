/** A folder for databases of stories that are not about what outlives a crash of the machine. */

import { accessSync, constants, statfsSync } from "node:fs";
import { mkdtemp } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";

/** Where Linux keeps files in memory: waiting for a disk is most of what such a story would take. */
const MEMORY = "/dev/shm";

/** Containers often have 64 MB there, which a few databases fill. */
const FREE_BYTES_MIN = 1024 ** 3;

/** Makes a folder in memory where there is room for it, else among the temporary files; whoever makes it removes it. */
export function quickFolder(prefix: string): Promise<string> {
	return mkdtemp(join(hasRoom() ? MEMORY : tmpdir(), prefix));
}

function hasRoom(): boolean {
	try {
		accessSync(MEMORY, constants.W_OK);
		const { bavail, bsize } = statfsSync(MEMORY);
		return bavail * bsize >= FREE_BYTES_MIN;
	} catch {
		return false;
	}
}
