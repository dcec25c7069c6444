import assert from "node:assert/strict";
import { suite, test } from "node:test";
import WebSocket from "ws";
import { writeEmpty } from "#contracts/control";
import { FRAME, frame } from "#contracts/frame";
import { signGrant } from "#contracts/grant";
import { readClock, readWelcome } from "#contracts/handshake";
import { isProblem } from "#contracts/problem";
import { clientAddress, readNetworks } from "#host/address";
import { crypto } from "#host/crypto";
import { heldClock } from "#test/support/clock";
import { keys, payload, RawClient, until } from "#test/support/rawclient";
import { startTestRelay } from "#test/support/relay";

const MINUTE_MS = 60_000;

suite("PROTOCOL: Hello", () => {
	test("the welcome is signed, answers this hello, and holds the payer's own newest voucher", async (t) => {
		const relay = await startTestRelay(t);
		const alice = await relay.sender();
		assert.deepEqual((await alice.welcome()).tab, { used: { bytes: 0n, byteSeconds: 0n }, voucher: undefined });
		alice.put(alice.payFrame(65_536));
		await until("the credit", () => alice.credits[0]);
		const again = await relay.connect();
		again.put(again.helloFrame({ grant: alice.grant, session: alice.session }));
		const welcome = await again.welcome();
		assert.equal(welcome.tab?.voucher?.bytes, 65_536n);
		const { body } = await again.next(FRAME.welcome);
		assert.ok(isProblem(readWelcome(crypto, body, keys().publicKey, again.hello)));
		assert.ok(isProblem(readWelcome(crypto, body, relay.publicKey, alice.hello)));
	});

	test("threat 11: a hello that was seen before is refused, on any connection", async (t) => {
		const relay = await startTestRelay(t);
		const alice = await relay.connect();
		const hello = alice.helloFrame();
		alice.put(hello);
		await alice.welcome();
		const thief = await relay.connect();
		thief.hello = alice.hello;
		thief.put(hello);
		const bye = await thief.problem("hello-replayed");
		assert.equal(bye.retry, true);
		assert.equal((await thief.gone()).code, 4004);
	});

	test("threat 11: a nonce is remembered for as long as its hello could be taken", async (t) => {
		const clock = heldClock(Date.now());
		const relay = await startTestRelay(t, {}, { clock });
		// at the very end of a generation of nonces
		await clock.advance(6 * MINUTE_MS - 1);
		const alice = await relay.connect();
		const hello = alice.helloFrame({ atMs: clock.nowMs() + MINUTE_MS });
		alice.put(hello);
		await alice.welcome();
		// others come in meanwhile, so that old nonces are forgotten as time goes on
		for (const laterMs of [1, MINUTE_MS - 2, 1, MINUTE_MS - 2, 1]) {
			await clock.advance(laterMs);
			const other = await relay.connect();
			other.put(other.helloFrame({ atMs: clock.nowMs() }));
			await other.welcome();
		}
		const thief = await relay.connect();
		thief.put(hello);
		await thief.problem("hello-replayed");
	});

	test("threat 9: a wrong clock is answered with the relay's signed time, both ways", async (t) => {
		const relay = await startTestRelay(t);
		for (const offMs of [-61_000, 61_000]) {
			const alice = await relay.connect();
			alice.put(alice.helloFrame({ atMs: Date.now() + offMs }));
			await alice.problem("clock");
			const time = readClock(crypto, (await alice.next(FRAME.clock)).body, relay.publicKey, alice.hello);
			assert(typeof time === "number");
			assert.ok(Math.abs(time - Date.now()) < 10_000);
			const corrected = await relay.connect();
			corrected.put(corrected.helloFrame({ atMs: time }));
			await corrected.welcome();
		}
	});

	test("threat 11: a hello stamped before the relay started is refused, with the time to make a new one", async (t) => {
		const relay = await startTestRelay(t);
		const alice = await relay.connect();
		alice.put(alice.helloFrame({ atMs: Date.now() - 20_000 }));
		await alice.problem("hello-replayed");
		await alice.next(FRAME.clock);
	});

	test("threat 23: a hello for another relay is refused here", async (t) => {
		const relay = await startTestRelay(t);
		const alice = await relay.connect();
		alice.put(alice.helloFrame({ relay: keys().publicKey }));
		await alice.problem("signature-bad");
	});

	test("threat 9: a grant with another session key, for another relay, expired, forged or of another market opens nothing", async (t) => {
		const relay = await startTestRelay(t);
		const { market } = relay;
		const session = keys();
		const own = market.grant(relay.publicKey, session.publicKey);
		const elsewhere = { ...own, market: keys().publicKey };
		const cases = [
			["signature-bad", own, keys()],
			["grant-other-relay", market.grant(keys().publicKey, session.publicKey), session],
			["grant-expired", market.grant(relay.publicKey, session.publicKey, { lifeMs: 100_000 }), session],
			["grant-unknown-market", signGrant(crypto, own, keys()), session],
			["grant-unknown-market", signGrant(crypto, elsewhere, market.online), session],
		] as const;
		for (const [code, grant, by] of cases) {
			const alice = await relay.connect();
			alice.put(alice.helloFrame({ grant, session: by }));
			await alice.problem(code);
			await alice.gone();
		}
		const bent = own.bytes.slice();
		bent[150] = (bent[150] as number) ^ 1;
		const alice = await relay.connect();
		alice.put(alice.helloFrame({ grant: { ...own, bytes: bent }, session }));
		await alice.gone();
		assert.equal(alice.of(FRAME.welcome).length, 0);
	});

	test("a grant signed by a key that is newer than what the relay knows is taken once it has asked", async (t) => {
		const clock = heldClock(Date.now());
		const relay = await startTestRelay(t, {}, { clock });
		relay.market.online = keys();
		relay.market.certify();
		await clock.advance(6_000);
		const session = keys();
		const grant = relay.market.grant(relay.publicKey, session.publicKey);
		const alice = await relay.connect();
		alice.put(alice.helloFrame({ grant, session, atMs: clock.nowMs() }));
		const bye = await alice.problem("grant-unknown-market");
		assert.equal(bye.retry, true);
		let welcomed = false;
		for (let i = 0; i < 50 && !welcomed; i++) {
			const again = await relay.connect();
			again.put(again.helloFrame({ grant, session, atMs: clock.nowMs() }));
			await until("an answer", () => again.of(FRAME.welcome)[0] ?? again.closed);
			welcomed = again.of(FRAME.welcome).length > 0;
			await again.end();
		}
		assert.ok(welcomed);
	});

	test("a second hello ends the connection", async (t) => {
		const relay = await startTestRelay(t);
		const alice = await relay.reader();
		alice.put(alice.helloFrame());
		await alice.problem("hello-again");
	});
});

