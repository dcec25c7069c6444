/** Two processes of one market: they share what the market keeps, and nothing else. */

import assert from "node:assert/strict";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, it } from "node:test";
import { amount } from "#contracts/amount";
import { isProblem } from "#contracts/problem";
import { signOpen } from "#contracts/tab";
import { systemClock } from "#host/clock";
import { openLog, openSilentLog } from "#host/log";
import { openPostgres } from "#host/postgres";
import { showTranches } from "#marketplace/api/input";
import { openMemoryBoard } from "#marketplace/board/memory";
import { openPostgresBoard } from "#marketplace/board/postgres";
import { playConfig } from "#marketplace/config";
import { openMemoryBook } from "#marketplace/ledger/memory";
import { startMarketplace } from "#marketplace/main";
import { PRESENCE } from "#marketplace/outage";
import { openPostgresStores, type Stores } from "#marketplace/stores";
import { heldClock } from "#test/support/clock";
import {
	carried,
	clientOf,
	crypto,
	DAY_MS,
	fine,
	movedBy,
	Person,
	refusedBy,
	signToken,
	startTestMarket,
	type TestMarket,
	TestRelay,
	toHex,
} from "#test/support/market";
import { startPostgres } from "#test/support/postgres";

const server = await startPostgres();

/** What two processes share, opened by each of them. */
const ENGINES: Record<string, () => Promise<() => Promise<Stores>>> = {
	memory: async () => {
		const unused = { put: async () => assert.fail(), find: async () => undefined, sweep: async () => 0 };
		const stores = { book: openMemoryBook(), board: openMemoryBoard(), places: { ...unused, close: async () => {} } };
		return async () => stores;
	},
	postgres: async () => {
		const url = await server.database();
		return async () => {
			const postgres = fine(await openPostgres({ url, clock: systemClock, random: Math.random }));
			// time is held in these stories
			const { nowMs: _, ...stores } = fine(await openPostgresStores(postgres, crypto));
			// the last of them to be closed
			return { ...stores, book: { ...stores.book, close: () => stores.book.close().then(postgres.close) } };
		};
	},
};

