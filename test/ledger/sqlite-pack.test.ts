import assert from "node:assert/strict";
import { it } from "node:test";
import fc from "fast-check";
import { type Change, type Most, RECORD_TABLES, type RowChange } from "#marketplace/ledger/book";
import { pack, unpack } from "#marketplace/ledger/sqlite-pack";

/** Also what no book takes: it is for the book to refuse, so it must arrive as it was. */
const text = fc.string({ maxLength: 5 });
const number = fc.oneof(fc.integer(), fc.constantFrom(-1, 0, 0.5, Number.NaN, Number.POSITIVE_INFINITY));
const nanos = fc.oneof(fc.bigInt(), fc.integer() as unknown as fc.Arbitrary<bigint>);
const most = fc.option(
	fc.record<Most>(
		{ states: fc.array(text), ofAccount: number, ofAll: number },
		{ requiredKeys: ["states", "ofAccount"] },
	),
	{ nil: undefined },
);
const all = { account: text, state: text, value: text };
const row = fc
	.tuple(
		fc.oneof(
			fc.record({
				table: fc.constant("tabs"),
				expect: number,
				row: fc.record({ ...all, tab: text, relay: text, deadlineMs: number }),
			}),
			fc.record({
				table: fc.constantFrom(...RECORD_TABLES),
				expect: number,
				row: fc.record({ ...all, key: text, dueMs: number }),
			}),
		),
		most,
	)
	.map(([change, bound]) => ({ ...change, ...(bound && { most: bound }) }) as RowChange);
const entry = fc.record({ account: text, nanos });
const transfer = fc.record({ id: text, cause: text, entries: fc.array(entry, { maxLength: 4 }), atMs: number });
const change: fc.Arbitrary<Change> = fc
	.tuple(fc.option(transfer, { nil: undefined }), fc.array(row, { maxLength: 3 }))
	.map(([moved, rows]) => ({ ...(moved && { transfer: moved }), rows }));

it("brings changes to the ledger's thread as they were, whole or broken", () => {
	fc.assert(
		fc.property(fc.array(change, { maxLength: 5 }), (changes) => {
			// a clone of both: what fast-check makes has no prototype
			assert.deepEqual(unpack(structuredClone(pack(changes))), structuredClone(changes));
		}),
	);
	assert.deepEqual(unpack(pack([{}])), [{ rows: [] }]);
});
