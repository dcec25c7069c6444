/** What funds pay an operator that is new: it waits, and is paid, or goes back to its fund by a finding that stood. */
import assert from "node:assert/strict";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, it } from "node:test";
import { amount, NOTHING } from "#contracts/amount";
import type { Grant } from "#contracts/grant";
import { ownTranche } from "#contracts/tranche";
import { openMemoryBoard } from "#marketplace/board/memory";
import { type CaseKind, end, writeCase } from "#marketplace/desk/case";
import { find } from "#marketplace/desk/cases";
import { makeOperators, type OperatorFacts, writeApart } from "#marketplace/desk/operators";
import { makeResolve } from "#marketplace/desk/resolve";
import { NEW_OPERATOR_MS } from "#marketplace/desk/share";
import { FIRST_WAIT_MS, releaseFirst } from "#marketplace/desk/waits";
import type { Book } from "#marketplace/ledger/book";
import { openMemoryBook } from "#marketplace/ledger/memory";
import { newPool } from "#marketplace/pool/decide";
import { readPool, writePool } from "#marketplace/pool/pool";
import { counterOf, monthOf } from "#marketplace/sponsor/burn";
import { RULES } from "#marketplace/sponsor/rules";
import { checkTabs } from "#marketplace/tab/check";
import { heldClock } from "#test/support/clock";
import {
	carried,
	crypto,
	DAY_MS,
	fine,
	Person,
	startTestMarket,
	type TestMarket,
	TestRelay,
	toHex,
} from "#test/support/market";

const POOL = "ab".repeat(16);
const TARIFF = { sendPerMb: amount(2_000_000n), storePerMbDay: amount(0n) };
const unused = {
	put: async () => assert.fail(),
	find: async () => undefined,
	sweep: async () => 0,
	close: async () => {},
};

