/**
 * Files as the SDK sees them: something to read from, something to write to, a hash in pieces. A browser brings a `File`,
 * a machine its disk; no file is ever whole in memory.
 */

import { HASH_BYTES } from "#contracts/identity";
import { type Problem, problem } from "#contracts/problem";
import { CHUNK_CONTENT_BYTES, chunkCount, chunkPayloadBytes, contentBytes } from "./chunk.ts";
import type { Sodium } from "./device.ts";

/** A file to send. `read` answers exactly `length` bytes, or fewer where the file has become shorter; it throws when it cannot be read. */
export interface FileSource {
	readonly name: string;
	readonly sizeBytes: number;
	read(offset: number, length: number): Promise<Uint8Array>;
}

/**
 * Where a file arrives. Bytes come in any order and may come twice; nothing counts as received before `sync` has resolved.
 * `read` gives back what was written, to check the whole after a restart. `finish` makes a verified file visible, and called
 * again after a crash or an error makes it visible once; `abort` removes what is not visible; `close` gives back what is held
 * open and keeps the bytes for the next start.
 */
export interface FileSink {
	/** Nothing of the file was here when it was opened. For a file that was verified it means that it was made visible before. */
	readonly fresh: boolean;
	write(offset: number, bytes: Uint8Array): Promise<void>;
	read(offset: number, length: number): Promise<Uint8Array>;
	sync(): Promise<void>;
	finish(): Promise<void>;
	abort(): Promise<void>;
	close(): Promise<void>;
}

/** Bytes in memory as a file. */
export function bytesSource(name: string, bytes: Uint8Array): FileSource {
	return { name, sizeBytes: bytes.length, read: async (offset, length) => bytes.slice(offset, offset + length) };
}

/** A browser's `File` or `Blob` as a file to send. */
export function blobSource(name: string, blob: Blob): FileSource {
	return {
		name,
		sizeBytes: blob.size,
		read: async (offset, length) => new Uint8Array(await blob.slice(offset, offset + length).arrayBuffer()),
	};
}

/** What can be sent as the SDK takes it: a text or a file. */
export function sourceOf(what: string | FileSource | Blob): string | FileSource {
	if (!(what instanceof Blob)) return what;
	return blobSource("name" in what && typeof what.name === "string" ? what.name : "file", what);
}

/** A sink in memory; `bytes` is there once the file is verified. */
export function bytesSink(sizeBytes: number): FileSink & { bytes: Uint8Array | undefined } {
	const held = new Uint8Array(sizeBytes);
	return {
		bytes: undefined,
		// what is in memory ends with its process: nothing here was ever made visible by an earlier one
		fresh: false,
		write: async (offset, bytes) => held.set(bytes, offset),
		read: async (offset, length) => held.slice(offset, offset + length),
		sync: async () => {},
		async finish() {
			this.bytes = held;
		},
		abort: async () => {},
		close: async () => {},
	};
}

/** BLAKE2b-256 in pieces. libsodium's state lives in its own memory, so `finish` or `drop` must follow. */
export class Hasher {
	private readonly sodium: Sodium;
	private readonly state: ReturnType<Sodium["crypto_generichash_init"]>;
	/** Bytes taken in so far. */
	bytes = 0;

	constructor(sodium: Sodium) {
		this.sodium = sodium;
		this.state = sodium.crypto_generichash_init(null, HASH_BYTES);
	}

	update(bytes: Uint8Array): void {
		this.sodium.crypto_generichash_update(this.state, bytes);
		this.bytes += bytes.length;
	}

	finish(): Uint8Array {
		return this.sodium.crypto_generichash_final(this.state, HASH_BYTES);
	}

	drop(): void {
		this.finish();
	}
}

/** How much of a file is read at once. */
const READ_BYTES = 256 * 1024;

/** Hashes a file from front to back; `look` sees each piece in passing. */
export async function hashFile(
	sodium: Sodium,
	source: Pick<FileSource, "sizeBytes" | "read">,
	look?: (offset: number, bytes: Uint8Array) => void,
): Promise<Uint8Array | Problem> {
	const hasher = new Hasher(sodium);
	while (hasher.bytes < source.sizeBytes) {
		const length = Math.min(READ_BYTES, source.sizeBytes - hasher.bytes);
		const bytes = await source.read(hasher.bytes, length).catch(() => undefined);
		if (!bytes || bytes.length !== length) {
			hasher.drop();
			return bytes ? problem("file-changed", "The file became shorter while it was read.") : problem("file-unreadable");
		}
		look?.(hasher.bytes, bytes);
		hasher.update(bytes);
	}
	return hasher.finish();
}

/** Sealed bytes of a file's chunks, as charged; its manifest comes on top. */
export function chunksSealedBytes(sizeBytes: number): number {
	const count = chunkCount(sizeBytes);
	if (count === 0) return 0;
	const shape = { sizeBytes, chunkBytes: CHUNK_CONTENT_BYTES, count };
	const full = chunkPayloadBytes(CHUNK_CONTENT_BYTES, false);
	return (count - 1) * full + chunkPayloadBytes(contentBytes(shape, count - 1), true);
}
