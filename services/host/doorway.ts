/**
 * Where a service's own door is: a unix socket in its data folder that only the folder's owner can open. A socket's path may have about a
 * hundred bytes; where the folder's is longer the socket lies in a short folder of its own, and a file beside the data says where.
 */

import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";

/** 104 bytes on macOS and 108 on Linux, with the end that C wants. */
const SOCKET_BYTES_MAX = 100;

const SOCKET = "operator.sock";
const POINTER = "operator.at";

/** Where a service that has locked its folder may listen; what an earlier process left there is removed. */
export function makeDoorway(folder: string): { readonly path: string; remove(): void } {
	const plain = join(folder, SOCKET);
	removeOld(folder);
	const short = Buffer.byteLength(plain) <= SOCKET_BYTES_MAX;
	const path = short ? plain : join(mkdtempSync(join(tmpdir(), "farelay-")), SOCKET);
	if (!short) writeFileSync(join(folder, POINTER), path, { mode: 0o600 });
	return { path, remove: () => removeOld(folder) };
}

/** Where the door of a service with this data folder is, if it runs. */
export function findDoorway(folder: string): string {
	return pointed(folder) ?? join(folder, SOCKET);
}

function removeOld(folder: string): void {
	const elsewhere = pointed(folder);
	// only what is surely ours: a folder made above, with nothing but the socket in it
	if (elsewhere?.endsWith(`/${SOCKET}`) && dirname(elsewhere).startsWith(join(tmpdir(), "farelay-")))
		rmSync(dirname(elsewhere), { recursive: true, force: true });
	rmSync(join(folder, POINTER), { force: true });
	rmSync(join(folder, SOCKET), { force: true });
}

function pointed(folder: string): string | undefined {
	try {
		return readFileSync(join(folder, POINTER), "utf8");
	} catch {
		return undefined;
	}
}
