/**
 * What comes out of a mailbox: messages opened and shown once, files put together, receipts. Whatever does not open is
 * reported and dropped: left in the mailbox it would come for ever.
 */

import { textOf, toHex } from "#contracts/bytes";
import { MESSAGE, MESSAGE_ID_BYTES, type Message, PAYLOAD } from "#contracts/envelope";
import { isProblem, type Problem, problem } from "#contracts/problem";
import { chunkHead, readManifest } from "./chunk.ts";
import type { Device } from "./device.ts";
import type { Identity } from "./identity.ts";
import type { MailboxReport } from "./inbox.ts";
import type { IncomingFile, Part } from "./part.ts";
import { open } from "./seal.ts";
import { Seen } from "./seen.ts";
import { type Place, Shelf } from "./shelf.ts";

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
	/**
	 * Where to put a file; nothing or a problem, and the file is refused: look at its size, for the sender says it. Called again
	 * after a restart for a file under way, and for one that is over, to remove what there is of it.
	 */
	file?(file: IncomingFile): Place | Promise<Place>;
	progress?(file: IncomingFile, receivedBytes: number): void;
	/** The file is there, whole and verified. */
	received?(file: IncomingFile): void | Promise<void>;
	/** The file will not come: refused, forged, not what was announced, never finished, or one too many. */
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
	private readonly shelf: Shelf;
	/** Called for what was dealt with to the end: the place to answer with a receipt. */
	private readonly arrived: (from: Uint8Array, id: Uint8Array) => void;

	private turn: Promise<unknown> = Promise.resolve();

	private constructor(
		device: Device,
		identity: Identity,
		seen: Seen,
		shelf: Shelf,
		handlers: Handlers,
		arrived: (from: Uint8Array, id: Uint8Array) => void,
	) {
		this.device = device;
		this.identity = identity;
		this.seen = seen;
		this.shelf = shelf;
		this.handlers = handlers;
		this.arrived = arrived;
	}

	/** Reads what earlier processes knew. */
	static async open(
		device: Device,
		identity: Identity,
		handlers: Handlers,
		arrived: (from: Uint8Array, id: Uint8Array) => void,
	): Promise<Incoming> {
		const seen = await Seen.open(device);
		const shelf = await Shelf.open(device, seen, handlers);
		const incoming = new Incoming(device, identity, seen, shelf, handlers, arrived);
		for (const stream of shelf.checked()) await incoming.again(stream);
		return incoming;
	}

	/** Mail of several homes is dealt with one after the other: a file that gives way must not be written to meanwhile. */
	private inTurn<Answer>(run: () => Promise<Answer>): Promise<Answer> {
		const mine = this.turn.then(run);
		this.turn = mine.catch(() => {});
		return mine;
	}

	/** Deals with one payload; a problem means that it could not be taken now. `opened` is called for what opened and had not come before. */
	take(payload: Uint8Array, mailbox: Uint8Array, opened = () => {}): Promise<Problem | undefined> {
		return this.inTurn(() => this.payload(payload, mailbox, opened));
	}

	private async payload(payload: Uint8Array, mailbox: Uint8Array, opened: () => void): Promise<Problem | undefined> {
		if (payload[0] === PAYLOAD.chunk) return this.chunk(payload, opened);
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
		const refusal = await this.message(message);
		if (!refusal) opened();
		return refusal;
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
		// A stream belongs to who announced it first: its chunks' key is theirs. An empty one has no chunk that could finish it.
		if (this.shelf.has(stream) && manifest.count > 0) return undefined;
		const file = { id, from, atMs, name: manifest.name, sizeBytes: manifest.sizeBytes, stream };
		const part = await (this.shelf.has(stream) ? this.shelf.find(stream) : this.shelf.announce(file, manifest));
		return part?.whole ? this.finish(part) : undefined;
	}

	private async chunk(payload: Uint8Array, opened: () => void): Promise<Problem | undefined> {
		const head = chunkHead(payload);
		if (!head || this.seen.has(head.stream)) return undefined;
		const stream = toHex(head.stream);
		if (!this.shelf.has(stream)) {
			this.handlers.problem?.(problem("seal-broken", "A piece came of a file that nobody announced."));
			return undefined;
		}
		const part = await this.shelf.find(stream);
		const before = part?.receivedBytes;
		const refusal = await part?.take(payload);
		if (refusal) this.handlers.problem?.(refusal);
		if (!part || refusal) return undefined;
		if (part.receivedBytes !== before) opened();
		this.handlers.progress?.(part.file, part.receivedBytes);
		return part.whole ? this.finish(part) : undefined;
	}

	/** Finishes what an earlier process had checked. Its last piece comes again if it cannot be done now. */
	private async again(stream: string): Promise<void> {
		try {
			const part = await this.shelf.find(stream);
			if (part) await this.finish(part);
		} catch (fault) {
			const said = fault instanceof Error ? fault.message : "unknown";
			this.handlers.problem?.(problem("disk", `A file could not be put in its place: ${said}`, { spent: "no" }));
		}
	}

	private async finish(part: Part): Promise<undefined> {
		await part.settle();
		const refusal = await part.finish();
		if (refusal) this.handlers.failed?.(part.file, refusal);
		else {
			await this.handlers.received?.(part.file);
			this.arrived(part.file.from, part.file.id);
		}
		await this.shelf.done(part);
	}

	/** Makes everything taken so far last. */
	settle(): Promise<undefined> {
		return this.inTurn(async () => {
			await this.shelf.settle();
			await this.seen.settle();
		}) as Promise<undefined>;
	}

	/** Gives back what is held open; what has come of files under way is kept for the next start. */
	close(): Promise<void> {
		return this.inTurn(() => this.shelf.close());
	}
}
