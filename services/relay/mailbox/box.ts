/** One mailbox in the index in memory, and how its counts move. */

import type { Filling } from "./quota.ts";
import type { Mail, MailboxState } from "./store.ts";

/** A mailbox's state as its engine changes it. */
export type Box = { -readonly [Key in keyof MailboxState]: MailboxState[Key] };

/** A mailbox that nobody has written to. */
export function newBox(mailbox: string, seenMs: number): Box {
	return {
		mailbox,
		messages: 0,
		bytes: 0,
		strangerMessages: 0,
		strangerBytes: 0,
		tokenHash: undefined,
		droppedTtl: 0,
		droppedQuota: 0,
		seenMs,
	};
}

/** Counts a mail that is now kept. */
export function addTo(box: Box, mail: Pick<Mail, "payload" | "byCard">): void {
	box.messages += 1;
	box.bytes += mail.payload.length;
	if (mail.byCard) return;
	box.strangerMessages += 1;
	box.strangerBytes += mail.payload.length;
}

/** Takes off what is no longer kept. */
export function takeFrom(box: Box, gone: Filling): void {
	box.messages -= gone.messages;
	box.bytes -= gone.bytes;
	box.strangerMessages -= gone.strangerMessages;
	box.strangerBytes -= gone.strangerBytes;
}
