/** The till's side of the writer thread (`host/writer.ts`): it reads a row, lets `advance.ts` decide, and writes it. */

import type { DatabaseSync } from "node:sqlite";
import { isProblem, type Problem, problem } from "#contracts/problem";
import { advances, readVoucher } from "#contracts/voucher";
import { openDatabase, problemOfDatabase } from "#host/database";
import type { Opened } from "#host/writer";
import { merge, withRedeemed } from "./advance.ts";
import { recordOf, rowOf, type TillRecord, unpackTotals, unpackVouchers } from "./record.ts";
import type { TillRow } from "./till.ts";

/** What the file says it is. */
export const TILL_KIND = "till";

/** Migrations are only ever appended to. Vouchers and totals are bytes: a u64 does not fit SQLite's integers. */
export const TILL_MIGRATIONS: readonly string[] = [
	`CREATE TABLE till (
		tab TEXT PRIMARY KEY,
		grant BLOB NOT NULL,
		voucher BLOB,
		used BLOB,
		redeemed BLOB NOT NULL,
		receipt BLOB,
		expiresAtMs INTEGER NOT NULL,
		redeemByMs INTEGER NOT NULL,
		final INTEGER NOT NULL CHECK (final IN (0, 1))
	) STRICT, WITHOUT ROWID`,
];

/** What the thread is started with. */
export type TillThreadOptions = { readonly path: string; readonly pagesMax?: number };

/** What may be asked of the thread. Answers are rows as they are on disk. */
export type TillCalls = {
	put(record: TillRecord): TillRecord;
	/** Newer vouchers of tabs that are there, back to back as `record.ts` packs them. Answers which of them found no row. */
	vouchers(packed: Uint8Array): number[];
	redeemed(paid: { tab: string; redeemed: Uint8Array; receipt: Uint8Array }): TillRecord | undefined;
	drop(tabs: readonly string[]): "dropped";
};

/**
 * Opens the till's file in the thread. What was used is read once and cleared on disk before anything is served: after the next crash
 * it would be an old count, and serving from it would give away what was used since. A final count stays: nothing is used after it, and
 * without it the relay would claim more than it has signed for.
 */
export function open(options: TillThreadOptions): Opened | Problem {
	const database = openDatabase({ ...options, kind: TILL_KIND, migrations: TILL_MIGRATIONS });
	if (isProblem(database)) return database;
	try {
		const ready = database.prepare("SELECT * FROM till").all() as unknown as TillRecord[];
		const damaged = ready.find((record) => rowOf(record) === undefined);
		if (!damaged) {
			database.exec("UPDATE till SET used = NULL WHERE used IS NOT NULL AND final = 0");
			return { database, writes: writesOf(database), reads: {}, ready };
		}
		database.close();
		return problem("data-corrupt", `The till's row of tab ${damaged.tab} is damaged (${options.path}).`);
	} catch (error) {
		database.close();
		const known = problemOfDatabase(error, options.path);
		if (known) return known;
		throw error;
	}
}

function writesOf(database: DatabaseSync) {
	const get = database.prepare("SELECT * FROM till WHERE tab = ?");
	const set = database.prepare("INSERT OR REPLACE INTO till VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)");
	const remove = database.prepare("DELETE FROM till WHERE tab = ?");
	const paid = database.prepare("SELECT voucher FROM till WHERE tab = ?");
	const pay = database.prepare("UPDATE till SET voucher = ?, used = NULL WHERE tab = ?");

	function find(tab: string): TillRow | undefined {
		const record = get.get(tab) as unknown as TillRecord | undefined;
		return record && rowOf(record);
	}

	function write(row: TillRow): TillRecord {
		const record = recordOf(row);
		const { tab, grant, voucher, used, redeemed, receipt, expiresAtMs, redeemByMs, final } = record;
		set.run(tab, grant, voucher, used, redeemed, receipt, expiresAtMs, redeemByMs, final);
		return record;
	}

	return {
		put: (record) => {
			const next = rowOf(record);
			if (!next) throw new Error("a row was put that cannot be read");
			return write(merge(find(record.tab), next));
		},
		vouchers: (packed) => {
			const missing: number[] = [];
			for (const [i, { tab, bytes }] of unpackVouchers(packed).entries()) {
				const known = paid.get(tab) as { voucher: Uint8Array | null } | undefined;
				if (!known) missing.push(i);
				else if (rises(known.voucher, bytes)) pay.run(bytes, tab);
			}
			return missing;
		},
		redeemed: ({ tab, redeemed, receipt }) => {
			const known = find(tab);
			const totals = unpackTotals(redeemed);
			return known && totals && write(withRedeemed(known, totals, receipt));
		},
		drop: (tabs) => {
			for (const tab of tabs) remove.run(tab);
			return "dropped";
		},
	} satisfies TillCalls;
}

/** Whether a voucher advances over the one on disk (threat 4). */
function rises(known: Uint8Array | null, next: Uint8Array): boolean {
	const later = readVoucher(next);
	const before = known && readVoucher(known);
	if (isProblem(later) || isProblem(before)) throw new Error("a voucher was put that cannot be read");
	return !before || advances(later, before);
}
