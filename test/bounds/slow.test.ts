import assert from "node:assert/strict";
import type { Socket } from "node:net";
import { suite, test } from "node:test";
import { crypto } from "#host/crypto";
import { keys, payload, until } from "#test/support/rawclient";
import { besiege, inWaves, Siege } from "./siege.ts";

const SENDERS = 500;
const BYTES_EVERY_MS = 60_000;
const TTL_S = 3_600;

suite("threats 11 and 12 at full size: slow ones and floods of mail", () => {
	test("five hundred senders of one byte a minute are given up after two minutes, and hold nobody up", async (t) => {
		const siege = await Siege.begin(t);
		const slow = await inWaves(SENDERS, 50, () => siege.reader());
		const sockets = slow.map(({ ws }) => (ws as unknown as { _socket: Socket })._socket);
		// the head of a WebSocket message of 16 bytes, and then a byte now and then
		for (const socket of sockets) socket.write(Uint8Array.of(0x82, 0x80 | 16, 0, 0, 0, 0));
		const timer = setInterval(() => {
			for (const socket of sockets) if (!socket.destroyed) socket.write(Uint8Array.of(0));
		}, BYTES_EVERY_MS);
		t.after(() => clearInterval(timer));
		const begun = performance.now();
		await besiege(t, siege, () =>
			until("all of them to be given up", () => slow.every(({ closed }) => closed), 150_000),
		);
		t.diagnostic(`${SENDERS} given up after ${Math.round((performance.now() - begun) / 1000)} s`);
		assert.deepEqual(new Set(slow.map(({ closed }) => closed?.code)), new Set([4_011]));
	});

	test("a flood of a hundred thousand sends to mailboxes that nobody made is refused, uncharged, and kept nowhere", async (t) => {
		const siege = await Siege.begin(t);
		const before = siege.rssMib;
		await besiege(t, siege, async () => {
			await inWaves(25, 5, async () => {
				const alice = await siege.sender();
				alice.put(alice.payFrame(1_000_000, TTL_S));
				for (let at = 0; at < 4_000; at += 100) {
					const handles = Array.from({ length: 100 }, (_, i) => at + i);
					alice.put(...handles.map((handle) => alice.openFrame(handle, crypto.random(32), TTL_S)));
					alice.put(...handles.map((handle) => alice.sendFrame(handle, handle, payload(100, handle))));
				}
				await until("all to be refused", () => alice.refused.size === 4_000, 60_000);
				assert.deepEqual(new Set(alice.refused.values()), new Set(["mailbox-unknown"]));
				alice.askUsage();
				assert.equal((await alice.usage()).used.bytes, 0n);
				alice.ws.terminate();
			});
		});
		await until("their handles to be free", () => true);
		assert((await siege.metric("handles")) < 10);
		t.diagnostic(`${(siege.rssMib - before).toFixed(0)} MiB more than before`);
		assert(siege.rssMib < 350);
	});

	test("strangers that flood a mailbox fill their tenth of it, and people with the card still get through", async (t) => {
		const siege = await Siege.begin(t);
		const mailbox = keys();
		const token = crypto.random(16);
		const owner = await siege.listener(mailbox, 1, token);
		await owner.end();
		await besiege(t, siege, async () => {
			const kept = await inWaves(12, 6, async () => {
				const mallory = await siege.sender();
				mallory.put(mallory.payFrame(10_000, TTL_S), mallory.openFrame(1, mailbox.publicKey, TTL_S));
				for (let at = 0; at < 1_000; at += 250)
					mallory.put(...Array.from({ length: 250 }, (_, i) => mallory.sendFrame(1, at + i, payload(1, at + i))));
				await until("all to be answered", () => mallory.kept.size + mallory.refused.size === 1_000, 60_000);
				mallory.ws.terminate();
				return mallory.kept.size;
			});
			assert.equal(
				kept.reduce((sum, count) => sum + count, 0),
				10_000,
			);
		});
		const friend = await siege.sender();
		friend.put(friend.payFrame(1_000, TTL_S), friend.openFrame(1, mailbox.publicKey, TTL_S, token));
		friend.put(friend.sendFrame(1, 0, payload(100)));
		await friend.keptAll(1);
	});
});
