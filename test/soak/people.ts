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
	/** People whose client left the relay for good: it lost what was paid ahead too often, as one that is killed all the time does. */
	left = 0;
	/** What is sent and not yet shown on each device of its reader. */
	private readonly underWay = new Map<string, { kept: boolean; devices: number }>();
	/** By device, reader and writer, a bit for each number that came. */
	private readonly came = new Map<string, Uint8Array>();

	send(name: string, devices: number): void {
		this.sent++;
		this.underWay.set(name, { kept: false, devices });
	}

	keep(name: string, { cost }: Sent): void {
		this.kept++;
		this.sealedBytes += cost.sealedBytes;
		const thing = this.underWay.get(name);
		if (thing) thing.kept = true;
		this.close(name);
	}

	/** Notes what a reader was shown on one of their devices; `name` is what the writer called it. */
	show(name: string, device: number): void {
		const { line, number } = placeOf(name, device);
		let bits = this.came.get(line) ?? new Uint8Array(1024);
		if (number >> 3 >= bits.length) {
			const more = new Uint8Array(Math.max(bits.length * 2, (number >> 3) + 1));
			more.set(bits);
			bits = more;
		}
		this.came.set(line, bits);
		if (this.has(name, device)) {
			this.duplicates++;
			return;
		}
		bits[number >> 3] = (bits[number >> 3] ?? 0) | (1 << (number & 7));
		if (device === 0) this.delivered++;
		this.close(name);
	}

	/** Its writer was told that it does not go, and why. */
	refuse(name: string, why: unknown): boolean {
		const leaves = why instanceof FarelayError && why.problem.problem === "relay-dishonest";
		if (leaves) this.left++;
		else this.refused.push(`${name}: ${why}`);
		this.underWay.delete(name);
		return leaves;
	}

	/** Forgets what needs nothing more: kept, and shown on each device. */
	private close(name: string): void {
		const thing = this.underWay.get(name);
		if (thing?.kept && this.everywhere(name, thing.devices)) this.underWay.delete(name);
	}

	private everywhere(name: string, devices: number): boolean {
		for (let device = 0; device < devices; device++) if (!this.has(name, device)) return false;
		return true;
	}

	private has(name: string, device: number): boolean {
		const { line, number } = placeOf(name, device);
		return (((this.came.get(line)?.[number >> 3] ?? 0) >> (number & 7)) & 1) === 1;
	}

	/** Kept, and never shown on some device of its reader. */
	get missing(): string[] {
		return [...this.underWay]
			.filter(([name, { kept, devices }]) => kept && !this.everywhere(name, devices))
			.map(([name]) => name);
	}

	/** Sent, and its writer was never told that it is kept. */
	get unanswered(): string[] {
		return [...this.underWay].filter(([, { kept }]) => !kept).map(([name]) => name);
	}
}

/** "reader<writer:number" in its two parts, the first with the reader's device. */
function placeOf(name: string, device: number): { line: string; number: number } {
	const at = name.lastIndexOf(":");
	return { line: `${name.slice(0, at)}#${device}`, number: Number(name.slice(at + 1)) };
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
	/** All clients of this person; the first is the one that writes. */
	readonly devices: readonly Client[];
	private readonly book: Book;
	private readonly chance: Chance;
	private readonly counts = new Map<string, number>();
	/** Files that were refused for now: they go on with their source. */
	private readonly files = new Map<string, File>();
	/** Texts likewise, by the sealed message's id. */
	private readonly later = new Map<string, string>();
	/** Files under way by device: they outlive a time away. */
	private readonly sinks: Map<string, ReturnType<typeof bytesSink>>[] = [];
	private stopped = false;
	private work: Promise<unknown> = Promise.resolve();

	constructor(name: string, devices: readonly [Client, ...Client[]], card: string, book: Book, chance: Chance) {
		this.name = name;
		this.devices = devices;
		this.client = devices[0];
		this.card = card;
		this.book = book;
		this.chance = chance;
	}

	/** Reads on every device until it closes. */
	async listen(): Promise<void> {
		for (const device of this.devices.keys()) await this.listenOn(device);
	}

	/** Reads on one device until it closes. */
	async listenOn(device: number): Promise<void> {
		const { book } = this;
		const sinks = this.sinks[device] ?? new Map();
		this.sinks[device] = sinks;
		await this.devices[device]?.listen({
			text: ({ text }) => {
				const [name, digest, body = ""] = text.split("|");
				if (name === undefined || digest !== digestOf(body)) throw new Error(`a text came altered: ${name}`);
				book.show(name, device);
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
				book.show(named, device);
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
		book.send(name, friend.devices.length);
		const bytes = asFile ? fill(chance, chance.whole(0, FILE_BYTES_MAX)) : undefined;
		const body = "x".repeat(chance.whole(0, chance.whole(1, TEXT_CHARACTERS_MAX)));
		const file = bytes && { name: `${name}|${digestOf(bytes)}`, bytes };
		const before = file ? undefined : new Set((await client.waiting()).map(({ id }) => toHex(id)));
		try {
			const what = file ? bytesSource(file.name, file.bytes) : `${name}|${digestOf(body)}|${body}`;
			book.keep(name, await client.send(friend.card, what));
		} catch (error) {
			if (!(error instanceof FarelayError) || !error.problem.retry) {
				this.stopped ||= book.refuse(name, error);
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
				this.stopped ||= book.refuse(name, error);
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