describe("first subsidised earnings", () => {
	let folder: string;
	let book: Book;
	let market: TestMarket;
	let relay: TestRelay;
	let ann: Person;
	const clock = heldClock();
	const parts = () => ({ book, clock, crypto });

	const start = async (change: Parameters<typeof startTestMarket>[0] = {}) => {
		folder = await mkdtemp(join(tmpdir(), "farelay-waits-"));
		book = openMemoryBook();
		const pass = { pool: POOL, from: "code", monthBytes: 100_000_000n, usedMonth: 0n, usedDay: 0n } as const;
		const sources = {
			person: async (account: string) => ({
				...{ account, sinceMs: 0, frozen: false, country: "MW", evidence: "strong" as const },
				passes: [{ ...pass, validUntilMs: clock.nowMs() + DAY_MS, isVouched: false }],
				...{ commonsUsed: 0n, textUsed: 0n, elsewhereUsed: 0n },
			}),
		};
		market = await startTestMarket(change, { book, board: openMemoryBoard(), places: unused, folder, clock, sources });
		const day = { monthBytes: 1_000_000n, dayBytes: 1_000_000n, dayLimit: 1_000_000_000n };
		const rules = { countries: [], enrollers: [], fromMs: 0, ...day };
		const pool = fine(newPool({ pool: POOL, sponsor: "cd".repeat(32), rules, rest: "back" }, RULES, clock.nowMs()));
		await book.apply([
			{
				transfer: {
					id: "gift",
					cause: "Given",
					atMs: 0,
					entries: [
						{ account: "world:play", nanos: -200_000_000_000n },
						{ account: "commons", nanos: 100_000_000_000n },
						{ account: `pool:${POOL}`, nanos: 100_000_000_000n },
					],
				},
				rows: [writePool(pool)],
			},
		]);
		ann = new Person(market);
		await ann.fund(1_000_000_000n);
		relay = new TestRelay(market);
	};
	beforeEach(() => start());
	afterEach(async () => {
		assert.deepEqual((await book.audit([checkTabs])).findings, []);
		await market.stop();
		await rm(folder, { recursive: true, force: true });
	});

	/** Opens a tab as it is quoted: a megabyte by the pool, two by the commons and the payer, and as it was asked. */
	async function open(): Promise<Grant> {
		await relay.list({ tariff: TARIFF });
		const cap = amount(6_000_000n);
		const asked = { relay: relay.id, cap: cap.toString(), tariff: { sendPerMb: "2000000", storePerMbDay: "0" } };
		const { tranches } = await ann.client.tab.quote.query(asked);
		const read = tranches.map(({ fund, cap: nanos, payerPpm }) => {
			const part = { cap: amount(BigInt(nanos)), payerPpm };
			return fund === "own"
				? ownTranche(part.cap)
				: { fund, ...part, ...(fund === "pool" && { pool: Buffer.from(POOL, "hex") }) };
		}) as never;
		return await ann.open({ relay: relay.key.publicKey, cap, tariff: TARIFF, tranches: read });
	}

	/** Uses a tab whole and closes it. */
	async function use(grant: Grant): Promise<void> {
		const used = carried(3_000_000n);
		const voucher = ann.voucher(grant, used);
		await relay.redeem({ tab: grant.tab, voucher, used: carried(1_500_000n) });
		await ann.close(grant, { usage: relay.final(grant, used), voucher });
	}

	const purses = async () => {
		const of = (name: string) => `operator:${relay.operator.id}:${name}`;
		const [earned, waiting, pool, commons, fees] = await book.balances([
			of("earned"),
			of("waiting"),
			`pool:${POOL}`,
			"commons",
			"market:fees",
		]);
		return { earned, waiting, pool, commons, fees };
	};

	const found = async (kind: CaseKind, how?: "upheld" | "lifted") => {
		const { found: open } = await find(parts(), { account: relay.operator.id, about: relay.operator.id, kind });
		await book.apply([{ rows: [writeCase(open)] }]);
		if (!how) return;
		await book.apply([{ rows: [writeCase(fine(end({ ...open, version: 1 }, how, clock.nowMs())))] }]);
	};

	it("wait for fourteen days after their tab, and then the operator has its whole ask", async () => {
		await use(await open());
		const waits = await purses();
		assert.equal((waits.earned ?? 0n) + (waits.waiting ?? 0n), 6_000_000n);
		assert.ok((waits.waiting ?? 0n) > 2_000_000n, "what the pool and the commons paid");
		assert.ok((waits.earned ?? 0n) > 0n, "what the payer paid does not wait");
		clock.jump(DAY_MS + FIRST_WAIT_MS - 1);
		assert.equal(await releaseFirst({ book, clock }), 0);
		clock.jump(1);
		const both = await Promise.all([releaseFirst({ book, clock }), releaseFirst({ book, clock })]);
		assert.deepEqual(both.sort(), [0, 1], "two processes at once pay it once");
		assert.equal(await releaseFirst({ book, clock }), 0);
		assert.deepEqual([(await purses()).earned, (await purses()).waiting], [6_000_000n, 0n]);
	});

	it("of a tab that still could be used wait on", async () => {
		const grant = await open();
		clock.jump(DAY_MS + FIRST_WAIT_MS);
		assert.equal(await releaseFirst({ book, clock }), 0);
		await ann.close(grant, { usage: relay.final(grant, carried(0)) });
		assert.equal(await releaseFirst({ book, clock }), 1);
	});

	it("threat 21: wait while a finding is open, and go back whole to who paid them when it stands", async () => {
		const before = await purses();
		await use(await open());
		const used = await purses();
		await found("payers-alike");
		clock.jump(DAY_MS + FIRST_WAIT_MS);
		assert.equal(await releaseFirst({ book, clock }), 0);
		await found("not-delivered", "lifted");
		assert.equal(await releaseFirst({ book, clock }), 0, "one of two is still open");
		const open_ = (await find(parts(), { account: relay.operator.id, about: relay.operator.id, kind: "payers-alike" }))
			.found;
		await book.apply([{ rows: [writeCase(fine(end(open_, "upheld", clock.nowMs())))] }]);
		assert.equal(await releaseFirst({ book, clock }), 1);
		const after = await purses();
		assert.deepEqual(
			[after.waiting, after.earned, after.pool, after.commons],
			[0n, used.earned, before.pool, before.commons],
		);
		assert.ok((after.fees ?? 0n) < (used.fees ?? 0n), "the market earns nothing by it");
		const row = await book.record("pools", POOL);
		assert.equal(row && readPool(row).flows.came, (before.pool ?? 0n) - (used.pool ?? 0n));
	});

	it("go to the commons when their pool has ended meanwhile", async () => {
		const before = await purses();
		await use(await open());
		const row = (await book.record("pools", POOL)) ?? assert.fail();
		await book.apply([{ rows: [writePool({ ...readPool(row), state: "ended" })] }]);
		await found("by-hand", "upheld");
		clock.jump(DAY_MS + FIRST_WAIT_MS);
		await releaseFirst({ book, clock });
		const after = await purses();
		assert.equal((after.commons ?? 0n) + (after.pool ?? 0n), (before.commons ?? 0n) + (before.pool ?? 0n));
		assert.ok((after.commons ?? 0n) > (before.commons ?? 0n));
	});

	it("are paid where a finding was lifted, and funds pay nothing new where one stands or is open", async () => {
		await use(await open());
		await found("sponsored-worse", "lifted");
		clock.jump(DAY_MS + FIRST_WAIT_MS);
		assert.equal(await releaseFirst({ book, clock }), 1);
		assert.equal((await purses()).earned, 6_000_000n);
		await found("by-hand");
		await relay.list({ tariff: TARIFF });
		const asked = { relay: relay.id, cap: "6000000", tariff: { sendPerMb: "2000000", storePerMbDay: "0" } };
		const { tranches, reasons } = await ann.client.tab.quote.query(asked);
		const { findings } = await relay.operator.client.operator.earnings.query();
		assert.deepEqual(
			findings.map(({ state }) => state),
			["open"],
		);
		assert.deepEqual([tranches.map(({ fund }) => fund), reasons.map(({ code }) => code)], [["own"], ["relay-paused"]]);
	});

	it("threat 21: operators that are one take one operator's share of a fund together, and it is said to who is hit", async () => {
		// three operators, so that each may have two thirds of what a pool pays in a month
		const [twin, third, fourth] = [new TestRelay(market), new TestRelay(market), new TestRelay(market)];
		const list = async () => {
			for (const [i, one] of [relay, twin, third, fourth].entries())
				await one.list({ tariff: TARIFF, url: `ws://${["a", "a", "b", "c"][i]}.internal` });
		};
		await list();
		const quote = (at: TestRelay) =>
			ann.client.tab.quote.query({
				relay: at.id,
				cap: "6000000",
				tariff: { sendPerMb: "2000000", storePerMbDay: "0" },
			});
		const why = async (at: TestRelay) =>
			(await quote(at)).reasons.filter(({ fund }) => fund === POOL).map(({ code }) => code);
		assert.ok(!(await why(relay)).includes("operator-share"));
		// they are counted under the older one's name, here the first by its key
		const group = relay.operator.id < twin.operator.id ? relay.operator.id : twin.operator.id;
		const key = counterOf.operator(POOL, monthOf(clock.nowMs()), group);
		const spent = 10n ** 15n;
		const counted = {
			key,
			account: "00".repeat(32),
			state: "counted",
			dueMs: 0,
			value: JSON.stringify({ nanos: spent.toString() }),
		};
		const before = await book.record("burns", key);
		await book.apply([{ rows: [{ table: "burns", expect: before?.version ?? 0, row: counted }] }]);
		assert.deepEqual([await why(relay), await why(twin)], [["operator-share"], ["operator-share"]]);
		assert.ok(!(await why(third)).includes("operator-share"));
	});

	it("wait no more once the operator has sixty days behind it, nor where the defence is turned off", async () => {
		await use(await open());
		clock.jump(NEW_OPERATOR_MS);
		// its chores run: another key, and another look at its operators
		await clock.advance(120_000);
		const limitMs = Date.now() + 10_000;
		const openable = () => open().catch(() => undefined);
		let grant = await openable();
		while (!grant && Date.now() < limitMs) {
			await clock.advance(10_000);
			grant = await openable();
		}
		await use(grant ?? assert.fail("the market brought no other key"));
		const waits = (await purses()).waiting ?? 0n;
		clock.jump(DAY_MS + FIRST_WAIT_MS);
		assert.equal(await releaseFirst({ book, clock }), 1, "of the first tab only");
		assert.ok(waits > 0n && waits < 6_000_000n);
		assert.equal((await purses()).earned, 12_000_000n);
		await market.stop();
		await rm(folder, { recursive: true, force: true });
		await start({ rules: { ...RULES, defences: { ...RULES.defences, waiting: false } } });
		await use(await open());
		assert.equal((await purses()).earned, 6_000_000n);
	});
});

