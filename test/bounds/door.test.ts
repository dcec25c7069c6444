import assert from "node:assert/strict";
import { connect, type Socket } from "node:net";
import { suite, test } from "node:test";
import { FRAME } from "#contracts/frame";
import { RawClient, until } from "#test/support/rawclient";
import { besiege, inWaves, Siege } from "./siege.ts";

const SOCKETS = 10_000;

/** Opens a socket and asks for an upgrade by hand: ten thousand WebSocket objects would cost the attacker more than the relay. */
function silent(port: number): Promise<{ socket: Socket; letIn: boolean }> {
	return new Promise((resolve) => {
		const socket = connect(port, "127.0.0.1");
		const asked = [
			"GET / HTTP/1.1",
			"host: 127.0.0.1",
			"connection: Upgrade",
			"upgrade: websocket",
			"sec-websocket-version: 13",
			"sec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==",
			"sec-websocket-protocol: farelay.v1",
		];
		socket.on("error", () => resolve({ socket, letIn: false }));
		socket.once("data", (data) => resolve({ socket, letIn: data.includes("101 Switching") }));
		socket.once("close", () => resolve({ socket, letIn: false }));
		socket.write(`${asked.join("\r\n")}\r\n\r\n`);
	});
}

suite("threat 11 at full size: the door", () => {
	test("ten thousand sockets that never say hello keep out nobody who does", async (t) => {
		const siege = await Siege.begin(t);
		const { port } = siege.relay;
		const held: Socket[] = [];
		t.after(() => held.map((socket) => socket.destroy()));
		let letIn = 0;
		let most = 0;
		await besiege(t, siege, async () => {
			const flood = inWaves(SOCKETS, 400, async () => {
				const { socket, letIn: open } = await silent(port);
				held.push(socket);
				if (open) letIn++;
			});
			let over = false;
			const newcomers = (async () => {
				let count = 0;
				while (!over) {
					const client = await siege.reader();
					await client.end();
					most = Math.max(most, await siege.metric("strangers"));
					count++;
				}
				return count;
			})();
			await flood.finally(() => {
				over = true;
			});
			const greeted = await newcomers;
			assert(greeted > 0);
			t.diagnostic(
				`${held.length} silent sockets, ${letIn} let in, at most ${most} at once; ${greeted} honest newcomers greeted meanwhile`,
			);
		});
		assert.equal(held.length, SOCKETS);
		assert(most <= 2_048, `${most} strangers at once`);
		assert(siege.rssMib < 400, `${siege.rssMib} MiB`);
		await until("all of them to be closed", () => held.every((socket) => socket.destroyed), 30_000);
		assert.equal(await siege.metric("strangers"), 0);
	});

	test("a flood from one address behind a trusted proxy takes 128 places, and others do not notice", async (t) => {
		const siege = await Siege.begin(t, { more: ["--trust-proxy", "loopback"] });
		const flood: RawClient[] = [];
		t.after(() => flood.map((client) => client.ws.terminate()));
		await besiege(t, siege, async () => {
			await inWaves(1_000, 100, async (i) => {
				const headers = { "x-forwarded-for": `2001:db8:1:2:${i.toString(16)}::1` };
				const client = new RawClient(siege.relay.url, siege.publicKey, undefined, headers);
				flood.push(client);
				await until("an answer", () => client.ws.readyState !== 0);
			});
			assert((await siege.metric("strangers")) <= 128 + 1);
			await (await siege.reader("203.0.113.9")).end();
		});
		const refused =
			(await siege.reason("door_refused_total", "address-strangers")) +
			(await siege.reason("door_refused_total", "address-rate"));
		assert.equal(refused, 1_000 - 128);
	});

	test("a hello that is said again ten thousand times opens nothing more", async (t) => {
		const siege = await Siege.begin(t);
		const victim = await siege.sender();
		const said = victim.helloFrame({ grant: victim.grant, session: victim.session });
		let refused = 0;
		await besiege(t, siege, async () => {
			const once = await siege.connect();
			once.put(said);
			await once.next(FRAME.welcome);
			await inWaves(SOCKETS, 100, async () => {
				const client = await siege.connect();
				client.put(said);
				await until("the goodbye", () => client.problems.length > 0 || client.closed);
				// after a minute it is too old to be looked for
				if (client.problems.some(({ problem: code }) => code === "hello-replayed" || code === "clock")) refused++;
				assert.equal(client.of(FRAME.welcome).length, 0);
				client.ws.terminate();
			});
		});
		assert.equal(refused, SOCKETS);
		const told = await Promise.all(["hello-replayed", "clock"].map((code) => siege.reason("closed_total", code)));
		t.diagnostic(`${told[0]} refused as seen before, ${told[1]} as too old`);
		assert(siege.rssMib < 300, `${siege.rssMib} MiB`);
	});
});
