import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { FRAME, frame } from "#contracts/frame";
import { signWelcome } from "#contracts/handshake";
import { LIMIT } from "#contracts/limit";
import type { Problem } from "#contracts/problem";
import { crypto } from "#host/crypto";
import { device, type Socket } from "#sdk/device";
import { Session } from "#sdk/session";
import { memoryStorage } from "#sdk/storage";

const relay = crypto.keyPair(crypto.random(32));

/** A session on a socket that the test holds; what it hears is what the test puts in. */
async function sessionOn(welcomed: boolean) {
	const sent: Uint8Array[] = [];
	let closes = 0;
	const socket: Socket = {
		binaryType: "",
		onopen: null,
		onmessage: null,
		onclose: null,
		onerror: null,
		send: (data) => void sent.push(data.slice()),
		close: () => void closes++,
	};
	const phone = await device({ storage: memoryStorage(), connect: () => socket, after: () => () => {} });
	const heard: number[] = [];
	const over: (Problem | undefined)[] = [];
	const who = { tag: crypto.random(16), key: crypto.keyPair(crypto.random(32)), at: crypto.random(16) };
	const session = new Session(phone, { key: relay.publicKey, url: "ws://127.0.0.1:1/" }, who, new Map(), {
		welcome: () => {},
		frame: (type) => void heard.push(type),
		problem: () => {},
		closed: (why) => void over.push(why),
	});
	const welcome = {
		helloHash: session.helloHash,
		atMs: 1,
		tab: undefined,
		messageBytesMax: LIMIT.messageBytesMax,
		stepBytesMax: LIMIT.stepBytesMax,
		idleMs: LIMIT.idleMs,
		ttlSMax: LIMIT.ttlSMax,
	};
	const hear = (data: unknown) => socket.onmessage?.({ data });
	const put = (bytes: Uint8Array) => hear(bytes.slice().buffer);
	if (welcomed) put(frame(FRAME.welcome, signWelcome(crypto, welcome, relay)));
	return { session, heard, over, put, hear, closes: () => closes };
}

test("threat 10: any bytes that a relay sends are frames or the end of the session, never an exception", async () => {
	await fc.assert(
		fc.asyncProperty(
			fc.array(fc.uint8Array({ maxLength: 200 }), { maxLength: 5 }),
			fc.boolean(),
			async (messages, known) => {
				const { over, put } = await sessionOn(known);
				for (const message of messages) put(message);
				assert.ok(over.length <= 1, "it ends at most once");
			},
		),
		{ numRuns: 100 },
	);
});

test("threat 10: every type of frame with any body, too", async () => {
	await fc.assert(
		fc.asyncProperty(fc.nat({ max: 255 }), fc.uint8Array({ maxLength: 400 }), async (type, body) => {
			const { over, put, heard } = await sessionOn(true);
			put(frame(type, body));
			assert.ok(over.length === 1 || heard.length <= 1);
		}),
		{ numRuns: 150 },
	);
});

test("before its signed welcome a relay is anybody: nothing that it says is heard", async () => {
	for (const type of [FRAME.deliver, FRAME.kept, FRAME.refused, FRAME.usage, FRAME.listening, FRAME.credited]) {
		const { over, put, heard } = await sessionOn(false);
		put(frame(type, new Uint8Array(20)));
		assert.deepEqual(heard, []);
		assert.equal(over[0]?.problem, "malformed");
	}
});

test("a text message, or one larger than any may be, ends the session", async () => {
	for (const data of ["hello", new ArrayBuffer(LIMIT.messageBytesMax + 1)]) {
		const { over, hear, closes } = await sessionOn(true);
		hear(data);
		assert.equal(over[0]?.problem, "malformed");
		assert.equal(closes(), 1);
	}
});
