/** What every till must do. Run by each engine's test; see `services/relay/till/till.ts`. */

import assert from "node:assert/strict";
import { afterEach, beforeEach, describe, it } from "node:test";
import { amount } from "#contracts/amount";
import { NO_TOTALS, type Totals, type Voucher } from "#contracts/voucher";
import type { Till, TillRow } from "#relay/till/till";

/** A tab's id from a small number. */
export const tab = (n: number): string => n.toString(16).padStart(32, "0");

/** Totals of small numbers. */
export const totals = (bytes: number | bigint, byteSeconds: number | bigint, nanos: number): Totals => ({
	bytes: BigInt(bytes),
	byteSeconds: BigInt(byteSeconds),
	nanos: amount(BigInt(nanos)),
});

/** A voucher whose signature tells it from others. */
export const voucher = (bytes: number | bigint, byteSeconds: number | bigint, nanos: number): Voucher => ({
	...totals(bytes, byteSeconds, nanos),
	signature: new Uint8Array(64).fill(nanos & 255),
});

/** A tab that has said hello. */
export function row(n: number, more: Partial<TillRow> = {}): TillRow {
	return {
		tab: tab(n),
		grant: new Uint8Array(237).fill(n),
		voucher: undefined,
		used: undefined,
		redeemed: NO_TOTALS,
		receipt: undefined,
		expiresAtMs: 1_000_000 + n,
		redeemByMs: 2_000_000 + n,
		final: false,
		...more,
	};
}

