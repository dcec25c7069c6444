import assert from "node:assert/strict";
import { mkdtempSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { suite, type TestContext, test } from "node:test";
import { fromHex } from "#contracts/bytes";
import { type Listing, readListing } from "#contracts/listing";
import { isProblem } from "#contracts/problem";
import { crypto } from "#host/crypto";
import { openSilentLog } from "#host/log";
import { openMemoryMailStore } from "#relay/mailbox/memory";
import { type Caps, openCaps } from "#relay/operator/caps";
import { addStates } from "#relay/operator/state";
import { type Held, Throttle } from "#relay/operator/throttle";
import { Traffic } from "#relay/operator/traffic";
import { heldClock } from "#test/support/clock";
import { keys, payload, type RawClient, until } from "#test/support/rawclient";
import { startTestRelay, type TestRelay } from "#test/support/relay";

const TTL_S = 3_600;

function folder(t: TestContext): string {
	const path = mkdtempSync(join(tmpdir(), "farelay-operator-"));
	t.after(() => rmSync(path, { recursive: true, force: true }));
	return path;
}

/** A sender with money on the tab and two handles at one mailbox: 1 keeps, 2 is live only. */
async function pair(relay: TestRelay): Promise<{ alice: RawClient; bob: RawClient }> {
	const mailbox = keys();
	const token = crypto.random(16);
	const bob = await relay.listener(mailbox, 1, token);
	bob.acks = true;
	const alice = await relay.sender();
	alice.put(
		alice.voucherFrame({ bytes: 1_000_000_000n, byteSeconds: 1_000_000_000n * BigInt(TTL_S) }),
		alice.openFrame(1, mailbox.publicKey, TTL_S),
		alice.openFrame(2, mailbox.publicKey, 0, token),
	);
	await until("the credit", () => alice.credits.length > 0);
	return { alice, bob };
}

const listed = (relay: TestRelay): Listing => {
	const bytes = fromHex(relay.market.listings.at(-1)) ?? assert.fail("no listing");
	const listing = readListing(crypto, bytes);
	assert(!isProblem(listing));
	return listing;
};

suite("PROTOCOL: what an operator steers", () => {
	test("a paused relay takes nothing new, charges nothing, delivers what waits, and says so to the market", async (t) => {
		const relay = await startTestRelay(t, { data: folder(t) });
		const { alice, bob } = await pair(relay);
		bob.acks = false;
		alice.put(alice.sendFrame(1, 0, payload(100)));
		await bob.next(66);
		assert.equal(await relay.change({ paused: true }), undefined);
		alice.put(alice.sendFrame(1, 1, payload(100, 1)), alice.sendFrame(2, 2, payload(100, 2)));
		await until("both to be refused", () => alice.refused.size === 2);
		assert.deepEqual(new Set(alice.refused.values()), new Set(["relay-paused"]));
		alice.put(alice.sendFrame(1, 0, payload(100)));
		bob.ack([1, 1]);
		await alice.keptAll(1);
		alice.askUsage();
		assert.equal((await alice.usage()).used.bytes, 100n);
		await until("the market to hear of it", () => !listed(relay).takes);
		assert.equal(relay.state().closed.sends, "relay-paused");
		assert.equal(await relay.change({ paused: false }), undefined);
		alice.put(alice.sendFrame(1, 1, payload(100, 1)), alice.sendFrame(2, 2, payload(100, 2)));
		await until("both to be delivered", () => bob.deliveries.length === 3);
		await until("the market to hear of that", () => listed(relay).takes);
	});

	test("a month's traffic that is used up closes the relay until there is more, and a new month opens it", async (t) => {
		const clock = heldClock(Date.UTC(2026, 10, 30, 23, 59));
		const path = folder(t);
		const counted = 999_900_000;
		writeFileSync(join(path, "traffic.json"), JSON.stringify({ "2026-11": counted }));
		const relay = await startTestRelay(t, { trafficGbMonth: 1, data: path }, { clock });
		const mailbox = keys();
		const bob = await relay.connect();
		bob.put(bob.helloFrame({ atMs: clock.nowMs() }));
		await bob.welcome();
		bob.put(bob.listenFrame(1, mailbox));
		await bob.listening();
		const alice = await relay.connect();
		const session = keys();
		const grant = relay.market.grant(relay.publicKey, session.publicKey, { issuedAtMs: clock.nowMs() - 1 });
		relay.market.certify(clock.nowMs() - 86_400_000);
		alice.put(alice.helloFrame({ grant, session, atMs: clock.nowMs() }));
		await until("an answer", () => alice.frames.length > 0);
		if (alice.problems.length > 0) assert.fail(JSON.stringify(alice.problems));
		alice.put(alice.payFrame(1_000_000, TTL_S), alice.openFrame(1, mailbox.publicKey, TTL_S));
		alice.put(alice.sendFrame(1, 0, payload(1_000)));
		await bob.next(66);
		await clock.advance(500);
		const { usedBytes, month } = relay.state().traffic;
		assert.equal(month, "2026-11");
		assert(usedBytes > counted + 2_000 && usedBytes < counted + 20_000, `${usedBytes} bytes`);
		alice.put(alice.sendFrame(1, 100, payload(60_000)));
		await until("it to be delivered", () => bob.deliveries.length === 2);
		await clock.advance(500);
		alice.put(alice.sendFrame(1, 1, payload(10, 1)));
		await until("a refusal", () => alice.refused.get(1) === "relay-full");
		assert.equal(relay.state().traffic.leftBytes, 0);
		assert.equal(await relay.change({ trafficGbMonth: 2 }), undefined);
		alice.put(alice.sendFrame(1, 1, payload(10, 1)));
		await until("it to be delivered", () => bob.deliveries.length === 3);
		assert.equal(await relay.change({ trafficGbMonth: 1 }), undefined);
		alice.put(alice.sendFrame(1, 2, payload(10, 2)));
		await until("a refusal", () => alice.refused.get(2) === "relay-full");
		await clock.advance(60_000);
		alice.put(alice.sendFrame(1, 2, payload(10, 2)));
		await until("the new month", () => bob.deliveries.length === 4);
		assert.equal(relay.state().traffic.month, "2026-12");
	});

	test("the count of a month survives a crash, too high and never too low, and a clock that jumps over midnight and back", async (t) => {
		const path = folder(t);
		const clock = heldClock(Date.UTC(2026, 10, 30, 23, 30));
		const open = () => new Traffic({ clock, log: openSilentLog(), folder: path });
		const first = open();
		first.add(5_000_000);
		first.sweep();
		await until("the mark", () => statSync(join(path, "traffic.json"), { throwIfNoEntry: false }) !== undefined);
		first.add(3_000_000);
		first.sweep();
		const afterCrash = open();
		assert(afterCrash.usedBytes >= 8_000_000, `${afterCrash.usedBytes}`);
		assert(afterCrash.usedBytes <= 8_000_000 + 64 * 1024 * 1024);
		const before = afterCrash.usedBytes;
		clock.jump(3_600_000);
		assert.equal(afterCrash.usedBytes, 0);
		afterCrash.add(100);
		afterCrash.sweep();
		clock.jump(-3_600_000);
		assert.equal(afterCrash.usedBytes, before, "November is what it was");
		await afterCrash.close();
		const again = open();
		assert.equal(again.usedBytes, before, "an orderly stop leaves the count as it is");
		clock.jump(3_600_000);
		assert(again.usedBytes >= 100);
		writeFileSync(join(path, "traffic.json"), '{"2026-12": -5, "x": 1');
		assert.equal(open().usedBytes, 0);
	});

	test("a disk that is full by its cap takes no more mail, goes on with what is live, and has room again when mail is fetched", async (t) => {
		const store = openMemoryMailStore();
		const relay = await startTestRelay(t, { diskGb: 1 }, { store });
		const { alice, bob } = await pair(relay);
		await bob.end();
		await until("nobody to listen", () => relay.counts.listening === 0);
		alice.put(alice.sendFrame(1, 0, payload(60_000)));
		await alice.keptAll(1);
		assert(relay.state().disk.bytes > 60_000);
		Object.assign(store.kept, { bytes: store.kept.bytes + 1_000_000_000 });
		alice.put(alice.sendFrame(1, 1, payload(10, 1)));
		await alice.keptAll(2);
		alice.put(alice.sendFrame(1, 2, payload(10, 2)), alice.sendFrame(2, 3, payload(10, 3)));
		await until("both to be refused", () => alice.refused.size === 2);
		assert.deepEqual([...alice.refused.values()], ["relay-full", "gone"]);
		Object.assign(store.kept, { bytes: store.kept.bytes - 1_000_000_000 });
		assert.equal(await relay.change({ diskGb: 2 }), undefined);
		alice.put(alice.sendFrame(1, 2, payload(10, 2)));
		await alice.keptAll(3);
	});

	test("what was said last counts: a cap changed live survives a restart until its start setting is another, a pause in any case", async (t) => {
		const path = folder(t);
		const start = { trafficGbMonth: 100, diskGb: 10, bandwidthMbit: 0 };
		const opened = (settings = start) => {
			const caps = openCaps(settings, path);
			assert(!isProblem(caps));
			return caps;
		};
		const caps = opened();
		assert.deepEqual(caps.now, { ...start, paused: false } satisfies Caps);
		assert.equal(await caps.change({ trafficGbMonth: 50, paused: true }), undefined);
		assert.deepEqual(opened().now, { ...start, trafficGbMonth: 50, paused: true });
		assert.deepEqual(opened({ ...start, trafficGbMonth: 70, diskGb: 5 }).now, {
			trafficGbMonth: 70,
			diskGb: 5,
			bandwidthMbit: 0,
			paused: true,
		});
		assert.equal(statSync(join(path, "operator.json")).mode & 0o777, 0o600);
		writeFileSync(join(path, "operator.json"), "{");
		const damaged = openCaps(start, path);
		assert(isProblem(damaged));
		assert.equal(damaged.problem, "data-corrupt", "a relay that was paused does not open by itself");
	});

	test("a change that the disk does not take changes nothing", async (t) => {
		const path = folder(t);
		const caps = openCaps({ trafficGbMonth: 0, diskGb: 0, bandwidthMbit: 0 }, join(path, "gone"));
		assert(!isProblem(caps));
		writeFileSync(join(path, "gone"), "no folder");
		const refused = await caps.change({ paused: true });
		assert.equal(refused?.problem, "disk");
		assert.equal(caps.now.paused, false);
	});

	test("a cap on bandwidth holds in the long run, lets everybody go in turn, and ends when it is lifted", async () => {
		const clock = heldClock();
		let held = 0;
		const throttle = new Throttle(clock, () => held++);
		throttle.set(8);
		const passed = [0, 0, 0];
		const free = new Set<number>();
		const guests: Held[] = passed.map((_, i) => ({ hold: () => void free.delete(i), letGo: () => void free.add(i) }));
		for (const i of passed.keys()) free.add(i);
		// each reads as fast as it is let, the first one twice as much at once
		for (let ms = 0; ms < 10_000; ms += 10) {
			for (const i of [...free]) {
				const bytes = i === 0 ? 65_536 : 32_768;
				passed[i] = (passed[i] ?? 0) + bytes;
				throttle.took(guests[i] as Held, bytes);
			}
			await clock.advance(10);
		}
		const sum = passed.reduce((all, bytes) => all + bytes, 0);
		// a megabyte a second for ten seconds, and what may pass at once
		assert(sum > 9_500_000 && sum < 11_000_000, `${sum} bytes in ten seconds`);
		assert(Math.min(...passed) > sum / 6, `${passed}`);
		assert(held > 50);
		throttle.set(0);
		assert.equal(free.size, 3);
		throttle.took(guests[0] as Held, 1e9);
		assert.equal(free.size, 3);
	});

	test("a cap on bandwidth slows a sender down by its socket, and nothing is lost", async (t) => {
		const relay = await startTestRelay(t, { bandwidthMbit: 8 });
		const { alice, bob } = await pair(relay);
		const begun = performance.now();
		const count = 100;
		for (let i = 0; i < count; i++) alice.put(alice.sendFrame(1, i, payload(16_000, i)));
		await until("all of it", () => bob.deliveries.length === count);
		const ms = performance.now() - begun;
		assert(ms > 1_000, `1.6 MB at a megabyte a second took ${ms} ms`);
		assert(relay.counts.delays.bandwidth > 0);
		assert.equal(await relay.change({ bandwidthMbit: 0 }), undefined);
		for (let i = 0; i < count; i++) alice.put(alice.sendFrame(1, count + i, payload(16_000, i)));
		await until("the rest", () => bob.deliveries.length === 2 * count);
	});

	test("two workers' states add up to one", async (t) => {
		const relay = await startTestRelay(t, { trafficGbMonth: 5 });
		const { alice, bob } = await pair(relay);
		alice.put(alice.sendFrame(1, 0, payload(100)), alice.sendFrame(9, 1, payload(1)));
		await until("it", () => bob.deliveries.length === 1 && alice.refused.size === 1);
		const one = JSON.parse(JSON.stringify(relay.state())) as ReturnType<typeof relay.state>;
		const two = addStates([one, one]);
		assert.equal(two.carried.live, 2 * one.carried.live);
		assert.equal(two.connections.open, 4);
		assert.equal(two.why.find(({ reason }) => reason === "handle-unknown")?.count, 2);
		assert.equal(BigInt(two.money.earned), 2n * BigInt(one.money.earned));
		assert.equal(two.traffic.month, one.traffic.month);
		assert.deepEqual(addStates([one]), one);
	});
});
