/**
 * `(tag, seq)` makes a send what it is: a retry is neither charged nor stored twice, and the same number with other bytes is a
 * problem (PROTOCOL.md, "Sending"; threats 6 and 25). A tag's record is durable through the mail store; here is what is hot.
 */

import { LIMIT } from "#contracts/limit";
import type { ProblemCode } from "#contracts/problem";
import type { Range } from "#contracts/ranges";
import { RELAY_LIMITS } from "#relay/limit";
import { Numbers } from "./numbers.ts";

/** Where the answers to a tag's sends go: the connection that spoke for it last. */
export interface Answers {
	kept(seq: number): void;
	passed(seq: number): void;
	refused(code: ProblemCode, seq: number): void;
}

/** Fingerprints that a tag has slots for at first: most send little. */
const PRINTS_FIRST = 16;

/** What is left for all tags' fingerprints together. */
export type PrintRoom = { slots: number };

/** A tag's durable record: which numbers were taken, and fingerprints of what is still kept. */
export type TagRecord = { readonly ranges: readonly Range[]; readonly prints: ReadonlyMap<number, number> };

/** A tag's dedupe record and what is under way on it. */
export class Tag {
	readonly id: string;
	answers: Answers | undefined;
	/** After this number was refused as unpaid, everything behind it is too, until it comes again. */
	backTo: number | undefined;
	/** Accepted and not yet answered. */
	pending = 0;
	/** Taken live, and not yet in the durable record. */
	readonly unmarked = new Numbers();
	/** When the durable record may be forgotten. */
	untilMs = 0;
	seenMs = 0;
	/** Every number that was accepted, answered or not, and those that were answered `kept` or `passed`. */
	private readonly taken: Numbers;
	private readonly answered: Numbers;
	private readonly durablePrints: ReadonlyMap<number, number>;
	/** Fingerprints of the newest numbers, in slots by their number; as many as were needed, and as there is room for. */
	private prints: Float64Array | undefined;
	private printSeqs: Uint32Array | undefined;
	private readonly room: PrintRoom;

	/** `room` is what all tags share. */
	constructor(id: string, record: TagRecord, room: PrintRoom = { slots: Number.POSITIVE_INFINITY }) {
		this.id = id;
		this.room = room;
		this.taken = new Numbers(record.ranges);
		this.answered = new Numbers(record.ranges);
		this.durablePrints = record.prints;
	}

	/** Every number that was accepted, answered or not. */
	get accepted(): readonly Range[] {
		return this.taken.ranges;
	}

	/** Every number that was answered `kept` or `passed`. */
	get settled(): readonly Range[] {
		return this.answered.ranges;
	}

	/** What a number is: new, a retry of something under way or answered, or a problem. */
	check(seq: number, print: number): "new" | "pending" | "settled" | "seq-reused" | "seq-gaps" {
		const { end } = this.taken;
		if (end < 0 || seq === end + 1) return "new";
		if (this.taken.has(seq)) {
			const known = this.printOf(seq);
			if (known !== undefined && known !== print) return "seq-reused";
			return this.answered.has(seq) ? "settled" : "pending";
		}
		// filling a gap never makes more ranges than it removes by one, so a full record still takes retries behind its end
		if (this.taken.count > LIMIT.gapsMax && seq > end) return "seq-gaps";
		return this.taken.count > 2 * LIMIT.gapsMax ? "seq-gaps" : "new";
	}

	accept(seq: number, print: number): void {
		this.taken.include(seq);
		this.pending++;
		this.print(seq, print);
	}

	/** Remembers the fingerprint of a number that is accepted, here or by {@link passRow}. */
	print(seq: number, print: number): void {
		let { prints, printSeqs } = this;
		// a slot in use: a tag that has sent so much may have more of them
		if (!prints || (prints[seq & (prints.length - 1)] !== 0 && prints.length < RELAY_LIMITS.printsMax)) this.grow();
		({ prints, printSeqs } = this);
		if (!prints || !printSeqs) return;
		const slot = seq & (prints.length - 1);
		prints[slot] = print;
		printSeqs[slot] = seq;
	}

	/** Gives its part of the room back: it is forgotten. */
	release(): void {
		this.room.slots += this.prints?.length ?? 0;
		this.prints = undefined;
		this.printSeqs = undefined;
	}

	/** Where there is no room the newest numbers take the slots of older ones, whose retries are then not told from other bytes. */
	private grow(): void {
		const { prints = new Float64Array(0), printSeqs = new Uint32Array(0) } = this;
		const length = prints.length === 0 ? PRINTS_FIRST : prints.length * 4;
		if (this.room.slots < length - prints.length) return;
		this.room.slots -= length - prints.length;
		this.prints = new Float64Array(length);
		this.printSeqs = new Uint32Array(length);
		for (let i = 0; i < prints.length; i++) {
			const slot = (printSeqs[i] as number) % length;
			this.prints[slot] = prints[i] as number;
			this.printSeqs[slot] = printSeqs[i] as number;
		}
	}

	/** The number that comes next if nothing is missing, and whether nothing has to be looked up for it. */
	get nextInRow(): number {
		return this.backTo === undefined && this.taken.end >= 0 ? this.taken.end + 1 : -1;
	}

	/** A row was accepted and answered at once. */
	passRow(first: number, last: number): void {
		this.taken.includeRow(first, last);
		this.answered.includeRow(first, last);
	}

	settle(seq: number): void {
		this.answered.include(seq);
		this.pending--;
	}

	/** Forgets that a number was accepted: it was refunded, and may come again. */
	undo(seq: number): void {
		this.taken.exclude(seq);
		this.pending--;
	}

	private printOf(seq: number): number | undefined {
		if (this.prints && this.printSeqs) {
			const slot = seq % this.prints.length;
			// print 0 is nobody's: it marks a slot that was never written
			if (this.printSeqs[slot] === seq && this.prints[slot] !== 0) return this.prints[slot];
		}
		return this.durablePrints.get(seq);
	}
}

/**
 * A payload's 53-bit fingerprint, from its length and both ends, and its mailbox (`salt`): sealed bytes differ there. It tells a client's own mistake
 * (a phone restored from a backup), it is no defence against someone who wants two payloads to look alike to themselves.
 */
export function fingerprint(bytes: DataView, start: number, end: number, salt: number): number {
	const length = end - start;
	let a = salt ^ length;
	let b = 0x85ebca6b + length;
	if (length >= 8) {
		a = Math.imul(a ^ bytes.getInt32(start, true), 0x85ebca6b);
		b = Math.imul(b ^ bytes.getInt32(start + 4, true), 0xc2b2ae35);
		a = Math.imul((a ^ (a >>> 15)) + bytes.getInt32(end - 8, true), 0x27d4eb2f);
		b = Math.imul((b ^ (b >>> 13)) + bytes.getInt32(end - 4, true), 0x165667b1);
	} else {
		for (let i = start; i < end; i++) {
			const byte = bytes.getUint8(i);
			a = Math.imul(a ^ byte, 0x85ebca6b);
			b = Math.imul(b + byte, 0xc2b2ae35);
			b ^= b >>> 13;
		}
	}
	a ^= a >>> 16;
	b ^= b >>> 15;
	return (a >>> 0) * 0x200000 + (b >>> 11) || 1;
}
