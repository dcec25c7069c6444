/**
 * How every benchmark measures: two things in the same run, in turn (A B, B A, ...), at least five times, and a ratio with its
 * spread. CPU seconds of a server process come from the kernel; on a shared machine they are steadier than throughput.
 */
import { type ChildProcess, spawn, spawnSync } from "node:child_process";
import { readdirSync, readFileSync } from "node:fs";
import { availableParallelism } from "node:os";
import { join } from "node:path";

/** One question: ours against one peer. Both give a figure in `unit`. */
export type Contest = {
	/** What is measured, for example "64 B, one recipient". */
	case: string;
	unit: string;
	/** Whether a smaller figure is the better one (seconds) or a larger one (messages a second). */
	better: "lower" | "higher";
	peerName: string;
	/** What a reader must know to read the figure, if anything. */
	note?: string;
	ours(): Promise<number> | number;
	peer(): Promise<number> | number;
};

/** A peer that is not here is told as not measured, never as beaten. */
export type NotMeasured = { peer: string; why: string };

/** A measured contest. `ours` and `peer` are medians; a ratio above 1 means that ours is better. */
export type Row = {
	case: string;
	ours: number;
	peer: number;
	unit: string;
	peerName: string;
	ratio: { median: number; min: number; max: number };
	raw: { ours: number[]; peer: number[] };
	note?: string;
	/** What went on besides, for example what the generator took; medians by name. */
	besides?: Record<string, number>;
};

/** What a benchmark hands back, and what `--json` writes. */
export type Result = {
	name: string;
	runs: number;
	rows: Row[];
	notMeasured: NotMeasured[];
	/** Versions of the peers, by name. */
	versions?: Record<string, string>;
};

/** Where and when a result was measured. */
export type Machine = {
	/** As it was told or is today, `YYYY-MM-DD`. */
	date: string;
	node: string;
	system: string;
	cores: number;
	model: string;
	memoryGiB: number;
	/** Of the last minute, at the end. */
	load: number;
};

/** A result as it is kept in a file. */
export type Kept = Result & { machine?: Machine };

/** Fewer runs have no spread worth printing. */
export const RUNS_MIN = 5;

/** The middle of some figures. */
export function median(figures: readonly number[]): number {
	const sorted = [...figures].sort((a, b) => a - b);
	const half = sorted.length >> 1;
	const [low, high] = [sorted[sorted.length % 2 ? half : half - 1], sorted[half]];
	if (low === undefined || high === undefined) throw new RangeError("no figures");
	return (low + high) / 2;
}

/** Runs contests in turn and gives a row for each; what throws is not measured, with its reason. */
export async function compare(name: string, contests: Contest[], runs: number = RUNS_MIN): Promise<Result> {
	const raw = contests.map(() => ({ ours: [] as number[], peer: [] as number[] }));
	const failed = new Map<Contest, string>();
	// One more than is kept: the first, on cold code, is thrown away.
	for (let run = -1; run < runs; run++) {
		for (const [i, contest] of contests.entries()) {
			if (failed.has(contest)) continue;
			for (const side of run % 2 === 0 ? (["ours", "peer"] as const) : (["peer", "ours"] as const)) {
				try {
					const figure = await contest[side]();
					if (!(Number.isFinite(figure) && figure > 0)) throw new Error(`${side} gave no figure`);
					if (run >= 0) raw[i]?.[side].push(figure);
				} catch (error) {
					failed.set(contest, `${contest.case}: ${error instanceof Error ? error.message : String(error)}`);
					break;
				}
			}
		}
	}
	const rows = contests.flatMap((contest, i) => {
		const figures = raw[i];
		return figures && !failed.has(contest) ? [rowOf(contest, figures)] : [];
	});
	return { name, runs, rows, notMeasured: [...failed].map(([{ peerName }, why]) => ({ peer: peerName, why })) };
}

/** The row of one contest from its raw figures, run by run. */
export function rowOf(contest: Omit<Contest, "ours" | "peer">, raw: Row["raw"]): Row {
	const ratios = raw.ours.map((ours, run) => {
		const peer = raw.peer[run] ?? Number.NaN;
		return contest.better === "lower" ? peer / ours : ours / peer;
	});
	return {
		case: contest.case,
		ours: median(raw.ours),
		peer: median(raw.peer),
		unit: contest.unit,
		peerName: contest.peerName,
		ratio: { median: median(ratios), min: Math.min(...ratios), max: Math.max(...ratios) },
		raw,
		...(contest.note ? { note: contest.note } : {}),
	};
}

const canPin =
	process.platform === "linux" && availableParallelism() > 1 && spawnSync("taskset", ["--version"]).status === 0;

