/**
 * `(tag, seq)` makes a send what it is: a retry is neither charged nor stored twice, and the same number with other bytes is a
 * problem (PROTOCOL.md, "Sending"; threats 6 and 25). A tag's record is durable through the mail store; here is what is hot.
 */

import { readU32 } from "#contracts/frame";
import { LIMIT } from "#contracts/limit";
import type { ProblemCode } from "#contracts/problem";
import { has, include, type Range } from "#contracts/ranges";
import { RELAY_LIMITS } from "./limit.ts";

/** Where the answers to a tag's sends go: the connection that spoke for it last. */
export interface Answers {
	kept(seq: number): void;
	passed(seq: number): void;
	refused(code: ProblemCode, seq: number): void;
}

/** A tag's dedupe record and what is under way on it. */
export class Tag {
	readonly id: string;
	/** Every number that was accepted, answered or not. */
	readonly accepted: Range[];
	/** Those that were answered `kept` or `passed`. */
	readonly settled: Range[];
	answers: Answers | undefined;
	/** After this number was refused as unpaid, everything behind it is too, until it comes again. */
	backTo: number | undefined;
	/** Accepted and not yet answered. */
	pending = 0;
	/** Taken live, and not yet in the durable record. */
	unmarked: Range[] = [];
	/** When the durable record may be forgotten. */
	untilMs = 0;
	seenMs = 0;
	private readonly durablePrints: ReadonlyMap<number, number>;
	private prints: Float64Array | undefined;
	private printSeqs: Uint32Array | undefined;

	constructor(id: string, record: { readonly ranges: readonly Range[]; readonly prints: ReadonlyMap<number, number> }) {
		this.id = id;
		this.accepted = [...record.ranges];
		this.settled = [...record.ranges];
		this.durablePrints = record.prints;
	}

	/** What a number is: new, a retry of something under way or answered, or a problem. */
	check(seq: number, print: number): "new" | "pending" | "settled" | "seq-reused" | "seq-gaps" {
		const last = this.accepted[this.accepted.length - 1];
		if (last === undefined) return "new";
		if (seq === last[1] + 1) return "new";
		if (has(this.accepted, seq)) {
			const known = this.printOf(seq);
			if (known !== undefined && known !== print) return "seq-reused";
			return has(this.settled, seq) ? "settled" : "pending";
		}
		// filling a gap never makes more ranges than it removes by one, so a full record still takes retries behind its end
		if (this.accepted.length > LIMIT.gapsMax && seq > last[1]) return "seq-gaps";
		return this.accepted.length > 2 * LIMIT.gapsMax ? "seq-gaps" : "new";
	}

	accept(seq: number, print: number): void {
		include(this.accepted, seq);
		this.pending++;
		this.prints ??= new Float64Array(RELAY_LIMITS.printsMax);
		this.printSeqs ??= new Uint32Array(this.prints.length);
		const slot = seq % this.prints.length;
		this.prints[slot] = print;
		this.printSeqs[slot] = seq;
	}

	settle(seq: number): void {
		include(this.settled, seq);
		this.pending--;
	}

	/** Forgets that a number was accepted: it was refunded, and may come again. */
	undo(seq: number): void {
		exclude(this.accepted, seq);
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

/** Takes a number out of a set, in place. */
function exclude(ranges: Range[], number: number): void {
	const at = ranges.findIndex(([first, last]) => first <= number && number <= last);
	const range = ranges[at];
	if (!range) return;
	const left: Range[] = [];
	if (range[0] < number) left.push([range[0], number - 1]);
	if (number < range[1]) left.push([number + 1, range[1]]);
	ranges.splice(at, 1, ...left);
}

/**
 * A payload's 53-bit fingerprint, from its length and both ends, and its mailbox (`salt`): sealed bytes differ there. It tells a client's own mistake
 * (a phone restored from a backup), it is no defence against someone who wants two payloads to look alike to themselves.
 */
export function fingerprint(bytes: Uint8Array, start: number, end: number, salt: number): number {
	const length = end - start;
	let a = salt ^ length;
	let b = 0x85ebca6b + length;
	if (length >= 8) {
		a = Math.imul(a ^ readU32(bytes, start), 0x85ebca6b);
		b = Math.imul(b ^ readU32(bytes, start + 4), 0xc2b2ae35);
		a = Math.imul((a ^ (a >>> 15)) + readU32(bytes, end - 8), 0x27d4eb2f);
		b = Math.imul((b ^ (b >>> 13)) + readU32(bytes, end - 4), 0x165667b1);
	} else {
		for (let i = start; i < end; i++) {
			a = Math.imul(a ^ (bytes[i] as number), 0x85ebca6b);
			b = Math.imul(b + (bytes[i] as number), 0xc2b2ae35);
			b ^= b >>> 13;
		}
	}
	a ^= a >>> 16;
	b ^= b >>> 15;
	return (a >>> 0) * 0x200000 + (b >>> 11) || 1;
}
