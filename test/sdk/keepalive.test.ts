import assert from "node:assert/strict";
import { suite, type TestContext, test } from "node:test";
import WebSocket from "ws";
import { readPing } from "#contracts/control";
import { advance, cursor, FRAME, SUBPROTOCOL } from "#contracts/frame";
import type { Socket } from "#sdk/device";
import type { NetworkKind } from "#sdk/keepalive";
import { memoryStorage } from "#sdk/storage";
import { type HeldClock, heldClock } from "#test/support/clock";
import { startTestRelay, type TestRelay } from "#test/support/relay";
import { marketInMemory, type Person, person, until } from "#test/support/sdk";

/** A TLS 1.3 record around each message: header, type, tag. */
const TLS_BYTES = 5 + 1 + 16;
/** IPv4 and TCP around the ping, the pong and its acknowledgement. */
const TCP_BYTES = 3 * 40;

type Line = { pings: number[]; pongs: number; mute: boolean; socket: WebSocket; closed: boolean };

/** The same phone, before it was started again. */
type Before = { readonly clock: HeldClock; readonly relay: TestRelay; readonly bob: Person };

/** Bob's phone on a network of this kind, with a clock that a test moves, at a real relay with the same clock. */
async function phone(t: TestContext, kind: NetworkKind, before?: Before) {
	const clock = before?.clock ?? heldClock(Date.now());
	const relay = before?.relay ?? (await startTestRelay(t, {}, { clock }));
	const storage = before?.bob.storage ?? memoryStorage();
	const lines: Line[] = [];
	const network = { kind, name: "home" };
	const connect = (url: string): Socket => {
		const socket = new WebSocket(url, SUBPROTOCOL, { perMessageDeflate: false });
		const line: Line = { pings: [], pongs: 0, mute: false, socket, closed: false };
		lines.push(line);
		const walk = (message: Uint8Array, see: (type: number, body: Uint8Array) => void) => {
			const c = cursor();
			while (advance(message, c)) see(c.type, message.subarray(c.start, c.end));
		};
		const proxy: Socket = {
			binaryType: "",
			onopen: null,
			onmessage: null,
			onclose: null,
			onerror: null,
			send(data) {
				walk(data, (type, body) => {
					if (type === FRAME.ping) line.pings.push(readPing(body)?.nextMs ?? -1);
				});
				if (!line.mute) socket.send(data);
			},
			close: () => socket.close(),
		};
		socket.binaryType = "arraybuffer";
		socket.onopen = () => proxy.onopen?.({} as never);
		socket.onerror = () => proxy.onerror?.({} as never);
		socket.onclose = () => {
			line.closed = true;
			proxy.onclose?.({} as never);
		};
		socket.onmessage = ({ data }) => {
			if (line.mute) return;
			proxy.onmessage?.({ data });
			walk(new Uint8Array(data as ArrayBuffer), (type) => {
				if (type === FRAME.pong) line.pongs++;
			});
		};
		return proxy;
	};
	const market = marketInMemory([{ key: relay.publicKey, url: `ws://127.0.0.1:${relay.port}` }]);
	const parts = { nowMs: clock.nowMs, after: clock.after, connect, network: () => network };
	const bob = await person(market, { ...before?.bob, storage, parts });
	t.after(() => bob.client.close());
	await bob.client.card();
	let reports = 0;
	await bob.client.listen({ report: () => void reports++ });
	await until(() => reports === 1, "he listens");
	const line = () => lines.at(-1) as Line;
	/** Moves on until the next ping, and waits for its answer. */
	const round = async () => {
		const now = line();
		const { length } = now.pings;
		let waitedMs = 0;
		while (now.pings.length === length) {
			await clock.advance(5_000);
			waitedMs += 5_000;
			assert.ok(waitedMs <= 700_000, "a ping comes");
		}
		await until(() => now.pongs === now.pings.length, "the relay answers");
		return waitedMs;
	};
	return { bob, relay, clock, lines, line, round, network, reports: () => reports };
}

suite("PROTOCOL: Keepalive", () => {
	test("on Wi-Fi it starts at 120 s, grows by half after three clean rounds up to 600 s, and the relay waits that much longer", async (t) => {
		const { line, round, relay } = await phone(t, "wifi");
		await round();
		const waits: number[] = [];
		for (let i = 0; i < 13; i++) waits.push(await round());
		const seen = [...new Set(line().pings)];
		assert.deepEqual(seen, [120_000, 180_000, 270_000, 405_000, 600_000]);
		assert.ok(
			waits.every((waitedMs, i) => Math.abs(waitedMs - (line().pings[i] ?? 0)) <= 1_000),
			`${waits}`,
		);
		assert.equal(relay.counts.open, 1, "one connection all the time");
	});

	test("a keepalive of a round is 24 bytes on the socket: at 300 s a day of them is under 60 kB with TLS, TCP and IP around it", async (t) => {
		const { line, round } = await phone(t, "wifi");
		await round();
		const { socket } = line();
		const raw = (socket as unknown as { _socket: { bytesRead: number; bytesWritten: number } })._socket;
		const before = raw.bytesRead + raw.bytesWritten;
		for (let i = 0; i < 6; i++) await round();
		const roundBytes = (raw.bytesRead + raw.bytesWritten - before) / 6;
		assert.equal(roundBytes, 24);
		const dayBytes = (86_400 / 300) * (roundBytes + 2 * TLS_BYTES + TCP_BYTES);
		t.diagnostic(`${dayBytes} bytes a day at 300 s`);
		assert.ok(dayBytes <= 60_000, `${dayBytes}`);
	});

	test("a keepalive that nobody answers ends the connection within 30 s; the next begins at once, half as long, and it is remembered", async (t) => {
		const before = await phone(t, "cellular");
		const { bob, line, lines, round, clock, network, reports } = before;
		await round();
		assert.deepEqual(line().pings, [55_000]);
		line().mute = true;
		await clock.advance(54_000);
		assert.equal(line().pings.length, 1);
		await clock.advance(32_000);
		await until(() => lines.length === 3 || clock.advance(1_000).then(() => false), "another connection");
		await until(() => reports() === 2, "he listens again");
		await round();
		assert.deepEqual(line().pings, [27_500]);
		network.name = "other";
		await bob.client.hurry();
		await until(() => reports() === 3, "he listens on another network");
		assert.equal(lines[2]?.closed, true);
		await round();
		assert.deepEqual(line().pings, [55_000], "which is learned for itself");
		await bob.client.close();
		const again = await phone(t, "cellular", before);
		await again.round();
		assert.deepEqual(again.line().pings, [27_500], "through a restart");
		const kept = new TextDecoder().decode(await bob.storage.get("keepalive"));
		assert.doesNotMatch(kept, /home|other/, "no network's name is on disk");
	});

	test("in the background it says that it will be gone, and is closed after 10 s; back again, it listens", async (t) => {
		const { bob, line, lines, clock, reports, relay, round } = await phone(t, "wifi");
		await round();
		await bob.client.background();
		await until(() => line().pings.at(-1) === 10_000, "it says so");
		await bob.client.background(false);
		await until(() => line().pings.at(-1) === 120_000, "it takes that back");
		await clock.advance(15_000);
		assert.equal(line().closed, false);
		await bob.client.background();
		await clock.advance(9_000);
		assert.equal(line().closed, false);
		await clock.advance(1_000);
		await until(() => line().closed && relay.counts.open === 0, "it is closed");
		await clock.advance(600_000);
		assert.equal(lines.length, 2, "one for the claim, one to listen, and none while in the background");
		await bob.client.background(false);
		await until(() => reports() === 2, "he listens again");
	});
});
