/**
 * Programs as people run them: `farelay VERB` in processes of their own, with homes and data in one temporary folder. Whatever
 * was started is killed by its id when the place ends, or this process does.
 */

import assert from "node:assert/strict";
import { type ChildProcess, spawn } from "node:child_process";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { until } from "./rawclient.ts";

export const MAIN = fileURLToPath(import.meta.resolve("#cli/main"));

/** How long a call of the command line may take on a busy machine before it counts as hanging. */
const CALL_MS_MAX = 60_000;

/** What a call came to. */
export type Ran = {
	readonly words: readonly string[];
	readonly code: number | null;
	readonly signal: NodeJS.Signals | null;
	readonly out: string;
	readonly err: string;
	/** The JSON objects on standard output, one a line. */
	readonly said: readonly Record<string, unknown>[];
};

export type RunOptions = {
	readonly home?: string | undefined;
	readonly market?: string | undefined;
	readonly env?: Readonly<Record<string, string>> | undefined;
	readonly cwd?: string | undefined;
	/** The largest file that the process may write, in KiB: a disk that is full. */
	readonly fileKbMax?: number | undefined;
};

/** A service that is up. */
export type Program = {
	readonly url: string;
	readonly port: number;
	readonly pid: number;
	/** Everything that it wrote, standard output and error. */
	log(): string;
	/** Sends a signal, by the process's id; resolves when the process has ended. */
	end(signal?: NodeJS.Signals): Promise<{ code: number | null; signal: NodeJS.Signals | null }>;
	/** Resolves when it has ended, for whatever reason. */
	readonly ended: Promise<{ code: number | null; signal: NodeJS.Signals | null }>;
};

/** The environment of a child: nothing of the developer's own settings, nothing of the test runner's. */
function environment(folder: string, { home, market, env }: RunOptions): NodeJS.ProcessEnv {
	return {
		PATH: process.env.PATH,
		HOME: folder,
		// the tenth call of a file need not strip the same types again: a third of the time
		NODE_COMPILE_CACHE: process.env.NODE_COMPILE_CACHE ?? join(folder, ".compiled"),
		...(home !== undefined && { FARELAY_HOME: join(folder, home) }),
		...(market !== undefined && { FARELAY_MARKET: market }),
		...env,
	};
}

/** A temporary folder, and the processes that work in it. */
export class Place {
	readonly folder: string;
	/** Everything that any call wrote, for what must never be written. */
	readonly written: string[] = [];
	private readonly children = new Set<ChildProcess>();
	private readonly killAll = () => {
		for (const child of this.children) child.kill("SIGKILL");
	};

	private constructor(folder: string) {
		this.folder = folder;
		process.on("exit", this.killAll);
	}

	static async open(): Promise<Place> {
		return new Place(await mkdtemp(join(tmpdir(), "farelay-place-")));
	}

	/** A path in the place's folder. */
	path(...parts: string[]): string {
		return join(this.folder, ...parts);
	}

	private spawn(words: readonly string[], options: RunOptions): ChildProcess {
		const command = [process.execPath, "--max-semi-space-size=1", MAIN, ...words];
		const limited =
			options.fileKbMax === undefined
				? command
				: ["bash", "-c", 'ulimit -f "$0"; exec "$@"', String(options.fileKbMax), ...command];
		const [file = "", ...args] = limited;
		const child = spawn(file, args, {
			cwd: options.cwd ?? this.folder,
			env: environment(this.folder, options),
			stdio: ["ignore", "pipe", "pipe"],
		});
		this.children.add(child);
		child.once("close", () => this.children.delete(child));
		return child;
	}

	/** Calls the command line and waits for its end. */
	async run(words: readonly string[], options: RunOptions = {}): Promise<Ran> {
		const child = this.spawn(words, options);
		let [out, err] = ["", ""];
		child.stdout?.on("data", (data) => {
			out += data;
		});
		child.stderr?.on("data", (data) => {
			err += data;
		});
		const timer = setTimeout(() => child.kill("SIGKILL"), CALL_MS_MAX);
		const ended = Promise.withResolvers<[number | null, NodeJS.Signals | null]>();
		child.once("close", (code, signal) => ended.resolve([code, signal]));
		const [code, signal] = await ended.promise;
		clearTimeout(timer);
		this.written.push(out, err);
		const said = out.split("\n").flatMap((line) => {
			try {
				const json: unknown = JSON.parse(line);
				return typeof json === "object" && json !== null ? [json as Record<string, unknown>] : [];
			} catch {
				return [];
			}
		});
		return { words, code, signal, out, err, said };
	}

	/** Calls the command line and kills it, a while after it has written something; answers what it wrote until then. */
	async killed(words: readonly string[], after: RegExp, afterMs: number, options: RunOptions = {}): Promise<Ran> {
		const child = this.spawn(words, options);
		let out = "";
		let seen = false;
		for (const stream of [child.stdout, child.stderr])
			stream?.on("data", (data) => {
				out += data;
				if (seen || !after.test(out)) return;
				seen = true;
				setTimeout(() => child.kill("SIGKILL"), afterMs);
			});
		const tooLate = setTimeout(() => child.kill("SIGTERM"), CALL_MS_MAX);
		const [code, signal] = await new Promise<[number | null, NodeJS.Signals | null]>((resolve) =>
			child.once("close", (...ended) => resolve(ended)),
		);
		clearTimeout(tooLate);
		return { words, code, signal, out, err: "", said: [] };
	}

