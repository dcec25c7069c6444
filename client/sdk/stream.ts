/**
 * Streams a file's chunks to a sender: reads ahead within a window, goes on where an earlier process stopped, and never lets one
 * nonce cover two plaintexts (PROTOCOL.md, "Files").
 */

import { same } from "#contracts/bytes";
import { isProblem, type Problem, problem } from "#contracts/problem";
import { has, include } from "#contracts/ranges";
import { contentBytes, writeChunk } from "./chunk.ts";
import type { Device } from "./device.ts";
import { type FileSource, Hasher, hashFile } from "./file.ts";
import { atRisk, type FileProgress } from "./letter.ts";
import type { Answer } from "./parcel.ts";

/** Bytes posted and unanswered at most: twice the largest step, so that the next are ready when the step moves on. */
const WINDOW_BYTES = 2 * 1024 * 1024;
/** Chunks read from the file at once: a quarter of a megabyte. */
const READ_CHUNKS = 16;
/** How far ahead `sentTo` is written, and how often the answers are: one write of the record for two MiB. */
const MARK_CHUNKS = 128;

/** Plaintexts that must go out unchanged if at all, by chunk. */
export type Held = Map<number, Uint8Array>;

/**
 * Hashes a file once more before its chunks go on; in the same pass it holds those that may have gone out unanswered, so that
 * what is sent again is what was hashed here. `file-changed` when it is not the file that was announced.
 */
export async function checkAgain(device: Device, source: FileSource, file: FileProgress): Promise<Held | Problem> {
	const { manifest } = file;
	const held: Held = new Map();
	for (const index of atRisk(file)) held.set(index, new Uint8Array(contentBytes(manifest, index)));
	const hash =
		source.sizeBytes === manifest.sizeBytes
			? await hashFile(device.sodium, source, (offset, bytes) => {
					const first = Math.floor(offset / manifest.chunkBytes);
					const last = Math.floor((offset + bytes.length - 1) / manifest.chunkBytes);
					for (let index = first; index <= last; index++) {
						const start = index * manifest.chunkBytes;
						const from = Math.max(start, offset);
						held.get(index)?.set(bytes.subarray(from - offset, start + manifest.chunkBytes - offset), from - start);
					}
				})
			: problem("file-changed");
	if (isProblem(hash)) return hash;
	return same(hash, manifest.hash) ? held : problem("file-changed");
}

/** What the stream needs around it. */
export type Carrier = {
	post(payload: Uint8Array): Promise<Answer>;
	/** Makes the progress last. */
	save(): Promise<void>;
	progress(keptBytes: number): void;
};

/** Sends the chunks that are not answered yet; resolves when all are kept, or with why the rest was not sent. */
export async function streamFile(
	device: Device,
	source: FileSource,
	file: FileProgress,
	held: Held,
	carrier: Carrier,
): Promise<Problem | undefined> {
	const { manifest, kept } = file;
	let failed: Problem | undefined;
	let flyingBytes = 0;
	let wake: (() => void) | undefined;
	let keptBytes = kept.reduce((sum, [first, last]) => sum + (last - first + 1) * manifest.chunkBytes, 0);
	let marked = 0;
	const watch = kept.length === 0 && held.size === 0 ? new Hasher(device.sodium) : undefined;

	const post = (index: number, content: Uint8Array) => {
		const payload = writeChunk(device.sodium, manifest, index, content);
		flyingBytes += payload.length;
		carrier.post(payload).then((answer) => {
			flyingBytes -= payload.length;
			if (isProblem(answer)) failed ??= answer;
			else {
				include(kept, index);
				keptBytes += content.length;
				carrier.progress(Math.min(keptBytes, manifest.sizeBytes));
				// what is not written down is only sent once more after a restart
				if (++marked % MARK_CHUNKS === 0) carrier.save().catch(() => {});
			}
			wake?.();
		});
	};
	const room = async (bytes: number) => {
		while (flyingBytes > bytes && !failed)
			await new Promise<void>((resolve) => {
				wake = resolve;
			});
	};

	for (let index = 0; index < manifest.count && !failed; ) {
		if (has(kept, index)) {
			index++;
			continue;
		}
		await room(WINDOW_BYTES);
		const chunks = await readChunks(source, file, index, held);
		if (isProblem(chunks)) failed ??= chunks;
		else {
			for (const content of chunks) watch?.update(content);
			const last = index + chunks.length === manifest.count;
			// With the last chunk held back a reader never has a whole file that is not the one announced.
			if (last && watch && !same(watch.finish(), manifest.hash)) failed ??= problem("file-changed");
			if (!failed && index + chunks.length > file.sentTo) {
				file.sentTo = index + MARK_CHUNKS;
				await carrier.save();
			}
			for (const content of chunks) if (!failed) post(index++, content);
		}
	}
	await room(0);
	if (watch && failed && watch.bytes < manifest.sizeBytes) watch.drop();
	return failed;
}

/** The next chunks in one read: until one that is answered or held. */
async function readChunks(
	source: FileSource,
	{ manifest, kept }: FileProgress,
	index: number,
	held: Held,
): Promise<Uint8Array[] | Problem> {
	const fixed = held.get(index);
	if (fixed) {
		held.delete(index);
		return [fixed];
	}
	let count = 1;
	while (count < READ_CHUNKS && index + count < manifest.count && !has(kept, index + count) && !held.has(index + count))
		count++;
	const offset = index * manifest.chunkBytes;
	const length = Math.min(count * manifest.chunkBytes, manifest.sizeBytes - offset);
	const bytes = await source.read(offset, length).catch(() => undefined);
	if (!bytes) return problem("file-unreadable");
	if (bytes.length !== length) return problem("file-changed", "The file became shorter while it was sent.");
	return Array.from({ length: count }, (_, i) =>
		bytes.subarray(i * manifest.chunkBytes, (i + 1) * manifest.chunkBytes),
	);
}
