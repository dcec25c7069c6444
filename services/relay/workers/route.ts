/**
 * One handle's way to a mailbox of another worker, as the worker that has the tab sees it: what was charged here and is not answered there.
 * It answers for each copy exactly once: earned, taken back, or (known from before) not charged again.
 */

import type { ProblemCode } from "#contracts/problem";
import { has, type Range } from "#contracts/ranges";
import type { Route, RouteTerms } from "#relay/session/far";
import type { Tags } from "#relay/tag/tags";
import type { AnswerKind, HopRoute } from "./hop.ts";

/** Copies under way that a route begins with room for; it doubles as needed, and the link's window bounds it. */
const ROOM_FIRST = 16;

/** A route. */
export class NearRoute implements Route {
	readonly number: number;
	readonly terms: RouteTerms;
	private readonly tags: Tags;
	private readonly left: (route: NearRoute) => void;
	/** A ring: numbers in the order in which they were handed over, their sizes; 0 for one that is answered. */
	private seqs = new Uint32Array(ROOM_FIRST);
	private sizes = new Uint16Array(ROOM_FIRST);
	private head = 0;
	private tail = 0;
	/** Where the last answer was found: answers come mostly in the order of sending. */
	private hint = 0;
	private closed = false;
	/** Copies before this place were under way when the other worker went away, and what is known of them there. */
	private openUntil = 0;
	private known: Range[] = [];

	constructor(number: number, terms: RouteTerms, tags: Tags, left: (route: NearRoute) => void) {
		this.number = number;
		this.terms = terms;
		this.tags = tags;
		this.left = left;
	}

	/** Copies that are not answered. */
	get underWay(): boolean {
		return this.head !== this.tail;
	}

	/** As the other worker is told of it; with what a crash left open it asks for what is known there. */
	get told(): HopRoute {
		const { ttlS, mailbox, tokenHash, tag } = this.terms;
		return { route: this.number, ttlS, mailbox, tokenHash, tag: tag.id, resolve: this.openUntil > this.head };
	}

	hand(seq: number, size: number): void {
		if (this.tail - this.head === this.seqs.length) this.grow();
		const at = this.tail & (this.seqs.length - 1);
		this.seqs[at] = seq;
		this.sizes[at] = size;
		this.tail++;
	}

	close(): void {
		this.closed = true;
		if (!this.underWay) this.left(this);
	}

	/** The other worker said what became of some numbers. */
	answered(kind: AnswerKind, code: ProblemCode, ranges: readonly Range[]): void {
		for (const [first, last] of ranges) for (let seq = first; seq <= last; seq++) this.find(seq, kind, code);
		this.pop();
	}

	/** The other worker is gone: what is under way may be on its disk or not, and stays charged until that is known. */
	interrupted(): void {
		this.known = [];
		this.openUntil = this.tail;
	}

	/** What the other worker's disk has of this tag; `all` with the last part. What was under way and is not there is taken back. */
	resolved(ranges: readonly Range[], all: boolean): void {
		this.known.push(...ranges);
		if (!all) return;
		for (let place = this.head; place < this.openUntil; place++) {
			const seq = this.seqs[place & (this.seqs.length - 1)] as number;
			this.settle(place, has(this.known, seq) ? "kept" : "refused", "disk");
		}
		this.known = [];
		this.openUntil = 0;
		this.pop();
	}

	private find(seq: number, kind: AnswerKind, code: ProblemCode): void {
		const { head, tail } = this;
		const mask = this.seqs.length - 1;
		if (this.hint < head || this.hint >= tail) this.hint = head;
		for (let step = tail - head, place = this.hint; step > 0; step--, place++) {
			if (place === tail) place = head;
			if (this.seqs[place & mask] !== seq || this.sizes[place & mask] === 0) continue;
			this.settle(place, kind, code);
			this.hint = place + 1;
			return;
		}
	}

	private settle(place: number, kind: AnswerKind, code: ProblemCode): void {
		const at = place & (this.seqs.length - 1);
		const seq = this.seqs[at] as number;
		const size = this.sizes[at] as number;
		if (size === 0) return;
		this.sizes[at] = 0;
		const { tab, tag, ttlS } = this.terms;
		if (kind === "kept" || kind === "passed") tab.settle(size, ttlS);
		else tab.refund(size, ttlS);
		if (kind === "refused") {
			tag.undo(seq);
			tag.answers?.refused(code, seq);
			return;
		}
		tag.settle(seq);
		// here too: the number is then answered here after a restart, and the tag's record has no gap for it
		this.tags.mark(tag, seq);
		if (ttlS === 0) tag.answers?.passed(seq);
		else tag.answers?.kept(seq);
	}

	private pop(): void {
		const mask = this.seqs.length - 1;
		while (this.head < this.tail && this.sizes[this.head & mask] === 0) this.head++;
		if (this.closed && !this.underWay) this.left(this);
	}

	private grow(): void {
		const { seqs, sizes, head, tail } = this;
		const mask = seqs.length - 1;
		this.seqs = new Uint32Array(seqs.length * 2);
		this.sizes = new Uint16Array(seqs.length * 2);
		const wider = this.seqs.length - 1;
		for (let place = head; place < tail; place++) {
			this.seqs[place & wider] = seqs[place & mask] as number;
			this.sizes[place & wider] = sizes[place & mask] as number;
		}
	}
}
