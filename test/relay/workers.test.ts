import assert from "node:assert/strict";
import { once } from "node:events";
import { readdirSync, readFileSync } from "node:fs";
import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { connect } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, suite, type TestContext, test } from "node:test";
import { toHex } from "#contracts/bytes";
import { writeFan } from "#contracts/fan";
import { advance, cursor, FRAME, readU32 } from "#contracts/frame";
import { isProblem } from "#contracts/problem";
import { shardOfPath, shardUrl } from "#contracts/shard";
import { crypto } from "#host/crypto";
import { lockFolder } from "#host/lock";
import { layOut, readLayout, soleFolder } from "#relay/workers/layout";
import { startCrew } from "#relay/workers/parent";
import { workerOf } from "#relay/workers/share";
import { keysAt, startTestCrew, type TestCrew } from "#test/support/crew";
import { FakeMarket } from "#test/support/fakemarket";
import { keys, payload, RawClient, until } from "#test/support/rawclient";
import { relayConfig, relayDeps, startTestRelay } from "#test/support/relay";

const TTL_S = 3_600;

suite("shards (PROTOCOL.md, Shard)", () => {
	test("are the first four hex digits of an id, as one more segment of the path", () => {
		const id = new Uint8Array([0xa3, 0xf0, 7]);
		assert.equal(shardUrl("wss://example.org/relay", id), "wss://example.org/relay/a3f0");
		assert.equal(shardUrl("wss://example.org", new Uint8Array(16)), "wss://example.org/0000");
		assert.equal(shardUrl("wss://example.org/", id), "wss://example.org/a3f0");
		assert.equal(shardOfPath("/relay/a3f0"), 0xa3f0);
		assert.equal(shardOfPath("/a3f0?x=1"), 0xa3f0);
		for (const path of ["/", "/A3F0", "/a3f", "/a3f0/", "/a3f01", "/health"])
			assert.equal(shardOfPath(path), undefined, path);
	});

	test("are divided evenly, every worker's in one piece", () => {
		for (const workers of [1, 2, 3, 7, 64]) {
			const counts = Array.from({ length: workers }, () => 0);
			let last = 0;
			for (let shard = 0; shard < 65_536; shard++) {
				const worker = workerOf(shard, workers);
				assert(worker === last || worker === last + 1);
				last = worker;
				counts[worker] = (counts[worker] ?? 0) + 1;
			}
			assert.equal(last, workers - 1);
			assert(Math.max(...counts) - Math.min(...counts) <= 1);
		}
	});

	test("mean nothing to a relay of one process", async (t) => {
		const relay = await startTestRelay(t);
		const mailbox = keys();
		for (const path of ["/0000", "/ffff", "/any/path", "/"]) {
			const bob = await RawClient.connect(`ws://127.0.0.1:${relay.port}${path}`, relay.publicKey);
			bob.put(bob.helloFrame(), bob.listenFrame(1, mailbox));
			await bob.listening();
			await bob.end();
		}
	});
});

