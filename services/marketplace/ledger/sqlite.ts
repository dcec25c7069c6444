/**
 * The book on SQLite: one writer in a thread, group commit, an answer only when it is on disk. Who audits opens the file beside it,
 * read-only, also from another process and while it is written to.
 */

import type { DatabaseSync } from "node:sqlite";
import { isProblem, type Problem } from "#contracts/problem";
import { checkDatabase, openDatabase, problemOfDatabase } from "#host/database";
import { startWriter } from "#host/writer";
import { type AuditReport, audit, type Check } from "./audit.ts";
import { answerOf, type Book, CHANGES_MAX, type LedgerBeside, LIST_MAX } from "./book.ts";
import { LEDGER_KIND, LEDGER_MIGRATIONS } from "./schema.ts";
import { pack } from "./sqlite-pack.ts";
import { readBalances, reader, readForAudit } from "./sqlite-read.ts";
import type { LedgerCalls, LedgerOptions } from "./sqlite-thread.ts";

/** Opens (and creates) a ledger's file. `onDeath` is told when its thread dies by a bug. */
export async function openSqliteBook(
	options: LedgerOptions & { readonly onDeath?: (why: Error) => void },
): Promise<Book | Problem> {
	const { onDeath, ...rest } = options;
	const writer = await startWriter<LedgerCalls>({
		name: "ledger",
		module: import.meta.resolve("./sqlite-thread.ts"),
		options: rest,
		groupBytesMax: GROUP_BYTES_MAX,
		...(onDeath && { onDeath }),
	});
	if (isProblem(writer)) return writer;

	return {
		apply: async (changes) => {
			if (changes.length > CHANGES_MAX) throw new RangeError("too many changes in one call");
			const answer = await writer.call("apply", pack(changes), { bytes: changes.length * CHANGE_BYTES });
			if (!isProblem(answer)) return answer;
			const refused = answer.problem === "too-many" ? "busy" : "disk";
			return changes.map(() => ({ refused, detail: answer.detail }) as const);
		},
		balance: async (account) => (await answerOf(writer.call("balances", [account])))[0] ?? 0n,
		balances: async (accounts) => {
			if (accounts.length > LIST_MAX) throw new RangeError("too many accounts in one call");
			return await answerOf(writer.call("balances", accounts));
		},
		eachBalance: async (take, at) => await answerOf(walkBalances(options.path, take, at)),
		transfer: (id) => answerOf(writer.call("transfer", id)),
		transfers: (account, after, limit) => answerOf(writer.call("transfers", { account, after, limit })),
		count: () => answerOf(writer.call("count", undefined)),
		history: (after, limit) => answerOf(writer.call("history", { after, limit })),
		pruned: () => answerOf(writer.call("pruned", undefined)),
		carried: (accounts) => answerOf(writer.call("carried", accounts)),
		prune: (slice) => writer.call("prune", slice),
		tab: (tab) => answerOf(writer.call("tab", tab)),
		tabs: (query) => answerOf(writer.call("tabs", query)),
		record: (table, key) => answerOf(writer.call("record", { table, key })),
		records: (query) => answerOf(writer.call("records", query)),
		audit: async (checks, archive) => await answerOf(auditFile(options.path, checks, archive)),
		close: () => writer.close(),
	};
}

/** Walks through all balances on a connection of its own, all at one moment, while the writer writes on. */
async function walkBalances(
	path: string,
	take: Parameters<Book["eachBalance"]>[0],
	at?: number,
): Promise<number | Problem> {
	const database = openBeside(path);
	if (isProblem(database)) return database;
	try {
		database.exec("BEGIN");
		const { position, since, pages } = readBalances(database, at);
		const moved = new Map<bigint, bigint>();
		let seen = 0;
		for (const { account, nanos } of since) {
			moved.set(account, (moved.get(account) ?? 0n) + nanos);
			seen += 1;
			if (seen % LIST_MAX === 0) await new Promise(setImmediate);
		}
		for (const page of pages) {
			await take(
				page.map(({ number, account, balance }) => ({ account, balance: balance - (moved.get(number) ?? 0n) })),
			);
			await new Promise(setImmediate);
		}
		return position;
	} catch (error) {
		const known = problemOfDatabase(error, path);
		if (known) return known;
		throw error;
	} finally {
		database.close();
	}
}

/** A change of four entries and a row, roughly; the bound on what waits needs no more. */
const CHANGE_BYTES = 2_048;

/** Four batches of a relay, about 50 ms: while they are written the next ones are asked for, and nobody's transfer waits for more than two such groups. */
const GROUP_BYTES_MAX = 4 * 300 * CHANGE_BYTES;

/**
 * Audits a ledger's file, also one that a running market writes to: read-only, all at one moment. A damaged or missing
 * file is a problem; what is wrong with the money is in the report.
 */
export async function auditFile(
	path: string,
	checks: readonly Check[] = [],
	archive?: string,
): Promise<AuditReport | Problem> {
	const database = openBeside(path);
	if (isProblem(database)) return database;
	try {
		database.exec("BEGIN");
		return await audit(readForAudit(database), checks, archive);
	} catch (error) {
		const known = problemOfDatabase(error, path);
		if (known) return known;
		throw error;
	} finally {
		database.close();
	}
}

/** Opens a ledger's file to read it, also one that a running market writes to. */
export function openLedgerFile(path: string): LedgerBeside | Problem {
	const database = openBeside(path);
	if (isProblem(database)) return database;
	const reads = reader(database);
	return {
		balance: async (account) => reads.balances([account])[0] ?? 0n,
		check: async () => checkDatabase(database, "quick"),
		transfers: async (account, after, limit) => reads.transfers({ account, after, limit }),
		pruned: async () => reads.pruned(),
		carried: async (accounts) => reads.carried(accounts),
		record: async (table, key) => reads.record({ table, key }),
		records: async (query) => reads.records(query),
		close: async () => database.close(),
	};
}

function openBeside(path: string): DatabaseSync | Problem {
	return openDatabase({ path, kind: LEDGER_KIND, migrations: LEDGER_MIGRATIONS, readOnly: true, bigints: true });
}
