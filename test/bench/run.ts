/**
 * `npm run bench -- NAME [--json FILE] [--table FILE] [--runs N] [--quick] [--date D]`: runs `test/bench/NAME.ts`, which exports `about` and
 * `bench`. It ends with 0 when it could measure, whatever came out: a benchmark is not a test. Only what could not be measured at all is
 * a failure. `all` runs those that `docs/bench/` is made of, one after the other, and draws it; `tables` only draws; `peers` gets the peers.
 */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { globSync, readFileSync, writeFileSync } from "node:fs";
import { availableParallelism, cpus, loadavg, release, totalmem, type } from "node:os";
import { join, resolve } from "node:path";
import { parseArgs } from "node:util";
import { type Kept, type Machine, type Result, RUNS_MIN } from "./measure.ts";
import { draw, FOLDER } from "./page/draw.ts";
import { table } from "./page/page.ts";
import { startPeers } from "./peer/all.ts";

/** What a benchmark is told: how often to run, and whether to keep each run short (figures are then rough). */
export type Terms = { runs: number; quick: boolean };

/** A benchmark's module. `about` is one line for the list. */
export type Bench = { about: string; bench(terms: Terms): Promise<Result> };

const { values, positionals } = parseArgs({
	allowPositionals: true,
	options: {
		json: { type: "string" },
		table: { type: "string" },
		runs: { type: "string" },
		quick: { type: "boolean", default: false },
		date: { type: "string" },
	},
});
const name = positionals[0] ?? "";
const runs = Number(values.runs ?? RUNS_MIN);
const date = values.date ?? new Date().toISOString().slice(0, 10);

/** What there is, by name: a file beside this one that says what it is about. */
const benches = new Map(
	globSync("*.ts", { cwd: import.meta.dirname })
		.sort()
		.flatMap((file): [string, string][] => {
			const about = /^export const about\s*=\s*"([^"]*)"/m.exec(readFileSync(join(import.meta.dirname, file), "utf8"));
			return about?.[1] && !file.endsWith(".test.ts") ? [[file.replace(/\.ts$/, ""), about[1]]] : [];
		}),
);

/** Not of the page: they tell about the measuring, or about a choice that was made. */
const APART = new Set(["bare-forward", "prune", "verify"]);

/** Time enough for a machine that is busy with other things to build every peer. */
const BUILD_MS_MAX = 1_800_000;

const COMMANDS = new Map<string, [about: string, run: () => Promise<void> | void]>([
	["all", ["every benchmark that docs/bench/ is made of, then its page", all]],
	["tables", ["draws docs/bench/ from the results kept there, without measuring", tables]],
	["peers", ["gets and builds the peers of forward, and says which cannot be had", peers]],
]);

const command = COMMANDS.get(name)?.[1] ?? (benches.has(name) ? one : undefined);
if (!command || !(runs >= 1) || !/^\d{4}-\d\d-\d\d$/.test(date)) {
	console.error(
		name ? `farelay: there is no benchmark "${name}", or its flags are not as below.` : "farelay: which benchmark?",
	);
	console.error(
		"npm run bench -- NAME [--json FILE] [--table FILE] [--runs N] [--quick] [--date YYYY-MM-DD], where NAME is one of",
	);
	for (const [known, about] of [...benches, ...[...COMMANDS].map(([known, [about]]) => [known, about] as const)])
		console.error(`  ${known.padEnd(12)} ${about}`);
	process.exit(1);
}
await command();

function machine(): Machine {
	return {
		date,
		node: process.version,
		system: `${type()} ${release().split("-")[0]}`,
		cores: availableParallelism(),
		model: cpus()[0]?.model.trim() || "unknown",
		memoryGiB: Math.round(totalmem() / 2 ** 30),
		load: Math.round((loadavg()[0] ?? 0) * 10) / 10,
	};
}

async function one(): Promise<void> {
	const { bench } = (await import(`./${name}.ts`)) as Bench;
	const here = (file: string) => resolve(process.env.INIT_CWD ?? ".", file);
	try {
		const result: Kept = { ...(await bench({ runs, quick: values.quick })), machine: machine() };
		// A bigint would be a mistake here: money is not measured.
		if (values.json) writeFileSync(here(values.json), `${JSON.stringify(result, null, "\t")}\n`);
		if (values.table) writeFileSync(here(values.table), `# ${name}\n\n${table(result)}\n`);
		console.table(
			result.rows.map((row) => ({
				case: row.case,
				ours: figure(row.ours),
				peer: figure(row.peer),
				unit: row.unit,
				"peer's name": row.peerName,
				"ratio (above 1: ours is better)": `${figure(row.ratio.median)}  (${figure(row.ratio.min)} to ${figure(row.ratio.max)})`,
			})),
		);
		console.log(`${name}: medians of ${result.runs} interleaved runs${values.quick ? ", quick and rough" : ""}`);
		for (const { peer, why } of result.notMeasured) console.log(`not measured: ${peer} (${why})`);
		if (result.rows.length === 0) throw new Error("nothing");
	} catch (error) {
		console.error(`farelay: could not measure: ${error instanceof Error ? error.message : String(error)}`);
		process.exitCode = 1;
	}
}

function figure(n: number): string {
	return n >= 100 ? Math.round(n).toLocaleString("en") : n.toPrecision(3);
}

/** Each in a process of its own, as it is run by itself: none warms or fills another's memory. */
async function all(): Promise<void> {
	for (const each of benches.keys()) {
		if (APART.has(each)) continue;
		console.log(`\n${each}: ${benches.get(each)}`);
		const words = ["--json", join(FOLDER, `${each}.json`), "--runs", String(runs), "--date", date];
		const script = join(import.meta.dirname, "run.ts");
		const child = spawn(process.execPath, [script, each, ...words, ...(values.quick ? ["--quick"] : [])], {
			stdio: "inherit",
		});
		const [code] = (await once(child, "close")) as [number | null];
		if (code !== 0) process.exitCode = 1;
	}
	tables();
}

function tables(): void {
	for (const file of draw()) console.log(`docs/bench/${file}`);
}

async function peers(): Promise<void> {
	const { started, notMeasured } = await startPeers(BUILD_MS_MAX);
	for (const { peer, running } of started) {
		console.log(`${peer.name.padEnd(12)} ${running.version}`);
		await running.stop();
	}
	for (const { peer, why } of notMeasured) console.log(`${peer.padEnd(12)} not to be had: ${why}`);
}