suite("a relay of two workers (PROTOCOL.md, Shard)", () => {
	let crew: TestCrew;
	const ends: (() => Promise<void> | void)[] = [];
	const context = { after: (end: () => Promise<void>) => void ends.push(end) } as unknown as TestContext;
	before(async () => {
		// this machine's own connections are counted over all and not by address
		crew = await startTestCrew(context, 2, { limits: { strangersMax: 128 } });
		await crew.linked();
	});
	after(async () => {
		for (const end of ends) await end();
	});

	test("carries mail from a tab of one to a mailbox of the other: kept on its disk, then read, in order", async () => {
		const mailbox = keysAt(1, 2);
		const owner = await crew.reader(mailbox);
		await owner.end();
		const alice = await crew.sender(0);
		alice.put(alice.openFrame(7, mailbox.publicKey, TTL_S), alice.payFrame(1_000_000, TTL_S));
		for (let seq = 0; seq < 100; seq++) alice.put(alice.sendFrame(7, seq, payload(700, seq)));
		await alice.keptAll(100);
		const bob = await crew.reader(mailbox);
		await until("mail", () => bob.deliveries.length === 100 || undefined);
		assert.deepEqual(
			bob.deliveries.map((delivery) => delivery.payload),
			Array.from({ length: 100 }, (_, seq) => payload(700, seq)),
		);
	});

	test("hands live mail to a reader at the other worker, and answers once it is acknowledged", async () => {
		const mailbox = keysAt(1, 2);
		const bob = await crew.reader(mailbox);
		const alice = await crew.sender(0);
		alice.put(
			alice.openFrame(7, mailbox.publicKey, TTL_S),
			alice.payFrame(1_000_000, TTL_S),
			...Array.from({ length: 20 }, (_, seq) => alice.sendFrame(7, seq, payload(300, seq))),
		);
		await until("mail", () => bob.deliveries.length === 20 || undefined);
		assert.equal(alice.kept.size, 0, "nothing is answered before its reader acknowledged it");
		bob.ack([1, 20]);
		await alice.keptAll(20);
		alice.askUsage();
		assert.equal((await alice.usage()).used.bytes, 6_000n);
		// a retry is answered again and not charged
		alice.put(alice.sendFrame(7, 3, payload(300, 3)));
		await until("the answer again", () => alice.of(FRAME.kept).length >= 2 || undefined);
		alice.askUsage();
		assert.equal((await alice.usage(1)).used.bytes, 6_000n);
		assert.equal(bob.deliveries.length, 20);
	});

	test("carries large and small payloads both ways at once, all of them, each sender's in order", async () => {
		const boxes = [keysAt(0, 2), keysAt(1, 2)] as const;
		const readers = await Promise.all(boxes.map((box) => crew.reader(box)));
		for (const reader of readers) reader.acks = true;
		const senders = await Promise.all([crew.sender(0), crew.sender(1)]);
		const sizes = [1, 700, 60_000, 16_384, 9_000, 61_440, 30];
		const mails = Array.from({ length: 70 }, (_, seq) => payload(sizes[seq % sizes.length] as number, seq));
		const bytes = mails.reduce((sum, mail) => sum + mail.length, 0);
		for (const sender of senders) {
			sender.put(sender.payFrame(2 * bytes, TTL_S));
			for (const [i, box] of boxes.entries()) sender.put(sender.openFrame(i, box.publicKey, TTL_S));
			mails.forEach((mail, seq) => {
				sender.put(sender.sendFrame(0, 2 * seq, mail));
				sender.put(sender.sendFrame(1, 2 * seq + 1, mail));
			});
		}
		for (const sender of senders) await sender.keptAll(140);
		for (const reader of readers) {
			await until("all mail", () => reader.deliveries.length >= 140 || undefined);
			assert.equal(reader.deliveries.length, 140);
			let at = [0, 0];
			// both senders send the same: what comes is a merge of the two in their order
			for (const { payload: came } of reader.deliveries) {
				const i = at.findIndex((place) => mails[place] && toHex(mails[place]) === toHex(came));
				assert.notEqual(i, -1, "out of order");
				at = at.map((place, k) => (k === i ? place + 1 : place));
			}
		}
	});

	test("decides at the mailbox what a mailbox decides, and charges nothing for what it refuses", async () => {
		const token = crypto.random(16);
		const [unknown, box] = [keysAt(1, 2), keysAt(1, 2)];
		const owner = await crew.reader(box, token);
		const alice = await crew.sender(0);
		alice.put(
			alice.openFrame(1, unknown.publicKey, TTL_S),
			alice.openFrame(2, box.publicKey, 0),
			alice.openFrame(3, box.publicKey, 0, token),
			alice.payFrame(100_000, TTL_S),
			alice.sendFrame(1, 0, payload(100)),
			alice.sendFrame(2, 1, payload(100)),
			alice.sendFrame(3, 2, payload(100)),
		);
		await until(
			"three answers",
			() => (alice.refused.size === 2 && alice.numbers(FRAME.passed).size === 1) || undefined,
		);
		assert.deepEqual(
			[...alice.refused],
			[
				[0, "mailbox-unknown"],
				[1, "token-needed"],
			],
		);
		await until("the delivery", () => owner.deliveries.length > 0);
		assert.deepEqual(
			owner.deliveries.map(({ number }) => number),
			[0],
		);
		await owner.end();
		alice.put(alice.sendFrame(3, 3, payload(100)));
		await until("gone", () => alice.refused.get(3) === "gone" || undefined);
		// a refused number may come again, here for another mailbox that is there
		alice.put(alice.openFrame(1, box.publicKey, TTL_S), alice.sendFrame(1, 0, payload(100)));
		await alice.keptAll(1);
		alice.askUsage();
		assert.equal((await alice.usage()).used.bytes, 200n);
	});

	test("carries a fan to mailboxes of both workers", async () => {
		const boxes = [keysAt(0, 2), keysAt(1, 2), keysAt(1, 2)];
		const readers = await Promise.all(boxes.map((box) => crew.reader(box)));
		const alice = await crew.sender(1);
		alice.put(alice.payFrame(1_000_000, TTL_S));
		for (const [i, box] of boxes.entries()) alice.put(alice.openFrame(i, box.publicKey, TTL_S));
		for (const size of [50, 40_000]) alice.put(writeFan({ seq: size, handles: [0, 1, 2], payload: payload(size) }));
		for (const reader of readers) {
			await until("both", () => reader.deliveries.length === 2 || undefined);
			assert.deepEqual(
				reader.deliveries.map((one) => one.payload),
				[payload(50), payload(40_000)],
			);
			reader.ack([1, 2]);
		}
		await alice.keptAll(6);
	});

	test("finishes a tab whose copies a reader at the other worker has not acknowledged: they go to the disk and are counted", async () => {
		const mailbox = keysAt(1, 2);
		const bob = await crew.reader(mailbox);
		const alice = await crew.sender(0);
		alice.put(alice.openFrame(1, mailbox.publicKey, TTL_S), alice.payFrame(5_000, TTL_S));
		alice.put(alice.sendFrame(1, 0, payload(1_000)), alice.sendFrame(1, 1, payload(1_000)));
		await until("mail", () => bob.deliveries.length === 2 || undefined);
		alice.finish();
		// before the relay would have written them down by itself
		await until("the final count", () => alice.of(FRAME.usage)[0], 4_000);
		const usage = await alice.usage();
		assert.equal(usage.final, true);
		assert.equal(usage.used.bytes, 2_000n);
	});

	test("threat 7: a tab is at one worker only, whose four connections are all it has", async () => {
		const session = keys();
		const grant = crew.grantAt(0, session);
		for (let i = 0; i < 4; i++) await crew.sender(0, { grant, session });
		const fifth = await crew.connect(grant.tab);
		fifth.put(fifth.helloFrame({ grant, session }));
		await fifth.problem("tab-busy");
		const other = await RawClient.connect(`${crew.url}/ffff`, crew.publicKey);
		other.put(other.helloFrame({ grant, session }));
		const { detail } = await other.problem("shard-wrong");
		assert.match(detail, new RegExp(`/${toHex(grant.tab).slice(0, 4)}`), "it says where to go");
		assert.equal((await other.gone()).code, 4_012);
	});

	test("threat 23: a hello that two workers are shown is taken by one, once", async () => {
		const session = keys();
		const grant = crew.grantAt(1, session);
		const wrong = await RawClient.connect(`${crew.url}/0000`, crew.publicKey);
		const hello = wrong.helloFrame({ grant, session });
		wrong.put(hello);
		await wrong.problem("shard-wrong");
		const right = await crew.connect(grant.tab);
		right.hello = wrong.hello;
		right.put(hello);
		await right.welcome();
		const again = await crew.connect(grant.tab);
		again.put(hello);
		await again.problem("hello-replayed");
	});

	test("refuses to listen on the other worker's mailbox, says where to go, and goes on", async () => {
		const [mine, other] = [keysAt(0, 2), keysAt(1, 2)];
		const bob = await crew.connect(mine.publicKey);
		bob.put(bob.helloFrame(), bob.listenFrame(1, other), bob.listenFrame(2, mine));
		const { detail } = await bob.problem("shard-wrong");
		assert.match(detail, new RegExp(`/${toHex(other.publicKey).slice(0, 4)}`));
		assert.equal((await bob.listening()).handle, 2);
	});

	test("lets in who names no shard, and says where to go if that was not lucky", async () => {
		const mailbox = keys();
		const outcomes = new Set<string>();
		for (let i = 0; i < 4; i++) {
			const bob = await RawClient.connect(crew.url, crew.publicKey);
			bob.put(bob.helloFrame(), bob.listenFrame(1, mailbox));
			outcomes.add(
				await until("an answer", () => bob.problems[0]?.problem ?? (bob.of(FRAME.listening).length > 0 && "listening")),
			);
			await bob.end();
		}
		assert.deepEqual([...outcomes].sort(), ["listening", "shard-wrong"]);
	});

	test("answers plain requests for all its workers at once", async () => {
		const at = `http://127.0.0.1:${crew.port}`;
		const health = await fetch(`${at}/health`);
		assert.equal(health.status, 200);
		assert.deepEqual(await health.json(), { ok: true, state: "up", troubles: {} });
		const metrics = await (await fetch(`${at}/metrics`)).text();
		assert.match(metrics, /^farelay_relay_workers 2$/m);
		const mailboxes = [keysAt(0, 2), keysAt(1, 2)];
		const readers = await Promise.all(mailboxes.map((mailbox) => crew.reader(mailbox)));
		const listening = () => fetch(`${at}/metrics`).then((answer) => answer.text());
		const found = /^farelay_relay_readers (\d+)$/m.exec(await listening())?.[1];
		assert(Number(found) >= 2, `${found} readers`);
		await Promise.all(readers.map((reader) => reader.end()));
		assert.equal((await fetch(`${at}/nothing`)).status, 404);
		assert.equal((await fetch(`${at}/health`, { method: "POST" })).status, 405);
		assert.equal((await fetch(`${at}/metrics`, { headers: { "x-forwarded-for": "10.1.2.3" } })).status, 404);
	});

	test("passes a connection on without losing a byte, however it comes", async () => {
		const mailbox = keysAt(1, 2);
		const probe = new RawClient("ws://127.0.0.1:9", crew.publicKey);
		const hello = probe.helloFrame();
		const masked = maskedMessage(Buffer.concat([hello, probe.listenFrame(1, mailbox)]));
		const head = Buffer.from(
			`GET /${toHex(mailbox.publicKey).slice(0, 4)} HTTP/1.1\r\nHost: x\r\nUpgrade: WebSocket\r\nConnection: Upgrade\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Protocol: farelay.v1\r\n\r\n`,
		);
		const all = Buffer.concat([head, masked, ...Array.from({ length: 200 }, (_, i) => pingMessage(i))]);
		// all at once; cut in the middle of the head; one byte at a time at the cut, and what follows while it is handed over
		for (const cuts of [
			[],
			[10],
			[head.length - 2],
			[head.length],
			[1, 2, 3, head.length - 3, head.length - 1, head.length + 1],
		]) {
			const socket = connect({ port: crew.port, host: "127.0.0.1", noDelay: true });
			let got = Buffer.alloc(0);
			socket.on("data", (more: Buffer) => {
				got = Buffer.concat([got, more]);
			});
			let from = 0;
			for (const cut of [...cuts, all.length]) {
				for (; from < cut; from += 1_000) {
					socket.write(all.subarray(from, Math.min(cut, from + 1_000)));
					if (from % 3_000 === 0) await new Promise((resolve) => setTimeout(resolve, 1));
				}
				from = cut;
			}
			await until(`the answers, got ${got.length} bytes`, () => pongsIn(got).includes(199));
			assert.deepEqual(pongsIn(got), [...Array(200).keys()], "every ping was read, once");
			socket.destroy();
			await once(socket, "close");
			// a hello is good once
			const fresh = probe.helloFrame();
			const next = maskedMessage(Buffer.concat([fresh, probe.listenFrame(1, mailbox)]));
			next.copy(all, head.length);
		}
	});

	test("threat 11: closes who sends a head without an end, and who is one of too many that send none", async () => {
		const long = connect({ port: crew.port, host: "127.0.0.1" });
		long.on("error", () => {}).resume();
		long.write(`GET / HTTP/1.1\r\nX: ${"x".repeat(9_000)}`);
		// long before its time is up
		await until("the end of the long head", () => long.destroyed || undefined, 6_000);
		const silent = Array.from({ length: 140 }, () => connect({ port: crew.port, host: "127.0.0.1" }));
		let closed = 0;
		for (const socket of silent)
			socket
				.on("error", () => {})
				.on("close", () => {
					closed++;
				})
				// one that is not read never hears of its end
				.resume();
		await until("those beyond the bound to be closed", () => closed >= 12 || undefined);
		const pong = await fetch(`http://127.0.0.1:${crew.port}/health`).catch(() => undefined);
		assert.equal(pong, undefined, "all places are taken");
		for (const socket of silent) socket.destroy();
		await until("room again", () => closed === 140 || undefined);
		assert.equal((await fetch(`http://127.0.0.1:${crew.port}/health`)).status, 200);
	});

	test("keeps its sockets to its owner, and its folder to itself", async () => {
		const { statSync } = await import("node:fs");
		assert.equal(statSync(`${crew.folder}/links`).mode & 0o777, 0o700);
		assert.equal(statSync(`${crew.folder}/links/0.sock`).mode & 0o777, 0o600);
		const stranger = connect(`${crew.folder}/links/0.sock`);
		stranger.write(Buffer.from([1, 34, ...Array.from({ length: 32 }, () => 0), 1, 0]));
		let said = 0;
		stranger.on("data", (bytes: Buffer) => {
			said += bytes.length;
		});
		await once(stranger, "close");
		assert.equal(said, 0, "who does not know the secret is told nothing");
		const second = await startCrew(crew.config, 2, { ...relayDeps(), logLevel: "silent" });
		assert(isProblem(second));
		assert.equal(second.problem, "conflict");
	});
});

