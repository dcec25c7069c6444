/**
 * `npm run bench -- NAME [--json FILE] [--table FILE] [--runs N] [--quick]`: runs `test/bench/NAME.ts`, which exports `bench`. It ends with 0
 * when it could measure, whatever came out: a benchmark is not a test. Only what could not be measured at all is a failure.
 */
import { existsSync, globSync, readFileSync, writeFileSync } from "node:fs";
import { availableParallelism, cpus, loadavg } from "node:os";
import { join, resolve } from "node:path";
import { parseArgs } from "node:util";
import { type Result, RUNS_MIN } from "./measure.ts";

/** What a benchmark is told: how often to run, and whether to keep each run short (figures are then rough). */
export type Terms = { runs: number; quick: boolean };

/** A benchmark's module. `about` is one line for the list. */
export type Bench = { about: string; bench(terms: Terms): Promise<Result> };

const PARTS = new Set([
	"run",
	"measure",
	"generator",
	"wire",
	"bare",
	"bare-lanes",
	"relay-lanes",
	"relay-process",
	"bare-store",
	"seam-store",
	"loop-probe",
	"mail-scenes",
]);
const { values, positionals } = parseArgs({
	allowPositionals: true,
	options: {
		json: { type: "string" },
		table: { type: "string" },
		runs: { type: "string" },
		quick: { type: "boolean", default: false },
	},
});
const name = positionals[0] ?? "";
const runs = Number(values.runs ?? RUNS_MIN);
const path = join(import.meta.dirname, `${name}.ts`);

if (PARTS.has(name) || !/^[a-z][a-z0-9-]*$/.test(name) || !existsSync(path) || !(runs >= 1)) {
	console.error(name ? `farelay: there is no benchmark "${name}".` : "farelay: which benchmark?");
	console.error("npm run bench -- NAME [--json FILE] [--table FILE] [--runs N] [--quick], where NAME is one of");
	for (const file of globSync("*.ts", { cwd: import.meta.dirname }).sort()) {
		const known = file.replace(/\.ts$/, "");
		const about = /export const about\s*=\s*"([^"]*)"/.exec(readFileSync(join(import.meta.dirname, file), "utf8"));
		if (!PARTS.has(known) && about) console.error(`  ${known.padEnd(12)} ${about[1]}`);
	}
	process.exit(1);
}

/** A result as a page of `docs/bench/`: written by this command only. */
function page({ name, runs: count, rows, notMeasured }: Result): string {
	const machine = `Node ${process.version}, ${availableParallelism()} cores (${cpus()[0]?.model ?? "unknown"}), load ${loadavg()[0]?.toFixed(1)} at the end`;
	const lines = rows.map(({ case: what, ours, peer, peerName, ratio, besides, note }) => {
		const spread = `${figure(ratio.median)} (${figure(ratio.min)} to ${figure(ratio.max)})`;
		const cores = ["ours: generator cores", "peer: generator cores"]
			.map((key) => figure(besides?.[key] ?? 0))
			.join(" / ");
		return `| ${what} | ${peerName} | **${spread}** | ${figure(ours)} | ${figure(peer)} | ${cores} | ${note ?? ""} |`;
	});
	return [
		`# ${name}`,
		"",
		`Written by \`npm run bench -- ${name} --table FILE\`. Medians of ${count} interleaved runs; a ratio above 1 means that ours is better. ${machine}.`,
		"",
		`| case | peer | ratio (spread) | ours, ${rows[0]?.unit} | peer | generator's cores, ours / peer | |`,
		"|---|---|---|---|---|---|---|",
		...lines,
		"",
		...notMeasured.map(({ peer, why }) => `- Not measured: ${peer} (${why}).`),
		"",
	].join("\n");
}

const figure = (n: number) => (n >= 100 ? Math.round(n).toLocaleString("en") : n.toPrecision(3));

const { bench } = (await import(path)) as Bench;
try {
	const result = await bench({ runs, quick: values.quick });
	// A bigint would be a mistake here: money is not measured.
	if (values.json)
		writeFileSync(resolve(process.env.INIT_CWD ?? ".", values.json), `${JSON.stringify(result, null, "\t")}\n`);
	if (values.table) writeFileSync(resolve(process.env.INIT_CWD ?? ".", values.table), page(result));
	const table = result.rows.map((row) => ({
		case: row.case,
		ours: figure(row.ours),
		peer: figure(row.peer),
		unit: row.unit,
		"peer's name": row.peerName,
		"ratio (above 1: ours is better)": `${figure(row.ratio.median)}  (${figure(row.ratio.min)} to ${figure(row.ratio.max)})`,
	}));
	console.table(table);
	console.log(`${name}: medians of ${result.runs} interleaved runs${values.quick ? ", quick and rough" : ""}`);
	for (const { peer, why } of result.notMeasured) console.log(`not measured: ${peer} (${why})`);
	if (result.rows.length === 0) {
		console.error("farelay: nothing could be measured");
		process.exitCode = 1;
	}
} catch (error) {
	console.error(`farelay: could not measure: ${error instanceof Error ? error.message : String(error)}`);
	process.exitCode = 1;
}
