/** Weeks that are summed up, as records: written once, so that what was shown of them never changes and nobody learns from a difference of two reports. */

import { formatAmount, parseAmount } from "#contracts/amount";
import { fromHex, toHex } from "#contracts/bytes";
import type { Crypto } from "#contracts/identity";
import { LINE_SALT_BYTES, type Line, lineHash, type Reached, type Stretch } from "#contracts/report";
import { LIST_MAX, type RecordRow, ROW_CHARS_MAX, type RowChange } from "#marketplace/ledger/book";
import type { Market } from "#marketplace/market";
import type { Cells } from "./cells.ts";
import type { Pool } from "./pool.ts";

/** Lines in one record: each takes some 250 characters. */
const LINES_MAX = Math.floor(ROW_CHARS_MAX / 320);

/** A stretch of what was found, with a salt for each of its lines. */
export function stretchOf(
	crypto: Pick<Crypto, "random" | "hash"> & Crypto,
	pool: string,
	fromMs: number,
	toMs: number,
	{ all, shown, hidden }: Cells,
): Stretch {
	const id = fromHex(pool) ?? new Uint8Array(0);
	const line = (cell: Cells["shown"][number]): Line => ({
		...cell,
		relay: fromHex(cell.relay) ?? new Uint8Array(0),
		salt: crypto.random(LINE_SALT_BYTES),
	});
	const hashes = hidden.map((cell) => lineHash(crypto, id, fromMs, line(cell)));
	return { fromMs, toMs, ...all, lines: shown.map(line), hidden: hashes };
}

type ReachedText = readonly [number, string, string, string];

const text = ({ people, bytes, toOperators, marketFee }: Reached): ReachedText => [
	people,
	bytes.toString(),
	formatAmount(toOperators),
	formatAmount(marketFee),
];

function reached([people, bytes, toOperators, marketFee]: ReachedText): Reached {
	const [operators, fee] = [parseAmount(toOperators), parseAmount(marketFee)];
	if (operators === undefined || fee === undefined) throw new TypeError("weeks of a pool that no market wrote");
	return { people, bytes: BigInt(bytes), toOperators: operators, marketFee: fee };
}

type Value = {
	readonly toMs: number;
	readonly all: ReachedText;
	/** relay, country, salt, figures */
	readonly lines: readonly (readonly [string, string, string, ReachedText])[];
	readonly hidden: readonly string[];
};

const keyOf = (pool: string, fromMs: number, part: number): string =>
	`weeks:${pool}:${fromMs.toString().padStart(14, "0")}:${part.toString().padStart(4, "0")}`;

/** Writes a stretch, in as many records as it takes. */
export function writeWeeks({ pool, sponsor }: Pool, stretch: Stretch): RowChange[] {
	const lines = stretch.lines.map(
		(line) => [toHex(line.relay), line.country, toHex(line.salt), text(line)] as Value["lines"][number],
	);
	const hidden = stretch.hidden.map(toHex);
	const count = Math.max(1, Math.ceil((lines.length + hidden.length) / LINES_MAX));
	return Array.from({ length: count }, (_, part): RowChange => {
		const [from, to] = [part * LINES_MAX, (part + 1) * LINES_MAX];
		const behind = (n: number): number => Math.max(0, n - lines.length);
		const value: Value = {
			toMs: stretch.toMs,
			all: text(stretch),
			lines: lines.slice(from, to),
			hidden: hidden.slice(behind(from), behind(to)),
		};
		const row = { key: keyOf(pool, stretch.fromMs, part), account: sponsor, state: "weeks", dueMs: 0 };
		return { table: "pools", expect: 0, row: { ...row, value: JSON.stringify(value) } };
	});
}

/** A pool's stretches, oldest first. */
export async function weeksOf({ book }: Pick<Market, "book">, { pool, sponsor }: Pool): Promise<Stretch[]> {
	const prefix = `weeks:${pool}:`;
	const found: Stretch[] = [];
	let after = prefix;
	for (;;) {
		const page = await book.records({ table: "pools", by: "account", of: sponsor, after, limit: LIST_MAX });
		const own = page.filter(({ key }) => key.startsWith(prefix));
		for (const row of own) take(found, row);
		const last = own.at(-1);
		if (!last || own.length < LIST_MAX) return found;
		after = last.key;
	}
}

function take(found: Stretch[], { key, value }: RecordRow): void {
	const { toMs, all, lines, hidden } = JSON.parse(value) as Value;
	const fromMs = Number(key.split(":")[2]);
	const read: Stretch = {
		...{ fromMs, toMs, ...reached(all) },
		lines: lines.map(([relay, country, salt, of]) => ({
			...{ relay: bytes(relay), country, salt: bytes(salt), ...reached(of) },
		})),
		hidden: hidden.map(bytes),
	};
	const before = found.at(-1);
	if (before?.fromMs !== fromMs) found.push(read);
	else
		found[found.length - 1] = {
			...before,
			lines: [...before.lines, ...read.lines],
			hidden: [...before.hidden, ...read.hidden],
		};
}

function bytes(hex: string): Uint8Array {
	return fromHex(hex) ?? new Uint8Array(0);
}
