import assert from "node:assert/strict";
import { suite, test } from "node:test";
import fc from "fast-check";
import type { RelayState } from "#relay/operator/state";
import { sharesOf } from "#relay/workers/capshares";

const used = (trafficBytes: number, diskBytes: number) =>
	({ traffic: { usedBytes: trafficBytes }, disk: { bytes: diskBytes } }) as RelayState;

suite("the caps of a relay of several workers", () => {
	test("are shared so that together they allow what is left, and a worker that used more is not closed for it", () => {
		const bytes = fc.integer({ min: 0, max: 20_000_000_000 });
		fc.assert(
			fc.property(fc.array(fc.tuple(bytes, bytes), { minLength: 1, maxLength: 8 }), (all) => {
				const caps = { paused: false, trafficGbMonth: 50, diskGb: 0, bandwidthMbit: 100 };
				const shares = sharesOf(
					caps,
					all.map(([traffic, disk]) => used(traffic, disk)),
				);
				const sum = all.reduce((so, [traffic]) => so + traffic / 1e9, 0);
				const allowed = shares.reduce((so, share) => so + share.trafficGbMonth, 0);
				assert(Math.abs(allowed - Math.max(50, sum)) < 1e-6, `${allowed} of 50 with ${sum} used`);
				for (const [worker, share] of shares.entries()) {
					assert(share.trafficGbMonth > 0, "a cap of 0 would be none");
					assert(share.trafficGbMonth + 1e-9 >= (all[worker]?.[0] ?? 0) / 1e9);
					assert.equal(share.diskGb, 0);
				}
				assert(Math.abs(shares.reduce((so, share) => so + share.bandwidthMbit, 0) - 100) < 1e-9);
			}),
		);
	});

	test("are divided evenly before anybody has said anything, and a pause is everybody's", () => {
		const shares = sharesOf({ paused: true, trafficGbMonth: 10, diskGb: 4, bandwidthMbit: 0 }, [undefined, undefined]);
		assert.deepEqual(shares, [
			{ paused: true, trafficGbMonth: 5, diskGb: 2, bandwidthMbit: 0 },
			{ paused: true, trafficGbMonth: 5, diskGb: 2, bandwidthMbit: 0 },
		]);
	});
});
