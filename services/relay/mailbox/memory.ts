/** The mail store in memory: the oracle that the SQLite engine is held against, and the relay's disk in tests. Nothing outlives it. */

import { type Range, rangesOf } from "#contracts/ranges";
import { addTo, type Entry, newEntry, takeFrom } from "./entry.ts";
import { PRINTS_MAX, rememberUntilMs, union } from "./marks.ts";
import { IDLE_MS, type KeepResult, MAILBOXES_MAX, type Mail, type MailStore } from "./store.ts";

/** What {@link openMemoryMailStore} may be told; the same as for `sqlite.ts`. */
export type MemoryMailOptions = {
	readonly mailboxesMax?: number;
	readonly idleMs?: number;
	/** Default 1. */
	readonly epoch?: number;
};

/** Makes an empty store. */
export function openMemoryMailStore(options: MemoryMailOptions = {}): MailStore {
	const { mailboxesMax = MAILBOXES_MAX, idleMs = IDLE_MS, epoch = 1 } = options;
	const index = new Map<string, Entry>();
	const mails = new Map<number, Mail>();
	const tags = new Map<string, { ranges: Range[]; untilMs: number }>();

	function remember(tag: string, ranges: readonly Range[], untilMs: number): void {
		const known = tags.get(tag) ?? { ranges: [], untilMs };
		tags.set(tag, { ranges: union(known.ranges, ranges), untilMs: Math.max(known.untilMs, untilMs) });
	}

	function keepOne(mail: Mail): KeepResult {
		const entry = index.get(mail.mailbox);
		if (!entry) return "mailbox-unknown";
		if (mails.has(mail.position)) throw new Error("a position came twice");
		mails.set(mail.position, { ...mail, payload: mail.payload.slice() });
		remember(mail.tag, rangesOf([mail.seq]), rememberUntilMs(mail.expiresAtMs));
		addTo(entry, mail);
		return "kept";
	}

	function drop(mail: Mail): Entry | undefined {
		mails.delete(mail.position);
		const entry = index.get(mail.mailbox);
		const { length } = mail.payload;
		const stranger = mail.byCard ? 0 : 1;
		if (entry)
			takeFrom(entry, { messages: 1, bytes: length, strangerMessages: stranger, strangerBytes: stranger * length });
		return entry;
	}

	return {
		epoch,
		pendingBytes: 0,
		state: (mailbox) => index.get(mailbox),
		create: async (mailbox, tokenHash, nowMs) => {
			if (!index.has(mailbox) && index.size >= mailboxesMax) return "too-many";
			const entry = index.get(mailbox) ?? newEntry(mailbox, nowMs);
			entry.tokenHash = tokenHash?.slice();
			entry.seenMs = Math.max(entry.seenMs, nowMs);
			index.set(mailbox, entry);
			return "created";
		},
		keep: async (kept) => kept.map(keepOne),
		read: async (mailbox, after, nowMs, countMax, bytesMax) => {
			const waiting = [...mails.values()]
				.filter((mail) => mail.mailbox === mailbox && mail.position > after && mail.expiresAtMs > nowMs)
				.sort((a, b) => a.position - b.position)
				.slice(0, countMax);
			let bytes = 0;
			const fitting = waiting.findIndex((mail, i) => {
				bytes += mail.payload.length;
				return i > 0 && bytes > bytesMax;
			});
			return waiting
				.slice(0, fitting < 0 ? waiting.length : fitting)
				.map(({ position, expiresAtMs, payload }) => ({ position, expiresAtMs, payload: payload.slice() }));
		},
		remove: async (mailbox, positions) => {
			for (const position of positions) {
				const mail = mails.get(position);
				if (mail?.mailbox === mailbox) drop(mail);
			}
			return "removed";
		},
		dropped: (mailbox, quota) => {
			const entry = index.get(mailbox);
			if (entry) entry.droppedQuota += quota;
		},
		told: async (mailbox) => {
			const entry = index.get(mailbox);
			if (entry) Object.assign(entry, { droppedTtl: 0, droppedQuota: 0 });
		},
		marks: async (tag) => {
			const prints = [...mails.values()]
				.filter((mail) => mail.tag === tag)
				.sort((a, b) => b.seq - a.seq || b.position - a.position)
				.slice(0, PRINTS_MAX)
				.map((mail) => [mail.seq, mail.print] as const);
			return { ranges: [...(tags.get(tag)?.ranges ?? [])], prints: new Map(prints) };
		},
		mark: async (tag, ranges, untilMs) => remember(tag, ranges, untilMs),
		expire: async (nowMs, countMax) => {
			const late = [...mails.values()]
				.filter((mail) => mail.expiresAtMs <= nowMs)
				.sort((a, b) => a.expiresAtMs - b.expiresAtMs || a.position - b.position)
				.slice(0, countMax);
			for (const mail of late) {
				const entry = drop(mail);
				if (entry) entry.droppedTtl += 1;
			}
			const oldTags = [...tags]
				.filter(([, { untilMs }]) => untilMs <= nowMs)
				.sort(([a, one], [b, other]) => one.untilMs - other.untilMs || (a < b ? -1 : 1))
				.slice(0, countMax - late.length);
			for (const [tag] of oldTags) tags.delete(tag);
			const idle = [...index.values()]
				.filter((entry) => entry.seenMs <= nowMs - idleMs && entry.messages === 0)
				.sort((a, b) => a.seenMs - b.seenMs || (a.mailbox < b.mailbox ? -1 : 1))
				.slice(0, countMax - late.length - oldTags.length);
			for (const { mailbox } of idle) index.delete(mailbox);
			return late.length + oldTags.length + idle.length;
		},
		close: async () => {},
	};
}
