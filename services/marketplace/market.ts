/** What the market's rooms are handed: its parts, its terms, and how they sign. Put together in `main.ts`. */

import type { Amount } from "#contracts/amount";
import { type Billed, type SignedBill, signBill } from "#contracts/bill";
import { type Grant, signGrant, type Terms } from "#contracts/grant";
import type { Crypto } from "#contracts/identity";
import { type Problem, problem } from "#contracts/problem";
import { signReceipt } from "#contracts/redemption";
import type { FeeRates } from "#contracts/tab";
import type { Clock } from "#host/clock";
import type { Health } from "#host/health";
import type { Log } from "#host/log";
import type { Journal } from "./backup/journal.ts";
import type { Restoring } from "./backup/restore.ts";
import type { Board } from "./board/board.ts";
import type { Cards } from "./card/cards.ts";
import type { Commons } from "./commons/commons.ts";
import type { Frozen } from "./desk/frozen.ts";
import type { Operators } from "./desk/operators.ts";
import type { Carried } from "./home/totals.ts";
import type { Keys } from "./keys/keys.ts";
import type { Book, Refusal } from "./ledger/book.ts";
import type { Listings } from "./listing/listings.ts";
import type { Metrics } from "./metrics.ts";
import type { Outages } from "./outage.ts";
import type { Lightning } from "./payout/lightning.ts";
import type { Payouts } from "./payout/payouts.ts";
import type { Proofs } from "./proof/proofs.ts";
import type { Rail } from "./rail/rail.ts";
import type { Rates } from "./rate/rate.ts";
import type { Rules } from "./sponsor/rules.ts";
import type { Sources } from "./sponsor/sources.ts";
import type { Turns } from "./sponsor/turns.ts";
import type { SignReceipt } from "./tab/redeem.ts";
import type { Oblivious } from "./token/oblivious.ts";

/** The market's parts. */
export type Market = {
	readonly crypto: Crypto;
	readonly clock: Clock;
	readonly log: Log;
	readonly book: Book;
	readonly keys: Keys;
	/** what it answers without seeing it: persons' tags and quota tokens */
	readonly oblivious: Oblivious;
	/** what the market's processes share beside money and cards */
	readonly board: Board;
	readonly listings: Listings;
	readonly cards: Cards;
	readonly outages: Outages;
	/** whether it was brought back from a backup, and may pay out */
	readonly restoring: Restoring;
	/** what rails were told to pay, apart from the book */
	readonly journal: Journal;
	readonly metrics: Metrics;
	readonly health: Health;
	readonly fees: FeeRates;
	/** the shared fund, and the fee that fills it */
	readonly commons: Commons;
	/** by which rules funds pay for people */
	readonly rules: Rules;
	/** what payers' own money carried lately, not written down yet */
	readonly carried: Carried;
	/** what the rooms of people, funds and relays know for that */
	readonly sources: Sources;
	/** one tab after the other on each fund */
	readonly turns: Turns;
	/** the highest cap of a tab */
	readonly capMax: Amount;
	/** accounts that may open nothing */
	readonly frozen: Frozen;
	/** operators as funds count them */
	readonly operators: Operators;
	/** the market's people, public keys in hex */
	readonly desk: readonly string[];
	/** the ways money comes in and goes out, each name once */
	readonly rails: readonly Rail[];
	readonly rates: Rates;
	/** what payouts by Lightning need beside a rail */
	readonly lightning: Lightning;
	readonly payouts: Payouts;
	/** what the market owes, committed to once a day */
	readonly proofs: Proofs;
	/** the play rail is open */
	readonly play: boolean;
};

/** Signs with whichever key the market signs with now. */
export function signers(market: Pick<Market, "crypto" | "keys" | "clock">): {
	readonly grant: (terms: Terms) => Grant;
	readonly receipt: SignReceipt;
	readonly bill: (billed: Billed) => SignedBill;
} {
	const online = () => market.keys.online(market.clock.nowMs());
	return {
		grant: (terms) => signGrant(market.crypto, terms, online()),
		receipt: (receipt) => signReceipt(market.crypto, receipt, online()),
		bill: (billed) => signBill(market.crypto, billed, online()),
	};
}

/** What a caller is told when the book refused a change for good. Forms and sums are the market's own work: wrong ones are bugs. */
export function problemOfRefusal(refused: Refusal, detail: string): Problem {
	switch (refused) {
		case "overdraft":
			return problem("balance-short");
		case "conflict":
			return problem("conflict");
		case "stale":
			return problem("too-many", "Others change the same thing at the same time; nothing was done.");
		case "disk":
			return problem("disk", "The market's disk did not take it; nothing was done.");
		case "busy":
			return problem("too-many", "The market's disk is behind; nothing was done.");
		case "unknown":
			return problem("unavailable", "The market's database went away and did not say whether it did it; ask again.");
		default:
			throw new Error(`the book refused the market's own change: ${detail}`);
	}
}

/** How often a change is decided anew when others changed the same row first: each time somebody else got on. */
export const ATTEMPTS_MAX = 16;
