/** Applies changes in the ledger's thread: one by one in their order, a refused one undone alone. */

import type { DatabaseSync, StatementSync } from "node:sqlite";
import { isConstraint } from "#host/database";
import type { Pass } from "#host/writer";
import { type Change, faultOfRow, type Outcome } from "./book.ts";
import { floorOf } from "./chart.ts";
import { Numbers } from "./numbers.ts";
import { rowWriter } from "./sqlite-rows.ts";
import { digestOf, type Entry, faultOf, type Transfer } from "./transfer.ts";

type Refused = Exclude<Outcome, string>;

/** What an account is given by several changes. */
type Given = { readonly number: number | bigint; nanos: bigint };

/** What a bold pass throws when something is refused: the thread undoes it, with all of its group, and comes again carefully. */
class Undo extends Error {}

/** The function that applies changes on a connection. */
export function applier(database: DatabaseSync): (changes: readonly Change[], pass: Pass) => Outcome[] {
	const save = database.prepare("SAVEPOINT change");
	const release = database.prepare("RELEASE change");
	const undo = database.prepare("ROLLBACK TO change");
	const insertTransfer = database.prepare(
		"INSERT INTO transfers (id, cause, atMs, digest) VALUES (?, ?, ?, ?) ON CONFLICT (id) DO NOTHING",
	);
	const digestOfId = database.prepare("SELECT digest FROM transfers WHERE id = ?");
	const numberOf = database.prepare("SELECT id FROM accounts WHERE name = ?");
	const moveByNumber = database.prepare("UPDATE accounts SET balance = balance + ? WHERE id = ? AND name = ?");
	const moveByName = database.prepare("UPDATE accounts SET balance = balance + ? WHERE name = ? RETURNING id");
	const insertAccount = database.prepare("INSERT INTO accounts (name, floor, balance) VALUES (?, ?, ?) RETURNING id");
	const insertEntries = entryWriter(database);
	const applyRows = rowWriter(database);
	const numbers = new Numbers();

	return (changes, pass) => {
		if (pass === "bold") return applyBoldly(changes);
		// a savepoint costs a copy of each page that is touched, and refusals are rare: one for all first
		save.run();
		const outcomes: Outcome[] = [];
		for (const change of changes) {
			const outcome = applyOne(change, moveAtOnce);
			if (typeof outcome === "object") {
				undo.run();
				release.run();
				return changes.map(applyAlone);
			}
			outcomes.push(outcome);
		}
		release.run();
		return outcomes;
	};

	/**
	 * What is given to an account is added up until something is taken from it, or until the end: an operator and the fees are given something by each
	 * redemption. Between, a balance only rises, so the database refuses here exactly when it would refuse one of the changes by itself.
	 */
	function applyBoldly(changes: readonly Change[]): Outcome[] {
		const given = new Map<string, Given>();
		const move = (entry: Entry): number | bigint => {
			const { account, nanos } = entry;
			const before = given.get(account);
			if (before && nanos > 0n) {
				before.nanos += nanos;
				return before.number;
			}
			const number = nanos > 0n && knownNumber(account);
			if (number) {
				given.set(account, { number, nanos });
				return number;
			}
			if (before) {
				give(account, before);
				given.delete(account);
			}
			return moveAtOnce(entry);
		};
		const outcomes = changes.map((change) => {
			const outcome = applyOne(change, move);
			if (typeof outcome === "object") throw new Undo();
			return outcome;
		});
		for (const [account, gift] of given) give(account, gift);
		return outcomes;
	}

	function give(account: string, { number, nanos }: Given): void {
		// a remembered number may have been undone since: then its entries are wrong too
		if (moveByNumber.run(nanos, number, account).changes !== 1n) throw new Undo();
	}

	function applyAlone(change: Change): Outcome {
		save.run();
		const outcome = applyOne(change, moveAtOnce);
		if (typeof outcome === "object") undo.run();
		release.run();
		return outcome;
	}

	/** Leaves behind what it wrote before a refusal: whoever calls it undoes that. */
	function applyOne({ transfer, rows = [] }: Change, moveBalance: (entry: Entry) => number | bigint): Outcome {
		const fault = (transfer && faultOf(transfer)) ?? rows.map(faultOfRow).find((found) => found !== undefined);
		return fault ?? (transfer && applyTransfer(transfer, moveBalance)) ?? applyRows(rows) ?? "applied";
	}

	function applyTransfer(
		transfer: Transfer,
		moveBalance: (entry: Entry) => number | bigint,
	): "same" | Refused | undefined {
		const { id, cause, atMs, entries } = transfer;
		const digest = digestOf(transfer);
		const { changes, lastInsertRowid: position } = insertTransfer.run(id, cause, atMs, digest);
		if (changes === 0n) {
			if (digestOfId.get(id)?.digest === digest) return "same";
			return { refused: "conflict", detail: `The id ${id} was used for another transfer.` };
		}
		const numbered: (number | bigint)[] = [];
		for (const entry of entries) {
			try {
				numbered.push(moveBalance(entry));
			} catch (error) {
				// the CHECK on the balance, or the column's type when a sum passes 64 bits
				if (!isConstraint(error)) throw error;
				return { refused: "overdraft", detail: `${entry.account} cannot take ${entry.nanos} nano-dollars.` };
			}
		}
		insertEntries(position, numbered, entries);
		return undefined;
	}

	/** The number of an account that is there, as it is remembered or found; a remembered one may have been undone since. */
	function knownNumber(account: string): number | bigint | undefined {
		const known = numbers.get(account) ?? (numberOf.get(account)?.id as bigint | undefined);
		if (known !== undefined) numbers.set(account, known);
		return known;
	}

	/** Moves a balance and gives the account's number. A remembered number may have been undone since, so the name must fit it. */
	function moveAtOnce({ account, nanos }: Entry): number | bigint {
		const known = numbers.get(account);
		if (known !== undefined && moveByNumber.run(nanos, known, account).changes === 1n) return known;
		const row = moveByName.get(nanos, account) ?? insertAccount.get(account, floorOf(account), nanos);
		const number = row?.id as bigint;
		numbers.set(account, number);
		return number;
	}
}

/** Writes a transfer's entries by one statement, made when so many are first met: there are at most ENTRIES_MAX kinds. */
function entryWriter(
	database: DatabaseSync,
): (position: number | bigint, accounts: readonly (number | bigint)[], entries: readonly Entry[]) => void {
	const statements = new Map<number, StatementSync>();
	return (position, accounts, entries) => {
		let statement = statements.get(entries.length);
		if (!statement) {
			const rows = entries.map((_, n) => `(?, ${n}, ?, ?)`).join(", ");
			statement = database.prepare(`INSERT INTO entries (transfer, n, account, nanos) VALUES ${rows}`);
			statements.set(entries.length, statement);
		}
		const values: (number | bigint)[] = [];
		for (const [n, { nanos }] of entries.entries()) values.push(position, accounts[n] ?? 0n, nanos);
		statement.run(...values);
	};
}
