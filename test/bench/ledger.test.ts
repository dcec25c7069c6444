import assert from "node:assert/strict";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { suite, test } from "node:test";
import { isProblem } from "#contracts/problem";
import { auditFile } from "#marketplace/ledger/sqlite";
import { side } from "./ledger.ts";
import { grow } from "./ledger-grown.ts";
import type { BookJob } from "./ledger-job.ts";
import { BATCH } from "./ledger-work.ts";

suite("what the ledger is measured with", { skip: process.platform !== "linux" }, () => {
	const jobs: BookJob[] = [
		{ work: "redemptions", town: { tabs: 2 * BATCH, relays: 1 }, calls: 5, underWay: 2, groups: [1] },
		{ work: "deposits", town: { tabs: 10, relays: 1 }, calls: 60, underWay: 8, groups: [3, 5] },
	];
	for (const job of jobs)
		test(`${job.work} leave the same in the book's file as in that of the bare statements`, async () => {
			const [ours, bare] = await Promise.all([side("seam-ledger", job), side("bare-ledger", job)]);
			assert.match(ours.contents, /^[0-9a-f]{64}$/);
			assert.equal(ours.contents, bare.contents);
			assert.equal(ours.groups.length > 0 && ours.seconds > 0 && bare.seconds > 0, true);
		});

	test("a ledger with a past is one that an audit believes but for the digests, and goes on", async () => {
		const folder = mkdtempSync(join(tmpdir(), "farelay-bench-"));
		const path = join(folder, "grown.db");
		const town = { tabs: 2 * BATCH, relays: 1 };
		const found = await grow(path, town, 10_000);
		assert.ok(found > 9_000 && found <= 10_000, `${found} entries`);
		const job: BookJob = { work: "redemptions", town, calls: 6, skip: 0, underWay: 2, groups: [1], file: path };
		await side("seam-ledger", job);
		const next = await side("seam-ledger", { ...job, skip: 6 });
		assert.equal(next.changes > 0, true);
		const report = await auditFile(path);
		assert.ok(!isProblem(report));
		assert.deepEqual(
			report.findings.filter((says) => !says.endsWith("its digest differs.")),
			[],
		);
		assert.equal(report.entries, found + 12 * 4 * BATCH);
		rmSync(folder, { recursive: true });
	});
});
