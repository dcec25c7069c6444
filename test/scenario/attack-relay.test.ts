/** Floods that cost their sender nothing: what a relay gives to strangers must be bounded, and leave room for those who pay. */

import assert from "node:assert/strict";
import { once } from "node:events";
import { connect, Socket } from "node:net";
import { suite, test } from "node:test";
import { join } from "#contracts/bytes";
import { FRAME } from "#contracts/frame";
import { RELAY_LIMITS } from "#relay/limit";
import { Doorstep } from "#relay/session/doorstep";
import { heldClock } from "#test/support/clock";
import { keys, payload, RawClient, until } from "#test/support/rawclient";
import { startTestRelay } from "#test/support/relay";

/** An upgrade that is refused, by a peer that keeps its half open. */
async function refusedUpgrade(port: number): Promise<Socket> {
	const socket = connect({ port, host: "127.0.0.1", allowHalfOpen: true });
	socket.on("error", () => {});
	socket.resume();
	await once(socket, "connect");
	socket.write(
		"GET / HTTP/1.1\r\nHost: relay\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n" +
			"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n",
	);
	await once(socket, "end");
	return socket;
}

suite("what strangers can take from a relay", () => {
	test("threat 11: a refused upgrade whose peer never closes keeps no socket", async (t) => {
		const relay = await startTestRelay(t);
		const sockets = await Promise.all(Array.from({ length: 20 }, () => refusedUpgrade(relay.port)));
		t.after(() => sockets.map((socket) => socket.destroy()));
		// a socket that the relay has let go of answers what is still written to it with a reset
		await until("the relay to let go of them", () => {
			for (const socket of sockets) if (!socket.destroyed) socket.write("x");
			return sockets.every((socket) => socket.destroyed);
		});
	});

	test("threat 11: sockets that ask for nothing hold no places of those who do, and give way", async (t) => {
		const relay = await startTestRelay(t, { limits: { connectionsMax: 4, strangersMax: 6, strangerMsMin: 0 } });
		const silent = Array.from({ length: 80 }, () => connect(relay.port, "127.0.0.1"));
		t.after(() => silent.map((socket) => socket.destroy()));
		for (const socket of silent) socket.on("error", () => {}).resume();
		await until("all but some to be ended", () => silent.filter((socket) => socket.destroyed).length === 74);
		for (let i = 0; i < 4; i++) await relay.reader();
		assert.equal(relay.counts.open, 4);
		assert(relay.counts.drops.silent >= 74);
	});

	test("threat 11: sockets that ask for nothing are counted by address, a proxy's are not, and time ends them", async () => {
		const clock = heldClock(0);
		const refused: string[] = [];
		const limits = { ...RELAY_LIMITS, strangersPerAddressMax: 3 };
		const doorstep = new Doorstep({ limits, clock, helloMs: 1_000, onRefused: (reason) => refused.push(reason) });
		const from = (remoteAddress: string) =>
			Object.defineProperty(new Socket(), "remoteAddress", { value: remoteAddress });
		const mine = ["2001:db8::1", "2001:db8::2", "2001:db8::3"].map(from);
		for (const socket of mine) assert(doorstep.enter(socket, false));
		const fourth = from("2001:db8::4");
		assert(!doorstep.enter(fourth, false));
		assert(fourth.destroyed);
		assert.deepEqual(refused, ["address-strangers"]);
		assert(doorstep.enter(from("2001:db8:0:1::1"), false), "another network");
		assert(doorstep.enter(from("2001:db8::5"), true), "a proxy");
		for (let i = 0; i < 5; i++) assert(doorstep.enter(from("127.0.0.1"), false), "this machine");
		doorstep.leave(mine[0] as Socket);
		const again = from("2001:db8::6");
		assert(doorstep.enter(again, false));
		await clock.advance(900);
		doorstep.heard(again);
		await clock.advance(200);
		doorstep.sweep();
		assert.deepEqual([again.destroyed, mine[1]?.destroyed, mine[2]?.destroyed], [false, true, true]);
	});

	test("threat 11: who has no grant opens no handles, so that the payers' are not taken", async (t) => {
		const relay = await startTestRelay(t, { limits: { handlesMax: 10, handlesShareMax: 10 } });
		const stranger = await relay.reader();
		stranger.put(...Array.from({ length: 20 }, (_, i) => stranger.openFrame(i, keys().publicKey)));
		await stranger.problem("grant-needed");
		const alice = await relay.sender();
		alice.put(...Array.from({ length: 10 }, (_, i) => alice.openFrame(i, keys().publicKey)));
		alice.ping();
		await alice.next(FRAME.pong);
		assert.deepEqual(alice.problems, []);
	});

	test("threat 11: numbers that come backwards and apart are all refused, without the relay sorting them for long", async (t) => {
		const relay = await startTestRelay(t);
		const stranger = await relay.reader();
		const sends = Array.from({ length: 5_000 }, (_, i) => stranger.sendFrame(1, 2 * (5_000 - i), payload(1)));
		stranger.put(join(...sends));
		stranger.ping();
		await stranger.next(FRAME.pong);
		await until("every number to be refused", () => stranger.refused.size === 5_000 || undefined);
		assert.deepEqual([...new Set(stranger.refused.values())], ["grant-needed"]);
		assert(stranger.of(FRAME.refused).length >= 5_000 / 256, "a few at a time");
	});

	test("threat 12: one address makes so many mailboxes an hour, and leaves places for others", async (t) => {
		const relay = await startTestRelay(t, { trustProxy: "loopback", limits: { newMailboxesPerHourMax: 3 } });
		const from = async (address: string) => {
			const client = new RawClient(`ws://127.0.0.1:${relay.port}`, relay.publicKey, undefined, {
				"x-forwarded-for": address,
			});
			t.after(() => client.ws.terminate());
			await client.opened();
			client.put(client.helloFrame());
			await client.welcome();
			return client;
		};
		const mine = keys();
		const flood = await from("2001:db8:0:7::1");
		flood.put(flood.listenFrame(1, mine), flood.listenFrame(2, keys()));
		await flood.listening(1);
		const neighbour = await from("2001:db8:0:7:ffff::2");
		neighbour.put(neighbour.listenFrame(1, keys()), neighbour.listenFrame(2, keys()));
		assert.equal((await neighbour.problem("too-many")).retry, true);
		assert.equal(neighbour.of(FRAME.listening).length, 1, "the third is the last of their network");
		neighbour.put(neighbour.listenFrame(3, mine));
		await neighbour.listening(1);
		const other = await from("2001:db8:0:8::1");
		other.put(other.listenFrame(1, keys()));
		await other.listening();
	});
});
