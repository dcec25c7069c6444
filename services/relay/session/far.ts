/**
 * The seam at which mail leaves this process: mailboxes of other workers of the same relay, as a session sees them. A relay of one process
 * has none of it. The engine is `workers/link.ts`; what a copy's way costs and promises is in docs/decisions/workers.md.
 */

import type { Tab } from "#relay/tab/tab";
import type { Tag } from "#relay/tag/dedupe";

/** Who takes frames that stand together in a message: a reader's outbox, or the link to another worker. */
export interface Way {
	pass(message: Uint8Array, start: number, end: number): void;
}

/** What a route is opened with: who sends, who pays, and for which mailbox; as a handle has it. */
export type RouteTerms = {
	readonly tab: Tab;
	readonly tag: Tag;
	/** In hex. */
	readonly mailbox: string;
	readonly ttlS: number;
	/** Undefined for a stranger. */
	readonly tokenHash: Uint8Array | undefined;
};

/** The way of one handle to a mailbox of another worker. Copies keep their order on it. */
export interface Route {
	/** Stands where the client's handle stood. */
	readonly number: number;
	/** Notes a copy that was charged and accepted, before its frame is passed on; from here on the route answers for it. */
	hand(seq: number, size: number): void;
	/** Nothing more will be handed to it. What is under way is still answered. */
	close(): void;
}

/** The way to one other worker. */
export interface Link extends Way {
	/** Whether copies can be handed over; while the other worker is away they cannot. */
	readonly up: boolean;
	/** A promise to wait for while too much is on its way and not taken; undefined when not. */
	readonly congestion: Promise<void> | undefined;
	open(terms: RouteTerms): Route;
	/** Adds a copy whose payload stands between `start` and `end` of bytes that others are sent too. */
	copy(route: number, seq: number, bytes: Uint8Array, start: number, end: number): void;
}

/** All other workers. */
export interface Far {
	/** The link to the worker that has a mailbox; undefined when this one has it. */
	to(mailbox: Uint8Array): Link | undefined;
	/** Asks the others to send to the disk what their readers have not acknowledged, so that it is answered now. */
	spill(): void;
}
