/** A bill as a file: whoever has it sees who paid what, and no character of it can be changed. */

import assert from "node:assert/strict";
import { test } from "node:test";
import { type BillVerdict, billLines, readBillFile, writeBillFile } from "#contracts/billfile";
import { isProblem } from "#contracts/problem";
import { crypto } from "#host/crypto";
import { must, world } from "./world.ts";

const w = world(crypto);
const text = writeBillFile(w.bill.bytes, w.nextMarketKey.bytes);

test("a bill's file says who paid what, by the market that signed it", () => {
	const verdict = must<BillVerdict>(readBillFile(crypto, text, w.root.publicKey));
	assert.equal(verdict.pinned, true);
	const { bill } = verdict.bill;
	assert.equal(bill.payer + bill.commons + bill.pools, bill.total);
	const lines = billLines(verdict).join("\n");
	assert.match(lines, /pool 9999/);
	assert.match(lines, /the commons/);
	assert.doesNotMatch(lines, /name the one that you trust/);
	assert.match(billLines(must<BillVerdict>(readBillFile(crypto, text))).join("\n"), /name the one that you trust/);
});

test("a bill's file with any character changed proves nothing", () => {
	for (let at = 0; at < text.length; at++) {
		const other = text[at] === "0" ? "1" : "0";
		const changed = readBillFile(crypto, `${text.slice(0, at)}${other}${text.slice(at + 1)}`);
		assert(isProblem(changed), `character ${at}`);
	}
	assert.equal(checkOf(readBillFile(crypto, text, w.other.publicKey)), "market");
	assert.equal(checkOf(readBillFile(crypto, writeBillFile(w.bill.bytes, w.marketKey.bytes))), "bill");
});

function checkOf(answer: unknown): string {
	assert(isProblem(answer));
	return (answer as unknown as { check: string }).check;
}
