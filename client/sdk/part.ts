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

type PartRecord = { id: string; from: string; atMs: number; manifest: string; ranges: Range[] };

/** How much is read back at once to check a file that was not received in one go. */
const READ_BYTES = 256 * 1024;

export class Part {
	readonly file: IncomingFile;
	readonly manifest: Manifest;
	private readonly device: Device;
	private readonly sink: FileSink;
	private readonly ranges: Range[];
	private hasher: Hasher;
	private dirty = false;

	constructor(device: Device, file: IncomingFile, manifest: Manifest, sink: FileSink, ranges: Range[]) {
		this.device = device;
		this.file = file;
		this.manifest = manifest;
		this.sink = sink;
		this.ranges = ranges;
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
		const manifest = toHex(writeManifest(this.manifest));
		const record: PartRecord = { id: toHex(id), from: toHex(from), atMs, manifest, ranges: this.ranges };
		await putJson(this.device.storage, `part/${this.file.stream}`, record);
	}

	/** Checks the whole against its manifest's hash; hands it out, or removes it. Either way the part is over. */
	async finish(): Promise<Problem | undefined> {
		while (this.hasher.bytes < this.manifest.sizeBytes) {
			const length = Math.min(READ_BYTES, this.manifest.sizeBytes - this.hasher.bytes);
			const bytes = await this.sink.read(this.hasher.bytes, length);
			if (bytes.length !== length) break;
			this.hasher.update(bytes);
		}
		if (!same(this.hasher.finish(), this.manifest.hash)) {
			await this.sink.abort();
			return problem("seal-broken", "The file that came is not the one that was announced.");
		}
		await this.sink.finish();
		return undefined;
	}

	/** Forgets the part's record. */
	async forget(): Promise<void> {
		await this.device.storage.delete(`part/${this.file.stream}`);
	}
}

/** What an earlier process had received of a file. */
export async function recordedPart(
	device: Device,
	stream: string,
): Promise<{ file: IncomingFile; manifest: Manifest; ranges: Range[] } | undefined> {
	const record = await getJson<PartRecord>(device.storage, `part/${stream}`);
	const manifest = readManifest(fromHex(record?.manifest) ?? new Uint8Array(0));
	const id = fromHex(record?.id);
	const from = fromHex(record?.from);
	if (!record || isProblem(manifest) || !id || !from) return undefined;
	const { name, sizeBytes } = manifest;
	return { file: { id, from, atMs: record.atMs, name, sizeBytes, stream }, manifest, ranges: record.ranges };
}
