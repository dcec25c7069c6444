import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { amount } from "#contracts/amount";
import { signGrant } from "#contracts/grant";
import { LIMIT } from "#contracts/limit";
import { isProblem } from "#contracts/problem";
import { NO_TRAFFIC, plus, price, type Traffic, traffic, within } from "#contracts/tariff";
import { signVoucher, verifyVoucher } from "#contracts/voucher";
import { crypto } from "#host/crypto";
import { Purse } from "#sdk/purse";

const online = crypto.keyPair(crypto.random(32));
const session = crypto.keyPair(crypto.random(32));

function grantOf(cap: bigint) {
	const terms = {
		market: crypto.random(32),
		tab: crypto.random(16),
		session: session.publicKey,
		relay: crypto.random(32),
		cap: amount(cap),
		tariff: { sendPerMb: amount(500_000n), storePerMbDay: amount(1_000n) },
		issuedAtMs: 1,
		expiresAtMs: 1_000_000,
		redeemByMs: 2_000_000,
	};
	return signGrant(crypto, terms, online);
}

/** What may happen to a purse, in any order. */
const event = fc.oneof(
	{
		weight: 6,
		arbitrary: fc.record({ what: fc.constant("send" as const), bytes: fc.integer({ min: 1, max: 61_440 }) }),
	},
	{ weight: 4, arbitrary: fc.record({ what: fc.constant("keep" as const), count: fc.integer({ min: 1, max: 30 }) }) },
	{ weight: 1, arbitrary: fc.record({ what: fc.constant("refuse" as const) }) },
	{ weight: 1, arbitrary: fc.record({ what: fc.constant("crash" as const) }) },
);

test("rule 3: whatever happens, no voucher says more than what was served and one step, and nothing unpaid is sent", () => {
	fc.assert(
		fc.property(
			fc.array(event, { maxLength: 120 }),
			fc.constantFrom(0, 60, LIMIT.ttlSDefault),
			fc.constantFrom(100_000n, 5_000_000n, 50_000_000n),
			(events, ttlS, cap) => {
				const purse = new Purse(crypto, grantOf(cap), session);
				const flying: Traffic[] = [];
				// What an honest relay has counted of it.
				let served = NO_TRAFFIC;
				let crashes = 0;
				for (const now of events) {
					if (now.what === "send") {
						const copy = traffic(now.bytes, ttlS);
						const cover = purse.cover(copy);
						if (cover === "wait") assert.ok(flying.length > 0, "it waits only for answers that will come");
						if (cover === "wait" || cover === "full") continue;
						if (cover.voucher) {
							assert.equal(verifyVoucher(crypto, purse.grant, cover.voucher), undefined);
							const step = BigInt(purse.step);
							assert.ok(cover.voucher.bytes <= purse.served.bytes + step, "at most a step ahead");
							assert.ok(cover.voucher.byteSeconds <= purse.served.byteSeconds + step * BigInt(ttlS));
							assert.ok(cover.voucher.nanos <= cap);
						}
						purse.count(copy);
						flying.push(copy);
						assert.ok(purse.voucher && within(purse.used, purse.voucher), "what is sent is paid for");
					} else if (now.what === "keep") {
						for (const copy of flying.splice(0, now.count)) {
							purse.serve(copy);
							served = plus(served, copy);
						}
					} else if (now.what === "refuse") {
						const copy = flying.pop();
						if (copy) purse.uncount(copy);
					} else if (purse.voucher) {
						// The relay crashed: it took what was paid as used, and what was under way is answered again.
						const used = { bytes: purse.voucher.bytes, byteSeconds: purse.voucher.byteSeconds };
						const lost = purse.adopt({ used, voucher: purse.voucher }, false);
						crashes++;
						// a relay that crashes again and again is given up, never after fewer crashes than make one large step
						if (isProblem(lost)) {
							assert.ok(crashes > 16);
							break;
						}
						for (const copy of flying.splice(0)) purse.uncount(copy);
						served = used;
					}
					assert.ok(within(served, purse.served), "every answer is counted");
					assert.ok(within(purse.served, purse.used));
				}
			},
		),
		{ numRuns: 150 },
	);
});

test("a purse with nothing under way can always send, until its cap is reached, and then it says so", () => {
	fc.assert(
		fc.property(fc.integer({ min: 1, max: 61_440 }), fc.constantFrom(0, LIMIT.ttlSDefault), (bytes, ttlS) => {
			const purse = new Purse(crypto, grantOf(200_000n), session);
			const copy = traffic(bytes, ttlS);
			for (let sent = 0; ; sent++) {
				const cover = purse.cover(copy);
				assert.notEqual(cover, "wait");
				if (cover === "full" || cover === "wait") break;
				purse.count(copy);
				purse.serve(copy);
				assert.ok(sent < 500_000 / bytes + 10);
			}
			const after = price(purse.grant.tariff, plus(purse.used, copy)) ?? 0n;
			assert.ok(after > 200_000n, "not a frame too early");
		}),
		{ numRuns: 40 },
	);
});

test("threat 6: whatever a relay says at welcome, more than was signed is never taken over", () => {
	const mallory = crypto.keyPair(crypto.random(32));
	const u64 = fc.bigInt({ min: 0n, max: 2n ** 40n });
	fc.assert(
		fc.property(u64, u64, fc.boolean(), fc.boolean(), (bytes, byteSeconds, forged, fresh) => {
			const purse = new Purse(crypto, grantOf(50_000_000n), session);
			const cover = purse.cover(traffic(1_000, 60));
			assert.ok(typeof cover === "object" && cover.voucher);
			const signed = cover.voucher;
			const used = { bytes, byteSeconds };
			const fake = forged ? signVoucher(crypto, purse.grant, used, mallory.secretKey) : signed;
			if (isProblem(fake)) return;
			const adopted = purse.adopt({ used, voucher: fake }, fresh);
			if (forged || !within(used, signed)) assert.ok(isProblem(adopted) && adopted.problem === "relay-dishonest");
			else assert.ok(!isProblem(adopted));
			assert.deepEqual(purse.voucher, signed, "and nothing that it showed is kept");
			assert.ok(within(purse.used, signed));
		}),
		{ numRuns: 100 },
	);
});

test("threat 1: a voucher of one tab is no voucher of another tab, relay or market", () => {
	const purse = new Purse(crypto, grantOf(50_000_000n), session);
	const cover = purse.cover(traffic(1_000, 60));
	assert.ok(typeof cover === "object" && cover.voucher);
	assert.equal(verifyVoucher(crypto, purse.grant, cover.voucher), undefined);
	for (const other of ["market", "relay", "tab"] as const) {
		const terms = { ...purse.grant, [other]: crypto.random(purse.grant[other].length) };
		assert.equal(verifyVoucher(crypto, terms, cover.voucher)?.problem, "signature-bad", other);
	}
});
