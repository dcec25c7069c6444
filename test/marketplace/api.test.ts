import assert from "node:assert/strict";
import { readdir, readFile } from "node:fs/promises";
import { connect } from "node:net";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import { TRPCError } from "@trpc/server";
import { amount } from "#contracts/amount";
import { readMarketInfo } from "#contracts/market";
import { isProblem } from "#contracts/problem";
import { openLog } from "#host/log";
import { type Context, open, problemOf, router } from "#marketplace/api/trpc";
import { playConfig, readConfig } from "#marketplace/config";
import { startMarketplace } from "#marketplace/main";
import {
	carried,
	clientOf,
	crypto,
	fine,
	Person,
	refusedBy,
	signToken,
	startTestMarket,
	type TestMarket,
	TestRelay,
	toHex,
} from "#test/support/market";

describe("the market's door", () => {
	let market: TestMarket;
	let alice: Person;
	let relay: TestRelay;
	const lines: string[] = [];
	before(async () => {
		const log = openLog({ name: "market", level: "info", to: { write: (line) => void lines.push(line) } });
		market = await startTestMarket({}, { log });
		alice = new Person(market);
		relay = new TestRelay(market);
		await alice.fund(50_000_000n);
		await relay.list();
	});
	after(() => market.end());

	const asks = (token: string | undefined) => clientOf(market.url, () => token).account.balance.query();
	const now = () => market.clock.nowMs();

	it("says who it is, what it charges and by which keys, to anyone and any origin", async () => {
		const response = await fetch(`${market.url}/.well-known/farelay.json`);
		const { info } = fine(readMarketInfo(crypto, await response.json()));
		assert.equal(info.market, toHex(market.market));
		assert.deepEqual([info.rails, info.nowMs], [["play"], now()]);
		assert.equal(response.headers.get("access-control-allow-origin"), "*");
		assert.equal(response.headers.get("access-control-allow-credentials"), null);
	});

	it("threat 9: knows a caller by a token that they signed for this market, a minute at most, and by nothing else", async () => {
		const { account } = alice;
		const iat = Math.floor(now() / 1_000);
		const none = Buffer.from('{"alg":"none"}').toString("base64url");
		const claims = Buffer.from(JSON.stringify({ iss: alice.id, aud: toHex(market.market), iat, exp: iat + 60 }));
		const mallory = new Person(market).account;
		const wrong: Record<string, string | undefined> = {
			"no token": undefined,
			"no token at all": "x",
			"another market": signToken(account, crypto.random(32), now()),
			"another's name": signToken(mallory, market.market, now(), { claims: { iss: alice.id } }),
			"no name": signToken(account, market.market, now(), { claims: { iss: "" } }),
			"a longer life": signToken(account, market.market, now(), { claims: { exp: iat + 61 } }),
			"no end": signToken(account, market.market, now(), { claims: { exp: undefined } }),
			"no id": signToken(account, market.market, now(), { claims: { jti: undefined } }),
			"another algorithm": signToken(account, market.market, now(), { header: { alg: "HS256" } }),
			"an algorithm by its other name": signToken(account, market.market, now(), { header: { alg: "Ed25519" } }),
			"no algorithm": `${none}.${claims.toString("base64url")}.AAAA`,
			"a changed claim": signToken(account, market.market, now()).replace(
				/\.[^.]+\./,
				`.${claims.toString("base64url")}.`,
			),
		};
		for (const [what, token] of Object.entries(wrong)) {
			const refused = await refusedBy(asks(token));
			assert.deepEqual([refused.problem, refused.status], ["unauthorized", 401], what);
		}
		assert.equal((await refusedBy(asks(signToken(account, market.market, now() - 75_000)))).problem, "clock");
		assert.equal((await refusedBy(asks(signToken(account, market.market, now() + 75_000)))).problem, "clock");
		await asks(signToken(account, market.market, now() - 5_000));
	});

	it("threat 22: a token that was seen on its way changes nothing a second time", async () => {
		const token = signToken(alice.account, market.market, now());
		const stolen = clientOf(market.url, () => token);
		await stolen.funding.play.mutate({ id: "first", amount: "1" });
		const again = await refusedBy(stolen.funding.play.mutate({ id: "second", amount: "1" }));
		assert.equal(again.problem, "unauthorized");
	});

	it("threat 18: takes amounts, ids and keys in their one form and no other", async () => {
		const { client } = alice;
		for (const odd of ["-1", "0", "1.5", "1e3", " 1", "01", "0x1", "", "9223372036854775808", "1".repeat(400)])
			assert.equal((await refusedBy(client.funding.play.mutate({ id: "x", amount: odd }))).problem, "malformed", odd);
		assert.equal((await refusedBy(client.funding.play.mutate({ id: "x", amount: 1 as never }))).problem, "malformed");
		for (const id of ["", "a".repeat(65), "a b", "é", "a:b", "\n"])
			assert.equal((await refusedBy(client.funding.play.mutate({ id, amount: "1" }))).problem, "malformed", id);
		const order = { ...alice.order({ relay: relay.key.publicKey }) };
		const open = (change: object) =>
			client.tab.open.mutate({
				tab: toHex(order.tab),
				session: toHex(order.session),
				relay: toHex(order.relay),
				cap: "1",
				tariff: { sendPerMb: "1", storePerMbDay: "1" },
				fees: order.fees,
				lifeMs: 1,
				tranches: [{ fund: "own", cap: "1", payerPpm: 1_000_000 }],
				signature: "00".repeat(64),
				...change,
			} as never);
		for (const change of [
			{ tab: "ab" },
			{ tab: toHex(order.tab).toUpperCase() },
			{ cap: 5 },
			{ cap: "-5" },
			{ tariff: { sendPerMb: "1000000000001", storePerMbDay: "0" } },
			{ fees: { marketPpm: 0.5, solidarityPpm: 0 } },
			{ fees: { marketPpm: -1, solidarityPpm: 0 } },
			{ lifeMs: Number.MAX_SAFE_INTEGER },
			{ more: true },
		])
			assert.equal((await refusedBy(open(change))).problem, "malformed", JSON.stringify(change));
	});

	it("gives play money once for each id, and not without end", async () => {
		const bob = new Person(market);
		assert.equal(await bob.fund(7n, "a"), "7");
		assert.equal(await bob.fund(7n, "a"), "7");
		assert.equal((await refusedBy(bob.fund(8n, "a"))).problem, "conflict");
		assert.equal((await refusedBy(bob.fund(100_000_000_001n))).problem, "malformed");
		for (let i = 0; i < 9; i++) await bob.fund(100_000_000_000n);
		assert.equal((await refusedBy(bob.fund(100_000_000_000n))).problem, "malformed");
	});

	it("plays with made-up money only where nobody else can come", async () => {
		const config = { ...playConfig(market.folder), host: "0.0.0.0" };
		const refused = await startMarketplace(config, {
			clock: market.clock,
			log: openLog({ name: "x", level: "silent" }),
			crypto,
		});
		assert(isProblem(refused) && refused.problem === "usage");
		const read = readConfig({ env: { FARELAY_PLAY: "1", FARELAY_HOST: "::" } });
		assert(
			isProblem(read) ||
				isProblem(
					await startMarketplace(read, { clock: market.clock, log: openLog({ name: "x", level: "silent" }), crypto }),
				),
		);
		const earnest = await startTestMarket({ play: false });
		const bob = new Person(earnest);
		assert.equal((await refusedBy(bob.fund(1n))).problem, "rail-closed");
		await earnest.end();
	});

	it("a port in use is a problem, not a crash", async () => {
		const config = { ...playConfig(join(market.folder, "another")), port: market.port };
		const refused = await startMarketplace(config, {
			clock: market.clock,
			log: openLog({ name: "x", level: "silent" }),
			crypto,
		});
		assert(isProblem(refused) && refused.problem === "port-in-use");
	});

	it("a bare bigint in an answer is an error, not money in a wrong form", async () => {
		const wrong = router({ money: open.query(() => ({ list: [{ nanos: amount(1n) }] })) });
		const caller = wrong.createCaller({} as Context);
		const error = await caller.money().then(
			() => undefined,
			(thrown: unknown) => thrown,
		);
		assert(error instanceof TRPCError);
		assert.match(error.message, /bare bigint in answer\.list\.0\.nanos/);
		assert.deepEqual([problemOf(error).problem, problemOf(error).detail.includes("bigint")], ["internal", false]);
	});

	it("answers whatever it does not understand with a problem, and never with a stack trace", async () => {
		for (const [path, init, status] of [
			["/nothing", {}, 404],
			["/trpc/nothing", {}, 404],
			["/trpc/__proto__", {}, 404],
			["/trpc/tab.open", { method: "POST", body: "{", headers: { "content-type": "application/json" } }, 401],
			[
				"/trpc/tab.open",
				{ method: "POST", body: "x".repeat(40_000), headers: { "content-type": "application/json" } },
				401,
			],
			["/trpc/market.relays?input=%7B", {}, 400],
			["/trpc/market.relays?input=%7B%22limit%22%3A0%7D", {}, 400],
			["/v1/listing", { method: "POST", body: "[]", headers: { "content-type": "application/json" } }, 400],
			[
				"/v1/listing",
				{ method: "POST", body: "x".repeat(5_000), headers: { "content-type": "application/json" } },
				400,
			],
			["/v1/listing", { method: "POST" }, 400],
			["/v1/redeem", { method: "DELETE" }, 404],
			["/%", {}, 404],
		] as const) {
			const response = await fetch(`${market.url}${path}`, init);
			const text = await response.text();
			assert.equal(response.status, status, `${path}: ${text}`);
			const json = JSON.parse(text) as { error?: { data: { problem: unknown } } };
			assert(isProblem(json.error?.data.problem ?? json), text);
			assert(!/\bat \w.*:\d+:\d+|node_modules|\.ts\b/.test(text), text);
			assert.match(response.headers.get("x-request-id") ?? "", /^[0-9a-f-]{36}$/);
		}
	});

	it("threat 22: allows no framing and no sniffing, and only tokens from other origins, never cookies", async () => {
		const response = await fetch(`${market.url}/trpc/market.relays`, { headers: { origin: "https://evil.example" } });
		assert.equal(response.headers.get("x-content-type-options"), "nosniff");
		assert.match(response.headers.get("content-security-policy") ?? "", /frame-ancestors 'self'/);
		assert.equal(response.headers.get("access-control-allow-credentials"), null);
		assert.equal(response.headers.get("set-cookie"), null);
		assert.equal(response.headers.get("x-powered-by"), null);
		const asked = await fetch(`${market.url}/trpc/tab.open`, { method: "OPTIONS" });
		assert.deepEqual(
			[asked.status, asked.headers.get("access-control-allow-headers")],
			[204, "authorization, content-type"],
		);
		const redeem = await fetch(`${market.url}/v1/redeem`, {
			method: "POST",
			headers: { origin: "https://evil.example" },
		});
		assert.equal(redeem.headers.get("access-control-allow-origin"), null);
	});

	it("greets somebody who opens its address in a browser", async () => {
		const answer = await fetch(market.url);
		assert.equal(answer.status, 200);
		assert.match(answer.headers.get("content-type") ?? "", /^text\/plain/);
		assert.match(await answer.text(), /Farelay market/);
	});

	it("says how it is, and what it counts, without a name in it", async () => {
		assert.deepEqual(await (await fetch(`${market.url}/health`)).json(), { ok: true, state: "up", troubles: {} });
		const grant = await alice.open({ relay: relay.key.publicKey });
		const used = carried(1_000);
		await relay.redeem({ tab: grant.tab, voucher: alice.voucher(grant, used), used });
		await fetch(`${market.url}/secret-path-of-${alice.id}`);
		const metrics = await (await fetch(`${market.url}/metrics`)).text();
		assert.match(metrics, /farelay_market_claims_total\{outcome="paid"\} 1/);
		assert.match(metrics, /farelay_market_relays 1/);
		for (const name of [alice.id, relay.id, toHex(grant.tab), "127.0.0.1", "secret-path"])
			assert(!metrics.includes(name));
		const proxied = await fetch(`${market.url}/metrics`, { headers: { "x-forwarded-for": "198.51.100.1" } });
		assert.equal(proxied.status, 401);
	});

	it("asks whoever asks too often to wait, in a form that each kind of client reads", async () => {
		const busy = await startTestMarket({ requestsPerMinuteMax: 2 });
		const bob = new Person(busy);
		await bob.fund(1n);
		await bob.balance();
		const refused = await refusedBy(bob.balance());
		assert.deepEqual([refused.problem, refused.status], ["too-many", 429]);
		assert((refused.retryAfterMs ?? 0) > 0);
		assert.equal((await new TestRelay(busy).list()).status, 429);
		assert.equal((await fetch(`${busy.url}/health`)).status, 200);
		await busy.end();
	});

	it("threat 26: neither log nor disk holds an address, a token or a signed request after all this", async () => {
		const grant = await alice.open({ relay: relay.key.publicKey });
		await alice.close(grant);
		assert(lines.some((line) => line.includes('"route":"/trpc/tab.open"')));
		const kept = lines.filter((line) => !line.includes('"msg":"the market is up"'));
		for (const name of ["127.0.0.1", "::1", "eyJ", "Bearer", alice.id, relay.id, "user-agent", "secret-path"])
			assert.deepEqual(
				kept.filter((line) => line.includes(name)),
				[],
				`${name} is in the log`,
			);
		for (const name of await readdir(market.folder, { recursive: true, withFileTypes: true })) {
			if (!name.isFile()) continue;
			const whole = await readFile(join(name.parentPath, name.name), "latin1");
			// what a relay lists for everybody is no secret
			const bytes = whole.replaceAll(relay.offer().url, "");
			for (const what of ["127.0.0.1", "user-agent", "Bearer"])
				assert(!bytes.includes(what), `${what} in ${name.name}`);
		}
	});

	it("stops in order although somebody holds a connection open, and then is gone", async () => {
		const held = await startTestMarket();
		const socket = connect(held.port, "127.0.0.1");
		await new Promise((resolve) => socket.once("connect", resolve));
		socket.on("error", () => {});
		const closed = new Promise((resolve) => socket.once("close", resolve));
		const ended = held.end();
		await market.clock.advance(0);
		await held.clock.advance(3_000);
		await ended;
		await closed;
		await assert.rejects(fetch(`${held.url}/health`));
	});
});
