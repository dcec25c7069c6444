/** An app's machine, where that is Node: `@farelay/client/node`. State in a folder, files to send and to receive on a disk. */

import { type DiskSource, diskSink, diskSource } from "#host/diskfile";
import { openFolder } from "#host/folder";
import { orThrow } from "#sdk/error";
import type { FileSink } from "#sdk/file";
import type { IncomingFile } from "#sdk/part";
import type { Storage } from "#sdk/storage";

/**
 * Storage in a folder that only its owner can read, one file for each key; a put that was answered survives a crash. One folder for each
 * account, and one client at a time on it.
 */
export function folderStorage(path: string): Storage {
	return openFolder(path);
}

/** A file to send; close it when the send has ended. @throws FarelayError `file-unreadable` when it is missing or no plain file. */
export async function diskFile(path: string): Promise<DiskSource> {
	return orThrow(await diskSource(path));
}

/** A file that arrives, on its way into a folder. `path` is where it will be once it is whole and checked. */
export type DiskArrival = FileSink & { readonly path: string };

/**
 * Where to put a file that comes, for `listen`'s `file` handler. Its sender's name decides nothing but the last part of the path, and what is
 * there already is never replaced. Look at `sizeBytes` first: the sender says it.
 */
export async function intoFolder(
	folder: string,
	{ stream, name }: Pick<IncomingFile, "stream" | "name">,
): Promise<DiskArrival> {
	return diskSink(folder, stream, name);
}
