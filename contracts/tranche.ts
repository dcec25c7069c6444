/**
 * Who pays for a tab: its cap is cut into tranches that are used up in their order, first pools', then the commons', then the payer's own (PROTOCOL.md, "Tranches").
 * The relay learns none of it: it sees a cap and a tariff.
 */

import { type Amount, amount, isAmount, isRate } from "./amount.ts";
import { type Reader, same, type Writer } from "./bytes.ts";

/** A part of a tab's cap and who pays for it. */
export type Tranche = {
	readonly fund: "own" | "commons" | "pool";
	/** which pool: 16 bytes, of `pool` only */
	readonly pool?: Uint8Array;
	/** the part of the tab's cap, in the operator's ask */
	readonly cap: Amount;
	/** what of its bill the payer pays, in parts per million: all of `own`, nothing of a pool that pays all */
	readonly payerPpm: number;
};

/** Two pools, the commons and the payer's own: each costs a receipt a line and a change two entries. */
export const TRANCHES_MAX = 4;
/** A pool's id. */
export const POOL_BYTES = 16;

const PPM = 1_000_000;
const ORDER = ["pool", "commons", "own"] as const satisfies readonly Tranche["fund"][];
const NO_POOL = new Uint8Array(POOL_BYTES);

/** All of a cap paid by the payer. */
export function ownTranche(cap: Amount): Tranche {
	return { fund: "own", cap, payerPpm: PPM };
}

/**
 * Whether tranches are ones that a tab of this cap may have: pools before the commons before the payer's own, none twice, none of nothing, and together the cap.
 * They come from outside: fields of another type are refused here too.
 */
export function areTranches(tranches: readonly Tranche[], cap: Amount): boolean {
	if (!Array.isArray(tranches) || tranches.length === 0 || tranches.length > TRANCHES_MAX) return false;
	let sum = 0n;
	let last = 0;
	for (const [i, tranche] of tranches.entries()) {
		const place = ORDER.indexOf(tranche.fund);
		const isPool = tranche.fund === "pool";
		if (place < last || (!isPool && i > 0 && tranches[i - 1]?.fund === tranche.fund)) return false;
		if (typeof tranche.cap !== "bigint" || tranche.cap <= 0n || !isAmount(tranche.cap)) return false;
		if (!isRate(tranche.payerPpm) || (tranche.fund === "own" && tranche.payerPpm !== PPM)) return false;
		if (isPool !== tranche.pool instanceof Uint8Array) return false;
		if (isPool && !isPoolOnce(tranches, i)) return false;
		last = place;
		sum += tranche.cap;
	}
	return sum === cap;
}

function isPoolOnce(tranches: readonly Tranche[], at: number): boolean {
	const pool = tranches[at]?.pool;
	if (!pool || pool.length !== POOL_BYTES || same(pool, NO_POOL)) return false;
	return tranches.every((other, i) => i >= at || !(other.pool && same(other.pool, pool)));
}

/** Whether both say the same of who pays what. */
export function sameTranches(a: readonly Tranche[], b: readonly Tranche[]): boolean {
	return (
		a.length === b.length &&
		a.every((one, i) => {
			const other = b[i];
			return (
				other !== undefined &&
				one.fund === other.fund &&
				one.cap === other.cap &&
				one.payerPpm === other.payerPpm &&
				same(one.pool ?? NO_POOL, other.pool ?? NO_POOL)
			);
		})
	);
}

/** Writes tranches as a signed order ends with them: `count u8`, and each `kind u8 · pool 16 · cap u64 · payerPpm u32`. */
export function putTranches(writer: Writer, tranches: readonly Tranche[]): Writer {
	writer.u8(tranches.length);
	for (const { fund, pool, cap, payerPpm } of tranches)
		writer
			.u8(ORDER.indexOf(fund) + 1)
			.put(pool ?? NO_POOL, POOL_BYTES)
			.u64(cap)
			.u32(payerPpm);
	return writer;
}

/** The part of a cumulative ask that lies inside each tranche, in their order. */
export function partsOf(ask: Amount, tranches: readonly Tranche[]): Amount[] {
	let left: bigint = ask;
	return tranches.map(({ cap }) => {
		const part = left < cap ? left : cap;
		left -= part;
		return amount(part);
	});
}

/** Reads what {@link putTranches} wrote; undefined for what no signed order ends with. */
export function takeTranches(reader: Reader): Tranche[] | undefined {
	const count = reader.u8();
	if (count > TRANCHES_MAX) return undefined;
	const tranches: Tranche[] = [];
	for (let i = 0; i < count; i++) {
		const fund = ORDER[reader.u8() - 1];
		const pool = reader.take(POOL_BYTES);
		const [cap, payerPpm] = [reader.u64(), reader.u32()];
		if (!fund || !isAmount(cap) || (fund === "pool") === same(pool, NO_POOL)) return undefined;
		tranches.push({ fund, ...(fund === "pool" && { pool }), cap, payerPpm });
	}
	return tranches;
}
