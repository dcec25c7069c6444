import assert from "node:assert/strict";
import { suite, test } from "node:test";
import { readCardLink } from "#contracts/card";
import { MESSAGE } from "#contracts/envelope";
import { advance, cursor, FRAME, SUBPROTOCOL } from "#contracts/frame";
import { LIMIT } from "#contracts/limit";
import { isProblem } from "#contracts/problem";
import type { Socket } from "#sdk/device";
import { seal } from "#sdk/seal";
import { startTestRelay } from "#test/support/relay";
import { marketInMemory, person, until } from "#test/support/sdk";

const text = new TextEncoder();

suite("an app that does not take its messages", () => {
	test("threat 11: asks for no more until it has taken what is here, live-only mail included, and then reads on in order", async (t) => {
		const relay = await startTestRelay(t);
		let delivered = 0;
		let deliveredBytes = 0;
		const connect = (url: string): Socket => {
			const socket = new WebSocket(url, SUBPROTOCOL);
			socket.addEventListener("message", ({ data }) => {
				const message = new Uint8Array(data as ArrayBuffer);
				const c = cursor();
				while (advance(message, c)) {
					if (c.type !== FRAME.deliver) continue;
					delivered++;
					deliveredBytes += c.end - c.start;
				}
			});
			return socket as unknown as Socket;
		};
		const market = marketInMemory([{ key: relay.publicKey, url: `ws://127.0.0.1:${relay.port}` }]);
		const bob = await person(market, { parts: { connect } });
		const writer = await person(market);
		t.after(() => Promise.all([bob.client.close(), writer.client.close()]));
		const card = readCardLink(bob.client.device.crypto, await bob.client.card());
		assert.ok(!isProblem(card));
		const gate = Promise.withResolvers<void>();
		const problems: unknown[] = [];
		const got: string[] = [];
		await bob.client.listen({
			text: async (message) => {
				await gate.promise;
				got.push(message.text);
			},
			problem: (why) => void problems.push(why),
		});
		await until(() => relay.counts.listening === 1, "he listens");
		const to = { mailbox: card.homes[0]?.mailbox as Uint8Array, seal: card.seal };
		const sealed = (body: string) =>
			seal(
				writer.client.device,
				{ kind: MESSAGE.text, body: text.encode(body), atMs: Date.now() },
				to,
				writer.client.identity,
			).payload;
		const alice = await relay.sender();
		alice.put(
			alice.payFrame(100_000_000, 60),
			alice.openFrame(1, to.mailbox, 60),
			alice.openFrame(2, to.mailbox, 0, card.token),
		);
		// one text keeps the app busy; then a stream that only counts while it is live
		alice.put(alice.sendFrame(1, 0, sealed("0")));
		const big = sealed("x".repeat(12_000));
		let seq = 1;
		await until(
			() => {
				if (alice.refused.size === 0) for (let i = 0; i < 4; i++) alice.put(alice.sendFrame(2, seq++, big));
				return [...alice.refused.values()].includes("gone");
			},
			"the stream to be told that nobody takes it",
			15_000,
		);
		assert.ok(deliveredBytes <= 2 * LIMIT.windowBytes + LIMIT.messageBytesMax, `${deliveredBytes} bytes are held`);
		// what is to be kept waits at the relay meanwhile
		const before = delivered;
		for (let i = 1; i <= 20; i++) alice.put(alice.sendFrame(1, 100_000 + i, sealed(`${i}`)));
		await until(() => alice.kept.size === 21, "all are kept");
		assert.equal(delivered, before, "nothing comes while it is paused");
		gate.resolve();
		await until(() => got.includes("20"), "he reads on");
		assert.deepEqual(
			got.filter((text) => text.length < 5),
			Array.from({ length: 21 }, (_, i) => `${i}`),
		);
		assert.deepEqual(problems, [], "the relay did nothing wrong");
		alice.put(alice.sendFrame(2, seq, sealed("live")));
		await until(() => got.at(-1) === "live", "live mail passes again");
	});
});