suite("a relay of two workers that stops in order (PROTOCOL.md, Ending)", () => {
	test("has all on disk and counted that was at the other worker, and charges nothing for a retry after the next start", async (t) => {
		const crew = await startTestCrew(t);
		await crew.linked();
		const mailbox = keysAt(1, 2);
		const bob = await crew.reader(mailbox);
		const session = keys();
		const grant = crew.grantAt(0, session);
		const alice = await crew.sender(0, { grant, session });
		const mails = Array.from({ length: 10 }, (_, seq) => payload(1_000, seq));
		alice.put(alice.openFrame(1, mailbox.publicKey, TTL_S), alice.payFrame(50_000, TTL_S));
		alice.put(...mails.map((mail, seq) => alice.sendFrame(1, seq, mail)));
		await until("mail", () => bob.deliveries.length === 10 || undefined);
		await crew.stop();
		assert.equal((await alice.problem("draining")).retry, true);
		const next = await startCrew(crew.config, 2, { ...relayDeps(), logLevel: "silent" });
		assert(!isProblem(next));
		t.after(() => next.stop());
		const again = await RawClient.connect(shardUrl(next.url, grant.tab), next.publicKey);
		again.tag = alice.tag;
		again.put(again.helloFrame({ grant, session }), again.openFrame(1, mailbox.publicKey, TTL_S));
		assert.equal((await again.welcome()).tab?.used.bytes, 10_000n);
		again.put(...mails.map((mail, seq) => again.sendFrame(1, seq, mail)));
		await again.keptAll(10);
		again.askUsage();
		assert.equal((await again.usage()).used.bytes, 10_000n);
		const reader = await RawClient.connect(shardUrl(next.url, mailbox.publicKey), next.publicKey);
		reader.acks = true;
		reader.put(reader.helloFrame(), reader.listenFrame(1, mailbox));
		await until("the mail", () => reader.deliveries.length >= 10 || undefined);
		assert.deepEqual(
			reader.deliveries.map((delivery) => delivery.payload),
			mails,
		);
		again.ws.terminate();
		reader.ws.terminate();
	});
});

