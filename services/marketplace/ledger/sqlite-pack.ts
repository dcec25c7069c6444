/**
 * Changes on their way to the ledger's thread, as one flat list: cloning it takes a quarter of what cloning so many small objects takes, on both ends
 * (docs/decisions/ledger-speed.md). Nothing is checked here: what comes out is what went in.
 */

import type { Change, RowChange } from "./book.ts";
import type { Entry, Transfer } from "./transfer.ts";

/** Changes in a list: of each its transfer, how many rows, and the rows, all with their fields in the one order of this file. */
export type Packed = readonly unknown[] & { readonly [packedChanges]: true };
declare const packedChanges: unique symbol;

/** Stands where a change has no transfer. */
const NONE = -1;

/** Packs changes. */
export function pack(changes: readonly Change[]): Packed {
	const packed: unknown[] = [];
	for (const { transfer, rows = [] } of changes) {
		if (transfer) {
			const { id, cause, atMs, entries } = transfer;
			packed.push(entries.length, id, cause, atMs);
			for (const { account, nanos } of entries) packed.push(account, nanos);
		} else packed.push(NONE);
		packed.push(rows.length);
		for (const { table, expect, most, row } of rows) {
			packed.push(table, expect, most, row.account, row.state, row.value);
			if (table === "tabs") packed.push(row.tab, row.relay, row.deadlineMs);
			else packed.push(row.key, row.dueMs);
		}
	}
	return packed as unknown as Packed;
}

/** The changes that were packed. */
export function unpack(packed: Packed): Change[] {
	let at = 0;
	// the types are those of `pack`, which alone makes such lists
	const next = <T>(): T => packed[at++] as T;
	const changes: Change[] = [];
	while (at < packed.length) {
		const transfer = unpackTransfer(next);
		const rows = Array.from({ length: next<number>() }, () => unpackRow(next));
		changes.push({ ...(transfer && { transfer }), rows });
	}
	return changes;
}

type Next = <T>() => T;

function unpackTransfer(next: Next): Transfer | undefined {
	const count = next<number>();
	if (count === NONE) return undefined;
	const [id, cause, atMs] = [next<string>(), next<string>(), next<number>()];
	const entries: Entry[] = [];
	for (let n = 0; n < count; n++) entries.push({ account: next<string>(), nanos: next<bigint>() });
	return { id, cause, atMs, entries };
}

function unpackRow(next: Next): RowChange {
	const [table, expect, most] = [next<RowChange["table"]>(), next<number>(), next<RowChange["most"]>()];
	const all = { account: next<string>(), state: next<string>(), value: next<string>() };
	const row =
		table === "tabs"
			? { ...all, tab: next<string>(), relay: next<string>(), deadlineMs: next<number>() }
			: { ...all, key: next<string>(), dueMs: next<number>() };
	return { table, expect, row, ...(most && { most }) } as RowChange;
}
