/**
 * What whoever stole an online key of the market can take of a relay, and that it ends: tabs that nobody granted are bounded together until the market
 * was asked, and an ended key brings nothing new.
 */

import assert from "node:assert/strict";
import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { suite, test } from "node:test";
import { FRAME } from "#contracts/frame";
import type { Grant } from "#contracts/grant";
import { isProblem } from "#contracts/problem";
import { startRelay } from "#relay/relay";
import { FakeMarket, type GrantWish } from "#test/support/fakemarket";
import { keys, RawClient, until } from "#test/support/rawclient";
import { relayConfig, relayDeps, startTestRelay, type TestRelay } from "#test/support/relay";

const DAY_MS = 86_400_000;

/** 10 MB at the tests' price: what tabs may use that nobody confirmed. */
const BOUND = { unconfirmedNanos: 5_000_000n, redeemEveryMs: 86_400_000 };
const BOUND_BYTES = 10_000_000;

/** Somebody who comes with a grant that the key signed and the market knows nothing of. */
async function thief(
	relay: TestRelay,
	wish: GrantWish = {},
	by = relay.market.online,
): Promise<RawClient & { grant: Grant }> {
	const client = await relay.connect();
	const session = keys();
	const grant = relay.market.forge(relay.publicKey, session.publicKey, { ...wish, by });
	client.put(client.helloFrame({ grant, session }));
	return Object.assign(client, { grant });
}

/** Raises the voucher until the relay takes no more; how many bytes it took. */
async function takeAll(client: RawClient, stepBytes: number, most = 100): Promise<number> {
	for (let n = 1; n <= most; n++) {
		const before = client.credits.length + client.problems.length;
		client.put(client.payFrame(n * stepBytes, 0));
		await until("an answer", () => client.credits.length + client.problems.length > before);
		if (client.problems.length > 0) return (n - 1) * stepBytes;
	}
	return most * stepBytes;
}

async function welcomed(client: RawClient): Promise<boolean> {
	await until("a welcome or a refusal", () => client.of(FRAME.welcome).length > 0 || client.problems.length > 0);
	return client.of(FRAME.welcome).length > 0;
}

