/** Writes the rows of tabs and records in the ledger's thread, each over the version that its change was decided on. */

import type { DatabaseSync, StatementSync } from "node:sqlite";
import { fullOf, type Most, nameOfRow, type Outcome, type RowChange } from "./book.ts";

/** Writes a change's rows in their order; the first that cannot be written is answered, and those before it are written. */
export function rowWriter(
	database: DatabaseSync,
): (rows: readonly RowChange[]) => Exclude<Outcome, string> | undefined {
	const insertTab = database.prepare(
		`INSERT INTO tabs (account, relay, state, deadlineMs, value, tab, version) VALUES (?, ?, ?, ?, ?, ?, ? + 1)
		ON CONFLICT (tab) DO NOTHING`,
	);
	// most changes are redemptions, which change the value alone: naming an indexed column would rewrite its index
	const updateValue = database.prepare(
		`UPDATE tabs SET value = ?, version = version + 1
		WHERE tab = ? AND version = ? AND account = ? AND relay = ? AND state = ? AND deadlineMs = ?`,
	);
	const updateTab = database.prepare(
		`UPDATE tabs SET account = ?, relay = ?, state = ?, deadlineMs = ?, value = ?, version = version + 1
		WHERE tab = ? AND version = ?`,
	);
	const insertRecord = database.prepare(
		`INSERT INTO records (account, state, dueMs, value, kind, key, version) VALUES (?, ?, ?, ?, ?, ?, ? + 1)
		ON CONFLICT (kind, key) DO NOTHING`,
	);
	const updateRecord = database.prepare(
		`UPDATE records SET account = ?, state = ?, dueMs = ?, value = ?, version = version + 1
		WHERE kind = ? AND key = ? AND version = ?`,
	);
	const hasRoom = counter(database);

	return (rows) => {
		for (const change of rows) {
			if (!writeRow(change))
				return { refused: "stale", detail: `${nameOfRow(change)} is not at version ${change.expect}.` };
			if (change.most && !hasRoom(change.most, change)) return fullOf(change);
		}
		return undefined;
	};

	function writeRow(change: RowChange): boolean {
		const { expect } = change;
		if (change.table !== "tabs") {
			const { key, account, state, dueMs, value } = change.row;
			const write = expect === 0 ? insertRecord : updateRecord;
			return write.run(account, state, dueMs, value, change.table, key, expect).changes === 1n;
		}
		const { tab, account, relay, state, deadlineMs, value } = change.row;
		if (expect === 0) return insertTab.run(account, relay, state, deadlineMs, value, tab, expect).changes === 1n;
		if (updateValue.run(value, tab, expect, account, relay, state, deadlineMs).changes === 1n) return true;
		return updateTab.run(account, relay, state, deadlineMs, value, tab, expect).changes === 1n;
	}
}

/** Tells whether rows, the new one among them, are as many as there may be. Counts through indexes, and no further than it must. */
function counter(database: DatabaseSync): (most: Most, change: RowChange) => boolean {
	const tabs = { all: "tabs WHERE state = ?", own: "tabs WHERE state = ? AND account = ?" };
	const records = {
		all: "records WHERE state = ? AND kind = ?",
		own: "records WHERE state = ? AND kind = ? AND account = ?",
	};
	const count = (rows: string) => database.prepare(`SELECT count(*) AS n FROM (SELECT 1 FROM ${rows} LIMIT ?)`);
	const ofTabs = { all: count(tabs.all), own: count(tabs.own) };
	const ofRecords = { all: count(records.all), own: count(records.own) };

	return ({ states, ofAccount, ofAll }, { table, row: { account } }) => {
		const { all, own } = table === "tabs" ? ofTabs : ofRecords;
		const kind = table === "tabs" ? [] : [table];
		const sum = (one: StatementSync, atMost: number, ...of: string[]): boolean =>
			states.reduce((n, state) => n + Number(one.get(state, ...kind, ...of, atMost + 1)?.n), 0) <= atMost;
		return sum(own, ofAccount, account) && (ofAll === undefined || sum(all, ofAll));
	};
}
