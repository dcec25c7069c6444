import assert from "node:assert/strict";
import { cp, mkdtemp, readFile, rm, stat, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { suite, type TestContext, test } from "node:test";
import { amount } from "#contracts/amount";
import { fromHex, toHex } from "#contracts/bytes";
import { readListing } from "#contracts/listing";
import { isProblem } from "#contracts/problem";
import { crypto } from "#host/crypto";
import { startRelay } from "#relay/relay";
import { FakeMarket } from "#test/support/fakemarket";
import { keys, payload, RawClient, until } from "#test/support/rawclient";
import { relayConfig, relayDeps, startTestRelay, type TestRelay } from "#test/support/relay";

const TTL_S = 3_600;

/** Alice pays for 5,000 bytes ahead and uses 700 of them. */
async function spend(relay: TestRelay) {
	const mailbox = keys();
	const owner = await relay.listener(mailbox);
	await owner.end();
	await until("nobody to listen", () => relay.counts.listening === 0);
	const alice = await relay.sender();
	alice.put(
		alice.payFrame(5_000, TTL_S),
		alice.openFrame(1, mailbox.publicKey, TTL_S),
		alice.sendFrame(1, 0, payload(700)),
	);
	await alice.keptAll(1);
	return Object.assign(alice, { mailbox });
}

async function folder(t: TestContext): Promise<string> {
	const data = await mkdtemp(join(tmpdir(), "farelay-relay-"));
	t.after(() => rm(data, { recursive: true, force: true, maxRetries: 3 }));
	return data;
}

async function market(t: TestContext): Promise<FakeMarket> {
	const started = await FakeMarket.start();
	t.after(() => started.stop());
	return started;
}

suite("PROTOCOL: Redemption", () => {
	test("threat 6: a relay claims what it answered for, not what was paid ahead, and the difference only once", async (t) => {
		const relay = await startTestRelay(t);
		const alice = await spend(relay);
		assert.equal(await relay.redeem(), undefined);
		const tab = toHex(alice.grant.tab);
		assert.equal(relay.market.paid.get(tab)?.bytes, 700n);
		assert.equal(relay.unredeemedNanos(), 0n);
		assert.equal(await relay.redeem(), undefined);
		assert.equal(relay.market.batches.length, 1, "nothing new, nothing posted");
		alice.put(alice.sendFrame(1, 1, payload(300)));
		await alice.keptAll(2);
		await relay.redeem();
		assert.deepEqual(
			relay.market.batches.map((batch) => batch.map(({ used }) => used.bytes)),
			[[700n], [1_000n]],
		);
	});

	test("threat 14: the market is away: forwarding goes on, and the relay is paid once it is back", async (t) => {
		const relay = await startTestRelay(t, { redeemEveryMs: 100 });
		relay.market.mood = "away";
		const alice = await spend(relay);
		assert.equal((await relay.redeem())?.problem, "redemption-unconfirmed");
		assert.ok(relay.unredeemedNanos() > 0n);
		alice.put(alice.sendFrame(1, 1, payload(300)));
		await alice.keptAll(2);
		relay.market.mood = "pays";
		await until(
			"the relay to be paid by itself",
			() => relay.market.paid.get(toHex(alice.grant.tab))?.bytes === 1_000n,
		);
		await until("the till to know", () => relay.unredeemedNanos() === 0n);
	});

	test("a receipt that the market did not sign, or for less than was claimed, does not count as paid", async (t) => {
		const relay = await startTestRelay(t);
		await spend(relay);
		for (const mood of ["forges", "shortens"] as const) {
			relay.market.mood = mood;
			assert.equal((await relay.redeem())?.problem, "redemption-unconfirmed");
			assert.ok(relay.unredeemedNanos() > 0n);
		}
		relay.market.mood = "pays";
		assert.equal(await relay.redeem(), undefined);
		assert.equal(relay.unredeemedNanos(), 0n);
	});

	test("a claim that the market refuses does not spoil the others, and is not asked for again and again", async (t) => {
		const relay = await startTestRelay(t);
		await spend(relay);
		relay.market.mood = "refuses";
		assert.equal(await relay.redeem(), undefined);
		relay.market.mood = "pays";
		await spend(relay);
		await relay.redeem();
		assert.deepEqual(
			relay.market.batches.map(({ length }) => length),
			[1, 1],
		);
	});

	test("the listing is signed, says what is offered, and is said at the start", async (t) => {
		const relay = await startTestRelay(t, {
			country: "KE",
			tariff: { sendPerMb: amount(7n), storePerMbDay: amount(3n) },
		});
		const listing = readListing(crypto, fromHex(relay.market.listings[0]) ?? new Uint8Array(0));
		assert(!isProblem(listing));
		assert.deepEqual(
			[listing.url, listing.country, listing.tariff.sendPerMb, toHex(listing.relay)],
			[relay.url, "KE", 7n, toHex(relay.publicKey)],
		);
	});
});

suite("PROTOCOL: Ending", () => {
	test("a relay that stops says goodbye, asks each to come back at another time, and starts where it was", async (t) => {
		const [data, fake] = [await folder(t), await market(t)];
		const first = await startTestRelay(t, { data }, { market: fake });
		const key = toHex(first.publicKey);
		const alice = await spend(first);
		const mailbox = keys();
		const bob = await first.listener(mailbox);
		alice.put(alice.openFrame(2, mailbox.publicKey, TTL_S), alice.sendFrame(2, 1, payload(50)));
		await until("a live delivery", () => bob.deliveries[0]);
		alice.put(alice.sendFrame(2, 2, payload(60)));
		await until("another", () => bob.deliveries[1]);
		bob.ack([2, 2]);
		await until("its answer", () => alice.kept.has(2) || undefined);
		fake.mood = "away";
		await first.stop();
		const byes = [await alice.problem("draining"), await bob.problem("draining")];
		assert.ok(byes.every(({ retryAfterMs = 0 }) => retryAfterMs > 0));
		assert.notEqual(byes[0]?.retryAfterMs, byes[1]?.retryAfterMs);
		await alice.gone();
		fake.mood = "pays";
		const second = await startTestRelay(t, { data }, { market: fake });
		assert.equal(toHex(second.publicKey), key);
		await until("what was owed to be paid", () => fake.paid.get(toHex(alice.grant.tab))?.bytes === 810n);
		const again = await second.connect();
		again.tag = alice.tag;
		again.put(
			again.helloFrame({ grant: alice.grant, session: alice.session }),
			again.openFrame(1, alice.mailbox.publicKey, TTL_S),
			again.sendFrame(1, 0, payload(700)),
		);
		const welcome = await again.welcome();
		assert.deepEqual([welcome.tab?.used.bytes, welcome.tab?.voucher?.bytes], [810n, 5_000n]);
		again.put(again.openFrame(2, mailbox.publicKey, TTL_S), again.sendFrame(2, 2, payload(60)));
		await again.keptAll(2);
		const reader = await second.reader();
		reader.put(reader.listenFrame(1, mailbox));
		await until("the live mail that was spilled", () => reader.deliveries[0]);
		assert.deepEqual(reader.deliveries[0]?.payload, payload(50));
		again.askUsage();
		assert.equal(
			(await again.usage()).used.bytes,
			810n,
			"neither the retry of what was on disk nor of what was taken live was charged again",
		);
	});

	test("threat 7: after a crash everything that was paid counts as used, so nothing is given twice", async (t) => {
		const [data, fake] = [await folder(t), await market(t)];
		const first = await startTestRelay(t, { data }, { market: fake });
		const alice = await spend(first);
		// a relay that dies writes no count: its files as they are now are what the next one finds
		const crashed = await folder(t);
		await cp(data, crashed, { recursive: true, filter: (from) => !from.endsWith(".sock") });
		const second = await startTestRelay(t, { data: crashed }, { market: fake });
		const again = await second.connect();
		again.tag = alice.tag;
		again.put(
			again.helloFrame({ grant: alice.grant, session: alice.session }),
			again.openFrame(1, alice.mailbox.publicKey, TTL_S),
			again.sendFrame(1, 0, payload(700)),
			again.sendFrame(1, 1, payload(1)),
		);
		const welcome = await again.welcome();
		assert.deepEqual([welcome.tab?.used.bytes, welcome.tab?.voucher?.bytes], [5_000n, 5_000n]);
		await again.keptAll(1);
		await until("the new one to be refused", () => again.refused.get(1) === "unpaid" || undefined);
	});

	test("a relay starts and forwards without its market, with the keys that it knew", async (t) => {
		const [data, fake] = [await folder(t), await market(t)];
		const first = await startTestRelay(t, { data }, { market: fake });
		await first.stop();
		fake.mood = "away";
		const second = await startTestRelay(t, { data }, { market: fake });
		await spend(second);
		assert.equal((await stat(join(data, "relay.key"))).mode & 0o777, 0o600);
		assert.equal((await readFile(join(data, "relay.key"))).length, 32);
	});

	test("threat 1: a market that answers with another root key than the pinned one is not believed", async (t) => {
		const fake = await market(t);
		const relay = await startTestRelay(t, { marketKey: keys().publicKey }, { market: fake });
		const session = keys();
		const grant = fake.grant(relay.publicKey, session.publicKey);
		const alice = await relay.connect();
		alice.put(alice.helloFrame({ grant, session }));
		await alice.problem("grant-unknown-market");
		assert.equal(fake.listings.length, 1, "the listing names the pinned market, which that one will refuse");
	});

	test("a port in use, a wrong setting and a damaged file are problems, not crashes", async (t) => {
		const fake = await market(t);
		const relay = await startTestRelay(t, {}, { market: fake });
		const start = async (change: object) => {
			const answer = await startRelay(relayConfig(fake, change), relayDeps());
			return isProblem(answer) ? answer.problem : answer.stop().then(() => "started");
		};
		assert.equal(await start({ port: relay.port }), "port-in-use");
		assert.equal(await start({ country: "kenya" }), "usage");
		assert.equal(await start({ marketUrl: "ftp://x" }), "usage");
		assert.equal(await start({ publicUrl: "http://x" }), "usage");
		const data = await folder(t);
		await writeFile(join(data, "relay.key"), "short");
		assert.equal(await start({ data }), "data-corrupt");
		await rm(join(data, "relay.key"));
		await writeFile(join(data, "mail.db"), "this is no database, and is long enough to look like a file".repeat(99));
		assert.equal(await start({ data }), "data-corrupt");
	});

	test("while it stops, a relay takes nobody new", async (t) => {
		const relay = await startTestRelay(t);
		const bob = await relay.reader();
		const stopping = relay.stop();
		const late = new RawClient(`ws://127.0.0.1:${relay.port}`, relay.publicKey);
		await late.gone();
		await bob.problem("draining");
		await stopping;
		assert.equal(relay.health.now().state, "draining");
	});

	test("a market that comes back without its memory is claimed from again, once, and nothing is claimed again after a start", async (t) => {
		const data = await folder(t);
		const fake = await market(t);
		const config = relayConfig(fake, { data, redeemEveryMs: 86_400_000 });
		let relay = await startTestRelay(t, config, { market: fake });
		await spend(relay);
		assert.equal(await relay.redeem(), undefined);
		assert.equal(fake.batches.length, 1);
		assert.equal(await relay.redeem(), undefined);
		assert.equal(fake.batches.length, 1, "what is paid is not claimed");
		const [[tab, paid] = assert.fail()] = fake.paid;
		fake.paid.clear();
		fake.restored = { fromMs: Date.now() - 60_000, atMs: Date.now() };
		await relay.stop();
		const first = fake.batches.length;
		relay = await startTestRelay(t, config, { market: fake });
		await until("the claim", () => fake.batches.length > first);
		await until("the receipt", () => fake.paid.has(tab));
		assert.deepEqual(fake.paid.get(tab), paid);
		await relay.redeem();
		const again = fake.batches.length;
		await relay.stop();
		relay = await startTestRelay(t, config, { market: fake });
		assert.equal(await relay.redeem(), undefined);
		assert.equal(fake.batches.length, again);
	});

	test("a tab that a restored market forgot is not its key's fault: others of the key come in unasked", async (t) => {
		const fake = await market(t);
		fake.restored = { fromMs: Date.now() - 60_000, atMs: Date.now() + 60_000 };
		fake.mood = "knows-own";
		const relay = await startTestRelay(t, { redeemEveryMs: 86_400_000 }, { market: fake });
		const alice = await spend(relay);
		fake.granted.clear();
		assert.equal(await relay.redeem(), undefined);
		alice.put(alice.payFrame(9_000, TTL_S));
		assert.equal((await alice.problem("grant-unknown-market")).spent, "no");
		await relay.sender();
		assert.equal(fake.questions.length, 0);
	});
});
