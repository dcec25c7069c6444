/**
 * The board: the seam behind which the market's processes share what is neither money nor a card. Three engines (`memory.ts`, `sqlite.ts`,
 * `postgres.ts`) pass one acceptance suite (test/acceptance/board.ts). What it means is the business of who puts it there: `listing/`,
 * `outage.ts` and `api/caller.ts`.
 */

/** A relay's listing as it hangs on the board. */
export type Posting = {
	/** its key */
	readonly relay: Uint8Array;
	/** what it asks, as text: the newest of each is kept */
	readonly tariff: string;
	/** where it was posted from, blurred; "" where that is not counted */
	readonly origin: string;
	readonly issuedAtMs: number;
	readonly validUntilMs: number;
	readonly bytes: Uint8Array;
};

/** How much hangs at once. */
export type Room = {
	readonly relays: number;
	/** of relays that came from one place */
	readonly relaysOfOrigin: number;
	/** of postings of one relay */
	readonly postingsOfRelay: number;
};

/** A page of what was posted, by when that was. */
export type Page = {
	readonly postings: readonly Uint8Array[];
	/** the last one's place in the order: where the next page goes on */
	readonly last: number;
	/** the newest one's place; below the place that was asked after on a board that is older than it was (a backup) */
	readonly newest: number;
};

/** A few words under a name, changed only by whoever knows what they were. */
export type Note = { readonly version: number; readonly text: string };

/** What fits one answer: each is verified by its reader, some 50 µs a piece. */
export const PAGE_MAX = 200;

/** Things forgotten in one go: a few milliseconds of a disk. */
export const SWEEP_MAX = 2_000;

/** The board. Reads see what was written before, by whomever. Methods throw a `BookFailure` when the machine fails them. */
export interface Board {
	/**
	 * Hangs a relay's listing up. `older`: a newer one hangs there, and nothing changed. `full`: there is no room for one more relay;
	 * `crowded`: not for one more from there. A relay that hangs already needs no room, and stays where it came from first.
	 */
	post(posting: Posting, room: Room, nowMs: number): Promise<"posted" | "older" | "full" | "crowded">;
	/** What hangs of one relay, newest first; what is over may be among it. */
	postingsOf(relay: Uint8Array): Promise<Uint8Array[]>;
	/** What was posted after a place in the order (0: from the beginning), {@link PAGE_MAX} at most; what is over may be among it. */
	postingsAfter(place: number): Promise<Page>;
	/** A note. */
	note(name: string): Promise<Note | undefined>;
	/** Writes a note that has the version that is expected (0: there is none); false when it has another. */
	writeNote(name: string, expect: number, text: string): Promise<boolean>;
	/** Marks something as used, once: false when it was. Kept until its time is over. */
	use(mark: Uint8Array, untilMs: number): Promise<boolean>;
	/** Forgets some of what is over; how many things. Any number of processes may do it at once. */
	sweep(nowMs: number): Promise<number>;
	/** Finishes what waits and lets go of its file or server. */
	close(): Promise<void>;
}
