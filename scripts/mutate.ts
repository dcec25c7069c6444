/**
 * `npm run mutate`: shows that the tests would notice. It removes or flips the checks of the files that money and the
 * wire depend on, one at a time and in a copy, and runs the tests that reach the file; one must fail.
 *
 *     npm run mutate                         all of them
 *     npm run mutate -- tariff till          files whose path has one of these words
 *     npm run mutate -- --sample 60          so many, spread over the files, by a seed that it prints
 *     npm run mutate -- --sample 60 --seed 7 the same ones again
 *     npm run mutate -- --minutes 10         what can be done in this time; the rest is counted and no failure
 *     npm run mutate -- --list               what would be done
 *
 * A mutant that cannot be told from the original by any test stands in `test/mutate/equivalent.json`, with the reason.
 */
import { spawn } from "node:child_process";
import { createHash, randomInt } from "node:crypto";
import {
	cpSync,
	globSync,
	mkdirSync,
	mkdtempSync,
	readFileSync,
	realpathSync,
	rmSync,
	symlinkSync,
	writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { parseArgs } from "node:util";
import { covered } from "./covered.ts";
import { graphOf } from "./imports.ts";
import { judge, type Run, type Verdict } from "./judge.ts";
import { type Mutant, mutantsOf } from "./mutants.ts";
import { home, readTree } from "./tree.ts";

/** The files whose checks are tried. What does not exist (yet) is passed over. */
const TARGETS = [
	"contracts/{amount,tariff,voucher,frame}.ts",
	"services/marketplace/ledger/**/*.ts",
	"services/relay/tab/meter.ts",
	"services/relay/till/**/*.ts",
];

/** Tests that take long and add little here: they run real processes. */
const APART = /^test\/(bench|bounds|crash|fuzz|house|pack|rails|scenario|soak|web|whole)\//;

const { values: flags, positionals: words } = parseArgs({
	allowPositionals: true,
	options: {
		sample: { type: "string" },
		seed: { type: "string", default: String(randomInt(1_000_000)) },
		minutes: { type: "string", default: "600" },
		jobs: { type: "string", default: "2" },
		list: { type: "boolean", default: false },
	},
});

const began = performance.now();
const minutesSoFar = () => ((performance.now() - began) / 60_000).toFixed(1);

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

/** What runs at the moment: ends the group of each. */
const running = new Set<() => void>();

/** Runs a file of tests in a folder up to the first test that fails. */
function run(folder: string, test: string, msMax: number, reports?: string): Promise<Run> {
	const words = ["--test-reporter=tap", test];
	const env = reports === undefined ? process.env : { ...process.env, NODE_V8_COVERAGE: reports };
	const start = performance.now();
	return new Promise((resolve) => {
		// A group of its own, so that nothing a mutant started outlives it.
		const child = spawn(process.execPath, words, {
			cwd: folder,
			env,
			stdio: ["ignore", "pipe", "ignore"],
			detached: true,
		});
		let said: Run["said"] | undefined;
		const kill = () => {
			try {
				if (child.pid !== undefined) process.kill(-child.pid, "SIGKILL");
			} catch {
				// It had already ended.
			}
		};
		running.add(kill);
		const end = (what: Run["said"]) => {
			said ??= what;
			kill();
		};
		const timer = setTimeout(() => end("too long"), msMax);
		let last = "";
		child.stdout.setEncoding("utf8").on("data", (text: string) => {
			last = (last + text).slice(-text.length - 10);
			if (/^\s*not ok /m.test(last)) end("failed");
		});
		child.on("close", (code) => {
			clearTimeout(timer);
			running.delete(kill);
			resolve({ said: said ?? (code === 0 ? "passed" : "failed"), ms: performance.now() - start });
		});
	});
}

/** What one test says of a mutant; the copy is whole again afterwards. */
async function tried(folder: string, mutant: Mutant, test: string, usualMs: number): Promise<Verdict> {
	const over = async (text: string, msMax: number) => {
		writeFileSync(join(folder, mutant.path), text);
		return await run(folder, test, msMax);
	};
	const original = tree.get(mutant.path) ?? "";
	const verdict = await judge(
		(msMax) => over(mutant.text, msMax),
		(msMax) => over(original, msMax),
		usualMs,
	);
	writeFileSync(join(folder, mutant.path), original);
	return verdict;
}

/** A copy of the project to break, with the installed packages linked into it. */
function copyOf(tree: ReadonlyMap<string, string>): string {
	const folder = realpathSync(mkdtempSync(join(tmpdir(), "farelay-mutate-")));
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

const by = flags.sample === undefined ? "" : `, by seed ${flags.seed}`;
console.log(
	`${chosen.length} of ${all.length} mutants in ${paths.length} files (${all.length - open.length} excused)${by}`,
);
const copies = Array.from({ length: Number(flags.jobs) }, () => copyOf(tree));
process.on("exit", () => {
	for (const kill of running) kill();
	// again and again: what was killed just now may have been writing
	for (const folder of copies) rmSync(folder, { recursive: true, force: true, maxRetries: 20, retryDelay: 50 });
});
for (const signal of ["SIGINT", "SIGTERM"] as const) process.on(signal, () => process.exit(130));

/** A test on what is not changed: how long it takes, whether it passes, and what of each target it runs. */
type Usual = { ms: number; passes: boolean; ran: Map<string, Uint8Array> };
const targets = [...new Set(chosen.map(({ path }) => path))];
const reaching = new Map(targets.map((path) => [path, testsReaching(path, importers)]));
const usual = new Map<string, Usual>();
const untimed = [...new Set([...reaching.values()].flat())];
async function time(folder: string, test: string): Promise<Usual> {
	const reports = join(folder, "out", "coverage");
	rmSync(reports, { recursive: true, force: true });
	mkdirSync(reports, { recursive: true });
	const { said, ms } = await run(folder, test, 300_000, reports);
	return { ms, passes: said === "passed", ran: covered(reports, folder, targets) };
}
await Promise.all(
	copies.map(async (folder) => {
		for (let test = untimed.shift(); test !== undefined; test = untimed.shift()) {
			const first = await time(folder, test);
			// Once more: a busy machine is not a broken test.
			usual.set(test, first.passes ? first : await time(folder, test));
		}
	}),
);
const broken = targets.flatMap((path) => {
	const tests = reaching.get(path) ?? [];
	const wrong = tests.filter((test) => usual.get(test)?.passes !== true);
	if (tests.length === 0) return [`${path}: no test reaches it`];
	return wrong.length > 0 ? [`${path}: as it is, ${wrong.join(" and ")} fail`] : [];
});

/** How often a test noticed a mutant of a file, out of how many. */
const record = new Map<string, { asked: number; noticed: number }>();
const recordOf = (path: string, test: string) => record.get(`${path} ${test}`) ?? { asked: 0, noticed: 0 };

/** The tests in the order that finds a failure soonest: those that run the line, by time and by what they noticed so far. */
function inTurn(mutant: Mutant): string[] {
	const rank = (test: string) => {
		const { ms = 0, ran } = usual.get(test) ?? {};
		const { asked, noticed } = recordOf(mutant.path, test);
		const runs = mutant.at.some((at) => ran?.get(mutant.path)?.[at] === 1);
		// The rest go last, not away: what a killed process ran is written down nowhere.
		return (runs ? 0 : 1e9) + (ms * (asked + 2)) / (noticed + 1);
	};
	const ranks = new Map((reaching.get(mutant.path) ?? []).map((test) => [test, rank(test)]));
	return [...ranks].sort(([, a], [, b]) => a - b).map(([test]) => test);
}

const verdicts = new Map<Mutant, Verdict>();
const deadline = began + Number(flags.minutes) * 60_000;
const waiting = chosen.filter(({ path }) => !broken.some((line) => line.startsWith(`${path}:`)));
async function work(folder: string) {
	while (performance.now() < deadline) {
		const mutant = waiting.shift();
		if (mutant === undefined) break;
		let verdict: Verdict = "survived";
		for (const test of inTurn(mutant)) {
			verdict = await tried(folder, mutant, test, usual.get(test)?.ms ?? 0);
			const { asked, noticed } = recordOf(mutant.path, test);
			record.set(`${mutant.path} ${test}`, { asked: asked + 1, noticed: noticed + (verdict === "survived" ? 0 : 1) });
			if (verdict !== "survived") break;
		}
		verdicts.set(mutant, verdict);
		if (verdict === "survived" || verdict === "unclear") console.log(`${verdict.toUpperCase()} ${told(mutant)}`);
		else if (process.stdout.isTTY) process.stdout.write(`\r${verdicts.size}/${chosen.length} `);
		else if (verdicts.size % 50 === 0) console.log(`${verdicts.size}/${chosen.length} after ${minutesSoFar()} min`);
	}
}
await Promise.all(copies.map(work));

const columns = ["killed", "hung", "survived", "unclear"] as const;
console.log(`\n${columns.join("  ")}  excused  file`);
for (const path of paths) {
	const of = [...verdicts].filter(([mutant]) => mutant.path === path).map(([, verdict]) => verdict);
	const counts = columns.map((verdict) => [verdict, of.filter((one) => one === verdict).length] as const);
	const cells = [...counts, ["excused", excused.filter((entry) => entry.path === path).length] as const];
	if (of.length > 0)
		console.log(`${cells.map(([name, count]) => String(count).padStart(name.length)).join("  ")}  ${path}`);
}
if (waiting.length > 0) console.log(`${waiting.length} were left when the time was over`);
for (const line of broken) console.log(`NOT TRIED ${line}`);
for (const { path, from, to } of stale) console.log(`EXCUSED FOR NOTHING ${path}\n    - ${from}\n    + ${to}`);
const missed = [...verdicts.values()].filter((verdict) => verdict === "survived" || verdict === "unclear").length;
console.log(
	missed + broken.length + stale.length === 0
		? `every mutant that was tried was noticed (${minutesSoFar()} min)`
		: `${missed} were not noticed (${minutesSoFar()} min)`,
);
if (missed + broken.length + stale.length > 0) process.exitCode = 1;
