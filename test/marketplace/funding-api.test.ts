/** Deposits over HTTP, as the SDK asks for them. */

import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import { amount } from "#contracts/amount";
import { crypto as sdkCrypto } from "#host/crypto";
import { createClient } from "#sdk/client";
import { FarelayError } from "#sdk/error";
import { Person, refusedBy, signToken, startTestMarket, type TestMarket } from "#test/support/market";
import { heldRates, type ScriptedRail, scriptedRail } from "#test/support/rail";

const DOLLAR = amount(1_000_000_000n);

describe("funding over HTTP", () => {
	let market: TestMarket;
	let rail: ScriptedRail;
	let closed: ScriptedRail;
	let ada: Awaited<ReturnType<typeof createClient>>;

	before(async () => {
		rail = scriptedRail();
		closed = scriptedRail({ name: "cards", unit: "cent", ranges: { in: { min: 500n, max: 10_000n }, out: undefined } });
		const away = scriptedRail({ name: "out-only", ranges: { in: undefined, out: { min: 1n, max: 2n } } });
		market = await startTestMarket({}, { rails: [rail, closed, away], rates: heldRates() });
		const device = { crypto: sdkCrypto, nowMs: () => market.clock.nowMs() };
		ada = await createClient({ market: market.url, device });
	});
	after(async () => {
		await ada.close();
		await market.end();
	});

	it("names its rails in what it says of itself, and quotes those by which money can come in", async () => {
		const said = (await (await fetch(`${market.url}/.well-known/farelay.json`)).json()) as { rails: string[] };
		assert.deepEqual(said.rails.toSorted(), ["cards", "out-only", "play", "scripted"]);
		const rails = await ada.deposits.rails(DOLLAR);
		assert.deepEqual(rails.map(({ rail: name }) => name).toSorted(), ["cards", "play", "scripted"]);
		const by = Object.fromEntries(rails.map((one) => [one.rail, one]));
		assert.match(by.cards?.refused ?? "", /at least \$5/);
		assert.deepEqual(
			[by.play?.quote?.units, by.play?.quote?.unit, by.play?.quote?.rateSays],
			[DOLLAR, "nano", undefined],
		);
		assert.deepEqual(
			[
				by.scripted?.quote?.units,
				by.scripted?.quote?.credited,
				by.scripted?.quote?.spread,
				by.scripted?.quote?.rateSays,
			],
			[1_005_026n, 1_000_000_870n, 5_025_130n, "a fixed rate"],
		);
	});

	it("begins a deposit, says how to pay it, and what became of it", async () => {
		const begun = await ada.deposits.start({ rail: "scripted", amount: DOLLAR, id: "first" });
		assert.equal(begun.state, "waiting");
		assert(begun.pay?.kind === "invoice");
		assert.deepEqual(await ada.deposits.start({ rail: "scripted", amount: DOLLAR, id: "first" }), begun);
		const reference = [...rail.orders.keys()].at(-1) ?? "";
		rail.comes(reference, begun.quote.units, market.clock.nowMs());
		rail.hint(reference);
		await market.lookAtDeposits();
		const paid = await ada.deposits.settled("first");
		assert.deepEqual([paid.state, paid.credited, paid.pay], ["credited", 1_000_000_870n, undefined]);
		assert.equal(await ada.balance(), 1_000_000_870n);
		const { lines } = await ada.market.api.account.statement.query(undefined);
		assert.deepEqual([lines.length, lines[0]?.cause, lines[0]?.net], [1, "Deposit by scripted", "1000000870"]);
	});

	it("threat 16: goes on after a restart as if there had been none", async () => {
		const begun = await ada.deposits.start({ rail: "scripted", amount: DOLLAR, id: "over" });
		const reference = [...rail.orders.keys()].at(-1) ?? "";
		rail.comes(reference, begun.quote.units, market.clock.nowMs());
		const again = await market.restart();
		await market.clock.advance(5_000);
		await again.lookAtDeposits();
		market = again;
		const other = await createClient({
			market: market.url,
			seed: ada.identity.seed,
			device: { crypto: sdkCrypto, nowMs: () => market.clock.nowMs() },
		});
		assert.equal((await other.deposits.status("over")).state, "credited");
		assert.deepEqual(
			(await other.deposits.list()).map(({ id }) => id),
			["first", "over"],
		);
		assert.deepEqual(
			(await other.deposits.list("first")).map(({ id }) => id),
			["over"],
		);
		await ada.close();
		ada = other;
	});

	it("play money comes by the same way", async () => {
		const before = await ada.balance();
		const deposit = await ada.deposits.start({ rail: "play", amount: DOLLAR });
		assert.deepEqual([deposit.state, deposit.credited], ["credited", DOLLAR]);
		assert.equal(await ada.balance(), before + DOLLAR);
	});

	it("threat 9: nobody sees another's deposit, nor begins one without a token", async () => {
		const bob = new Person(market);
		assert.equal((await refusedBy(bob.client.funding.status.query({ id: "first" }))).problem, "not-found");
		assert.deepEqual((await bob.client.funding.list.query()).deposits, []);
		const answer = await fetch(`${market.url}/trpc/funding.rails?input=${encodeURIComponent('{"amount":"1"}')}`);
		assert.equal(answer.status, 401);
	});

	it("threat 18: takes ids, rails and amounts in their one form and no other", async () => {
		const bob = new Person(market);
		const order = { id: "a", rail: "scripted", amount: "1000000000" };
		const odd = [
			{ id: "" },
			{ id: "x".repeat(33) },
			{ id: "a:b" },
			{ id: "a\n" },
			{ rail: "Scripted" },
			{ amount: "-1" },
		];
		odd.push({ amount: "1.5" }, { amount: "1e9" }, { amount: "0" }, { amount: "9223372036854775807" });
		for (const wrong of odd)
			assert.equal(
				(await refusedBy(bob.client.funding.start.mutate({ ...order, ...wrong }))).problem,
				"malformed",
				JSON.stringify(wrong),
			);
		const elsewhere = await refusedBy(bob.client.funding.start.mutate({ ...order, rail: "out-only" }));
		assert.equal(elsewhere.problem, "rail-closed");
		assert.equal(
			(await refusedBy(bob.client.funding.quote.query({ rail: "nowhere", amount: "1" }))).problem,
			"rail-closed",
		);
	});

	it("threat 12: one address begins so many deposits an hour, however it writes the path; whoever asks from elsewhere goes on", async () => {
		const crowd = await startTestMarket(
			{ depositsPerHourMax: 3, proxies: 1 },
			{ rails: [scriptedRail()], rates: heldRates() },
		);
		try {
			const from = async (address: string, path = "funding.start") => {
				const bob = new Person(crowd);
				const token = signToken(bob.account, crowd.market, crowd.clock.nowMs());
				const headers = {
					"content-type": "application/json",
					"x-forwarded-for": address,
					authorization: `Bearer ${token}`,
				};
				const order = (id: string) => ({ id, rail: "scripted", amount: "1000000000" });
				const body = JSON.stringify(path.includes("batch") ? { 0: order("a"), 1: order("b") } : order("a"));
				return (await fetch(`${crowd.url}/trpc/${path}`, { method: "POST", headers, body })).status;
			};
			for (let i = 0; i < 3; i++) assert.equal(await from("203.0.113.5"), 200);
			for (const path of ["funding.start", "%66unding.start", "x/funding.start", "x%2Fy/funding%2Estart"])
				assert.equal(await from("203.0.113.5", path), 429, path);
			assert.equal(await from("203.0.113.6", "funding.start,funding.start?batch=1"), 400);
			assert.equal(await from("203.0.113.6"), 200);
			for (const path of ["operator.signUp", "operator.payout.now"]) assert.equal(await from("203.0.113.5", path), 429);
			assert.equal(await from("203.0.113.6", "funding.start,operator.payout.now?batch=1"), 400);
			assert.equal(await from("203.0.113.6", "%E0%A4%A"), 400, "a path that is none");
		} finally {
			await crowd.end();
		}
	});

	it("whoever waits for a payment waits on while the market starts anew, and not for ever", async () => {
		const begun = await ada.deposits.start({ rail: "scripted", amount: DOLLAR, id: "patient" });
		let away = 0;
		let waited = 0;
		const patient = await createClient({
			market: market.url,
			seed: ada.identity.seed,
			device: {
				crypto: sdkCrypto,
				nowMs: () => market.clock.nowMs(),
				fetch: (...words) => {
					away -= 1;
					return away >= 0 ? Promise.reject(new TypeError("fetch failed")) : fetch(...words);
				},
				after: (_, run) => {
					waited += 1;
					if (waited === 5) {
						const reference = [...rail.orders.keys()].at(-1) ?? "";
						rail.comes(reference, begun.quote.units, market.clock.nowMs());
						rail.hint(reference);
					}
					const timer = setTimeout(run, 1);
					return () => clearTimeout(timer);
				},
			},
		});
		await patient.balance();
		away = 3;
		assert.equal((await patient.deposits.settled("patient")).state, "credited");
		assert(waited >= 5);
		away = Number.POSITIVE_INFINITY;
		await assert.rejects(
			patient.deposits.settled("patient"),
			(error) => error instanceof FarelayError && error.problem.problem === "unavailable",
		);
		await patient.close();
	});

	it("a market's odd answer is shown to no terminal", async () => {
		const strange = { kind: "invoice", invoice: "ln\u001b[2J" } as const;
		rail.start = async (order) => ({ reference: `odd-${order.id}`, pay: strange, expiresAtMs: order.expiresAtMs });
		await assert.rejects(
			ada.deposits.start({ rail: "scripted", amount: DOLLAR }),
			(error) => error instanceof FarelayError && error.problem.problem === "malformed",
		);
	});
});
