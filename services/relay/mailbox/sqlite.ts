/**
 * The mail store on SQLite: one writer in a thread, group commit, an answer only when it is on disk; an index of mailboxes in memory that
 * follows the commits. A disk that takes nothing is an answer, and the store lives on (threats 13 and 14).
 */

import { isProblem, type Problem } from "#contracts/problem";
import { owned, startWriter, type Writer } from "#host/writer";
import { addTo, type Entry, newEntry, takeFrom, totalOf } from "./entry.ts";
import { Notes } from "./notes.ts";
import { AT, FIELDS, Packer, type Parcel } from "./parcel.ts";
import type { MailCalls, MailReady, MailThreadOptions } from "./sqlite-thread.ts";
import { IDLE_MS, type KeepResult, MAILBOXES_MAX, type Mail, MailFailure, type MailStore } from "./store.ts";

/** What {@link openSqliteMailStore} needs. */
export type SqliteMailOptions = {
	/** Where the file is; its folder is made when missing. */
	readonly path: string;
	/** Mailboxes at most; default {@link MAILBOXES_MAX}. */
	readonly mailboxesMax?: number;
	/** After how long an empty mailbox that its owner did not see is forgotten, in milliseconds; default {@link IDLE_MS}. */
	readonly idleMs?: number;
	/** A ceiling for the file in pages of 4 KiB; beyond it the disk counts as full. */
	readonly pagesMax?: number;
	/** Told each time the disk refused something, for logs and health. */
	readonly onTrouble?: (why: Problem) => void;
	/** Told once when the thread dies by a bug: the relay should stop. */
	readonly onDeath?: (why: Error) => void;
};

/** A caller's `keep` whose answers are being gathered. */
type Call = {
	readonly results: KeepResult[];
	left: number;
	resolve(results: KeepResult[]): void;
	reject(why: unknown): void;
};
/** Mails of one call that stand together in a parcel; `at` is the first one's place in the call. */
type Span = { readonly call: Call; readonly at: number; count: number };

/** Opens (and creates) a mail store's file and raises its epoch; the problem when that cannot be. */
export async function openSqliteMailStore(options: SqliteMailOptions): Promise<MailStore | Problem> {
	const { path, idleMs = IDLE_MS, pagesMax, onDeath } = options;
	const threadOptions: MailThreadOptions = { path, idleMs, ...(pagesMax !== undefined && { pagesMax }) };
	const writer = await startWriter<MailCalls, MailReady>({
		name: "mailbox",
		module: import.meta.resolve("./sqlite-thread.ts"),
		options: threadOptions,
		...(onDeath && { onDeath }),
	});
	return isProblem(writer) ? writer : storeOver(writer, options);
}

