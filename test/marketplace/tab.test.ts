import assert from "node:assert/strict";
import { afterEach, beforeEach, describe, it } from "node:test";
import { amount } from "#contracts/amount";
import { verifyGrant } from "#contracts/grant";
import { readMarketInfo } from "#contracts/market";
import { bill } from "#contracts/tab";
import {
	carried,
	crypto,
	DAY_MS,
	FEES,
	fine,
	movedBy,
	Person,
	startTestMarket,
	type TestMarket,
	TestRelay,
} from "#test/support/market";

describe("a tab", () => {
	let market: TestMarket;
	let alice: Person;
	let relay: TestRelay;
	beforeEach(async () => {
		market = await startTestMarket();
		alice = new Person(market);
		relay = new TestRelay(market);
		await alice.fund(10_000_000n);
		assert.equal((await relay.list()).status, 200);
	});
	afterEach(() => market.end());

	it("reserves the cap and both fees, is spent by a voucher, and returns the rest at once when both ends agree", async () => {
		const grant = await alice.open({ relay: relay.key.publicKey });
		assert.equal(await alice.balance(), 10_000_000n - 1_040_000n);
		const info = fine(readMarketInfo(crypto, await (await fetch(`${market.url}/.well-known/farelay.json`)).json()));
		assert.equal(verifyGrant(crypto, grant, info.keys), undefined);

		const voucher = alice.voucher(grant, carried(1_000_000, 86_400));
		assert.equal(movedBy((await relay.redeem({ tab: grant.tab, voucher, used: carried(1_000_000) }))[0]), 500_000n);
		assert.deepEqual(await relay.operator.client.operator.earnings.query(), {
			earned: "500000",
			waiting: "0",
			paidOut: "0",
		});

		const used = carried(1_000_000, 86_400);
		const closed = await alice.close(grant, { usage: relay.final(grant, used), voucher });
		const spent = bill(amount(501_000n), FEES).total;
		assert.equal(closed.state, "closed");
		assert.equal(closed.returned, String(1_040_000n - spent));
		assert.equal(await alice.balance(), 10_000_000n - spent);
		assert.equal(BigInt((await relay.operator.client.operator.earnings.query()).earned), 501_000n);
	});

	it("frees its money at the deadline when the relay says nothing", async () => {
		const grant = await alice.open({ relay: relay.key.publicKey });
		assert.equal((await alice.close(grant)).state, "closing");
		assert.equal(await alice.balance(), 10_000_000n - 1_040_000n);
		await market.clock.advance(2 * DAY_MS - 60_001);
		assert.equal(await market.sweep(), 0);
		await market.clock.advance(60_001);
		await market.sweep();
		assert.equal(await alice.balance(), 10_000_000n);
	});
});
