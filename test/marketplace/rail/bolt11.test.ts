import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, it } from "node:test";
import fc from "fast-check";
import { isProblem } from "#contracts/problem";
import { expectInvoice, hasEnded, proves, readInvoice } from "#marketplace/rail/bolt11";
import { makeInvoice, secretPair } from "#test/support/lightning/invoice";
import { fine } from "#test/support/market";

const AT = Date.UTC(2026, 0, 1);

describe("a BOLT11 invoice", () => {
	it("of a real node is read as the node meant it", () => {
		const { facts, atMs } = JSON.parse(readFileSync(join(import.meta.dirname, "../../fixtures/lnd.json"), "utf8"));
		const invoice = fine(readInvoice(facts.good));
		assert.equal(invoice.network, "simnet");
		assert.equal(invoice.amountMsat, 3_000_000n);
		assert.ok(Math.abs(invoice.expiresAtMs - (atMs + 3_600_000)) < 60_000);
		assert.equal(fine(readInvoice(facts.free)).amountMsat, undefined);
		assert.equal(fine(readInvoice(facts.good.toUpperCase())).text, facts.good);
	});

	it("says any amount to the millisatoshi, on every network that is known", () => {
		fc.assert(
			fc.property(
				fc.bigInt({ min: 1n, max: 2_100_000_000_000_000_000n }),
				fc.constantFrom("bc", "tb", "tbs", "bcrt", "sb"),
				fc.integer({ min: 0, max: 2 ** 31 }),
				(amountMsat, prefix, expiryS) => {
					const { hash } = secretPair();
					const read = fine(readInvoice(makeInvoice({ amountMsat, prefix, expiryS, hash, atMs: AT })));
					assert.equal(read.amountMsat, amountMsat);
					assert.equal(read.paymentHash, hash);
					assert.equal(read.expiresAtMs, AT + expiryS * 1_000);
				},
			),
			{ numRuns: 100 },
		);
	});

	it("without an expiry lasts an hour, and is not paid in its last seconds", () => {
		const invoice = fine(readInvoice(makeInvoice({ atMs: AT })));
		assert.equal(invoice.expiresAtMs, AT + 3_600_000);
		assert.equal(hasEnded(invoice, AT + 3_589_999), false);
		assert.equal(hasEnded(invoice, AT + 3_590_000), true);
	});

	const good = { amountMsat: 5_000n, atMs: AT };
	for (const [what, text] of [
		["of another network", makeInvoice({ ...good, prefix: "bc" })],
		["of a network that is not known", makeInvoice({ ...good, prefix: "ltc" })],
		["over more", makeInvoice({ ...good, amountMsat: 5_001n })],
		["over less", makeInvoice({ ...good, amountMsat: 4_999n })],
		["over nothing", makeInvoice({ ...good, amountMsat: 0n })],
		["without a payment hash", makeInvoice({ ...good, hashes: [] })],
		["with two payment hashes", makeInvoice({ ...good, hashes: [secretPair().hash, secretPair().hash] })],
		["with half a payment hash", makeInvoice({ ...good, hashes: ["ab".repeat(16)] })],
		["that lost its end", makeInvoice(good).slice(0, -1)],
		["with one letter changed", makeInvoice(good).replace(/.(?=.{20}$)/, (letter) => (letter === "q" ? "p" : "q"))],
		["in mixed case", `${makeInvoice(good).slice(0, -1)}Q`],
		["that is longer than any", `lnbcrt1${"q".repeat(10_000)}`],
		["that is none", "lnbcrt"],
		["that is nothing", ""],
		["that is an address", "someone@example.com"],
	] as const)
		it(`threat 17: ${what} is not paid`, () => {
			const said = expectInvoice(text, { network: "regtest", amountMsat: 5_000n });
			assert.ok(isProblem(said) && said.problem === "malformed" && said.spent === "no");
		});

	it("threat 10: any text at all is an invoice or a problem, and never a crash", () => {
		fc.assert(
			fc.property(
				fc.oneof(
					fc.string(),
					fc.string().map((tail) => `lnbcrt1${tail}`),
				),
				(text) => {
					assert.ok(isProblem(readInvoice(text)));
				},
			),
			{ numRuns: 300 },
		);
	});

	it("is proved to be paid by its own preimage alone", () => {
		const { preimage, hash } = secretPair();
		assert.equal(proves(preimage, hash), true);
		for (const other of [hash, preimage.toUpperCase(), `${preimage}00`, "", undefined, 7, secretPair().preimage])
			assert.equal(proves(other, hash), false);
	});
});