suite("PROTOCOL: Transport", () => {
	test("threat 11: a socket that never says hello is closed, one that is silent too; one that pings is not", async (t) => {
		const clock = heldClock(Date.now());
		const relay = await startTestRelay(t, {}, { clock });
		const mute = await relay.connect();
		const idle = await relay.reader();
		const alive = await relay.reader();
		await clock.advance(11_000);
		assert.equal((await mute.gone()).code, 4003);
		for (let i = 0; i < 3; i++) {
			alive.ping(i);
			await alive.next(FRAME.pong, i);
			await clock.advance(50_000);
		}
		assert.equal((await idle.gone()).code, 4011);
		assert.equal(alive.closed, undefined);
	});

	test("threat 11: connections are bounded by address and over all, with and without a hello, and their places come free again", async (t) => {
		const from = (relay: { port: number; publicKey: Uint8Array }, address: string) => {
			const headers = { "x-forwarded-for": `10.0.0.1, ${address}` };
			const client = new RawClient(`ws://127.0.0.1:${relay.port}`, relay.publicKey, undefined, headers);
			t.after(() => client.ws.terminate());
			return client;
		};
		const trustProxy = "loopback";
		const relay = await startTestRelay(t, {
			trustProxy,
			limits: { strangersPerAddressMax: 3, connectionsPerAddressMax: 4, acceptsPerAddressMax: 1_000 },
		});
		const mine = ["2001:db8:0:7::1", "2001:db8:0:7::2", "2001:DB8::7:ffff:1:2:3"];
		const strangers = mine.map((address) => from(relay, address));
		await Promise.all(strangers.map((stranger) => stranger.opened()));
		await from(relay, "2001:db8:0:7:8::9").gone();
		assert.equal(relay.counts.doors["address-strangers"], 1, "one network, whatever its last half and its spelling");
		for (const stranger of strangers) {
			stranger.put(stranger.helloFrame());
			await stranger.welcome();
		}
		const fourth = from(relay, "2001:db8:0:7::4");
		await fourth.opened();
		await from(relay, "2001:db8:0:7::5").gone();
		assert.equal(relay.counts.doors["address-connections"], 1);
		await from(relay, "2001:db8:0:8::1").opened();
		await fourth.end();
		await until("its place to be free", () => relay.counts.open === 4);
		await from(relay, "2001:db8:0:7::5").opened();
		const hasty = await startTestRelay(t, { trustProxy, limits: { acceptsPerAddressMax: 1 } });
		await from(hasty, "203.0.113.1").opened();
		const [again] = [from(hasty, "203.0.113.1"), await from(hasty, "203.0.113.2").opened()];
		await again.gone();
		assert.equal(hasty.counts.doors["address-rate"], 1);
		const few = await startTestRelay(t, { limits: { strangersMax: 1 } });
		await few.connect();
		await new RawClient(`ws://127.0.0.1:${few.port}`, few.publicKey).gone();
		const full = await startTestRelay(t, { limits: { connectionsMax: 1 } });
		await full.reader();
		await new RawClient(`ws://127.0.0.1:${full.port}`, full.publicKey).gone();
		const quick = await startTestRelay(t, { limits: { acceptsPerSecondMax: 1 } });
		await quick.reader();
		await new RawClient(`ws://127.0.0.1:${quick.port}`, quick.publicKey).gone();
		assert.deepEqual([few.counts.doors.strangers, full.counts.doors.connections, quick.counts.doors.rate], [1, 1, 1]);
	});

	test("threat 11: where too many are silent the one that is silent for longest gives way to a new one", async (t) => {
		const clock = heldClock(Date.now());
		const relay = await startTestRelay(t, { limits: { strangersMax: 2 } }, { clock });
		const [first, second] = [await relay.connect(), await relay.connect()];
		await new RawClient(`ws://127.0.0.1:${relay.port}`, relay.publicKey).gone();
		await clock.advance(2_100);
		const late = await relay.connect();
		await first.gone();
		assert.equal(second.closed, undefined);
		assert.equal(relay.counts.drops.silent, 1);
		late.put(late.helloFrame({ atMs: clock.nowMs() }));
		await late.welcome();
	});

	test("an address is what a trusted proxy says, and nobody else's word counts", () => {
		const trusted = readNetworks("loopback, 10.0.0.0/8");
		const client = (socket: string, said?: string) => clientAddress(socket, said, trusted ?? assert.fail());
		assert.equal(client("203.0.113.9", "198.51.100.1"), "203.0.113.9");
		assert.equal(client("::ffff:127.0.0.1", "198.51.100.1"), "198.51.100.1");
		assert.equal(client("127.0.0.1", "1.2.3.4, 198.51.100.1, 10.1.2.3"), "198.51.100.1");
		assert.equal(client("::1", undefined), "::1");
		assert.equal(client("::1", "somebody"), "::1");
		assert.equal(clientAddress("127.0.0.1", "198.51.100.1", readNetworks("") ?? assert.fail()), "127.0.0.1");
		for (const wrong of ["somewhere", "10.0.0.0/33", "10.0.0.0/8/8", "::1/129", "10.0.0.0/-1"])
			assert.equal(readNetworks(wrong), undefined, wrong);
	});

	test("only the subprotocol farelay.v1 is spoken", async (t) => {
		const relay = await startTestRelay(t);
		await new RawClient(`ws://127.0.0.1:${relay.port}`, relay.publicKey, []).gone();
		await new RawClient(`ws://127.0.0.1:${relay.port}`, relay.publicKey, ["farelay.v2"]).gone();
		const both = new RawClient(`ws://127.0.0.1:${relay.port}`, relay.publicKey, ["farelay.v2", "farelay.v1"]);
		await both.opened();
		assert.equal(both.ws.protocol, "farelay.v1");
		assert.equal(both.ws.extensions, "");
		await both.end();
	});

	test("threat 10: text, an empty message, half a frame, an unknown type or a frame of the relay's own end the connection", async (t) => {
		const relay = await startTestRelay(t);
		const sayings: ((client: RawClient) => void)[] = [
			(client) => client.ws.send("hello"),
			(client) => client.ws.send(new Uint8Array(0)),
			(client) => client.ws.send(Uint8Array.of(3)),
			(client) => client.ws.send(Uint8Array.of(10, 4, 1, 2)),
			(client) => client.put(frame(63, payload(3))),
			(client) => client.put(frame(FRAME.welcome, payload(3))),
			(client) => client.put(frame(FRAME.open, payload(3))),
			(client) => client.put(frame(FRAME.listen, payload(3))),
			(client) => client.put(frame(FRAME.voucher, payload(3))),
			(client) => client.put(frame(FRAME.ack, payload(3))),
			(client) => client.put(frame(FRAME.renew, payload(3))),
			(client) => client.put(frame(FRAME.finish, payload(3))),
			(client) => client.put(frame(FRAME.ping, payload(3))),
			(client) => client.put(frame(FRAME.send, payload(7))),
			(client) => client.put(frame(FRAME.send, payload(8))),
			(client) => client.put(frame(FRAME.send, payload(61_440 + 9))),
		];
		for (const say of sayings) {
			const client = await relay.reader();
			say(client);
			assert.equal((await client.gone()).code, 1002, say.toString());
			assert.equal(client.problems[0]?.problem, "malformed");
		}
		const early = await relay.connect();
		early.put(writeEmpty(FRAME.finish));
		assert.equal((await early.gone()).code, 1002);
	});

	test("threat 10: a message over 64 KiB is not read", async (t) => {
		const relay = await startTestRelay(t);
		const alice = await relay.reader();
		alice.ws.send(new Uint8Array(65_537));
		assert.equal((await alice.gone()).code, 1009);
	});

	test("/health and /metrics say how it is, and nothing about anyone", async (t) => {
		const relay = await startTestRelay(t);
		const alice = await relay.sender();
		alice.put(alice.openFrame(1, keys().publicKey), alice.sendFrame(1, 0, payload(10)));
		await until("a refusal", () => alice.refused.get(0) === "mailbox-unknown" || undefined);
		const base = `http://127.0.0.1:${relay.port}`;
		const health = await fetch(`${base}/health`);
		assert.deepEqual(await health.json(), { ok: true, state: "up", troubles: {} });
		const metrics = await (await fetch(`${base}/metrics`)).text();
		assert.match(metrics, /farelay_relay_refused_total\{code="mailbox-unknown"\} 1/);
		assert.match(metrics, /farelay_relay_connections 1/);
		assert.doesNotMatch(metrics, /127\.0\.0\.1|[0-9a-f]{32}/);
		const proxied = await fetch(`${base}/metrics`, { headers: { "x-forwarded-for": "198.51.100.1" } });
		assert.equal(proxied.status, 404, "what an operator earned is nobody else's");
		assert.equal((await fetch(`${base}/other`)).status, 404);
		assert.equal((await fetch(`${base}/health`, { method: "POST" })).status, 405);
	});

	test("a plain WebSocket ping is answered too", async (t) => {
		const relay = await startTestRelay(t);
		const ws = new WebSocket(`ws://127.0.0.1:${relay.port}`, ["farelay.v1"]);
		await new Promise((resolve) => ws.once("open", resolve));
		const pong = new Promise((resolve) => ws.once("pong", resolve));
		ws.ping();
		await pong;
		ws.terminate();
	});
});
