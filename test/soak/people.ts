/**
 * People who write to each other without end, and the book of what each of them sent, was told to be kept, and got. Texts name
 * their writer and number, files their contents' digest, so that each can be told from every other and none is counted twice.
 */

import { createHash } from "node:crypto";
import { setTimeout as pause } from "node:timers/promises";
import { toHex } from "#contracts/bytes";
import type { Client } from "#sdk/client";
import { FarelayError } from "#sdk/error";
import { bytesSink, bytesSource } from "#sdk/file";
import type { Sent } from "#sdk/outbox";
import type { Chance } from "./chance.ts";

/** Everything that was sent, and what became of it. One for the whole run. */
export class Book {
	sent = 0;
	/** What a sender was told that the relay has for good. */
	kept = 0;
	delivered = 0;
	/** What a reader was shown more than once. */
	duplicates = 0;
	/** Bytes that senders were told to have paid for. */
	sealedBytes = 0n;
	/** What nobody will try again, with the reason. */
	readonly refused: string[] = [];
	/** What is sent and not yet shown to its reader. */
	private readonly underWay = new Map<string, { kept: boolean }>();
	/** By reader and writer, a bit for each number that came. */
	private readonly came = new Map<string, Uint8Array>();

	send(name: string): void {
		this.sent++;
		this.underWay.set(name, { kept: false });
	}

	keep(name: string, { cost }: Sent): void {
		this.kept++;
		this.sealedBytes += cost.sealedBytes;
		const thing = this.underWay.get(name);
		if (thing) thing.kept = true;
		if (this.has(name)) this.underWay.delete(name);
	}

	/** Notes what a reader was shown; `name` is what the writer called it. */
	show(name: string): void {
		const { line, number } = placeOf(name);
		let bits = this.came.get(line) ?? new Uint8Array(1024);
		if (number >> 3 >= bits.length) {
			const more = new Uint8Array(Math.max(bits.length * 2, (number >> 3) + 1));
			more.set(bits);
			bits = more;
		}
		this.came.set(line, bits);
		if (this.has(name)) {
			this.duplicates++;
			return;
		}
		bits[number >> 3] = (bits[number >> 3] ?? 0) | (1 << (number & 7));
		this.delivered++;
		// one that its writer was not told of yet is still waited for
		if (this.underWay.get(name)?.kept) this.underWay.delete(name);
	}

	private has(name: string): boolean {
		const { line, number } = placeOf(name);
		return (((this.came.get(line)?.[number >> 3] ?? 0) >> (number & 7)) & 1) === 1;
	}

	/** Kept, and never shown to its reader. */
	get missing(): string[] {
		return [...this.underWay].filter(([name, { kept }]) => kept && !this.has(name)).map(([name]) => name);
	}

	/** Sent, and its writer was never told that it is kept. */
	get unanswered(): string[] {
		return [...this.underWay].filter(([, { kept }]) => !kept).map(([name]) => name);
	}
}

/** "reader<writer:number" in its two parts. */
function placeOf(name: string): { line: string; number: number } {
	const at = name.lastIndexOf(":");
	return { line: name.slice(0, at), number: Number(name.slice(at + 1)) };
}

/** Sizes of texts: most are short, some are as long as a page. */
const TEXT_CHARACTERS_MAX = 6_000;
const FILE_BYTES_MAX = 900_000;
/** One thing in so many is a file. */
const FILE_EVERY = 60;
/** How long somebody thinks between two messages. */
const THINK_MS_MAX = 120;

type File = { readonly name: string; readonly bytes: Uint8Array };

export class Person {
	readonly name: string;
	readonly client: Client;
	readonly card: string;
	private readonly book: Book;
	private readonly chance: Chance;
	private readonly counts = new Map<string, number>();
	/** Files that were refused for now: they go on with their source. */
	private readonly files = new Map<string, File>();
	/** Texts likewise, by the sealed message's id. */
	private readonly later = new Map<string, string>();
	private readonly sinks = new Map<string, ReturnType<typeof bytesSink>>();
	private stopped = false;
	private work: Promise<unknown> = Promise.resolve();

	constructor(name: string, client: Client, card: string, book: Book, chance: Chance) {
		this.name = name;
		this.client = client;
		this.card = card;
		this.book = book;
		this.chance = chance;
	}

