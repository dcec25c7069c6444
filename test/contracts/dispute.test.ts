/** PROTOCOL.md, "Dispute file": who owes whom, and nothing at all once a character is changed. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { type DisputeParts, readDispute, type Verdict, verdictLines, writeDispute } from "#contracts/dispute";
import { signGrant } from "#contracts/grant";
import { signMarketKey } from "#contracts/market";
import { isProblem } from "#contracts/problem";
import { signReceipt, signUsage } from "#contracts/redemption";
import { price } from "#contracts/tariff";
import { crypto } from "#host/crypto";
import { HOUR_MS, must, NOW_MS, world } from "#test/contracts/world";

const w = world(crypto);
const bare: DisputeParts = { grantKey: w.dispute.grantKey, grant: w.dispute.grant, voucher: w.dispute.voucher };

function verdict(parts: DisputeParts, market: Uint8Array | undefined = w.root.publicKey): Verdict {
	const answer = readDispute(crypto, writeDispute(parts), market);
	assert.ok(!isProblem(answer), isProblem(answer) ? answer.detail : "");
	return answer;
}

const usageOf = (bytes: bigint, byteSeconds: bigint, final = true) =>
	signUsage(crypto, w.terms, { bytes, byteSeconds }, final, NOW_MS, w.relay.secretKey).bytes;

function receiptOf(bytes: bigint, byteSeconds: bigint) {
	const nanos = must(price(w.tariff, { bytes, byteSeconds }));
	const receipt = signReceipt(crypto, { ...w.receipt, paid: { bytes, byteSeconds, nanos } }, w.nextOnline);
	return { bytes: receipt.bytes, key: w.nextMarketKey.bytes };
}

test("with a usage statement and a receipt, the tab owes exactly what was carried and not paid", () => {
	const { owed, exact, pinned } = verdict(w.dispute);
	assert.equal(owed, w.usage.used.nanos - w.receipt.paid.nanos);
	assert.ok(exact && pinned);
});

test("without a receipt it is owed at most what the relay says it carried", () => {
	const { owed, exact } = verdict({ ...bare, usage: w.usage.bytes });
	assert.equal(owed, w.usage.used.nanos);
	assert.equal(exact, false);
});

test("without a usage statement it is owed at most what the voucher permits less what was paid", () => {
	const { owed, exact } = verdict({ ...bare, receipt: w.dispute.receipt });
	assert.equal(owed, w.voucher.nanos - w.receipt.paid.nanos);
	assert.equal(exact, false);
});

test("with neither it is owed at most what the voucher permits, and the words say so", () => {
	const answer = verdict(bare);
	assert.equal(answer.owed, w.voucher.nanos);
	assert.match(verdictLines(answer)[0] ?? "", /^The tab owes the operator of the relay at most \$0\.001014 /);
});

test("a relay that says it carried more than the voucher permits is owed what the voucher permits", () => {
	const answer = verdict({ ...w.dispute, usage: usageOf(w.voucher.bytes * 2n, w.voucher.byteSeconds * 2n) });
	assert.equal(answer.owed, w.voucher.nanos - w.receipt.paid.nanos);
	assert.ok(verdictLines(answer).includes("That is more than the voucher permits; what goes beyond it is not owed."));
});

test("the words say that a count goes beyond the voucher exactly when it does, in bytes or in byte-seconds", () => {
	const beyond = (bytes: bigint, byteSeconds: bigint) =>
		verdictLines(verdict({ ...bare, usage: usageOf(w.voucher.bytes + bytes, w.voucher.byteSeconds + byteSeconds) }))
			.join()
			.includes("more than the voucher permits");
	assert.deepEqual([beyond(0n, 0n), beyond(1n, 0n), beyond(0n, 1n), beyond(1n, 1n)], [false, true, true, true]);
});

test("bytes that the voucher permits do not pay for storage that it does not", () => {
	const half = w.voucher.bytes / 2n;
	const { owed } = verdict({ ...bare, usage: usageOf(half, w.voucher.byteSeconds + 86_400_000_000n) });
	assert.equal(owed, price(w.tariff, { bytes: half, byteSeconds: w.voucher.byteSeconds }));
	const more = usageOf(w.voucher.bytes + 1_000_000n, 0n);
	assert.equal(verdict({ ...bare, usage: more }).owed, price(w.tariff, { bytes: w.voucher.bytes, byteSeconds: 0n }));
});

test("nothing is owed when the market has paid as much, or more by a newer voucher", () => {
	for (const bytes of [w.used.bytes, w.used.bytes + 1_000_000n]) {
		const answer = verdict({ ...w.dispute, receipt: receiptOf(bytes, w.used.byteSeconds) });
		assert.equal(answer.owed, 0n);
		assert.equal(verdictLines(answer)[0], "Nothing is owed on this tab.");
	}
});

test("one nano-dollar less than what was carried is one nano-dollar owed", () => {
	const usage = usageOf(2n, 0n);
	const answer = verdict({ ...bare, usage, receipt: receiptOf(0n, 0n) });
	assert.equal(answer.owed, 1n);
	assert.match(verdictLines(answer)[0] ?? "", /\$0\.000000001 \(1 nano-dollar\)/);
});

test("a statement that is not final says so", () => {
	const words = (final: boolean) =>
		verdictLines(verdict({ ...bare, usage: usageOf(w.used.bytes, w.used.byteSeconds, final) })).join("\n");
	assert.match(words(true), /and takes no more/);
	assert.match(words(false), /so far/);
});

test("the words name every key that was used, and a market that was not given is said to be the file's own", () => {
	const own = readDispute(crypto, writeDispute(w.dispute));
	assert.ok(!isProblem(own) && !own.pinned);
	const lines = verdictLines(own);
	for (const key of [w.root, w.online, w.nextOnline, w.relay, w.session, w.operator])
		assert.ok(lines.some((line) => line.includes(Buffer.from(key.publicKey).toString("hex"))));
	assert.match(lines.at(-1) ?? "", /came with the file/);
	assert.doesNotMatch(verdictLines(verdict(w.dispute)).join("\n"), /came with the file/);
});

test("a deadline beyond the calendar is written as it is, not thrown at the reader", () => {
	const by = (redeemByMs: number) => {
		const grant = signGrant(crypto, { ...w.terms, redeemByMs }, w.online).bytes;
		return verdictLines(verdict({ ...bare, grant }))[0] ?? "";
	};
	assert.match(by(8_640_000_000_000_000), /by \+275760-09-13T00:00:00\.000Z\.$/);
	assert.match(by(8_640_000_000_000_001), /by 8640000000000001 ms\.$/);
	assert.match(by(Number.MAX_SAFE_INTEGER), /by 9007199254740991 ms\.$/);
});

test("a receipt of another market does not speak of this tab, though its own keys are in order", () => {
	const key = signMarketKey(crypto, w.other, w.nextOnline.publicKey, NOW_MS, NOW_MS + 3 * HOUR_MS);
	const receipt = signReceipt(crypto, { ...w.receipt, market: w.other.publicKey }, w.nextOnline);
	const answer = readDispute(crypto, writeDispute({ ...w.dispute, receipt: { bytes: receipt.bytes, key: key.bytes } }));
	assert.ok(isProblem(answer));
	assert.deepEqual([answer.problem, "check" in answer && answer.check], ["grant-unknown-market", "receipt"]);
});

test("a receipt for more than the tab's cap is none", () => {
	const rich = receiptOf(20_000_002n, 0n);
	const answer = readDispute(crypto, writeDispute({ ...w.dispute, receipt: rich }));
	assert.ok(isProblem(answer) && answer.problem === "voucher-price");
	assert.ok(!isProblem(readDispute(crypto, writeDispute({ ...w.dispute, receipt: receiptOf(20_000_000n, 0n) }))));
});

test("parts of a wrong length are a bug of whoever writes the file", () => {
	assert.throws(() => writeDispute({ ...bare, voucher: w.dispute.voucher.slice(1) }), RangeError);
});

const PRINTABLE = Array.from({ length: 95 }, (_, i) => String.fromCharCode(32 + i));
const ODD = ["\0", "\n", "\r\n", "\t", "é", "\u200b", "\ufeff", "０", "\ud800", "😀"];

test("with any one character replaced, left out, put in or doubled the file no longer verifies, and it says what fails", () => {
	const text = writeDispute(w.dispute);
	const checks = new Map<string, number>();
	const refuse = (changed: string, how: string) => {
		if (changed === text) return;
		const answer = readDispute(crypto, changed);
		assert.ok(isProblem(answer), how);
		assert.ok("check" in answer);
		checks.set(answer.check, (checks.get(answer.check) ?? 0) + 1);
	};
	for (let at = 0; at <= text.length; at++) {
		const [before, here, after] = [text.slice(0, at), text[at] ?? "", text.slice(at + 1)];
		refuse(before + after, `left out at ${at}`);
		refuse(before + here + here + after, `doubled at ${at}`);
		refuse(before + here.toUpperCase() + after, `in capitals at ${at}`);
		const isHex = /[0-9a-f]/.test(here);
		for (const other of [...PRINTABLE, ...ODD]) {
			// Each of the other digits costs signatures: two of them at each place, all of them over eight places.
			const digit = Number.parseInt(other, 16);
			if (isHex && /^[0-9a-f]$/.test(other) && (digit + at) % 8 !== 0) continue;
			refuse(before + other + after, `${JSON.stringify(other)} at ${at}`);
			if (at % 7 === 0) refuse(before + other + here + after, `${JSON.stringify(other)} put in at ${at}`);
		}
		if (at + 1 < text.length) refuse(before + text[at + 1] + here + text.slice(at + 2), `swapped at ${at}`);
	}
	assert.deepEqual([...checks.keys()].sort(), [
		"form",
		"grant",
		"grant key",
		"receipt",
		"receipt key",
		"usage",
		"voucher",
	]);
});

test("cut anywhere, the file no longer verifies", () => {
	const text = writeDispute(w.dispute);
	for (let at = 0; at < text.length; at++) {
		assert.ok(isProblem(readDispute(crypto, text.slice(0, at))));
		assert.ok(isProblem(readDispute(crypto, text.slice(at + 1))));
	}
});

test("a text of any length is read without running long", () => {
	const long = `{"farelay":"dispute/1","grantKey":"${"0".repeat(5_000_000)}`;
	const answer = readDispute(crypto, long);
	assert.ok(isProblem(answer) && "check" in answer && answer.check === "form");
});
