import assert from "node:assert/strict";
import { suite, test } from "node:test";
import { amount } from "#contracts/amount";
import { toHex } from "#contracts/bytes";
import { writeVoucher } from "#contracts/voucher";
import { crypto } from "#host/crypto";
import { type Paid, packVouchers, unpackVouchers } from "#relay/till/record";

const paid = (n: number): Paid => ({
	tab: toHex(crypto.random(16)),
	voucher: { bytes: BigInt(n), byteSeconds: BigInt(n * 60), nanos: amount(BigInt(n)), signature: crypto.random(64) },
});

suite("vouchers on their way to the till's thread", () => {
	test("come out as they went in, with their tabs", () => {
		for (const count of [0, 1, 3]) {
			const all = Array.from({ length: count }, (_, i) => paid(i + 1));
			const packed = packVouchers(all);
			assert.equal(packed.length, count * 104);
			assert.deepEqual(
				unpackVouchers(packed),
				all.map(({ tab, voucher }) => ({ tab, bytes: writeVoucher(voucher) })),
			);
		}
	});

	test("a tab that is none is a bug, and never another tab's voucher", () => {
		for (const tab of ["", "00", "zz".repeat(16), "00".repeat(17)])
			assert.throws(() => packVouchers([{ ...paid(1), tab }]), /a tab is sixteen bytes/);
	});
});
