import assert from "node:assert/strict";
import { suite, test } from "node:test";
import { Meter } from "#relay/tab/meter";
import { fingerprint, Tag } from "#relay/tag/dedupe";
import { payload } from "#test/support/rawclient";

const NOTHING = { bytes: 0n, byteSeconds: 0n };

suite("the meter", () => {
	test("covers exactly what was paid, in both components", () => {
		const meter = new Meter({ bytes: 10n, byteSeconds: 100n }, NOTHING);
		assert.equal(meter.charge(11, 1), false);
		assert.equal(meter.charge(10, 11), false);
		assert.equal(meter.charge(10, 10), true);
		assert.equal(meter.charge(1, 0), false);
		assert.deepEqual(meter.used, { bytes: 10n, byteSeconds: 100n });
		assert.deepEqual(meter.settled, NOTHING);
	});

	test("gives back what was refunded, and settles what was answered", () => {
		const meter = new Meter({ bytes: 10n, byteSeconds: 30n }, NOTHING);
		meter.charge(10, 3);
		meter.refund(4, 3);
		meter.settle(6, 3);
		const six = { bytes: 6n, byteSeconds: 18n };
		assert.deepEqual([meter.used, meter.settled], [six, six]);
		assert.equal(meter.charge(5, 0), false);
		assert.equal(meter.charge(1, 13), false);
		assert.equal(meter.charge(4, 3), true);
	});

	test("goes on from where it stood when more is paid, and forgets nothing of what was answered", () => {
		const meter = new Meter({ bytes: 10n, byteSeconds: 10n }, { bytes: 4n, byteSeconds: 4n });
		assert.equal(meter.charge(6, 1), true);
		meter.settle(5, 1);
		assert.equal(meter.charge(1, 0), false);
		meter.credit({ bytes: 12n, byteSeconds: 11n });
		assert.deepEqual(meter.paid, { bytes: 12n, byteSeconds: 11n });
		meter.credit({ bytes: 12n, byteSeconds: 11n });
		assert.deepEqual(meter.used, { bytes: 10n, byteSeconds: 10n });
		assert.deepEqual(meter.settled, { bytes: 9n, byteSeconds: 9n });
		assert.equal(meter.charge(2, 1), false);
		assert.equal(meter.charge(3, 0), false);
		assert.equal(meter.charge(2, 0), true);
	});

	test("says whether other totals would cover a copy, to the byte and the byte-second", () => {
		const meter = new Meter({ bytes: 5n, byteSeconds: 5n }, { bytes: 5n, byteSeconds: 5n });
		assert.equal(meter.wouldCover({ bytes: 7n, byteSeconds: 11n }, 2, 3), true);
		assert.equal(meter.wouldCover({ bytes: 6n, byteSeconds: 11n }, 2, 3), false);
		assert.equal(meter.wouldCover({ bytes: 7n, byteSeconds: 10n }, 2, 3), false);
	});

	test("counts past what a number can hold", () => {
		const huge = 2n ** 63n;
		const meter = new Meter({ bytes: huge, byteSeconds: huge }, { bytes: huge - 5n, byteSeconds: huge - 10n });
		assert.equal(meter.charge(5, 3), false);
		assert.equal(meter.charge(5, 2), true);
		assert.deepEqual(meter.used, { bytes: huge, byteSeconds: huge });
		const wide = new Meter({ bytes: huge, byteSeconds: huge }, NOTHING);
		for (let i = 0; i < 60_000; i++) {
			wide.charge(61_440, 2_592_000);
			wide.settle(61_440, 2_592_000);
		}
		const bytes = 61_440n * 60_000n;
		const all = { bytes, byteSeconds: bytes * 2_592_000n };
		assert.ok(all.byteSeconds > 2n ** 53n);
		assert.deepEqual([wide.used, wide.settled], [all, all]);
	});
});

suite("the dedupe record", () => {
	const empty = { ranges: [], prints: new Map<number, number>() };

	test("tells new, pending and settled apart, and other bytes under the same number", () => {
		const tag = new Tag("t", empty);
		assert.equal(tag.check(5, 1), "new");
		tag.accept(5, 1);
		assert.equal(tag.check(5, 1), "pending");
		assert.equal(tag.check(5, 2), "seq-reused");
		tag.settle(5);
		assert.equal(tag.check(5, 1), "settled");
		assert.equal(tag.check(4, 1), "new");
	});

	test("what was refunded may come again", () => {
		const tag = new Tag("t", empty);
		for (let seq = 0; seq < 10; seq++) tag.accept(seq, seq + 1);
		tag.undo(4);
		assert.equal(tag.check(4, 77), "new");
		assert.deepEqual(tag.accepted, [
			[0, 3],
			[5, 9],
		]);
		assert.equal(tag.pending, 9);
	});

	test("takes up a durable record, with its fingerprints", () => {
		const tag = new Tag("t", { ranges: [[0, 9]], prints: new Map([[3, 33]]) });
		assert.equal(tag.check(3, 33), "settled");
		assert.equal(tag.check(3, 34), "seq-reused");
		assert.equal(tag.check(4, 1), "settled");
		assert.equal(tag.check(10, 1), "new");
	});

	test("fingerprints differ by length, either end and mailbox, and fit a number", () => {
		const base = payload(100, 1);
		const seen = new Set<number>();
		const add = (bytes: Uint8Array, salt = 7) => {
			const print = fingerprint(new DataView(bytes.buffer, bytes.byteOffset, bytes.length), 0, bytes.length, salt);
			assert.ok(Number.isSafeInteger(print) && print > 0);
			seen.add(print);
		};
		add(base);
		add(base, 8);
		add(base.subarray(0, 99));
		for (const at of [0, 3, 4, 7, 92, 96, 99]) {
			const other = base.slice();
			other[at] = (other[at] as number) ^ 1;
			add(other);
		}
		for (let length = 1; length < 8; length++) add(base.subarray(0, length));
		assert.equal(seen.size, 17);
	});
});
