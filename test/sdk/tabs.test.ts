import assert from "node:assert/strict";
import { afterEach, beforeEach, suite, test } from "node:test";
import { amount } from "#contracts/amount";
import { toHex } from "#contracts/bytes";
import type { Problem } from "#contracts/problem";
import type { Relay } from "#sdk/card";
import type { Device } from "#sdk/device";
import { FarelayError } from "#sdk/error";
import { bytesSource } from "#sdk/file";
import { type ScriptedRelay, scriptedRelay } from "#test/support/scripted-relay";
import { marketInMemory, type Person, person, type TestMarket, until } from "#test/support/sdk";

const DAY_MS = 86_400_000;

suite("a tab ends while Alice sends", () => {
	let relay: ScriptedRelay;
	let listed: Relay[];
	let market: TestMarket;
	let alice: Person;
	let bob: Person;
	let card: string;
	let people: Person[];
	let renew: (() => void) | undefined;
	let dishonest: Problem[];

	const start = async (given: Parameters<typeof person>[1] = {}): Promise<Person> => {
		const someone = await person(market, { ...given, onDishonest: (_relay, why) => dishonest.push(why) });
		people.push(someone);
		return someone;
	};
	/** A device whose long timers are held by the test. */
	const held: Pick<Device, "after"> = {
		after(delayMs, run) {
			if (delayMs > DAY_MS / 4) {
				renew = run;
				return () => {};
			}
			const timer = setTimeout(run, delayMs);
			return () => clearTimeout(timer);
		},
	};

	beforeEach(async () => {
		[people, dishonest, renew] = [[], [], undefined];
		relay = await scriptedRelay();
		listed = [{ key: relay.key.publicKey, url: relay.url }];
		market = marketInMemory(listed);
		alice = await start({ parts: held });
		bob = await start();
		card = await bob.client.card();
	});
	afterEach(async () => {
		for (const { client } of people) await client.close();
		await relay.close();
		assert.deepEqual(dishonest, []);
	});

	test("the cap is used up: the next tab is opened, the one before is settled for exactly its total, nothing is lost", async () => {
		market.balance = amount(1_000_000n);
		for (let i = 0; i < 30; i += 3) {
			const names = [i, i + 1, i + 2];
			await Promise.all(
				names.map((name) => alice.client.send(card, bytesSource(`${name}`, new Uint8Array(100_000).fill(name)))),
			);
		}
		assert.ok(market.grants.length >= 2, `${market.grants.length} tabs`);
		await alice.client.settle();
		for (const { tab, final } of market.closes) {
			const used = relay.tabs.get(tab)?.used;
			assert.ok(final?.voucher && used);
			assert.deepEqual([final.voucher.bytes, final.voucher.byteSeconds], [used.bytes, used.byteSeconds]);
			assert.ok(final.voucher.nanos <= 1_000_000n);
		}
		assert.equal(market.closes.length, market.grants.length);
		const names = new Set<string>();
		await bob.client.listen({ failed: ({ name }) => void names.add(name) });
		await until(() => names.size === 30, "all thirty files were announced");
	});

	test("threat 24: half of its life is over in the middle of sending: what is under way arrives once, in order", async () => {
		await alice.client.send(card, "0");
		const texts: string[] = [];
		const sends: Promise<unknown>[] = [];
		for (let i = 1; i <= 40; i++) {
			sends.push(alice.client.send(card, `${i}`));
			if (i === 20) renew?.();
			if (i % 10 === 0) await new Promise((resolve) => setImmediate(resolve));
		}
		await Promise.all(sends);
		assert.equal(market.grants.length, 2);
		assert.equal(market.closes.length, 1);
		await bob.client.listen({ text: ({ text }) => void texts.push(text) });
		await until(() => texts.length >= 41, "all arrive");
		assert.deepEqual(
			texts.map(Number),
			Array.from({ length: 41 }, (_, i) => i),
		);
	});

	test("the market is away at half life: the tab goes on, and nothing is refused", async () => {
		await alice.client.send(card, "one");
		market.away = true;
		renew?.();
		const sent = await alice.client.send(card, "two");
		assert.equal(sent.tick, "sent");
		assert.equal(market.grants.length, 1);
	});

	test("the relay is not listed at half life, as when its market has just started: the tab goes on, and nothing is refused", async () => {
		await alice.client.send(card, "one");
		listed.length = 0;
		let later: Promise<unknown> | undefined;
		relay.script.answer = () => {
			if (!later) {
				renew?.();
				later = alice.client.send(card, "three, written while another tab is asked for");
			}
			return undefined;
		};
		await alice.client.send(card, "two");
		await later;
		assert.deepEqual([relay.sends.length, market.grants.length], [3, 1]);
	});

	test("a relay that is paused is not listed: that is said, and that the same can succeed later", async () => {
		const [paused] = listed.splice(0);
		await assert.rejects(alice.client.send(card, "one"), (error) => {
			assert.ok(error instanceof FarelayError);
			const { problem, retry, spent } = error.problem;
			assert.deepEqual({ problem, retry, spent }, { problem: "not-found", retry: true, spent: "no" });
			return true;
		});
		listed.push(paused as Relay);
		assert.equal((await alice.client.send(card, "one")).tick, "sent");
	});

	test("a relay that never answers again: settling ends all the same, and what is under way waits for another tab", async () => {
		await alice.client.send(card, "one");
		relay.script.answer = () => "deaf";
		const sending = assert.rejects(alice.client.send(card, "two"), /settled before the relay answered/);
		await until(() => relay.sends.length === 2, "it is under way");
		assert.equal((await alice.client.settle({ silentMs: 20 })).length, 1);
		await sending;
		assert.equal(market.closes.length, 1);
		assert.equal((await alice.client.waiting()).length, 1);
		relay.script.answer = () => undefined;
		assert.deepEqual(
			(await alice.client.resume()).map(({ tick }) => tick),
			["sent"],
		);
		assert.equal(market.grants.length, 2);
		assert.deepEqual(await alice.client.waiting(), []);
	});

	test("the client is closed while it settles: the settling ends too", async () => {
		await alice.client.send(card, "one");
		relay.script.answer = () => "deaf";
		const sending = assert.rejects(alice.client.send(card, "two"), /closed/);
		await until(() => relay.sends.length === 2, "it is under way");
		const settling = alice.client.settle();
		await alice.client.close();
		await sending;
		await settling;
	});

	test("a tab that an earlier process left is settled for exactly what was used", async () => {
		await alice.client.send(card, "one");
		await alice.client.close();
		const again = await start(alice);
		const [settlement, ...more] = await again.client.settle();
		assert.deepEqual(more, []);
		const used = [...relay.tabs.values()][0]?.used;
		assert.equal(settlement?.agreement?.voucher.bytes, used?.bytes);
		assert.deepEqual(await alice.storage.list("tab/"), []);
		assert.deepEqual(await again.client.settle(), []);
	});

	test("the relay says that the tab is finished: another is opened, and the message goes there", async () => {
		await alice.client.send(card, "one");
		let once = 0;
		relay.script.answer = () => (once++ === 0 ? "tab-finished" : undefined);
		await alice.client.send(card, "two");
		assert.equal(market.grants.length, 2);
	});

	test("the money is short: said before anything is sent, with what is there and what is needed", async () => {
		market.balance = amount(1_000n);
		await assert.rejects(alice.client.send(card, bytesSource("big", new Uint8Array(5_000_000))), (error) => {
			assert.ok(error instanceof FarelayError);
			assert.equal(error.problem.problem, "balance-short");
			assert.match(error.problem.detail, /\$0\.0026.*\$0\.000001/);
			return true;
		});
		assert.equal(relay.sends.length, 0);
		assert.equal(await alice.client.spentToday(), 0n);
	});

	test("threat 9: every tab has a session key of its own, and a restored phone has it again", async () => {
		await alice.client.send(card, "one");
		await alice.client.settle();
		await alice.client.send(card, "two");
		const [first, second] = market.grants;
		assert.ok(first && second);
		assert.notEqual(toHex(first.session), toHex(second.session));
		assert.deepEqual(alice.client.identity.session(second.tab).publicKey, second.session);
	});
});
