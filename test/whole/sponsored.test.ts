/**
 * A month and some days of a small market, with real processes: two sponsors, three countries, an enroller, twenty people, two relays. Somebody who has nothing sends
 * and receives on a pool, sees what is left and why, and goes on at the need price when it is used up. The date jumps; how long things take does not.
 */

import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { writeFile } from "node:fs/promises";
import { after, before, suite, test } from "node:test";
import { pathToFileURL } from "node:url";
import { amount, NANOS_PER_DOLLAR } from "#contracts/amount";
import { ECONOMIES, needPerMb } from "#contracts/need";
import { isProblem } from "#contracts/problem";
import { type Client, createClient } from "#sdk/client";
import { FarelayError } from "#sdk/error";
import { bytesSink, bytesSource } from "#sdk/file";
import { DAY_MS } from "#test/support/market";
import { Place, type Program } from "#test/support/process";
import { until } from "#test/support/rawclient";

const LATER = pathToFileURL(`${import.meta.dirname}/../support/later.ts`).href;
/** The dearest that funds pay for, $0.002 an MB: so that those with the least cannot pay all of it. */
const ASK = ["--send-per-mb", "2000000", "--store-per-mb-day", "4000"];
const PHOTO_BYTES = 300_000;
const [POOL_A, POOL_B, POOL_C] = ["a", "b", "c"].map((letter) => letter.repeat(32)) as [string, string, string];

type Someone = { readonly client: Client; card: string; readonly mail: string[]; photos: number };

