/** A pool's report: figures that come out to the nano, lines that nobody can change, and nothing in it about a few people. */

import assert from "node:assert/strict";
import { test } from "node:test";
import { amount } from "#contracts/amount";
import { toHex } from "#contracts/bytes";
import { signMarketKey } from "#contracts/market";
import { isProblem } from "#contracts/problem";
import { type Line, lineHash, mondayOf, type Report, restOf, type Stretch, signReport } from "#contracts/report";
import { readReport, writeReport } from "#contracts/reportfile";
import { crypto } from "#host/crypto";

const root = crypto.keyPair(new Uint8Array(32).fill(1));
const online = crypto.keyPair(new Uint8Array(32).fill(2));
const WEEK_MS = 7 * 86_400_000;
const fromMs = mondayOf(Date.UTC(2026, 5, 3));
const atMs = fromMs + 2 * WEEK_MS;
const key = signMarketKey(crypto, root, online.publicKey, atMs - 1_000, atMs + 1_000_000);
const pool = new Uint8Array(16).fill(7);

const line = (of: Partial<Line> = {}): Line => ({
	relay: new Uint8Array(32).fill(9),
	country: "KE",
	people: 30,
	bytes: 3_000_000n,
	toOperators: amount(1_500n),
	marketFee: amount(30n),
	salt: new Uint8Array(16).fill(3),
	...of,
});

const stretch: Stretch = {
	fromMs,
	toMs: fromMs + WEEK_MS,
	people: 52,
	bytes: 5_000_000n,
	toOperators: amount(2_500n),
	marketFee: amount(50n),
	lines: [line()],
	hidden: [
		lineHash(crypto, pool, fromMs, line({ country: "UG", people: 4 })),
		lineHash(crypto, pool, fromMs, line({ country: "--", people: 18 })),
	],
};

const report: Report = {
	market: root.publicKey,
	pool,
	atMs,
	signedMs: atMs,
	money: {
		came: amount(10_000n),
		railFee: amount(300n),
		exchangeFee: amount(50n),
		back: amount(1_000n),
		on: amount(0n),
		lost: amount(0n),
		reserved: amount(400n),
		left: amount(5_998n),
	},
	recent: { toOperators: amount(51n), marketFee: amount(1n) },
	stretches: [stretch],
};

const write = (of: Report = report): string => writeReport(of, key.bytes, signReport(crypto, of, online));
const text = write();

test("a report is checked offline: who signed it, that every nano is accounted for, and that its lines are those that the root commits to", () => {
	const verdict = readReport(crypto, text, root.publicKey);
	assert.ok(!isProblem(verdict));
	assert.ok(verdict.pinned);
	assert.deepEqual(verdict.report, report);
	assert.deepEqual(restOf(stretch), { bytes: 2_000_000n, toOperators: 1_000n, marketFee: 20n });
	const unpinned = readReport(crypto, text);
	assert.ok(!isProblem(unpinned) && !unpinned.pinned);
});

test("whatever is changed in a report is found, and said by which check", () => {
	const checks: [string, string, string][] = [
		['"came":"10000"', '"came":"10001"', "sum"],
		['"left":"5998"', '"left":"5997"', "sum"],
		['"toOperators":"51"', '"toOperators":"52"', "sum"],
		['"railFee":"300"', '"railFee":"301"', "signature"],
		[`"atMs":${atMs}`, `"atMs":${atMs + 1}`, "signature"],
		[`"signedMs":${atMs}`, `"signedMs":${atMs + 2_000_000}`, "signature"],
		['"people":30', '"people":29', "signature"],
		['"people":30', '"people":19', "lines"],
		['"people":30', '"people":53', "lines"],
		['"country":"KE"', '"country":"TZ"', "signature"],
		['"bytes":"3000000"', '"bytes":"6000000"', "lines"],
		[`"salt":"${"03".repeat(16)}"`, `"salt":"${"04".repeat(16)}"`, "signature"],
		[`"hidden":["${toHex(stretch.hidden[0] as Uint8Array)}",`, '"hidden":[', "lines"],
		[toHex(stretch.hidden[1] as Uint8Array), "00".repeat(32), "signature"],
		[`"pool":"${toHex(pool)}"`, `"pool":"${"08".repeat(16)}"`, "signature"],
		[`"market":"${toHex(root.publicKey)}"`, `"market":"${toHex(online.publicKey)}"`, "market"],
		[`"fromMs":${fromMs}`, `"fromMs":${fromMs + 86_400_000}`, "form"],
		['"came":"10000"', '"came": "10000"', "form"],
		['"came":"10000"', '"came":10000', "form"],
		['"country":"KE"', '"country":"ke"', "form"],
		["pool/1", "pool/2", "form"],
		[toHex(key.bytes).slice(0, 8), toHex(key.bytes).slice(8, 16), "key"],
	];
	for (const [was, is, check] of checks) {
		assert.ok(text.includes(was), was);
		const found = readReport(crypto, text.replace(was, is), root.publicKey);
		assert.ok(isProblem(found), `${was} -> ${is}`);
		assert.equal(found.check, check, `${was} -> ${is}: ${found.detail}`);
	}
	const other = readReport(crypto, text, online.publicKey);
	assert.ok(isProblem(other) && other.check === "market");
	for (const nonsense of ["", "{}", "null", "[]", text.slice(0, -2), `${text}\n`])
		assert.ok(isProblem(readReport(crypto, nonsense)));
});

test("a market cannot sign what does not come out, what gives a few people away, or a line that stands alone", () => {
	const wrong = (of: Partial<Stretch>): void => {
		assert.throws(() => write({ ...report, stretches: [{ ...stretch, ...of }] }), RangeError);
	};
	assert.throws(() => write({ ...report, money: { ...report.money, lost: amount(1n) } }), RangeError);
	wrong({ lines: [line({ people: 19 })] });
	wrong({ people: 19 });
	wrong({ hidden: [] });
	wrong({ hidden: stretch.hidden.slice(1) });
	wrong({ toMs: fromMs });
	wrong({ lines: [line(), line()] });
	wrong({ bytes: 2_999_999n });
	assert.throws(() => write({ ...report, stretches: [stretch, stretch] }), RangeError);
	// of a few people all together only the sum is told, and that is the pool's own
	const few = { ...stretch, people: 0, lines: [], hidden: stretch.hidden.slice(1) };
	assert.ok(!isProblem(readReport(crypto, write({ ...report, stretches: [few] }))));
});
