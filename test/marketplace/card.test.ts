import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { after, afterEach, before, describe, it } from "node:test";
import { fromHex } from "#contracts/bytes";
import { LIMIT } from "#contracts/limit";
import type { Problem } from "#contracts/problem";
import { PUBLISHED_BYTES, type PublishedBody, signPublished } from "#contracts/published";
import { openLog } from "#host/log";
import { crypto, startTestMarket, type TestMarket, toHex } from "#test/support/market";

const DAY_MS = 86_400_000;

describe("published cards at the market's door", () => {
	let market: TestMarket;
	before(async () => {
		market = await startTestMarket();
	});
	after(() => market.end());

	const owner = () => crypto.keyPair(crypto.random(32));
	const sealed = () => crypto.random(1_064);
	const said = (pair: ReturnType<typeof owner>, change: Partial<PublishedBody> = {}) =>
		signPublished(
			crypto,
			{ place: pair.publicKey, serial: 1, untilMs: market.clock.nowMs() + 30 * DAY_MS, sealed: sealed(), ...change },
			pair,
		).bytes;

	async function post(path: string, body: unknown, headers: Record<string, string> = {}) {
		const response = await fetch(`${market.url}${path}`, {
			method: "POST",
			headers: { "content-type": "application/json", ...headers },
			body: JSON.stringify(body),
		});
		return {
			status: response.status,
			json: (await response.json()) as { card?: string; ok?: true } & Partial<Problem>,
		};
	}
	const publish = async (bytes: Uint8Array) => {
		const { json } = await post("/v1/card", { card: toHex(bytes) });
		return json.problem ?? "ok";
	};
	const shown = async (pair: ReturnType<typeof owner>) => {
		const { json } = await post("/v1/card/read", { place: toHex(pair.publicKey) });
		return json.problem ?? fromHex(json.card);
	};

	it("keep what an owner signed, show it to whoever asks without a login, and through a restart", async () => {
		const alice = owner();
		const bytes = said(alice);
		assert.equal(bytes.length, PUBLISHED_BYTES);
		assert.equal(await shown(alice), "not-found");
		assert.equal(await publish(bytes), "ok");
		assert.equal(await publish(bytes), "ok", "the same again is a success");
		assert.deepEqual(await shown(alice), bytes);
		market = await market.restart();
		assert.deepEqual(await shown(alice), bytes);
	});

	it("are replaced by a higher serial of the same owner and by nothing else", async () => {
		const [alice, mallory] = [owner(), owner()];
		const first = said(alice, { serial: 5 });
		await publish(first);
		assert.equal(await publish(said(alice, { serial: 4 })), "conflict");
		assert.equal(await publish(said(alice, { serial: 5 })), "conflict", "the same serial with other bytes");
		assert.equal(await publish(said(mallory, { serial: 6, place: alice.publicKey })), "signature-bad");
		assert.equal(await publish(randomBytes(PUBLISHED_BYTES).fill(9, 0, 1)), "version-unknown");
		assert.equal(await publish(first.slice(0, -1)), "malformed");
		assert.deepEqual(await shown(alice), first);
		const next = said(alice, { serial: 6 });
		assert.equal(await publish(next), "ok");
		assert.deepEqual(await shown(alice), next);
		assert.equal(await publish(first), "conflict", "and never back");
	});

	it("are taken back by their owner, and what was there cannot be put back as long as it could pass for new", async () => {
		const alice = owner();
		const first = said(alice, { serial: 1, untilMs: market.clock.nowMs() + 40 * DAY_MS });
		await publish(first);
		const short = market.clock.nowMs() + DAY_MS;
		assert.equal(await publish(said(alice, { serial: 2, sealed: undefined, untilMs: short })), "ok");
		assert.equal(await shown(alice), "not-found");
		market.clock.jump(2 * DAY_MS);
		await market.clock.advance(60_000);
		market = await market.restart();
		assert.equal(await publish(first), "conflict", "its withdrawal is over, and still remembered");
		assert.equal(await shown(alice), "not-found");
		market.clock.jump(38 * DAY_MS);
		await market.clock.advance(60_000);
		assert.equal(
			await publish(said(alice, { serial: 1 })),
			"ok",
			"until all of it is over, and the place is forgotten",
		);
	});

	it("are over when their owner said, and last no longer than the bound", async () => {
		const alice = owner();
		const nowMs = market.clock.nowMs();
		assert.equal(await publish(said(alice, { untilMs: nowMs })), "clock");
		assert.equal(
			await publish(said(alice, { untilMs: nowMs + LIMIT.publishedMsMax + LIMIT.requestAgeMsMax + 1 })),
			"clock",
		);
		await publish(said(alice, { untilMs: nowMs + DAY_MS }));
		market.clock.jump(DAY_MS - 1);
		assert.notEqual(await shown(alice), "not-found");
		market.clock.jump(1);
		assert.equal(await shown(alice), "not-found");
	});

	it("have a page for browsers, and an open door for web apps", async () => {
		const page = await fetch(`${market.url}/card`);
		assert.equal(page.status, 200);
		assert.match(await page.text(), /contact card/);
		for (const path of ["/v1/card", "/v1/card/read"]) {
			const asked = await fetch(`${market.url}${path}`, { method: "OPTIONS" });
			assert.equal(asked.headers.get("access-control-allow-origin"), "*");
			assert.equal((await post(path, { nothing: 1 })).status, 400);
			assert.equal((await post(path, { card: "0".repeat(5_000) })).status, 400);
		}
	});
});

