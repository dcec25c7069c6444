/**
 * Many mails on their way to the writer's thread as two buffers that are handed over, not copied: the payloads back to back, and a
 * table of numbers. The one copy made is out of the callers' buffers.
 */

import type { Mail } from "./store.ts";

/** Mails in a form that moves between threads for nothing. */
export type Parcel = {
	/** Each mailbox and tag once: a sender's batch names few. */
	readonly mailboxes: readonly string[];
	readonly tags: readonly string[];
	readonly numbers: Float64Array<ArrayBuffer>;
	readonly payloads: Uint8Array<ArrayBuffer>;
};

/** One mail of a parcel; `mailbox` and `tag` are indices into its lists. */
export type Packed = Omit<Mail, "mailbox" | "tag"> & { readonly mailbox: number; readonly tag: number };

/** Numbers of one mail in the table: mailbox, tag, position, expiry, seq, print, by card, length. */
const FIELDS = 8;

/** Packs mails; their payloads are copied once. */
export function pack(mails: readonly Mail[]): Parcel {
	const mailboxes = new Map<string, number>();
	const tags = new Map<string, number>();
	const numbers = new Float64Array(mails.length * FIELDS);
	const payloads = new Uint8Array(mails.reduce((sum, mail) => sum + mail.payload.length, 0));
	let at = 0;
	let field = 0;
	for (const mail of mails) {
		numbers[field++] = numberOf(mailboxes, mail.mailbox);
		numbers[field++] = numberOf(tags, mail.tag);
		numbers[field++] = mail.position;
		numbers[field++] = mail.expiresAtMs;
		numbers[field++] = mail.seq;
		numbers[field++] = mail.print;
		numbers[field++] = mail.byCard ? 1 : 0;
		numbers[field++] = mail.payload.length;
		payloads.set(mail.payload, at);
		at += mail.payload.length;
	}
	return { mailboxes: [...mailboxes.keys()], tags: [...tags.keys()], numbers, payloads };
}

function numberOf(names: Map<string, number>, name: string): number {
	const known = names.get(name);
	if (known !== undefined) return known;
	names.set(name, names.size);
	return names.size - 1;
}

/** The mails of a parcel in their order, payloads as views into it. */
export function unpack({ numbers, payloads }: Parcel): Packed[] {
	const mails: Packed[] = [];
	let start = 0;
	for (let at = 0; at < numbers.length; at += FIELDS) {
		const [mailbox, tag, position, expiresAtMs, seq, print, byCard, length] = numbers.subarray(
			at,
			at + FIELDS,
		) as Iterable<number> as [number, number, number, number, number, number, number, number];
		const payload = payloads.subarray(start, start + length);
		start += length;
		mails.push({ mailbox, tag, position, expiresAtMs, seq, print, byCard: byCard === 1, payload });
	}
	return mails;
}
