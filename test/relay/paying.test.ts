import assert from "node:assert/strict";
import { cp, mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { suite, type TestContext, test } from "node:test";
import { toHex } from "#contracts/bytes";
import { writeRenew, writeVoucherFrame } from "#contracts/control";
import { FRAME } from "#contracts/frame";
import { type Grant, signGrant } from "#contracts/grant";
import { signRenew } from "#contracts/handshake";
import type { KeyPair } from "#contracts/identity";
import { isProblem } from "#contracts/problem";
import { signVoucher } from "#contracts/voucher";
import { crypto } from "#host/crypto";
import { openMemoryTill } from "#relay/till/memory";
import type { Till } from "#relay/till/till";
import { FakeMarket } from "#test/support/fakemarket";
import { keys, payload, type RawClient, until } from "#test/support/rawclient";
import { startTestRelay, type TestRelay } from "#test/support/relay";
import { slowTill } from "#test/support/slowtill";

const TTL_S = 3_600;
const SLICE = 16_384;

/** A mailbox that exists, and nobody listens on it. */
async function mailboxOf(relay: TestRelay): Promise<KeyPair> {
	const mailbox = keys();
	const owner = await relay.listener(mailbox);
	await owner.end();
	return mailbox;
}

/** Alice with a tab at a relay, and a mailbox there that nobody listens on. */
async function aliceAndMailbox(t: TestContext) {
	const relay = await startTestRelay(t);
	return { relay, mailbox: await mailboxOf(relay), alice: await relay.sender() };
}

/** Alice with a tab at a relay, and Bob, who listens there. */
async function aliceAndBob(t: TestContext) {
	const relay = await startTestRelay(t);
	const mailbox = keys();
	return { relay, mailbox, bob: await relay.listener(mailbox), alice: await relay.sender() };
}

suite("PROTOCOL: Paying", () => {
	test("a send that no voucher covers is refused, not forwarded and not charged; with the voucher it goes through", async (t) => {
		const { mailbox, alice } = await aliceAndMailbox(t);
		alice.put(alice.openFrame(1, mailbox.publicKey, TTL_S), alice.sendFrame(1, 0, payload(1_000)));
		await until("a refusal", () => alice.refused.get(0) === "unpaid" || undefined);
		alice.askUsage();
		assert.equal((await alice.usage()).used.bytes, 0n);
		alice.put(alice.payFrame(1_000, TTL_S), alice.sendFrame(1, 0, payload(1_000)));
		await alice.keptAll(1);
		alice.askUsage();
		assert.deepEqual((await alice.usage(1)).used.bytes, 1_000n);
	});

	test("a voucher covers bytes and byte-seconds each for itself", async (t) => {
		const { mailbox, alice } = await aliceAndMailbox(t);
		alice.put(
			alice.voucherFrame({ bytes: 10_000n, byteSeconds: 1_000n * BigInt(TTL_S) }),
			alice.openFrame(1, mailbox.publicKey, TTL_S),
			alice.sendFrame(1, 0, payload(1_000)),
			alice.sendFrame(1, 1, payload(1)),
		);
		await alice.keptAll(1);
		await until("the second to be refused", () => alice.refused.get(1) === "unpaid" || undefined);
	});

	test("threat 24: 1 MiB of sends stands before its voucher: refused in order, and all of it arrives in order when sent again", async (t) => {
		const { relay, mailbox, alice } = await aliceAndMailbox(t);
		const slices = Array.from({ length: 64 }, (_, seq) => payload(SLICE, seq));
		alice.put(alice.openFrame(1, mailbox.publicKey, TTL_S));
		for (const [seq, slice] of slices.entries()) alice.put(alice.sendFrame(1, seq, slice));
		alice.put(alice.payFrame(64 * SLICE, TTL_S));
		await until("64 refusals", () => alice.refused.size === 64 || undefined);
		await until("the credit", () => alice.credits[0]);
		assert.equal(alice.kept.size, 0);
		for (const [seq, slice] of slices.entries()) alice.put(alice.sendFrame(1, seq, slice));
		await alice.keptAll(64);
		const bob = await relay.reader();
		bob.acks = true;
		bob.put(bob.listenFrame(1, mailbox));
		await until("64 deliveries", () => bob.deliveries.length === 64 || undefined);
		assert.deepEqual(
			bob.deliveries.map(({ payload }) => payload),
			slices,
		);
	});

	test("after an unpaid number everything behind it is unpaid until it comes again, so order is kept", async (t) => {
		const { mailbox, alice } = await aliceAndMailbox(t);
		alice.put(alice.openFrame(1, mailbox.publicKey, TTL_S), alice.sendFrame(1, 0, payload(500)));
		await until("a refusal", () => alice.refused.get(0));
		alice.put(alice.payFrame(10_000, TTL_S), alice.sendFrame(1, 1, payload(500)));
		await until("the next to be refused too", () => alice.refused.get(1) === "unpaid" || undefined);
		alice.put(alice.sendFrame(1, 0, payload(500)), alice.sendFrame(1, 1, payload(500)));
		await alice.keptAll(2);
	});

	test("threat 7: too much without a covering voucher ends the connection", async (t) => {
		const { relay, mailbox, alice } = await aliceAndMailbox(t);
		alice.put(alice.openFrame(1, mailbox.publicKey, TTL_S));
		for (let seq = 0; seq < 20; seq++) alice.put(alice.sendFrame(1, seq, payload(61_440)));
		const bye = await alice.problem("unpaid");
		assert.equal(bye.spent, "no");
		assert.equal((await alice.gone()).code, 4026);
		const many = await relay.sender();
		many.put(many.openFrame(1, mailbox.publicKey, TTL_S));
		for (let at = 0; at < 1_100; at += 100)
			many.put(...Array.from({ length: 100 }, (_, i) => many.sendFrame(1, at + i, payload(1))));
		assert.equal((await many.gone()).code, 4026);
		assert.equal(relay.counts.toDisk + relay.counts.live, 0);
	});

	test("a voucher counts only when it is on disk, and sends behind it wait for that instead of being refused", async (t) => {
		const { till, release, waiting, hurried } = slowTill();
		const relay = await startTestRelay(t, { limits: { drainMs: 100 } }, { till });
		const mailbox = await mailboxOf(relay);
		const alice = await relay.sender();
		alice.put(alice.payFrame(2_000, TTL_S));
		await until("the till to be asked", () => waiting() === 1);
		assert.equal(hurried(), 0, "nothing waits for it");
		alice.put(alice.openFrame(1, mailbox.publicKey, TTL_S), alice.sendFrame(1, 0, payload(1_000)));
		await until("the till to be hurried", () => hurried() > 0);
		alice.put(alice.sendFrame(1, 1, payload(1_000, 1)));
		await until("the till to be asked", () => waiting() === 1);
		assert.equal(alice.credits.length + alice.kept.size + alice.refused.size, 0);
		release();
		await alice.keptAll(2);
		assert.equal(alice.credits.length, 1);
	});

	test("of many vouchers in one message only the newest is verified and written", async (t) => {
		let puts = 0;
		let verified = 0;
		const inner = openMemoryTill();
		const till: Till = {
			...inner,
			put: (row) => {
				puts++;
				return inner.put(row);
			},
		};
		const counting = {
			...crypto,
			verify: (...args: Parameters<typeof crypto.verify>) => {
				verified++;
				return crypto.verify(...args);
			},
		};
		const relay = await startTestRelay(t, {}, { till, crypto: counting });
		const mailbox = await mailboxOf(relay);
		const alice = await relay.sender();
		verified = 0;
		const frames = Array.from({ length: 30 }, (_, i) => [
			alice.payFrame((i + 1) * 100, TTL_S),
			alice.sendFrame(1, i, payload(100, i)),
		]);
		alice.put(alice.openFrame(1, mailbox.publicKey, TTL_S), ...frames.flat());
		await alice.keptAll(30);
		assert.deepEqual([puts, verified], [1, 1]);
		assert.equal(alice.refused.size, 0);
	});

	test("threat 2: a voucher that does not advance is a success with no effect", async (t) => {
		const relay = await startTestRelay(t);
		const alice = await relay.sender();
		alice.put(alice.payFrame(10_000_000));
		await until("the first credit", () => alice.credits[0]);
		alice.put(alice.payFrame(5_000_000));
		await until("the second credit", () => alice.credits[1] !== undefined);
		assert.equal(alice.credits[1], alice.credits[0]);
		assert.deepEqual(alice.problems, []);
	});

	test("threat 1: vouchers for another market, relay or tab, or by another key, do not count", async (t) => {
		const relay = await startTestRelay(t);
		const alice = await relay.sender();
		const { grant } = alice;
		const others: Partial<Grant>[] = [
			{ market: keys().publicKey },
			{ relay: keys().publicKey },
			{ tab: crypto.random(16) },
		];
		for (const other of others) {
			alice.put(alice.voucherFrame({ bytes: 1_000n, byteSeconds: 0n }, { ...grant, ...other }));
			const count = others.indexOf(other) + 1;
			await until("the refusal", () => alice.problems.length === count || undefined);
		}
		alice.put(alice.voucherFrame({ bytes: 1_000n, byteSeconds: 0n }, grant, keys()));
		await until("four refusals", () => alice.problems.length === 4 || undefined);
		assert.deepEqual(new Set(alice.problems.map(({ problem }) => problem)), new Set(["signature-bad"]));
		assert.deepEqual(alice.credits, []);
	});

	test("a voucher with another price, or above the cap, does not count; a stream of them ends the connection", async (t) => {
		const relay = await startTestRelay(t);
		const alice = await relay.sender({ cap: 1_000n });
		const signed = signVoucher(crypto, alice.grant, { bytes: 1_000n, byteSeconds: 0n }, alice.session.secretKey);
		assert(!isProblem(signed));
		alice.put(writeVoucherFrame({ ...signed, bytes: 2_000n }));
		await alice.problem("voucher-price");
		const rich = { ...alice.grant, cap: alice.grant.cap * 1_000n } as Grant;
		alice.put(alice.voucherFrame({ bytes: 1_000_000n, byteSeconds: 0n }, rich));
		await alice.problem("voucher-over-cap");
		for (let i = 0; i < 20; i++)
			alice.put(alice.voucherFrame({ bytes: BigInt(10 + i), byteSeconds: 0n }, alice.grant, keys()));
		assert.equal((await alice.gone()).code, 4007);
	});

	test("threat 14: a till that cannot write gives no credit and no lie", async (t) => {
		const till: Till = { ...openMemoryTill(), put: async () => "disk" };
		const relay = await startTestRelay(t, {}, { till });
		const mailbox = await mailboxOf(relay);
		const alice = await relay.sender();
		alice.put(
			alice.payFrame(2_000, TTL_S),
			alice.openFrame(1, mailbox.publicKey, TTL_S),
			alice.sendFrame(1, 0, payload(10)),
		);
		await alice.problem("disk");
		await until("a refusal", () => alice.refused.get(0) === "unpaid" || undefined);
		assert.deepEqual(alice.credits, []);
	});

	test("threat 7: four connections share a tab and its count; a fifth is refused", async (t) => {
		const relay = await startTestRelay(t);
		const mailbox = await mailboxOf(relay);
		const session = keys();
		const grant = relay.market.grant(relay.publicKey, session.publicKey);
		const clients: RawClient[] = [];
		for (let i = 0; i < 4; i++) {
			const client = await relay.connect();
			client.put(client.helloFrame({ grant, session }), client.openFrame(1, mailbox.publicKey, TTL_S));
			await client.welcome();
			clients.push(client);
		}
		const fifth = await relay.connect();
		fifth.put(fifth.helloFrame({ grant, session }));
		await fifth.problem("tab-busy");
		const [first] = clients as [RawClient];
		first.put(first.payFrame(3_000, TTL_S));
		await until("the credit", () => first.credits[0]);
		for (const client of clients) client.put(client.sendFrame(1, 0, payload(1_000)));
		await until(
			"four answers",
			() => clients.reduce((sum, c) => sum + c.kept.size + c.refused.size, 0) === 4 || undefined,
		);
		assert.equal(
			clients.reduce((sum, client) => sum + client.kept.size, 0),
			3,
			"what was paid once is not spent twice",
		);
		first.askUsage();
		assert.equal((await first.usage()).used.bytes, 3_000n);
	});

	test("threat 6: a retry is answered again and neither charged nor stored twice; other bytes under its number are refused", async (t) => {
		const { relay, mailbox, alice } = await aliceAndMailbox(t);
		alice.put(
			alice.payFrame(10_000, TTL_S),
			alice.openFrame(1, mailbox.publicKey, TTL_S),
			alice.sendFrame(1, 5, payload(1_000)),
		);
		await alice.keptAll(1);
		alice.frames.length = 0;
		alice.put(alice.sendFrame(1, 5, payload(1_000)));
		await alice.keptAll(1);
		alice.put(alice.sendFrame(1, 5, payload(1_000, 9)));
		await until("the refusal", () => alice.refused.get(5) === "seq-reused" || undefined);
		alice.askUsage();
		assert.equal((await alice.usage()).used.bytes, 1_000n);
		const bob = await relay.reader();
		bob.put(bob.listenFrame(1, mailbox));
		assert.equal((await bob.listening()).waiting, 1);
	});

	test("threat 25: the same bytes and number for another mailbox are another send, and refused", async (t) => {
		const relay = await startTestRelay(t);
		const [one, two] = [await mailboxOf(relay), await mailboxOf(relay)];
		const alice = await relay.sender();
		alice.put(
			alice.payFrame(10_000, TTL_S),
			alice.openFrame(1, one.publicKey, TTL_S),
			alice.openFrame(2, two.publicKey, TTL_S),
			alice.sendFrame(1, 0, payload(100)),
			alice.sendFrame(2, 0, payload(100)),
		);
		await alice.keptAll(1);
		await until("the refusal", () => alice.refused.get(0) === "seq-reused" || undefined);
	});

	test("threat 9: nothing more is taken two minutes before a grant ends", async (t) => {
		const relay = await startTestRelay(t);
		const mailbox = await mailboxOf(relay);
		const alice = await relay.sender({ issuedAtMs: Date.now() - 1_000, lifeMs: 121_400 });
		alice.put(
			alice.payFrame(10_000, TTL_S),
			alice.openFrame(1, mailbox.publicKey, TTL_S),
			alice.sendFrame(1, 0, payload(100)),
		);
		await alice.keptAll(1);
		const { expiresAtMs } = alice.grant;
		await until("the margin", () => Date.now() >= expiresAtMs - 120_000);
		alice.put(alice.sendFrame(1, 1, payload(100, 1)), alice.sendFrame(1, 0, payload(100)));
		await until("the refusal", () => alice.refused.get(1) === "grant-expired" || undefined);
		await until("the retry's answer", () => alice.of(FRAME.kept).length === 2 || undefined);
	});

	test("a session without a grant may not send", async (t) => {
		const relay = await startTestRelay(t);
		const mailbox = await mailboxOf(relay);
		const alice = await relay.reader();
		alice.put(alice.openFrame(1, mailbox.publicKey, TTL_S), alice.sendFrame(1, 0, payload(100)));
		await until("the refusal", () => alice.refused.get(0) === "grant-needed" || undefined);
	});
});

suite("PROTOCOL: Renew, finish and usage", () => {
	async function renewed(relay: TestRelay, alice: RawClient & { grant: Grant }, paid: bigint, by?: KeyPair) {
		const session = keys();
		const grant = relay.market.grant(relay.publicKey, session.publicKey);
		const final = signVoucher(
			crypto,
			alice.grant,
			{ bytes: paid, byteSeconds: paid * BigInt(TTL_S) },
			alice.session.secretKey,
		);
		assert(!isProblem(final));
		const scope = { relay: relay.publicKey, helloHash: alice.hash, grant: grant.bytes };
		const signature = signRenew(crypto, scope, (by ?? session).secretKey);
		return { session, grant, frame: writeRenew({ grant: grant.bytes, final, signature }) };
	}

	test("threat 24: renew swaps the tab within one message and loses nothing that was under way", async (t) => {
		const { relay, mailbox, bob, alice } = await aliceAndBob(t);
		const before = alice.grant;
		const next = await renewed(relay, alice, 2_000n);
		alice.put(
			alice.payFrame(1_000, TTL_S),
			alice.openFrame(1, mailbox.publicKey, TTL_S),
			alice.sendFrame(1, 0, payload(1_000, 0)),
			next.frame,
			alice.voucherFrame({ bytes: 1_000n, byteSeconds: 1_000n * BigInt(TTL_S) }, next.grant, next.session),
			alice.sendFrame(1, 1, payload(1_000, 1)),
		);
		const usage = await alice.usage(0, before);
		assert.equal(usage.final, true);
		assert.equal(usage.used.bytes, 1_000n, "what was answered for, not what was paid ahead");
		await until("both deliveries", () => bob.deliveries.length === 2 || undefined);
		bob.ack([1, 2]);
		await alice.keptAll(2);
		alice.askUsage();
		const after = await alice.usage(1, next.grant);
		assert.deepEqual([after.used.bytes, after.final], [1_000n, false]);
	});

	test("a voucher behind a renewal is the next tab's, also where a send before it looks for one that covers it", async (t) => {
		const { relay, mailbox, alice } = await aliceAndBob(t);
		const next = await renewed(relay, alice, 0n);
		alice.put(
			alice.openFrame(1, mailbox.publicKey, TTL_S),
			alice.sendFrame(1, 0, payload(1_000)),
			next.frame,
			alice.voucherFrame({ bytes: 5_000n, byteSeconds: 5_000n * BigInt(TTL_S) }, next.grant, next.session),
		);
		await until("the send to be refused", () => alice.refused.get(0) === "unpaid" || undefined);
		await until("the next tab's credit", () => alice.credits.some((nanos) => nanos > 0n) || undefined);
		assert.deepEqual(relay.counts.refusals, new Map([["unpaid", 1]]));
	});

	test("threat 9: a renewal into a grant that the market did not sign, or for another relay, is refused", async (t) => {
		const relay = await startTestRelay(t);
		const alice = await relay.sender();
		const session = keys();
		const own = relay.market.grant(relay.publicKey, session.publicKey);
		const cases = [
			["grant-unknown-market", signGrant(crypto, own, keys())],
			["grant-other-relay", relay.market.grant(keys().publicKey, session.publicKey)],
			["grant-expired", relay.market.grant(relay.publicKey, session.publicKey, { lifeMs: 60_000 })],
		] as const;
		const final = signVoucher(crypto, alice.grant, { bytes: 0n, byteSeconds: 0n }, alice.session.secretKey);
		assert(!isProblem(final));
		for (const [code, grant] of cases) {
			const scope = { relay: relay.publicKey, helloHash: alice.hash, grant: grant.bytes };
			const signature = signRenew(crypto, scope, session.secretKey);
			alice.put(writeRenew({ grant: grant.bytes, final, signature }));
			await alice.problem(code);
		}
		alice.askUsage();
		assert.equal(toHex((await alice.usage()).tab), toHex(alice.grant.tab));
	});

	test("threat 9: who only saw a grant cannot renew into its tab", async (t) => {
		const relay = await startTestRelay(t);
		const alice = await relay.sender();
		const stolen = await renewed(relay, alice, 0n, keys());
		alice.put(stolen.frame);
		await alice.problem("signature-bad");
		alice.askUsage();
		assert.equal(toHex((await alice.usage()).tab), toHex(alice.grant.tab));
	});

	test("finish takes nothing more, answers everything under way, and signs the final count", async (t) => {
		const { mailbox, bob, alice } = await aliceAndBob(t);
		alice.put(
			alice.payFrame(5_000, TTL_S),
			alice.openFrame(1, mailbox.publicKey, TTL_S),
			alice.sendFrame(1, 0, payload(700)),
		);
		await until("the delivery", () => bob.deliveries[0]);
		alice.finish();
		const usage = await alice.usage();
		assert.deepEqual([usage.final, usage.used.bytes], [true, 700n]);
		assert.equal(alice.kept.size, 1, "bob did not acknowledge, so it went to the disk first");
		alice.put(alice.sendFrame(1, 1, payload(10)));
		await until("the refusal", () => alice.refused.get(1) === "tab-finished" || undefined);
		alice.put(alice.payFrame(9_000, TTL_S));
		await alice.problem("tab-finished");
	});

	test("threat 3: a finished tab stays finished, with its final count, when the relay is started again", async (t) => {
		const root = await mkdtemp(join(tmpdir(), "farelay-relay-"));
		t.after(() => rm(root, { recursive: true, force: true, maxRetries: 3 }));
		const data = join(root, "first");
		const market = await FakeMarket.start();
		t.after(() => market.stop());
		const first = await startTestRelay(t, { data }, { market });
		const mailbox = await mailboxOf(first);
		const alice = await first.sender();
		alice.put(
			alice.payFrame(5_000, TTL_S),
			alice.openFrame(1, mailbox.publicKey, TTL_S),
			alice.sendFrame(1, 0, payload(700)),
		);
		await alice.keptAll(1);
		alice.finish();
		await alice.usage();
		const { grant, session } = alice;
		await first.stop();
		let at = data;
		for (let round = 0; round < 3; round++) {
			const relay = await startTestRelay(t, { data: at }, { market });
			const again = await relay.connect();
			again.put(
				again.helloFrame({ grant, session }),
				again.openFrame(1, mailbox.publicKey, TTL_S),
				again.sendFrame(1, 9, payload(1)),
			);
			const welcome = await again.welcome();
			assert.equal(welcome.tab?.used.bytes, 700n, `in round ${round}`);
			await until("the refusal", () => again.refused.get(9) === "tab-finished" || undefined);
			// the next round finds the files as a crash of this one would leave them
			const crashed = join(root, `after-${round}`);
			await cp(at, crashed, { recursive: true, filter: (from) => !from.endsWith(".sock") });
			at = crashed;
			await relay.stop();
		}
	});

	test("threat 3: a tab that was finished without a voucher cannot be used again", async (t) => {
		const { relay, mailbox, alice } = await aliceAndMailbox(t);
		alice.finish();
		const usage = await alice.usage();
		assert.deepEqual([usage.final, usage.used.bytes], [true, 0n]);
		await alice.end();
		await until("alice to be gone", () => relay.counts.open === 0);
		await relay.redeem();
		const again = await relay.connect();
		again.put(
			again.helloFrame({ grant: alice.grant, session: alice.session }),
			again.payFrame(1_000, TTL_S),
			again.openFrame(1, mailbox.publicKey, TTL_S),
			again.sendFrame(1, 0, payload(10)),
		);
		await again.problem("tab-finished");
		await until("the refusal", () => again.refused.get(0) === "tab-finished" || undefined);
	});
});

suite("PROTOCOL: live only", () => {
	async function live(t: TestContext) {
		const relay = await startTestRelay(t);
		const mailbox = keys();
		const token = crypto.random(16);
		const bob = await relay.listener(mailbox, 4, token);
		const alice = await relay.sender();
		alice.put(alice.voucherFrame({ bytes: 100_000n, byteSeconds: 0n }));
		return { relay, mailbox, token, bob, alice };
	}

	test("holders of the card's token pass live mail, charged when the reader's socket has it", async (t) => {
		const { mailbox, token, bob, alice } = await live(t);
		alice.put(alice.openFrame(1, mailbox.publicKey, 0, token), alice.sendFrame(1, 0, payload(300)));
		await until("passed", () => alice.numbers(FRAME.passed).has(0) || undefined);
		await until("the delivery", () => bob.deliveries[0]);
		assert.deepEqual(bob.deliveries, [{ handle: 4, number: 0, payload: payload(300) }]);
		alice.askUsage();
		assert.deepEqual((await alice.usage()).used, {
			bytes: 300n,
			byteSeconds: 0n,
			nanos: (await alice.usage()).used.nanos,
		});
	});

	test("threat 12: strangers do not learn who is online", async (t) => {
		const { mailbox, alice } = await live(t);
		alice.put(alice.openFrame(1, mailbox.publicKey, 0, crypto.random(16)), alice.sendFrame(1, 0, payload(300)));
		await until("the refusal", () => alice.refused.get(0) === "token-needed" || undefined);
	});

	test("live mail for someone who is away is gone, not kept and not charged", async (t) => {
		const { mailbox, token, bob, alice, relay } = await live(t);
		await bob.end();
		await until("bob to be gone", () => relay.counts.listening === 0);
		alice.put(alice.openFrame(1, mailbox.publicKey, 0, token), alice.sendFrame(1, 0, payload(300)));
		await until("the refusal", () => alice.refused.get(0) === "gone" || undefined);
		alice.askUsage();
		assert.equal((await alice.usage()).used.bytes, 0n);
	});
});
