/** The tags that a relay knows at the moment, loaded from and written back to the mail store. */

import { LIMIT } from "#contracts/limit";
import { type Problem, problem } from "#contracts/problem";
import type { RelayLimits } from "#relay/limit";
import { MailFailure, type MailStore } from "#relay/mailbox/store";
import { type PrintRoom, Tag } from "./dedupe.ts";

/** Ranges that may wait before they are written at once: a tag's sends that go by turns to readers who ack and who do not. */
const UNMARKED_RANGES_MAX = LIMIT.gapsMax;

/** The tags in memory, bounded; the rest is on disk. */
export class Tags {
	private readonly tags = new Map<string, Tag>();
	private readonly unmarked = new Set<Tag>();
	private readonly room: PrintRoom;
	private readonly store: MailStore;
	private readonly limits: RelayLimits;
	private readonly failed: (error: unknown) => void;

	constructor(store: MailStore, limits: RelayLimits, failed: (error: unknown) => void) {
		this.store = store;
		this.room = { slots: limits.printsOfAllMax };
		this.limits = limits;
		this.failed = failed;
	}

	/** How many are in memory. */
	get count(): number {
		return this.tags.size;
	}

	/** A tag that is in memory. */
	known(id: string): Tag | undefined {
		return this.tags.get(id);
	}

	/** Loads a tag's durable record. */
	async load(id: string): Promise<Tag | Problem> {
		if (this.tags.size >= this.limits.tagsMax) this.forget(Number.POSITIVE_INFINITY);
		if (this.tags.size >= this.limits.tagsMax) return problem("too-many");
		try {
			const record = await this.store.marks(id);
			const loaded = this.tags.get(id) ?? new Tag(id, record, this.room);
			this.tags.set(id, loaded);
			return loaded;
		} catch (error) {
			if (!(error instanceof MailFailure)) throw error;
			return error.problem;
		}
	}

	/** Notes that a number was taken live, so that it becomes durable soon. */
	mark(tag: Tag, seq: number): void {
		if (tag.unmarked.count === 0) this.unmarked.add(tag);
		tag.unmarked.include(seq);
		if (tag.unmarked.count > UNMARKED_RANGES_MAX) this.write(tag);
	}

	/** The same for the numbers from `first` to `last`. */
	markRow(tag: Tag, first: number, last: number): void {
		if (tag.unmarked.count === 0) this.unmarked.add(tag);
		tag.unmarked.includeRow(first, last);
		if (tag.unmarked.count > UNMARKED_RANGES_MAX) this.write(tag);
	}

	/** Hands what was taken live since the last time to the store, which writes it with whatever it writes next. */
	flush(): void {
		for (const tag of this.unmarked) this.write(tag);
	}

	/** Forgets tags that nobody spoke for since then; what they sent is on disk. */
	forget(beforeMs: number): void {
		const idle = [...this.tags.values()].filter(
			({ answers, pending, unmarked }) => !answers && pending === 0 && unmarked.count === 0,
		);
		// in the order in which they were loaded, so that the oldest make room
		const over = idle.length - this.limits.tagsIdleMax;
		for (const [i, tag] of idle.entries()) {
			if (i >= over && tag.seenMs >= beforeMs) continue;
			tag.release();
			this.tags.delete(tag.id);
		}
	}

	private write(tag: Tag): void {
		const ranges = tag.unmarked.take();
		this.unmarked.delete(tag);
		// lazy by its contract: nobody waits for it, and what a crash loses of it may be delivered twice
		if (ranges.length > 0) this.store.mark(tag.id, ranges, tag.untilMs).catch(this.failed);
	}
}
