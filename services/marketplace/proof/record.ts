/**
 * Commitments as the book keeps them: a record for each day, and one that names the newest. Both are written in one change that is decided on the newest's version,
 * so of several processes that make one at once only one's stands, and none can follow another than the newest.
 */

import { fromHex, toHex } from "#contracts/bytes";
import { type Link, linkOf } from "#contracts/chain";
import { type Commitment, readCommitment } from "#contracts/commitment";
import { type Crypto, HASH_BYTES } from "#contracts/identity";
import { MARKET_KEY_BYTES, type MarketKey, readMarketKey } from "#contracts/market";
import { isProblem, problem } from "#contracts/problem";
import { type Book, BookFailure, type RecordRow, type RowChange } from "#marketplace/ledger/book";

/** A commitment of this market's, with the secret that its leaves are ordered and salted by. */
export type Made = { readonly commitment: Commitment; readonly key: MarketKey; readonly secret: Uint8Array };

/** The newest commitment, and the version of the record that says so: 0 when there is none. */
export type Newest = { readonly version: number; readonly made: Made | undefined };

type Value = { readonly commitment: string; readonly key: string; readonly secret: string };

const NEWEST = "newest";

/** A day's key: as long for each, so that keys are in the order of days. */
function keyOf(day: number): string {
	return day.toString().padStart(10, "0");
}

/** What makes a commitment the newest, if `before` is the newest still. */
export function rowsOf(market: Uint8Array, { commitment, key, secret }: Made, before: Newest): RowChange[] {
	const { day, bytes, takenMs } = commitment;
	const value: Value = { commitment: toHex(bytes), key: toHex(key.bytes), secret: toHex(secret) };
	const shared = { account: toHex(market), dueMs: takenMs };
	return [
		{
			table: "commitments",
			expect: 0,
			row: { ...shared, key: keyOf(day), state: "made", value: JSON.stringify(value) },
		},
		{
			table: "commitments",
			expect: before.version,
			row: { ...shared, key: NEWEST, state: "newest", value: keyOf(day) },
		},
	];
}

/** Reads a record. @throws BookFailure `data-corrupt` for one that no market wrote. */
function readMade(crypto: Crypto, row: RecordRow): Made {
	const value = JSON.parse(row.value) as Value;
	const [bytes, keyBytes] = [fromHex(value.commitment), fromHex(value.key, MARKET_KEY_BYTES)];
	const secret = fromHex(value.secret, HASH_BYTES);
	const key = keyBytes && readMarketKey(crypto, keyBytes);
	const commitment = bytes && key && !isProblem(key) ? readCommitment(crypto, bytes, key) : undefined;
	if (!key || isProblem(key) || !commitment || isProblem(commitment) || !secret)
		throw new BookFailure(problem("data-corrupt", `The commitment of day ${row.key} in the ledger is none.`));
	return { commitment, key, secret };
}

/** The newest commitment of a book. */
export async function newestOf(crypto: Crypto, book: Book): Promise<Newest> {
	const tip = await book.record("commitments", NEWEST);
	if (!tip) return { version: 0, made: undefined };
	const row = await book.record("commitments", tip.value);
	if (!row)
		throw new BookFailure(problem("data-corrupt", `The newest commitment, ${tip.value}, is not in the ledger.`));
	return { version: tip.version, made: readMade(crypto, row) };
}

/** Commitments of days after `after`, oldest first, as they travel. */
export async function linksAfter(crypto: Crypto, book: Book, after: number, limit: number): Promise<Link[]> {
	const query = { table: "commitments", by: "state", of: "made", limit } as const;
	const rows = await book.records(after < 0 ? query : { ...query, after: keyOf(after) });
	return rows.map((row) => linkOf(readMade(crypto, row)));
}