	/** Calls the command line with `--json`; fails unless it ended well. Answers its last object. */
	async done(words: readonly string[], options: RunOptions = {}): Promise<Record<string, unknown>> {
		const ran = await this.run([...words, "--json"], options);
		assert.equal(ran.code, 0, `farelay ${words.join(" ")}: ${ran.out}${ran.err}`);
		return ran.said.at(-1) ?? assert.fail(`farelay ${words.join(" ")} said nothing`);
	}

	/** Starts a service and waits until its log says where it is. */
	async start(words: readonly string[], options: RunOptions = {}): Promise<Program> {
		const child = this.spawn(words, options);
		let log = "";
		for (const stream of [child.stdout, child.stderr])
			stream?.on("data", (data) => {
				log += data;
			});
		const done = Promise.withResolvers<{ code: number | null; signal: NodeJS.Signals | null }>();
		let over = false;
		child.once("close", (code, signal) => {
			over = true;
			this.written.push(log);
			done.resolve({ code, signal });
		});
		const url = await until(
			`farelay ${words.join(" ")} to be up`,
			() => {
				const found = addressIn(log);
				if (!found && over) assert.fail(`farelay ${words.join(" ")} ended: ${log}`);
				return found;
			},
			CALL_MS_MAX,
		);
		return {
			url,
			// behind a proxy the address that people know has another port
			port: portIn(log) ?? Number(new URL(url).port),
			pid: child.pid ?? 0,
			log: () => log,
			ended: done.promise,
			end(signal = "SIGTERM") {
				child.kill(signal);
				return done.promise;
			},
		};
	}

	/** A marketplace with play money on a folder of this place. */
	market(options: RunOptions & { data?: string; port?: number; more?: readonly string[] } = {}): Promise<Program> {
		const { data = "market", port = 0, more = [] } = options;
		return this.start(["market", "--play", "--port", String(port), "--data", this.path(data), ...more], options);
	}

	/** A relay on a folder of this place, for the account of `operator`. It hands in its till five times a second. */
	relay(
		at: { readonly market: string; readonly operator: string },
		options: RunOptions & { data?: string; port?: number; more?: readonly string[] } = {},
	): Promise<Program> {
		const { data = "relay", port = 0, more = [] } = options;
		const words = ["relay", "--port", String(port), "--data", this.path(data), "--market-url", at.market];
		const often = ["--redeem-every-ms", "200", "--announce-every-ms", "1000"];
		const { market: _, ...rest } = options;
		return this.start([...words, "--operator", at.operator, ...often, ...more], rest);
	}

	/** Kills what is left and removes the folder. */
	async end(): Promise<void> {
		const left = [...this.children].map((child) => new Promise((resolve) => child.once("close", resolve)));
		this.killAll();
		await Promise.all(left);
		process.off("exit", this.killAll);
		await rm(this.folder, { recursive: true, force: true, maxRetries: 5 });
	}
}

/** Where a service is, by its log: a relay says its URL, a market its host and port, a box what people read. */
function addressIn(log: string): string | undefined {
	const boxed = /The market is open at (http:\S+)\. /.exec(log)?.[1];
	if (boxed) return boxed;
	for (const line of log.split("\n").slice(0, -1)) {
		if (!line.startsWith("{")) continue;
		const said = JSON.parse(line) as { url?: string; host?: string; port?: number };
		if (said.url) return said.url;
		if (said.host && said.port) return `http://${said.host}:${said.port}`;
	}
	return undefined;
}

/** The port that a service says it listens on. */
function portIn(log: string): number | undefined {
	const found = /"port":(\d+)/.exec(log)?.[1];
	return found === undefined ? undefined : Number(found);
}

/** A problem as a user's mistake must be met: by its code, an exit code that is not 0, and never a stack trace. */
export function assertRefused(ran: Ran, code: number, problem: string): void {
	const what = `farelay ${ran.words.join(" ")}\n${ran.out}${ran.err}`;
	assert.doesNotMatch(ran.out + ran.err, /^\s+at .*:\d+/m, `a stack trace: ${what}`);
	assert.equal(ran.signal, null, what);
	assert.equal(ran.code, code, what);
	// a box writes its JSON to a file, and talks to people
	if (ran.words.includes("--json") && ran.words[0] !== "box") {
		const said = ran.said.at(-1);
		assert.equal(said?.problem, problem, what);
		assert.match(String(said?.spent), /^(no|yes|unknown)$/, what);
		return;
	}
	assert.match(ran.err, new RegExp(`^${problem}: \\S`, "m"), what);
	assert.match(ran.err, /(No money moved|The money was spent|Whether money moved is not known yet)\./, what);
}
