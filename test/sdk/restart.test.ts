import assert from "node:assert/strict";
import { after, before, suite, test } from "node:test";
import { advance, cursor, FRAME, SUBPROTOCOL } from "#contracts/frame";
import type { Traffic } from "#contracts/tariff";
import { crypto } from "#host/crypto";
import type { Client } from "#sdk/client";
import type { Socket } from "#sdk/device";
import { FarelayError } from "#sdk/error";
import { bytesSink, bytesSource, type FileSource } from "#sdk/file";
import { memoryStorage, type Storage } from "#sdk/storage";
import { until } from "#test/support/sdk";
import { startWorld, type World, type WorldRelay } from "#test/support/world";

type Someone = Client & { storage: Storage };

/** A file of which only the first `bytes` can be had until it is let go. */
function slowSource(name: string, whole: Uint8Array, bytes: number): FileSource & { letGo(): void } {
	const gate = Promise.withResolvers<void>();
	return {
		name,
		sizeBytes: whole.length,
		letGo: gate.resolve,
		async read(offset, length) {
			// The first pass, which only hashes, goes through.
			if (hashed && offset >= bytes) await gate.promise;
			if (offset + length >= whole.length) hashed = true;
			return whole.slice(offset, offset + length);
		},
	};
}
let hashed = false;

/** A copy of storage as a backup would have it. */
async function backup(storage: Storage): Promise<Storage> {
	const copy = memoryStorage();
	for (const key of await storage.list("")) await copy.put(key, (await storage.get(key)) as Uint8Array);
	return copy;
}

