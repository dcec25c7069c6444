/** What a dollar is in Bitcoin: exchanges that are asked, and what they can and cannot do to the rate (threat 17). Each is a server on this machine. */

import assert from "node:assert/strict";
import { after, before, beforeEach, describe, it } from "node:test";
import { inspect } from "node:util";
import { isProblem, type Problem, problem } from "#contracts/problem";
import { openSilentLog } from "#host/log";
import { readConfig } from "#marketplace/config";
import { type Agreement, agree, type Quote } from "#marketplace/rate/agree";
import { openRates } from "#marketplace/rate/open";
import { formatPrice, msatPerDollarOf, type Price, parsePrice } from "#marketplace/rate/price";
import type { Rate, Rates } from "#marketplace/rate/rate";
import { gatherRates } from "#marketplace/rate/rates";
import { ANSWER_BYTES_MAX, ANSWER_MS, exchange, type RateSource } from "#marketplace/rate/source";
import { type HeldClock, heldClock } from "#test/support/clock";
import { EXCHANGES, openTickers, says, type Tickers, ticker } from "#test/support/tickers";

let tickers: Tickers;
let clock: HeldClock;
before(async () => {
	tickers = await openTickers();
});
after(() => tickers.close());
beforeEach(() => {
	clock = heldClock();
	for (const name of EXCHANGES) tickers.script(name);
});

/** The price of the middle one of the five files. */
const MIDDLE = parsePrice("64230.10000") ?? 0n;

const ask = (name: string) => exchange(name, { clock, fetch }, tickers.url(name))?.ask();

function open(names = EXCHANGES): Rates {
	const rateSources = names.map((name) => `${name}=${tickers.url(name)}`).join(",");
	const log = openSilentLog();
	const rates = openRates({ rateSources, rateSpreadPpm: 5_000, fixedRate: undefined }, { clock, fetch, log });
	assert.ok(!isProblem(rates), inspect(rates));
	return rates;
}

async function rateOf(rates: Rates): Promise<Rate> {
	const rate = await rates.now();
	assert.ok(!isProblem(rate), inspect(rate));
	return rate;
}

async function refusalOf(rates: Rates): Promise<Problem> {
	const rate = await rates.now();
	assert.ok(
		isProblem(rate),
		JSON.stringify(rate, (_, value) => (typeof value === "bigint" ? `${value}` : value)),
	);
	return rate;
}

/** Every exchange says its price again, as of now. */
function allOfNow(): void {
	for (const name of EXCHANGES) {
		const atMs = clock.nowMs();
		tickers.script(name, says(ticker(name, { atMs }), 200, { atMs }));
	}
}

describe("a price", () => {
	it("is read from text exactly, to the last decimal that a float would lose", () => {
		assert.equal(parsePrice("64231.50000001"), 6_423_150_000_001n);
		assert.equal(parsePrice("90071992.54740993"), 9_007_199_254_740_993n);
		assert.equal(parsePrice("1"), 100_000_000n);
		assert.equal(parsePrice("64216.699999999999999"), 6_421_669_999_999n);
	});

	it("is nothing else: no sign, exponent, separator, space, hex, number, or what no bitcoin costs (threat 18)", () => {
		const odd = [
			"",
			"0",
			"-1",
			"+1",
			"1e5",
			"64,231",
			"64 231",
			" 1",
			"1 ",
			".5",
			"1.",
			"0x10",
			"NaN",
			"Infinity",
			"00001",
		];
		for (const text of [
			...odd,
			"0.99",
			"100000000.01",
			"9999999999",
			`1.${"0".repeat(21)}`,
			"٤",
			64_231.5,
			null,
			{},
			["64231"],
		])
			assert.equal(parsePrice(text), undefined, JSON.stringify(text));
	});

	it("becomes millisatoshi in a dollar, and is shown in dollars", () => {
		assert.equal(msatPerDollarOf(parsePrice("80000") ?? 0n), 1_250_000n);
		assert.equal(msatPerDollarOf(parsePrice("100000000") ?? 0n), 1_000n);
		assert.equal(formatPrice(parsePrice("64231.509") ?? 0n), "$64,231.50");
		assert.equal(formatPrice(parsePrice("1") ?? 0n), "$1.00");
	});
});

