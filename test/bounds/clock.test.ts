import assert from "node:assert/strict";
import { suite, test } from "node:test";
import { FRAME } from "#contracts/frame";
import { readClock } from "#contracts/handshake";
import { isProblem } from "#contracts/problem";
import { type Clock, systemClock } from "#host/clock";
import { crypto } from "#host/crypto";
import { keys, payload, type RawClient, until } from "#test/support/rawclient";
import { startTestRelay } from "#test/support/relay";

const HOUR_MS = 3_600_000;
const TTL_S = 86_400;

suite("threat 14 at full size: the clock", () => {
	test("a relay's clock that jumps an hour ahead and two back ends no connection, no tab and no mail; who comes in is told the time", async (t) => {
		let offMs = 0;
		const clock: Clock = { ...systemClock, nowMs: () => Date.now() + offMs };
		const relay = await startTestRelay(t, {}, { clock });
		const mailbox = keys();
		const bob = await relay.listener(mailbox);
		bob.acks = true;
		const sleeper = keys();
		const owner = await relay.listener(sleeper);
		await owner.end();
		const alice = await relay.sender();
		alice.put(
			alice.payFrame(10_000_000, TTL_S),
			alice.openFrame(1, mailbox.publicKey, TTL_S),
			alice.openFrame(2, sleeper.publicKey, TTL_S),
		);
		let seq = 0;
		const write = async (): Promise<void> => {
			for (let i = 0; i < 50; i++, seq += 2)
				alice.put(alice.sendFrame(1, seq, payload(500, seq)), alice.sendFrame(2, seq + 1, payload(500, seq + 1)));
			await alice.keptAll(seq);
		};
		/** Says hello with its own time, and again with the relay's when it is told that. */
		const comesIn = async (): Promise<{ client: RawClient; told: boolean }> => {
			const first = await relay.connect();
			const session = keys();
			const grant = relay.market.grant(relay.publicKey, session.publicKey);
			first.put(first.helloFrame({ grant, session }));
			const answer = await until("an answer", () => first.frames[0]);
			if (answer.type === FRAME.welcome) return { client: first, told: false };
			assert.equal(answer.type, FRAME.clock);
			const time = readClock(crypto, answer.body, relay.publicKey, first.hello);
			assert(!isProblem(time));
			const second = await relay.connect();
			second.put(second.helloFrame({ grant, session, atMs: time }));
			await second.welcome();
			return { client: second, told: true };
		};
		await write();
		for (const [step, expected] of [
			[HOUR_MS, true],
			[-HOUR_MS, undefined],
		] as const) {
			offMs = step;
			// longer than a sweep, an expiry and a round of forgetting
			await new Promise((resolve) => setTimeout(resolve, 11_000));
			await write();
			// a clock that went back is before the relay's start: hellos of that time could be replays, and are refused until it has come on
			if (expected === undefined) continue;
			const { client, told } = await comesIn();
			assert.equal(told, expected);
			client.ping();
			await client.next(FRAME.pong);
		}
		offMs = 0;
		await write();
		assert.equal((await comesIn()).told, false);
		assert.deepEqual([alice.closed, bob.closed, alice.refused.size], [undefined, undefined, 0]);
		assert.equal(bob.deliveries.length, seq / 2);
		const late = await relay.reader();
		late.acks = true;
		late.put(late.listenFrame(1, sleeper));
		assert.equal((await late.listening()).waiting, seq / 2);
		await until("all that was kept", () => late.deliveries.length === seq / 2);
		assert.equal(
			relay.state().why.find(({ what }) => what === "dropped"),
			undefined,
		);
	});
});
