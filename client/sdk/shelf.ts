/**
 * The files that are on their way to a reader: how many there may be, which gives way to another, and when one that nobody
 * finishes is over. What rests of them survives a restart; their handles are given back when the client closes.
 */

import { fromHex, toHex } from "#contracts/bytes";
import { LIMIT } from "#contracts/limit";
import { isProblem, type Problem, problem } from "#contracts/problem";
import type { Manifest } from "./chunk.ts";
import type { Device } from "./device.ts";
import type { FileSink } from "./file.ts";
import { type IncomingFile, Part, recordedPart } from "./part.ts";
import type { Seen } from "./seen.ts";

/** What an app says to a file: where to put it, nothing to refuse it, or why it is refused. */
export type Place = FileSink | Problem | undefined;

/** What the shelf asks of the app. */
export type ShelfHandlers = {
	file?(file: IncomingFile): Place | Promise<Place>;
	failed?(file: IncomingFile, why: Problem): void;
	problem?(problem: Problem): void;
};

/** Files under way at once. Each may hold a file open, and a process may open 256 on some machines: a quarter of them. */
export const FILES_MAX = 64;
/** Of one sender: what a person sends in one go; a flood of one key must not push out everybody else's. */
export const FILES_PER_SENDER_MAX = 16;
/** A piece that nobody took is dropped by its relay after the longest TTL: a file of which nothing came for so long ends. */
const IDLE_MS_MAX = LIMIT.ttlSMax * 1000;
/** How often files that are over are looked for while mail comes: they end by the day, not by the minute. */
const LOOK_EVERY_MS = 60 * 60 * 1000;

/** A file under way. Its part is open once something of it came in this process. */
type Entry = {
	readonly file: IncomingFile;
	atMs: number;
	part: Part | undefined;
	/** An earlier process had it whole and checked: it is finished at the start, and never given up. */
	readonly checked: boolean;
};

const unwanted = (): Problem => problem("file-unreadable", "The file was not wanted here.");

export class Shelf {
	private readonly device: Device;
	private readonly seen: Seen;
	private readonly handlers: ShelfHandlers;
	private readonly entries = new Map<string, Entry>();
	private lookedMs = 0;

	private constructor(device: Device, seen: Seen, handlers: ShelfHandlers) {
		this.device = device;
		this.seen = seen;
		this.handlers = handlers;
	}

	/** Finds what earlier processes left, and ends what is over. */
	static async open(device: Device, seen: Seen, handlers: ShelfHandlers): Promise<Shelf> {
		const shelf = new Shelf(device, seen, handlers);
		for (const key of await device.storage.list("part/")) {
			const stream = key.slice("part/".length);
			const recorded = await recordedPart(device, stream);
			if (!recorded) await device.storage.delete(key);
			else
				shelf.entries.set(stream, {
					file: recorded.file,
					atMs: recorded.changedMs,
					part: undefined,
					checked: recorded.verified,
				});
		}
		await shelf.look();
		return shelf;
	}

	/** What an earlier process had checked and not handed out, or could not say so. */
	checked(): string[] {
		return [...this.entries.values()].filter(({ checked }) => checked).map(({ file }) => file.stream);
	}

	has(stream: string): boolean {
		return this.entries.has(stream);
	}

	/** Takes a file that was announced; nothing when it is refused, which is told. */
	async announce(file: IncomingFile, manifest: Manifest): Promise<Part | undefined> {
		const room = await this.room(file.from);
		const sink = room ? await this.handlers.file?.(file) : undefined;
		if (!sink || isProblem(sink)) {
			const full = () => problem("too-many", `${FILES_MAX} files are under way.`);
			this.refuse(file, sink ?? (room ? unwanted() : full()));
			return undefined;
		}
		const part = new Part(this.device, file, manifest, sink);
		this.entries.set(file.stream, { file, atMs: this.device.nowMs(), part, checked: false });
		await part.save();
		return part;
	}

	/** A file under way, opened where an earlier process left it. */
	async find(stream: string): Promise<Part | undefined> {
		const entry = this.entries.get(stream);
		if (!entry) return undefined;
		entry.atMs = this.device.nowMs();
		if (entry.part) return entry.part;
		const part = await this.reopen(entry);
		if (part && !isProblem(part)) return part;
		this.refuse(entry.file, part ?? unwanted());
		await this.forget(stream);
		return undefined;
	}