suite("a relay of two workers that cannot start", () => {
	test("says why, and leaves neither a worker nor a lock behind", { skip: process.platform !== "linux" }, async (t) => {
		const folder = await mkdtemp(join(tmpdir(), "farelay-crew-"));
		t.after(() => rm(folder, { recursive: true, force: true, maxRetries: 5 }));
		const market = await FakeMarket.start();
		t.after(() => market.stop());
		const config = relayConfig(market, { data: folder });
		const folders = await layOut(folder, 2);
		assert(!isProblem(folders));
		await mkdir(folders[1] as string, { recursive: true });
		await writeFile(
			join(folders[1] as string, "till.db"),
			"this is no database, and long enough to be looked at as one".repeat(20),
		);
		const workers = () =>
			readdirSync(`/proc/${process.pid}/task`)
				.flatMap((task) => readFileSync(`/proc/${process.pid}/task/${task}/children`, "utf8").trim().split(" "))
				.filter((pid) => pid !== "").length;
		const before = workers();
		const refused = await startCrew(config, 2, { ...relayDeps(), logLevel: "silent" });
		assert(isProblem(refused));
		assert.equal(refused.problem, "data-corrupt");
		const lock = lockFolder(folder);
		assert(!isProblem(lock), "the folder is free");
		lock.release();
		await until("the workers' end", () => workers() === before || undefined);
		await new Promise((resolve) => setTimeout(resolve, 300));
		assert.equal(workers(), before, "none is started again");
	});
});

