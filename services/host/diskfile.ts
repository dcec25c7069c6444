/**
 * Files on a machine's disk, to send from and to receive into. They have the shape of the SDK's `FileSource` and `FileSink`
 * (client/sdk/file.ts); no file is ever whole in memory.
 */

import { constants } from "node:fs";
import { access, type FileHandle, link, mkdir, open, rename, rm, stat } from "node:fs/promises";
import { basename, dirname, extname, join } from "node:path";
import { isProblem, type Problem, problem } from "#contracts/problem";
import { syncFolder } from "./replace.ts";

/** A file to send. */
export type DiskSource = {
	readonly name: string;
	readonly sizeBytes: number;
	read(offset: number, length: number): Promise<Uint8Array>;
	close(): Promise<void>;
};

/** Opens a file to send; a problem when it is missing, no plain file, or may not be read. */
export async function diskSource(path: string): Promise<DiskSource | Problem> {
	const opened = await openPlain(path);
	if (isProblem(opened)) return problem("file-unreadable", `${opened.detail} Nothing was sent.`);
	const { handle, sizeBytes } = opened;
	return {
		name: basename(path),
		sizeBytes,
		read: (offset, length) => readFully(handle, offset, length),
		close: () => handle.close(),
	};
}

/** Reads a small file whole; a problem when it cannot be read, is no plain file, or is longer than it may be. */
export async function readSmall(path: string, bytesMax: number): Promise<Uint8Array | Problem> {
	const opened = await openPlain(path);
	if (isProblem(opened)) return opened;
	try {
		const bytes = await readFully(opened.handle, 0, bytesMax + 1);
		return bytes.length <= bytesMax
			? bytes
			: problem("file-unreadable", `${path} is too long to be what is asked for.`);
	} finally {
		await opened.handle.close();
	}
}

async function openPlain(path: string): Promise<{ handle: FileHandle; sizeBytes: number } | Problem> {
	let handle: FileHandle;
	try {
		// not blocking: opening a pipe that nobody writes to would otherwise wait for ever
		handle = await open(path, constants.O_RDONLY | constants.O_NONBLOCK);
	} catch (error) {
		const code = (error as NodeJS.ErrnoException).code;
		const why =
			code === "ENOENT" ? "is not there" : code === "EACCES" ? "may not be read by you" : `cannot be read (${code})`;
		return problem("file-unreadable", `${path} ${why}.`);
	}
	const found = await handle.stat();
	if (found.isFile()) return { handle, sizeBytes: found.size };
	await handle.close();
	return problem("file-unreadable", `${path} is not a file.`);
}

async function readFully(handle: FileHandle, offset: number, length: number): Promise<Uint8Array> {
	const bytes = new Uint8Array(length);
	let got = 0;
	while (got < length) {
		const { bytesRead } = await handle.read(bytes, got, length - got, offset + got);
		if (bytesRead === 0) break;
		got += bytesRead;
	}
	return bytes.subarray(0, got);
}

/** A file that arrives. `path` is where it will be once it is whole; until then its bytes are in a part beside it. */
export type DiskSink = {
	readonly path: string;
	/** No part of it was here. */
	readonly fresh: boolean;
	write(offset: number, bytes: Uint8Array): Promise<void>;
	read(offset: number, length: number): Promise<Uint8Array>;
	sync(): Promise<void>;
	finish(): Promise<void>;
	abort(): Promise<void>;
	/** Gives the handle back; the part stays. */
	close(): Promise<void>;
};

/** Why no file could arrive in a folder, which need not be there yet: said before anybody waits for one. */
export async function refuseFolder(folder: string): Promise<Problem | undefined> {
	try {
		if (!(await stat(folder)).isDirectory()) return problem("disk", `${folder} is a file, and files go into a folder.`);
		await access(folder, constants.W_OK);
		return undefined;
	} catch (error) {
		const { code } = error as NodeJS.ErrnoException;
		if (code === "ENOENT") return refuseFolder(dirname(folder));
		return problem("disk", `Nothing may be written into ${folder} (${code}).`);
	}
}

/** Names that may be tried for a file whose own name is taken. */
const NAMES_MAX = 1000;

/** A part is our own file: a link that somebody laid in its place is not followed. */
const PART_FLAGS = constants.O_RDWR | constants.O_CREAT | (constants.O_NOFOLLOW ?? 0);

/**
 * Opens a file to receive into a folder, or goes on with the part of an earlier process. `stream` names the part; `name` is
 * what its sender calls it: only its last part counts, and a file that is there already is never replaced. The part is open only
 * between its first bytes and the next `sync`: files that were announced and do not come must not use up what a process may open.
 */
export async function diskSink(folder: string, stream: string, name: string): Promise<DiskSink> {
	await mkdir(folder, { recursive: true, mode: 0o700 });
	const part = join(folder, `.${basename(stream)}.part`);
	const fresh = !(await isThere(part));
	// made at once, so that an empty file has a part too and its absence says that the file is in its place
	if (fresh) {
		await (await open(part, PART_FLAGS, 0o600)).close();
		await syncFolder(folder);
	}
	let opened: Promise<FileHandle> | undefined;
	const handle = (): Promise<FileHandle> => {
		opened ??= open(part, PART_FLAGS, 0o600);
		// what could not be opened now may be later
		opened.catch(() => {
			opened = undefined;
		});
		return opened;
	};
	const close = async (): Promise<void> => {
		const closing = opened;
		opened = undefined;
		await (await closing)?.close();
	};
	const sink = {
		path: join(folder, basename(name)),
		fresh,
		write: async (offset: number, bytes: Uint8Array) => {
			const to = await handle();
			let put = 0;
			while (put < bytes.length) put += (await to.write(bytes, put, bytes.length - put, offset + put)).bytesWritten;
		},
		read: async (offset: number, length: number) => readFully(await handle(), offset, length),
		sync: async () => {
			await (await opened)?.datasync();
			await close();
		},
		async finish() {
			await (await handle()).sync();
			await close();
			sink.path = await putInPlace(part, folder, basename(name));
		},
		async abort() {
			await close();
			await rm(part, { force: true });
		},
		close,
	};
	return sink;
}

function isThere(path: string): Promise<boolean> {
	return stat(path).then(
		() => true,
		(error: NodeJS.ErrnoException) => {
			if (error.code === "ENOENT") return false;
			throw error;
		},
	);
}

/** Gives the part its own name, or the next free one ("photo (2).jpg"); nothing is replaced. */
async function putInPlace(part: string, folder: string, name: string): Promise<string> {
	const end = extname(name);
	const stem = name.slice(0, name.length - end.length);
	for (let n = 1; n <= NAMES_MAX; n++) {
		const path = join(folder, n === 1 ? name : `${stem} (${n})${end}`);
		const named = await giveName(part, path);
		if (named === "taken") continue;
		if (named === "both") {
			// its name is on the disk before the part's is not
			await syncFolder(folder);
			await rm(part);
		}
		return path;
	}
	throw new Error(`there are ${NAMES_MAX} files of the name ${name}`);
}

async function giveName(part: string, path: string): Promise<"taken" | "both" | "moved"> {
	try {
		await link(part, path);
		return "both";
	} catch {
		const mine = await stat(part, { bigint: true });
		const there = await stat(path, { bigint: true }).catch(() => undefined);
		// a crash may have left the one file with both names
		if (there) return there.ino === mine.ino && there.dev === mine.dev ? "both" : "taken";
		// a file system without hard links
		await rename(part, path);
		return "moved";
	}
}
