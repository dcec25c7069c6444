/**
 * `npm run mutate`: shows that the tests would notice. It removes or flips the checks of the files that money and the
 * wire depend on, one at a time and in a copy, and runs the tests that reach the file; each must fail.
 *
 *     npm run mutate                         all of them
 *     npm run mutate -- tariff till          files whose path has one of these words
 *     npm run mutate -- --sample 60 --seed 7 so many, spread over the files
 *     npm run mutate -- --minutes 10         what can be done in this time; the rest is counted and no failure
 *     npm run mutate -- --list               what would be done
 *
 * A mutant that cannot be told from the original by any test stands in `test/mutate/equivalent.json`, with the reason.
 */
import { spawn } from "node:child_process";
import { createHash } from "node:crypto";
import { cpSync, globSync, mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { parseArgs } from "node:util";
import { graphOf } from "./imports.ts";
import { type Mutant, mutantsOf } from "./mutants.ts";
import { home, readTree } from "./tree.ts";

/** The files whose checks are tried. What does not exist (yet) is passed over. */
const TARGETS = [
	"contracts/{amount,tariff,voucher,frame}.ts",
	"services/marketplace/ledger/**/*.ts",
	"services/relay/{meter,till}.ts",
	"services/relay/till/**/*.ts",
];

/** Tests that take long and add little here: they run real processes. */
const APART = /^test\/(crash|web|whole|scenario|bench|house)\//;

/** A mutant may run for ever; after this many times the tests' usual time it counts as noticed. */
const PATIENCE = 4;
const PATIENCE_MS_MIN = 20_000;

const { values: flags, positionals: words } = parseArgs({
	allowPositionals: true,
	options: {
		sample: { type: "string" },
		seed: { type: "string", default: "1" },
		minutes: { type: "string", default: "600" },
		jobs: { type: "string", default: "2" },
		list: { type: "boolean", default: false },
	},
});

type Verdict = "killed" | "timed out" | "survived";

/** Which tests reach a file, the nearest first. Loading later and starting as a worker count as reaching. */
function testsReaching(target: string, importers: Map<string, string[]>): string[] {
	const seen = new Set([target]);
	const queue = [target];
	for (let path = queue.shift(); path !== undefined; path = queue.shift()) {
		for (const by of importers.get(path) ?? []) {
			if (seen.has(by)) continue;
			seen.add(by);
			queue.push(by);
		}
	}
	return [...seen].filter((path) => /^test\/.*\.test\.ts$/.test(path) && !APART.test(path));
}

/** Runs a file of tests in a folder up to the first test that fails. */
function run(folder: string, test: string, msMax: number): Promise<Verdict> {
	const words = ["--test-reporter=tap", test];
	return new Promise((resolve) => {
		// A group of its own, so that nothing a mutant started outlives it.
		const child = spawn(process.execPath, words, { cwd: folder, stdio: ["ignore", "pipe", "ignore"], detached: true });
		let verdict: Verdict | undefined;
		const end = (said: Verdict) => {
			verdict ??= said;
			try {
				process.kill(-(child.pid ?? 0), "SIGKILL");
			} catch {
				// It had already ended.
			}
		};
		const timer = setTimeout(() => end("timed out"), msMax);
		let last = "";
		child.stdout.setEncoding("utf8").on("data", (text: string) => {
			last = (last + text).slice(-text.length - 10);
			if (/^\s*not ok /m.test(last)) end("killed");
		});
		child.on("close", (code) => {
			clearTimeout(timer);
			resolve(verdict ?? (code === 0 ? "survived" : "killed"));
		});
	});
}

/** A copy of the project to break, with the installed packages linked into it. */
function copyOf(tree: ReadonlyMap<string, string>): string {
	const folder = mkdtempSync(join(tmpdir(), "farelay-mutate-"));
	for (const path of tree.keys()) {
		mkdirSync(dirname(join(folder, path)), { recursive: true });
		cpSync(join(home, path), join(folder, path));
	}
	symlinkSync(join(home, "node_modules"), join(folder, "node_modules"));
	return folder;
}

/** So many mutants, taken in turn from each file, by an order that depends on nothing but the seed and themselves. */
function sample(mutants: Mutant[], count: number, seed: string): Mutant[] {
	const rank = (m: Mutant) => createHash("sha256").update(`${seed}\n${m.path}\n${m.from}\n${m.to}`).digest("hex");
	const files = [...Map.groupBy(mutants, ({ path }) => path).values()].map((of) =>
		of.map((mutant) => ({ mutant, rank: rank(mutant) })).sort((a, b) => (a.rank < b.rank ? -1 : 1)),
	);
	const turns = Math.max(0, ...files.map(({ length }) => length));
	const order = Array.from({ length: turns }, (_, turn) => files.flatMap((of) => of[turn]?.mutant ?? [])).flat();
	return order.slice(0, count);
}

const tree = readTree();
const { imports } = JSON.parse(tree.get("package.json") ?? "{}") as { imports: Record<string, string> };
const importers = new Map<string, string[]>();
for (const [path, targets] of graphOf(tree, imports))
	for (const target of targets) importers.set(target, [...(importers.get(target) ?? []), path]);

const paths = globSync(TARGETS, { cwd: home })
	.map((path) => path.replaceAll("\\", "/"))
	.filter((path) => words.length === 0 || words.some((word) => path.includes(word)))
	.sort();
const all = paths.flatMap((path) => mutantsOf(path, tree.get(path) ?? ""));

type Equivalent = { path: string; from: string; to: string; reason: string };
const excused = JSON.parse(readFileSync(join(home, "test/mutate/equivalent.json"), "utf8")) as Equivalent[];
const same = (a: { path: string; from: string; to: string }) => (b: typeof a) =>
	a.path === b.path && a.from === b.from && a.to === b.to;
const stale = excused.filter((entry) => paths.includes(entry.path) && !all.some(same(entry)));
const open = all.filter((mutant) => !excused.some(same(mutant)));
const chosen = flags.sample === undefined ? open : sample(open, Number(flags.sample), flags.seed);
const told = ({ path, line, from, to }: Mutant) => `${path}:${line}\n    - ${from}\n    + ${to}`;

if (flags.list) {
	for (const mutant of chosen) console.log(told(mutant));
	process.exit(0);
}

console.log(`${chosen.length} of ${all.length} mutants in ${paths.length} files (${all.length - open.length} excused)`);
const copies = Array.from({ length: Number(flags.jobs) }, () => copyOf(tree));
process.on("exit", () => {
	for (const folder of copies) rmSync(folder, { recursive: true, force: true });
});
for (const signal of ["SIGINT", "SIGTERM"] as const) process.on(signal, () => process.exit(130));

/** How long each test takes on what is not changed, and those that fail even so. */
const usualMs = new Map<string, number>();
const failing = new Set<string>();
const targets = [...new Set(chosen.map(({ path }) => path))];
const reaching = new Map(targets.map((path) => [path, testsReaching(path, importers)]));
const untimed = [...new Set([...reaching.values()].flat())];
await Promise.all(
	copies.map(async (folder) => {
		for (let test = untimed.shift(); test !== undefined; test = untimed.shift()) {
			const start = performance.now();
			if ((await run(folder, test, 300_000)) !== "survived") failing.add(test);
			usualMs.set(test, performance.now() - start);
		}
	}),
);
const broken = targets.flatMap((path) => {
	const tests = reaching.get(path) ?? [];
	const wrong = tests.filter((test) => failing.has(test));
	if (tests.length === 0) return [`${path}: no test reaches it`];
	return wrong.length > 0 ? [`${path}: as it is, ${wrong.join(" and ")} fail`] : [];
});
const usual = (test: string) => usualMs.get(test) ?? 0;

const verdicts = new Map<Mutant, Verdict>();
const deadline = performance.now() + Number(flags.minutes) * 60_000;
const waiting = chosen.filter(({ path }) => !broken.some((line) => line.startsWith(`${path}:`)));
async function work(folder: string) {
	for (let mutant = waiting.shift(); mutant !== undefined; mutant = waiting.shift()) {
		writeFileSync(join(folder, mutant.path), mutant.text);
		let verdict: Verdict = "survived";
		// The quick ones first: most mutants need no more.
		for (const test of (reaching.get(mutant.path) ?? []).toSorted((a, b) => usual(a) - usual(b))) {
			verdict = await run(folder, test, Math.max(PATIENCE_MS_MIN, PATIENCE * usual(test)));
			if (verdict !== "survived") break;
		}
		writeFileSync(join(folder, mutant.path), tree.get(mutant.path) ?? "");
		verdicts.set(mutant, verdict);
		if (verdict === "survived") console.log(`SURVIVED ${told(mutant)}`);
		else if (process.stdout.isTTY) process.stdout.write(`\r${verdicts.size}/${chosen.length} `);
		if (performance.now() > deadline) break;
	}
}
await Promise.all(copies.map(work));

console.log("\nkilled  timed out  survived  file");
for (const path of paths) {
	const of = [...verdicts].filter(([mutant]) => mutant.path === path).map(([, verdict]) => verdict);
	const count = (verdict: Verdict, width: number) => String(of.filter((one) => one === verdict).length).padStart(width);
	if (of.length > 0) console.log(`${count("killed", 6)}${count("timed out", 11)}${count("survived", 10)}  ${path}`);
}
if (waiting.length > 0) console.log(`${waiting.length} were left when the time was over`);
for (const line of broken) console.log(`NOT TRIED ${line}`);
for (const { path, from, to } of stale) console.log(`EXCUSED FOR NOTHING ${path}\n    - ${from}\n    + ${to}`);
const survived = [...verdicts.values()].filter((verdict) => verdict === "survived").length;
console.log(
	survived + broken.length + stale.length === 0
		? "every mutant that was tried was noticed"
		: `${survived} were not noticed`,
);
if (survived + broken.length + stale.length > 0) process.exitCode = 1;