suite("a month in which nobody is priced out, with real processes", () => {
	let place: Place;
	let env: Record<string, string>;
	let aheadMs = 0;
	let market: Program;
	const people: Someone[] = [];

	before(async () => {
		place = await Place.open();
		env = { FARELAY_TEST_AHEAD: place.path("ahead"), NODE_OPTIONS: `--import ${LATER}` };
		// the story begins early in a month, whenever it is told
		const now = new Date();
		aheadMs = Date.UTC(now.getUTCFullYear(), now.getUTCMonth() + 1, 2, 12) - now.getTime();
		await later(0);
	});
	after(async () => {
		await Promise.allSettled(people.map(({ client }) => client.close()));
		await place.end();
	});

	const nowMs = () => Date.now() + aheadMs;
	async function later(days: number): Promise<void> {
		aheadMs += days * DAY_MS;
		await writeFile(place.path("ahead"), String(aheadMs));
		if (days > 0) await listed();
	}
	/** Until both relays have told the market that they are there, by today's date. */
	const listed = () =>
		until("both relays are listed", async () => {
			const { relays } = await farelay("desk", "relays");
			return Array.isArray(relays) && relays.length === 2;
		});
	const farelay = (home: string, ...words: string[]) => place.done(words, { home, market: market.url, env });

	async function person(): Promise<Someone> {
		const client = await createClient({ market: market.url, device: { nowMs } });
		const someone: Someone = { client, card: "", mail: [], photos: 0 };
		people.push(someone);
		return someone;
	}

	/** Makes a card and reads what comes. */
	async function lives(someone: Someone): Promise<void> {
		someone.card = await someone.client.card({});
		await someone.client.listen({
			text: ({ text }) => void someone.mail.push(text),
			file: ({ sizeBytes }) => bytesSink(sizeBytes),
			received: () => void someone.photos++,
		});
	}

	/** Sends a photo, ends the tab, and answers who paid what. */
	async function sends(from: Someone, to: Someone) {
		const cost = await from.client.estimate(to.card, bytesSource("photo.jpg", randomBytes(PHOTO_BYTES)));
		await from.client.send(to.card, bytesSource("photo.jpg", randomBytes(PHOTO_BYTES)));
		const bills = (await from.client.settle()).map(({ closed }) => (isProblem(closed) ? undefined : closed.bill?.bill));
		const sum = (of: "payer" | "commons" | "pools" | "ask" | "marketFee" | "solidarityFee") =>
			bills.reduce((all, bill) => all + (bill?.[of] ?? assert.fail("a tab was closed without its bill")), 0n);
		const paid = { payer: sum("payer"), commons: sum("commons"), pools: sum("pools") };
		assert.equal(paid.payer + paid.commons + paid.pools, sum("ask") + sum("marketFee") + sum("solidarityFee"));
		return { cost, paid };
	}

	test("twenty people of three countries write to each other, two sponsors see what it did, and whoever used up a pool goes on at the need price", async () => {
		const desk = await place.done(["account"], { home: "desk", env });
		// people who all write within a minute, as they do where a month is one, look like one and the same: what is asked of their relay then is told in test/desk
		const more = ["--desk", String(desk.account), "--defences-off", "watching"];
		market = await place.market({ env, more });
		for (const name of ["one", "two"]) {
			const operator = await farelay(name, "account");
			const at = { market: market.url, operator: String(operator.account) };
			await place.relay(at, { data: `relay-${name}`, env, more: ASK });
		}
		await listed();

		// two sponsors: one for a country, one for an enroller's people, and something for the commons
		const clinic = String((await farelay("clinic", "account")).account);
		const pool = async (home: string, id: string, dollars: string, ...rules: string[]) => {
			await farelay(home, "fund", dollars);
			await farelay(home, "pool", "create", "--id", id, ...rules);
			await farelay(home, "pool", "fund", id, dollars);
		};
		await pool("ana", POOL_A, "10", "--day", "1", "--country", "MW", "--person-month", "1", "--person-day", "1");
		await pool("ben", POOL_B, "20", "--day", "2", "--enroller", clinic, "--person-month", "5", "--person-day", "1");
		await pool("ben", POOL_C, "20", "--day", "2", "--rest", "commons");
		await farelay("ben", "pool", "end", POOL_C);
		await farelay("clinic", "enroll", "--apply", "A clinic", "--about", "its own card index");
		await farelay("desk", "market", "desk", "approve", clinic, "--note", "visited");

		// eight by a sponsor's codes, eight by the clinic, four who pay for themselves
		const { codes } = (await farelay("ana", "codes", POOL_A, "--count", "8", "--mb", "1")) as {
			codes: { code: string }[];
		};
		for (const { code } of codes) {
			const { client } = await person();
			await client.passes.say("MW");
			await client.passes.redeem(code);
		}
		for (let n = 0; n < 8; n++) {
			await writeFile(place.path(`checked-${n}`), `patient ${n}`);
			const checked = ["--kind", "clinic-card", "--checked", place.path(`checked-${n}`)];
			const { code } = await farelay("clinic", "enroll", ...checked, "--pool", POOL_B);
			const { client } = await person();
			await client.passes.say("BD");
			await client.passes.redeem(String(code));
		}
		for (let n = 0; n < 4; n++) {
			const { client } = await person();
			await client.passes.say("DE");
			await client.market.api.funding.play.mutate({ id: "start", amount: NANOS_PER_DOLLAR.toString() });
		}
		assert.equal(people.length, 20);
		for (const someone of people) await lives(someone);

		// everybody writes to the next one, and only those four pay
		for (const [n, { client }] of people.entries()) {
			const before = await client.balance();
			await client.send(people[(n + 1) % people.length]?.card ?? "", `from ${n}`);
			await client.settle();
			assert.equal((await client.balance()) < before, n >= 16, `person ${n}`);
		}
		await until("all the mail", () => people.every(({ mail }) => mail.length === 1));

		// somebody with nothing sends photos, week after week, until the month's quota is used up
		const [amina, friend] = people as [Someone, Someone];
		const rich = people.at(-1) as Someone;
		for (let week = 0; week < 3; week++) {
			const { cost, paid } = await sends(amina, friend);
			assert.equal(cost.payer, 0n);
			assert.ok(cost.reasons.some(({ code }) => code === "pool-pays"));
			assert.deepEqual([paid.payer, paid.commons, paid.pools > 0n], [0n, 0n, true]);
			assert.equal(await amina.client.balance(), 0n);
			await later(7);
		}
		await until("three photos", () => friend.photos === 3);
		const { passes } = await amina.client.passes.show();
		const left = (passes[0]?.monthBytes ?? 0n) - (passes[0]?.usedMonth ?? 0n);
		assert.ok(left >= 0n && left < PHOTO_BYTES, `${left} bytes are left`);
		const refused = await amina.client.send(friend.card, bytesSource("photo.jpg", randomBytes(PHOTO_BYTES))).then(
			() => undefined,
			(error: unknown) => (error instanceof FarelayError ? error.problem : undefined),
		);
		assert.deepEqual([refused?.problem, refused?.spent], ["balance-short", "no"]);
		await amina.client.resume();

		// a friend gives her five cents: she goes on at the need price, the commons pay the rest
		await until(
			"the ended pool went on to the commons",
			async () => {
				const page = (await (await fetch(`${market.url}/v1/commons`)).json()) as { left: string };
				return BigInt(page.left) > 15n * NANOS_PER_DOLLAR;
			},
			60_000,
		);
		const gift = await rich.client.gifts.offer(amount(NANOS_PER_DOLLAR / 20n));
		assert.equal(await amina.client.gifts.claim(gift.link), NANOS_PER_DOLLAR / 20n);
		const { cost, paid } = await sends(amina, friend);
		assert.ok(
			cost.reasons.some(({ code }) => code === "quota-used"),
			JSON.stringify(cost.reasons.map(({ code }) => code)),
		);
		const until1st = cost.reasons.find(({ code }) => code === "quota-used")?.untilMs ?? 0;
		assert.ok(until1st > nowMs() && new Date(until1st).getUTCDate() === 1, "she is told when it is refilled");
		assert.ok(cost.reasons.some(({ code }) => code === "need-price"));
		const malawi = ECONOMIES.get("MW") ?? assert.fail();
		const sentMb = Number(cost.sealedBytes) / 1_000_000;
		assert.ok(paid.payer > 0n && Number(paid.payer) <= Number(needPerMb(malawi)) * sentMb + 1, `${paid.payer}`);
		assert.ok(paid.commons > 0n);

		// the next month the pool pays again
		await later(12);
		const again = await sends(amina, friend);
		assert.deepEqual([again.paid.payer, again.paid.commons], [0n, 0n]);

		// what operators earned of it waited, and was paid; the sponsors' reports account for every nano; the book holds
		await until(
			"first earnings came",
			async () => BigInt(String((await farelay("one", "earnings")).earned)) > 0n,
			60_000,
		);
		for (const [home, id] of [
			["ana", POOL_A],
			["ben", POOL_B],
			["ben", POOL_C],
		] as const) {
			await farelay(home, "pool", "report", id, "--out", place.path(`${id}.json`));
			await farelay(home, "verify", place.path(`${id}.json`));
		}
		await place.done(["audit", "--data", place.path("market")], { env });
	});
});
