/** An app whose developer pays for its users, told with a pool, the app's own server, a user, somebody who is none, and a thief. */

import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import { amount } from "#contracts/amount";
import { APP_PASS_BYTES, APP_PASS_MS_MAX, type AppPass, readAppPass, signAppPass } from "#contracts/apppass";
import { fromHex } from "#contracts/bytes";
import type { KeyPair } from "#contracts/identity";
import { isProblem } from "#contracts/problem";
import { createClient } from "#sdk/client";
import { heldClock } from "#test/support/clock";
import {
	crypto,
	fine,
	Person,
	refusedBy,
	startTestMarket,
	TARIFF,
	type TestMarket,
	TestRelay,
	toHex,
} from "#test/support/market";

const POOL = "d4".repeat(16);
const MB = 1_000_000n;

describe("a pass that an app signs", () => {
	const clock = heldClock(Date.UTC(2026, 8, 7, 12));
	const app: KeyPair = crypto.keyPair(crypto.random(32));
	let market: TestMarket;
	let relay: TestRelay;
	let sponsor: Person;
	let user: Person;
	const rules = {
		...{ countries: [], enrollers: [], monthBytes: (20n * MB).toString(), dayBytes: (20n * MB).toString() },
		...{ dayLimit: "5000000000", fromMs: clock.nowMs(), app: toHex(app.publicKey) },
	};

	before(async () => {
		market = await startTestMarket({}, { clock });
		relay = new TestRelay(market);
		await relay.list();
		[sponsor, user] = [new Person(market), new Person(market)];
		await sponsor.fund(20_000_000_000n);
		await sponsor.client.pool.create.mutate({ pool: POOL, rules, rest: "back" });
		await sponsor.client.pool.fund.mutate({ pool: POOL, id: "one", amount: "10000000000" });
	});
	after(() => market.end());

	function signed(account: Uint8Array, change: Partial<AppPass> = {}, key = app): Uint8Array {
		const issuedAtMs = clock.nowMs();
		const pool = fromHex(POOL) ?? assert.fail();
		const times = { issuedAtMs, validUntilMs: issuedAtMs + 3_600_000 };
		return signAppPass(crypto, { market: market.market, pool, account, ...times, ...change }, key).bytes;
	}
	const bring = (who: Person, pass: Uint8Array) => who.client.pool.useApp.mutate({ pass: toHex(pass) });
	const fundsOf = async (who: Person): Promise<string[]> => {
		const tariff = { sendPerMb: TARIFF.sendPerMb.toString(), storePerMbDay: TARIFF.storePerMbDay.toString() };
		const quote = await who.client.tab.quote.query({ relay: relay.id, cap: "1000000", tariff });
		return quote.tranches.map(({ fund }) => fund);
	};

	it("pays for its user until it has ended, and another is brought", async () => {
		assert.deepEqual(await fundsOf(user), ["own"]);
		const pass = signed(user.account.publicKey);
		const had = await bring(user, pass);
		assert.deepEqual([had.pool, had.validUntilMs], [POOL, clock.nowMs() + 3_600_000]);
		assert.deepEqual(await bring(user, pass), had);
		assert.deepEqual(await fundsOf(user), ["pool"]);
		clock.jump(3_600_000);
		await relay.list();
		assert.deepEqual(await fundsOf(user), ["own"]);
		assert.equal((await refusedBy(bring(user, pass))).problem, "grant-expired");
		await bring(user, signed(user.account.publicKey));
		assert.deepEqual(await fundsOf(user), ["pool"]);
	});

	it("is nobody else's, of no other market, pool or key, and of no time that has not come or is too long", async () => {
		const thief = new Person(market);
		const own = thief.account.publicKey;
		const codeOf = async (pass: Uint8Array): Promise<string> => (await refusedBy(bring(thief, pass))).problem;
		assert.equal(await codeOf(signed(user.account.publicKey)), "unauthorized");
		assert.equal(await codeOf(signed(own, {}, thief.account)), "unauthorized");
		assert.equal(await codeOf(signed(own, { market: own })), "grant-unknown-market");
		assert.equal(await codeOf(signed(own, { pool: new Uint8Array(16).fill(9) })), "not-found");
		const nowMs = clock.nowMs();
		assert.equal(await codeOf(signed(own, { issuedAtMs: nowMs + 120_000, validUntilMs: nowMs + 130_000 })), "clock");
		assert.equal(await codeOf(signed(own, { validUntilMs: nowMs + APP_PASS_MS_MAX + 1 })), "malformed");
		assert.equal(await codeOf(signed(own, { validUntilMs: nowMs })), "malformed");
		const good = signed(own);
		const forged = good.slice();
		forged[APP_PASS_BYTES - 1] = (forged[APP_PASS_BYTES - 1] ?? 0) ^ 1;
		assert.equal(await codeOf(forged), "signature-bad");
		for (const bytes of [good.slice(1), new Uint8Array(0), new Uint8Array([...good, 0])])
			assert.ok(isProblem(readAppPass(crypto, bytes)));
		assert.deepEqual(await fundsOf(thief), ["own"]);
	});

	it("the SDK asks the app for one and brings it before it asks who would pay; an app that has none keeps nobody from sending", async () => {
		let asked = 0;
		const options = { market: { url: market.url, key: toHex(market.market) }, device: { nowMs: () => clock.nowMs() } };
		const client = await createClient({
			...options,
			appPass: async (account) => {
				asked += 1;
				return signed(account);
			},
		});
		for (let n = 0; n < 2; n++) {
			const quote = fine(await client.market.quote(relay.key.publicKey, amount(1_000_000n), TARIFF));
			assert.deepEqual(
				quote.tranches.map(({ fund }) => fund),
				["pool"],
			);
		}
		assert.equal(asked, 1);
		await client.close();
		const other = await createClient({ ...options, appPass: async () => Promise.reject(new Error("away")) });
		const quote = fine(await other.market.quote(relay.key.publicKey, amount(1_000_000n), TARIFF));
		assert.deepEqual(
			quote.tranches.map(({ fund }) => fund),
			["own"],
		);
		await other.close();
	});
});
