/** A till row as it moves between threads and lies in the table: wire encodings, so that a u64 fits and no view drags its buffer along. */

import { amount, isAmount } from "#contracts/amount";
import { fromHex, Reader, toHex, Writer } from "#contracts/bytes";
import { TAB_BYTES } from "#contracts/identity";
import { isProblem } from "#contracts/problem";
import type { Traffic } from "#contracts/tariff";
import { readVoucher, type Totals, VOUCHER_BYTES, type Voucher, writeVoucher } from "#contracts/voucher";
import type { TillRow } from "./till.ts";

/** One row of the table. */
export type TillRecord = {
	readonly tab: string;
	readonly grant: Uint8Array;
	readonly voucher: Uint8Array | null;
	readonly used: Uint8Array | null;
	readonly redeemed: Uint8Array;
	readonly receipt: Uint8Array | null;
	readonly expiresAtMs: number;
	readonly redeemByMs: number;
	readonly final: number;
};

/** The record of a row; every byte string is an own copy. */
export function recordOf(row: TillRow): TillRecord {
	return {
		tab: row.tab,
		grant: new Uint8Array(row.grant),
		voucher: row.voucher ? writeVoucher(row.voucher) : null,
		used: row.used ? new Writer(16).u64(row.used.bytes).u64(row.used.byteSeconds).finish() : null,
		redeemed: packTotals(row.redeemed),
		receipt: row.receipt ? new Uint8Array(row.receipt) : null,
		expiresAtMs: row.expiresAtMs,
		redeemByMs: row.redeemByMs,
		final: row.final ? 1 : 0,
	};
}

/** The row of a record; undefined when its bytes are damaged. */
export function rowOf(record: TillRecord): TillRow | undefined {
	const voucher = record.voucher ? readVoucher(record.voucher) : undefined;
	const used = record.used ? unpackTraffic(record.used) : undefined;
	const redeemed = unpackTotals(record.redeemed);
	if (isProblem(voucher) || !redeemed || (record.used && !used)) return undefined;
	return {
		tab: record.tab,
		grant: record.grant,
		voucher,
		used,
		redeemed,
		receipt: record.receipt ?? undefined,
		expiresAtMs: record.expiresAtMs,
		redeemByMs: record.redeemByMs,
		final: record.final === 1,
	};
}

/** `bytes · byte-seconds · nanos`, u64 each. */
export function packTotals(totals: Totals): Uint8Array {
	return new Writer(24).u64(totals.bytes).u64(totals.byteSeconds).u64(totals.nanos).finish();
}

/** Reads what {@link packTotals} wrote; undefined for anything else. */
export function unpackTotals(bytes: Uint8Array): Totals | undefined {
	const reader = new Reader(bytes);
	const traffic = { bytes: reader.u64(), byteSeconds: reader.u64() };
	const nanos = reader.u64();
	return reader.done && isAmount(nanos) ? { ...traffic, nanos: amount(nanos) } : undefined;
}

function unpackTraffic(bytes: Uint8Array): Traffic | undefined {
	const reader = new Reader(bytes);
	const traffic = { bytes: reader.u64(), byteSeconds: reader.u64() };
	return reader.done ? traffic : undefined;
}

/** A newer voucher of a tab whose row is there. */
export type Paid = { readonly tab: string; readonly voucher: Voucher };

/** Vouchers of many tabs as one byte string, `tab 16 · voucher 88` each: it costs a thread's message as much as one of them. */
export function packVouchers(all: readonly Paid[]): Uint8Array<ArrayBuffer> {
	const packed = new Uint8Array(all.length * (TAB_BYTES + VOUCHER_BYTES));
	let at = 0;
	for (const { tab, voucher } of all) {
		const id = fromHex(tab, TAB_BYTES);
		if (!id) throw new Error("a tab is sixteen bytes");
		packed.set(id, at);
		packed.set(writeVoucher(voucher), at + TAB_BYTES);
		at += TAB_BYTES + VOUCHER_BYTES;
	}
	return packed;
}

/** What {@link packVouchers} packed, each voucher in its wire's bytes. */
export function unpackVouchers(packed: Uint8Array): { readonly tab: string; readonly bytes: Uint8Array }[] {
	const all = [];
	for (let at = 0; at < packed.length; at += TAB_BYTES + VOUCHER_BYTES) {
		const voucherAt = at + TAB_BYTES;
		all.push({
			tab: toHex(packed.subarray(at, voucherAt)),
			bytes: packed.slice(voucherAt, voucherAt + VOUCHER_BYTES),
		});
	}
	return all;
}