function storeOver(writer: Writer<MailCalls, MailReady>, options: SqliteMailOptions): MailStore {
	const { mailboxesMax = MAILBOXES_MAX, onTrouble } = options;
	const index = new Map<string, Entry>(writer.ready.mailboxes.map((state) => [state.mailbox, { ...state }]));
	const total = totalOf(index.values());
	const creating = new Set<string>();
	const notes = new Notes();
	const packer = new Packer();
	/** Whose mails are in the open parcel, in order. */
	let spans: Span[] = [];
	let flushing = false;
	let pendingBytes = 0;

	/** Whether an answer is the machine's trouble, which is told on. */
	function failed(answer: unknown): answer is Problem {
		if (!isProblem(answer)) return false;
		onTrouble?.(answer);
		return true;
	}

	/** Sends what waits, in the order in which it was asked: called before anything else is asked of the thread. */
	function flush(): void {
		send();
		const taken = notes.take();
		if (!taken) return;
		writer.call("note", taken.sheet).then((answer) => {
			if (failed(answer)) notes.giveBack(taken.sheet);
			taken.settle();
		}, taken.settle);
	}

	/** Sends the open parcel. */
	function send(): void {
		const packed = packer.take();
		if (!packed) return;
		const { parcel, bytes } = packed;
		const sent = spans;
		spans = [];
		writer.call("keep", parcel, { bytes: bytes + parcel.numbers.byteLength }).then(
			(answer) => {
				packed.release();
				pendingBytes -= bytes;
				const refused = failed(answer) ? undefined : new Set(answer.unknown);
				if (refused) count(parcel, refused);
				let i = 0;
				for (const { call, at, count } of sent) {
					for (let k = at; k < at + count; k++, i++) {
						call.results[k] = refused === undefined ? "disk" : refused.has(i) ? "mailbox-unknown" : "kept";
					}
					call.left -= count;
					if (call.left === 0) call.resolve(call.results);
				}
			},
			(why) => {
				pendingBytes -= bytes;
				for (const { call } of sent) call.reject(why);
			},
		);
	}

	/** Counts in the index what is now on disk. */
	function count({ mailboxes, numbers }: Parcel, unknown: ReadonlySet<number>): void {
		for (let i = 0, field = 0; field < numbers.length; i++, field += FIELDS) {
			const entry = index.get(mailboxes[numbers[field + AT.mailbox] as number] as string);
			if (!entry || unknown.has(i)) continue;
			addTo(entry, numbers[field + AT.bytes] as number, numbers[field + AT.byCard] === 1, total);
		}
	}

	return {
		epoch: writer.ready.epoch,
		get pendingBytes() {
			return pendingBytes;
		},
		kept: total,
		state: (mailbox) => index.get(mailbox),
		visit: async (mailbox, device, tokenHash, nowMs, present = []) => {
			const fresh = !index.has(mailbox) && !creating.has(mailbox);
			if (fresh && index.size + creating.size >= mailboxesMax) return "too-many";
			if (fresh) creating.add(mailbox);
			flush();
			try {
				const hash = tokenHash && owned(tokenHash);
				const answer = await writer.call("visit", { mailbox, device, tokenHash: hash, nowMs, present });
				if (failed(answer)) return "disk";
				if (answer === "too-many") return answer;
				const entry = index.get(mailbox) ?? newEntry(mailbox, nowMs);
				entry.tokenHash = hash;
				entry.seenMs = Math.max(entry.seenMs, nowMs);
				entry.devices = answer.devices.map((known) => known.device);
				index.set(mailbox, entry);
				return { waiting: entry.messages, waitingBytes: entry.bytes, ...answer };
			} finally {
				if (fresh) creating.delete(mailbox);
			}
		},
		seen: (mailbox, device, nowMs) => {
			const entry = index.get(mailbox);
			if (!entry) return;
			entry.seenMs = Math.max(entry.seenMs, nowMs);
			notes.see({ mailbox, device, nowMs });
		},
		forget: async (mailbox, device) => {
			flush();
			const answer = await writer.call("forget", { mailbox, device });
			if (failed(answer)) return "disk";
			const entry = index.get(mailbox);
			if (entry) entry.devices = answer.map((known) => known.device);
			return answer;
		},
		keep: (mails) => {
			if (mails.length === 0) return Promise.resolve([]);
			if (!flushing) {
				flushing = true;
				setImmediate(() => {
					flushing = false;
					flush();
				});
			}
			const { promise, resolve, reject } = Promise.withResolvers<KeepResult[]>();
			const call: Call = { results: [], left: mails.length, resolve, reject };
			for (let at = 0; at < mails.length; at++) {
				const mail = mails[at] as Mail;
				if (!packer.add(mail)) {
					send();
					packer.add(mail);
				}
				pendingBytes += mail.payload.length;
				const last = spans[spans.length - 1];
				if (last?.call === call) last.count++;
				else spans.push({ call, at, count: 1 });
			}
			return promise;
		},
		read: async (mailbox, device, after, nowMs, countMax, bytesMax) => {
			flush();
			const answer = await writer.call("read", { mailbox, device, after, nowMs, countMax, bytesMax });
			if (failed(answer)) throw new MailFailure(answer);
			return answer;
		},
		acknowledge: async (mailbox, device, positions) => {
			flush();
			const answer = await writer.call("acknowledge", { mailbox, device, positions });
			if (failed(answer)) return "disk";
			const entry = index.get(mailbox);
			if (entry) takeFrom(entry, answer, total);
			return "noted";
		},
		dropped: (mailbox, quota) => {
			if (index.has(mailbox)) notes.drop(mailbox, quota);
		},
		told: async (mailbox, device, lost) => {
			if (lost.droppedTtl === 0 && lost.droppedQuota === 0) return;
			flush();
			// what was told is taken off, not set to zero: what an expiry under way adds must still be told
			failed(await writer.call("told", { mailbox, device, lost }));
		},
		marks: async (tag) => {
			flush();
			const answer = await writer.call("marks", tag);
			if (failed(answer)) throw new MailFailure(answer);
			return answer;
		},
		mark: (tag, ranges, untilMs) => {
			const marked = notes.mark({ tag, ranges, untilMs });
			if (notes.full) flush();
			return marked;
		},
		expire: async (nowMs, countMax) => {
			flush();
			const answer = await writer.call("expire", { nowMs, countMax });
			if (failed(answer)) return 0;
			let dropped = answer.devices.length + answer.tags + answer.mailboxes.length;
			for (const gone of [...answer.mail, ...answer.trimmed]) {
				dropped += gone.messages;
				const entry = index.get(gone.mailbox);
				if (entry) takeFrom(entry, gone, total);
			}
			for (const { mailbox, device } of answer.devices) {
				const entry = index.get(mailbox);
				if (entry) entry.devices = entry.devices.filter((known) => known !== device);
			}
			for (const mailbox of answer.mailboxes) index.delete(mailbox);
			return dropped;
		},
		close: () => {
			flush();
			return writer.close();
		},
	};
}