describe("operators as funds count them", () => {
	const clock = heldClock();
	const destination = async (book: Book, account: string, to: string) => {
		const before = await book.record("destinations", account);
		const row = {
			key: account,
			account,
			state: "lightning",
			dueMs: 0,
			value: JSON.stringify({ kind: "lightning", to }),
		};
		await book.apply([{ rows: [{ table: "destinations", expect: before?.version ?? 0, row }] }]);
	};
	const setUp = () => {
		const where = { url: "", market: crypto.random(32), clock };
		const book = openMemoryBook();
		const listed = new Map<TestRelay, ReturnType<TestRelay["offer"]>>();
		const hosts = new Map<string, string[]>();
		const all = async () => [...listed.values()] as never;
		const made = makeOperators({
			...{ book, clock, market: where.market, listings: { all } },
			resolve: async (host) => hosts.get(host) ?? [],
		});
		const list = (host: string, change = {}) => {
			const relay = new TestRelay(where);
			listed.set(relay, relay.offer({ url: `wss://${host}`, ...change }));
			return relay;
		};
		const of = async (relay: TestRelay): Promise<OperatorFacts> => {
			await made.look();
			return made.of(listed.get(relay) ?? assert.fail(), clock.nowMs());
		};
		return { book, listed, hosts, list, of };
	};

	it("threat 21: are one by a host, a network or a destination, and stay one for sixty days after they part", async () => {
		const { book, listed, hosts, list, of } = setUp();
		hosts.set("a.example", ["9.9.9.1"]).set("b.example", ["9.9.9.200"]).set("c.example", ["8.8.8.8"]);
		const a = list("a.example");
		const first = await of(a);
		clock.jump(1_000);
		const [b, c, d] = [list("b.example"), list("c.example"), list("d.example")];
		await destination(book, b.operator.id, "x@y.example");
		await destination(book, c.operator.id, "x@y.example");
		assert.deepEqual(
			[(await of(a)).group, (await of(b)).group, (await of(c)).group],
			[first.group, first.group, first.group],
		);
		assert.equal((await of(d)).group, d.operator.id);
		assert.equal((await of(d)).eligibleOperators, 2);
		await destination(book, c.operator.id, "other@y.example");
		hosts.set("b.example", ["7.7.7.7"]);
		clock.jump(NEW_OPERATOR_MS - 1);
		assert.equal((await of(c)).group, first.group);
		clock.jump(2);
		assert.equal((await of(c)).group, c.operator.id);
		assert.equal((await of(b)).group, b.operator.id);
		listed.delete(b);
		assert.equal((await of(d)).eligibleOperators, 3);
	});

	it("count by themselves where the desk decided so, and where they ask too much not at all", async () => {
		const { book, list, of } = setUp();
		const [a, b] = [list("same.example"), list("same.example")];
		list("dear.example", { tariff: { sendPerMb: amount(3_000_000n), storePerMbDay: NOTHING } });
		list("away.example", { takes: false });
		assert.equal((await of(a)).group, (await of(b)).group);
		assert.equal((await of(a)).eligibleOperators, 1);
		await book.apply([{ rows: [await writeApart(book, b.operator.id, clock.nowMs())] }]);
		assert.notEqual((await of(a)).group, (await of(b)).group);
		assert.deepEqual(
			[(await of(b)).eligibleOperators, (await of(b)).agedOperators, (await of(b)).isNewOperator],
			[2, 0, true],
		);
	});

	it("keep what they have in common as hashes: whoever reads the record learns no address and no destination", async () => {
		const { book, hosts, list, of } = setUp();
		hosts.set("a.example", ["9.9.9.1"]);
		const a = list("a.example");
		await destination(book, a.operator.id, "x@y.example");
		await of(a);
		const row = await book.record("findings", `operator:${a.operator.id}`);
		assert.doesNotMatch(row?.value ?? assert.fail(), /example|9\.9\.9/);
		assert.match(row?.value ?? "", /"net:[0-9a-f]{16}"/);
		assert.notEqual(toHex(a.key.publicKey), a.operator.id);
	});
});

