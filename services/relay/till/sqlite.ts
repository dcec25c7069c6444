/**
 * The till on SQLite: one writer in a thread, group commit, an answer only when it is on disk. A file of its own, so that a voucher never
 * waits for somebody's photo. A disk that takes nothing is an answer, and the till lives on (threats 13 and 14).
 */

import { same } from "#contracts/bytes";
import { isProblem, type Problem } from "#contracts/problem";
import { systemClock } from "#host/clock";
import { owned, startWriter, type Writer } from "#host/writer";
import { merge } from "./advance.ts";
import { Gathering } from "./gathering.ts";
import { type Paid, packTotals, packVouchers, recordOf, rowOf, type TillRecord } from "./record.ts";
import type { TillCalls, TillThreadOptions } from "./sqlite-thread.ts";
import type { Till, TillRow } from "./till.ts";

/** What {@link openSqliteTill} needs. */
export type SqliteTillOptions = {
	/** Where the file is; its folder is made when missing. */
	readonly path: string;
	/** A ceiling for the file in pages of 4 KiB; beyond it the disk counts as full. */
	readonly pagesMax?: number;
	/** Told each time the disk refused something, for logs and health. */
	readonly onTrouble?: (why: Problem) => void;
	/** Told once when the thread dies by a bug: the relay should stop. */
	readonly onDeath?: (why: Error) => void;
};

/** A row on its way: a grant, a voucher, totals and a receipt. */
const ROW_BYTES = 1_024;

/** Opens (and creates) a till's file and takes what was used off the disk; the problem when that cannot be. */
export async function openSqliteTill(options: SqliteTillOptions): Promise<Till | Problem> {
	const { path, pagesMax, onDeath } = options;
	const threadOptions: TillThreadOptions = { path, ...(pagesMax !== undefined && { pagesMax }) };
	const writer = await startWriter<TillCalls, TillRecord[]>({
		name: "till",
		module: import.meta.resolve("./sqlite-thread.ts"),
		options: threadOptions,
		...(onDeath && { onDeath }),
	});
	return isProblem(writer) ? writer : tillOver(writer, options.onTrouble);
}

function tillOver(writer: Writer<TillCalls, TillRecord[]>, onTrouble: SqliteTillOptions["onTrouble"]): Till {
	const rows = new Map<string, TillRow>();
	for (const record of writer.ready) note(record);

	function note(record: TillRecord): void {
		const row = rowOf(record);
		if (!row) throw new Error("the till's thread answered what cannot be read");
		rows.set(row.tab, row);
	}

	/** Whether an answer is the machine's trouble, which is told on. */
	function failed(answer: unknown): answer is Problem {
		if (!isProblem(answer)) return false;
		onTrouble?.(answer);
		return true;
	}

	/** The usual put, and the only one that many payers make at once: everything but the voucher is on disk as it is. */
	function paidOnly(row: TillRow): Paid | undefined {
		const known = rows.get(row.tab);
		const { tab, voucher, grant, used, redeemed, receipt, final } = row;
		if (!known || !voucher || used || known.used || redeemed !== known.redeemed || receipt !== known.receipt)
			return undefined;
		return final === known.final && same(grant, known.grant) ? { tab, voucher } : undefined;
	}

	async function whole(row: TillRow): Promise<"kept" | "disk"> {
		const answer = await writer.call("put", recordOf(row), { bytes: ROW_BYTES });
		if (failed(answer)) return "disk";
		note(answer);
		return "kept";
	}

	/** One commit for the vouchers of many tabs. */
	const paying = new Gathering<TillRow, "kept" | "disk">(systemClock, async (all) => {
		const packed = packVouchers(all.map(({ tab, voucher }) => ({ tab, voucher: voucher as Paid["voucher"] })));
		const missing = await writer.call("vouchers", packed, { bytes: ROW_BYTES * all.length, transfer: [packed.buffer] });
		if (failed(missing)) return all.map(() => "disk" as const);
		return all.map((row, i) => {
			const known = rows.get(row.tab);
			// dropped since: it is a row of its own again
			if (!known || missing.includes(i)) return whole(row);
			rows.set(row.tab, merge(known, { ...known, voucher: row.voucher, used: undefined }));
			return "kept" as const;
		});
	});

	return {
		rows,
		put: async (row) => {
			if (paidOnly(row)) return paying.add(row);
			paying.send();
			return whole(row);
		},
		hurry: () => paying.hurry(),
		redeemed: async (tab, redeemed, receipt) => {
			paying.send();
			const paid = { tab, redeemed: packTotals(redeemed), receipt: owned(receipt) };
			const answer = await writer.call("redeemed", paid, { bytes: ROW_BYTES });
			if (failed(answer)) return "disk";
			if (answer) note(answer);
			return "kept";
		},
		drop: async (tabs) => {
			paying.send();
			// in memory only once it is on disk: a tab that could not be dropped is dropped the next time
			if (failed(await writer.call("drop", tabs))) return;
			for (const tab of tabs) rows.delete(tab);
		},
		close: () => {
			paying.send();
			return writer.close();
		},
	};
}
