/** A relay of several workers under attack: at its one port, at the handing over, and where one worker decides and another pays. */

import assert from "node:assert/strict";
import { fork } from "node:child_process";
import { once } from "node:events";
import { readFileSync } from "node:fs";
import { mkdtemp, rm } from "node:fs/promises";
import { type AddressInfo, connect, createServer, type Socket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { suite, test } from "node:test";
import { fileURLToPath } from "node:url";
import { toHex } from "#contracts/bytes";
import { advance, cursor, FRAME, mailFrame } from "#contracts/frame";
import { crypto } from "#host/crypto";
import { openMemoryMailStore } from "#relay/mailbox/memory";
import type { WorkerPart } from "#relay/workerpart";
import { HOP, type HopAnswer, readHopAnswer, writeHopHello, writeHopRoute } from "#relay/workers/hop";
import { Neighbours } from "#relay/workers/neighbours";
import { Pipe } from "#relay/workers/pipe";
import { keysAt, startTestCrew } from "#test/support/crew";
import { keys, payload, until } from "#test/support/rawclient";
import { relayDeps, startTestRelay } from "#test/support/relay";

/** A connection that says so much and then nothing. */
function says(port: number, words: string): Socket {
	const socket = connect({ port, host: "127.0.0.1" });
	socket.on("error", () => {}).resume();
	socket.write(words);
	return socket;
}

suite("a relay of workers under attack", () => {
	test("threat 24: a sender whose connection is ended in the middle of a message leaves nothing under way at the other worker", async (t) => {
		const crew = await startTestCrew(t);
		const mailbox = keysAt(1, 2);
		const bob = await crew.reader(mailbox);
		bob.acks = true;
		const session = keys();
		const grant = crew.grantAt(0, session);
		const alice = await crew.sender(0, { grant, session });
		alice.put(alice.payFrame(1_000, 3_600), alice.openFrame(1, mailbox.publicKey, 3_600));
		await alice.next(FRAME.credited);
		const unpaid = (from: number, count: number) =>
			Array.from({ length: count }, (_, i) => alice.sendFrame(1, from + i, payload(1_001)));
		for (let from = 0; from < 1_000; from += 25) alice.put(...unpaid(from, 25));
		await until("all to be refused", () => alice.refused.size === 1_000 || undefined);
		alice.put(alice.sendFrame(1, 0, payload(100)), ...unpaid(1, 30));
		assert.equal((await alice.gone()).reason, "unpaid");
		await until("the one that was paid", () => bob.deliveries.length === 1 || undefined);
		const again = await crew.sender(0, { grant, session });
		again.finish();
		assert.equal((await again.usage()).used.bytes, 100n);
	});

	test("threat 12: a disk that is full by its operator's cap is full for senders of the other worker too", async (t) => {
		const folder = await mkdtemp(join(tmpdir(), "farelay-hop-"));
		const paths = [0, 1].map((worker) => join(folder, `${worker}.sock`));
		const secret = crypto.random(32);
		const neighbours = new Neighbours({ share: { worker: 1, workers: 2 }, paths, secret, ...relayDeps() });
		const store = openMemoryMailStore();
		const mailbox = keysAt(1, 2);
		const mailboxId = toHex(mailbox.publicKey);
		await store.visit(mailboxId, "01".repeat(16), undefined, Date.now());
		const part: WorkerPart = {
			relay: keys(),
			folder,
			url: "ws://127.0.0.1:1",
			caps: { paused: false, trafficGbMonth: 0, diskGb: 0.0002, bandwidthMbit: 0 },
			owns: () => true,
			far: neighbours,
			meet: (parts, desk) => neighbours.serve(parts, desk),
			flush: () => neighbours.flush(),
			settled: async () => {},
			leave: () => neighbours.stop(),
		};
		await startTestRelay(t, {}, { store, part });
		t.after(() => rm(folder, { recursive: true, force: true }));
		const socket = connect(paths[1] as string);
		t.after(() => socket.destroy());
		const answers: HopAnswer[] = [];
		const pipe = new Pipe(socket, {
			take: (bytes) => {
				const c = cursor();
				while (advance(bytes, c))
					if (c.type === HOP.answer) answers.push(readHopAnswer(bytes.subarray(c.start, c.end)));
				return c.next;
			},
			turn: () => {},
			closed: () => {},
		});
		pipe.frame(writeHopHello({ secret, worker: 0 }));
		const route = { route: 7, mailbox: mailboxId, tokenHash: undefined, tag: "ab".repeat(16), resolve: false };
		pipe.frame(writeHopRoute({ ...route, ttlS: 3_600 }));
		for (let seq = 0; seq < 10; seq++) {
			pipe.frame(mailFrame(FRAME.send, 7, seq, payload(60_000, seq)));
			await until("an answer", () => answers.length === seq + 1);
		}
		const kept = answers.filter(({ kind }) => kind === "kept").length;
		assert(kept >= 3 && kept <= 4, `${kept} of 60 kB in 200 kB`);
		assert.deepEqual(
			[...new Set(answers.slice(kept).map(({ kind, code }) => `${kind} ${code}`))],
			["refused relay-full"],
		);
	});

	test("threat 11: who sends something that is no request, or half of one, keeps no socket of the parent or of a worker", async (t) => {
		const crew = await startTestCrew(t, 2, { helloMs: 300 });
		const sockets = [
			says(crew.port, "\r\n\r\n"),
			says(crew.port, "\r\n\r\nGET / HTTP/1.1\r\n"),
			says(crew.port, "POST /health HTTP/1.1\r\nHost: x\r\nContent-Length: 1000\r\n\r\n"),
			says(crew.port, "GET / HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nContent-Length: 1000\r\n\r\n"),
			says(crew.port, "GET / HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\n\r\nGET / HTTP/1.1\r\n"),
			says(crew.port, "GET / HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: keep-alive\r\n\r\n"),
		];
		t.after(() => sockets.map((socket) => socket.destroy()));
		await until("all to be ended", () => sockets.every((socket) => socket.destroyed));
		assert.equal((await fetch(`http://127.0.0.1:${crew.port}/health`)).status, 200);
	});

	test("threat 11: sockets that say nothing give way to who does", async (t) => {
		const crew = await startTestCrew(t, 2, { limits: { strangersMax: 20, strangerMsMin: 100 } });
		const silent = Array.from({ length: 20 }, () => says(crew.port, "GET /"));
		t.after(() => silent.map((socket) => socket.destroy()));
		await Promise.all(silent.map((socket) => once(socket, "connect")));
		let answered = false;
		for (const endMs = performance.now() + 3_000; !answered && performance.now() < endMs; )
			answered = await fetch(`http://127.0.0.1:${crew.port}/health`).then(
				({ ok }) => ok,
				() => false,
			);
		assert(answered);
		assert(silent.filter((socket) => socket.destroyed).length < 10, "as few as it needs");
	});

	test("threat 11: who asks how it is again and again does not make every worker count", {
		skip: process.platform !== "linux",
	}, async (t) => {
		const crew = await startTestCrew(t);
		/** What the workers' processors have spent so far, in the system's hundredths of a second. */
		const spent = () =>
			crew.pids.reduce<number>((sum, pid) => {
				const words = readFileSync(`/proc/${pid}/stat`, "utf8").split(") ")[1]?.split(" ") ?? [];
				return sum + Number(words[11]) + Number(words[12]);
			}, 0);
		const ask = async () => assert.equal((await fetch(`http://127.0.0.1:${crew.port}/health`)).status, 200);
		for (let i = 0; i < 50; i++) await ask();
		const before = spent();
		for (let i = 0; i < 300; i++) await ask();
		t.diagnostic(`${spent() - before} hundredths of a second for 300 questions`);
		assert(spent() - before < 40);
	});

	test("threat 11: a worker that has not begun holds no connection", async (t) => {
		const child = fork(fileURLToPath(import.meta.resolve("#relay/workers/worker")), [], { serialization: "advanced" });
		t.after(() => child.kill("SIGKILL"));
		const server = createServer({ pauseOnConnect: true }, (socket) => {
			child.send({ say: "take", read: new Uint8Array(0) }, socket);
		});
		t.after(() => server.close());
		server.listen(0, "127.0.0.1");
		await once(server, "listening");
		const { port } = server.address() as AddressInfo;
		const sockets = Array.from({ length: 50 }, () => says(port, "GET / HTTP/1.1\r\n\r\n"));
		await until("all to be ended", () => sockets.every((socket) => socket.destroyed));
	});
});
