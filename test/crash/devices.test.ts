/** Threats 13 and 25: the relay is killed with SIGKILL between the acks of two devices, and each has all of its mail afterwards. */

import assert from "node:assert/strict";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { suite, type TestContext, test } from "node:test";
import { fromHex } from "#contracts/bytes";
import { FRAME } from "#contracts/frame";
import type { KeyPair } from "#contracts/identity";
import { FakeMarket } from "#test/support/fakemarket";
import { keys, payload, RawClient, until } from "#test/support/rawclient";
import { startRelayProcess } from "./relay-process.ts";

const TTL_S = 3_600;
const COUNT = 60;
const DEVICES = [new Uint8Array(16).fill(0x11), new Uint8Array(16).fill(0x22)] as const;

async function listen(url: string, relay: Uint8Array, mailbox: KeyPair, device: Uint8Array): Promise<RawClient> {
	const client = new RawClient(url, relay);
	await until("the socket to open, or the relay's end", () => client.ws.readyState === client.ws.OPEN || client.closed);
	if (client.closed) return client;
	client.put(client.helloFrame(), client.listenFrame(1, mailbox, undefined, device));
	await until("the relay to listen, or its end", () => client.of(FRAME.listening).length > 0 || client.closed);
	return client;
}

/** Which mails a device was given: each says by its size which it is. */
const given = (client: RawClient) => client.deliveries.map(({ payload }) => payload.length - 100);

/** Sends to two devices that acknowledge one by one, each its own way, until the relay dies; then looks at what its next life has. */
async function survive(t: TestContext, fault: string, killAfter?: number): Promise<void> {
	const data = await mkdtemp(join(tmpdir(), "farelay-crash-"));
	const market = await FakeMarket.start();
	t.after(async () => {
		await market.stop();
		await rm(data, { recursive: true, force: true, maxRetries: 5 });
	});
	const mailbox = keys();
	const first = await startRelayProcess(t, market, data, fault);
	await until("the listing", () => market.listings[0]);
	const relay = (fromHex(market.listings[0]) as Uint8Array).slice(33, 65);
	const [phone, laptop] = await Promise.all(DEVICES.map((device) => listen(first.url, relay, mailbox, device)));
	assert(phone && laptop);
	const session = keys();
	const grant = market.grant(relay, session.publicKey);
	const alice = await RawClient.connect(first.url, relay);
	alice.put(
		alice.helloFrame({ grant, session }),
		alice.payFrame(200_000),
		alice.openFrame(1, mailbox.publicKey, TTL_S),
	);
	const acked = [new Set<number>(), new Set<number>()] as const;
	const ack = (client: RawClient, mine: Set<number>, wanted: (n: number) => boolean): void => {
		for (const { number, payload } of client.deliveries) {
			const n = payload.length - 100;
			if (mine.has(n) || !wanted(n)) continue;
			mine.add(n);
			client.ack([number, number]);
		}
	};
	let acks = 0;
	for (let seq = 0; seq < COUNT && !alice.closed; seq++) {
		alice.put(alice.sendFrame(1, seq, payload(100 + seq, seq)));
		await until("the mail", () => (given(phone).includes(seq) && given(laptop).includes(seq)) || alice.closed);
		// the phone leaves every third where it is, the laptop every second, so that much goes to the disk by half
		ack(phone, acked[0], (n) => n % 3 !== 0);
		ack(laptop, acked[1], (n) => n % 2 !== 0);
		if (seq === 9) {
			// what they have not acknowledged goes to the disk: both leave, and one comes back
			phone.ws.terminate();
			laptop.ws.terminate();
			await until("an answer or the end", () => alice.kept.size >= 10 || alice.closed);
			break;
		}
	}
	const again: RawClient[] = [];
	for (const device of DEVICES) if (!alice.closed) again.push(await listen(first.url, relay, mailbox, device));
	for (let seq = 10; seq < COUNT && !alice.closed; seq++) {
		alice.put(alice.sendFrame(1, seq, payload(100 + seq, seq)));
		again.forEach((client, i) => {
			ack(client, acked[i === 0 ? 0 : 1], (n) => n % 5 === i);
			acks++;
		});
		await until("it to arrive", () => again.every((client) => given(client).includes(seq)) || alice.closed);
		if (killAfter !== undefined && acks >= killAfter) first.child.kill("SIGKILL");
		// now and then a device leaves, so that mail goes to the disk while the other acknowledges
		if (seq % 7 !== 0 || alice.closed) continue;
		const which = seq % 2;
		again[which]?.ws.terminate();
		await until("all to be kept", () => alice.kept.size === seq + 1 || alice.closed);
		if (!alice.closed) again[which] = await listen(first.url, relay, mailbox, DEVICES[which === 0 ? 0 : 1]);
	}
	if (killAfter === undefined) await until("the relay to die", () => alice.closed);
	assert.equal(await first.died, "SIGKILL", "the kill landed");
	await alice.gone();

	const second = await startRelayProcess(t, market, data);
	const { kept } = alice;
	for (const [i, device] of DEVICES.entries()) {
		const mine = acked[i === 0 ? 0 : 1];
		const client = await listen(second.url, relay, mailbox, device);
		assert.equal((await client.listening()).fresh, false, "the relay knows the device");
		const { waiting } = await client.listening();
		await until("what waits", () => client.deliveries.length === waiting || undefined);
		const has = new Set(given(client));
		assert.deepEqual(
			given(client),
			[...has].sort((a, b) => a - b),
			"each once, in order",
		);
		for (const n of kept)
			assert(has.has(n) || mine.has(n), `mail ${n} was kept, not acknowledged by device ${i}, and is lost`);
		client.ack([1, waiting]);
		client.ping();
		await until("the ack to be taken", () => client.of(FRAME.pong).length > 0 || undefined);
		client.ws.terminate();
	}
	for (const device of DEVICES) {
		const client = await listen(second.url, relay, mailbox, device);
		assert.equal((await client.listening()).waiting, 0, "nothing is kept for nobody");
		client.ws.terminate();
	}
	second.child.kill("SIGTERM");
	await second.died;
}

suite("threat 25: a relay that is killed between the acks of two devices", () => {
	for (const fault of ["mailbox:before-commit#9", "mailbox:after-commit#9", "relay:after-keep#3"])
		test(`at ${fault}: each has what it has not acknowledged`, (t) => survive(t, fault));
	test("from outside: each has what it has not acknowledged", (t) => survive(t, "none", 40));
});
