/**
 * The book on Postgres, for several processes at once. Calls that wait together share one statement and one commit, and an answer comes only
 * when it is on the server's disk. A call whose answer was lost is asked again by its name, and does nothing twice (postgres-schema.ts).
 */

import { toHex } from "#contracts/bytes";
import type { Crypto } from "#contracts/identity";
import { isProblem, type Problem, problem } from "#contracts/problem";
import type { Postgres, Session } from "#host/postgres";
import { type AuditReport, audit, type Check } from "./audit.ts";
import {
	answerOf,
	type Book,
	BookFailure,
	CHANGES_MAX,
	type Change,
	type LedgerBeside,
	LIST_MAX,
	type Outcome,
} from "./book.ts";
import { APPLY_CALL, packBatch, readOutcomes } from "./postgres-batch.ts";
import { lastPruning, prune } from "./postgres-prune.ts";
import { readBalances, reader, readForAudit } from "./postgres-read.ts";
import { LEDGER_STEPS } from "./postgres-schema.ts";

/** Changes that wait for the database, beyond which a call is refused: some seconds of a busy market. */
const WAITING_MAX = 65_536;

/** Bytes at random in a call's name: no two processes ever make the same. */
const NAME_BYTES = 16;

type Waiting = {
	readonly changes: readonly Change[];
	resolve(outcomes: Outcome[]): void;
	reject(why: unknown): void;
};

/** Opens (and creates) the ledger in a database, which stays open when the book is closed: others keep things there too. */
export async function openPostgresBook(postgres: Postgres, crypto: Pick<Crypto, "random">): Promise<Book | Problem> {
	const refused = await postgres.migrate("ledger", LEDGER_STEPS);
	if (refused) return refused;
	const waiting: Waiting[] = [];
	let waitingChanges = 0;
	let busy: Promise<void> | undefined;

	/** Sends what waits, one call after the other: what comes meanwhile shares the next. */
	async function send(): Promise<void> {
		while (waiting.length > 0) {
			let count = 0;
			// the first always fits: no call has more
			const fits = waiting.findIndex(({ changes }) => {
				count += changes.length;
				return count > CHANGES_MAX;
			});
			const group = waiting.splice(0, fits === -1 ? waiting.length : fits);
			const changes = group.flatMap((call) => call.changes);
			waitingChanges -= changes.length;
			try {
				const outcomes = await applyAll(changes);
				let from = 0;
				for (const call of group) {
					call.resolve(outcomes.slice(from, from + call.changes.length));
					from += call.changes.length;
				}
			} catch (bug) {
				for (const call of group) call.reject(bug);
			}
		}
		busy = undefined;
	}

	async function applyAll(changes: readonly Change[]): Promise<Outcome[]> {
		const batch = packBatch(changes);
		const name = toHex(crypto.random(NAME_BYTES));
		const rows = await postgres.call<{ answer: number[] }>("same-as-once", APPLY_CALL, [name, ...batch.values]);
		if (!isProblem(rows)) return readOutcomes(changes, batch, rows[0]?.answer ?? []);
		const refused = rows.spent === "unknown" ? "unknown" : rows.problem === "too-many" ? "busy" : "disk";
		return changes.map((_, i) => batch.faults.get(i) ?? { refused, detail: rows.detail });
	}

	return {
		apply: (changes) => {
			if (changes.length > CHANGES_MAX) return Promise.reject(new RangeError("too many changes in one call"));
			if (changes.length === 0) return Promise.resolve([]);
			if (waitingChanges + changes.length > WAITING_MAX)
				return Promise.resolve(
					changes.map(() => ({ refused: "busy", detail: "Too much waits for the database." }) as const),
				);
			const { promise, resolve, reject } = Promise.withResolvers<Outcome[]>();
			waiting.push({ changes, resolve, reject });
			waitingChanges += changes.length;
			// begun in a later turn: all that this turn brings shares one call
			busy ??= new Promise<void>((turn) => setImmediate(turn)).then(send);
			return promise;
		},
		...readsOf(postgres),
		close: async () => {
			await busy;
		},
	};
}

/** All that a book tells. What the machine fails to read is thrown. */
function readsOf(postgres: Postgres): Omit<Book, "apply" | "close"> {
	const read = <T>(work: (session: Session) => Promise<T>): Promise<T> => answerOf(postgres.read(work));
	return {
		balance: async (account) => (await read((session) => reader.balances(session, [account])))[0] ?? 0n,
		balances: async (accounts) => {
			if (accounts.length > LIST_MAX) throw new RangeError("too many accounts in one call");
			return await read((session) => reader.balances(session, accounts));
		},
		eachBalance: (take, at) =>
			answerOf(
				walkOnce(postgres, async (session, begin) => {
					const { position, pages } = await readBalances(session, at);
					for await (const page of pages) {
						begin();
						await take(page);
					}
					return position;
				}),
			),
		transfer: (id) => read((session) => reader.transfer(session, id)),
		transfers: (account, after, limit) => read((session) => reader.transfers(session, account, after, limit)),
		count: () => read(reader.count),
		history: (after, limit) => read((session) => reader.history(session, after, limit)),
		pruned: () => read(lastPruning),
		carried: (accounts) => read((session) => reader.carried(session, accounts)),
		prune: (slice) => prune(postgres, slice),
		tab: (tab) => read((session) => reader.tab(session, tab)),
		tabs: (query) => read((session) => reader.tabs(session, query)),
		record: (table, key) => read((session) => reader.record(session, table, key)),
		records: (query) => read((session) => reader.records(session, query)),
		audit: (checks, archive) => answerOf(auditPostgres(postgres, checks, archive)),
	};
}

/** A walk that hands on what it sees: once it has begun to, a lost connection ends it, for what was handed on cannot be taken back. */
function walkOnce<T>(
	postgres: Postgres,
	walk: (session: Session, begin: () => void) => Promise<T>,
): Promise<T | Problem> {
	let begun = false;
	return postgres.snapshot(async (session) => {
		if (begun) throw new BookFailure(problem("unavailable", "The database went away during a walk.", { spent: "no" }));
		return await walk(session, () => {
			begun = true;
		});
	});
}

/** What is wrong with a database as a ledger to be read; it is not changed. */
export function refuseLedger(postgres: Postgres): Promise<Problem | undefined> {
	return postgres.refuseOther("ledger", LEDGER_STEPS);
}

/** Opens the ledger of a database to read it, beside the markets that write to it. Closing it closes the database. */
export async function openPostgresLedger(postgres: Postgres): Promise<LedgerBeside | Problem> {
	const refused = await refuseLedger(postgres);
	if (refused) return refused;
	return {
		...readsOf(postgres),
		check: async () => {
			const rows = await postgres.read((session) =>
				session.ask<{ name: string }>(
					"SELECT name FROM pg_settings WHERE name IN ('fsync', 'full_page_writes') AND setting <> 'on' ORDER BY name",
				),
			);
			if (isProblem(rows)) return rows;
			const off = rows.map(({ name }) => name).join(" and ");
			return off === ""
				? undefined
				: problem("disk", `its server runs without ${off}: a crash of its machine can lose money.`);
		},
		close: () => postgres.close(),
	};
}

/** Audits the ledger of a database, also one that running markets write to: all at one moment, in bounded memory but for the sums. */
export function auditPostgres(
	postgres: Postgres,
	checks: readonly Check[] = [],
	archive?: string,
): Promise<AuditReport | Problem> {
	return postgres.snapshot((session) => audit(readForAudit(session), checks, archive));
}
