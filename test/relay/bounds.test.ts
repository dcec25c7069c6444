import assert from "node:assert/strict";
import { suite, test } from "node:test";
import { amount } from "#contracts/amount";
import { writeRenew } from "#contracts/control";
import { FRAME } from "#contracts/frame";
import type { Grant } from "#contracts/grant";
import { signRenew } from "#contracts/handshake";
import type { KeyPair } from "#contracts/identity";
import { isProblem } from "#contracts/problem";
import { signVoucher } from "#contracts/voucher";
import { crypto } from "#host/crypto";
import { Tag } from "#relay/tag/dedupe";
import { heldClock } from "#test/support/clock";
import { TARIFF } from "#test/support/fakemarket";
import { keys, payload, RawClient, until } from "#test/support/rawclient";
import { startTestRelay } from "#test/support/relay";

const TTL_S = 3_600;

suite("PROTOCOL: Limits of a relay", () => {
	test("threat 11: a flood of hellos without a grant fills its own memory of nonces, not that of payers", async (t) => {
		const relay = await startTestRelay(t, { limits: { noncesMax: 2 } });
		await relay.reader();
		await relay.reader();
		const third = await relay.connect();
		third.put(third.helloFrame());
		await third.problem("too-many");
		await relay.sender();
	});

	test("listens, renewals and finishes of one connection are counted", async (t) => {
		const relay = await startTestRelay(t, { limits: { ordersMax: 3 } });
		const bob = await relay.reader();
		const mailbox = keys();
		for (let i = 0; i < 4; i++) bob.put(bob.listenFrame(1, mailbox));
		assert.equal((await bob.gone()).code, 4008);
		assert.equal(bob.of(FRAME.listening).length, 3);
	});

	test("tabs in memory are bounded, and those that never paid make room when they leave", async (t) => {
		const relay = await startTestRelay(t, { limits: { tabsMax: 1 } });
		const alice = await relay.sender();
		const session = keys();
		const grant = relay.market.grant(relay.publicKey, session.publicKey);
		const carol = await relay.connect();
		carol.put(carol.helloFrame({ grant, session }));
		await carol.problem("too-many");
		await alice.end();
		await until("alice to be gone", () => relay.counts.open === 0);
		await relay.sender();
	});

	test("threat 7: tabs that used next to nothing give way where places run out, up to a thousandth of a dollar a day", async (t) => {
		const clock = heldClock(Date.now());
		const relay = await startTestRelay(t, { limits: { tabsMax: 20 } }, { clock });
		const bob = await relay.reader();
		const mailbox = keys();
		bob.put(bob.listenFrame(1, mailbox));
		await bob.listening();
		bob.acks = true;
		/** A tab that used so many bytes, at half a nano-dollar each, and was paid by the market. */
		const used = async (bytes: number) => {
			const alice = await relay.sender();
			alice.put(alice.payFrame(70_000, TTL_S), alice.openFrame(1, mailbox.publicKey, TTL_S));
			if (bytes > 0) alice.put(alice.sendFrame(1, 0, payload(bytes)));
			if (bytes > 0) await alice.keptAll(1);
			await until("the credit", () => alice.credits.length > 0);
			await alice.end();
			return alice;
		};
		for (let i = 0; i < 14; i++) await used(1);
		for (let i = 0; i < 4; i++) await used(60_000);
		const late = await Promise.all([relay.sender(), relay.sender()]);
		const session = keys();
		const grant = relay.market.grant(relay.publicKey, session.publicKey);
		const full = await relay.connect();
		full.put(full.helloFrame({ grant, session }));
		await full.problem("too-many");
		await clock.advance(10_500);
		assert.equal(relay.counts.drops.tabs, 0, "nothing is forgotten that the market has not paid");
		assert.equal(await relay.redeem(), undefined);
		await clock.advance(10_500);
		assert.equal(relay.counts.drops.tabs, 2, "a tenth of the places comes free");
		for (const alice of late) assert.equal(alice.closed, undefined);
		// what stays is worth more: at most a thousandth of a dollar is given up in a day
		await used(60_000);
		await used(60_000);
		assert.equal(await relay.redeem(), undefined);
		await clock.advance(10_500);
		assert.equal(relay.counts.drops.tabs, 4);
	});

	test("threat 7: what tabs used is not forgotten beyond a thousandth of a dollar, however full it is", async (t) => {
		const clock = heldClock(Date.now());
		const relay = await startTestRelay(t, { limits: { tabsMax: 2 } }, { clock });
		const bob = await relay.reader();
		const mailbox = keys();
		bob.put(bob.listenFrame(1, mailbox));
		await bob.listening();
		bob.acks = true;
		for (let i = 0; i < 2; i++) {
			const alice = await relay.sender({ tariff: { ...TARIFF, sendPerMb: amount(20_000_000n) } });
			alice.put(alice.payFrame(60_000, TTL_S), alice.openFrame(1, mailbox.publicKey, TTL_S));
			alice.put(alice.sendFrame(1, 0, payload(60_000)));
			await alice.keptAll(1);
			await alice.end();
		}
		assert.equal(await relay.redeem(), undefined);
		await clock.advance(10_500);
		assert.equal(relay.counts.drops.tabs, 0);
	});

	test("tags in memory are bounded, and those that nobody speaks for make room", async (t) => {
		const relay = await startTestRelay(t, { limits: { tagsMax: 1 } });
		const alice = await relay.sender();
		const session = keys();
		const grant = relay.market.grant(relay.publicKey, session.publicKey);
		const carol = await relay.connect();
		carol.put(carol.helloFrame({ grant, session }));
		await carol.problem("too-many");
		await alice.end();
		await until("alice to be gone", () => relay.counts.open === 0);
		const dave = await relay.sender();
		dave.put(dave.openFrame(1, keys().publicKey), dave.sendFrame(1, 0, payload(5)));
		await until("an answer", () => dave.refused.get(0) === "mailbox-unknown" || undefined);
	});

	test("tags that nobody speaks for are bounded by themselves, the oldest go first", async (t) => {
		const clock = heldClock(Date.now());
		const relay = await startTestRelay(t, { limits: { tagsIdleMax: 2 } }, { clock });
		const here = await relay.sender();
		for (let i = 0; i < 5; i++) await (await relay.sender()).end();
		await until("them to be gone", () => relay.counts.open === 1);
		assert.equal(relay.state().inMemory.tags, 6);
		await clock.advance(10_500);
		assert.equal(relay.state().inMemory.tags, 3);
		assert.equal(here.closed, undefined);
	});

	test("a tag has as many fingerprints as it needs and all tags have room for, and takes retries without one too", () => {
		const room = { slots: 100 };
		const [busy, late] = [0, 1].map((i) => new Tag(`${i}`, { ranges: [], prints: new Map() }, room));
		assert(busy && late);
		for (let seq = 0; seq < 5_000; seq++) {
			busy.accept(seq, seq + 1);
			late.accept(seq, seq + 1);
			assert.equal(busy.check(seq, 7_777), seq === 7_776 ? "pending" : "seq-reused");
		}
		assert.equal(room.slots, 20, "64 for one, 16 for the other, and no more");
		assert.equal(late.check(4_999, 1), "seq-reused");
		assert.equal(late.check(10, 1), "pending", "a number that is remembered without its fingerprint is a retry");
		for (const tag of [busy, late]) tag.release();
		assert.equal(room.slots, 100);
		const alone = new Tag("2", { ranges: [], prints: new Map() });
		for (let seq = 0; seq < 5_000; seq++) alone.accept(seq, seq + 1);
		for (let seq = 5_000 - 1_024; seq < 5_000; seq++) assert.equal(alone.check(seq, 1), "seq-reused");
		assert.equal(alone.check(5_000 - 1_025, 1), "pending");
	});

	test("mailboxes at work are bounded, and those that nobody uses make room", async (t) => {
		const relay = await startTestRelay(t, { limits: { mailboxesMax: 1 } });
		const bob = await relay.reader();
		bob.put(bob.listenFrame(1, keys()));
		await bob.listening();
		const carol = await relay.reader();
		const mailbox = keys();
		carol.put(carol.listenFrame(1, mailbox));
		await carol.problem("too-many");
		await bob.end();
		await until("bob to be gone", () => relay.counts.listening === 0);
		carol.put(carol.listenFrame(1, mailbox));
		await carol.listening();
	});

	test("threat 11: when half of all handles are taken each connection can still have its share of the rest", async (t) => {
		const relay = await startTestRelay(t, { limits: { handlesMax: 40, handlesShareMax: 2 } });
		const greedy = await relay.sender();
		greedy.put(...Array.from({ length: 40 }, (_, i) => greedy.openFrame(i, keys().publicKey)));
		greedy.ping();
		await greedy.next(FRAME.pong);
		assert.equal(greedy.problems.length, 20, "half of them, and no more");
		for (let i = 0; i < 10; i++) {
			const modest = await relay.sender();
			modest.put(modest.openFrame(1, keys().publicKey), modest.openFrame(2, keys().publicKey));
			modest.ping();
			await modest.next(FRAME.pong);
			assert.deepEqual(modest.problems, []);
		}
	});

	test("threat 7: one address brings so many new tabs an hour, however little is on them, and known ones still come in", async (t) => {
		const relay = await startTestRelay(t, { trustProxy: "loopback", limits: { newTabsPerHourMax: 2 } });
		const from = async (address: string, grant: Grant, session: KeyPair) => {
			const headers = { "x-forwarded-for": address };
			const client = new RawClient(`ws://127.0.0.1:${relay.port}`, relay.publicKey, undefined, headers);
			t.after(() => client.ws.terminate());
			await client.opened();
			client.put(client.helloFrame({ grant, session }));
			return client;
		};
		const session = keys();
		const granted = () => relay.market.grant(relay.publicKey, session.publicKey, { cap: 1n });
		const first = granted();
		await (await from("203.0.113.1", first, session)).welcome();
		await (await from("203.0.113.1", granted(), session)).welcome();
		await (await from("203.0.113.1", granted(), session)).problem("too-many");
		await (await from("203.0.113.1", first, session)).welcome();
		await (await from("203.0.113.2", granted(), session)).welcome();
	});

	test("threat 7: tabs that an address brings by renewing are counted too, and where it has brought all it may the old one stays", async (t) => {
		const relay = await startTestRelay(t, { trustProxy: "loopback", limits: { newTabsPerHourMax: 3 } });
		const headers = { "x-forwarded-for": "203.0.113.1" };
		const alice = new RawClient(`ws://127.0.0.1:${relay.port}`, relay.publicKey, undefined, headers);
		t.after(() => alice.ws.terminate());
		await alice.opened();
		const session = keys();
		let grant = relay.market.grant(relay.publicKey, session.publicKey);
		alice.put(alice.helloFrame({ grant, session }));
		await alice.welcome();
		for (let i = 0; i < 3; i++) {
			const next = relay.market.grant(relay.publicKey, session.publicKey);
			const final = signVoucher(crypto, grant, { bytes: 1n, byteSeconds: 1n }, session.secretKey);
			assert(!isProblem(final));
			const scope = { relay: relay.publicKey, helloHash: alice.hash, grant: next.bytes };
			alice.put(writeRenew({ grant: next.bytes, final, signature: signRenew(crypto, scope, session.secretKey) }));
			if (i < 2) await alice.usage(i, grant);
			if (i < 2) grant = next;
		}
		assert.equal((await alice.problem("too-many")).retry, true);
		alice.put(alice.voucherFrame({ bytes: 2n, byteSeconds: 2n }, grant, session));
		await until("the old tab's credit", () => alice.credits.length > 0 || undefined);
	});

	test("one connection opens 4,096 handles and no more", async (t) => {
		const relay = await startTestRelay(t);
		const alice = await relay.sender();
		const mailbox = keys().publicKey;
		for (let at = 0; at < 4_097; at += 241)
			alice.put(...Array.from({ length: 241 }, (_, i) => alice.openFrame(at + i, mailbox)));
		alice.ping();
		await alice.next(FRAME.pong);
		assert.equal(alice.problems.length, 1);
		assert.equal(alice.problems[0]?.problem, "too-many");
	});
});