describe("threat 12: a flood of published cards", () => {
	let market: TestMarket;
	afterEach(() => market?.end());

	const publication = () => {
		const pair = crypto.keyPair(crypto.random(32));
		const untilMs = market.clock.nowMs() + DAY_MS;
		const { bytes } = signPublished(
			crypto,
			{ place: pair.publicKey, serial: 1, untilMs, sealed: crypto.random(1_064) },
			pair,
		);
		return bytes;
	};

	it("takes what one address may publish in an hour, and no more; others go on publishing, and everybody goes on reading", async () => {
		market = await startTestMarket({ cardsPerHourMax: 3, proxies: 1 });
		const from = async (address: string, path = "/v1/card", body: object = { card: toHex(publication()) }) => {
			const headers = { "content-type": "application/json", "x-forwarded-for": address };
			return (await fetch(`${market.url}${path}`, { method: "POST", headers, body: JSON.stringify(body) })).status;
		};
		for (let i = 0; i < 3; i++) assert.equal(await from("203.0.113.5"), 200);
		assert.equal(await from("203.0.113.5"), 429);
		assert.equal(await from("203.0.113.6"), 200);
		assert.equal(await from("203.0.113.5", "/v1/card/read", { place: "00".repeat(32) }), 404);
		for (let i = 0; i < 3; i++) assert.equal(await from(`2001:db8::${i}`), 200);
		assert.equal(await from("2001:db8::ffff:1"), 429, "a network of one customer is one address");
	});

	it("threat 26: and a busy reader leave no place, no address and no card in any log", async () => {
		const lines: string[] = [];
		const log = openLog({ name: "market", level: "trace", to: { write: (line: string) => void lines.push(line) } });
		market = await startTestMarket({}, { log });
		const bytes = publication();
		const place = toHex(bytes.slice(1, 33));
		for (const [path, body] of [
			["/v1/card", { card: toHex(bytes) }],
			["/v1/card/read", { place }],
		] as const)
			await fetch(`${market.url}${path}`, {
				method: "POST",
				headers: { "content-type": "application/json" },
				body: JSON.stringify(body),
			});
		const said = lines.filter((line) => line.includes("/v1/card"));
		assert.equal(said.length, 4, "each was asked, and answered");
		const base64 = Buffer.from(place, "hex").toString("base64");
		for (const secret of [place, base64, toHex(bytes.slice(60, 80)), "127.0.0.1"])
			assert.ok(!said.join("").includes(secret), secret);
	});
});
