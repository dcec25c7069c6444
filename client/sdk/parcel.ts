/**
 * What goes through a sender: payloads with their number and price, and what the wallet does for the sender meanwhile.
 */

import { toHex } from "#contracts/bytes";
import { writeOpen } from "#contracts/control";
import { writeFan } from "#contracts/fan";
import { FRAME, mailFrame } from "#contracts/frame";
import { LIMIT } from "#contracts/limit";
import type { Problem, ProblemCode } from "#contracts/problem";
import type { Traffic } from "#contracts/tariff";
import type { Purse } from "./purse.ts";
import type { Session } from "./session.ts";

/** A payload on its way: to whom, for how long, with which card's token. */
export type Parcel = {
	readonly mailbox: Uint8Array;
	readonly token: Uint8Array;
	readonly ttlS: number;
	readonly payload: Uint8Array;
};
export type Answer = "kept" | "passed" | Problem;

/** A parcel with its number, until it is answered. */
export type Entry = Parcel & {
	readonly seq: number;
	readonly copy: Traffic;
	/** Whether the purse counts it: then it was covered, and may go again as it is. */
	counted: boolean;
	readonly settle: (answer: Answer) => void;
};

/** What the wallet does for a sender. */
export type SenderEvents = {
	/** The purse changed: make it last. */
	changed(purse: Purse): void;
	/** Paid for and never answered. */
	lost(purse: Purse, lost: Traffic): void;
	/** The relay claims what was never signed: the tab must not be used again. */
	dishonest(purse: Purse, why: Problem): void;
	/** The tab's cap or life is used up, or the relay takes no more on it (`ended`): closes it and answers the next one. */
	next(purse: Purse, ended: boolean): Promise<Purse | Problem>;
	/** Worth knowing, already dealt with. */
	problem(problem: Problem): void;
};

const FATAL: readonly ProblemCode[] = ["grant-unknown-market", "grant-other-relay", "version-unknown", "signature-bad"];
const ENDED: readonly ProblemCode[] = ["grant-expired", "tab-finished"];

/** Refusals of a hello that trying again cannot mend; a relay that has yet to hear of a key or a tab says so by `retry`. */
export function isFatal(why: Problem): boolean {
	return FATAL.includes(why.problem) && !why.retry;
}

/** Refusals that another tab mends. */
export function isEnded(code: ProblemCode): boolean {
	return ENDED.includes(code);
}

/** The handles opened in one session: a mailbox, a TTL and a token each. */
export class Handles {
	private readonly numbers = new Map<string, number>();

	clear(): void {
		this.numbers.clear();
	}

	/** Writes copies of one payload with numbers that follow each other: one as a send, more as a fan. */
	send(session: Session, copies: readonly Entry[]): void {
		const { seq, payload } = copies[0] as Entry;
		const handles = copies.map((entry) => this.of(session, entry));
		if (copies.length > 1) session.write(writeFan({ seq, handles, payload }));
		else session.write(mailFrame(FRAME.send, handles[0] as number, seq, payload));
	}

	/** The parcel's handle; opened right before, where it is new. */
	private of(session: Session, { mailbox, ttlS, token }: Parcel): number {
		const name = `${toHex(mailbox)} ${ttlS} ${toHex(token)}`;
		const known = this.numbers.get(name);
		if (known !== undefined) return known;
		// Opening a handle again binds it anew, so when all are taken they are given out from the first.
		if (this.numbers.size >= LIMIT.handlesMax) this.numbers.clear();
		const handle = this.numbers.size + 1;
		this.numbers.set(name, handle);
		session.write(writeOpen({ handle, ttlS, mailbox, token }));
		return handle;
	}
}
