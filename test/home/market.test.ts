/** Drawn homes and readers' totals at a market's door: what is asked, signed, sent again, made up and raced for (threats 1, 4 and 21). */
import assert from "node:assert/strict";
import { afterEach, beforeEach, describe, it } from "node:test";
import { amount } from "#contracts/amount";
import { toHex } from "#contracts/bytes";
import { dayOf, type Received, signReceived } from "#contracts/received";
import { ownTranche } from "#contracts/tranche";
import { openMemoryBoard } from "#marketplace/board/memory";
import { seeRelays } from "#marketplace/home/homes";
import { HOME_RULES } from "#marketplace/home/room";
import { Carried, roomAt } from "#marketplace/home/totals";
import { openMemoryBook } from "#marketplace/ledger/memory";
import { newPass, type Pass, writePassRow } from "#marketplace/pass/pass";
import { quotaAsk, RULES } from "#marketplace/sponsor/rules";
import {
	carried,
	crypto,
	DAY_MS,
	FEES,
	Person,
	startTestMarket,
	TARIFF,
	type TestMarket,
	TestRelay,
} from "#test/support/market";

const MB = 1_000_000n;
const SEED = HOME_RULES.seedBytes;
const POOL = "0b".repeat(16);

/** Two processes of one market, and the book that they share. */
async function open() {
	const book = openMemoryBook();
	const unused = { put: async () => assert.fail(), find: async () => undefined, sweep: async () => 0 };
	const stores = { book, board: openMemoryBoard(), places: { ...unused, close: async () => {} } };
	const market = await startTestMarket({}, stores);
	const other = await startTestMarket({}, { ...stores, clock: market.clock, folder: market.folder });
	return { book, market, other };
}

