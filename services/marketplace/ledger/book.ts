/**
 * The book: the seam behind which the ledger is kept. Three engines (`memory.ts`, `sqlite.ts`, `postgres.ts`) pass one acceptance suite
 * (test/acceptance/book.ts). Everything that changes goes through {@link Book.apply}, as changes that happen whole or not at all.
 */

import { isProblem, type Problem, problem } from "#contracts/problem";
import type { AuditReport, Check } from "./audit.ts";
import type { Pruning, Slice } from "./pruning.ts";
import type { KeptTransfer, Transfer } from "./transfer.ts";

/** A tab as the book keeps it: what it is looked up by, and the rest as the tab room's own JSON text. */
export type TabRow = {
	/** its id, 32 hex digits */
	readonly tab: string;
	/** how often it was written; the next change must name it */
	readonly version: number;
	/** whose it is, public key in hex */
	readonly account: string;
	/** with which relay, public key in hex */
	readonly relay: string;
	/** a word of the tab room's, e.g. "open" */
	readonly state: string;
	/** when its state must be looked at again */
	readonly deadlineMs: number;
	/** JSON text, read by the tab room only */
	readonly value: string;
};

/**
 * What else rooms keep beside the money, each kind a table: `deposits`, `references` (which deposit a rail's reference is of, or which payout an
 * invoice was claimed by) and `late` (what of operators' earnings waits on) are of `funding/`,
 * `commitments` are of `proof/`; `payouts`, `destinations` and `plans` of `payout/`. Of what pays for people: `pools` are of `pool/`, `burns` (what each fund paid by day, month,
 * operator and person, counted as tabs are opened) of `sponsor/`, `people`, `passes`, `codes`, `enrollers` and `tags` (one person once) of `pass/`, `tokens` of `token/`,
 * `homes` and `received` (what readers signed for) of `home/`, `findings` of `desk/`.
 */
export const RECORD_TABLES = [
	"deposits",
	"references",
	"late",
	"payouts",
	"destinations",
	"plans",
	"commitments",
	"pools",
	"burns",
	"people",
	"passes",
	"codes",
	"enrollers",
	"tags",
	"tokens",
	"homes",
	"received",
	"findings",
] as const;
export type RecordTable = (typeof RECORD_TABLES)[number];

/** Something that a room keeps, changed together with the money that it is about. */
export type RecordRow = {
	readonly table: RecordTable;
	/** unique in its table; printable ASCII */
	readonly key: string;
	/** how often it was written; the next change must name it */
	readonly version: number;
	/** whose it is, public key in hex */
	readonly account: string;
	/** a word of the room's */
	readonly state: string;
	/** when it must be looked at again */
	readonly dueMs: number;
	/** JSON text, read by the room only */
	readonly value: string;
};

/**
 * How many rows of a table may be in some states at once, the new one counted. The book counts as it writes, so that the bound holds for
 * however many processes share it.
 */
export type Most = {
	readonly states: readonly string[];
	/** of the row's account */
	readonly ofAccount: number;
	/** of all accounts together */
	readonly ofAll?: number;
};

/** Writes a row if it still has the version that the change was decided on (`expect`; 0: it must not exist yet, and there is room for it). */
export type RowChange = (
	| { readonly table: "tabs"; readonly row: Omit<TabRow, "version"> }
	| { readonly table: RecordTable; readonly row: Omit<RecordRow, "version" | "table"> }
) & { readonly expect: number; readonly most?: Most };

/** One change, whole or not at all: money that moves and what becomes of the rows that it concerns. */
export type Change = {
	readonly transfer?: Transfer | undefined;
	readonly rows?: readonly RowChange[];
};

/**
 * Why a change did not happen; nothing of it did.
 * - `overdraft`: a balance would fall below what its account may hold (or rise past the largest amount)
 * - `conflict`: the transfer's id was used before for something else
 * - `stale`: a row has another version than the change was decided on: read again, decide again
 * - `full`: a new row has no room (its `most`)
 * - `unbalanced`, `malformed`: the transfer's entries do not sum to zero; it breaks a bound or a form
 * - `disk`: the disk did not take it, or the database was away; `busy`: too much waits for the disk already
 * - `unknown`: the database was asked and went away for good before it answered. This one alone may have happened: read again, decide again
 */
