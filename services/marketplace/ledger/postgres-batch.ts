/** A batch of changes as arrays, the way the database's function takes it, and its answer as outcomes (postgres-schema.ts). */

import { type Change, faultOfRow, fullOf, nameOfRow, type Outcome, type RowChange } from "./book.ts";
import { floorOf } from "./chart.ts";
import { digestOf, faultOf } from "./transfer.ts";

/** The function with its arguments: the call's name first, then what {@link packBatch} made. */
export const APPLY_CALL = `SELECT "applyChanges1"(${Array.from({ length: 35 }, (_, i) => `$${i + 1}`).join(", ")}) AS answer`;

/** A batch on its way. */
export type Batch = {
	/** one for each argument after the call's name */
	readonly values: readonly unknown[];
	/** what is refused without asking the database, by the change's place; the database sees these as changes of nothing */
	readonly faults: ReadonlyMap<number, Outcome>;
};

/** Numbers things by name, from 1, as arrays in SQL are. */
function numbering(): { readonly names: string[]; of(name: string): number } {
	const numbers = new Map<string, number>();
	const names: string[] = [];
	return {
		names,
		of: (name) => {
			const known = numbers.get(name);
			if (known !== undefined) return known;
			names.push(name);
			numbers.set(name, names.length);
			return names.length;
		},
	};
}

/** Makes the arguments. Forms are looked at here; balances, ids, versions and room in the database. */
export function packBatch(changes: readonly Change[]): Batch {
	const faults = new Map<number, Outcome>();
	const [accounts, rowKeys, prints, asks] = [numbering(), numbering(), numbering(), numbering()];
	const firstOfId = new Map<string, number>();
	const moved = { firsts: [] as number[], ids: [] as (string | null)[], causes: [] as string[], times: [] as number[] };
	const digests: string[] = [];
	const entry = { ends: [] as number[], changes: [] as number[], ns: [] as number[], accounts: [] as number[] };
	const nanos: bigint[] = [];
	const rowEnds: number[] = [];
	const written: RowChange[] = [];
	for (const [i, { transfer, rows = [] }] of changes.entries()) {
		const fault = (transfer && faultOf(transfer)) ?? rows.map(faultOfRow).find((found) => found !== undefined);
		if (fault) faults.set(i, fault);
		const taken = fault ? undefined : transfer;
		if (taken && !firstOfId.has(taken.id)) firstOfId.set(taken.id, i + 1);
		moved.firsts.push((taken && firstOfId.get(taken.id)) ?? 0);
		moved.ids.push(taken?.id ?? null);
		moved.causes.push(taken?.cause ?? "");
		moved.times.push(taken?.atMs ?? 0);
		digests.push(taken ? digestOf(taken) : "");
		for (const [n, { account, nanos: amount }] of taken?.entries.entries() ?? []) {
			entry.changes.push(i + 1);
			entry.ns.push(n);
			entry.accounts.push(accounts.of(account));
			nanos.push(amount);
		}
		entry.ends.push(nanos.length);
		if (!fault) written.push(...rows);
		rowEnds.push(written.length);
	}
	const rowOf = written.map((change) => rowKeys.of(`${change.table} ${keyOf(change)}`));
	const ownAsks = written.map(({ table, row, most }) =>
		most ? asks.of(`${table}|${row.account}|${most.states.join(" ")}`) : 0,
	);
	const allAsks = written.map(({ table, most }) =>
		most?.ofAll === undefined ? 0 : asks.of(`${table}||${most.states.join(" ")}`),
	);
	const asked = asks.names.map((name) => name.split("|"));
	const gains = written.map((change) => gainsOf(change, asked));
	let gained = 0;
	const gainEnds = gains.map((some) => {
		gained += some.length;
		return gained;
	});
	const keyed = rowKeys.names.map((name) => name.split(" "));
	return {
		faults,
		values: [
			...[numbers(moved.firsts), moved.ids, moved.causes, numbers(moved.times)],
			...[digests, numbers(digests.map(prints.of))],
			...[accounts.names, numbers(accounts.names.map(floorOf))],
			...[entry.ends, entry.changes, entry.ns, entry.accounts, nanos].map(numbers),
			...[0, 1, 2].map((part) => asked.map((ask) => ask[part])),
			...[0, 1].map((part) => keyed.map((key) => key[part])),
			...[rowEnds, rowOf].map(numbers),
			...[written.map(({ table }) => table), written.map(keyOf), numbers(written.map(({ expect }) => expect))],
			written.map(({ row }) => row.account),
			written.map((change) => (change.table === "tabs" ? change.row.relay : "")),
			written.map(({ row }) => row.state),
			numbers(written.map((change) => (change.table === "tabs" ? change.row.deadlineMs : change.row.dueMs))),
			written.map(({ row }) => row.value),
			...[gainEnds, gains.flat(), ownAsks, written.map(({ most }) => most?.ofAccount ?? 0)].map(numbers),
			...[allAsks, written.map(({ most }) => most?.ofAll ?? 0)].map(numbers),
		],
	};
}

function keyOf(change: RowChange): string {
	return change.table === "tabs" ? change.row.tab : change.row.key;
}

/** Which counts a row is in once it is written: those of its table, its account or all, and its state. */
function gainsOf({ table, row }: RowChange, asked: readonly (readonly string[])[]): number[] {
	return asked.flatMap(([kind, owner, states], i) =>
		kind === table && (owner === "" || owner === row.account) && states?.split(" ").includes(row.state) ? [i + 1] : [],
	);
}

/** An array of whole numbers as Postgres reads it: nothing in it needs quoting. */
function numbers(all: readonly (number | bigint)[]): string {
	return `{${all.join(",")}}`;
}

/** From here on an answer's number says which entry was too much, then which row was another version, then which had no room. */
const OVERDRAFT = 1_000_000;
const STALE = 2_000_000;
const FULL = 3_000_000;

/** The outcomes of a batch by the function's answer, which is empty when everything was applied. */
export function readOutcomes(changes: readonly Change[], { faults }: Batch, answer: readonly number[]): Outcome[] {
	return changes.map(({ transfer, rows }, i) => {
		const said = answer[i] ?? 0;
		const fault = faults.get(i);
		if (fault !== undefined) return fault;
		if (said === 0) return "applied";
		if (said === 1) return "same";
		if (said === 2) return { refused: "conflict", detail: `The id ${transfer?.id} was used for another transfer.` };
		if (said < STALE) {
			const short = transfer?.entries[said - OVERDRAFT];
			return { refused: "overdraft", detail: `${short?.account} cannot take ${short?.nanos} nano-dollars.` };
		}
		const stale = rows?.[said - (said < FULL ? STALE : FULL)] as RowChange;
		if (said >= FULL) return fullOf(stale);
		return { refused: "stale", detail: `${nameOfRow(stale)} is not at version ${stale.expect}.` };
	});
}