/** Where the server and where the generator run: one core each, if the machine lets us say so. */
export const CORE = { server: 0, generator: 1 } as const;
/** Both, for what is to show what more cores add. */
export const BOTH_CORES = "0,1";

/** Starts a Node process on one core. On a machine that cannot pin, it runs where it will; the ratio is still of one run. */
export function start(core: number | string, words: string[], env: Record<string, string> = {}): ChildProcess {
	return startProgram(core, process.execPath, words, { env, stderr: "inherit" });
}

/** The same for any program. */
export function startProgram(
	core: number | string,
	path: string,
	words: string[],
	{ env = {}, stderr = "pipe", cwd }: { env?: Record<string, string>; stderr?: "pipe" | "inherit"; cwd?: string } = {},
): ChildProcess {
	const [program = path, ...rest] = [...(canPin ? ["taskset", "-c", String(core)] : []), path, ...words];
	return spawn(program, rest, {
		stdio: ["pipe", "pipe", stderr],
		env: { ...process.env, ...env },
		...(cwd ? { cwd } : {}),
	});
}

/**
 * CPU seconds that a process, its threads and its children have used. Linux only: elsewhere it throws, and the case is
 * reported as not measured. `schedstat` counts nanoseconds; `stat`, where there is none, hundredths of a second.
 */
export function cpuSeconds(pid: number): number {
	let seconds = 0;
	for (const task of readdirSync(`/proc/${pid}/task`)) {
		const folder = `/proc/${pid}/task/${task}`;
		try {
			seconds += Number(readFileSync(`${folder}/schedstat`, "utf8").split(" ")[0]) / 1e9;
		} catch {
			const fields = readFileSync(`${folder}/stat`, "utf8")
				.replace(/^.*\) /s, "")
				.split(" ");
			seconds += (Number(fields[11]) + Number(fields[12])) / 100;
		}
		const children = readFileSync(`${folder}/children`, "utf8").trim();
		for (const child of children ? children.split(" ") : []) seconds += cpuSeconds(Number(child));
	}
	return seconds;
}

/** What a generator is to do: see `generator.ts`. */
export type Job = {
	/** The module that knows the protocol, as a file URL. */
	lanes: string;
	port: number;
	/** Bytes of one payload. */
	size: number;
	pairs: number;
	warmMs: number;
	measureMs: number;
	/** Payloads under way on each lane; left out, a MiB of them. */
	window?: number;
	/** Cores that the generator may use; left out, its own. */
	cores?: string;
	/** What the lanes need to know besides: keys, grants. Plain JSON. */
	more?: unknown;
};

/** What one drive gave. CPU seconds are of the server, over exactly the time in which the payloads were counted. */
export type Drive = { payloads: number; seconds: number; cpuSeconds: number; generatorCpuSeconds: number };

/** Runs the generator against a server that already listens, and watches the server's CPU meanwhile; `onStart` is told when it is warm. */
export function drive(serverPid: number, job: Job, onStart?: () => void): Promise<Drive> {
	// hundreds of them are started in one run: compiled code is kept where the commands keep theirs
	const env = { NODE_COMPILE_CACHE: join(import.meta.dirname, "../../node_modules/.cache/farelay") };
	const generator = start(job.cores ?? CORE.generator, [`${import.meta.dirname}/generator.ts`], env);
	generator.stdin?.end(JSON.stringify(job));
	return new Promise((resolve, reject) => {
		const late = setTimeout(() => generator.kill("SIGKILL"), job.warmMs + job.measureMs + 20_000);
		let said = "";
		let before: number | undefined;
		let drove: Drive | undefined;
		generator.stdout?.setEncoding("utf8").on("data", (text: string) => {
			said += text;
			try {
				if (before === undefined && said.includes("START\n")) {
					before = cpuSeconds(serverPid);
					onStart?.();
				}
				const told = /^\{.*\}$/m.exec(said);
				if (told && before !== undefined && !drove)
					drove = { ...(JSON.parse(told[0]) as Omit<Drive, "cpuSeconds">), cpuSeconds: cpuSeconds(serverPid) - before };
			} catch (error) {
				reject(error);
			}
		});
		generator.on("close", (code) => {
			clearTimeout(late);
			if (drove && code === 0) resolve(drove);
			else reject(new Error(`the generator ended with ${code ?? "a signal"} before it was done`));
		});
	});
}

/** Server CPU seconds for a million payloads. */
export const perMillion = ({ cpuSeconds: seconds, payloads }: Drive) => (seconds / payloads) * 1e6;

/** Server CPU seconds for a GiB of payloads of a size. */
export const perGib = ({ cpuSeconds: seconds, payloads }: Drive, size: number) =>
	seconds / ((payloads * size) / 2 ** 30);
