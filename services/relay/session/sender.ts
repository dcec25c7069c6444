/** Who sent a copy, when it is a session of this process: its tab pays, its tag remembers the number, its connection hears the answer. */

import type { ProblemCode } from "#contracts/problem";
import type { Tab } from "#relay/tab/tab";
import type { Tag } from "#relay/tag/dedupe";
import type { Tags } from "#relay/tag/tags";
import type { Origin } from "./copy.ts";

/** A sender of this process; one for each handle, made anew when its tab or card changes. */
export class Sender implements Origin {
	readonly tab: Tab;
	readonly tag: Tag;
	readonly tagId: string;
	readonly ttlS: number;
	readonly byCard: boolean;
	private readonly tags: Tags;

	constructor(tab: Tab, tag: Tag, tags: Tags, ttlS: number, byCard: boolean) {
		this.tab = tab;
		this.tag = tag;
		this.tagId = tag.id;
		this.tags = tags;
		this.ttlS = ttlS;
		this.byCard = byCard;
	}

	settle(seq: number, size: number): void {
		this.tab.settle(size, this.ttlS);
		this.tag.settle(seq);
		this.tag.answers?.kept(seq);
	}

	refuse(code: ProblemCode, seq: number, size: number): void {
		this.tab.refund(size, this.ttlS);
		this.tag.undo(seq);
		this.tag.answers?.refused(code, seq);
	}

	mark(seq: number): void {
		this.tags.mark(this.tag, seq);
	}
}
