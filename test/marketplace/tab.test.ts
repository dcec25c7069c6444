import assert from "node:assert/strict";
import { afterEach, beforeEach, describe, it } from "node:test";
import { amount } from "#contracts/amount";
import { verifyGrant } from "#contracts/grant";
import { sessionKey } from "#contracts/identity";
import { LIMIT } from "#contracts/limit";
import { readMarketInfo } from "#contracts/market";
import { bill, signClose, signOpen } from "#contracts/tab";
import { openSqliteBook } from "#marketplace/ledger/sqlite";
import { ledgerPath } from "#marketplace/stores";
import {
	carried,
	crypto,
	DAY_MS,
	FEES,
	fine,
	grantOf,
	movedBy,
	Person,
	refusedBy,
	startTestMarket,
	TARIFF,
	type TestMarket,
	TestRelay,
	toHex,
} from "#test/support/market";

const FUNDED = 10_000_000n;
const CAP = amount(1_000_000n);
const RESERVED = bill(CAP, FEES).total;

describe("a tab", () => {
	let market: TestMarket;
	let alice: Person;
	let relay: TestRelay;
	beforeEach(async () => {
		market = await startTestMarket();
		alice = new Person(market);
		relay = new TestRelay(market);
		await alice.fund(FUNDED);
		assert.equal((await relay.list()).status, 200);
	});
	afterEach(() => market.end());

	it("reserves the cap and both fees, is spent by a voucher, and returns the rest at once when both ends agree", async () => {
		const grant = await alice.open({ relay: relay.key.publicKey });
		assert.equal(await alice.balance(), FUNDED - RESERVED);
		const info = fine(readMarketInfo(crypto, await (await fetch(`${market.url}/.well-known/farelay.json`)).json()));
		assert.equal(verifyGrant(crypto, grant, info.keys), undefined);

		const used = carried(1_000_000, 86_400);
		const voucher = alice.voucher(grant, used);
		assert.equal(movedBy((await relay.redeem({ tab: grant.tab, voucher, used: carried(1_000_000) }))[0]), 500_000n);
		const earned = await relay.operator.client.operator.earnings.query();
		assert.deepEqual(earned, { earned: "500000", waiting: "0", leaving: "0", paidOut: "0", findings: [] });

		const closed = await alice.close(grant, { usage: relay.final(grant, used), voucher });
		const spent = bill(amount(501_000n), FEES).total;
		assert.equal(closed.state, "closed");
		assert.equal(closed.returned, String(RESERVED - spent));
		assert.equal(await alice.balance(), FUNDED - spent);
		assert.equal((await relay.operator.client.operator.earnings.query()).earned, "501000");
		assert.deepEqual(await alice.close(grant), closed, "closing again answers the same");
	});

	it("frees its money at the deadline and not before when the relay says nothing", async () => {
		const grant = await alice.open({ relay: relay.key.publicKey });
		assert.equal((await alice.close(grant)).state, "closing");
		await market.clock.advance(2 * DAY_MS - 60_001);
		assert.equal(await market.sweep(), 0);
		assert.equal(await alice.balance(), FUNDED - RESERVED);
		await market.clock.advance(60_001);
		await market.sweep();
		assert.equal(await alice.balance(), FUNDED);
		assert.equal(await market.sweep(), 0, "sweeping again does nothing");
	});

	it("that nobody closed and nobody used ends by itself", async () => {
		await alice.open({ relay: relay.key.publicKey });
		await market.clock.advance(2 * DAY_MS);
		await market.sweep();
		assert.equal(await alice.balance(), FUNDED);
	});

	it("unused is closed at once by the relay's word alone", async () => {
		const grant = await alice.open({ relay: relay.key.publicKey });
		const closed = await alice.close(grant, { usage: relay.final(grant, carried(0)) });
		assert.deepEqual([closed.state, closed.returned], ["closed", String(RESERVED)]);
		assert.equal(await alice.balance(), FUNDED);
	});

	it("is not closed by a word of the relay that is not final, not the relay's, or of another total", async () => {
		const grant = await alice.open({ relay: relay.key.publicKey });
		const used = carried(100_000);
		const voucher = alice.voucher(grant, used);
		const not = await refusedBy(alice.close(grant, { usage: relay.final(grant, used, false), voucher }));
		assert.equal(not.problem, "conflict");
		const forged = await refusedBy(alice.close(grant, { usage: new TestRelay(market).final(grant, used), voucher }));
		assert.equal(forged.problem, "signature-bad");
		const less = await refusedBy(alice.close(grant, { usage: relay.final(grant, carried(100_001)), voucher }));
		assert.equal(less.problem, "conflict");
		// a relay alone cannot take what the session key did not sign
		const unsigned = { ...voucher, signature: crypto.random(64) };
		const made = await refusedBy(alice.close(grant, { usage: relay.final(grant, used), voucher: unsigned }));
		assert.equal(made.problem, "signature-bad");
		const none = await refusedBy(alice.close(grant, { usage: relay.final(grant, used) }));
		assert.equal(none.problem, "conflict");
		assert.equal(await alice.balance(), FUNDED - RESERVED);
		assert.equal(movedBy((await relay.redeem({ tab: grant.tab, voucher, used }))[0]), 50_000n);
	});

	it("is not opened at a relay that takes nothing now, and reserves nothing for it", async () => {
		await market.clock.advance(1);
		await relay.list({ takes: false });
		assert.equal((await refusedBy(alice.open({ relay: relay.key.publicKey }))).problem, "relay-paused");
		assert.equal(await alice.balance(), FUNDED);
		await market.clock.advance(1);
		await relay.list();
		await alice.open({ relay: relay.key.publicKey });
	});

	it("threat 8: asked for again by the same order is the same grant and reserves nothing more", async () => {
		const order = alice.order({ relay: relay.key.publicKey, cap: CAP });
		const first = await alice.openOrder(order);
		await relay.list({ tariff: { ...TARIFF, sendPerMb: amount(1n) } });
		await market.clock.advance(30 * 60_000);
		const again = await alice.openOrder(order);
		assert.equal(again.grant, first.grant);
		const restarted = await market.restart();
		try {
			alice.where = restarted;
			assert.equal((await alice.openOrder(order)).grant, first.grant);
			assert.equal(await alice.balance(), FUNDED - RESERVED);
		} finally {
			await restarted.stop();
		}
	});

	it("threat 8: the same id for another order is refused", async () => {
		const order = alice.order({ relay: relay.key.publicKey });
		await alice.openOrder(order);
		for (const change of [
			{ cap: amount(2n) },
			{ lifeMs: 60_000 },
			{ session: crypto.random(32) },
			{ relay: new TestRelay(market).key.publicKey },
		]) {
			const refused = await refusedBy(alice.openOrder({ ...order, ...change }));
			assert.equal(refused.problem, "conflict");
		}
		const mallory = new Person(market);
		await mallory.fund(FUNDED);
		assert.equal((await refusedBy(mallory.openOrder(mallory.order({ ...order })))).problem, "conflict");
		assert.equal(await alice.balance(), FUNDED - RESERVED);
	});

	it("threat 5: 32 opens at once through two processes never reserve more than the balance", async () => {
		const book = fine(await openSqliteBook({ path: ledgerPath(market.folder) }));
		const second = await startTestMarket({}, { book, folder: market.folder, clock: market.clock });
		try {
			const there = new TestRelay(second);
			assert.equal((await there.list()).status, 200);
			assert.equal((await new Person(second).client.market.relays.query()).relays.length, 2, "the first one's as well");
			const fits = Number(FUNDED / RESERVED);
			const opens = Array.from({ length: 32 }, async (_, i) => {
				alice.where = i % 2 ? market : second;
				return alice.openOrder(alice.order({ relay: (i % 2 ? relay : there).key.publicKey, cap: CAP }));
			});
			const results = await Promise.allSettled(opens);
			assert.equal(results.filter(({ status }) => status === "fulfilled").length, fits);
			for (const result of results) {
				if (result.status === "rejected")
					assert.equal((await refusedBy(Promise.reject(result.reason))).problem, "balance-short");
			}
			assert.equal(await alice.balance(), FUNDED - RESERVED * BigInt(fits));
		} finally {
			await second.stop();
		}
	});

	it("threat 5: an order beyond the balance reserves nothing", async () => {
		const refused = await refusedBy(alice.open({ relay: relay.key.publicKey, cap: amount(FUNDED) }));
		assert.deepEqual([refused.problem, refused.status, refused.spent], ["balance-short", 402, "no"]);
		assert.equal(await alice.balance(), FUNDED);
	});

	it("threat 6: is opened only at what the relay lists and the market charges now", async () => {
		const asked = { relay: relay.key.publicKey };
		const cheap = { sendPerMb: amount(1n), storePerMbDay: amount(0n) };
		assert.equal((await refusedBy(alice.open({ ...asked, tariff: cheap }))).problem, "conflict");
		assert.equal((await refusedBy(alice.open({ ...asked, fees: { ...FEES, marketPpm: 0 } }))).problem, "conflict");
		assert.equal((await refusedBy(alice.open({ ...asked, fees: { ...FEES, solidarityPpm: 0 } }))).problem, "conflict");
		assert.equal((await refusedBy(alice.open({ relay: crypto.random(32) }))).problem, "not-found");

		// a price that was seen may be signed for until its listing ends, and not after
		await market.clock.advance(60_000);
		await relay.list({ tariff: { ...TARIFF, sendPerMb: amount(600_000n) } });
		await alice.open(asked);
		await market.clock.advance(14 * 60_000);
		assert.equal((await refusedBy(alice.open(asked))).problem, "conflict");
		await market.clock.advance(60_000);
		assert.equal((await refusedBy(alice.open(asked))).problem, "not-found", "a stale listing is none");
	});

	it("threat 9: nobody else closes it, with whatever they hold", async () => {
		const grant = await alice.open({ relay: relay.key.publicKey });
		const mallory = new Person(market);
		const tab = toHex(grant.tab);
		const signed = (person: Person) => toHex(signClose(crypto, market.market, grant.tab, person.account));
		const session = sessionKey(crypto, alice.seed, grant.tab);
		for (const [caller, signature, code] of [
			[mallory, signed(mallory), "unauthorized"],
			[mallory, signed(alice), "unauthorized"],
			[relay.operator, signed(relay.operator), "unauthorized"],
			[alice, signed(mallory), "signature-bad"],
			[alice, toHex(signClose(crypto, market.market, grant.tab, session)), "signature-bad"],
			[alice, toHex(signClose(crypto, market.market, crypto.random(16), alice.account)), "signature-bad"],
		] as const) {
			const refused = await refusedBy(caller.client.tab.close.mutate({ tab, signature }));
			assert.equal(refused.problem, code);
		}
		assert.equal((await alice.client.tab.list.query()).tabs[0]?.state, "open");
	});

	it("threat 9: is not opened for somebody who did not sign exactly this order", async () => {
		const order = alice.order({ relay: relay.key.publicKey });
		const mallory = new Person(market);
		await mallory.fund(FUNDED);
		const forged = await refusedBy(alice.openOrder(order, signOpen(crypto, order, mallory.account)));
		assert.equal(forged.problem, "signature-bad");
		const other = signOpen(crypto, { ...order, cap: amount(1n) }, alice.account);
		assert.equal((await refusedBy(alice.openOrder(order, other))).problem, "signature-bad");
		// mallory shows alice's signed order as her own call
		assert.equal(
			(await refusedBy(mallory.openOrder(order, signOpen(crypto, order, alice.account)))).problem,
			"signature-bad",
		);
		assert.equal(await alice.balance(), FUNDED);
	});

	it("lives seven days at most, has a cap that is something and not too much", async () => {
		for (const change of [
			{ lifeMs: LIMIT.grantMsMax + 1 },
			{ lifeMs: 0 },
			{ cap: amount(0n) },
			{ cap: amount(2n ** 62n) },
		])
			assert.equal((await refusedBy(alice.open({ relay: relay.key.publicKey, ...change }))).problem, "malformed");
		const grant = await alice.open({ relay: relay.key.publicKey, lifeMs: LIMIT.grantMsMax });
		assert.equal(grant.redeemByMs - grant.expiresAtMs, LIMIT.redeemGraceMs);
	});

	it("is refused to an account that is frozen, which keeps what it has", async () => {
		const grant = await alice.open({ relay: relay.key.publicKey });
		const again = await market.restart({ frozen: [alice.id] });
		try {
			alice.where = again;
			relay.where = again;
			await relay.list();
			assert.equal((await refusedBy(alice.open({ relay: relay.key.publicKey }))).problem, "unauthorized");
			const used = carried(1000);
			const [paid] = await relay.redeem({ tab: grant.tab, voucher: alice.voucher(grant, used), used });
			assert.equal(movedBy(paid), 500n, "what was granted is always paid");
		} finally {
			await again.stop();
		}
	});

	it("is one of at most 64 of an account, also after a restart, and an ended one makes room", async () => {
		const open = () => alice.open({ relay: relay.key.publicKey, cap: amount(100n) });
		const grants = await Promise.all(Array.from({ length: 64 }, open));
		assert.equal((await refusedBy(open())).problem, "too-many");
		const again = await market.restart();
		try {
			alice.where = again;
			relay.where = again;
			await relay.list();
			assert.equal((await refusedBy(open())).problem, "too-many");
			const [grant] = grants;
			assert(grant);
			await alice.close(grant, { usage: relay.final(grant, carried(0)) });
			await open();
		} finally {
			await again.stop();
		}
	});

	it("is listed for its account alone, page by page, with its grant", async () => {
		const grants = await Promise.all([1, 2, 3].map(() => alice.open({ relay: relay.key.publicKey, cap: amount(9n) })));
		const first = await alice.client.tab.list.query({ limit: 2 });
		assert(first.next);
		const second = await alice.client.tab.list.query({ limit: 2, after: first.next });
		const listed = [...first.tabs, ...second.tabs].map(({ grant }) => toHex(grantOf(grant).tab));
		assert.deepEqual(listed, grants.map(({ tab }) => toHex(tab)).sort());
		assert.equal(second.next, null);
		assert.deepEqual((await new Person(market).client.tab.list.query()).tabs, []);
	});

	it("leaves a line for each movement of money, in order, that adds up to the balance", async () => {
		const grant = await alice.open({ relay: relay.key.publicKey });
		const used = carried(100_000);
		const voucher = alice.voucher(grant, used);
		await alice.close(grant, { usage: relay.final(grant, used), voucher });
		const first = await alice.client.account.statement.query({ limit: 2 });
		const rest = await alice.client.account.statement.query({ after: first.next ?? 0 });
		const lines = [...first.lines, ...rest.lines];
		assert.deepEqual(
			lines.map(({ id }) => id.split(":")[0]),
			["play", "open", "return"],
		);
		assert.equal(
			lines.reduce((sum, { net }) => sum + BigInt(net), 0n),
			await alice.balance(),
		);
		const [earned] = (await relay.operator.client.account.statement.query()).lines;
		assert.deepEqual(
			[earned?.purse, earned?.gross, earned?.marketFee, earned?.solidarityFee, earned?.net],
			["earned", "52000", "1000", "1000", "50000"],
		);
	});
});
