import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { afterEach, beforeEach, describe, it } from "node:test";
import { promisify } from "node:util";
import { isProblem } from "#contracts/problem";
import { owned, startWriter, type Writer, type WriterOptions } from "#host/writer";
import type { Counters } from "./counter-thread.ts";

describe("one writer in a thread", () => {
	let folder: string;
	let open: Writer<Counters>[];

	beforeEach(async () => {
		folder = await mkdtemp(join(tmpdir(), "farelay-writer-"));
		open = [];
	});
	afterEach(async () => {
		for (const writer of open) await writer.close();
		await rm(folder, { recursive: true, force: true });
	});

	async function start(options: object = {}, more: Partial<WriterOptions> = {}): Promise<Writer<Counters>> {
		const writer = await startWriter<Counters>({
			name: "counters",
			module: import.meta.resolve("./counter-thread.ts"),
			options: { path: join(folder, "counters.db"), ...options },
			...more,
		});
		assert(!isProblem(writer), JSON.stringify(writer));
		open.push(writer);
		return writer;
	}

	/** What is on disk, as another connection sees it: whole transactions only. */
	function readAsOther(name: string): unknown {
		const other = new DatabaseSync(join(folder, "counters.db"), { readOnly: true });
		const row = other.prepare("SELECT n FROM counters WHERE name = ?").get(name);
		other.close();
		return row?.n;
	}

	it("answers a write only when another process can read it", async () => {
		const writer = await start();
		await writer.call("add", { name: "a", by: 5 });
		assert.equal(readAsOther("a"), 5);
		assert.equal(await writer.call("read", "a"), 5);
	});

	it("makes one transaction of what is asked in one turn, however much that is", async () => {
		const writer = await start({}, { groupMax: 10_000 });
		const data = new DatabaseSync(join(folder, "counters.db"), { readOnly: true });
		const version = data.prepare("PRAGMA data_version");
		version.get();
		const asked = Array.from({ length: 500 }, (_, i) => writer.call("add", { name: `n${i}`, by: i }));
		// whoever looks from outside sees none of them, or all
		const seen = new Set<unknown>();
		const count = data.prepare("SELECT count(*) AS n FROM counters");
		let waiting = true;
		const all = Promise.all(asked).then(() => {
			waiting = false;
		});
		while (waiting) {
			seen.add(count.get()?.n);
			await new Promise(setImmediate);
		}
		await all;
		seen.add(count.get()?.n);
		data.close();
		assert.deepEqual([...seen].sort(), [0, 500]);
	});

	it("splits what waits into groups of at most the bound and still answers all", async () => {
		const writer = await start({}, { groupMax: 7 });
		const answers = await Promise.all(Array.from({ length: 100 }, () => writer.call("add", { name: "a", by: 1 })));
		assert.equal(answers.length, 100);
		assert.equal(readAsOther("a"), 100);
	});

	it("ends a group when its bytes are as many as they may be, and takes what is larger alone", async () => {
		const writer = await start({}, { groupBytesMax: 1000 });
		// a group's answers come in one message, and so in one go
		const groups: number[][] = [];
		let going = false;
		const heard = (size: number): void => {
			if (!going) groups.push([]);
			groups.at(-1)?.push(size);
			going = true;
			process.nextTick(() => {
				going = false;
			});
		};
		const sizes = [400, 600, 5000, 100, 100];
		await Promise.all(
			sizes.map((size) => writer.call("keep", new Uint8Array(size), { bytes: size }).then(() => heard(size))),
		);
		assert.deepEqual(groups, [[400, 600], [5000], [100, 100]]);
	});

	it("undoes a refused request and one with a bug alone, and keeps their neighbours in the same group", async () => {
		const writer = await start();
		const answers = await Promise.allSettled([
			writer.call("add", { name: "a", by: 1 }),
			writer.call("add", { name: "a", by: 10, fate: "refuse" }),
			writer.call("add", { name: "a", by: 100, fate: "throw" }),
			writer.call("add", { name: "a", by: -5 }),
			writer.call("add", { name: "a", by: 1000 }),
		]);
		assert.deepEqual(
			answers.map((answer) => answer.status),
			["fulfilled", "fulfilled", "rejected", "rejected", "fulfilled"],
		);
		assert.equal(isProblem((answers[1] as PromiseFulfilledResult<unknown>).value), true);
		assert.match(String((answers[2] as PromiseRejectedResult).reason), /a bug on purpose/);
		assert.match(String((answers[3] as PromiseRejectedResult).reason), /constraint/);
		assert.equal(readAsOther("a"), 1001);
	});

	it("undoes what is refused also when it is all that is wrong with its group", async () => {
		const writer = await start();
		const [one, refused] = await Promise.all([
			writer.call("add", { name: "a", by: 1 }),
			writer.call("add", { name: "a", by: 10, fate: "refuse" }),
		]);
		assert(!isProblem(one) && isProblem(refused));
		assert.equal(readAsOther("a"), 1);
	});

	it("threat 14: answers disk to a whole group that a full disk did not take, and lives on", async () => {
		const writer = await start({ pagesMax: 12 });
		await writer.call("add", { name: "a", by: 1 });
		const large = new Uint8Array(100_000);
		const [small, full] = await Promise.all([writer.call("add", { name: "a", by: 1 }), writer.call("keep", large)]);
		assert.equal(isProblem(full) && full.problem, "disk");
		// what shared the transaction is either on disk or refused, never answered and lost
		assert.equal(readAsOther("a"), isProblem(small) ? 1 : 2);
		assert.equal(await writer.call("read", "a"), isProblem(small) ? 1 : 2);
		assert(!isProblem(await writer.call("add", { name: "a", by: 1 })));
	});

	it("threat 14: keeps what fits on a full disk, though it was asked together with what does not", async () => {
		const writer = await start({ pagesMax: 12 });
		const [before, large, after] = await Promise.all([
			writer.call("add", { name: "a", by: 1 }),
			writer.call("keep", new Uint8Array(100_000)),
			writer.call("add", { name: "b", by: 1 }),
		]);
		assert.equal(isProblem(large) && large.problem, "disk");
		assert(!isProblem(before) && !isProblem(after));
		assert.deepEqual([readAsOther("a"), readAsOther("b")], [1, 1]);
	});

	it("threat 14: answers disk to every write on a read-only database, and still reads", async () => {
		const writer = await start();
		await writer.call("add", { name: "a", by: 1 });
		await writer.close();
		const readOnly = await start({ readOnly: true });
		const answers = await Promise.all([
			readOnly.call("add", { name: "a", by: 1 }),
			readOnly.call("add", { name: "b", by: 1 }),
			readOnly.call("read", "a"),
		]);
		assert.equal(isProblem(answers[0]) && answers[0].problem, "disk");
		assert.equal(isProblem(answers[1]) && answers[1].problem, "disk");
		assert.equal(answers[2], 1, "what is there can still be read");
	});

	it("threat 14: answers disk when the disk refuses the commit itself, keeps what it answered before, and still reads", async () => {
		// a limit on the size of files stands for the disk: pages are written to the log at the commit, and fail there
		const script = `import { startWriter } from "#host/writer";
			const [module, path] = process.argv.slice(1);
			const writer = await startWriter({ name: "counters", module, options: { path } });
			let [taken, refused] = [0, 0];
			while (refused < 3 && taken < 1000) {
				const two = [writer.call("add", { name: "a", by: 1 }), writer.call("keep", new Uint8Array(50_000))];
				const [answer, other] = await Promise.all(two);
				if ((answer.problem === "disk") !== (other.problem === "disk")) throw new Error("a group was torn");
				if (answer.problem === "disk") refused += 1; else taken += 1;
			}
			console.log(taken, refused, await writer.call("read", "a"));
			await writer.close();`;
		const path = join(folder, "counters.db");
		const { stdout } = await promisify(execFile)("sh", [
			"-c",
			`trap "" XFSZ; ulimit -f 1024; exec "$0" --input-type=module -e "$@"`,
			process.execPath,
			script,
			import.meta.resolve("./counter-thread.ts"),
			path,
		]);
		const [taken, refused, read] = stdout.trim().split(" ").map(Number);
		assert(taken! > 0 && taken! < 1000, stdout);
		assert.equal(refused, 3, "it went on answering");
		assert.equal(read, taken);
		assert.equal(readAsOther("a"), taken);
	});

	it("refuses more waiting requests and more waiting bytes than its bounds, and takes new ones once some are answered", async () => {
		const writer = await start({}, { outstandingMax: 3, outstandingBytesMax: 1000 });
		const three = [1, 2, 3].map(() => writer.call("add", { name: "a", by: 1 }));
		const fourth = await writer.call("add", { name: "a", by: 1 });
		assert.equal(isProblem(fourth) && fourth.problem, "too-many");
		await Promise.all(three);
		assert.equal(writer.pending, 0);
		const large = writer.call("keep", new Uint8Array(900), { bytes: 900 });
		assert.equal(writer.pendingBytes, 900);
		const more = await writer.call("keep", new Uint8Array(200), { bytes: 200 });
		assert.equal(isProblem(more) && more.problem, "too-many");
		await large;
		assert.equal(writer.pendingBytes, 0);
		assert.equal(await writer.call("keep", new Uint8Array(200), { bytes: 200 }), 2);
	});

	it("hands a payload's buffer over without copying when it is told to", async () => {
		const writer = await start();
		const bytes = owned(new Uint8Array(64 * 1024).subarray(10, 20));
		assert.equal(bytes.buffer.byteLength, 10, "a view of a large buffer becomes a small buffer of its own");
		const kept = writer.call("keep", bytes, { bytes: bytes.length, transfer: [bytes.buffer] });
		assert.equal(await kept, 1);
		assert.equal(bytes.length, 0, "the buffer is gone here");
	});

	it("rejects a payload that cannot be sent instead of breaking the process", async () => {
		const writer = await start();
		const bad = writer.call("keep", (() => 0) as unknown as Uint8Array);
		await assert.rejects(bad, /could not be cloned/);
		assert.equal(await writer.call("read", "a"), 0);
	});

	it("rejects all that waits when its thread dies, says so once, and rejects later calls", async () => {
		const deaths: Error[] = [];
		const writer = await start({}, { onDeath: (why) => deaths.push(why) });
		await writer.call("add", { name: "a", by: 1 });
		const answers = await Promise.allSettled([
			writer.call("add", { name: "a", by: 1 }),
			writer.call("add", { name: "a", by: 1, fate: "exit" }),
			writer.call("add", { name: "a", by: 1 }),
		]);
		for (const answer of answers) {
			assert.equal(answer.status, "rejected");
			assert.match(String(answer.reason), /the writer "counters" ended/);
		}
		await assert.rejects(writer.call("read", "a"), /ended/);
		assert.equal(deaths.length, 1);
		assert.equal(readAsOther("a"), 1, "the group that it died in left nothing");
	});

	it("answers everything that was asked before it is closed, and rejects what is asked after", async () => {
		const writer = await start();
		const asked = Array.from({ length: 50 }, () => writer.call("add", { name: "a", by: 1 }));
		const closed = writer.close();
		await assert.rejects(writer.call("read", "a"), /is closed/);
		await Promise.all([...asked, closed]);
		assert.equal(readAsOther("a"), 50);
		await writer.close();
	});

	it("gives the problem of a damaged file as its answer, and no thread stays behind", async () => {
		const path = join(folder, "counters.db");
		await (await import("node:fs/promises")).writeFile(path, "this is no database ".repeat(1000));
		const answer = await startWriter<Counters>({
			name: "counters",
			module: import.meta.resolve("./counter-thread.ts"),
			options: { path },
			onDeath: () => assert.fail("a refusal is no death"),
		});
		assert.equal(isProblem(answer) && answer.problem, "data-corrupt");
	});
});
