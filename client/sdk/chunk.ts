/**
 * A file on the wire: a sealed manifest with a key of its own, then chunks under that key in the STREAM construction over
 * XChaCha20-Poly1305, so that either side can go on at any chunk (PROTOCOL.md, "Files").
 *
 * The key is fresh for each file, so a nonce is its chunk's place: `zeros 19 · index u32 · last u8`.
 */

import { Reader, same, textOf, Writer } from "#contracts/bytes";
import { PAYLOAD, padme } from "#contracts/envelope";
import { HASH_BYTES, KEY_BYTES } from "#contracts/identity";
import { LIMIT } from "#contracts/limit";
import { type Problem, problem } from "#contracts/problem";
import type { Aead } from "./device.ts";

/** What a sealed manifest says. */
export type Manifest = {
	/** Names the chunks of this file among all others: 16 random bytes. */
	readonly stream: Uint8Array;
	readonly key: Uint8Array;
	readonly sizeBytes: number;
	/** BLAKE2b-256 of the whole contents. */
	readonly hash: Uint8Array;
	/** Content bytes in every chunk but the last. */
	readonly chunkBytes: number;
	readonly count: number;
	/** What the sender calls it; for show only, never a path. */
	readonly name: string;
};

export const STREAM_BYTES = 16;
const CHUNK_HEAD_BYTES = 1 + STREAM_BYTES + 4;
const TAG_BYTES = 16;

/** A full chunk's payload is exactly one slice. */
export const CHUNK_CONTENT_BYTES = LIMIT.sliceBytes - CHUNK_HEAD_BYTES - TAG_BYTES;

/** A name has to fit any file system. */
export const FILE_NAME_BYTES_MAX = 255;

const text = new TextEncoder();

/** How many chunks a file has; none when it is empty. */
export function chunkCount(sizeBytes: number, chunkBytes: number = CHUNK_CONTENT_BYTES): number {
	return Math.ceil(sizeBytes / chunkBytes);
}

/** Writes a manifest's body: `stream 16 · key 32 · size u64 · hash 32 · chunk bytes u32 · count u32 · name length u16 · name`. */
export function writeManifest(manifest: Manifest): Uint8Array {
	const name = text.encode(manifest.name);
	if (name.length > FILE_NAME_BYTES_MAX) throw new RangeError("a file's name is over the limit");
	return new Writer(360)
		.put(manifest.stream, STREAM_BYTES)
		.put(manifest.key, KEY_BYTES)
		.u64(manifest.sizeBytes)
		.put(manifest.hash, HASH_BYTES)
		.u32(manifest.chunkBytes)
		.u32(manifest.count)
		.u16(name.length)
		.put(name)
		.finish();
}

/** Reads a manifest's body. Total; the name is cleaned of what could climb out of a folder or change a line. */
export function readManifest(body: Uint8Array): Manifest | Problem {
	const reader = new Reader(body);
	const stream = reader.take(STREAM_BYTES);
	const key = reader.take(KEY_BYTES);
	const sizeBytes = reader.count();
	const hash = reader.take(HASH_BYTES);
	const chunkBytes = reader.u32();
	const count = reader.u32();
	const nameBytes = reader.u16();
	if (nameBytes > FILE_NAME_BYTES_MAX) return problem("seal-broken", "The file's name is too long.");
	const named = reader.take(nameBytes);
	if (
		!reader.done ||
		chunkBytes < 1 ||
		chunkBytes > LIMIT.payloadBytesMax ||
		count !== chunkCount(sizeBytes, chunkBytes)
	)
		return problem("seal-broken", "The manifest does not describe a file.");
	const name = textOf(named);
	if (name === undefined) return problem("seal-broken", "The file's name is not text.");
	return { stream, key, sizeBytes, hash, chunkBytes, count, name: fileName(name) };
}

/** The last part of a path, without what could climb or change a line; never empty. */
export function fileName(name: string): string {
	const last = name.split(/[/\\]/).at(-1) ?? "";
	const plain = last.replace(/[\p{Cc}\p{Cf}]/gu, "").replace(/^\.+/, "");
	return plain === "" ? "file" : plain;
}

/** Content bytes of a chunk. */
export function contentBytes(manifest: Pick<Manifest, "sizeBytes" | "chunkBytes" | "count">, index: number): number {
	return index === manifest.count - 1 ? manifest.sizeBytes - index * manifest.chunkBytes : manifest.chunkBytes;
}

/** Bytes of a chunk's payload: full chunks are one slice, the last is padded to a Padme size. */
export function chunkPayloadBytes(content: number, last: boolean): number {
	const bytes = CHUNK_HEAD_BYTES + content + TAG_BYTES;
	return last ? padme(bytes) : bytes;
}

function nonce(index: number, last: boolean): Uint8Array {
	const bytes = new Uint8Array(24);
	new DataView(bytes.buffer).setUint32(19, index, true);
	bytes[23] = last ? 1 : 0;
	return bytes;
}

/** Writes a chunk's payload: `2 · stream 16 · index u32 · ciphertext`, with the stream's id as additional data. */
export function writeChunk(sodium: Aead, manifest: Manifest, index: number, content: Uint8Array): Uint8Array {
	const last = index === manifest.count - 1;
	if (index >= manifest.count || content.length !== contentBytes(manifest, index))
		throw new RangeError("not this chunk's content");
	const payload = new Uint8Array(chunkPayloadBytes(content.length, last));
	let plain = content;
	if (last) {
		plain = new Uint8Array(payload.length - CHUNK_HEAD_BYTES - TAG_BYTES);
		plain.set(content);
	}
	const { stream, key } = manifest;
	payload[0] = PAYLOAD.chunk;
	payload.set(stream, 1);
	new DataView(payload.buffer).setUint32(1 + STREAM_BYTES, index, true);
	payload.set(
		sodium.crypto_aead_xchacha20poly1305_ietf_encrypt(plain, stream, null, nonce(index, last), key),
		CHUNK_HEAD_BYTES,
	);
	return payload;
}

/** Which file and place a chunk's payload claims; undefined when it is no chunk. */
export function chunkHead(payload: Uint8Array): { stream: Uint8Array; index: number } | undefined {
	const reader = new Reader(payload);
	if (reader.u8() !== PAYLOAD.chunk) return undefined;
	const head = { stream: reader.take(STREAM_BYTES), index: reader.u32() };
	return reader.sound && reader.left >= TAG_BYTES ? head : undefined;
}

/** Opens a chunk. Total: any bytes give its content or `seal-broken`. */
export function readChunk(
	sodium: Aead,
	manifest: Manifest,
	payload: Uint8Array,
): { index: number; content: Uint8Array } | Problem {
	const head = chunkHead(payload);
	if (!head || !same(head.stream, manifest.stream) || head.index >= manifest.count)
		return problem("seal-broken", "The chunk is not of this file.");
	const last = head.index === manifest.count - 1;
	const length = contentBytes(manifest, head.index);
	let plain: Uint8Array;
	try {
		plain = sodium.crypto_aead_xchacha20poly1305_ietf_decrypt(
			null,
			payload.subarray(CHUNK_HEAD_BYTES),
			manifest.stream,
			nonce(head.index, last),
			manifest.key,
		);
	} catch {
		return problem("seal-broken", "The chunk does not open with its file's key.");
	}
	if (plain.length < length || (!last && plain.length !== length))
		return problem("seal-broken", "The chunk has not the length that its file says.");
	return { index: head.index, content: plain.subarray(0, length) };
}