suite("a stolen key of the market, at a relay", () => {
	test("takes at most the bound while the market is away, on however many tabs, and what was there before goes on", async (t) => {
		const relay = await startTestRelay(t, BOUND);
		const { market } = relay;
		const alice = await relay.sender();
		assert.equal(await takeAll(alice, 3_000_000, 2), 6_000_000);
		await until("the market's word on her", () => market.questions.length > 0);
		assert.equal(await takeAll(alice, 4_000_000, 2), 8_000_000);
		market.mood = "away";
		let taken = 0;
		for (let n = 0; n < 4; n++) {
			const mallory = await thief(relay);
			await mallory.welcome();
			taken += await takeAll(mallory, 3_000_000);
			assert.equal(mallory.problems.at(-1)?.problem, "unavailable");
			assert.equal(mallory.problems.at(-1)?.spent, "no");
		}
		assert.ok(taken <= BOUND_BYTES && taken >= BOUND_BYTES - 4_000_000, `${taken}`);
		assert.equal(await takeAll(alice, 40_000_000, 2), 80_000_000);
	});

	test("ends at the market's first word: from then on each new tab is confirmed before it is let in, and honest ones come in", async (t) => {
		const relay = await startTestRelay(t, BOUND);
		const { market } = relay;
		market.mood = "knows-own";
		const alice = await relay.sender();
		const mallory = await thief(relay);
		await mallory.welcome();
		// past half of the bound the market is asked, and denies what it did not sign
		const taken = await takeAll(mallory, 1_000_000);
		assert.ok(taken < BOUND_BYTES, `${taken}`);
		assert.equal(mallory.problems.at(-1)?.problem, "grant-unknown-market");
		for (let n = 0; n < 3; n++) assert.equal(await welcomed(await thief(relay)), false);
		const late = await thief(relay);
		await welcomed(late);
		assert.equal(late.problems[0]?.problem, "grant-unknown-market");
		assert.equal(late.problems[0]?.retry, true, "the market is asked");
		// alice came before the theft was known: her voucher waits for the market's word, once
		const asked = market.questions.length;
		alice.put(alice.payFrame(20_000_000, 0));
		await until("credit", () => alice.credits.length > 0);
		alice.put(alice.payFrame(40_000_000, 0));
		await until("credit", () => alice.credits.length > 1);
		assert.equal(market.questions.length, asked + 1);
		// who opens a tab now comes again after two seconds
		const session = keys();
		const grant = market.grant(relay.publicKey, session.publicKey);
		const first = await relay.connect();
		first.put(first.helloFrame({ grant, session }));
		assert.equal((await first.problem("grant-unknown-market")).retry, true);
		await until("the answer", () => market.questions.length > asked + 1);
		const again = await relay.connect();
		again.put(again.helloFrame({ grant, session }));
		await again.welcome();
	});

	test("ends also by redeeming: the market that does not know a claim's tab is believed", async (t) => {
		const relay = await startTestRelay(t, { ...BOUND, redeemEveryMs: 86_400_000 });
		relay.market.mood = "knows-own";
		const mallory = await thief(relay);
		await mallory.welcome();
		mallory.put(mallory.payFrame(4_096, 60));
		await until("credit", () => mallory.credits.length > 0);
		const owner = keys();
		await (await relay.listener(owner)).end();
		await until("nobody to listen", () => relay.counts.listening === 0);
		mallory.put(mallory.openFrame(1, owner.publicKey, 60), mallory.sendFrame(1, 0, new Uint8Array(1_024)));
		await until("something to claim", () => relay.unredeemedNanos() > 0n);
		assert.equal(await relay.redeem(), undefined);
		mallory.put(mallory.payFrame(8_192, 60));
		await mallory.problem("grant-unknown-market");
		assert.equal(await welcomed(await thief(relay)), false);
	});

	test("is not in the way of others: tabs that the market confirms or pays on are not counted, and it is asked before anybody waits", async (t) => {
		const relay = await startTestRelay(t, BOUND);
		for (let n = 0; n < 6; n++) {
			const alice = await relay.sender();
			assert.equal(await takeAll(alice, 2_000_000, 4), 8_000_000, `tab ${n}`);
		}
		assert.ok(relay.market.questions.length > 0);
		assert.ok(relay.market.questions.length < 15, `${relay.market.questions.length} questions`);
	});

	test("an ended key brings nothing: what it signs from then on never, what it signed before only if the market says so", async (t) => {
		const data = await mkdtemp(join(tmpdir(), "farelay-trust-"));
		t.after(() => rm(data, { recursive: true, force: true, maxRetries: 3 }));
		const market = await FakeMarket.start();
		t.after(() => market.stop());
		const stolen = market.online;
		const endMs = Date.now() - 1_000;
		market.endKey(endMs);
		const relay = await startTestRelay(t, { ...BOUND, data }, { market });
		const fresh = await thief(relay, { issuedAtMs: endMs }, stolen);
		await welcomed(fresh);
		assert.deepEqual([fresh.problems[0]?.problem, fresh.problems[0]?.retry], ["grant-unknown-market", false]);
		const dated = await thief(relay, { issuedAtMs: endMs - 1 }, stolen);
		await welcomed(dated);
		assert.deepEqual([dated.problems[0]?.problem, dated.problems[0]?.retry], ["grant-unknown-market", true]);
		await until("the market was asked", () => market.questions.length === 1);
		const again = await relay.connect();
		again.put(again.helloFrame({ grant: dated.grant, session: dated.session }));
		assert.equal((await again.problem("grant-unknown-market")).retry, false);
		// hers is from before, and the market's own
		const session = keys();
		const grant = market.forge(relay.publicKey, session.publicKey, { issuedAtMs: endMs - DAY_MS / 2, by: stolen });
		market.granted.add(Buffer.from(grant.bytes).toString("hex"));
		const hello = async () => {
			const client = await relay.connect();
			client.put(client.helloFrame({ grant, session }));
			return (await welcomed(client)) ? client : undefined;
		};
		assert.equal(await hello(), undefined);
		await until("the answer", () => market.questions.length === 2);
		assert.ok(await hello());
		// the next key's tabs need nobody's word
		await relay.sender();
		assert.equal(market.questions.length, 2);
	});

	test("an end is kept on disk and for good: also when whoever answers for the market says nothing of it any more", async (t) => {
		const data = await mkdtemp(join(tmpdir(), "farelay-trust-"));
		t.after(() => rm(data, { recursive: true, force: true, maxRetries: 3 }));
		const market = await FakeMarket.start();
		t.after(() => market.stop());
		const stolen = market.online;
		market.endKey();
		const { ended } = market;
		const first = await startRelay(relayConfig(market, { data }), relayDeps());
		assert.ok(!isProblem(first));
		await first.stop();
		market.ended = [];
		const relay = await startTestRelay(t, { data }, { market });
		assert.equal(await welcomed(await thief(relay, { issuedAtMs: Date.now() }, stolen)), false);
		const path = join(data, "market.json");
		const kept = JSON.parse(await readFile(path, "utf8"));
		assert.deepEqual(kept.ended, ended);
	});

	test("a start does not begin the count anew: what the till holds of unconfirmed tabs counts", async (t) => {
		const data = await mkdtemp(join(tmpdir(), "farelay-trust-"));
		t.after(() => rm(data, { recursive: true, force: true, maxRetries: 3 }));
		const market = await FakeMarket.start();
		t.after(() => market.stop());
		const config = relayConfig(market, { ...BOUND, data });
		let taken = 0;
		for (let start = 0; start < 3; start++) {
			market.mood = "pays";
			const relay = await startRelay(config, relayDeps());
			assert.ok(!isProblem(relay));
			market.mood = "away";
			const mallory = await RawClient.connect(relay.url, relay.publicKey);
			const session = keys();
			mallory.put(mallory.helloFrame({ grant: market.forge(relay.publicKey, session.publicKey), session }));
			await mallory.welcome();
			taken += await takeAll(mallory, 3_000_000);
			mallory.ws.terminate();
			await relay.stop();
		}
		assert.ok(taken <= BOUND_BYTES, `${taken}`);
	});
});
