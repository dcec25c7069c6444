/**
 * Our own end of a WebSocket against the library `ws`: the same bytes, cut in the same places, are the same messages, the same answers byte for
 * byte, and the same end (docs/decisions/direct-wires.md; threat 10).
 */
import assert from "node:assert/strict";
import { once } from "node:events";
import { createServer } from "node:http";
import { type AddressInfo, connect, type Socket } from "node:net";
import { after, before, suite, test } from "node:test";
import fc from "fast-check";
import { LIMIT } from "#contracts/limit";
import { directWiring } from "#relay/wire/direct";
import { plainWiring } from "#relay/wire/plain";
import type { Wire, Wiring } from "#relay/wire/wire";

const BYE_MS = 2_000;
const REQUEST = [
	"GET / HTTP/1.1",
	"Host: relay",
	"Upgrade: websocket",
	"Connection: Upgrade",
	"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
	"Sec-WebSocket-Version: 13",
	"Sec-WebSocket-Protocol: farelay.v1",
	"\r\n",
].join("\r\n");

/** What one connection saw, and what it heard. */
type Seen = { messages: string[]; texts: number; broken: boolean; closed: boolean; heard: string };

/** A server that sends every message back, as a session would: whole, in pieces, behind a head of its own. */
async function echo(wiring: Wiring) {
	const seen = new Map<number, Omit<Seen, "heard">>();
	const wires = new Set<Wire>();
	const server = createServer();
	server.on("upgrade", (request, socket, head) => {
		const mine = { messages: [] as string[], texts: 0, broken: false, closed: false };
		const wire = wiring.accept(request, socket as Socket, head);
		if (!wire) return;
		wires.add(wire);
		seen.set((socket as Socket).remotePort ?? Number(request.headers["x-number"]), mine);
		seen.set(Number(request.headers["x-number"]), mine);
		const slab = Buffer.alloc(LIMIT.messageBytesMax + 64);
		let stalled = false;
		wire.events = {
			message: (message) => {
				mine.messages.push(Buffer.from(message).toString("hex"));
				if (message.length > 300) wire.send(message, 0, message.length, false, true);
				else {
					slab.set(message, 20);
					wire.send(slab, 20, 20 + message.length, true, message.length % 3 !== 0);
					if (message.length % 3 === 0) wire.send(Uint8Array.of(1, 2, 3), 1, 3, false, true);
				}
				wire.flush();
				if (message.length % 5 === 4 && !stalled) {
					stalled = true;
					wire.pause();
					setTimeout(() => {
						stalled = false;
						wire.resume();
					}, 1);
				}
				if (message.length === 77) wire.close(4001, "enough");
			},
			text: () => {
				mine.texts++;
				wire.close(1002, "malformed");
			},
			drained: () => {},
			broken: () => {
				mine.broken = true;
			},
			closed: () => {
				mine.closed = true;
				wires.delete(wire);
			},
		};
	});
	server.listen(0, "127.0.0.1");
	await once(server, "listening");
	const { port } = server.address() as AddressInfo;
	return { server, seen, port, wires };
}

type Echo = Awaited<ReturnType<typeof echo>>;

/** Writes bytes in pieces and hears everything until the server ends the connection. */
async function drive(to: Echo, number: number, pieces: Buffer[]): Promise<Seen> {
	const socket = connect({ port: to.port, host: "127.0.0.1", noDelay: true });
	await once(socket, "connect");
	const heard: Buffer[] = [];
	socket.on("data", (some: Buffer) => heard.push(some));
	socket.on("error", () => {});
	const ended = once(socket, "close");
	const [first = Buffer.alloc(0), ...rest] = pieces;
	// what comes with the request is read with it
	socket.write(
		Buffer.concat([Buffer.from(REQUEST.replace("Host: relay", `Host: relay\r\nX-Number: ${number}`)), first]),
	);
	for (const piece of rest) {
		await new Promise((resolve) => setImmediate(resolve));
		if (socket.writable) socket.write(piece);
	}
	await ended;
	const all = Buffer.concat(heard);
	const from = all.indexOf("\r\n\r\n") + 4;
	assert.match(all.toString("latin1", 0, from), /^HTTP\/1.1 101 /);
	const mine = to.seen.get(number);
	assert(mine);
	return { ...mine, closed: true, heard: all.toString("hex", from) };
}