suite("somebody restarts, loses something, or has the wrong time", () => {
	let world: World;
	let relay: WorldRelay;
	let alice: Someone;
	let bob: Someone;
	let card: string;
	const lost: Traffic[] = [];
	const onLost = (_relay: unknown, gone: Traffic) => void lost.push(gone);

	before(async () => {
		world = await startWorld();
		relay = await world.relay();
		alice = await world.person({ onLost });
		bob = await world.person();
		card = await bob.card();
	});
	after(async () => {
		const report = await world.end();
		assert.ok(report.holds, report.findings.join("; "));
	});

	/** Bob reads until a file is there. */
	const receive = async (bytes: Uint8Array, sink = bytesSink(bytes.length)) => {
		let received = false;
		await bob.listen({
			file: () => sink,
			received: () => {
				received = true;
			},
		});
		await until(() => received, "the file is received", 20_000);
		assert.deepEqual(sink.bytes, bytes);
		await bob.close();
	};
	const used = async (who: Client) =>
		(await who.settle()).reduce((sum, { agreement }) => sum + (agreement?.usage.used.bytes ?? 0n), 0n);

	test("the sender stops in the middle of a file and goes on where it was, with the same file", async () => {
		await alice.settle();
		const bytes = crypto.random(3_000_000);
		hashed = false;
		const source = slowSource("film", bytes, 2_000_000);
		let kept = 0;
		const sending = alice.send(card, source, {
			progress: (now) => {
				kept = now;
			},
		});
		sending.catch(() => {});
		await until(() => kept >= 1_000_000, "a part is kept");
		await alice.close();
		source.letGo();
		await assert.rejects(sending, FarelayError);
		alice = await world.person({ storage: alice.storage, onLost });
		const progress: number[] = [];
		await alice.send(card, bytesSource("film", bytes), { progress: (now) => progress.push(now) });
		assert.ok((progress[0] ?? 0) > 900_000, "it did not begin anew");
		await receive(bytes);
		const total = await used(alice);
		assert.ok(total < 3_000_000n + 1_300_000n, `${total} bytes were paid for`);
	});

	test("the file changed while the sender was away: file-changed, and sent anew it is another stream", async () => {
		const bytes = crypto.random(3_000_000);
		hashed = false;
		const source = slowSource("draft", bytes, 1_500_000);
		let kept = 0;
		const sending = alice.send(card, source, {
			progress: (now) => {
				kept = now;
			},
		});
		sending.catch(() => {});
		await until(() => kept >= 500_000, "a part is kept");
		await alice.close();
		source.letGo();
		await assert.rejects(sending, FarelayError);
		const changed = bytes.slice();
		changed[700_000] = (changed[700_000] as number) ^ 1;
		alice = await world.person({ storage: alice.storage, onLost });
		const [name] = await alice.storage.list("outbox/");
		const id = Uint8Array.from(Buffer.from((name as string).slice(7), "hex"));
		await assert.rejects(
			alice.resumeFile(id, bytesSource("draft", changed)),
			(error) => error instanceof FarelayError && error.problem.problem === "file-changed",
		);
		await alice.send(card, bytesSource("draft", changed));
		let streams = new Set<string>();
		const sink = bytesSink(changed.length);
		const half = bytesSink(bytes.length);
		let received = "";
		await bob.listen({
			file({ stream }) {
				streams = streams.add(stream);
				return streams.size === 1 ? half : sink;
			},
			received: ({ stream }) => {
				received = stream;
			},
		});
		await until(() => received !== "", "the new file is received", 20_000);
		await bob.close();
		assert.equal(half.bytes, undefined, "the half of the old one is never handed out");
		assert.deepEqual(sink.bytes, changed);
	});

	test("the reader stops in the middle of a file and goes on where it was", async () => {
		const bytes = crypto.random(4_000_000);
		await alice.send(card, bytesSource("album", bytes));
		const sink = bytesSink(bytes.length);
		let got = 0;
		let writes = 0;
		const counted = {
			...sink,
			write: async (at: number, part: Uint8Array) => {
				writes++;
				await sink.write(at, part);
			},
		};
		await bob.listen({
			file: ({ name }) => (name === "album" ? counted : undefined),
			progress: (_file, now) => {
				got = now;
			},
		});
		await until(() => got > 1_000_000, "a part is there");
		await bob.close();
		assert.equal(counted.bytes, undefined);
		bob = await world.person({ storage: bob.storage });
		await receive(bytes, Object.assign(counted, { bytes: undefined }));
		assert.ok(writes <= 245 + 64, `${writes} chunks were written: at most one window twice`);
	});

	test("the relay restarts in the middle of a file: it arrives, and nothing is lost in an orderly stop", async () => {
		lost.length = 0;
		const bytes = crypto.random(4_000_000);
		let kept = 0;
		const sending = alice.send(card, bytesSource("song", bytes), {
			progress: (now) => {
				kept = now;
			},
		});
		await until(() => kept > 500_000, "a part is kept");
		await relay.restart();
		await alice.hurry();
		await sending;
		await receive(bytes);
		assert.deepEqual(lost, []);
	});

	test("threat 4: Alice loses her state: the market knows the tab, the relay her newest voucher, and she goes on", async () => {
		await alice.send(card, "before");
		await alice.close();
		const storage = memoryStorage();
		await storage.put("seed", (await alice.storage.get("seed")) as Uint8Array);
		const again = await world.person({ storage, onLost });
		await again.send(card, "after");
		const [settlement] = await again.settle();
		assert.ok(settlement?.agreement, JSON.stringify(settlement?.dispute));
		assert.ok(settlement.agreement.usage.used.bytes >= 2n * 256n, "both texts are on the one tab");
		alice = again;
	});

	test("threat 25: a phone restored from a backup uses no tag twice: its messages are not taken for old ones", async () => {
		const texts: string[] = [];
		await alice.send(card, "one");
		const old = await backup(alice.storage);
		await alice.send(card, "two");
		await alice.close();
		alice = await world.person({ storage: old, onLost });
		await alice.send(card, "three");
		await alice.send(card, "four");
		await bob.listen({ text: ({ text }) => void texts.push(text) });
		await until(() => texts.includes("four"), "the last text arrives");
		await bob.close();
		assert.deepEqual(texts.slice(-4), ["one", "two", "three", "four"]);
	});

	for (const hours of [-1, 1])
		test(`threat 14: a clock that is wrong by ${hours} h is corrected by the relay's and the market's`, async () => {
			const device = { nowMs: () => Date.now() + hours * 3_600_000 };
			const late = await world.person({ device });
			const sent = await late.send(card, `it is ${hours} h`);
			assert.equal(sent.tick, "sent");
			const [settlement] = await late.settle();
			assert.ok(settlement?.agreement);
			const texts: string[] = [];
			await bob.listen({ text: ({ text }) => void texts.push(text) });
			await until(() => texts.includes(`it is ${hours} h`), "the text arrives");
			await bob.close();
		});

	test("threat 24: a megabyte stands before its vouchers: refused, sent again in order, and it arrives", async () => {
		const eve = await world.person({ device: { connect: lateVouchers } });
		const bytes = crypto.random(1_048_576);
		await eve.send(card, bytesSource("late", bytes));
		const [settlement] = await eve.settle();
		assert.ok(settlement?.agreement);
		const usage = settlement.agreement.usage.used.bytes;
		assert.ok(usage < 1_100_000n, `${usage} bytes: nothing was charged twice`);
		await receive(bytes);
	});

	test("the market is away: a tab that is open works on", async () => {
		const carol = await world.person();
		await carol.send(card, "first");
		await carol.close();
		const away = await world.person({
			storage: carol.storage,
			device: {
				fetch: (input, init) =>
					String(input).includes("/trpc") && down ? Promise.reject(new Error("away")) : fetch(input, init),
			},
		});
		await away.relays();
		down = true;
		const sent = await away.send(card, "second");
		down = false;
		assert.equal(sent.tick, "sent");
	});
});

let down = false;

/** A socket that puts every voucher behind what was to be sent after it. */
function lateVouchers(url: string): Socket {
	const socket = new WebSocket(url, SUBPROTOCOL);
	const proxy: Socket = {
		binaryType: "arraybuffer",
		onopen: null,
		onmessage: null,
		onclose: null,
		onerror: null,
		send(data) {
			const at = cursor();
			const rest: Uint8Array[] = [];
			while (advance(data, at)) {
				const frame = data.slice(at.at, at.next);
				if (at.type === FRAME.voucher) setTimeout(() => socket.readyState === 1 && socket.send(frame), 20);
				else rest.push(frame);
			}
			if (rest.length > 0) socket.send(Buffer.concat(rest));
		},
		close: () => socket.close(),
	};
	socket.binaryType = "arraybuffer";
	socket.onopen = () => proxy.onopen?.({} as never);
	socket.onmessage = (event) => proxy.onmessage?.(event);
	socket.onclose = () => proxy.onclose?.({} as never);
	socket.onerror = () => proxy.onerror?.({} as never);
	return proxy;
}
