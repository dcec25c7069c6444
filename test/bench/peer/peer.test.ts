import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { suite, test } from "node:test";
import { startPeers } from "./all.ts";
import { deriveKey } from "./blake3.ts";
import { run } from "./depot.ts";
import type { Peer } from "./peer.ts";
import { Counter, payloadOf } from "./records.ts";

suite("a peer of the benchmarks", () => {
	test("that cannot be had is told with the command that failed, and the others are still asked", async () => {
		const there = { version: "1", tell: () => assert.fail(), stop: async () => {} };
		const peers: Peer[] = [
			{ name: "absent", gathers: false, start: () => run(["farelay-no-such-program", "--get"]).then(() => there) },
			{ name: "failing", gathers: false, start: () => run([process.execPath, "-p", "x"]).then(() => there) },
			{ name: "there", gathers: false, start: async () => there },
		];
		const { started, notMeasured } = await startPeers(1000, peers);
		assert.deepEqual(
			started.map(({ peer }) => peer.name),
			["there"],
		);
		assert.deepEqual(
			notMeasured.map(({ peer }) => peer),
			["absent", "failing"],
		);
		assert.equal(notMeasured[0]?.why, "`farelay-no-such-program --get` ended with ENOENT");
		assert.match(notMeasured[1]?.why ?? "", /-p x` ended with 1: .*x is not defined/);
	});

	test("whose build takes too long ends with all that it started", { timeout: 20_000 }, async (t) => {
		const pidFile = join(await mkdtemp(join(tmpdir(), "farelay-peer-")), "pid");
		t.after(() => rm(dirname(pidFile), { recursive: true }));
		// a build that starts a compiler, which outlives it
		const build = `sleep 60 & echo $! > ${pidFile}; wait`;
		await assert.rejects(run(["sh", "-c", build], { msMax: 500 }), /no end in 0.5 s/);
		const pid = Number(await readFile(pidFile, "utf8"));
		const gone = () => {
			try {
				// a zombie that nobody has buried yet is gone, too
				return /^State:\s+Z/m.test(readFileSync(`/proc/${pid}/status`, "utf8"));
			} catch {
				return true;
			}
		};
		for (let tries = 0; !gone(); tries++) {
			assert.ok(tries < 200, "it is still there");
			await new Promise((resolve) => setTimeout(resolve, 20));
		}
	});

	test("whose build takes too long is given up, and so is what it said of addresses", async () => {
		await assert.rejects(
			run([process.execPath, "-e", "setTimeout(() => {}, 60000)"], { msMax: 50 }),
			/no end in 0.05 s/,
		);
		const fails = "console.error('GET https://registry.example/x failed'); process.exit(3)";
		await assert.rejects(run([process.execPath, "-e", fails]), /ended with 3: GET \(an address\) failed/);
	});
});

suite("the records that a peer's reader gets", () => {
	const record = Buffer.concat([Buffer.from("MSG 1\r\n"), payloadOf(2, 64), Buffer.from("\r\n")]);
	const shape = { mark: 77, bytes: record.length, payloadAt: 7, payloadBytes: 64 };
	const stream = Buffer.concat([record, record, record]);
	const count = (pieces: Buffer[]) => {
		const counter = new Counter(shape, 4);
		const got: [number, number][] = [];
		for (const piece of pieces) counter.take(piece, 0, piece.length);
		counter.tell((lane, payloads) => got.push([lane, payloads]));
		return got;
	};

	test("are counted for their lane however the stream is cut", () => {
		for (let cut = 0; cut <= stream.length; cut++)
			assert.deepEqual(count([stream.subarray(0, cut), stream.subarray(cut)]), [[2, 3]]);
		assert.deepEqual(count(Array.from(stream, (byte) => Buffer.from([byte]))), [[2, 3]]);
	});

	test("may have something else between them, which counts for nothing", () => {
		const aside = { mark: 80, bytes: 6 };
		const ping = Buffer.from("PING\r\n");
		const mixed = Buffer.concat([record, ping, ping, record, ping]);
		for (let cut = 0; cut <= mixed.length; cut++) {
			const counter = new Counter({ ...shape, aside }, 4);
			for (const piece of [mixed.subarray(0, cut), mixed.subarray(cut)]) counter.take(piece, 0, piece.length);
			let told = 0;
			counter.tell((_, payloads) => {
				told += payloads;
			});
			assert.equal(told, 2);
		}
	});

	test("that are shifted, cut short or of a lane that is none give no figure", () => {
		assert.throws(() => count([stream.subarray(1)]), /a record began with 83/);
		assert.throws(
			() => count([Buffer.concat([record.subarray(0, 60), record])]),
			/other than it was sent|a record began/,
		);
		const changed = Buffer.from(record);
		changed[7 + 63] = 0x5a;
		assert.throws(() => count([changed]), /other than it was sent/);
		const strange = Buffer.from(record);
		strange[7] = 9;
		assert.throws(() => count([strange]), /a lane that is none/);
	});
});

test("BLAKE3 derives the keys that its own test vectors name", () => {
	const context = "BLAKE3 2019-12-27 16:29:52 test vectors context";
	assert.match(deriveKey(context, new Uint8Array(0)).toString("hex"), /^2cc39783c223154f/);
	assert.match(deriveKey(context, Uint8Array.of(0)).toString("hex"), /^b3e2e340a117a499/);
});
