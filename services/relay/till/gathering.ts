/**
 * Gathers what goes to the disk, so that many share one commit (docs/decisions/vouchers-in-groups.md). The first goes at the end of its
 * turn; while one group is on its way, and a moment after it went, what comes gathers for the next.
 */

import type { Cancel, Clock } from "#host/clock";

/** Between two groups: handing one over and syncing it costs about as much as carrying half a MiB, and payers are an eighth of a step ahead. */
export const APART_MS = 12;

/** The same while somebody's payload waits for what gathers. */
export const HURRIED_MS = 4;

/** A group that goes at once: so many fill a commit. */
export const GROUP_MAX = 512;

type Waiting<One, Answer> = {
	readonly one: One;
	resolve(answer: Answer | Promise<Answer>): void;
	reject(why: unknown): void;
};

/** What gathers, and what a group of it becomes: answers in the same order. */
export class Gathering<One, Answer> {
	private readonly clock: Clock;
	private readonly work: (group: readonly One[]) => Promise<readonly (Answer | Promise<Answer>)[]>;
	private waiting: Waiting<One, Answer>[] = [];
	private cancel: Cancel | undefined;
	private scheduled = false;
	private under = 0;
	private sentAtMs = Number.NEGATIVE_INFINITY;
	private apartMs = APART_MS;

	/** `clock`: the machine's own, for what it spaces out is the machine's disk. */
	constructor(clock: Clock, work: (group: readonly One[]) => Promise<readonly (Answer | Promise<Answer>)[]>) {
		this.clock = clock;
		this.work = work;
	}

	/** Adds one; its answer comes with its group's. */
	add(one: One): Promise<Answer> {
		return new Promise((resolve, reject) => {
			this.waiting.push({ one, resolve, reject });
			if (this.waiting.length >= GROUP_MAX) this.send();
			else this.plan();
		});
	}

	/** Somebody waits for what gathers: it goes sooner. */
	hurry(): void {
		if (this.waiting.length === 0) return;
		this.apartMs = HURRIED_MS;
		this.forget();
		this.plan();
	}

	/** Sends what has gathered, now. */
	send(): void {
		this.forget();
		this.apartMs = APART_MS;
		const group = this.waiting;
		if (group.length === 0) return;
		this.waiting = [];
		this.sentAtMs = this.clock.elapsedMs();
		this.under++;
		void this.finish(group);
	}

	private async finish(group: readonly Waiting<One, Answer>[]): Promise<void> {
		try {
			const answers = await this.work(group.map(({ one }) => one));
			for (const [i, { resolve }] of group.entries()) resolve(answers[i] as Answer | Promise<Answer>);
		} catch (error) {
			for (const { reject } of group) reject(error);
		}
		this.under--;
		this.plan();
	}

	private forget(): void {
		this.cancel?.();
		this.cancel = undefined;
	}

	private plan(): void {
		if (this.waiting.length === 0 || this.under > 0 || this.cancel || this.scheduled) return;
		const inMs = this.sentAtMs + this.apartMs - this.clock.elapsedMs();
		if (inMs > 0) {
			this.cancel = this.clock.after(inMs, () => this.send());
			return;
		}
		this.scheduled = true;
		setImmediate(() => {
			this.scheduled = false;
			this.send();
		});
	}
}