/** One frame as a client sends it. */
function frame(first: number, body: Uint8Array, mask: number, lengthForm = 0): Buffer {
	const form = lengthForm || (body.length < 126 ? 1 : body.length < 65_536 ? 2 : 3);
	const head = Buffer.alloc(form === 1 ? 2 : form === 2 ? 4 : 10);
	head[0] = first;
	head[1] = 128 | (form === 1 ? body.length : form === 2 ? 126 : 127);
	if (form === 2) head.writeUInt16BE(body.length, 2);
	if (form === 3) head.writeBigUInt64BE(BigInt(body.length), 2);
	const key = Buffer.alloc(4);
	key.writeUInt32LE(mask >>> 0);
	const masked = Buffer.from(body.map((byte, i) => byte ^ (key[i & 3] as number)));
	return Buffer.concat([head, key, masked]);
}

const bytes = (length: number) => Uint8Array.from({ length }, (_, i) => (i * 37 + length) & 255);
const GOODBYE = frame(0x88, Uint8Array.of(0x03, 0xe8), 7);

const length = fc.oneof(
	{ weight: 5, arbitrary: fc.integer({ min: 0, max: 400 }) },
	{ weight: 3, arbitrary: fc.constantFrom(124, 125, 126, 127, 65_535, LIMIT.messageBytesMax) },
	{ weight: 2, arbitrary: fc.integer({ min: 0, max: LIMIT.messageBytesMax }) },
);
const mask = fc.integer({ min: -(2 ** 31), max: 2 ** 31 - 1 });
const good = fc.oneof(
	{
		weight: 6,
		arbitrary: fc
			.tuple(length, mask, fc.constantFrom(0, 0, 0, 3))
			.map(([n, m, form]) => [frame(0x82, bytes(n), m, form)]),
	},
	{
		weight: 2,
		arbitrary: fc
			.tuple(fc.array(fc.integer({ min: 0, max: 9_000 }), { minLength: 2, maxLength: 5 }), mask, fc.boolean())
			.map(([parts, m, ping]) =>
				parts.flatMap((n, i) => {
					const first = (i === 0 ? 2 : 0) | (i === parts.length - 1 ? 128 : 0);
					const piece = frame(first, bytes(n), m + i);
					return ping ? [piece, frame(0x89, bytes(i), m)] : [piece];
				}),
			),
	},
	{
		weight: 2,
		arbitrary: fc.tuple(fc.integer({ min: 0, max: 125 }), mask).map(([n, m]) => [frame(0x89, bytes(n), m)]),
	},
	{
		weight: 1,
		arbitrary: fc.tuple(fc.integer({ min: 0, max: 125 }), mask).map(([n, m]) => [frame(0x8a, bytes(n), m)]),
	},
);
/** What no client may send, or what ends the connection. */
const last = fc.oneof(
	fc.constant(GOODBYE),
	fc.constant(frame(0x88, bytes(0), 1)),
	fc.constant(frame(0x88, bytes(1), 1)),
	fc
		.constantFrom(999, 1000, 1004, 1005, 1006, 1012, 1014, 1015, 2999, 3000, 4999, 5000)
		.map((code) => frame(0x88, Uint8Array.of(code >> 8, code & 255, 0x61), 5)),
	fc.constant(frame(0x88, Uint8Array.of(0x03, 0xe8, 0xc0, 0x80), 5)),
	fc.constant(frame(0x81, new TextEncoder().encode("hello"), 9)),
	fc.constant(frame(0x81, Uint8Array.of(0xff), 9)),
	fc.constant(frame(0x80, bytes(3), 9)),
	fc.constant(Buffer.concat([frame(0x02, bytes(3), 9), frame(0x82, bytes(3), 9)])),
	fc.constant(frame(0x09, bytes(3), 9)),
	fc.constant(frame(0x89, bytes(126), 9)),
	fc.constantFrom(0xc2, 0xa2, 0x92, 0x83, 0x87, 0x8b, 0x8f).map((first) => frame(first, bytes(4), 9)),
	fc.constant(Buffer.from([0x82, 3, 1, 2, 3])),
	fc.constant(frame(0x82, bytes(LIMIT.messageBytesMax + 1), 3)),
	fc.constant(Buffer.concat([frame(0x02, bytes(LIMIT.messageBytesMax), 3), frame(0x80, bytes(1), 3)])),
	// lengths that lie
	fc.constant(Buffer.from([0x82, 0xff, 0, 0, 0, 1, 0, 0, 0, 0, 1, 2, 3, 4])),
	fc.constant(Buffer.from([0x82, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 1, 2, 3, 4])),
	fc.constant(Buffer.concat(Array.from({ length: 300 }, (_, i) => frame(i === 0 ? 2 : 0, bytes(1), i)))),
	fc.constant(frame(0x82, bytes(77), 4)),
);

