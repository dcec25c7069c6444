/**
 * What waits to be sent, as it rests in storage (`outbox/<message id>`): sealed once, so that a retry after a restart is the same
 * message. For a file also which chunks are answered, and up to where any may have gone out.
 */

import { fromHex, toHex } from "#contracts/bytes";
import { type Card, readCard } from "#contracts/card";
import { isProblem } from "#contracts/problem";
import { has, type Range } from "#contracts/ranges";
import { type Manifest, readManifest, writeManifest } from "./chunk.ts";
import type { Device } from "./device.ts";
import { getJson, putJson } from "./storage.ts";

/** A file's progress. Chunks from `sentTo` on were never encrypted; those before it may have been, under their fixed nonce. */
export type FileProgress = {
	readonly manifest: Manifest;
	announced: boolean;
	kept: Range[];
	sentTo: number;
	/** Who has all of it under this manifest while its letter waits: their identity key and their letter's id, in hex. */
	done: Done[];
};
export type Done = { readonly to: string; readonly id: string };

export type Letter = {
	readonly id: Uint8Array;
	readonly card: Card;
	/** Which of the card's homes it is sealed for. */
	readonly home: number;
	readonly ttlS: number;
	readonly atMs: number;
	/** The sealed message, or a file's sealed manifest. */
	readonly payload: Uint8Array;
	readonly file: FileProgress | undefined;
	/** It was read back: what is in its seal is not known here any more, and cannot be sealed for another relay. */
	readonly readBack?: true;
};

/** A file's letter. Those of one file to several people at one relay have one manifest: its chunks go to all of them at once. */
export type FileLetter = Letter & { readonly file: FileProgress };

/** Something that waits to be sent, as an app sees it. */
export type Waiting = {
	readonly id: Uint8Array;
	/** The identity key of whom it is for. */
	readonly to: Uint8Array;
	readonly atMs: number;
	/** When it is given up: who wrote it wanted it kept no longer. */
	readonly endsAtMs: number;
	/** Only for a file: it needs its source to go on. */
	readonly file: { readonly name: string; readonly sizeBytes: number } | undefined;
};

export function isFileLetter(letter: Letter): letter is FileLetter {
	return letter.file !== undefined;
}

/** A letter as an app sees it. */
export function waitingOf({ id, card, atMs, ttlS, file }: Letter): Waiting {
	const { name, sizeBytes } = file?.manifest ?? { name: "", sizeBytes: 0 };
	return { id, to: card.identity, atMs, endsAtMs: atMs + ttlS * 1000, file: file && { name, sizeBytes } };
}

type Row = {
	card: string;
	home: number;
	ttlS: number;
	atMs: number;
	payload: string;
	file?: Omit<FileProgress, "manifest"> & { manifest: string };
};

/** Writes a letter; resolves when a restart would find it. */
export function writeLetter({ storage }: Pick<Device, "storage">, letter: Letter): Promise<void> {
	const { id, card, home, ttlS, atMs, payload, file } = letter;
	const row: Row = { card: toHex(card.bytes), home, ttlS, atMs, payload: toHex(payload) };
	if (file) row.file = { ...file, manifest: toHex(writeManifest(file.manifest)) };
	return putJson(storage, `outbox/${toHex(id)}`, row);
}

export function dropLetter({ storage }: Pick<Device, "storage">, id: Uint8Array): Promise<void> {
	return storage.delete(`outbox/${toHex(id)}`);
}

/** Every letter that waits, oldest first. One that is damaged is left out. */
export async function readLetters({ crypto, storage }: Pick<Device, "crypto" | "storage">): Promise<Letter[]> {
	const letters: Letter[] = [];
	for (const key of await storage.list("outbox/")) {
		const row = await getJson<Row>(storage, key);
		const id = fromHex(key.slice("outbox/".length));
		const card = readCard(crypto, fromHex(row?.card) ?? new Uint8Array(0));
		const payload = fromHex(row?.payload);
		if (!row || !id || !payload || isProblem(card)) continue;
		const manifest = row.file && readManifest(fromHex(row.file.manifest) ?? new Uint8Array(0));
		if (isProblem(manifest)) continue;
		const file = row.file && manifest && { ...row.file, manifest };
		letters.push({ id, card, home: row.home, ttlS: row.ttlS, atMs: row.atMs, payload, file, readBack: true });
	}
	return letters.sort((a, b) => a.atMs - b.atMs);
}

/** Chunks that may have gone out and are not answered: whatever goes out in their place must be the same bytes. */
export function atRisk(file: FileProgress): number[] {
	const indexes: number[] = [];
	for (let index = 0; index < Math.min(file.sentTo, file.manifest.count); index++)
		if (!has(file.kept, index)) indexes.push(index);
	return indexes;
}
