/** Whether a mailbox has room for one more mail: pure, decided by the router before a mail is charged (PROTOCOL.md, "Reading"; threat 12). */

import { LIMIT } from "#contracts/limit";
import type { MailboxState } from "./store.ts";

/** What lies in a mailbox, or is accepted for it and not yet on disk. */
export type Filling = Pick<MailboxState, "messages" | "bytes" | "strangerMessages" | "strangerBytes">;

/** The bounds of one mailbox; `strangerShare` is the n in "strangers may fill the n-th part". */
export type Quota = {
	readonly mailboxBytesMax: number;
	readonly mailboxMessagesMax: number;
	readonly strangerShare: number;
};

/** Nothing under way. */
export const NOTHING_PENDING: Filling = { messages: 0, bytes: 0, strangerMessages: 0, strangerBytes: 0 };

/**
 * Whether a payload of so many bytes may be accepted on top of what is kept and what is under way. Strangers have a share of both the
 * bytes and the messages, within the whole; those with the card's token have the whole.
 */
export function roomFor(
	payloadBytes: number,
	byCard: boolean,
	kept: Filling,
	pending: Filling = NOTHING_PENDING,
	quota: Quota = LIMIT,
): "room" | "mailbox-full" {
	const { mailboxBytesMax, mailboxMessagesMax, strangerShare } = quota;
	if (kept.bytes + pending.bytes + payloadBytes > mailboxBytesMax) return "mailbox-full";
	if (kept.messages + pending.messages + 1 > mailboxMessagesMax) return "mailbox-full";
	if (byCard) return "room";
	const strangers = kept.strangerBytes + pending.strangerBytes + payloadBytes;
	if (strangers > Math.floor(mailboxBytesMax / strangerShare)) return "mailbox-full";
	const messages = kept.strangerMessages + pending.strangerMessages + 1;
	return messages > Math.floor(mailboxMessagesMax / strangerShare) ? "mailbox-full" : "room";
}