/** The suite. `open` gives a fresh, empty till, which the suite closes. */
export function tillAcceptance(name: string, open: () => Promise<Till>): void {
	describe(`the till on ${name}`, () => {
		let till: Till;
		beforeEach(async () => {
			till = await open();
		});
		afterEach(() => till.close());
		const at = (n: number): TillRow => till.rows.get(tab(n)) ?? assert.fail(`no row ${n}`);

		it("keeps every field of a row as it was put, the largest numbers too", async () => {
			assert.equal(till.rows.size, 0);
			const whole = row(1, {
				voucher: voucher(2n ** 64n - 1n, 2n ** 63n, 77),
				used: { bytes: 2n ** 64n - 1n, byteSeconds: 5n },
				redeemed: totals(3, 2n ** 64n - 1n, 70),
				receipt: new Uint8Array(232).fill(3),
				final: true,
			});
			assert.equal(await till.put(whole), "kept");
			assert.equal(await till.put(row(2)), "kept");
			assert.deepEqual(at(1), whole);
			assert.deepEqual(at(2), row(2));
		});

		it("takes a voucher that advances", async () => {
			await till.put(row(1, { voucher: voucher(10, 10, 1) }));
			await till.put(row(1, { voucher: voucher(10, 20, 2) }));
			assert.deepEqual(at(1).voucher, voucher(10, 20, 2));
		});

		it("takes newer vouchers of a row that is otherwise as the till has it, one after the other", async () => {
			await till.put(row(1, { voucher: voucher(10, 10, 1) }));
			for (const n of [2, 3]) {
				assert.equal(await till.put({ ...at(1), voucher: voucher(10 * n, 10, n) }), "kept");
				assert.deepEqual(at(1), row(1, { voucher: voucher(10 * n, 10, n) }));
			}
		});

		it("threat 4: never lowers a voucher in any of its totals, nor loses it, whatever is put", async () => {
			const high = voucher(100, 100, 10);
			await till.put(row(1, { voucher: high }));
			for (const lower of [
				voucher(99, 100, 9),
				voucher(100, 99, 9),
				voucher(200, 50, 12),
				voucher(100, 100, 77),
				undefined,
			]) {
				assert.equal(await till.put(row(1, { voucher: lower })), "kept");
				assert.deepEqual(at(1).voucher, high);
			}
		});

		it("keeps the highest of many vouchers put in one turn, in whatever order", async () => {
			const numbers = [3, 1, 9, 2, 8, 7, 4];
			await Promise.all(numbers.map((n) => till.put(row(1, { voucher: voucher(n, n, n) }))));
			assert.deepEqual(at(1).voucher, voucher(9, 9, 9));
		});

		it("keeps what a newer row says was redeemed, though it has no receipt of it and was only paid before", async () => {
			await till.put(row(1, { voucher: voucher(1, 1, 1) }));
			assert.equal(await till.put(row(1, { voucher: voucher(9, 9, 9), redeemed: totals(5, 5, 5) })), "kept");
			assert.deepEqual([at(1).redeemed, at(1).voucher], [totals(5, 5, 5), voucher(9, 9, 9)]);
		});

		it("notes what the market confirmed with its newest receipt, and never lowers it", async () => {
			await till.put(row(1, { voucher: voucher(10, 10, 10) }));
			const receipt = (n: number) => new Uint8Array(232).fill(n);
			assert.equal(await till.redeemed(tab(1), totals(5, 5, 5), receipt(5)), "kept");
			for (const lower of [totals(4, 5, 5), totals(5, 4, 5), totals(5, 5, 4)]) {
				assert.equal(await till.redeemed(tab(1), lower, receipt(4)), "kept");
				assert.deepEqual(at(1).redeemed, totals(5, 5, 5));
				assert.deepEqual(at(1).receipt, receipt(5));
			}
			assert.equal(await till.redeemed(tab(1), totals(5, 5, 5), receipt(55)), "kept");
			assert.deepEqual(at(1).receipt, receipt(55), "the same again brings the newest receipt");
			assert.equal(await till.redeemed(tab(1), totals(6, 5, 6), receipt(6)), "kept");
			assert.deepEqual(
				[at(1).redeemed, at(1).receipt, at(1).voucher],
				[totals(6, 5, 6), receipt(6), voucher(10, 10, 10)],
			);
		});

		it("does not take back a confirmation or a final statement with a row that is older", async () => {
			const old = row(1, { voucher: voucher(10, 10, 10) });
			await till.put(old);
			await till.redeemed(tab(1), totals(5, 5, 5), new Uint8Array(232).fill(5));
			await till.put({ ...at(1), final: true });
			await till.put(old);
			assert.deepEqual(at(1), { ...old, redeemed: totals(5, 5, 5), receipt: new Uint8Array(232).fill(5), final: true });
		});

		it("takes a confirmation of a tab that it does not know as nothing to do", async () => {
			assert.equal(await till.redeemed(tab(9), totals(1, 1, 1), new Uint8Array(232)), "kept");
			assert.equal(till.rows.size, 0);
		});

		it("replaces what was used by what is put, and forgets it when nothing is", async () => {
			await till.put(row(1, { used: { bytes: 9n, byteSeconds: 9n } }));
			await till.put(row(1, { used: { bytes: 5n, byteSeconds: 9n } }));
			assert.deepEqual(at(1).used, { bytes: 5n, byteSeconds: 9n });
			await till.put(row(1));
			assert.equal(at(1).used, undefined);
		});

		it("threat 7: does not write an old count of what was used again together with a newer voucher", async () => {
			const used = { bytes: 1n, byteSeconds: 1n };
			await till.put(row(1, { voucher: voucher(5, 5, 5) }));
			await till.put(row(1, { voucher: voucher(5, 5, 5), used }));
			assert.deepEqual(at(1).used, used);
			await till.put({ ...at(1), voucher: voucher(9, 9, 9) });
			assert.equal(at(1).used, undefined);
		});

		it("forgets the tabs that it is told to, and no others", async () => {
			await Promise.all([1, 2, 3].map((n) => till.put(row(n))));
			await till.drop([tab(1), tab(3), tab(9)]);
			assert.deepEqual([...till.rows.keys()], [tab(2)]);
		});
	});
}