export type Refusal =
	| "overdraft"
	| "conflict"
	| "stale"
	| "full"
	| "unbalanced"
	| "malformed"
	| "disk"
	| "busy"
	| "unknown";

/** What became of a change. `same`: its transfer was applied before, so nothing happened now (its rows were not looked at). */
export type Outcome = "applied" | "same" | { readonly refused: Refusal; readonly detail: string };

/** Which tabs to list. `after` is the last one seen (in the order given), `limit` at most {@link LIST_MAX}. */
export type TabQuery =
	/** of one account or relay, by tab id */
	| { readonly by: "account" | "relay"; readonly of: string; readonly after?: string; readonly limit: number }
	/** in one state whose deadline is before a time, by deadline and tab id */
	| {
			readonly by: "deadline";
			readonly state: string;
			readonly beforeMs: number;
			readonly after?: { readonly deadlineMs: number; readonly tab: string };
			readonly limit: number;
	  };

/** Which records of a table to list. `after` is the last one seen (in the order given), `limit` at most {@link LIST_MAX}. */
export type RecordQuery = { readonly table: RecordTable; readonly limit: number } & (
	| /** of one account or in one state, by key */
	{ readonly by: "account" | "state"; readonly of: string; readonly after?: string }
	/** in one state and due before a time, by that and key */
	| {
			readonly by: "due";
			readonly state: string;
			readonly beforeMs: number;
			readonly after?: { readonly dueMs: number; readonly key: string };
	  }
);

/** One page of any list: what fits an answer without holding up the changes behind it. */
export const LIST_MAX = 1_000;
/** Changes in one call: three batches of a relay's till; more come in the next call and share its commit. */
export const CHANGES_MAX = 1_000;
/** A tab's terms, grant, newest voucher and receipt take about 3 KiB, a deposit with its invoice less. */
export const ROW_CHARS_MAX = 16_384;
/** Room for a key in hex and an id of its owner's, or a rail's name and its reference. */
export const KEY_CHARS_MAX = 100;
/** What is counted for each new row costs as much as there may be: more states, or more in them, would hold up the changes behind it. */
export const STATES_MAX = 4;
export const MOST_MAX = 10_000;

/** What stands on an account, in nano-dollars. */
export type Balance = { readonly account: string; readonly balance: bigint };

/** The ledger. Reads see what is applied. They throw a {@link BookFailure} when the machine fails them. */
export interface Book {
	/** Applies changes in their order, each by itself; the answer comes when what happened is durable. At most {@link CHANGES_MAX}. */
	apply(changes: readonly Change[]): Promise<Outcome[]>;
	/** What stands on an account, in nano-dollars; 0 for one that was never used. */
	balance(account: string): Promise<bigint>;
	/** The same for many accounts, all at one moment, in their order. At most {@link LIST_MAX}. */
	balances(accounts: readonly string[]): Promise<bigint[]>;
	/**
	 * Every account with its balance, ordered by name, in pages, all at one moment, which is after the transfer whose position it answers: the
	 * last one, or `at`, by going back from the last one. The next page waits for `take`; other work goes on between pages. Before what was pruned
	 * nobody can go back: a {@link BookFailure} says so.
	 */
	eachBalance(take: (page: readonly Balance[]) => void | Promise<void>, at?: number): Promise<number>;
	/** The transfer with an id; without entries when they were pruned. */
	transfer(id: string): Promise<KeptTransfer | undefined>;
	/**
	 * Transfers that touch an account, oldest first, with positions above `after` (0 for the first page). Those whose entries were pruned are not among
	 * them: what they came to is {@link carried}.
	 */
	transfers(account: string, after: number, limit: number): Promise<KeptTransfer[]>;
	/** How many transfers there are, those that were pruned among them. */
	count(): Promise<number>;
	/** All transfers with positions above `after`, in their order. */
	history(after: number, limit: number): Promise<KeptTransfer[]>;
	/** The newest pruning; undefined where nothing was ever pruned. */
	pruned(): Promise<Pruning | undefined>;
	/** What accounts had when the ledger was last pruned, in their order; undefined for one that had never had anything. */
	carried(accounts: readonly string[]): Promise<(bigint | undefined)[]>;
	/**
	 * Takes the entries of a stretch out of the ledger, but for those of transfers that stay whole (pruning.ts), and adds them to what accounts carry on:
	 * all of it or nothing. The stretch begins where the last one ended; its archive is on the disk. Answers how many entries went.
	 */
	prune(slice: Slice): Promise<number | Problem>;
	/** One tab. */
	tab(tab: string): Promise<TabRow | undefined>;
	/** A list of tabs. */
	tabs(query: TabQuery): Promise<TabRow[]>;
	/** One record. */
	record(table: RecordTable, key: string): Promise<RecordRow | undefined>;
	/** A list of records. */
	records(query: RecordQuery): Promise<RecordRow[]>;
	/** Proves the book from its entries (audit.ts), with further checks of other rooms, and with the folder of its archive from the very beginning. */
	audit(checks?: readonly Check[], archive?: string): Promise<AuditReport>;
	/** Finishes what waits and lets go of the file. */
	close(): Promise<void>;
}

