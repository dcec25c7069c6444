/** A statement's lines as JSON and as CSV: exact, and harmless in a spreadsheet. */

import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import {
	STATEMENT_CSV_HEAD,
	type StatementLine,
	statementCsv,
	statementJson,
	statementLine,
} from "#contracts/statement";

const line: StatementLine = {
	position: 7,
	atMs: Date.UTC(2026, 0, 1, 12),
	id: "redeem:1",
	cause: "Carried on a tab",
	purse: "earned",
	gross: 52_000n,
	marketFee: 1_000n,
	solidarityFee: 1_000n,
	exchangeFee: 0n,
	railFee: 0n,
	net: 50_000n,
};

/** What a reader of RFC 4180 makes of one record. */
function cells(record: string): string[] {
	assert.ok(record.endsWith("\r\n"));
	const found = record.slice(0, -2).matchAll(/(?:^|,)(?:"((?:[^"]|"")*)"|([^",\r\n]*))/g);
	return [...found].map(([, quoted, plain]) => quoted?.replaceAll('""', '"') ?? plain ?? "");
}

/** Reads a decimal exactly. */
function nanosOf(dollars: string): bigint {
	const [, sign, whole = "", decimals = ""] = /^(-?)(\d+)\.(\d{2,9})$/.exec(dollars) ?? assert.fail(dollars);
	const nanos = BigInt(whole) * 1_000_000_000n + BigInt(decimals.padEnd(9, "0"));
	return sign ? -nanos : nanos;
}

const anyNanos = fc.bigInt(-(2n ** 63n) + 1n, 2n ** 63n - 1n);
const anyLine: fc.Arbitrary<StatementLine> = fc.record(
	{
		position: fc.nat(),
		atMs: fc.nat(4_000_000_000_000),
		id: fc.string({ minLength: 1, unit: "grapheme" }),
		cause: fc.string({ minLength: 1, unit: "binary" }),
		purse: fc.constantFrom("spending", "earned", "waiting"),
		gross: anyNanos,
		marketFee: anyNanos,
		solidarityFee: anyNanos,
		exchangeFee: anyNanos,
		railFee: anyNanos,
		net: anyNanos,
	},
	{ noNullPrototype: true },
);

describe("a line as CSV", () => {
	it("has a cell for each name of the head, and money in exact dollars", () => {
		assert.deepEqual(cells(statementCsv(line)), [
			"7",
			"2026-01-01T12:00:00.000Z",
			"redeem:1",
			"Carried on a tab",
			"earned",
			"0.000052",
			"0.000001",
			"0.000001",
			"0.00",
			"0.00",
			"0.00005",
		]);
		assert.equal(cells(STATEMENT_CSV_HEAD).length, 11);
	});

	it("any line is one record of as many cells, and its money reads back to the nano", () => {
		fc.assert(
			fc.property(anyLine, (any) => {
				const record = statementCsv(any);
				assert.equal(record.indexOf("\n"), record.length - 1, "one line");
				const read = cells(record);
				assert.equal(read.length, 11);
				const amounts = [any.gross, any.marketFee, any.solidarityFee, any.exchangeFee, any.railFee, any.net];
				assert.deepEqual(read.slice(5).map(nanosOf), amounts);
			}),
		);
	});

	it("no cell of text begins a formula, wherever a spreadsheet may cut it (threat 22)", () => {
		for (const cause of [
			'=HYPERLINK("http://evil","pay")',
			"+1+1",
			"-2+3",
			"@SUM(A1:A9)",
			"\t=1+1",
			"\r\n=1+1",
			"  =1+1",
			"＝1+1",
			'a","=1+1',
			"a;=1+1",
			"a,=1+1",
			"a|=1+1",
		]) {
			const [, , , cell = ""] = cells(statementCsv({ ...line, cause }));
			for (const part of cell.split(/[;,|\t\r\n]/))
				assert.doesNotMatch(part, /^["\s]*[=+\-@＝]/, `${cause} became ${cell}`);
		}
		const [, , , plain] = cells(statementCsv({ ...line, cause: "Carried: tab - 5 = fine" }));
		assert.equal(plain, "Carried: tab - 5 = fine", "what begins nothing stays as it is");
	});
});

describe("a line as JSON", () => {
	it("any line reads back as it was, its money as text all the way", () => {
		fc.assert(
			fc.property(anyLine, (any) => {
				const text = JSON.stringify(statementJson(any));
				assert.doesNotMatch(text, /"(gross|net|\w+Fee)":-?\d/);
				assert.deepEqual(statementLine(JSON.parse(text)), any);
			}),
		);
	});

	it("may be of the last moment that has a date", () => {
		const last = { ...line, atMs: 8_640_000_000_000_000 };
		assert.deepEqual(statementLine(statementJson(last)), last);
		assert.match(statementCsv(last), /\+275760-09-13/);
	});

	it("is nothing else: numbers, floats, exponents, odd signs, missing fields, times past the end of time (threat 18)", () => {
		const good = statementJson(line);
		for (const wrong of [
			null,
			[],
			"",
			{ ...good, net: 50_000 },
			{ ...good, net: "0.5" },
			{ ...good, net: "1e9" },
			{ ...good, net: "-0" },
			{ ...good, net: "+1" },
			{ ...good, net: "01" },
			{ ...good, net: "9".repeat(20) },
			{ ...good, railFee: undefined },
			{ ...good, position: "7" },
			{ ...good, position: 1.5 },
			{ ...good, atMs: 8_640_000_000_000_001 },
			{ ...good, cause: null },
			{ ...good, id: 1 },
		])
			assert.equal(statementLine(wrong), undefined, JSON.stringify(wrong));
	});
});
