/**
 * The decisions that were made, each a record that holds its signed bytes and the hash of all before it. Written in the same change as what it decides; `farelay audit`
 * walks the chain, and anyone may ask for its end and keep it.
 */

import { fromHex, same, toHex } from "#contracts/bytes";
import { chainDecision, NO_DECISION, readDecision, type Signed } from "#contracts/decision";
import type { Crypto } from "#contracts/identity";
import { isProblem } from "#contracts/problem";
import type { Check } from "#marketplace/ledger/audit";
import type { Book, RecordRow, RowChange } from "#marketplace/ledger/book";

/** The end of the chain: how many decisions there are, and the hash of all of them. */
export type ChainEnd = { readonly count: number; readonly hash: string };

/** A decision as it is kept. */
export type Entry = { readonly number: number; readonly hash: string; readonly decision: Signed };

const HEAD = "decisions";
/** So many that their names sort as their numbers. */
const DIGITS = 10;
const keyOf = (number: number) => `decision:${String(number).padStart(DIGITS, "0")}`;

type Value = { readonly bytes: string; readonly hash: string };

/** The end of the chain, with the version of its record. */
export async function chainEnd(book: Pick<Book, "record">): Promise<ChainEnd & { readonly version: number }> {
	const head = await book.record("findings", HEAD);
	return head ? { ...readEnd(head), version: head.version } : { count: 0, hash: toHex(NO_DECISION), version: 0 };
}

function readEnd({ value }: Pick<RecordRow, "value">): ChainEnd {
	return JSON.parse(value) as ChainEnd;
}

const madeKey = (id: Uint8Array) => `made:${toHex(id)}`;

/** Whether a decision was made: whoever heard no answer asks again, and what was undone since must not be done again by that. */
export async function isMade(book: Pick<Book, "record">, { id }: Pick<Signed, "id">): Promise<boolean> {
	return (await book.record("findings", madeKey(id))) !== undefined;
}

/** The changes that add a decision to the chain. Two at once: the later one is stale, and decides again. */
export async function append(book: Pick<Book, "record">, crypto: Crypto, decision: Signed): Promise<RowChange[]> {
	const { count, hash: previous, version } = await chainEnd(book);
	const hash = toHex(chainDecision(crypto, fromHex(previous) ?? NO_DECISION, decision));
	const account = toHex(decision.by);
	const entry: Value = { bytes: toHex(decision.bytes), hash };
	const end: ChainEnd = { count: count + 1, hash };
	const row = { account, dueMs: decision.atMs };
	return [
		{
			table: "findings",
			expect: 0,
			row: { ...row, key: keyOf(count + 1), state: "decision", value: JSON.stringify(entry) },
		},
		{ table: "findings", expect: 0, row: { ...row, key: madeKey(decision.id), state: "made", value: "" } },
		{ table: "findings", expect: version, row: { ...row, key: HEAD, state: "chain", value: JSON.stringify(end) } },
	];
}

/** Decisions in their order, after a number (0: from the first). */
export async function decisionsAfter(
	book: Pick<Book, "records">,
	crypto: Crypto,
	number: number,
	limit: number,
): Promise<Entry[]> {
	const rows = await book.records({ table: "findings", by: "state", of: "decision", after: keyOf(number), limit });
	return rows.map((row) => {
		const entry = readEntry(crypto, row);
		if (!entry) throw new Error(`the record ${row.key} is no decision`);
		return entry;
	});
}

function readEntry(crypto: Crypto, row: RecordRow): Entry | undefined {
	try {
		const { bytes, hash } = JSON.parse(row.value) as Value;
		const decision = readDecision(crypto, fromHex(bytes) ?? new Uint8Array());
		return isProblem(decision) ? undefined : { number: Number(row.key.slice(-DIGITS)), hash, decision };
	} catch {
		return undefined;
	}
}

/** Says what is wrong with the chain: each decision signed, none missing, none that another stands in for. */
export function checkDecisions(crypto: Crypto): Check {
	return async function* (facts) {
		const rows = new Map<string, RecordRow>();
		for await (const row of facts.records("findings"))
			if (row.key === HEAD || row.key.startsWith("decision:")) rows.set(row.key, row);
		const head = rows.get(HEAD);
		rows.delete(HEAD);
		let hash = NO_DECISION;
		let number = 0;
		for (const key of [...rows.keys()].sort()) {
			number += 1;
			const entry = readEntry(crypto, rows.get(key) as RecordRow);
			if (!entry) {
				yield `The record ${key} is no decision that somebody signed.`;
				return;
			}
			hash = chainDecision(crypto, hash, entry.decision);
			if (entry.number !== number || !same(hash, fromHex(entry.hash) ?? NO_DECISION)) {
				yield `Decision ${number} does not follow those before it.`;
				return;
			}
		}
		const end = head ? readEnd(head) : { count: 0, hash: toHex(NO_DECISION) };
		if (end.count !== number || end.hash !== toHex(hash))
			yield `There should be ${end.count} decisions that end in ${end.hash}; there are ${number} that end in ${toHex(hash)}.`;
	};
}
