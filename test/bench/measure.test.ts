import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, readFile, rm } from "node:fs/promises";
import { type AddressInfo, connect } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, suite, test } from "node:test";
import { WebSocketServer } from "ws";
import { bareForwarder } from "./bare-forward.ts";
import { type Contest, compare, drive, median, type Result, rowOf } from "./measure.ts";
import { message, open, read } from "./wire.ts";

const contest = (more: Partial<Contest>): Contest => ({
	case: "a case",
	unit: "s",
	better: "lower",
	peerName: "a peer",
	ours: () => 1,
	peer: () => 2,
	...more,
});

suite("a benchmark compares in the same run", () => {
	test("a ratio above 1 means that ours is better, whichever way the unit goes", () => {
		const raw = { ours: [1, 2, 1], peer: [2, 2, 4] };
		assert.deepEqual(rowOf(contest({}), raw).ratio, { median: 2, min: 1, max: 4 });
		assert.deepEqual(rowOf(contest({ better: "higher" }), raw).ratio, { median: 0.5, min: 0.25, max: 1 });
	});

	test("the median is the middle figure, or between the two in the middle", () => {
		assert.equal(median([9, 1, 5]), 5);
		assert.equal(median([4, 1, 2, 9]), 3);
		assert.throws(() => median([]), RangeError);
	});

	test("sides take turns in going first, and the first round is thrown away", async () => {
		const order: string[] = [];
		const ours = () => order.push("A");
		const result = await compare("turns", [contest({ ours, peer: () => order.push("B") })], 5);
		assert.equal(order.join(""), "BAABBAABBAAB");
		assert.equal(result.rows[0]?.raw.ours.length, 5);
	});

	test("a peer that is not there is not measured, and the others are", async () => {
		const absent = () => {
			throw new Error("not installed");
		};
		const result = await compare("absent", [contest({ peer: absent, peerName: "nats" }), contest({})]);
		assert.deepEqual(result.notMeasured, [{ peer: "nats", why: "a case: not installed" }]);
		assert.equal(result.rows.length, 1);
	});

	test("no figure is not a figure of zero", async () => {
		const result = await compare("nothing", [contest({ ours: () => 0 })]);
		assert.equal(result.rows.length, 0);
		assert.match(result.notMeasured[0]?.why ?? "", /ours gave no figure/);
	});
});

suite("the load generator", () => {
	test("its messages are what a WebSocket server reads, at every length", async (t) => {
		const server = new WebSocketServer({ port: 0, host: "127.0.0.1", perMessageDeflate: false });
		t.after(() => server.close());
		await once(server, "listening");
		server.on("connection", (socket) => socket.on("message", (data) => socket.send(data, { binary: true })));
		const socket = await open((server.address() as AddressInfo).port, "/");
		t.after(() => socket.destroy());
		const sizes = [1, 125, 126, 65_535, 65_536];
		const got: Buffer[] = [];
		const done = new Promise<void>((resolve) => {
			let parts: Buffer[] = [];
			read(socket, (chunk, start, end, last) => {
				parts.push(chunk.subarray(start, end));
				if (!last) return;
				got.push(Buffer.concat(parts));
				parts = [];
				if (got.length === sizes.length) resolve();
			});
		});
		const payloads = sizes.map((size) => Buffer.from(Uint8Array.from({ length: size }, (_, i) => i * 7)));
		for (const payload of payloads) socket.write(message(payload));
		await done;
		assert.deepEqual(got, payloads);
	});

	test("it counts at the reader what went through a server, and the server's CPU with it", {
		skip: process.platform !== "linux",
	}, async (t) => {
		const { child, pid, port } = await bareForwarder();
		t.after(() => child.kill("SIGKILL"));
		const lanes = new URL("./bare-lanes.ts", import.meta.url).href;
		const drove = await drive(pid, { lanes, port, size: 256, pairs: 2, warmMs: 50, measureMs: 150 });
		assert.ok(drove.payloads > 0 && drove.cpuSeconds > 0 && drove.seconds > 0);
	});

	test("a server that goes away during a run gives no figure", { skip: process.platform !== "linux" }, async (t) => {
		const { child, pid, port } = await bareForwarder();
		t.after(() => child.kill("SIGKILL"));
		const lanes = new URL("./bare-lanes.ts", import.meta.url).href;
		const driving = drive(pid, { lanes, port, size: 256, pairs: 2, warmMs: 60_000, measureMs: 1000 });
		driving.catch(() => {});
		await connected(port);
		child.kill("SIGKILL");
		await assert.rejects(driving, /before it was done/);
	});
});

/** Resolves when the server takes connections. */
async function connected(port: number) {
	const socket = connect(port, "127.0.0.1");
	await once(socket, "connect");
	socket.destroy();
}

suite("npm run bench", () => {
	let folder = "";
	after(() => rm(folder, { recursive: true, force: true }));
	const run = (...words: string[]) =>
		new Promise<{ code: number; out: string; err: string }>((resolve) => {
			execFile(process.execPath, [join(import.meta.dirname, "run.ts"), ...words], (failed, out, err) =>
				resolve({ code: typeof failed?.code === "number" ? failed.code : 0, out, err }),
			);
		});

	test("writes one JSON object and ends with 0 whatever came out", async () => {
		folder = await mkdtemp(join(tmpdir(), "farelay-bench-"));
		const path = join(folder, "verify.json");
		const { code } = await run("verify", "--quick", "--json", path);
		assert.equal(code, 0);
		const result = JSON.parse(await readFile(path, "utf8")) as Result;
		assert.equal(result.name, "verify");
		assert.ok(result.runs >= 5);
		for (const { ratio } of result.rows) assert.ok(ratio.min <= ratio.median && ratio.median <= ratio.max);
	});

	test("an unknown name is refused with the list of those there are", async () => {
		for (const words of [["../run"], ["nothing"], ["measure"], []]) {
			const { code, err } = await run(...words);
			assert.equal(code, 1);
			assert.match(err, /verify +checking an Ed25519 signature/);
		}
	});
});
