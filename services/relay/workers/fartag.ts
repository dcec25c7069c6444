/**
 * What this worker's disk knows of a tag whose tab is another worker's: the numbers that were kept or passed here. It is read before the
 * first copy of the tag is looked at, and keeps a retry from being stored twice after a crash of the other worker (threats 6, 13).
 */

import { LIMIT } from "#contracts/limit";
import type { Range } from "#contracts/ranges";
import type { Clock } from "#host/clock";
import { rememberUntilMs, union } from "#relay/mailbox/marks";
import type { MailStore } from "#relay/mailbox/store";
import { Numbers } from "#relay/tag/numbers";

/** Ranges of a record after which its gaps are asked for: a sender who writes by turns to mailboxes of several workers. */
const RANGES_MAX = 64;

/** A tag. */
export class FarTag {
	readonly id: string;
	/** Routes that use it. */
	uses = 0;
	private readonly store: MailStore;
	private readonly clock: Clock;
	private readonly failed: (error: unknown) => void;
	private numbers = new Numbers();
	private prints: ReadonlyMap<number, number> = new Map();
	/** Taken live and not yet with the store. */
	private readonly unmarked = new Numbers();
	/** Ranges at which the gaps are asked for next; not again before they were filled. */
	private askAt = RANGES_MAX;
	/** Resolves when the disk was read. */
	readonly loaded: Promise<void>;

	constructor(id: string, store: MailStore, clock: Clock, failed: (error: unknown) => void) {
		this.id = id;
		this.store = store;
		this.clock = clock;
		this.failed = failed;
		this.loaded = store.marks(id).then(({ ranges, prints }) => {
			this.numbers = new Numbers(union(ranges, this.numbers.ranges));
			this.prints = prints;
		});
	}

	/** The numbers that were kept or passed here. */
	get ranges(): readonly Range[] {
		return this.numbers.ranges;
	}

	/** What is known of a number; "seq-reused" when it was used for other bytes. */
	check(seq: number, print: number): "new" | "known" | "seq-reused" {
		if (!this.numbers.has(seq)) return "new";
		const before = this.prints.get(seq);
		return before === undefined || before === print ? "known" : "seq-reused";
	}

	/** A number was answered here. */
	answered(seq: number): void {
		this.numbers.include(seq);
	}

	/** A number was taken live, and is to become durable with whatever is written next. */
	mark(seq: number): void {
		this.unmarked.include(seq);
		if (this.unmarked.count > LIMIT.gapsMax) this.flush();
	}

	/** Hands what was taken live to the store. Lazy, as for tags of this worker. */
	flush(): void {
		if (this.unmarked.count > 0) this.write(this.unmarked.take());
	}

	/** Whether so many gaps gathered that they should be asked for; true once until they were filled. */
	get gaping(): boolean {
		if (this.numbers.count <= this.askAt) return false;
		this.askAt = Number.POSITIVE_INFINITY;
		return true;
	}

	/** Numbers that the tag's own worker has answered: none of them comes here any more. */
	filled(ranges: readonly Range[]): void {
		this.numbers = new Numbers(union(this.numbers.ranges, ranges));
		this.askAt = Math.max(RANGES_MAX, 2 * this.numbers.count);
		this.write(ranges);
	}

	private write(ranges: readonly Range[]): void {
		this.store.mark(this.id, ranges, rememberUntilMs(this.clock.nowMs())).catch(this.failed);
	}
}
