/**
 * The seam of the till: the highest accepted voucher of each tab, on disk before it counts. Engines: `memory.ts` and
 * `sqlite.ts`; both pass `test/acceptance/till.ts`. Everything is also in memory: a relay has as many rows as live tabs.
 */

import type { Traffic } from "#contracts/tariff";
import type { Totals, Voucher } from "#contracts/voucher";

/** One tab in the till. `tab` in hex, times in Unix milliseconds. */
export type TillRow = {
	readonly tab: string;
	/** The grant as it travelled: all that is needed to check and redeem offline. */
	readonly grant: Uint8Array;
	/** The newest accepted voucher; undefined while a tab has only said hello. */
	readonly voucher: Voucher | undefined;
	/**
	 * What was used, written when the relay stops in order and consumed when it starts; undefined after a crash, and then `used := paid`.
	 * Never copied from `rows` into a later put: with a voucher that advances it is left out, and it has no other use while a tab lives.
	 */
	readonly used: Traffic | undefined;
	/** What the market has confirmed as paid, and its newest receipt. */
	readonly redeemed: Totals;
	readonly receipt: Uint8Array | undefined;
	readonly expiresAtMs: number;
	readonly redeemByMs: number;
	/** The relay has signed a final usage statement: the tab takes nothing more. */
	readonly final: boolean;
};

export interface Till {
	/** The rows by tab, as of the last commit. */
	readonly rows: ReadonlyMap<string, TillRow>;
	/** Resolves when the row is durable; "disk" when it is not, and then nothing changed. Never lowers a voucher. Puts of one turn share a commit. */
	put(row: TillRow): Promise<"kept" | "disk">;
	/** Somebody waits for what was put: it should be durable soon. */
	hurry(): void;
	/** Notes what the market confirmed; never lowers it. */
	redeemed(tab: string, redeemed: Totals, receipt: Uint8Array): Promise<"kept" | "disk">;
	/** Forgets tabs that are settled, or that nobody pays for any more. */
	drop(tabs: readonly string[]): Promise<void>;
	/** Writes what waits and closes. */
	close(): Promise<void>;
}
