import assert from "node:assert/strict";
import { suite, test } from "node:test";
import { openMemoryMailStore } from "#relay/mailbox/memory";
import type { MailStore } from "#relay/mailbox/store";
import { heldClock } from "#test/support/clock";
import { until } from "#test/support/rawclient";
import { startTestRelay } from "#test/support/relay";

suite("what a relay drops when its time is over", () => {
	test("goes in slices of its bound, one after the other, in one round until nothing is left", async (t) => {
		const store = openMemoryMailStore();
		let left = 5_000;
		let under = 0;
		const slices: number[] = [];
		const watched: MailStore = {
			...store,
			state: (mailbox) => store.state(mailbox),
			expire: async (_nowMs, countMax) => {
				assert.equal(under, 0, "a slice was asked for while another was under way");
				under++;
				await new Promise((resolve) => setImmediate(resolve));
				under--;
				// large mail comes in smaller slices than were asked for, and that is not the end
				const dropped = Math.min(left, slices.length % 2 === 0 ? countMax : Math.ceil(countMax / 3));
				left -= dropped;
				slices.push(dropped);
				return dropped;
			},
		};
		const clock = heldClock(Date.now());
		const relay = await startTestRelay(t, {}, { store: watched, clock });
		await clock.advance(5_000);
		await until("all to be dropped", () => left === 0);
		await until("the last slice", () => slices.includes(0));
		assert(Math.max(...slices) <= 256, "a slice that holds the writer for longer than others may wait");
		assert.equal(relay.counts.drops.expired, 5_000);
	});
});
