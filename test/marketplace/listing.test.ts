import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { amount } from "#contracts/amount";
import { type Offer, signListing } from "#contracts/listing";
import { isPoolEligible } from "#contracts/need";
import { isProblem } from "#contracts/problem";
import type { Posting } from "#marketplace/board/board";
import { openMemoryBoard } from "#marketplace/board/memory";
import { isPrivateUrl } from "#marketplace/listing/address";
import { type Listings, makeListings, SHOWN_MS_MAX } from "#marketplace/listing/listings";
import { rank } from "#marketplace/listing/rank";
import { heldClock } from "#test/support/clock";
import { crypto, Person, startTestMarket, TARIFF, TestRelay, toHex } from "#test/support/market";

const MINUTE = 60_000;

describe("the listings", () => {
	const clock = heldClock();
	const market = crypto.random(32);
	const relay = new TestRelay({ url: "", market, clock });
	const shown = (privateRelays = false, board = openMemoryBoard()) =>
		makeListings({ crypto, clock, board, market, privateRelays });
	const bytesOf = (change: Partial<Offer> = {}, by = relay) =>
		signListing(crypto, by.offer({ url: "wss://relay.example.org", ...change }), by.key).bytes;
	const codeOf = (answer: unknown) => (isProblem(answer) ? answer.problem : undefined);

	it("show a relay until its listing ends, and no longer", async () => {
		const listings = shown();
		const nowMs = clock.nowMs();
		assert.equal(codeOf(await listings.take(bytesOf(), nowMs)), undefined);
		assert.equal((await listings.all(nowMs + 15 * MINUTE - 1)).length, 1);
		assert.equal((await listings.all(nowMs + 15 * MINUTE)).length, 0);
	});

	it("keep the newest word of a relay, whatever order it comes in", async () => {
		const listings = shown();
		const nowMs = clock.nowMs();
		const older = bytesOf({ issuedAtMs: nowMs - MINUTE, validUntilMs: nowMs + MINUTE, country: "UG" });
		await listings.take(bytesOf(), nowMs);
		assert.equal(codeOf(await listings.take(older, nowMs)), undefined, "an old one again is no failure");
		assert.deepEqual(
			(await listings.all(nowMs)).map(({ country }) => country),
			["KE"],
		);
	});

	it("count a few prices of one relay at once, and not many", async () => {
		const listings = shown();
		const nowMs = clock.nowMs();
		for (let i = 0; i < 10; i++) {
			const tariff = { ...TARIFF, sendPerMb: amount(BigInt(i)) };
			await listings.take(bytesOf({ tariff, issuedAtMs: nowMs - 100 + i, validUntilMs: nowMs + MINUTE }), nowMs);
		}
		const prices = (await listings.of(relay.key.publicKey, nowMs)).map(({ tariff }) => tariff.sendPerMb);
		assert.deepEqual(prices, [9n, 8n, 7n, 6n]);
	});

	it("threat 15: show 32 relays of one address, however many keys it makes, and more of it when some have ended", async () => {
		const listings = shown();
		const nowMs = clock.nowMs();
		const list = async (address: string, by = new TestRelay({ url: "", market, clock }), atMs = nowMs) =>
			codeOf(await listings.take(bytesOf({ issuedAtMs: atMs, validUntilMs: atMs + MINUTE }, by), atMs, address));
		assert.equal(await list("2001:db8:0:7::1", relay), undefined);
		for (let i = 1; i < 32; i++) assert.equal(await list(`2001:db8:0:7:${i}::1`), undefined);
		assert.equal(await list("2001:db8:0:7:ffff::1"), "too-many");
		assert.equal(await list("2001:db8:0:8::1"), undefined, "another network");
		assert.equal(await list("2001:db8:0:7::1", relay, nowMs + 1), undefined, "one that is shown says it again");
		assert.equal(await list("2001:db8:0:7:ffff::1", undefined, nowMs + MINUTE), undefined, "their time is over");
		const dev = shown(true);
		for (let i = 0; i < 40; i++)
			assert.equal(
				codeOf(await dev.take(bytesOf({}, new TestRelay({ url: "", market, clock })), nowMs, "127.0.0.1")),
				undefined,
			);
	});

	it("a relay that takes nothing is known and not offered", async () => {
		const listings = shown();
		await listings.take(bytesOf({ takes: false }), clock.nowMs());
		assert.equal((await listings.all(clock.nowMs()))[0]?.takes, false);
	});

	it("threat 1: refuse what is of another market, out of time, or not signed by its relay", async () => {
		const listings = shown();
		const nowMs = clock.nowMs();
		assert.equal(codeOf(await listings.take(bytesOf({ market: crypto.random(32) }), nowMs)), "grant-unknown-market");
		assert.equal(codeOf(await listings.take(bytesOf(), nowMs + 11 * MINUTE)), "clock");
		assert.equal(codeOf(await listings.take(bytesOf(), nowMs - 11 * MINUTE)), "clock");
		const forged = bytesOf();
		forged[40] = (forged[40] ?? 0) ^ 1;
		assert.equal(codeOf(await listings.take(forged, nowMs)), "signature-bad");
		assert.equal(codeOf(await listings.take(new Uint8Array(3), nowMs)), "version-unknown");
		assert.deepEqual(await listings.all(nowMs), []);
	});

	it("threat 15: refuse a URL that leads into a private network, unless everything here is private", async () => {
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
		assert.equal(codeOf(await shown().take(inside, clock.nowMs())), "listing-invalid");
		assert.equal(codeOf(await shown(true).take(inside, clock.nowMs())), undefined);
	});

	it("rank by price, and say which relays commons and pools may pay", async () => {
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
		assert(isPoolEligible({ sendPerMb: amount(2_000_000n), storePerMbDay: amount(4_000n) }));
		assert(!isPoolEligible({ sendPerMb: amount(2_000_001n), storePerMbDay: amount(0n) }));
		assert(!isPoolEligible({ sendPerMb: amount(0n), storePerMbDay: amount(4_001n) }));
	});

	it("are the same in every process of a market: at once to whoever opens a tab, a second later in the list of all", async () => {
		const board = openMemoryBoard();
		const [first, second] = [shown(true, board), shown(true, board)];
		assert.deepEqual(await second.all(clock.nowMs()), []);
		await first.take(bytesOf(), clock.nowMs());
		assert.equal((await second.of(relay.key.publicKey, clock.nowMs())).length, 1);
		assert.equal((await first.all(clock.nowMs())).length, 1, "what it was told itself it shows at once");
		await clock.advance(SHOWN_MS_MAX - 1);
		assert.equal((await second.all(clock.nowMs())).length, 0);
		await clock.advance(1);
		assert.equal((await second.all(clock.nowMs())).length, 1);
		const tariff = { ...TARIFF, sendPerMb: amount(9n) };
		await second.take(bytesOf({ tariff, issuedAtMs: clock.nowMs() + 1 }), clock.nowMs());
		const prices = (await first.of(relay.key.publicKey, clock.nowMs())).map((one) => one.tariff.sendPerMb);
		assert.deepEqual(prices, [9n, TARIFF.sendPerMb], "and the price before still counts");
	});

	it("threat 15: show 32 relays of one address, whichever process they are told to, and whoever comes first", async () => {
		const board = openMemoryBoard();
		const processes = [shown(false, board), shown(false, board)];
		const list = (i: number) => {
			const bytes = bytesOf({}, new TestRelay({ url: "", market, clock }));
			return (processes[i % 2] as Listings).take(bytes, clock.nowMs(), "8.8.8.8");
		};
		const answers = await Promise.all(Array.from({ length: 40 }, (_, i) => list(i)));
		assert.equal(answers.filter((answer) => codeOf(answer) === undefined).length, 32);
		assert.equal(answers.filter((answer) => codeOf(answer) === "too-many").length, 8);
		for (const each of processes) assert.equal((await each.all(clock.nowMs())).length, 32);
	});

	it("threat 26: leave no address on the board", async () => {
		const board = openMemoryBoard();
		const seen: Posting[] = [];
		const listings = shown(false, {
			...board,
			post: (posting, ...more) => {
				seen.push(posting);
				return board.post(posting, ...more);
			},
		});
		for (const address of ["8.8.8.8", "::ffff:8.8.8.8", "8.8.4.4"])
			await listings.take(bytesOf({}, new TestRelay({ url: "", market, clock })), clock.nowMs(), address);
		const [first, same, other] = seen.map(({ origin }) => origin);
		assert(first !== undefined && /^[0-9a-f]{8}$/.test(first) && same === first && other !== first);
	});

	it("go on from the beginning on a board that went back to a backup", async () => {
		let board = openMemoryBoard();
		const listings = shown(true, {
			...board,
			post: (...all) => board.post(...all),
			postingsAfter: (n) => board.postingsAfter(n),
		});
		const others = Array.from({ length: 3 }, () => new TestRelay({ url: "", market, clock }));
		for (const one of others) await listings.take(bytesOf({}, one), clock.nowMs());
		assert.equal((await listings.all(clock.nowMs())).length, 3);
		board = openMemoryBoard();
		await shown(true, board).take(bytesOf(), clock.nowMs());
		await clock.advance(SHOWN_MS_MAX);
		assert.deepEqual(
			(await listings.all(clock.nowMs())).map((one) => toHex(one.relay)),
			[relay.id],
		);
	});

	it("are there at once when a market comes up again: for whoever looks, and whoever opens a tab", async () => {
		let here = await startTestMarket();
		const near = new TestRelay(here);
		await near.list();
		const alice = new Person(here);
		await alice.fund(1_000_000_000n);
		here = await here.restart();
		alice.where = here;
		assert.deepEqual(
			(await alice.client.market.relays.query()).relays.map(({ relay: key }) => key),
			[near.id],
		);
		assert(await alice.open({ relay: near.key.publicKey }));
		await here.end();
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
