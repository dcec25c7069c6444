/** Which account a person has their pass of a pool at: by a tag that the same person gives at every enroller, and nobody else knows whose it is. */

import type { Book, RowChange } from "#marketplace/ledger/book";

/** A person, as far as anybody here knows one. */
export type Tag = {
	/** id in hex */
	readonly pool: string;
	/** in hex */
	readonly tag: string;
	readonly version: number;
	/** where their pass is */
	readonly account: string;
	/** in which month it moved last; 0: never */
	readonly movedMonth: number;
};

function keyOf(pool: string, tag: string): string {
	return `${pool}:${tag}`;
}

/** Where a person has their pass of a pool. */
export async function tagRowOf(
	{ book }: { readonly book: Pick<Book, "record"> },
	pool: string,
	tag: string,
): Promise<Tag | undefined> {
	const row = await book.record("tags", keyOf(pool, tag));
	if (!row) return undefined;
	const { movedMonth } = JSON.parse(row.value) as Pick<Tag, "movedMonth">;
	return { pool, tag, version: row.version, account: row.account, movedMonth };
}

/** Writes it over the version that it was read at. */
export function writeTagRow({ pool, tag, version, account, movedMonth }: Tag): RowChange {
	const row = { key: keyOf(pool, tag), account, state: "known", dueMs: 0, value: JSON.stringify({ movedMonth }) };
	return { table: "tags", expect: version, row };
}
