/**
 * The seam behind which mail rests until its reader takes it. Engines: `memory.ts` (the oracle) and `sqlite.ts`; both pass
 * `test/acceptance/mailstore.ts`. Quotas and dedupe are decided before mail comes here; the store makes them last.
 */

import type { Problem } from "#contracts/problem";
import type { Range } from "#contracts/ranges";

/** One accepted payload on its way to the disk. Keys in hex; times in Unix milliseconds. */
export type Mail = {
	readonly mailbox: string;
	/** Rises over all mailboxes and restarts: `epoch * 2 ** 32 + n`. Mail is read in this order. */
	readonly position: number;
	readonly expiresAtMs: number;
	readonly payload: Uint8Array;
	/** Who sent it, as far as a relay knows: the dedupe record that becomes durable in the same transaction. */
	readonly tag: string;
	readonly seq: number;
	/** The fingerprint that tells a retry from other bytes under the same number. */
	readonly print: number;
	/** Sent with the card's token, so outside the strangers' part of the quota. */
	readonly byCard: boolean;
};

/** Mail as it is read back. */
export type KeptMail = Pick<Mail, "position" | "expiresAtMs" | "payload">;

/** What the index in memory knows of a mailbox, always as of the last commit. */
export type MailboxState = {
	readonly mailbox: string;
	readonly messages: number;
	readonly bytes: number;
	readonly strangerBytes: number;
	/** Counted apart as well: a hundred thousand mails of one byte would else fill a mailbox for everyone. */
	readonly strangerMessages: number;
	/** The hash of the card's token; undefined while no card is out. */
	readonly tokenHash: Uint8Array | undefined;
	/** The devices that mail is kept for, in hex, the one registered first before the others. None where nobody came for long. */
	readonly devices: readonly string[];
	readonly seenMs: number;
};

/** A device and when it was last there. */
export type Known = { readonly device: string; readonly seenMs: number };

/** What a device finds when it comes. */
export type Visit = {
	/** It was not registered before: it begins with what is still there. */
	readonly fresh: boolean;
	/** Kept, and not yet acknowledged by this device. */
	readonly waiting: number;
	readonly waitingBytes: number;
	/** Lost to this device since it was last told. */
	readonly droppedTtl: number;
	readonly droppedQuota: number;
	/** All devices of the mailbox, this one among them. */
	readonly devices: readonly Known[];
};

/** What was lost to a device. */
export type Lost = Pick<Visit, "droppedTtl" | "droppedQuota">;

/** What became of a mail: on disk, or its mailbox is gone, or the disk refused (then nothing of it was written). */
export type KeepResult = "kept" | "mailbox-unknown" | "disk";

/** Mailboxes of one relay unless it is told otherwise: their index takes some 40 MB. */
export const MAILBOXES_MAX = 100_000;

/** How long an empty mailbox outlives its owner's last visit (90 days): longer than any mail, and than a long journey. */
export const IDLE_MS = 90 * 86_400_000;

/** What `read` and `marks` reject with when the disk cannot be read, or is too far behind to be asked. */
export class MailFailure extends Error {
	readonly problem: Problem;

	constructor(problem: Problem) {
		super(problem.detail);
		this.name = "MailFailure";
		this.problem = problem;
	}
}

export interface MailStore {
	/** Durably raised at each open, so that positions never come again. */
	readonly epoch: number;
	/** Payload bytes given to {@link keep} and not yet on disk: callers stop reading sockets beyond their bound. */
	readonly pendingBytes: number;
	/** What lies in all mailboxes together, as of the last commit. */
	readonly kept: { readonly messages: number; readonly bytes: number };
	/** From memory, a view that changes with each commit; undefined for a mailbox that nobody ever listened on. */
	state(mailbox: string): MailboxState | undefined;
	/**
	 * Creates a mailbox or notes that its owner was seen, with the token's hash of the newest card; registers the device, for which the one
	 * unseen the longest gives way where there are too many: not one of those `present`.
	 */
	visit(
		mailbox: string,
		device: string,
		tokenHash: Uint8Array | undefined,
		nowMs: number,
		present?: readonly string[],
	): Promise<Visit | "too-many" | "disk">;
	/** Notes that a device is still there: durable with the next write or `expire`. */
	seen(mailbox: string, device: string, nowMs: number): void;
	/** Gives a device up: mail is not kept for it any more. Answers those that are left. */
	forget(mailbox: string, device: string): Promise<readonly Known[] | "disk">;
	/**
	 * Resolves when all are durable, or say why not, one result each. Calls of one turn share a commit. Payloads are copied before it
	 * returns: their memory is the caller's again at once.
	 */
	keep(mails: readonly Mail[]): Promise<KeepResult[]>;
	/** Unexpired mail after a position that this device has not acknowledged, in order, up to either bound (but at least one where any waits). */
	read(
		mailbox: string,
		device: string,
		after: number,
		nowMs: number,
		countMax: number,
		bytesMax: number,
	): Promise<KeptMail[]>;
	/** A device has acknowledged mail; what all have acknowledged is deleted. Positions that are not there, and devices that are not, are no error. */
	acknowledge(mailbox: string, device: string, positions: readonly number[]): Promise<"noted" | "disk">;
	/** Notes that refused mail (so many) must be told to each device: durable with the next write or `expire`. */
	dropped(mailbox: string, quota: number): void;
	/** A device was told of so many losses: they are not told to it again. */
	told(mailbox: string, device: string, lost: Lost): Promise<void>;
	/** A tag's durable dedupe record, with fingerprints of what is still kept: of several under one number, the first position's. */
	marks(tag: string): Promise<{ readonly ranges: Range[]; readonly prints: ReadonlyMap<number, number> }>;
	/**
	 * Makes numbers of a tag durable that never were mail on this disk (taken live), to be kept until then. Lazy, so that live mail touches
	 * no disk: it goes with the next write or `expire`, and nobody should wait for it before answering. `marks` sees it at once.
	 */
	mark(tag: string, ranges: readonly Range[], untilMs: number): Promise<void>;
	/**
	 * Drops what is past its time, in a slice that nobody waits long for: at most `countMax` at once, and of large mail fewer. Mail (counted for the
	 * devices that had not acknowledged it), devices unseen for {@link LIMIT.deviceMs}, mail that was kept for devices given up alone, dedupe
	 * records, mailboxes unseen for `idleMs` and empty. Answers how much it dropped: 0 when nothing is left to drop.
	 */
	expire(nowMs: number, countMax: number): Promise<number>;
	/** Writes what waits and closes. */
	close(): Promise<void>;
}