suite("PROTOCOL: Transport, by our own end of a WebSocket and by the library's", () => {
	let ours: Echo;
	let theirs: Echo;
	let number = 0;
	before(async () => {
		ours = await echo(directWiring(BYE_MS));
		theirs = await echo(plainWiring(BYE_MS));
	});
	after(() => {
		for (const { server, wires } of [ours, theirs]) {
			for (const wire of wires) wire.terminate();
			server.close();
		}
	});

	test("threat 10: any traffic, cut anywhere, is the same messages, answers and end", async () => {
		const traffic = fc.tuple(
			fc.array(good, { maxLength: 12 }),
			last,
			fc.array(fc.integer({ min: 1, max: 120_000 }), { maxLength: 12 }),
			fc.constantFrom(1, 3, 7, 20, 50_000),
		);
		await fc.assert(
			fc.asyncProperty(traffic, async ([before, end, cuts, small]) => {
				// the goodbye behind what ends it is not heard any more, and ends what did not end
				const all = Buffer.concat([...before.flat(), end, GOODBYE]);
				const pieces: Buffer[] = [];
				let at = 0;
				// a few pieces of a few bytes, so that heads and masks are cut too
				for (const cut of [...Array<number>(6).fill(small), ...cuts]) {
					pieces.push(all.subarray(at, at + cut));
					at += cut;
				}
				if (at < all.length) pieces.push(all.subarray(at));
				const one = number++;
				const [mine, other] = await Promise.all([drive(ours, one, pieces), drive(theirs, one, pieces)]);
				assert.deepEqual(mine, other);
			}),
			{ numRuns: Number(process.env.FARELAY_RUNS ?? 60) },
		);
	});

	test("what the system did not take at once arrives as it was, whatever is read meanwhile", async () => {
		const [slow, busy] = await Promise.all([hello(ours), hello(ours)]);
		busy.resume();
		// far more than the kernel holds, and others' bytes through the same memory in between
		const count = 250;
		slow.pause();
		for (let i = 0; i < count; i++) {
			const drained = slow.write(frame(0x82, new Uint8Array(LIMIT.messageBytesMax).fill(i), i * 7));
			busy.write(frame(0x82, new Uint8Array(40_000).fill(255 - (i & 127)), i));
			if (!drained) await new Promise((resolve) => setTimeout(resolve, 2));
		}
		let heardBytes = 0;
		let wrong = -1;
		const want = count * (LIMIT.messageBytesMax + 10);
		const done = Promise.withResolvers<void>();
		slow.on("data", (some: Buffer) => {
			for (let i = 0; i < some.length; i++) {
				const at = (heardBytes + i) % (LIMIT.messageBytesMax + 10);
				const mark = Math.floor((heardBytes + i) / (LIMIT.messageBytesMax + 10)) & 255;
				if (at >= 10 && some[i] !== mark && wrong < 0) wrong = heardBytes + i;
			}
			heardBytes += some.length;
			if (heardBytes >= want) done.resolve();
		});
		slow.resume();
		await done.promise;
		assert.equal(wrong, -1, `the byte at ${wrong} is another's`);
		slow.destroy();
		busy.destroy();
	});
});

/** A WebSocket that was opened, with nothing of it read. */
async function hello(to: Echo): Promise<Socket> {
	const socket = connect({ port: to.port, host: "127.0.0.1", noDelay: true });
	await once(socket, "connect");
	socket.write(REQUEST.replace("Host: relay", "Host: relay\r\nX-Number: -1"));
	let head = "";
	while (!head.endsWith("\r\n\r\n")) {
		const byte = socket.read(1) as Buffer | null;
		if (byte) head += byte.toString("latin1");
		else await once(socket, "readable");
	}
	return socket;
}
