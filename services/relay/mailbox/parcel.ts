/**
 * Many mails on their way to the writer's thread: payloads back to back in memory that both threads see, and a table of numbers. The one copy
 * made is out of the callers' buffers, at once, so that what a mail came in need not live until it is on disk.
 */

import type { Mail } from "./store.ts";

/** Mails as the thread gets them. */
export type Parcel = {
	/** Each mailbox and tag once: a sender's batch names few. */
	readonly mailboxes: readonly string[];
	readonly tags: readonly string[];
	/** {@link FIELDS} numbers of each mail. */
	readonly numbers: Float64Array<ArrayBuffer>;
	/** Where the payloads lie, from `start` on. Nothing is written there until the parcel is answered. */
	readonly memory: SharedArrayBuffer;
	readonly start: number;
};

/** Numbers of one mail in the table, and what stands where: `mailbox` and `tag` are indices into the parcel's lists. */
export const FIELDS = 8;
export const AT = { mailbox: 0, tag: 1, position: 2, expiresAtMs: 3, seq: 4, print: 5, byCard: 6, bytes: 7 } as const;

/** Memory that payloads are copied into, one parcel behind the other: a turn's mail is often less than this, a parcel never more. */
const SLAB_BYTES = 1024 * 1024;

/** Slabs kept for the next burst: all that the writer takes at once (`RELAY_LIMITS.diskBytesTaken`). New ones for each would be garbage that nobody collects for long. */
const SPARE_SLABS_MAX = 24;

/** Mails of one parcel: enough to make its overhead small, little enough that the first answers come early. */
const PARCEL_MAILS_MAX = 1_024;

type Slab = {
	readonly bytes: Buffer<SharedArrayBuffer>;
	used: number;
	/** Parcels in it that are not answered. */
	parcels: number;
};

/** A parcel that is ready to go. */
export type Packed = {
	readonly parcel: Parcel;
	/** Of its payloads, and how many there are. */
	readonly bytes: number;
	readonly count: number;
	/** To be called when it was answered: its memory may be written again. */
	release(): void;
};

/** Packs mails, in memory that is used again and again. */
export class Packer {
	private readonly spare: Slab[] = [];
	private slab: Slab = newSlab(SLAB_BYTES);
	private readonly numbers = new Float64Array(PARCEL_MAILS_MAX * FIELDS);
	private count = 0;
	private start = 0;
	private mailboxes = new Names();
	private tags = new Names();

	/** Copies a mail into the open parcel; false when it does not fit there, and must come again after {@link take}. */
	add(mail: Mail): boolean {
		const { length } = mail.payload;
		if (this.slab.used + length > this.slab.bytes.length) {
			if (this.count > 0) return false;
			this.exchange(length);
		}
		if (this.count >= PARCEL_MAILS_MAX) return false;
		const { slab, numbers } = this;
		if (this.count === 0) {
			slab.parcels++;
			this.start = slab.used;
		}
		const field = this.count * FIELDS;
		numbers[field + AT.mailbox] = this.mailboxes.numberOf(mail.mailbox);
		numbers[field + AT.tag] = this.tags.numberOf(mail.tag);
		numbers[field + AT.position] = mail.position;
		numbers[field + AT.expiresAtMs] = mail.expiresAtMs;
		numbers[field + AT.seq] = mail.seq;
		numbers[field + AT.print] = mail.print;
		numbers[field + AT.byCard] = mail.byCard ? 1 : 0;
		numbers[field + AT.bytes] = length;
		copy(mail.payload, slab.bytes, slab.used);
		slab.used += length;
		this.count++;
		return true;
	}

	/** The open parcel, closed; undefined when it is empty. */
	take(): Packed | undefined {
		const { slab, count, start } = this;
		if (count === 0) return undefined;
		const parcel: Parcel = {
			mailboxes: this.mailboxes.take(),
			tags: this.tags.take(),
			numbers: this.numbers.slice(0, count * FIELDS),
			memory: slab.bytes.buffer,
			start,
		};
		this.count = 0;
		return { parcel, bytes: slab.used - start, count, release: () => this.release(slab) };
	}

	private exchange(length: number): void {
		const full = this.slab;
		this.slab = length > SLAB_BYTES ? newSlab(length) : (this.spare.pop() ?? newSlab(SLAB_BYTES));
		this.reuse(full);
	}

	private release(slab: Slab): void {
		slab.parcels--;
		this.reuse(slab);
	}

	private reuse(slab: Slab): void {
		if (slab.parcels > 0) return;
		slab.used = 0;
		if (slab === this.slab || slab.bytes.length !== SLAB_BYTES || this.spare.length >= SPARE_SLABS_MAX) return;
		this.spare.push(slab);
	}
}

function newSlab(length: number): Slab {
	return { bytes: Buffer.from(new SharedArrayBuffer(length)), used: 0, parcels: 0 };
}

/** By `Buffer`'s own copy: `TypedArray.set` goes word by word where memory is shared, at an eighth of the speed. */
function copy(from: Uint8Array, to: Buffer, at: number): void {
	const bytes = Buffer.isBuffer(from) ? from : Buffer.from(from.buffer, from.byteOffset, from.length);
	bytes.copy(to, at);
}

/** Numbers for names, in the order in which they came. Most mails in a row are of one sender for one mailbox. */
class Names {
	private readonly known = new Map<string, number>();
	private last = "";
	private lastNumber = 0;

	numberOf(name: string): number {
		if (name === this.last && this.known.size > 0) return this.lastNumber;
		const number = this.known.get(name) ?? this.known.size;
		if (number === this.known.size) this.known.set(name, number);
		this.last = name;
		this.lastNumber = number;
		return number;
	}

	take(): string[] {
		const names = [...this.known.keys()];
		this.known.clear();
		return names;
	}
}
