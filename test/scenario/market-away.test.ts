import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { after, before, suite, test } from "node:test";
import { isProblem } from "#contracts/problem";
import { bytesSink, bytesSource } from "#sdk/file";
import { until } from "#test/support/sdk";
import { type Resident, Town } from "#test/support/town";

suite("threat 14: the marketplace is away for the whole of a transfer", () => {
	let town: Town;
	let alice: Resident;
	let bob: Resident;
	let card: string;
	const film = new Uint8Array(randomBytes(3_000_000));
	const sink = bytesSink(film.length);
	const texts: string[] = [];
	let earnedBefore = 0n;

	before(async () => {
		town = await Town.open();
		[alice, bob] = await Promise.all([town.person(), town.person()]);
		card = await bob.card();
		// the tab is granted while the market is there
		await alice.send(card, "A film follows.");
		await until(async () => (await town.metric("unredeemed_nanos")) === 0, "the relay is paid so far", 20_000);
		earnedBefore = await town.earned();
		assert.ok(earnedBefore > 0n);
		assert.equal((await town.market.end("SIGKILL")).signal, "SIGKILL");
	});
	after(() => town.end());

	test("a film on a tab that was granted before is sent, kept, fetched and read", async () => {
		await assert.rejects(alice.balance(), { name: "FarelayError" });
		assert.equal((await alice.send(card, bytesSource("film.mp4", film))).tick, "sent");
		let received = false;
		await bob.listen({
			text: ({ text }) => void texts.push(text),
			file: () => sink,
			received: () => {
				received = true;
			},
		});
		await until(() => received, "the film is received", 20_000);
		assert.deepEqual(sink.bytes, film);
	});

	test("the sender's phone is started anew meanwhile, and its tab still works", async () => {
		await alice.close();
		alice = await town.person({ storage: alice.storage });
		await alice.send(card, "Did you like it?");
		await until(() => texts.length === 2, "the text arrives");
		assert.deepEqual(texts, ["A film follows.", "Did you like it?"]);
	});

	test("the relay has tried to hand in its till, and keeps it, through a restart of its own too", async () => {
		await until(async () => (await town.metric("redeem_failures_total")) > 0, "the relay asked the market", 20_000);
		const owed = await town.metric("unredeemed_nanos");
		assert.ok(owed > 1_500_000, `${owed} nano-dollars are owed for three megabytes`);
		assert.equal((await town.relay.end()).code, 0);
		await town.relayAgain();
		assert.equal(await town.metric("unredeemed_nanos"), owed);
	});

	test("once the market is back the relay is paid all of it, and the books hold", async () => {
		const owed = BigInt(await town.metric("unredeemed_nanos"));
		await town.marketAgain();
		await until(async () => (await town.metric("unredeemed_nanos")) === 0, "the relay is paid", 30_000);
		assert.equal(await town.earned(), earnedBefore + owed);
		const [settlement] = await alice.settle();
		assert.ok(settlement?.agreement, JSON.stringify(settlement?.dispute));
		assert.ok(!isProblem(settlement.closed));
		const { used } = settlement.agreement.usage;
		assert.equal(await town.earned(), used.nanos, "what alice signed is what the relay has");
		const [tab] = await town.tabsOf(alice);
		const fees = BigInt(tab?.paid.marketFee ?? 0) + BigInt(tab?.paid.solidarityFee ?? 0);
		assert.equal(await alice.balance(), 1_000_000_000n - used.nanos - fees);
		const report = await town.audit();
		assert.ok(report.holds, report.findings.join("; "));
		assert.equal(report.sum, 0n);
	});
});