for (const [engine, open] of Object.entries(ENGINES))
	describe(`two processes of one market (${engine})`, () => {
		let folder: string;
		let first: TestMarket;
		let second: TestMarket;
		let alice: Person;
		let relay: TestRelay;
		let start: () => Promise<TestMarket>;
		let stores: () => Promise<Stores>;

		beforeEach(async () => {
			folder = await mkdtemp(join(tmpdir(), "farelay-processes-"));
			stores = await open();
			const clock = heldClock();
			start = async () => startTestMarket({}, { ...(await stores()), folder, clock });
			first = await start();
			second = await start();
			assert.deepEqual(first.market, second.market);
			alice = new Person(first);
			relay = new TestRelay(first);
			await relay.list();
			await alice.fund(1_000_000_000n);
		});
		afterEach(async () => {
			await first.stop();
			await second.stop();
			await rm(folder, { recursive: true, force: true });
		});

		const opening = (order = alice.order({ relay: relay.key.publicKey })) => ({
			tab: toHex(order.tab),
			session: toHex(order.session),
			relay: toHex(order.relay),
			cap: order.cap.toString(),
			tariff: { sendPerMb: order.tariff.sendPerMb.toString(), storePerMbDay: order.tariff.storePerMbDay.toString() },
			fees: order.fees,
			lifeMs: order.lifeMs,
			tranches: showTranches(order.tranches),
			signature: toHex(signOpen(crypto, order, alice.account)),
		});

		it("threat 22: a token that changed something at one changes nothing at the other, and nothing else either", async () => {
			const token = signToken(alice.account, first.market, first.clock.nowMs());
			const [here, there] = [first, second].map(({ url }) => clientOf(url, () => token));
			assert(here && there);
			await here.funding.play.mutate({ id: "a", amount: "5" });
			const changes = [
				() => there.funding.play.mutate({ id: "a", amount: "5" }),
				() => there.funding.play.mutate({ id: "b", amount: "5" }),
				() => there.funding.start.mutate({ id: "c", rail: "play", amount: "5" }),
				() => there.funding.refund.mutate({ id: "c", amount: "5" }),
				() => there.tab.open.mutate(opening()),
				() => there.tab.close.mutate({ tab: "00".repeat(16), signature: "00".repeat(64) }),
				() => there.operator.payout.set.mutate({ schedule: "weekly" }),
				() => there.operator.payout.now.mutate({ id: "d" }),
				() => there.operator.signUp.mutate({ rail: "play", country: "ke", email: "a@b.cd" }),
			];
			for (const change of changes) {
				const refused = await refusedBy(change());
				assert.deepEqual([refused.problem, /used before/.test(refused.detail)], ["unauthorized", true]);
			}
			assert.equal((await there.account.balance.query()).balance, "1000000005", "to look it is still good");
		});

		it("threat 8: a token that is shown to both at once changes something once", async () => {
			for (let round = 0; round < 8; round++) {
				const token = signToken(alice.account, first.market, first.clock.nowMs());
				const both = [first, second].map(({ url }, i) =>
					clientOf(url, () => token).funding.play.mutate({ id: `${round}-${i}`, amount: "1" }),
				);
				const outcomes = await Promise.allSettled(both);
				assert.equal(outcomes.filter(({ status }) => status === "fulfilled").length, 1);
			}
			assert.equal(await alice.balance(), 1_000_000_008n);
		});

		it("one change that is asked of both by tokens of their own happens once", async () => {
			const order = alice.order({ relay: relay.key.publicKey });
			const elsewhere = () => clientOf(second.url, () => signToken(alice.account, first.market, first.clock.nowMs()));
			const tabs = await Promise.all([alice.openOrder(order), elsewhere().tab.open.mutate(opening(order))]);
			assert.equal(tabs[0].grant, tabs[1].grant);
			const funded = { id: "once", amount: "7" };
			await Promise.all([alice.client.funding.play.mutate(funded), elsewhere().funding.play.mutate(funded)]);
			const deposit = { id: "one", rail: "play", amount: "1000000" };
			const begun = await Promise.all([
				alice.client.funding.start.mutate(deposit),
				elsewhere().funding.start.mutate(deposit),
			]);
			assert.equal(begun[0].id, begun[1].id);
			const cap = 1_000_000n + 40_000n;
			assert.equal(await alice.balance(), 1_000_000_000n - cap + 7n + 1_000_000n);
		});

		it("a relay that told one of them is known to the other: to open a tab at once, in the list a second later", async () => {
			const bob = new Person(second);
			await bob.fund(1_000_000_000n);
			const grant = await bob.open({ relay: relay.key.publicKey });
			const used = carried(1_000_000);
			relay.where = second;
			const [paid] = await relay.redeem({ tab: grant.tab, voucher: bob.voucher(grant, used), used });
			assert.equal(movedBy(paid), 500_000n);
			await first.clock.advance(1_000);
			const { relays } = await bob.client.market.relays.query();
			assert.deepEqual(
				relays.map(({ relay: key }) => key),
				[relay.id],
			);
		});

		it("threat 12: an account has 64 tabs open at both together, whoever races", async () => {
			const open = (i: number) => {
				const person = Object.assign(Object.create(alice) as Person, { where: i % 2 ? first : second });
				return person.open({ relay: relay.key.publicKey, cap: amount(100n) });
			};
			const outcomes = await Promise.allSettled(Array.from({ length: 72 }, (_, i) => open(i)));
			assert.equal(outcomes.filter(({ status }) => status === "fulfilled").length, 64);
			const refused = outcomes.find((outcome) => outcome.status === "rejected");
			assert(refused);
			assert.match((await refusedBy(open(0))).detail, /at most 64 tabs/);
		});

		it("threat 14: the market was there while one of them was, and away while none was", async () => {
			const { clock } = first;
			await first.stop();
			await clock.advance(60 * 60_000);
			const { board, book } = await stores();
			const kept = async () => JSON.parse((await board.note(PRESENCE))?.text ?? "{}");
			await second.stop();
			const leftMs = clock.nowMs();
			assert.deepEqual(await kept(), { lastMs: leftMs, outages: [] });
			clock.jump(3 * 60 * 60_000);
			first = await start();
			second = await start();
			assert.deepEqual((await kept()).outages, [{ fromMs: leftMs, untilMs: clock.nowMs() }]);
			await book.close();
		});
	});

