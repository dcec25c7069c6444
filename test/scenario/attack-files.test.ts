/** Strangers announce files that never come: whoever listens must go on reading. */

import assert from "node:assert/strict";
import { mkdtemp, readdir, readFile, rm, stat, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { suite, type TestContext, test } from "node:test";
import { diskSink } from "#host/diskfile";

async function folder(t: TestContext): Promise<string> {
	const path = await mkdtemp(join(tmpdir(), "farelay-received-"));
	t.after(() => rm(path, { recursive: true, force: true }));
	return path;
}

const open = async () => (await readdir("/proc/self/fd")).length;
const noFd = process.platform !== "linux" && "open files are counted on Linux";

suite("files that are announced", () => {
	test("threat 12: a thousand announced files hold none open, nor those of which some has come", {
		skip: noFd,
	}, async (t) => {
		const into = await folder(t);
		const before = await open();
		const sinks = [];
		for (let i = 0; i < 1_000; i++) sinks.push(await diskSink(into, `${i}`, "x"));
		assert((await open()) < before + 20);
		// an empty part each, so that its absence later says that the file is in its place; how many there may be is the SDK's bound
		const parts = await Promise.all((await readdir(into)).map((name) => stat(join(into, name))));
		assert.equal(parts.length, 1_000);
		assert(
			parts.every(({ size }) => size === 0),
			"nor do they take room on disk",
		);
		for (const sink of sinks.slice(0, 100)) {
			await sink.write(3, Uint8Array.of(4, 5));
			await sink.sync();
		}
		assert((await open()) < before + 20);
		const [first] = sinks;
		await first?.write(0, Uint8Array.of(1, 2, 3));
		await first?.finish();
		assert.deepEqual([...(await readFile(join(into, "x")))], [1, 2, 3, 4, 5]);
	});

	test("threat 22: a link in the place of a part is not written through", async (t) => {
		const into = await folder(t);
		await writeFile(join(into, "mine"), "mine");
		await symlink(join(into, "mine"), join(into, ".abc.part"));
		const sink = await diskSink(into, "abc", "x");
		await assert.rejects(sink.write(0, Uint8Array.of(1)), { code: "ELOOP" });
		assert.equal(await readFile(join(into, "mine"), "utf8"), "mine");
	});
});
