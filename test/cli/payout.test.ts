import assert from "node:assert/strict";
import { after, before, suite, test } from "node:test";
import { amount } from "#contracts/amount";
import { fromHex } from "#contracts/bytes";
import { systemClock } from "#host/clock";
import { crypto } from "#host/crypto";
import { openSilentLog } from "#host/log";
import { playConfig } from "#marketplace/config";
import { type RunningMarketplace, startMarketplace } from "#marketplace/main";
import { DoubleLightning, DoubleRail, testRates } from "#test/support/doublerail";
import { carried, fine, Person, TestRelay } from "#test/support/market";
import { assertRefused, Place } from "#test/support/process";
import { until } from "#test/support/rawclient";

suite("farelay payout", () => {
	let place: Place;
	let market: RunningMarketplace;
	const rail = new DoubleRail();
	const lightning = new DoubleLightning();
	const run = (...words: string[]) => place.run(["payout", ...words], { home: "olga", market: market.url });

	before(async () => {
		place = await Place.open();
		const deps = { clock: systemClock, log: openSilentLog(), crypto, rails: [rail], rates: testRates, lightning };
		market = fine(await startMarketplace(playConfig(place.path("market")), deps));
		const { account } = await place.done(["account"], { home: "olga", market: market.url });
		// three dollars for six thousand megabytes
		const where = { url: market.url, market: market.market, clock: systemClock };
		const [alice, relay] = [new Person(where), new TestRelay(where)];
		await alice.fund(4_000_000_000n);
		const operator = fromHex(String(account), 32) ?? assert.fail();
		assert.equal((await relay.list({ operator })).status, 200);
		const grant = await alice.open({ relay: relay.key.publicKey, cap: amount(3_000_000_000n) });
		const used = carried(6_000_000_000n);
		await relay.redeem({ tab: grant.tab, voucher: alice.voucher(grant, used), used });
	});
	after(async () => {
		await market.stop();
		await place.end();
	});

	test("says where nothing goes yet, takes a destination, pays, and lists gross, each fee and net", async () => {
		const fresh = await run();
		assert.match(fresh.out, /^paid to +nowhere yet/m);
		assertRefused(await run("now", "--json"), 1, "not-found");
		const set = await run(
			"set",
			"--to",
			"olga@wallet.example",
			"--threshold",
			"2.50",
			"--fee",
			"0.5",
			"--every",
			"weekly",
		);
		assert.match(set.out, /^paid to +olga@wallet\.example$/m);
		assert.match(set.out, /^when +weekly, from \$2\.50 on$/m);
		assert.match(set.out, /^at most +0\.5 % for the rail$/m);
		const paid = await run("now", "1");
		assert.equal(paid.code, 0, paid.err);
		assert.match(
			paid.out,
			/^\$0\.9\d+ arrived at olga@wallet\.example by [a-z-]+: \$0\.9\d+ less \$0\.0\d+ for the market's exchange/,
		);
		const list = await run("list");
		assert.match(list.out, /rail +gross +market fee +rail fee +net/);
		assert.match(list.out, /sent +olga@wallet\.example +[a-z-]+ +\$0\.9\d+ +\$0\.0\d+ +\$0\.00 +\$0\.9\d+/);
		assert.match((await place.run(["earnings"], { home: "olga", market: market.url })).out, /^paid out {2}\$0\.9/m);
	});

	test("a payout that takes its time is waited for, and no second one begins meanwhile", async () => {
		rail.fates.push("takes its time");
		const asked = place.run(["payout", "now", "1", "--json"], { home: "olga", market: market.url });
		while (rail.told.length < 2) await new Promise((done) => setTimeout(done, 20));
		assertRefused(await run("now", "--json"), 3, "too-many");
		rail.finish("sent");
		const [sent] = (await asked).said;
		assert.equal(sent?.state, "sent");
		assert.equal(rail.paid.length, 2);
	});

	test("one of which the rail never says what became is ended by whoever runs the market, in words that stay with it", async () => {
		const owner = (...words: string[]) => place.run(["market", "payout", ...words, "--data", place.path("market")]);
		assert.match((await owner()).out, /^No payout is under way\.$/m);
		rail.fates.push("is lost");
		rail.word = { state: "unknown", why: "the provider does not have it" };
		const asked = place.run(["payout", "now", "0.5", "--json"], { home: "olga", market: market.url });
		const { id } = await until("the rail to be told", () => rail.told[2]);
		assert.match((await owner()).out, new RegExp(`^${id} {2}(unknown|sending) +\\$0\\.4999\\d+, asked for`, "m"));
		const shown = await owner(id);
		assert.match(shown.out, /^the rail +double was told at .* and says now: unknown: the provider does not have it$/m);
		assert.match(shown.out, /^--sent +may be said now$/m);
		assert.match(shown.out, /^--failed +It could still be paid until /m);
		for (const words of [["--sent"], ["--sent", "--note", "x"], ["--failed", "--sent", "--note", "x"], ["--failed"]])
			assertRefused(await owner(id, ...words), 2, "usage");
		assertRefused(await owner("first"), 2, "usage");
		assertRefused(await owner("ab".repeat(16)), 1, "not-found");
		assertRefused(await owner(id, "--failed", "--note", "gone"), 1, "conflict");
		const ended = await owner(id, "--sent", "--fee", "0", "--note", "it is on the wallet's list");
		assert.equal(ended.code, 0, ended.err);
		assert.match(ended.out, /is sent, by your word\.$/m);
		rail.word = undefined;
		assert.equal((await asked).said.at(-1)?.state, "sent");
		const { payouts } = await place.done(["payout", "list"], { home: "olga", market: market.url });
		const told = (payouts as { payout: string; byHand: string | null }[]).find(({ payout }) => payout === id);
		assert.equal(told?.byHand, "it is on the wallet's list");
	});

	test("a changed destination says until when it waits", async () => {
		const changed = await run("set", "--to", "mallory@evil.example");
		assert.match(changed.out, /it was changed: nothing is paid out before \d{4}-\d\d-\d\d \d\d:\d\d UTC/);
		assertRefused(await run("now", "--json"), 3, "destination-waits");
	});

	test("what makes no sense is refused, and says why", async () => {
		assertRefused(await run("set", "--fee", "200", "--json"), 2, "usage");
		assertRefused(await run("now", "1", "2"), 2, "usage");
		assertRefused(await run("set", "--to", "acct_12345678", "--json"), 1, "rail-closed");
	});
});
