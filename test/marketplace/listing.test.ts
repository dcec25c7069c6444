import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { amount } from "#contracts/amount";
import { type Offer, signListing } from "#contracts/listing";
import { isProblem } from "#contracts/problem";
import { isPrivateUrl } from "#marketplace/listing/address";
import { makeListings } from "#marketplace/listing/listings";
import { isEligible, rank } from "#marketplace/listing/rank";
import { heldClock } from "#test/support/clock";
import { crypto, startTestMarket, TARIFF, TestRelay, toHex } from "#test/support/market";

const MINUTE = 60_000;

describe("the listings", () => {
	const clock = heldClock();
	const market = crypto.random(32);
	const relay = new TestRelay({ url: "", market, clock });
	const shown = (privateRelays = false) => makeListings(crypto, market, privateRelays);
	const bytesOf = (change: Partial<Offer> = {}, by = relay) =>
		signListing(crypto, by.offer({ url: "wss://relay.example.org", ...change }), by.key).bytes;
	const codeOf = (answer: unknown) => (isProblem(answer) ? answer.problem : undefined);

	it("show a relay until its listing ends, and no longer", () => {
		const listings = shown();
		const nowMs = clock.nowMs();
		assert.equal(codeOf(listings.take(bytesOf(), nowMs)), undefined);
		assert.equal(listings.all(nowMs + 15 * MINUTE - 1).length, 1);
		assert.equal(listings.all(nowMs + 15 * MINUTE).length, 0);
	});

	it("keep the newest word of a relay, whatever order it comes in", () => {
		const listings = shown();
		const nowMs = clock.nowMs();
		const older = bytesOf({ issuedAtMs: nowMs - MINUTE, validUntilMs: nowMs + MINUTE, country: "UG" });
		listings.take(bytesOf(), nowMs);
		assert.equal(codeOf(listings.take(older, nowMs)), undefined, "an old one again is no failure");
		assert.deepEqual(
			listings.all(nowMs).map(({ country }) => country),
			["KE"],
		);
	});

	it("count a few prices of one relay at once, and not many", () => {
		const listings = shown();
		const nowMs = clock.nowMs();
		for (let i = 0; i < 10; i++) {
			const tariff = { ...TARIFF, sendPerMb: amount(BigInt(i)) };
			listings.take(bytesOf({ tariff, issuedAtMs: nowMs - 100 + i, validUntilMs: nowMs + MINUTE }), nowMs);
		}
		const prices = listings.of(relay.id, nowMs).map(({ tariff }) => tariff.sendPerMb);
		assert.deepEqual(prices, [9n, 8n, 7n, 6n]);
	});

	it("threat 15: show 32 relays of one address, however many keys it makes, and more of it when some have ended", () => {
		const listings = shown();
		const nowMs = clock.nowMs();
		const list = (address: string, by = new TestRelay({ url: "", market, clock }), atMs = nowMs) =>
			codeOf(listings.take(bytesOf({ issuedAtMs: atMs, validUntilMs: atMs + MINUTE }, by), atMs, address));
		assert.equal(list("2001:db8:0:7::1", relay), undefined);
		for (let i = 1; i < 32; i++) assert.equal(list(`2001:db8:0:7:${i}::1`), undefined);
		assert.equal(list("2001:db8:0:7:ffff::1"), "too-many");
		assert.equal(list("2001:db8:0:8::1"), undefined, "another network");
		assert.equal(list("2001:db8:0:7::1", relay, nowMs + 1), undefined, "one that is shown says it again");
		assert.equal(list("2001:db8:0:7:ffff::1", undefined, nowMs + MINUTE), undefined, "their time is over");
		const dev = shown(true);
		for (let i = 0; i < 40; i++)
			assert.equal(
				codeOf(dev.take(bytesOf({}, new TestRelay({ url: "", market, clock })), nowMs, "127.0.0.1")),
				undefined,
			);
	});

	it("a relay that takes nothing is known and not offered", () => {
		const listings = shown();
		listings.take(bytesOf({ takes: false }), clock.nowMs());
		assert.equal(listings.all(clock.nowMs())[0]?.takes, false);
	});

	it("threat 1: refuse what is of another market, out of time, or not signed by its relay", () => {
		const listings = shown();
		const nowMs = clock.nowMs();
		assert.equal(codeOf(listings.take(bytesOf({ market: crypto.random(32) }), nowMs)), "grant-unknown-market");
		assert.equal(codeOf(listings.take(bytesOf(), nowMs + 11 * MINUTE)), "clock");
		assert.equal(codeOf(listings.take(bytesOf(), nowMs - 11 * MINUTE)), "clock");
		const forged = bytesOf();
		forged[40] = (forged[40] ?? 0) ^ 1;
		assert.equal(codeOf(listings.take(forged, nowMs)), "signature-bad");
		assert.equal(codeOf(listings.take(new Uint8Array(3), nowMs)), "version-unknown");
		assert.deepEqual(listings.all(nowMs), []);
	});

	it("threat 15: refuse a URL that leads into a private network, unless everything here is private", () => {
		for (const host of [
			"127.0.0.1",
			"10.1.2.3",
			"192.168.0.1:80",
			"172.31.255.255",
			"169.254.169.254",
			"100.64.0.1",
			"0.0.0.0",
			"224.0.0.1",
			"255.255.255.255",
			"2130706433",
			"0x7f.1",
			"[::1]",
			"[::]",
			"[fe80::1]",
			"[fd00::1]",
			"[::ffff:10.0.0.1]",
			"[64:ff9b::7f00:1]",
			"[2002:7f00:1::]",
			"localhost",
			"localhost.",
			"a.localhost",
			"printer.local",
			"db.internal",
			"intranet",
		])
			assert(isPrivateUrl(`ws://${host}/`), host);
		for (const host of ["relay.org", "8.8.8.8", "1.1.1.1:443", "[2606:4700::1111]", "local.relay.org"])
			assert(!isPrivateUrl(`wss://${host}/`), host);
		const inside = bytesOf({ url: "ws://192.168.1.1" });
		assert.equal(codeOf(shown().take(inside, clock.nowMs())), "listing-invalid");
		assert.equal(codeOf(shown(true).take(inside, clock.nowMs())), undefined);
	});

	it("rank by price, and say which relays commons and pools may pay", () => {
		const asks = [
			[500_000n, 1_000n],
			[400_000n, 1_000n],
			[400_000n, 100_000n],
		] as const;
		const offers = asks.map(([send, store]) =>
			relay.offer({ tariff: { sendPerMb: amount(send), storePerMbDay: amount(store) } }),
		);
		assert.deepEqual(
			rank(offers).map((offer) => offers.indexOf(offer)),
			[1, 0, 2],
		);
		assert(isEligible({ sendPerMb: amount(2_000_000n), storePerMbDay: amount(4_000n) }));
		assert(!isEligible({ sendPerMb: amount(2_000_001n), storePerMbDay: amount(0n) }));
		assert(!isEligible({ sendPerMb: amount(0n), storePerMbDay: amount(4_001n) }));
	});

	it("are what people are shown, with amounts as text", async () => {
		const here = await startTestMarket();
		const [near, far] = [new TestRelay(here), new TestRelay(here)];
		await near.list();
		await far.list({ country: "BR", tariff: { ...TARIFF, sendPerMb: amount(3_000_000n) } });
		const { client } = near.operator;
		const { relays } = await client.market.relays.query();
		assert.deepEqual(
			relays.map(({ relay: key, eligible, country }) => [key, eligible, country]),
			[
				[near.id, true, "KE"],
				[far.id, false, "BR"],
			],
		);
		assert.deepEqual(relays[0]?.tariff, { sendPerMb: "500000", storePerMbDay: "1000" });
		assert.equal(relays[0]?.operator, toHex(near.operator.account.publicKey));
		assert.equal((await client.market.relays.query({ country: "BR" })).relays.length, 1);
		await here.end();
	});
});
