/**
 * Streams a file's chunks to those who are to have it: reads ahead within a window, goes on where an earlier process stopped for each
 * of them, and never lets one nonce cover two plaintexts (PROTOCOL.md, "Files").
 */

import { same } from "#contracts/bytes";
import { isProblem, type Problem, problem } from "#contracts/problem";
import { has, include } from "#contracts/ranges";
import { contentBytes, type Manifest, writeChunk } from "./chunk.ts";
import type { Device } from "./device.ts";
import { type FileSource, Hasher, hashFile } from "./file.ts";
import { atRisk, type FileLetter } from "./letter.ts";
import type { Answer } from "./parcel.ts";

/** Bytes posted and unanswered at most: twice the largest step, so that the next are ready when the step moves on. */
const WINDOW_BYTES = 2 * 1024 * 1024;
/** Chunks read from the file at once: a quarter of a megabyte. */
const READ_CHUNKS = 16;
/** How far ahead `sentTo` is written, and how often the answers are: one write of each record for two MiB. */
const MARK_CHUNKS = 128;

/** Hashes of chunks that may have gone out before, by chunk: in their place nothing else may go. */
export type Held = ReadonlyMap<number, Uint8Array>;

/** Nothing of it ever went out. */
export const NOTHING_HELD: Held = new Map();

/**
 * Hashes a file once more before its chunks go on; in the same pass also each chunk that may have gone out and is not answered by
 * everybody. `file-changed` when it is not the file that was announced.
 */
export async function checkAgain(
	device: Device,
	source: FileSource,
	letters: readonly FileLetter[],
): Promise<Held | Problem> {
	const { manifest } = (letters[0] as FileLetter).file;
	if (source.sizeBytes !== manifest.sizeBytes) return problem("file-changed");
	const risky = new Set(letters.flatMap(({ file }) => atRisk(file)));
	const held = new Map<number, Uint8Array>();
	let hasher: Hasher | undefined;
	const hash = await hashFile(device.sodium, source, (offset, bytes) => {
		for (let at = offset; at < offset + bytes.length; ) {
			const index = Math.floor(at / manifest.chunkBytes);
			const end = index * manifest.chunkBytes + contentBytes(manifest, index);
			const to = Math.min(end, offset + bytes.length);
			if (risky.has(index)) {
				hasher ??= new Hasher(device.sodium);
				hasher.update(bytes.subarray(at - offset, to - offset));
				if (to === end) held.set(index, hasher.finish());
				if (to === end) hasher = undefined;
			}
			at = to;
		}
	});
	hasher?.drop();
	if (isProblem(hash)) return hash;
	return same(hash, manifest.hash) ? held : problem("file-changed");
}

/** What the stream needs around it. */
export type Carrier = {
	/** Sends a chunk to some of them: one upload, an answer for each. */
	post(payload: Uint8Array, to: readonly FileLetter[]): readonly Promise<Answer>[];
	/** Makes the progress of all of them last. */
	save(): Promise<void>;
	/** Makes it last that chunks before `sentTo` may have gone out, for everybody who has this manifest. */
	mark(sentTo: number): Promise<void>;
	/** So many bytes of contents more are kept for somebody. */
	progress(moreBytes: number): void;
};

/**
 * Sends the chunks that are not answered yet to each who lacks them; resolves when all are kept by everybody but those in `failed`, who
 * get nothing more once they are there, or with why nothing more was sent to anybody. The letters have one manifest.
 */
export async function streamFile(
	device: Device,
	source: FileSource,
	letters: readonly FileLetter[],
	held: Held,
	failed: Map<FileLetter, Problem>,
	carrier: Carrier,
): Promise<Problem | undefined> {
	const { manifest } = (letters[0] as FileLetter).file;
	let broken: Problem | undefined;
	let flyingBytes = 0;
	let wake: (() => void) | undefined;
	let marked = 0;
	const fresh = held.size === 0 && letters.every(({ file }) => file.kept.length === 0);
	const watch = fresh ? new Hasher(device.sodium) : undefined;
	const lacking = (index: number) => letters.filter((one) => !failed.has(one) && !has(one.file.kept, index));
	const over = () => broken !== undefined || letters.every((one) => failed.has(one));

	const post = (index: number, content: Uint8Array) => {
		const to = lacking(index);
		if (to.length === 0) return;
		const payload = writeChunk(device.sodium, manifest, index, content);
		flyingBytes += payload.length * to.length;
		for (const [i, answer] of carrier.post(payload, to).entries())
			void answer.then((answer) => {
				const letter = to[i] as FileLetter;
				flyingBytes -= payload.length;
				if (isProblem(answer)) {
					if (!failed.has(letter)) failed.set(letter, answer);
				} else {
					include(letter.file.kept, index);
					carrier.progress(content.length);
					// what is not written down is only sent once more after a restart
					if (++marked % MARK_CHUNKS === 0) carrier.save().catch(() => {});
				}
				wake?.();
			});
	};
	const room = async (bytes: number) => {
		while (flyingBytes > bytes && !over())
			await new Promise<void>((resolve) => {
				wake = resolve;
			});
	};

	for (let index = 0; index < manifest.count && !over(); ) {
		if (lacking(index).length === 0) {
			index++;
			continue;
		}
		await room(WINDOW_BYTES);
		const chunks = await readChunks(source, manifest, index, (at) => lacking(at).length > 0);
		if (isProblem(chunks)) broken ??= chunks;
		else {
			for (const [i, content] of chunks.entries()) {
				watch?.update(content);
				const before = held.get(index + i);
				if (before && !same(device.crypto.hash(content), before)) broken ??= problem("file-changed");
			}
			const last = index + chunks.length === manifest.count;
			// With the last chunk held back a reader never has a whole file that is not the one announced.
			if (last && watch && !same(watch.finish(), manifest.hash)) broken ??= problem("file-changed");
			if (!over() && letters.some(({ file }) => index + chunks.length > file.sentTo))
				await carrier.mark(index + MARK_CHUNKS);
			for (const content of chunks) if (!over()) post(index++, content);
		}
	}
	await room(0);
	if (watch && watch.bytes < manifest.sizeBytes) watch.drop();
	return broken;
}

/** The next chunks in one read: until one that nobody lacks. */
async function readChunks(
	source: FileSource,
	manifest: Manifest,
	index: number,
	wanted: (index: number) => boolean,
): Promise<Uint8Array[] | Problem> {
	let count = 1;
	while (count < READ_CHUNKS && index + count < manifest.count && wanted(index + count)) count++;
	const offset = index * manifest.chunkBytes;
	const length = Math.min(count * manifest.chunkBytes, manifest.sizeBytes - offset);
	const bytes = await source.read(offset, length).catch(() => undefined);
	if (!bytes) return problem("file-unreadable");
	if (bytes.length !== length) return problem("file-changed", "The file became shorter while it was sent.");
	return Array.from({ length: count }, (_, i) =>
		bytes.subarray(i * manifest.chunkBytes, (i + 1) * manifest.chunkBytes),
	);
}
