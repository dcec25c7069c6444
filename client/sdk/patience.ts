/** How much a relay may get wrong in a row, with nothing kept in between, before this side gives up what waits. */

/** Frames under way at most: bounds the walk over them for each answer. */
export const FLYING_MAX = 4096;
/** How long the word that a voucher counts may take: a relay's disk. */
export const CREDIT_MS = 500;

/** Rounds of `unpaid` after which the relay's count is asked for anew, or it is given up. */
const UNPAID_ROUNDS_RESTART = 2;
const UNPAID_ROUNDS_MAX = 6;
/** Losses of what was paid ahead: a crash is bad luck, a second one may be a way to be paid for nothing. */
const LOSSES_MAX = 1;

export class Patience {
	private unpaidRounds = 0;
	private losses = 0;

	/** The relay answered something. */
	answered(): void {
		this.unpaidRounds = 0;
		this.losses = 0;
	}

	/** It lost what was paid ahead. */
	lost(): void {
		this.losses++;
	}

	/** Whether it lost too often to be paid ahead again; {@link spent} gives it one more chance, with what is sent next. */
	get ended(): boolean {
		return this.losses > LOSSES_MAX;
	}

	/** What waited was given up. */
	spent(): void {
		this.losses = Math.min(this.losses, LOSSES_MAX);
	}

	/** It said `unpaid` to what this side has paid for: what to do about it. */
	unpaid(): "say again" | "ask anew" | "give up" {
		this.unpaidRounds++;
		if (this.unpaidRounds > UNPAID_ROUNDS_MAX) return "give up";
		return this.unpaidRounds > UNPAID_ROUNDS_RESTART ? "ask anew" : "say again";
	}
}