suite("a data folder (docs/decisions/workers.md)", () => {
	test("is one relay's or that of so many workers, and never silently another's", async (t) => {
		const folder = await mkdtemp(join(tmpdir(), "farelay-layout-"));
		t.after(() => rm(folder, { recursive: true, force: true }));
		const [one, two, bad] = ["one", "two", "bad"].map((name) => join(folder, name)) as [string, string, string];
		assert.equal(soleFolder(one), one);
		await mkdir(one);
		await writeFile(join(one, "mail.db"), "");
		for (const refused of [await layOut(one, 2)]) assert(isProblem(refused) && refused.problem === "conflict");
		assert.equal(soleFolder(one), one, "a relay without workers goes on as it was");
		const folders = await layOut(two, 2);
		assert(!isProblem(folders));
		assert.deepEqual(folders, [join(two, "shards-1", "worker-0"), join(two, "shards-1", "worker-1")]);
		assert.deepEqual(await layOut(two, 2), folders, "the same at each start");
		for (const refused of [await layOut(two, 3), soleFolder(two)]) {
			assert(isProblem(refused) && refused.problem === "conflict");
			assert.match(refused.detail, /--workers 2/);
		}
		await mkdir(bad);
		for (const text of ["", "{}", '{"workers":2,"folder":"../other"}', '{"workers":0,"folder":"shards-1"}']) {
			await writeFile(join(bad, "shards.json"), text);
			const refused = readLayout(bad);
			assert(isProblem(refused) && refused.problem === "data-corrupt", text);
		}
	});
});