	/** Opens a file's part from its record. */
	private async reopen(entry: Entry): Promise<Part | Problem | undefined> {
		const recorded = await recordedPart(this.device, entry.file.stream);
		if (!recorded) return undefined;
		const sink = await this.handlers.file?.(entry.file);
		if (!sink || isProblem(sink)) return sink;
		entry.part = new Part(this.device, recorded.file, recorded.manifest, sink, recorded);
		return entry.part;
	}

	private refuse(file: IncomingFile, why: Problem): void {
		this.note(file);
		this.handlers.failed?.(file, why);
	}

	private note({ id, stream, atMs }: IncomingFile): void {
		this.seen.add(id, atMs);
		this.seen.add(fromHex(stream) as Uint8Array, atMs);
	}

	/** Ends a file that was dealt with: it is on record as seen before its part is forgotten. */
	async done(part: Part): Promise<void> {
		this.note(part.file);
		await this.seen.settle();
		await this.forget(part.file.stream);
	}

	private async forget(stream: string): Promise<void> {
		await this.device.storage.delete(`part/${stream}`);
		this.entries.delete(stream);
	}

	/** Makes room for one more file of a sender. Strangers give way to people whose card is known, never the other way round. */
	private async room(from: Uint8Array): Promise<boolean> {
		const sender = toHex(from);
		const all = [...this.entries.values()];
		const own = all.filter(({ file }) => toHex(file.from) === sender);
		if (own.length < FILES_PER_SENDER_MAX && all.length < FILES_MAX) return true;
		const giving: Entry[] = [];
		for (const entry of own.length >= FILES_PER_SENDER_MAX ? own : all) {
			const known = await this.device.storage.get(`contact/${toHex(entry.file.from)}`);
			if (!entry.checked && !entry.part?.whole && (own.includes(entry) || !known)) giving.push(entry);
		}
		const idlest = giving.toSorted((a, b) => a.atMs - b.atMs)[0];
		if (!idlest) return false;
		await this.drop(
			idlest,
			problem("too-many", "Too many files were under way, and of this one nothing came for longest."),
		);
		return true;
	}

	/** Removes a file that is not finished, with its bytes. Noted as seen first: a crash in between is made good at the next start. */
	private async drop(entry: Entry, why: Problem): Promise<void> {
		this.note(entry.file);
		await this.seen.settle();
		await this.remove(entry);
		this.handlers.failed?.(entry.file, why);
	}

	private async remove(entry: Entry): Promise<void> {
		const part = entry.part ?? (await this.reopen(entry));
		if (part && !isProblem(part)) await part.abort();
		await this.forget(entry.file.stream);
	}

	/** Ends what nobody finishes, and what an earlier process was ending. */
	private async look(): Promise<void> {
		const nowMs = this.device.nowMs();
		this.lookedMs = nowMs;
		for (const entry of [...this.entries.values()])
			try {
				if (this.seen.has(fromHex(entry.file.stream) as Uint8Array)) await this.remove(entry);
				else if (!entry.checked && entry.atMs < nowMs - IDLE_MS_MAX)
					await this.drop(entry, problem("file-unreadable", "The rest of the file never came."));
			} catch (fault) {
				// tried again at the next look; what can still be received must not wait for what is over
				const said = fault instanceof Error ? fault.message : "unknown";
				this.handlers.problem?.(problem("disk", `A file that is over could not be removed: ${said}`, { spent: "no" }));
			}
	}

	/** Makes everything taken so far last. */
	async settle(): Promise<void> {
		for (const { part } of this.entries.values()) await part?.settle();
		if (Math.abs(this.device.nowMs() - this.lookedMs) > LOOK_EVERY_MS) await this.look();
	}

	/** Gives the handles back. What has come is kept for the next start; what a disk does not take now comes again. */
	async close(): Promise<void> {
		for (const entry of this.entries.values()) {
			const { part } = entry;
			entry.part = undefined;
			await part?.settle().catch(() => {});
			await part?.close();
		}
	}
}
