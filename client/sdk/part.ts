/**
 * A file on its way in: chunks in any order and more than once, a record of what has come that survives a restart, and the
 * hash of the whole checked before anyone is told that it is there (PROTOCOL.md, "Files").
 */

import { fromHex, same, toHex } from "#contracts/bytes";
import { isProblem, type Problem, problem } from "#contracts/problem";
import { has, include, type Range, size } from "#contracts/ranges";
import { type Manifest, readChunk, readManifest, writeManifest } from "./chunk.ts";
import type { Device } from "./device.ts";
import { type FileSink, Hasher } from "./file.ts";
import { getJson, putJson } from "./storage.ts";

/** A file that someone sends, as the app sees it. */
export type IncomingFile = {
	/** The manifest's message id: names the file in receipts. */
	readonly id: Uint8Array;
	/** The sender's identity key. */
	readonly from: Uint8Array;
	readonly atMs: number;
	readonly name: string;
	readonly sizeBytes: number;
	/** Hex; names a part under way across restarts. */
	readonly stream: string;
};

/** What an earlier process had received of a file. */
export type Progress = {
	readonly ranges: Range[];
	/** The whole was checked: from here on it is only put in its place. */
	readonly verified: boolean;
};

type PartRecord = {
	id: string;
	from: string;
	atMs: number;
	manifest: string;
	ranges: Range[];
	verified?: boolean;
	changedMs?: number;
};

/** How much is read back at once to check a file that was not received in one go. */
const READ_BYTES = 256 * 1024;

export class Part {
	readonly file: IncomingFile;
	readonly manifest: Manifest;
	private readonly device: Device;
	private readonly sink: FileSink;
	private readonly ranges: Range[];
	private readonly hasher: Hasher;
	private hash: Uint8Array | undefined;
	private dirty = false;
	private verified: boolean;
	/** It is in its place, and its part is no more. */
	private placed = false;
	/** A checked file has no part any more: an earlier process put it in its place and could not say so. */
	private readonly handedOut: boolean;

	constructor(device: Device, file: IncomingFile, manifest: Manifest, sink: FileSink, progress?: Progress) {
		this.device = device;
		this.file = file;
		this.manifest = manifest;
		this.sink = sink;
		this.ranges = progress?.ranges ?? [];
		this.verified = progress?.verified ?? false;
		this.handedOut = this.verified && sink.fresh;
		this.hasher = new Hasher(device.sodium);
	}

	get receivedBytes(): number {
		return Math.min(size(this.ranges) * this.manifest.chunkBytes, this.manifest.sizeBytes);
	}

	get whole(): boolean {
		return size(this.ranges) === this.manifest.count;
	}

	/** Takes a chunk; one that came before changes nothing. A forged one is a problem and changes nothing either. */
	async take(payload: Uint8Array): Promise<Problem | undefined> {
		const chunk = readChunk(this.device.sodium, this.manifest, payload);
		if (isProblem(chunk)) return chunk;
		if (has(this.ranges, chunk.index)) return undefined;
		const offset = chunk.index * this.manifest.chunkBytes;
		await this.sink.write(offset, chunk.content);
		if (this.hasher.bytes === offset) this.hasher.update(chunk.content);
		include(this.ranges, chunk.index);
		this.dirty = true;
		return undefined;
	}

	/** Makes what has come last: the file's bytes first, the record of them after. */
	async settle(): Promise<void> {
		if (!this.dirty) return;
		await this.sink.sync();
		await this.save();
		this.dirty = false;
	}

	async save(): Promise<void> {
		const { id, from, atMs } = this.file;
		const record: PartRecord = {
			id: toHex(id),
			from: toHex(from),
			atMs,
			manifest: toHex(writeManifest(this.manifest)),
			ranges: this.ranges,
			verified: this.verified,
			changedMs: this.device.nowMs(),
		};
		await putJson(this.device.storage, `part/${this.file.stream}`, record);
	}

	/**
	 * Checks the whole against its manifest's hash; hands it out, or removes it. That it was checked is on record before it is
	 * seen in its place, so that a crash in between neither loses the file nor puts it there twice. Called again, it goes on.
	 */
	async finish(): Promise<Problem | undefined> {
		if (this.placed) return undefined;
		if (!this.verified) {
			if (!same(await this.hashOfAll(), this.manifest.hash)) {
				await this.sink.abort();
				return problem("seal-broken", "The file that came is not the one that was announced.");
			}
			this.verified = true;
		}
		if (this.handedOut) await this.sink.abort();
		else {
			await this.save();
			await this.sink.finish();
		}
		this.placed = true;
		return undefined;
	}

	/** The hash of what came: of what was not hashed in passing too. */
	private async hashOfAll(): Promise<Uint8Array> {
		while (!this.hash && this.hasher.bytes < this.manifest.sizeBytes) {
			const length = Math.min(READ_BYTES, this.manifest.sizeBytes - this.hasher.bytes);
			const bytes = await this.sink.read(this.hasher.bytes, length);
			if (bytes.length !== length) break;
			this.hasher.update(bytes);
		}
		this.hash ??= this.hasher.finish();
		return this.hash;
	}

	/** Removes what there is of it. */
	async abort(): Promise<void> {
		this.drop();
		await this.sink.abort();
	}

	/** Lets go of it; its bytes stay for the next start. */
	async close(): Promise<void> {
		this.drop();
		await this.sink.close();
	}

	private drop(): void {
		this.hash ??= this.hasher.finish();
	}
}

/** What an earlier process wrote down of a file. */
export async function recordedPart(
	device: Device,
	stream: string,
): Promise<({ file: IncomingFile; manifest: Manifest; changedMs: number } & Progress) | undefined> {
	const record = await getJson<PartRecord>(device.storage, `part/${stream}`);
	const manifest = readManifest(fromHex(record?.manifest) ?? new Uint8Array(0));
	const id = fromHex(record?.id);
	const from = fromHex(record?.from);
	if (!record || isProblem(manifest) || !id || !from) return undefined;
	const { name, sizeBytes } = manifest;
	const { atMs, ranges, verified = false, changedMs = atMs } = record;
	return { file: { id, from, atMs, name, sizeBytes, stream }, manifest, changedMs, ranges, verified };
}
