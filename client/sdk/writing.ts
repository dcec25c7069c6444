/** Letters as they are written: sealed once for one person and one mailbox (PROTOCOL.md, "Cards, sealing and files"). */

import type { Card, Home } from "#contracts/card";
import { MESSAGE } from "#contracts/envelope";
import { KEY_BYTES } from "#contracts/identity";
import {
	CHUNK_CONTENT_BYTES,
	chunkCount,
	FILE_NAME_BYTES_MAX,
	fileName,
	type Manifest,
	STREAM_BYTES,
	writeManifest,
} from "./chunk.ts";
import type { Device } from "./device.ts";
import type { FileSource } from "./file.ts";
import type { Identity } from "./identity.ts";
import type { FileLetter, Letter } from "./letter.ts";
import { seal } from "./seal.ts";

/** To whom, at which of their card's homes, for how long. */
export type Addressee = { readonly card: Card; readonly home: number; readonly ttlS: number };

/** A manifest's body without its name. */
const MANIFEST_BYTES = 16 + 32 + 8 + 32 + 4 + 4 + 2;
const text = new TextEncoder();

/** A message's letter; under an id that is given where it is the same message sealed anew. */
export function writeMessageLetter(
	device: Device,
	from: Identity,
	{ card, home, ttlS }: Addressee,
	message: { readonly kind: number; readonly body: Uint8Array; readonly id?: Uint8Array },
): Letter {
	const atMs = device.nowMs();
	const to = { mailbox: (card.homes[home] as Home).mailbox, seal: card.seal };
	return { ...seal(device, { ...message, atMs }, to, from), card, home, ttlS, atMs, file: undefined };
}

/** A file's letter: its manifest, sealed for one of those who are to have it. */
export function writeFileLetter(device: Device, from: Identity, to: Addressee, manifest: Manifest): FileLetter {
	const message = { kind: MESSAGE.file, body: writeManifest(manifest) };
	const file = { manifest, announced: false, kept: [], sentTo: 0, done: [] };
	return { ...writeMessageLetter(device, from, to, message), file };
}

/** A manifest under a fresh stream and key: for those who are to have the file at one relay, and for no others. */
export function newManifest({ crypto }: Device, source: FileSource, hash: Uint8Array): Manifest {
	return {
		stream: crypto.random(STREAM_BYTES),
		key: crypto.random(KEY_BYTES),
		sizeBytes: source.sizeBytes,
		hash,
		chunkBytes: CHUNK_CONTENT_BYTES,
		count: chunkCount(source.sizeBytes),
		name: sentName(source),
	};
}

/** Bytes of the body of a manifest with this name. */
export function manifestBytes(name: string): number {
	return MANIFEST_BYTES + text.encode(name).length;
}

/** A file's name as it is sent: without its path, cut to what a manifest takes at a whole character. */
export function sentName({ name }: Pick<FileSource, "name">): string {
	let cut = fileName(name);
	while (text.encode(cut).length > FILE_NAME_BYTES_MAX) cut = [...cut].slice(0, -1).join("");
	return cut;
}