describe("an exchange", () => {
	for (const [name, price, atMs] of [
		["coinbase", "64231.5", Date.UTC(2025, 11, 31, 23, 59, 58, 734)],
		["kraken", "64230.1", Date.UTC(2025, 11, 31, 23, 59, 59)],
		["bitstamp", "64225", Date.UTC(2025, 11, 31, 23, 59, 57)],
		["gemini", "64240.19", Date.UTC(2025, 11, 31, 23, 59, 59)],
		["bitfinex", "64216.7", Date.UTC(2025, 11, 31, 23, 59, 59)],
	] as const)
		it(`${name} is understood: its price, and when it was that`, async () => {
			assert.deepEqual(await ask(name), { price: parsePrice(price), atMs });
		});

	it("that writes a price as a number has it read as it is written, not as a float has it", async () => {
		tickers.script("bitfinex", says(ticker("bitfinex", { price: "64216.70000001" })));
		assert.deepEqual(await ask("bitfinex"), {
			price: 6_421_670_000_001n,
			atMs: Date.UTC(2025, 11, 31, 23, 59, 59),
		});
	});

	const euro = (name: string) =>
		ticker(name).replace("XXBTZUSD", "XXBTZEUR").replace('"USD"', '"EUR"').replace('"SPOT"', '"SPOT","pair":"BTC/EUR"');
	for (const name of ["kraken", "gemini", "bitstamp"])
		it(`${name} that answers in another currency is refused (threat 17)`, async () => {
			tickers.script(name, says(euro(name)));
			assert.match(((await ask(name)) as Problem).detail, /does not say what a bitcoin costs in dollars/);
		});

	const nonsense: [string, string][] = [
		["no JSON", "<html>down for maintenance</html>"],
		["nothing", ""],
		["null", "null"],
		["a text", '"64231.5"'],
		["an error in its own words", '{"error":["EGeneral:Too many requests"],"result":{}}'],
		["a price of nothing", ticker("coinbase", { price: "0" })],
		["a negative price", ticker("coinbase", { price: "-64231.5" })],
		["a price with an exponent", ticker("coinbase").replace('"price":"64231.5"', '"price":6.42315e4')],
		["a price in cents", ticker("coinbase", { price: "64231500000" })],
		["a price that is an object", ticker("coinbase").replace('"price":"64231.5"', '"price":{"toString":"64231.5"}')],
		["a price without a time", ticker("coinbase").replace(/,"time":"[^"]*"/, "")],
		["a tower of brackets", "[".repeat(ANSWER_BYTES_MAX)],
		["a key of every object", '{"__proto__":{"price":"64231.5","time":"2025-12-31T23:59:58Z"}}'],
	];
	for (const [what, text] of nonsense)
		it(`that answers ${what} gives no price, and nothing breaks (threat 17)`, async () => {
			tickers.script("coinbase", says(text));
			const answer = await ask("coinbase");
			assert.ok(isProblem(answer));
			assert.deepEqual([answer.problem, answer.spent], ["unavailable", "no"]);
			assert.doesNotMatch(answer.detail, / {4}at |Error|127\.0\.0\.1/);
		});

	for (const [name, what, text] of [
		["bitstamp", "a time with an exponent", ticker("bitstamp").replace('"1767225597"', '"1e9"')],
		["bitstamp", "a time of the year", ticker("bitstamp").replace('"1767225597"', '"2026"')],
		["bitstamp", "no time", ticker("bitstamp").replace('"timestamp":"1767225597",', "")],
		["bitfinex", "a few numbers", "[64214,11.5,64215,9.7,352,0.0055,64216.7]"],
		["bitfinex", "an object with numbers for names", '{"6":64216.7,"length":10}'],
		["gemini", "the volumes of another pair", ticker("gemini").replace('"BTC"', '"ETH"')],
		["kraken", "two pairs of which neither is ours", ticker("kraken").replace("XXBTZUSD", "XETHZUSD")],
	] as const)
		it(`${name} that answers ${what} gives no price (threat 17)`, async () => {
			tickers.script(name, says(text));
			assert.ok(isProblem(await ask(name)));
		});

	it("that refuses us, or sends us elsewhere, is not followed (threat 15)", async () => {
		tickers.script("coinbase", says(ticker("coinbase"), 503));
		assert.match(((await ask("coinbase")) as Problem).detail, /answered with 503/);
		const before = tickers.asked.get("kraken") ?? 0;
		tickers.script("coinbase", says("", 302, { location: tickers.url("kraken") }));
		assert.ok(isProblem(await ask("coinbase")));
		assert.equal(tickers.asked.get("kraken") ?? 0, before);
	});

	it("that says a great deal is cut off, and what it sends is not kept (threat 17)", async () => {
		let ended: (() => void) | undefined;
		const gone = new Promise<void>((done) => {
			ended = done;
		});
		tickers.script("coinbase", (response) => {
			response.writeHead(200);
			const more = (): void => {
				while (!response.destroyed && response.write(" ".repeat(65_536)));
			};
			response.on("drain", more).on("close", () => ended?.());
			more();
		});
		assert.match(((await ask("coinbase")) as Problem).detail, /answers without end/);
		await gone;
	});

	for (const [what, begin] of [
		["never answers", false],
		["begins to answer and stops", true],
	] as const)
		it(`that ${what} is waited for ${ANSWER_MS} ms and no longer (threat 17)`, async () => {
			const asked = new Promise<void>((done) =>
				tickers.script("coinbase", (response) => {
					if (begin) response.write('{"price":');
					done();
				}),
			);
			const answer = ask("coinbase");
			await asked;
			await clock.advance(ANSWER_MS - 1);
			assert.equal(await Promise.race([answer, Promise.resolve("waits")]), "waits");
			await clock.advance(1);
			assert.match(((await answer) as Problem).detail, /did not answer in time/);
		});
});

describe("several exchanges", () => {
	const quote = (source: string, dollars: string, atMs = 0): Quote => ({
		source,
		price: parsePrice(dollars) ?? 0n,
		atMs,
	});

	it("give the middle of what they say, and who they are", async () => {
		const rate = await rateOf(open());
		assert.equal(rate.msatPerDollar, msatPerDollarOf(MIDDLE));
		assert.equal(rate.spreadPpm, 5_000);
		assert.equal(rate.says, "$64,230.10 a bitcoin, the median of coinbase, kraken, bitstamp, gemini, bitfinex");
	});

	it("an even number of them gives the middle between the middle two", () => {
		const agreed = agree([quote("a", "100"), quote("b", "101"), quote("c", "100.5"), quote("d", "101.4")], 0);
		assert.equal(typeof agreed === "string" ? agreed : agreed.price, parsePrice("100.75"));
	});

	for (const lie of ["1", "32115", "63000", "65500", "128460", "99999999"])
		it(`of which one lies (${lie}) are the others' middle: the liar is dropped (threat 17)`, async () => {
			for (const liar of EXCHANGES) {
				for (const name of EXCHANGES)
					tickers.script(name, name === liar ? says(ticker(name, { price: lie })) : undefined);
				const rate = await rateOf(open());
				assert.doesNotMatch(rate.says, new RegExp(liar));
				const off = rate.msatPerDollar - msatPerDollarOf(MIDDLE);
				assert.ok(off * off < 1_000n * 1_000n, `${rate.msatPerDollar}`);
			}
		});

	it("a liar that stays within what exchanges differ by moves the rate less than the honest ones differ (threat 17)", async () => {
		tickers.script("kraken", says(ticker("kraken", { price: "65190" })));
		const rate = await rateOf(open());
		const [low, high] = [msatPerDollarOf(parsePrice("64240.19") ?? 0n), msatPerDollarOf(parsePrice("64216.7") ?? 0n)];
		assert.ok(low <= rate.msatPerDollar && rate.msatPerDollar <= high);
	});

	it("the outlier's edge: 1.5 % counts, a cent more does not", () => {
		const with_ = (price: string) => agree([quote("a", "1000"), quote("b", "1000"), quote("far", price)], 0);
		assert.deepEqual((with_("1015") as Agreement).agreed, ["a", "b", "far"]);
		assert.deepEqual((with_("1015.01") as Agreement).dropped, ["far"]);
		assert.deepEqual((with_("984.99") as Agreement).dropped, ["far"]);
	});

	it("that contradict each other, two against two, give no rate (threat 17)", async () => {
		for (const name of ["coinbase", "kraken"]) tickers.script(name, says(ticker(name, { price: "70000" })));
		const refused = await refusalOf(open(EXCHANGES.slice(0, 4)));
		assert.match(refused.detail, /4 sources contradict each other.*nothing was begun/);
		assert.deepEqual([refused.problem, refused.retry, refused.spent], ["unavailable", true, "no"]);
	});

	it("of which half agree and the others are far to either side give no rate: half is no majority (threat 17)", () => {
		const quotes = [quote("low", "98"), quote("a", "100"), quote("b", "101"), quote("high", "103")];
		assert.equal(agree(quotes, 0), "4 sources contradict each other");
	});

	it("are too few when only two answer", async () => {
		for (const name of ["coinbase", "kraken", "gemini"]) tickers.script(name, says("", 500));
		assert.match((await refusalOf(open())).detail, /only 2 of 3 sources answered/);
	});

	it("of which fewer than two are fresh give no rate, however many are old", () => {
		const old = ["a", "b", "c", "d"].map((name) => quote(name, "1000", 0));
		assert.equal(agree([...old, quote("e", "1000", 61_000)], 61_000), "fewer than 2 sources are fresh");
		const agreed = agree([...old, quote("e", "1000", 61_000), quote("f", "1000", 60_000)], 61_000);
		assert.equal(typeof agreed === "string" ? agreed : agreed.atMs, 60_000);
		const edge = agree([...old.slice(0, 2), quote("e", "1000", 60_000)], 60_000);
		assert.equal(typeof edge === "string" ? edge : edge.atMs, 0, "a minute is fresh");
	});

	it("what is said to be of a time to come counts for nothing, and a clock that is a little ahead makes nothing fresher (threat 17)", () => {
		const quotes = [quote("a", "1000", 60_001), quote("b", "1000", 0), quote("c", "1000", 0)];
		assert.equal(agree(quotes, 0), "only 2 of 3 sources answered");
		const ahead = [quote("a", "1000", 60_000), quote("b", "1000", 60_000), quote("c", "1000", 0)];
		assert.equal((agree(ahead, 0) as Agreement).atMs, 0);
	});

	it("what was said more than five minutes ago counts for nothing", () => {
		const quotes = [quote("a", "1000", 0), quote("b", "1000", 301_000), quote("c", "1000", 301_000)];
		assert.equal(agree(quotes, 300_000 + 1_000), "only 2 of 3 sources answered");
		assert.notEqual(typeof agree(quotes, 300_000), "string");
	});
});

describe("a rate", () => {
	it("is asked for once, however many want it at once, and not again for ten seconds", async () => {
		const rates = open();
		const before = tickers.asked.get("kraken") ?? 0;
		await Promise.all(Array.from({ length: 50 }, () => rates.now()));
		await clock.advance(9_999);
		await rates.now();
		assert.equal((tickers.asked.get("kraken") ?? 0) - before, 1);
		await clock.advance(1);
		const again = new Promise<void>((done) =>
			tickers.script("kraken", (response) => {
				says(ticker("kraken"))(response);
				done();
			}),
		);
		await Promise.all([rates.now(), rates.now()]);
		await again;
		assert.equal((tickers.asked.get("kraken") ?? 0) - before, 2);
	});

	it("is asked for at most every ten seconds, to the millisecond, whether the last time came to anything or not", async () => {
		let asked = 0;
		let price: Price | undefined = MIDDLE;
		const sources = ["a", "b", "c"].map(
			(name): RateSource => ({
				name,
				ask: async () => {
					asked += 1;
					return price === undefined ? problem("unavailable") : { price, atMs: clock.nowMs() };
				},
			}),
		);
		const rates = gatherRates({ clock, log: openSilentLog(), sources, spreadPpm: 5_000 });
		for (const [waitMs, times] of [
			[0, 3],
			[9_999, 3],
			[1, 6],
			[9_999, 6],
			[1, 9],
		] as const) {
			await clock.advance(waitMs);
			await rates.now();
			assert.equal(asked, times, `after ${waitMs} ms more`);
		}
		price = undefined;
		await clock.advance(400_000);
		assert.match((await refusalOf(rates)).detail, /only 0 of 3 sources answered/);
		await refusalOf(rates);
		assert.equal(asked, 12);
		price = MIDDLE;
		await clock.advance(10_000);
		assert.equal((await rateOf(rates)).spreadPpm, 5_000);
	});

	it("leaves no timer behind for a source that has answered", async () => {
		let armed = 0;
		const counting = {
			...clock,
			after: (delayMs: number, run: () => void) => {
				armed += 1;
				const cancel = clock.after(delayMs, run);
				return () => {
					armed -= 1;
					cancel();
				};
			},
		};
		assert.ok(!isProblem(await exchange("kraken", { clock: counting, fetch }, tickers.url("kraken"))?.ask()));
		assert.equal(armed, 0);
	});

	it("that is fresh is answered at once, while one source stalls", async () => {
		const rates = open();
		const first = await rateOf(rates);
		await clock.advance(15_000);
		const asked = new Promise<void>((done) => tickers.script("kraken", () => done()));
		assert.deepEqual(await rateOf(rates), first);
		await asked;
		await clock.advance(ANSWER_MS);
	});

	it("outlives its sources for five minutes at double spread, says so, and then Bitcoin quotes stop (threat 17)", async () => {
		const rates = open();
		const first = await rateOf(rates);
		for (const name of EXCHANGES) tickers.script(name, says("", 500));
		await clock.advance(58_000);
		assert.deepEqual(await rateOf(rates), first);
		await clock.advance(1_000);
		await new Promise(setImmediate);
		await clock.advance(10_000);
		const old = await rateOf(rates);
		assert.equal(old.msatPerDollar, first.msatPerDollar);
		assert.equal(old.spreadPpm, 10_000);
		assert.match(old.says, /70 s ago: .*, so the spread is doubled/);
		await clock.advance(first.atMs + 300_000 - clock.nowMs());
		assert.equal((await rateOf(rates)).spreadPpm, 10_000);
		await clock.advance(1);
		assert.match((await refusalOf(rates)).detail, /not known now/);
		allOfNow();
		await clock.advance(10_000);
		allOfNow();
		assert.equal((await rateOf(rates)).spreadPpm, 5_000);
	});

	it("is not made fresh by a clock that is set back, or old sources believed by one that is", async () => {
		const rates = open();
		await rateOf(rates);
		clock.jump(-3_600_000);
		await clock.advance(10_000);
		assert.match((await refusalOf(rates)).detail, /not known now/);
	});

	it("that is fixed for trying says so, and asks nobody", async () => {
		const before = [...tickers.asked.values()].reduce((sum, times) => sum + times, 0);
		const config = { rateSources: tickers.list, rateSpreadPpm: 5_000, fixedRate: "80000" };
		const rates = openRates(config, { clock, fetch, log: openSilentLog() });
		assert.ok(!isProblem(rates));
		const rate = await rateOf(rates);
		assert.equal(rate.msatPerDollar, 1_250_000n);
		assert.equal(rate.says, "$80,000.00 a bitcoin, fixed for trying: nobody's price");
		assert.equal(
			[...tickers.asked.values()].reduce((sum, times) => sum + times, 0),
			before,
		);
	});

	for (const [rateSources, why] of [
		["coinbase,kraken", /2 are too few; 3 make a median/],
		["coinbase,kraken,kraken", /kraken is there twice/],
		["coinbase,kraken,mtgox", /"mtgox" is none of coinbase, kraken/],
		["coinbase,kraken,toString", /"toString" is none of/],
		["coinbase,kraken,gemini=file:///etc/passwd", /the URL of gemini is none/],
		["", /"" is none of/],
	] as const)
		it(`of "${rateSources}" is a mistake in the settings`, () => {
			const rates = openRates(
				{ rateSources, rateSpreadPpm: 5_000, fixedRate: undefined },
				{ clock, fetch, log: openSilentLog() },
			);
			assert.ok(isProblem(rates));
			assert.equal(rates.problem, "usage");
			assert.match(rates.detail, why);
		});

	it("that is fixed is for play money: with real money a market does not start", () => {
		const flags = { fixedRate: "50000" };
		const refused = readConfig({ flags, env: {} });
		assert.ok(isProblem(refused));
		assert.match(refused.detail, /fixed rate is for play money/);
		assert.ok(!isProblem(readConfig({ flags: { ...flags, play: true }, env: {} })));
	});

	it("that is fixed at nonsense is a mistake in the settings", () => {
		for (const fixedRate of ["0", "-1", "1e5", "much"]) {
			const config = { rateSources: tickers.list, rateSpreadPpm: 5_000, fixedRate };
			assert.ok(isProblem(openRates(config, { clock, fetch, log: openSilentLog() })));
		}
	});
});
