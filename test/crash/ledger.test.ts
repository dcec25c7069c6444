/** Threat 13 for money: the process is killed with SIGKILL at named points and at random instants, again and again, on one file. */

import assert from "node:assert/strict";
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, it } from "node:test";
import { isProblem } from "#contracts/problem";
import { type Check, FINDINGS_MAX } from "#marketplace/ledger/audit";
import { holdAccount } from "#marketplace/ledger/chart";
import { auditFile, openSqliteBook } from "#marketplace/ledger/sqlite";

/** Where the writer can be told to die, and whether what it was writing must be there, must not, or may be either. */
const POINTS = [
	{ point: "ledger:within-group", kept: false },
	{ point: "ledger:within-group#2", kept: false },
	{ point: "ledger:within-group#9", kept: false },
	{ point: "ledger:before-commit", kept: false },
	{ point: "ledger:before-commit#4", kept: false },
	{ point: "ledger:after-commit", kept: true },
	{ point: "ledger:after-commit#4", kept: true },
	{ point: "ledger:answered#2", kept: undefined },
];
const RANDOM_KILLS = 14;

/** Each tab of the child holds what it was opened with, less what its row says was paid. */
const tabsAgree: Check = async function* ({ tabs, balanceOf }) {
	for await (const { tab, value } of tabs()) {
		const left = 100n - BigInt((JSON.parse(value) as { paid: string }).paid);
		if (balanceOf(holdAccount(tab)) !== left) yield `Tab ${tab} holds ${balanceOf(holdAccount(tab))}, not ${left}.`;
	}
};

describe("threat 13: the ledger's process is killed", () => {
	let folder: string;
	let path: string;
	const asked = new Set<string>();
	const answered = new Set<string>();

	beforeEach(async () => {
		folder = await mkdtemp(join(tmpdir(), "farelay-crash-"));
		path = join(folder, "ledger.db");
		asked.clear();
		answered.clear();
	});
	afterEach(() => rm(folder, { recursive: true, force: true }));

	function start(run: number, fault?: string): { child: ChildProcess; ended: Promise<void>; unanswered(): string[] } {
		const child = spawn(process.execPath, [join(import.meta.dirname, "ledger-child.ts"), path, String(run)], {
			stdio: ["ignore", "pipe", "inherit"],
			env: { ...process.env, ...(fault && { FARELAY_FAULT: fault }) },
		});
		let rest = "";
		child.stdout.setEncoding("utf8").on("data", (text: string) => {
			const lines = (rest + text).split("\n");
			rest = lines.pop() ?? "";
			for (const line of lines) (line.startsWith("!") ? answered : asked).add(line.slice(2));
		});
		const ended = once(child, "close").then(([, signal]) =>
			assert.equal(signal, "SIGKILL", "it died of something else"),
		);
		return {
			child,
			ended,
			unanswered: () => [...asked].filter((name) => name.startsWith(`${run}-`) && !answered.has(name)),
		};
	}

	/** First as whoever comes to look at the file just as the crash left it, then with the file opened and recovered. */
	async function prove(): Promise<(id: string) => Promise<boolean>> {
		const report = await auditFile(path, [tabsAgree]);
		if (isProblem(report)) assert.fail(report.detail);
		assert.deepEqual(report.findings, [], `at most ${FINDINGS_MAX} findings`);
		assert.equal(report.sum, 0n);
		const book = await openSqliteBook({ path });
		if (isProblem(book)) assert.fail(book.detail);
		const there = new Set<string>();
		for (const name of asked) {
			const kept: boolean[] = await Promise.all(
				["deposit", "open", "redeem"].map(async (step) => (await book.transfer(`${step}-${name}`)) !== undefined),
			);
			assert(
				kept.every((is) => is === kept[0]),
				`only a part of batch ${name} is there: one group was torn`,
			);
			if (kept[0]) there.add(name);
			if (answered.has(name)) assert(kept[0], `batch ${name} was answered and is lost`);
		}
		assert.equal((await book.audit([tabsAgree])).holds, true);
		await book.close();
		return async (name) => there.has(name);
	}

	it("at every named point of a write: what was answered is there, what was not is there whole or not at all", async () => {
		let inWrite = 0;
		for (const [run, { point, kept }] of POINTS.entries()) {
			const { ended, unanswered } = start(run, point);
			await ended;
			const isThere = await prove();
			for (const name of unanswered()) {
				inWrite += 1;
				if (kept !== undefined) assert.equal(await isThere(name), kept, `${point}: batch ${name}`);
			}
		}
		assert(inWrite >= 6, `only ${inWrite} of ${POINTS.length} kills landed between a request and its answer`);
		assert(answered.size > 0, "nothing was ever answered");
	});

	it("at random instants: what was answered is there, and at least one kill landed in the middle of a write", async () => {
		let inWrite = 0;
		for (let run = 0; run < RANDOM_KILLS; run++) {
			const { child, ended, unanswered } = start(run);
			await once(child.stdout!, "data");
			// not waiting for anything to happen: the instant is what is random here
			await new Promise((resolve) => setTimeout(resolve, Math.random() * 120));
			child.kill("SIGKILL");
			await ended;
			if (unanswered().length > 0) inWrite += 1;
			await prove();
		}
		assert(inWrite > 0, `none of ${RANDOM_KILLS} kills landed in the middle of a write`);
		assert(answered.size > RANDOM_KILLS, `only ${answered.size} batches were answered`);
	});
});
