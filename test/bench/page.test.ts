import assert from "node:assert/strict";
import { globSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { suite, test } from "node:test";
import type { Kept, Row } from "./measure.ts";
import { FOLDER, results, soakOf } from "./page/draw.ts";
import { drawn, PAGE, table } from "./page/page.ts";
import { met, targetOf } from "./page/target.ts";

const row = (more: Partial<Row>): Row => ({
	case: "pipelined-64",
	ours: 1,
	peer: 45,
	unit: "server CPU s per million payloads",
	peerName: "ws",
	ratio: { median: 45, min: 41, max: 50 },
	raw: { ours: [1], peer: [45] },
	...more,
});
const kept = (rows: Row[], more: Partial<Kept> = {}): Kept => ({
	name: "forward",
	runs: 5,
	rows,
	notMeasured: [],
	...more,
});

suite("docs/bench", () => {
	test("is what its results give: nobody wrote a figure by hand (else: npm run bench -- tables)", () => {
		const files = drawn(results(), soakOf());
		const there = globSync(["*.svg", PAGE], { cwd: FOLDER }).sort();
		assert.deepEqual(there, [...files.keys()].sort());
		for (const [file, words] of files) assert.equal(readFileSync(join(FOLDER, file), "utf8"), words, file);
	});

	test("a missed target is told as missed, in the table and above it", () => {
		const behind = row({ case: "pipelined-256", ratio: { median: 19.9, min: 15, max: 30 } });
		const page = drawn([kept([row({}), behind])]).get(PAGE) ?? "";
		assert.match(page, /1 of 2 targets met; missed: pipelined-256 \(ws\)/);
		assert.match(page, /\| pipelined-64 \| ws \| .* \| at least 40: met \|/);
		assert.match(page, /\| pipelined-256 \| ws \| .* \| at least 20: \*\*missed\*\* \|/);
	});

	test("a target of our own figure is held to ours, whatever the peer did", () => {
		const target = targetOf("idle", { case: "connection", peerName: "ws" });
		assert(target);
		assert.equal(met(target, { ours: 8193, peer: 1, ratio: { median: 9, min: 9, max: 9 } }), false);
		assert.equal(met(target, { ours: 8192, peer: 1, ratio: { median: 0.1, min: 0.1, max: 0.1 } }), true);
		const both = targetOf("ledger", { case: "redeem-300", peerName: "node:sqlite" });
		assert(both);
		const [low, high] = [0.59, 0.6].map((median) => ({ median, min: 0, max: 1 }));
		assert(low && high);
		assert.equal(met(both, { ours: 20_000, peer: 1, ratio: high }), true);
		assert.equal(met(both, { ours: 20_000, peer: 1, ratio: low }), false);
		assert.equal(met(both, { ours: 19_999, peer: 1, ratio: high }), false);
	});

	test("a delay is held to what it is above an idle one", () => {
		const target = targetOf("mailbox", { case: "loop-1024", peerName: "the same relay, idle" });
		assert(target);
		const ratio = { median: 1, min: 1, max: 1 };
		assert.equal(met(target, { ours: 31, peer: 21, ratio }), true);
		assert.equal(met(target, { ours: 32, peer: 21, ratio }), false);
	});

	test("what was not measured is told with its reason, and is in no row", () => {
		const page = drawn([kept([row({})], { notMeasured: [{ peer: "nats", why: "`apt-get` ended with ENOENT" }] })]).get(
			PAGE,
		);
		assert.match(page ?? "", /- Not measured: nats \(`apt-get` ended with ENOENT\)\./);
	});

	test("a note with a bar in it does not break a table", () => {
		const lines = table(kept([row({ note: "this | that" })])).split("\n");
		const cells = new Set(lines.map((line) => line.split("|").length));
		assert.equal(cells.size, 1);
	});

	test("a soak that lost something says so in bold", () => {
		const soak = {
			...{ minutes: 10, seed: 7, people: 20, sent: 1234, kept: 1200, delivered: 1199, duplicates: 0, lost: 1 },
			...{ unanswered: 0, refused: 0, unaccountedNanos: 0, takenByKillsBytes: { taken: 5, most: 10 }, kills: 40 },
			left: 0,
			...{ faults: 9, faultsByKind: { cut: 4, delay: 5 }, rssMiB: [80, 90] as const, notes: ["a note"] },
		};
		const page = drawn([], soak).get(PAGE) ?? "";
		assert.match(page, /\| lost: kept and never shown \| \*\*1\*\* \|\n\| shown twice \| 0 \|/);
		assert.match(page, /- a note/);
	});

	test("a chart has a bar for each row, with its ratio in words, and stays inside its picture", () => {
		const rows = [row({}), row({ peerName: "a <b> & c", ratio: { median: 0.004, min: 0.001, max: 0.02 } })];
		const picture = drawn([kept(rows)]).get("forward-pipelined.svg") ?? "";
		assert.equal(picture.match(/<rect /g)?.length, 2);
		assert.match(picture, /pipelined-64, ws: 45\.0; pipelined-64, a &lt;b> &amp; c: 0\.00400/);
		assert.match(picture, /prefers-color-scheme:dark/);
		for (const [, x] of picture.matchAll(/ x[12]?="([^"]+)"/g)) assert.ok(Number(x) >= 0 && Number(x) <= 760, picture);
	});
});
