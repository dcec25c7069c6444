/**
 * What may reach the disk later, with the next write: numbers taken live, counts of refused mail, and which devices are still there. Gathered here so that live mail and
 * floods against a full mailbox cost no write each; a crash loses at most what came since the last `expire`.
 */

import type { Range } from "#contracts/ranges";
import { union } from "./marks.ts";

/** Numbers of a tag that were taken, and until when that is remembered. */
export type TagMark = { readonly tag: string; readonly ranges: readonly Range[]; readonly untilMs: number };

/** Mail refused since the last write, by mailbox. */
export type Drop = { readonly mailbox: string; readonly quota: number };

/** A device that is still there. */
export type Seen = { readonly mailbox: string; readonly device: string; readonly nowMs: number };

/** Notes on their way to the disk. */
export type NoteSheet = {
	readonly marks: readonly TagMark[];
	readonly drops: readonly Drop[];
	readonly seen: readonly Seen[];
};

/** Tags that may wait: beyond it the store writes, and on a disk that takes nothing the rest is forgotten (a live retry may then be taken twice). */
export const WAITING_TAGS_MAX = 4_096;

/** Ranges of all of them, for the same reason: tags with gaps on purpose have hundreds each, at some 80 bytes. */
export const WAITING_RANGES_MAX = 32_768;

/** Notes that wait for a write. */
export class Notes {
	private readonly marks = new Map<string, { ranges: Range[]; untilMs: number }>();
	private readonly drops = new Map<string, number>();
	private seen: Seen[] = [];
	/** Ranges in the marks, at most: what two marks of a tag share counts twice. */
	private ranges = 0;
	private waiting: (() => void)[] = [];

	/** Whether so much waits that it should be written now. */
	get full(): boolean {
		return this.marks.size >= WAITING_TAGS_MAX || this.ranges >= WAITING_RANGES_MAX;
	}

	/** Adds a mark; resolves when a sheet with it is {@link settle}d. */
	mark({ tag, ranges, untilMs }: TagMark): Promise<void> {
		this.add({ tag, ranges, untilMs });
		return new Promise((resolve) => this.waiting.push(resolve));
	}

	/** Adds to a mailbox's count of refused mail. Only mailboxes that exist are noted, so their number bounds this. */
	drop(mailbox: string, quota: number): void {
		this.drops.set(mailbox, (this.drops.get(mailbox) ?? 0) + quota);
	}

	/** Adds that a device is still there. Each is noted once a day, and taken with the next expiry, so that connections bound this. */
	see(seen: Seen): void {
		this.seen.push(seen);
	}

	/** Takes all that waits, and who is to be told when it is written; undefined when nothing waits. */
	take(): { sheet: NoteSheet; settle: () => void } | undefined {
		if (this.marks.size === 0 && this.drops.size === 0 && this.seen.length === 0) return undefined;
		const marks = [...this.marks].map(([tag, { ranges, untilMs }]) => ({ tag, ranges, untilMs }));
		const drops = [...this.drops].map(([mailbox, quota]) => ({ mailbox, quota }));
		const { seen, waiting: told } = this;
		this.marks.clear();
		this.ranges = 0;
		this.drops.clear();
		this.seen = [];
		this.waiting = [];
		return {
			sheet: { marks, drops, seen },
			settle: () => {
				for (const resolve of told) resolve();
			},
		};
	}

	/** Puts back what a disk did not take, within the bound. */
	giveBack(sheet: NoteSheet): void {
		for (const mark of sheet.marks) if (!this.full || this.marks.has(mark.tag)) this.add(mark);
		// a visit that no disk took is noted again tomorrow
		for (const { mailbox, quota } of sheet.drops) this.drop(mailbox, quota);
	}

	private add({ tag, ranges, untilMs }: TagMark): void {
		const known = this.marks.get(tag);
		this.ranges += ranges.length;
		if (!known) this.marks.set(tag, { ranges: [...ranges], untilMs });
		else {
			known.ranges = union(known.ranges, ranges);
			known.untilMs = Math.max(known.untilMs, untilMs);
		}
	}
}
