import assert from "node:assert/strict";
import { mkdtemp } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, it } from "node:test";
import { amount } from "#contracts/amount";
import { fromHex } from "#contracts/bytes";
import type { Grant } from "#contracts/grant";
import { sessionKey } from "#contracts/identity";
import { readMarketInfo } from "#contracts/market";
import { isProblem } from "#contracts/problem";
import { type Claim, readReceipt, signBatch } from "#contracts/redemption";
import type { Traffic } from "#contracts/tariff";
import { signVoucher } from "#contracts/voucher";
import { openSqliteBook } from "#marketplace/ledger/sqlite";
import { ledgerPath } from "#marketplace/stores";
import {
	carried,
	crypto,
	DAY_MS,
	fine,
	grantOf,
	movedBy,
	Person,
	refusedBy,
	startTestMarket,
	TARIFF,
	type TestMarket,
	TestRelay,
} from "#test/support/market";

describe("a redemption", () => {
	let market: TestMarket;
	let alice: Person;
	let relay: TestRelay;
	let grant: Grant;
	beforeEach(async () => {
		market = await startTestMarket();
		alice = new Person(market);
		relay = new TestRelay(market);
		await alice.fund(10_000_000_000n);
		await relay.list();
		grant = await alice.open({ relay: relay.key.publicKey });
	});
	afterEach(() => market.end());

	const claim = (used: Traffic, on: Grant = grant, covered: Traffic = used): Claim => ({
		tab: on.tab,
		voucher: alice.voucher(on, covered),
		used,
	});
	const earned = async (): Promise<bigint> => BigInt((await relay.operator.client.operator.earnings.query()).earned);
	const codeOf = (result: unknown): string | undefined => (isProblem(result) ? result.problem : undefined);

	it("pays the operator its whole ask, and says so in a receipt that the market signed", async () => {
		const [result] = await relay.redeem(claim(carried(333_333, 1_000)));
		const moved = movedBy(result);
		assert.equal(await earned(), moved);
		assert(result && !isProblem(result));
		const info = fine(readMarketInfo(crypto, await (await fetch(`${market.url}/.well-known/farelay.json`)).json()));
		const receipt = fine(readReceipt(crypto, fromHex(result.receipt) ?? new Uint8Array(), info.keys));
		assert.equal(receipt.paid.nanos, moved);
		assert.deepEqual(receipt.operator, relay.operator.account.publicKey);
	});

	it("takes the same fees in a thousand steps as in one", async () => {
		const other = await alice.open({ relay: relay.key.publicKey });
		const steps = Array.from({ length: 50 }, (_, i) => carried((i + 1) * 7_919));
		for (const step of steps) await relay.redeem(claim(step));
		await relay.redeem(claim(carried(50 * 7_919), other));
		const { tabs } = await alice.client.tab.list.query();
		assert.deepEqual(tabs[0]?.paid, tabs[1]?.paid);
		assert.deepEqual(tabs[0]?.held, tabs[1]?.held);
	});

	it("threat 1: a voucher of another tab, relay, market or currency is worth nothing here", async () => {
		const other = await alice.open({ relay: relay.key.publicKey });
		const used = carried(1_000);
		const session = sessionKey(crypto, alice.seed, grant.tab).secretKey;
		for (const change of [{ tab: other.tab }, { relay: crypto.random(32) }, { market: crypto.random(32) }]) {
			const voucher = fine(signVoucher(crypto, { ...grant, ...change }, used, session));
			assert.equal(codeOf((await relay.redeem({ tab: grant.tab, voucher, used }))[0]), "signature-bad");
		}
		const thief = new TestRelay(market);
		await thief.list();
		assert.equal(codeOf((await thief.redeem(claim(used)))[0]), "grant-other-relay");
		assert.equal(codeOf((await relay.redeem({ ...claim(used), tab: crypto.random(16) }))[0]), "not-found");
		const elsewhere = await relay.post(
			"/v1/redeem",
			signBatch(crypto, crypto.random(32), relay.key, market.clock.nowMs(), [claim(used)]),
		);
		assert.deepEqual([elsewhere.status, codeOf(await elsewhere.json())], [400, "grant-unknown-market"]);
		assert.equal(await earned(), 0n);
	});

	it("threat 2: the same or an older voucher moves nothing more and answers with the receipt of what was paid", async () => {
		const [first] = await relay.redeem(claim(carried(2_000)));
		const [again, older] = await relay.redeem(claim(carried(2_000)), claim(carried(1_000)));
		assert(first && again && older && !isProblem(first) && !isProblem(again) && !isProblem(older));
		assert.deepEqual([first.moved, again.moved, older.moved], ["1000", "0", "0"]);
		assert.deepEqual([again.receipt, older.receipt], [first.receipt, first.receipt]);
		assert.equal(await earned(), 1_000n);
	});

	it("threat 2: two processes redeem rising vouchers at once, and only the differences move, once", async () => {
		const book = fine(await openSqliteBook({ path: ledgerPath(market.folder) }));
		const second = await startTestMarket({}, { book, folder: market.folder, clock: market.clock });
		try {
			const batches = Array.from({ length: 24 }, async (_, i) => {
				const at = Object.assign(Object.create(relay), { where: i % 2 ? market : second }) as TestRelay;
				return at.redeem(claim(carried((i % 12) * 1_000 + 1_000)));
			});
			const results = (await Promise.all(batches)).flat();
			assert.equal(
				results.reduce((sum, result) => sum + (isProblem(result) ? 0n : movedBy(result)), 0n),
				6_000n,
			);
			assert.deepEqual(results.filter(isProblem), []);
			assert.equal(await earned(), 6_000n);
		} finally {
			await second.stop();
		}
	});

	it("threat 2: the same tab many times in one batch is paid once for its highest claim", async () => {
		const results = await relay.redeem(...[1, 3, 2, 3, 4].map((n) => claim(carried(n * 1_000))));
		assert.deepEqual(results.filter(isProblem), []);
		assert.equal(
			results.reduce((sum, result) => sum + movedBy(result), 0n),
			2_000n,
		);
		assert.equal(await earned(), 2_000n);
	});

	it("threat 3: a voucher that arrives after the tab was closed with the relay's final word is not paid", async () => {
		const used = carried(1_000);
		const { voucher } = claim(used);
		await alice.close(grant, { usage: relay.final(grant, used), voucher });
		const [late, paid] = await relay.redeem(claim(carried(5_000)), claim(used));
		assert.equal(codeOf(late), "tab-finished");
		assert.equal(movedBy(paid), 0n);
		assert.equal(await earned(), 500n);
	});

	it("threat 3: a voucher that was hidden until after the deadline is not paid; one a moment earlier is", async () => {
		await market.clock.advance(2 * DAY_MS - 1);
		assert.equal(movedBy((await relay.redeem(claim(carried(1_000))))[0]), 500n);
		// the clock jumps over it, so that nothing has been swept yet
		market.clock.jump(1);
		assert.equal(codeOf((await relay.redeem(claim(carried(2_000))))[0]), "redeem-late");
		assert.equal(movedBy((await relay.redeem(claim(carried(1_000))))[0]), 0n, "what was paid is still said");
	});

	it("threat 3: a tab that its account wants closed is still paid until the deadline", async () => {
		await alice.close(grant);
		assert.equal(movedBy((await relay.redeem(claim(carried(1_000))))[0]), 500n);
	});

	it("threat 6: a claim beyond its voucher, its price or its cap is refused, and so is one that takes back", async () => {
		const covered = carried(10_000, 10);
		const over = (used: Traffic) => relay.redeem(claim(used, grant, covered));
		assert.equal(codeOf((await over({ ...covered, bytes: 10_001n }))[0]), "claim-too-high");
		assert.equal(codeOf((await over({ ...covered, byteSeconds: 100_001n }))[0]), "claim-too-high");
		const voucher = alice.voucher(grant, covered);
		const dear = { ...voucher, nanos: amount(voucher.nanos + 1n) };
		assert.equal(codeOf((await relay.redeem({ tab: grant.tab, voucher: dear, used: covered }))[0]), "voucher-price");
		const rich = { ...grant, cap: amount(grant.cap * 10n) };
		const beyond = claim(carried(2_000_001), rich);
		assert.equal(codeOf((await relay.redeem(beyond))[0]), "voucher-over-cap");
		assert.equal(await earned(), 0n);
		await over({ bytes: 5_000n, byteSeconds: 100_000n });
		assert.equal(codeOf((await over({ bytes: 6_000n, byteSeconds: 0n }))[0]), "conflict");
	});

	it("threat 6: a tariff that the relay changes later changes nothing of a tab", async () => {
		await market.clock.advance(60_000);
		await relay.list({ tariff: { ...TARIFF, sendPerMb: amount(900_000n) } });
		assert.equal(movedBy((await relay.redeem(claim(carried(1_000_000))))[0]), 500_000n);
	});

	it("one bad voucher does not spoil the rest of a batch of 300", async () => {
		const grants = await Promise.all(
			Array.from({ length: 20 }, () => alice.open({ relay: relay.key.publicKey, cap: amount(10_000n) })),
		);
		const lines = Array.from({ length: 300 }, (_, i) => claim(carried(1_000), grants[i % 20] as Grant));
		const bad = lines[7] as Claim;
		lines[7] = { ...bad, voucher: { ...bad.voucher, signature: crypto.random(64) } };
		const results = await relay.redeem(...lines);
		assert.equal(results.length, 300);
		assert.equal(codeOf(results[7]), "signature-bad");
		assert.equal(results.filter(isProblem).length, 1);
		assert.equal(await earned(), 20n * 500n);
		const many = await relay.post("/v1/redeem", relay.batch([...lines, bad]));
		assert.deepEqual([many.status, codeOf(await many.json())], [429, "too-many"]);
	});

	it("a batch that is not one, is old, or that the relay did not sign is refused whole", async () => {
		const body = relay.batch([claim(carried(1_000))]);
		for (const [wrong, status, code] of [
			["{", 400, "malformed"],
			[{}, 400, "malformed"],
			[{ ...body, signature: "00".repeat(64) }, 401, "signature-bad"],
			[{ ...body, claims: [...body.claims, ...body.claims] }, 401, "signature-bad"],
			[{ ...body, claims: ["00"] }, 400, "malformed"],
			[`"${"x".repeat(200_000)}"`, 400, "malformed"],
		] as const) {
			const response = await relay.post("/v1/redeem", wrong);
			assert.deepEqual([response.status, codeOf(await response.json())], [status, code]);
		}
		await market.clock.advance(11 * 60_000);
		assert.equal(codeOf(await (await relay.post("/v1/redeem", body)).json()), "clock");
		assert.equal(await earned(), 0n);
	});

	it("threat 14: a deadline moves later by what the market was away", async () => {
		await market.clock.advance(DAY_MS);
		await market.stop();
		await market.clock.advance(3 * DAY_MS);
		const back = await market.restart();
		try {
			[relay.where, alice.where] = [back, back];
			assert.equal(await back.sweep(), 0);
			assert.equal(movedBy((await relay.redeem(claim(carried(1_000))))[0]), 500n);
			// past it before the market looks at deadlines again
			await market.clock.advance(DAY_MS - 30_000);
			market.clock.jump(60_000);
			assert.equal(codeOf((await relay.redeem(claim(carried(2_000))))[0]), "redeem-late");
			await back.sweep();
			assert.equal((await alice.client.tab.list.query()).tabs[0]?.state, "closed");
		} finally {
			await back.stop();
		}
	});

	it("threat 14: a machine that slept past a deadline ends nothing when it wakes, and the relay is paid", async () => {
		market.clock.jump(9 * DAY_MS);
		assert.equal(await market.sweep(), 0);
		const [before] = (await alice.client.tab.list.query()).tabs;
		assert.equal(before?.state, "open");
		assert.equal(movedBy((await relay.redeem(claim(carried(1_000))))[0]), 500n);
		await market.clock.advance(9 * DAY_MS);
		assert.equal((await alice.client.tab.list.query()).tabs[0]?.state, "closed");
	});

	it("threat 14: a full disk refuses with a problem, moves nothing, and says so to who watches", async () => {
		const folder = await mkdtemp(join(tmpdir(), "farelay-full-"));
		const book = fine(await openSqliteBook({ path: ledgerPath(folder), pagesMax: 60 }));
		const full = await startTestMarket({}, { folder, book });
		const bob = new Person(full);
		const there = new TestRelay(full);
		await bob.fund(10_000_000_000n);
		await there.list();
		const opened = [];
		let refused: Awaited<ReturnType<typeof refusedBy>> | undefined;
		while (!refused && opened.length < 200) {
			const order = bob.order({ relay: there.key.publicKey, cap: amount(1_000n) });
			const answer = await Promise.allSettled([bob.openOrder(order)]);
			if (answer[0].status === "fulfilled") {
				const open = grantOf(answer[0].value.grant);
				opened.push(open);
				// ended at once, so that it is the disk that is full and not the account
				const ended = await Promise.allSettled([bob.close(open, { usage: there.final(open, carried(0)) })]);
				if (ended[0].status === "rejected") refused = await refusedBy(Promise.reject(ended[0].reason));
			} else refused = await refusedBy(Promise.reject(answer[0].reason));
		}
		assert.deepEqual([refused?.problem, refused?.spent, refused?.status], ["disk", "no", 507]);
		const health = await fetch(`${full.url}/health`);
		assert.deepEqual(
			[health.status, await health.json()],
			[503, { ok: false, state: "up", troubles: { ledger: "disk" } }],
		);
		assert((await bob.balance()) > 0n, "what is there can still be read");
		await full.end();
	});
});