	/** Reads until the client closes. */
	listen(): Promise<void> {
		const { book, sinks } = this;
		return this.client.listen({
			text: ({ text }) => {
				const [name, digest, body = ""] = text.split("|");
				if (name === undefined || digest !== digestOf(body)) throw new Error(`a text came altered: ${name}`);
				book.show(name);
			},
			file: ({ stream, sizeBytes }) => {
				const sink = sinks.get(stream) ?? bytesSink(sizeBytes);
				sinks.set(stream, sink);
				return sink;
			},
			received: ({ stream, name }) => {
				const [named = "", digest] = name.split("|");
				const bytes = sinks.get(stream)?.bytes ?? new Uint8Array();
				sinks.delete(stream);
				if (digest !== digestOf(bytes)) throw new Error(`a file came altered: ${named}`);
				book.show(named);
			},
			failed: ({ name }, why) => void book.refused.push(`${name} failed: ${why.detail}`),
		});
	}

	/** Writes to these people, one thing after the other, until {@link stop}. */
	write(to: readonly [Person, ...Person[]]): void {
		this.work = (async () => {
			while (!this.stopped) {
				const friend = this.chance.one(to);
				await this.say(friend, this.chance.whole(1, FILE_EVERY) === 1);
				await pause(this.chance.whole(0, THINK_MS_MAX));
				if (this.later.size + this.files.size > 0 && this.chance.whole(1, 10) === 1) await this.again();
			}
		})();
	}

	private async say(friend: Person, asFile: boolean): Promise<void> {
		const line = `${friend.name}<${this.name}`;
		const count = this.counts.get(line) ?? 0;
		this.counts.set(line, count + 1);
		const name = `${line}:${count}`;
		const { client, chance, book } = this;
		book.send(name);
		const bytes = asFile ? fill(chance, chance.whole(0, FILE_BYTES_MAX)) : undefined;
		const body = "x".repeat(chance.whole(0, chance.whole(1, TEXT_CHARACTERS_MAX)));
		const file = bytes && { name: `${name}|${digestOf(bytes)}`, bytes };
		const before = file ? undefined : new Set((await client.waiting()).map(({ id }) => toHex(id)));
		try {
			const what = file ? bytesSource(file.name, file.bytes) : `${name}|${digestOf(body)}|${body}`;
			book.keep(name, await client.send(friend.card, what));
		} catch (error) {
			if (!(error instanceof FarelayError) || !error.problem.retry) {
				book.refused.push(`${name}: ${error}`);
				return;
			}
			// it waits in the client's outbox, as it would on a phone; the app sends it again later
			if (file) this.files.set(name, file);
			else {
				const left = (await client.waiting()).find(
					({ id, file }) => !file && !before?.has(toHex(id)) && !this.later.has(toHex(id)),
				);
				if (left) this.later.set(toHex(left.id), name);
				else book.refused.push(`${name}: refused for now, and does not wait: ${error}`);
			}
		}
	}

	/** Sends again what was refused for now, as an app does when the network is back. */
	async again(): Promise<void> {
		const { client, book } = this;
		for (const sent of await client.resume()) {
			const name = this.later.get(toHex(sent.id));
			if (name !== undefined) book.keep(name, sent);
			this.later.delete(toHex(sent.id));
		}
		for (const waiting of await client.waiting()) {
			const found = waiting.file && [...this.files].find(([, { name }]) => name === waiting.file?.name);
			if (!found) continue;
			const [name, file] = found;
			try {
				book.keep(name, await client.resumeFile(waiting.id, bytesSource(file.name, file.bytes)));
				this.files.delete(name);
			} catch (error) {
				if (error instanceof FarelayError && error.problem.retry) continue;
				book.refused.push(`${name}: ${error}`);
				this.files.delete(name);
			}
		}
	}

	/** Whether everything that was begun was answered for good. */
	get settled(): boolean {
		return this.later.size === 0 && this.files.size === 0;
	}

	/** Writes nothing new; resolves when what was under way is answered. */
	async stop(): Promise<void> {
		this.stopped = true;
		await this.work;
	}
}

function digestOf(what: string | Uint8Array): string {
	return createHash("sha256").update(what).digest("hex").slice(0, 32);
}

function fill(chance: Chance, length: number): Uint8Array<ArrayBuffer> {
	const bytes = new Uint8Array(length);
	for (let i = 0; i < length; i += 61) bytes[i] = chance.whole(0, 255);
	return bytes;
}
