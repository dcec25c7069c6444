import assert from "node:assert/strict";
import { suite, test } from "node:test";
import { amount } from "#contracts/amount";
import { signGrant } from "#contracts/grant";
import { isProblem } from "#contracts/problem";
import { signVoucher, type Voucher } from "#contracts/voucher";
import { crypto } from "#host/crypto";
import { RELAY_LIMITS } from "#relay/limit";
import { Tabs } from "#relay/tab/tabs";
import { openMemoryTill } from "#relay/till/memory";
import type { Till } from "#relay/till/till";
import { keys } from "#test/support/rawclient";

const DAY_MS = 86_400_000;
const [market, relay, session] = [keys(), keys(), keys()];

const grant = signGrant(
	crypto,
	{
		market: market.publicKey,
		tab: crypto.random(16),
		session: session.publicKey,
		relay: relay.publicKey,
		cap: amount(1_000_000n),
		tariff: { sendPerMb: amount(1_000_000n), storePerMbDay: amount(0n) },
		issuedAtMs: 0,
		expiresAtMs: 7 * DAY_MS,
		redeemByMs: 8 * DAY_MS,
	},
	market,
);

function voucherFor(bytes: bigint): Voucher {
	const voucher = signVoucher(crypto, grant, { bytes, byteSeconds: 0n }, session.secretKey);
	assert(!isProblem(voucher));
	return voucher;
}

function joined(tabs: Tabs) {
	const tab = tabs.join(grant);
	assert(!isProblem(tab));
	return tab;
}

/** Believes everybody. */
const trust = { credit: () => undefined, count: () => {}, forget: () => {} };

suite("the tabs of a relay", () => {
	test("threat 14: what is owed is asked for past its deadline too, which the market moves by its own absence", async () => {
		const tabs = new Tabs({ crypto, till: openMemoryTill(), relay, trust }, RELAY_LIMITS);
		const tab = joined(tabs);
		await tab.offer(voucherFor(1_000n));
		tab.charge(700, 0);
		tab.settle(700, 0);
		tabs.leave(tab);
		await tabs.forget(9 * DAY_MS);
		assert.equal(tabs.get(tab.id)?.claim()?.used.bytes, 700n);
		await tabs.forget(8 * DAY_MS + 60 * DAY_MS);
		assert.equal(tabs.count, 0, "but not for ever");
	});

	test("a tab that is paid up is forgotten once its grant cannot open it again", async () => {
		const tabs = new Tabs({ crypto, till: openMemoryTill(), relay, trust }, RELAY_LIMITS);
		const tab = joined(tabs);
		await tab.offer(voucherFor(1_000n));
		tabs.leave(tab);
		await tabs.forget(7 * DAY_MS - 1);
		assert.equal(tabs.count, 1);
		await tabs.forget(7 * DAY_MS);
		assert.equal(tabs.count, 0);
	});

	test("threat 7: a connection that ends while its first voucher goes to the till leaves the tab, and nothing is claimed of it", async () => {
		const disk = Promise.withResolvers<void>();
		const memory = openMemoryTill();
		const till: Till = { ...memory, put: (row) => disk.promise.then(() => memory.put(row)) };
		const tabs = new Tabs({ crypto, till, relay, trust }, RELAY_LIMITS);
		const tab = joined(tabs);
		const credit = tab.offer(voucherFor(1_000n));
		tabs.leave(tab);
		disk.resolve();
		assert.deepEqual(await credit, { advanced: true });
		await tabs.stop();
		const next = new Tabs({ crypto, till: memory, relay, trust }, RELAY_LIMITS).get(tab.id);
		assert.equal(next?.voucher?.bytes, 1_000n);
		assert.equal(next?.claim(), undefined, "paid ahead is not carried");
	});
});
