/** One mailbox in the index in memory, and how its counts move. */

import type { Filling } from "./quota.ts";
import type { MailboxState } from "./store.ts";

/** A mailbox's line in the index, as its engine changes it. */
export type Entry = { -readonly [Key in keyof MailboxState]: MailboxState[Key] };

/** A mailbox that nobody has written to. */
export function newEntry(mailbox: string, seenMs: number): Entry {
	return {
		mailbox,
		messages: 0,
		bytes: 0,
		strangerMessages: 0,
		strangerBytes: 0,
		tokenHash: undefined,
		devices: [],
		seenMs,
	};
}

/** What lies in all mailboxes together. */
export type Total = { messages: number; bytes: number };

/** Adds up what an index holds at its start. */
export function totalOf(entries: Iterable<Entry>): Total {
	const total = { messages: 0, bytes: 0 };
	for (const { messages, bytes } of entries) {
		total.messages += messages;
		total.bytes += bytes;
	}
	return total;
}

/** Counts a mail of so many bytes that is now kept. */
export function addTo(entry: Entry, bytes: number, byCard: boolean, total: Total): void {
	total.messages += 1;
	total.bytes += bytes;
	entry.messages += 1;
	entry.bytes += bytes;
	if (byCard) return;
	entry.strangerMessages += 1;
	entry.strangerBytes += bytes;
}

/** Takes off what is no longer kept. */
export function takeFrom(entry: Entry, gone: Filling, total: Total): void {
	total.messages -= gone.messages;
	total.bytes -= gone.bytes;
	entry.messages -= gone.messages;
	entry.bytes -= gone.bytes;
	entry.strangerMessages -= gone.strangerMessages;
	entry.strangerBytes -= gone.strangerBytes;
}
