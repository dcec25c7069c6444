/**
 * One handle's way to a mailbox of this worker, from a session of another: whose mailbox, with which card, and the answers of a turn. What is
 * known of its tag here keeps a retry from being stored twice, whatever became of the worker that has the tab.
 */

import { fromHex, same } from "#contracts/bytes";
import { readU32 } from "#contracts/frame";
import type { ProblemCode } from "#contracts/problem";
import type { Mailbox } from "#relay/mailbox/mailbox";
import type { MailboxState } from "#relay/mailbox/store";
import type { Origin } from "#relay/session/copy";
import { Numbers } from "#relay/tag/numbers";
import type { FarTag } from "./fartag.ts";
import { type HopRoute, writeHopAnswers } from "./hop.ts";

/** What became of a copy; a refusal is its reason. */
type Fate = "kept" | "passed" | "known" | ProblemCode;

/** Who gathers what routes have to say, until the turn ends. */
export interface Teller {
	touch(route: FarRoute): void;
}

/** A route. */
export class FarRoute {
	readonly told: HopRoute;
	readonly tag: FarTag;
	/** Part of the fingerprint, as a session's handle has it. */
	readonly salt: number;
	/** Frames that came before the tag was read from the disk. The near side's window bounds them. */
	waiting: Uint8Array[] | undefined = [];
	mailbox: Mailbox | undefined;
	/** Whether there is something to say at the turn's end. */
	dirty = false;
	private readonly teller: Teller;
	private source: FarOrigin | undefined;
	/** The mailbox's token for which the source was made. */
	private checked: Uint8Array | undefined;
	private readonly answers = new Map<Fate, Numbers>();

	constructor(told: HopRoute, tag: FarTag, teller: Teller) {
		this.told = told;
		this.tag = tag;
		this.salt = readU32(fromHex(told.mailbox) ?? new Uint8Array(4), 0);
		this.teller = teller;
	}

	/** Who its copies are from; made anew when the mailbox's card changes, as copies under way keep theirs. */
	origin(state: MailboxState): FarOrigin {
		if (this.source && this.checked === state.tokenHash) return this.source;
		const { tokenHash } = this.told;
		const byCard = !!tokenHash && !!state.tokenHash && same(tokenHash, state.tokenHash);
		this.checked = state.tokenHash;
		this.source = new FarOrigin(this, byCard);
		return this.source;
	}

	/** Says what became of a number; a refusal by its reason. */
	say(what: Fate, seq: number): undefined {
		const numbers = this.answers.get(what);
		if (numbers) numbers.include(seq);
		else this.answers.set(what, new Numbers([[seq, seq]]));
		if (this.dirty) return;
		this.dirty = true;
		this.teller.touch(this);
	}

	/** The answers of this turn. */
	*take(): Generator<Uint8Array> {
		this.dirty = false;
		for (const [what, numbers] of this.answers) {
			if (numbers.count === 0) continue;
			const { route } = this.told;
			if (what === "kept" || what === "passed" || what === "known")
				yield* writeHopAnswers(route, what, "internal", numbers.take());
			else yield* writeHopAnswers(route, "refused", what, numbers.take());
		}
	}
}

/** Where copies of a route came from. */
export class FarOrigin implements Origin {
	readonly tagId: string;
	readonly byCard: boolean;
	private readonly route: FarRoute;

	constructor(route: FarRoute, byCard: boolean) {
		this.route = route;
		this.tagId = route.tag.id;
		this.byCard = byCard;
	}

	settle(seq: number): void {
		this.route.tag.answered(seq);
		this.route.say("kept", seq);
	}

	refuse(code: ProblemCode, seq: number): void {
		this.route.say(code, seq);
	}

	mark(seq: number): void {
		this.route.tag.mark(seq);
	}
}