/** A client's WebSocket message with a mask of zeros. */
function maskedMessage(bytes: Uint8Array): Buffer {
	const head = bytes.length < 126 ? [0x82, 0x80 | bytes.length] : [0x82, 0xfe, bytes.length >> 8, bytes.length & 255];
	return Buffer.concat([Buffer.from([...head, 0, 0, 0, 0]), bytes]);
}

/** The marks of the pongs in what a server sent from its first byte on. */
function pongsIn(bytes: Buffer): number[] {
	const marks: number[] = [];
	let at = bytes.indexOf("\r\n\r\n") + 4;
	while (at > 3 && at + 4 < bytes.length) {
		const short = (bytes[at + 1] as number) & 127;
		const head = short === 126 ? 4 : 2;
		const length = short === 126 ? bytes.readUInt16BE(at + 2) : short;
		const message = bytes.subarray(at + head, at + head + length);
		if (message.length < length) break;
		const c = cursor();
		while (advance(message, c)) if (c.type === FRAME.pong) marks.push(readU32(message, c.start));
		at += head + length;
	}
	return marks;
}

function pingMessage(mark: number): Buffer {
	const bytes = Buffer.alloc(10);
	bytes[0] = FRAME.ping;
	bytes[1] = 8;
	bytes.writeUInt32LE(mark, 2);
	bytes.writeUInt32LE(55_000, 6);
	return maskedMessage(bytes);
}