describe("homes and totals at a market", () => {
	let book: ReturnType<typeof openMemoryBook>;
	let market: TestMarket;
	let other: TestMarket;
	let relays: TestRelay[];
	const byKey = (id: string | undefined) => relays.find((relay) => relay.id === id) as TestRelay;
	/** What a relay has room for, which is said in money: what so many bytes come to, and the market's fee. */
	async function assertRoom(relay: TestRelay, bytes: bigint, says = "room"): Promise<void> {
		const counted = { opened: 0n, relaysOfOperator: 1 };
		const ask = quotaAsk(TARIFF, bytes);
		const parts = { book, fees: FEES, rules: RULES };
		const room = await roomAt(parts, relay.offer(), counted, market.clock.nowMs());
		assert.equal(room, ask + (ask * 20_000n) / 1_000_000n, says);
	}
	const listAll = () => Promise.all(relays.map((relay) => relay.list()));

	beforeEach(async () => {
		({ book, market, other } = await open());
		relays = Array.from({ length: 6 }, () => new TestRelay(market));
		await listAll();
	});
	afterEach(async () => {
		await other.stop();
		await market.stop();
	});

	/** Somebody with a pass. */
	async function enrolled(
		monthBytes = 100n * MB,
		from: "enroller" | "gift" = "enroller",
		tag?: string,
	): Promise<Person> {
		const person = new Person(market);
		await give(person, { monthBytes, from, tag });
		return person;
	}

	async function give(person: Person, change: Partial<Pass>): Promise<void> {
		const validUntilMs = market.clock.nowMs() + 400 * DAY_MS;
		const pass = { ...newPass(person.id, POOL, "enroller"), monthBytes: 100n * MB, validUntilMs, ...change };
		assert.deepEqual(await book.apply([{ rows: [writePassRow(pass)] }]), ["applied"]);
	}

	/** Somebody who paid a relay for so many bytes. */
	async function payer(relay: TestRelay, bytes = 6n * MB): Promise<Person> {
		const person = new Person(market);
		await person.fund(50_000_000n);
		const grant = await person.open({ relay: relay.key.publicKey, cap: amount(20_000_000n) });
		const used = carried(bytes);
		await relay.redeem({ tab: grant.tab, used, voucher: person.voucher(grant, used) });
		return person;
	}

	type Said = Partial<Received> & { readonly relay: Uint8Array; readonly megabytes: number };

	function signed(person: Person, said: Said, name = market.market): string {
		const total = { account: person.account.publicKey, day: dayOf(market.clock.nowMs()), ...said };
		return toHex(signReceived(crypto, name, total, person.account));
	}

	async function post(received: string): Promise<{ megabytes?: number; problem?: string }> {
		const response = await byKey(relays[0]?.id).post("/v1/received", { received });
		return (await response.json()) as { megabytes?: number; problem?: string };
	}

	const say = (person: Person, said: Said) => post(signed(person, said));

	/** Somebody with a pass and the relay that they were drawn. */
	async function settled(monthBytes?: bigint): Promise<{ person: Person; home: TestRelay }> {
		const person = await enrolled(monthBytes);
		const { home } = await person.client.home.draw.mutate({});
		return { person, home: byKey(home?.relay) };
	}

	it("threat 21: thousands of accounts that cost nothing are drawn nothing; nor is whoever was given a friend's quota", async () => {
		for (const person of [...Array.from({ length: 5 }, () => new Person(market)), await enrolled(5n * MB, "gift")])
			assert.deepEqual(await person.client.home.draw.mutate({}), {
				home: null,
				why: "not-yet",
				received: { megabytes: 0, known: "0", paying: "0" },
			});
	});

	it("draws a home for whoever has a pass or paid for a little mail, and the same one however often they ask", async () => {
		for (const person of [await enrolled(), await payer(relays[0] as TestRelay)]) {
			const { home, why } = await person.client.home.draw.mutate({});
			assert.equal(why, "drawn");
			assert.equal(home?.url, "ws://127.0.0.1:9999");
			for (const again of [false, true]) {
				const second = await person.client.home.draw.mutate({ again });
				assert.deepEqual([second.home, second.why], [home, again ? "too-soon" : "has-one"]);
			}
			assert.deepEqual((await person.client.home.get.query()).home, home);
		}
	});

	it("threat 21: keeps a person's home when their pass moves to another account, so that moving is no way to draw again", async () => {
		const tag = "7a".repeat(32);
		const first = await enrolled(100n * MB, "enroller", tag);
		const { home } = await first.client.home.draw.mutate({});
		for (let i = 0; i < 6; i++) {
			const next = await enrolled(100n * MB, "enroller", tag);
			const answer = await next.client.home.draw.mutate({});
			assert.deepEqual([answer.why, answer.home?.relay], ["has-one", home?.relay]);
		}
		const payers = await payer(relays[0] as TestRelay);
		const own = await payers.client.home.draw.mutate({});
		await give(payers, { tag: "7b".repeat(32) });
		assert.equal((await payers.client.home.draw.mutate({})).why, "has-one");
		const moved = await enrolled(100n * MB, "enroller", "7b".repeat(32));
		assert.equal((await moved.client.home.draw.mutate({})).home?.relay, own.home?.relay);
	});

	it("draws once, though two processes are asked at the same time", async () => {
		const person = await enrolled();
		const there = new Person(other);
		Object.assign(there, { seed: person.seed, account: person.account, id: person.id });
		const answers = await Promise.all([person, there, person, there].map((one) => one.client.home.draw.mutate({})));
		assert.equal(new Set(answers.map(({ home }) => home?.relay)).size, 1);
		assert.equal(answers.filter(({ why }) => why === "drawn").length, 1);
	});

	it("draws no relay that asks more than funds pay, or takes nothing, whoever asks", async () => {
		const [dear, paused] = [new TestRelay(market), new TestRelay(market)];
		await dear.list({ tariff: { sendPerMb: amount(2_000_001n), storePerMbDay: amount(0n) } });
		await paused.list({ takes: false });
		for (let i = 0; i < 30; i++) assert.ok((await settled()).home, "one of the others");
	});

	it("counts a total for the room of a home up to the quota of its reader's pass, once, whatever is sent again, falls or is old", async () => {
		const { person, home } = await settled(10n * MB);
		const relay = home.key.publicKey;
		await assertRoom(home, SEED);
		const first = signed(person, { relay, megabytes: 8 });
		assert.deepEqual(await post(first), { megabytes: 8 });
		const after = SEED + 10n * MB;
		await assertRoom(home, after);
		assert.deepEqual(await Promise.all([post(first), post(first)]), [{ megabytes: 8 }, { megabytes: 8 }]);
		assert.deepEqual(await say(person, { relay, megabytes: 9 }), { megabytes: 8 }, "a second one of the day");
		market.clock.jump(DAY_MS);
		assert.deepEqual(await say(person, { relay, megabytes: 5 }), { megabytes: 8 }, "one that fell");
		assert.deepEqual(await post(first), { megabytes: 8 }, "yesterday's");
		await assertRoom(home, after);
		assert.deepEqual(await say(person, { relay, megabytes: 4_000_000_000 }), { megabytes: 4_000_000_000 });
		await assertRoom(home, SEED + 12_500_000n, "no more than the pass");
		assert.deepEqual((await person.client.home.get.query()).received, {
			megabytes: 4_000_000_000,
			known: "10000000",
			paying: "0",
		});
	});

	it("counts anew in the next month, and forgets what was signed for thirty days ago", async () => {
		const { person, home } = await settled(10n * MB);
		const relay = home.key.publicKey;
		await say(person, { relay, megabytes: 50 });
		market.clock.jump(31 * DAY_MS);
		await assertRoom(home, SEED);
		await listAll();
		await say(person, { relay, megabytes: 54 });
		await assertRoom(home, SEED + 5n * MB);
	});

	it("threat 21: counts nothing for a relay that the reader chose themself, for another market, of another day, or by another's word", async () => {
		const { person, home } = await settled();
		const chosen = relays.find(({ id }) => id !== home.id) as TestRelay;
		const mine = { relay: home.key.publicKey, megabytes: 5 };
		assert.equal((await say(person, { relay: chosen.key.publicKey, megabytes: 5 })).problem, "not-found");
		assert.equal((await post(signed(person, mine, crypto.random(32)))).problem, "signature-bad");
		const today = dayOf(market.clock.nowMs());
		for (const day of [today - 2, today + 2, 0xffffffff])
			assert.equal((await say(person, { ...mine, day })).problem, "clock");
		const mallory = new Person(market);
		assert.equal(
			(await post(signed(mallory, { ...mine, account: person.account.publicKey }))).problem,
			"signature-bad",
		);
		assert.equal((await say(mallory, mine)).problem, "not-found");
		for (const body of ["", "00", "zz"]) assert.equal((await post(body)).problem, "malformed");
		for (const relay of relays) await assertRoom(relay, SEED);
	});

	it("threat 21: who counts by what they paid makes no room, not even by paying in a circle; it only explains what others paid", async () => {
		const person = await payer(relays[0] as TestRelay, 20n * MB);
		const { home } = await person.client.home.draw.mutate({});
		const relay = byKey(home?.relay);
		await say(person, { relay: relay.key.publicKey, megabytes: 1_000_000 });
		await assertRoom(relay, SEED);
		const { received } = await person.client.home.get.query();
		assert.equal(received.known, "0");
		// a cent at a relay of one's own home's operator is nothing elsewhere
		const elsewhere = relay.id !== relays[0]?.id;
		assert.equal(received.paying, elsewhere ? ((10_000_000n * 20n * MB) / 2_056_000n).toString() : "0");
	});

	it("takes what payers' own money carried off the quarter that room grows by", async () => {
		const { person, home } = await settled(80n * MB);
		await say(person, { relay: home.key.publicKey, megabytes: 80 });
		await assertRoom(home, SEED + 100n * MB);
		const [carriedHere, carriedThere] = [new Carried(), new Carried()];
		const tab = (bytes: bigint) => ({
			relay: home.id,
			paid: { ...carried(bytes), nanos: amount(7n) },
			tranches: [ownTranche(amount(7n))],
		});
		carriedHere.add(tab(5n * MB));
		carriedThere.add(tab(4n * MB));
		carriedThere.add(tab(6n * MB));
		await Promise.all([carriedHere.write(withClock()), carriedThere.write(withClock())]);
		await carriedThere.write(withClock());
		await assertRoom(home, SEED + 85n * MB);
		carriedHere.add(tab(1_000n * MB));
		await carriedHere.write(withClock());
		await assertRoom(home, SEED + 80n * MB);
	});

	it("draws another home for nothing where a relay was gone for a week, and none while it is only paused or down", async () => {
		await seeRelays({ ...withClock(), listings: listings() });
		const { person, home } = await settled();
		const lost = relays.filter(({ id }) => id !== home.id);
		for (let day = 0; day < 6; day++) {
			market.clock.jump(DAY_MS);
			await Promise.all(lost.map((relay) => relay.list()));
			assert.equal((await person.client.home.draw.mutate({})).why, "has-one", `day ${day}`);
		}
		market.clock.jump(DAY_MS);
		await Promise.all(lost.map((relay) => relay.list()));
		const next = await person.client.home.draw.mutate({});
		assert.equal(next.why, "drawn");
		assert.notEqual(next.home?.relay, home.id);
		assert.equal(next.home?.spentUntilMs, null);
	});

	it("lets half a year pass before another home is drawn for the asking, and takes a month's quota for it", async () => {
		const { person, home } = await settled();
		market.clock.jump(HOME_RULES.redrawMs);
		await listAll();
		const next = await person.client.home.draw.mutate({ again: true });
		assert.equal(next.why, "drawn");
		assert.notEqual(next.home?.relay, home.id);
		assert.equal(next.home?.spentUntilMs, market.clock.nowMs() + HOME_RULES.redrawCostMs);
		assert.equal((await person.client.home.draw.mutate({ again: true })).why, "too-soon");
	});

	it("threat 21: draws nobody a home while most operators are kept off the show, for whoever stays would get all of them", async () => {
		const parts = { ...withClock(), listings: listings() };
		await seeRelays(parts);
		market.clock.jump(8 * DAY_MS);
		await listAll();
		await seeRelays(parts);
		market.clock.jump(16 * 60_000);
		const [stays, ...gone] = relays as [TestRelay, ...TestRelay[]];
		await stays.list();
		const person = await enrolled();
		await assert.rejects(person.client.home.draw.mutate({}), /Fewer than half/);
		await Promise.all(gone.slice(0, 2).map((relay) => relay.list()));
		assert.equal((await person.client.home.draw.mutate({})).why, "drawn");
	});

	const withClock = () => ({ book, clock: market.clock });
	/** Every relay as it is listed, for what a market's chore writes down. */
	const listings = () =>
		({ all: async () => relays.map((relay) => relay.offer()) }) as unknown as Parameters<
			typeof seeRelays
		>[0]["listings"];
});