describe("a market on two machines", () => {
	it("threat 14: goes by its database's clock: one machine's wrong one ends no tab, finds no outage, and turns nobody away", async (t) => {
		const url = await server.database();
		const lines: string[] = [];
		const log = openLog({ name: "market", to: { write: (line: string) => void lines.push(line) } });
		const folder = await mkdtemp(join(tmpdir(), "farelay-clock-"));
		const up = async (aheadMs: number) => {
			const postgres = fine(await openPostgres({ url, clock: systemClock, random: Math.random }));
			const stores = fine(await openPostgresStores(postgres, crypto));
			const clock = { ...systemClock, nowMs: () => Date.now() + aheadMs };
			const running = fine(await startMarketplace(playConfig(folder), { clock, log, crypto, ...stores }));
			let ended: Promise<void> | undefined;
			const end = () => (ended ??= running.stop().then(postgres.close));
			t.after(end);
			return { ...running, clock: systemClock, end };
		};
		const right = await up(0);
		assert.deepEqual(
			lines.filter((line) => line.includes("clock")),
			[],
		);
		const wrong = [await up(3 * DAY_MS), await up(-3 * DAY_MS)];
		assert.equal(lines.filter((line) => line.includes("this machine's clock is not the database's")).length, 2);
		const postgres = fine(await openPostgres({ url, clock: systemClock, random: Math.random }));
		const board = fine(await openPostgresBoard(postgres));
		assert.deepEqual(JSON.parse((await board.note(PRESENCE))?.text ?? "{}").outages, []);
		const alice = new Person(right);
		const relay = new TestRelay(right);
		assert.equal((await relay.list()).status, 200);
		await alice.fund(1_000_000_000n);
		const grants = [];
		for (const each of [right, ...wrong]) {
			alice.where = each;
			const grant = await alice.open({ relay: relay.key.publicKey });
			assert(Math.abs(grant.issuedAtMs - Date.now()) < 60_000);
			grants.push(grant);
		}
		for (const each of wrong) assert.equal(await each.sweep(), 0, "no tab's time is over");
		const used = carried(1_000_000);
		for (const [i, grant] of grants.entries()) {
			relay.where = [right, ...wrong][(i + 1) % 3] ?? right;
			const [paid] = await relay.redeem({ tab: grant.tab, voucher: alice.voucher(grant, used), used });
			assert.equal(movedBy(paid), 500_000n);
		}
		await Promise.all([right, ...wrong].map((each) => each.end()));
		assert.deepEqual(JSON.parse((await board.note(PRESENCE))?.text ?? "{}").outages, []);
		await postgres.close();
		await rm(folder, { recursive: true, force: true });
	});
});

describe("a market on files of its own", () => {
	it("is one process: a second one on its folder is refused, and the folder is free when the first has stopped", async (t) => {
		const market = await startTestMarket();
		t.after(() => market.stop());
		const again = () => startMarketplace(market.config, { clock: market.clock, log: openSilentLog(), crypto });
		const refused = await again();
		if (!isProblem(refused)) await refused.stop();
		assert(isProblem(refused));
		assert.equal(refused.problem, "conflict");
		assert.match(refused.detail, /Another process is using/);
		assert.equal((await fetch(`${market.url}/health`)).status, 200);
		await market.stop();
		const next = await again();
		assert(!isProblem(next), JSON.stringify(next));
		await next.stop();
		await rm(market.folder, { recursive: true, force: true });
	});
});