/** What is read of a book, or of a ledger beside its market. */
export type LedgerReads = Pick<Book, "balance" | "transfers" | "pruned" | "carried" | "record" | "records">;

/** A ledger without its market, as its file or its server has it at that moment. */
export type LedgerBeside = LedgerReads & {
	/** Whether the file is whole, as far as a quick look tells; of a server, whether it keeps what it says it kept. */
	check(): Promise<Problem | undefined>;
	close(): Promise<void>;
};

/** A read failed by the machine (damaged file, disk, too much waiting), not by what was asked. */
export class BookFailure extends Error {
	readonly problem: Problem;
	constructor(problem: Problem) {
		super(problem.detail);
		this.problem = problem;
	}
}

/** An answer of the machine's, or its failure thrown. @throws BookFailure */
export async function answerOf<T>(asked: Promise<T | Problem>): Promise<T> {
	const answer = await asked;
	if (isProblem(answer)) throw new BookFailure(answer);
	return answer as T;
}

/** What is said to whoever decided on an older pruning than the newest. */
export function prunedMeanwhile(): Problem {
	return problem("conflict", "The ledger was pruned by somebody else meanwhile; look again.", { spent: "no" });
}

/** What is thrown at whoever asks for balances as they were before what was pruned. */
export function goneBefore(upTo: number): BookFailure {
	const says = `The ledger is pruned up to transfer ${upTo}: balances as they were before are in its archive alone.`;
	return new BookFailure(problem("conflict", says, { spent: "no" }));
}

/** What is wrong with the form of a row; undefined when nothing is. */
export function faultOfRow(change: RowChange): { refused: "malformed"; detail: string } | undefined {
	const { expect, row, most } = change;
	const own =
		change.table === "tabs"
			? /^[0-9a-f]{32}$/.test(change.row.tab) &&
				/^[0-9a-f]{64}$/.test(change.row.relay) &&
				Number.isSafeInteger(change.row.deadlineMs)
			: RECORD_TABLES.includes(change.table) &&
				change.row.key.length <= KEY_CHARS_MAX &&
				/^[!-~]+$/.test(change.row.key) &&
				Number.isSafeInteger(change.row.dueMs);
	const fits =
		own &&
		Number.isSafeInteger(expect) &&
		expect >= 0 &&
		/^[0-9a-f]{64}$/.test(row.account) &&
		STATE.test(row.state) &&
		row.value.length <= ROW_CHARS_MAX &&
		// Postgres keeps no text with it, and no JSON has it
		!row.value.includes("\0") &&
		(most === undefined || (expect === 0 && isMost(most)));
	return fits ? undefined : { refused: "malformed", detail: "The row breaks a bound or a form." };
}

const STATE = /^[a-z-]{1,32}$/;

function isMost({ states, ofAccount, ofAll = MOST_MAX }: Most): boolean {
	const isCount = (n: number): boolean => Number.isSafeInteger(n) && n >= 0 && n <= MOST_MAX;
	return (
		states.length <= STATES_MAX && states.every((state) => STATE.test(state)) && isCount(ofAccount) && isCount(ofAll)
	);
}

/** What is said of a new row that has no room. */
export function fullOf(change: RowChange): { refused: "full"; detail: string } {
	return { refused: "full", detail: `${nameOfRow(change)} has no room: there are as many as there may be.` };
}

/** A row's name in what is said of it. */
export function nameOfRow(change: RowChange): string {
	return change.table === "tabs" ? `Tab ${change.row.tab}` : `The record ${change.row.key} of ${change.table}`;
}
