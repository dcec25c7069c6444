/**
 * What comes out of a mailbox: messages opened and shown once, files put together, receipts. Whatever does not open is
 * reported and dropped: left in the mailbox it would come for ever.
 */

import { textOf, toHex } from "#contracts/bytes";
import { MESSAGE, MESSAGE_ID_BYTES, type Message, PAYLOAD } from "#contracts/envelope";
import { isProblem, type Problem, problem } from "#contracts/problem";
import { chunkHead, readManifest } from "./chunk.ts";
import type { Device } from "./device.ts";
import type { FileSink } from "./file.ts";
import type { Identity } from "./identity.ts";
import type { MailboxReport } from "./inbox.ts";
import { type IncomingFile, Part, recordedPart } from "./part.ts";
import { open } from "./seal.ts";
import type { Seen } from "./seen.ts";

/** A text that someone sent. */
export type IncomingText = {
	readonly id: Uint8Array;
	/** The sender's identity key. */
	readonly from: Uint8Array;
	readonly atMs: number;
	readonly text: string;
};

/**
 * What an app does with what comes. Each is awaited before the mail is acknowledged: throw, and it comes again. A crash in
 * between can show something twice, never lose it.
 */
export type Handlers = {
	text?(message: IncomingText): void | Promise<void>;
	/** Where to put a file; called again for a part under way after a restart. Nothing, and the file is refused. */
	file?(file: IncomingFile): FileSink | undefined | Promise<FileSink | undefined>;
	progress?(file: IncomingFile, receivedBytes: number): void;
	/** The file is there, whole and verified. */
	received?(file: IncomingFile): void | Promise<void>;
	/** The file will not come: refused, forged, or not what was announced. */
	failed?(file: IncomingFile, why: Problem): void;
	/** Messages of one's own that arrived, as their reader says. */
	receipt?(from: Uint8Array, ids: readonly Uint8Array[]): void | Promise<void>;
	/** What a mailbox holds and what it lost. */
	report?(report: MailboxReport): void;
	/** Worth knowing, already dealt with: a relay that is away, mail that does not open. */
	problem?(problem: Problem): void;
};

export class Incoming {
	private readonly device: Device;
	private readonly identity: Identity;
	private readonly seen: Seen;
	private readonly handlers: Handlers;
	private readonly parts = new Map<string, Part>();
	/** Called for what was dealt with to the end: the place to answer with a receipt. */
	private readonly arrived: (from: Uint8Array, id: Uint8Array) => void;

	constructor(
		device: Device,
		identity: Identity,
		seen: Seen,
		handlers: Handlers,
		arrived: (from: Uint8Array, id: Uint8Array) => void,
	) {
		this.device = device;
		this.identity = identity;
		this.seen = seen;
		this.handlers = handlers;
		this.arrived = arrived;
	}

	/** Deals with one payload; a problem means that it could not be taken now. */
	async take(payload: Uint8Array, mailbox: Uint8Array): Promise<Problem | undefined> {
		if (payload[0] === PAYLOAD.chunk) return this.chunk(payload);
		const message = open(this.device, payload, mailbox, this.identity);
		if (isProblem(message)) {
			this.handlers.problem?.(message);
			return undefined;
		}
		if (this.seen.has(message.id)) return undefined;
		if (!this.seen.inTime(message.atMs)) {
			this.handlers.problem?.(problem("seal-broken", "A message is too old to tell whether it came before."));
			return undefined;
		}
		return this.message(message);
	}

	private async message(message: Message): Promise<Problem | undefined> {
		const { id, sender: from, atMs, body } = message;
		if (message.kind === MESSAGE.file) return this.manifest(message);
		if (message.kind === MESSAGE.text) {
			const text = textOf(body);
			if (text === undefined) this.handlers.problem?.(problem("seal-broken", "A text is not text."));
			else await this.handlers.text?.({ id, from, atMs, text });
			if (text !== undefined) this.arrived(from, id);
		}
		if (message.kind === MESSAGE.receipt) {
			const ids: Uint8Array[] = [];
			for (let at = 0; at + MESSAGE_ID_BYTES <= body.length; at += MESSAGE_ID_BYTES)
				ids.push(body.slice(at, at + MESSAGE_ID_BYTES));
			await this.handlers.receipt?.(from, ids);
		}
		this.seen.add(id, atMs);
		return undefined;
	}

	private async manifest({ id, sender: from, atMs, body }: Message): Promise<Problem | undefined> {
		const manifest = readManifest(body);
		if (isProblem(manifest)) {
			this.handlers.problem?.(manifest);
			this.seen.add(id, atMs);
			return undefined;
		}
		const stream = toHex(manifest.stream);
		if (this.seen.has(manifest.stream)) return undefined;
		// A stream belongs to who announced it first: its chunks' key is theirs.
		if (this.parts.has(stream) || (await recordedPart(this.device, stream))) return undefined;
		const file = { id, from, atMs, name: manifest.name, sizeBytes: manifest.sizeBytes, stream };
		const sink = await this.handlers.file?.(file);
		if (!sink) {
			this.refuse(file, manifest.stream);
			return undefined;
		}
		const part = new Part(this.device, file, manifest, sink, []);
		this.parts.set(stream, part);
		await part.save();
		return part.whole ? this.finish(part) : undefined;
	}

	private refuse(file: IncomingFile, stream: Uint8Array): void {
		this.seen.add(stream, file.atMs);
		this.seen.add(file.id, file.atMs);
		this.handlers.failed?.(file, problem("file-unreadable", "The file was not wanted here."));
	}

	private async chunk(payload: Uint8Array): Promise<Problem | undefined> {
		const head = chunkHead(payload);
		if (!head || this.seen.has(head.stream)) return undefined;
		const part = await this.part(toHex(head.stream));
		if (!part) {
			this.handlers.problem?.(problem("seal-broken", "A piece came of a file that nobody announced."));
			return undefined;
		}
		const refusal = await part.take(payload);
		if (refusal) {
			this.handlers.problem?.(refusal);
			return undefined;
		}
		this.handlers.progress?.(part.file, part.receivedBytes);
		return part.whole ? this.finish(part) : undefined;
	}

	private async part(stream: string): Promise<Part | undefined> {
		const known = this.parts.get(stream);
		if (known) return known;
		const recorded = await recordedPart(this.device, stream);
		if (!recorded) return undefined;
		const sink = await this.handlers.file?.(recorded.file);
		if (!sink) {
			this.refuse(recorded.file, recorded.manifest.stream);
			await this.device.storage.delete(`part/${stream}`);
			return undefined;
		}
		const part = new Part(this.device, recorded.file, recorded.manifest, sink, recorded.ranges);
		this.parts.set(stream, part);
		return part;
	}

	private async finish(part: Part): Promise<undefined> {
		await part.settle();
		const refusal = await part.finish();
		this.parts.delete(part.file.stream);
		if (refusal) this.handlers.failed?.(part.file, refusal);
		else {
			await this.handlers.received?.(part.file);
			this.arrived(part.file.from, part.file.id);
		}
		this.seen.add(part.file.id, part.file.atMs);
		this.seen.add(part.manifest.stream, part.file.atMs);
		await this.seen.settle();
		await part.forget();
	}

	/** Makes everything taken so far last. */
	async settle(): Promise<undefined> {
		for (const part of this.parts.values()) await part.settle();
		await this.seen.settle();
	}
}