describe("addresses of hosts", () => {
	const clock = heldClock();

	it("are asked for once in an hour, and are what they were while nobody knows better", async () => {
		const asked: string[] = [];
		let answer: () => Promise<readonly string[]> = async () => ["9.9.9.9"];
		const resolve = makeResolve(clock, (host) => {
			asked.push(host);
			return answer();
		});
		assert.deepEqual(await resolve("relay.farelay.org"), ["9.9.9.9"]);
		answer = () => Promise.reject(new Error("away"));
		assert.deepEqual(await resolve("relay.farelay.org"), ["9.9.9.9"]);
		assert.equal(asked.length, 1);
		await clock.advance(3_600_000);
		assert.deepEqual(await resolve("relay.farelay.org"), ["9.9.9.9"]);
		answer = async () => ["8.8.8.8"];
		await clock.advance(60_000);
		assert.deepEqual(await resolve("relay.farelay.org"), ["8.8.8.8"]);
		answer = () => Promise.reject(new Error("away"));
		assert.deepEqual(await resolve("other.farelay.org"), []);
		assert.equal(asked.length, 4);
	});

	it("are not asked for where they are addresses already, or names that only a network inside knows", async () => {
		const resolve = makeResolve(clock, () => assert.fail("nobody is asked"));
		assert.deepEqual(await resolve("9.9.9.1"), ["9.9.9.1"]);
		assert.deepEqual(await resolve("[2a02:db8::1]"), ["2a02:db8::1"]);
		for (const inside of ["localhost", "relay.internal", "relay"]) assert.deepEqual(await resolve(inside), []);
	});
});
