/**
 * The worker processes of a relay: started together, restarted one by one when one ends, with a growing pause; handed connections; asked how
 * they are; stopped in two steps, so that each still answers what the others have under way.
 */

import { type ChildProcess, fork } from "node:child_process";
import type { Socket } from "node:net";
import { fileURLToPath } from "node:url";
import { isProblem, type Problem, problem } from "#contracts/problem";
import type { Cancel, Clock } from "#host/clock";
import type { Log } from "#host/log";
import type { Caps } from "#relay/operator/caps";
import type { ParentWord, WorkerReport, WorkerTerms, WorkerWord } from "./word.ts";

const WORKER = fileURLToPath(import.meta.resolve("./worker.ts"));
/** The pause before a worker that ended is started again: doubled each time, from the start when it lived for a while. */
const PAUSE_MS_FIRST = 100;
const PAUSE_MS_MAX = 10_000;
const LIVED_MS = 30_000;
/** Connections on their way to one worker: Node hands over one at a time, each when the one before has arrived. */
const HANDED_MAX = 1_024;
/** How long a worker may take to say how it is. */
const REPORT_MS = 2_000;
/** How long a worker may take to end once it was told to: a relay's own drain, and some. */
const END_MS = 7_500;

type Worker = {
	readonly number: number;
	process: ChildProcess | undefined;
	up: boolean;
	failures: number;
	startedAtMs: number;
	/** On their way; their ends are ours until they have arrived. */
	handed: Socket[];
	cancelRestart: Cancel | undefined;
	asked: Map<number, (report: WorkerReport | undefined) => void>;
	onWord: ((word: WorkerWord | "ended") => void) | undefined;
};

/** What a crew needs. */
export type CrewDeps = {
	readonly clock: Clock;
	readonly log: Log;
	readonly workers: number;
	readonly termsOf: (worker: number) => WorkerTerms;
};

/** The workers. */
export class Crew {
	private readonly deps: CrewDeps;
	private readonly workers: Worker[];
	private asks = 0;
	private last: { readonly atMs: number; readonly reports: Promise<(WorkerReport | undefined)[]> } | undefined;
	private stopping = false;
	/** Restarts so far. */
	restarts = 0;

	constructor(deps: CrewDeps) {
		this.deps = deps;
		this.workers = Array.from({ length: deps.workers }, (_, number) => ({
			number,
			process: undefined,
			up: false,
			failures: 0,
			startedAtMs: 0,
			handed: [],
			cancelRestart: undefined,
			asked: new Map(),
			onWord: undefined,
		}));
	}

	/** Starts all; the problem of one that cannot work, and then none is left. */
	async start(): Promise<Problem | undefined> {
		const refused = await Promise.all(this.workers.map((worker) => this.begin(worker)));
		const why = refused.find((answer) => isProblem(answer));
		if (why) {
			this.stopping = true;
			for (const { process, cancelRestart } of this.workers) {
				cancelRestart?.();
				process?.kill("SIGKILL");
			}
		}
		return why;
	}

	/** How many are up. */
	get up(): number {
		return this.workers.filter(({ up }) => up).length;
	}

	/** The process id of each; undefined for one that is away. */
	get pids(): (number | undefined)[] {
		return this.workers.map((worker) => (worker.up ? worker.process?.pid : undefined));
	}

	/** Hands a connection to a worker with what was read of it; false when that worker cannot take it. */
	hand(number: number, socket: Socket, read: Uint8Array): boolean {
		const worker = this.workers[number];
		if (!worker?.up || !worker.process || worker.handed.length >= HANDED_MAX) return false;
		worker.handed.push(socket);
		// our end stays open until the worker has its own: what Node holds for a worker that dies before that it never closes
		const word: ParentWord = { say: "take", read: new Uint8Array(read) };
		worker.process.send(word, socket, { keepOpen: true }, (error) => {
			if (error) socket.destroy();
		});
		return true;
	}

	/** What each worker says of itself, or said not so long ago; undefined for one that is away or does not answer. */
	reports(ageMsMax = 0): Promise<(WorkerReport | undefined)[]> {
		const elapsedMs = this.deps.clock.elapsedMs();
		if (this.last && elapsedMs - this.last.atMs < ageMsMax) return this.last.reports;
		const reports = Promise.all(this.workers.map((worker) => this.report(worker)));
		this.last = { atMs: elapsedMs, reports };
		return reports;
	}

	/** Tells each worker its share of the caps. */
	share(caps: readonly Caps[]): void {
		for (const worker of this.workers) {
			const share = caps[worker.number];
			if (share && worker.up) this.tell(worker, { say: "caps", caps: share });
		}
	}

	/** Stops all: everybody says goodbye, each waits until the others have nothing under way to it, then all close. */
	async stop(): Promise<void> {
		this.stopping = true;
		const left = this.workers.filter(({ process }) => process !== undefined);
		for (const { cancelRestart } of this.workers) cancelRestart?.();
		const settled = left.map((worker) => this.word(worker, "settled"));
		const ended = left.map((worker) => new Promise<void>((resolve) => worker.process?.once("exit", () => resolve())));
		for (const worker of left) this.tell(worker, { say: "stop" });
		const late = this.deps.clock.after(END_MS, () => {
			for (const { process } of left) process?.kill("SIGKILL");
		});
		await Promise.all(settled);
		for (const worker of left) this.tell(worker, { say: "close" });
		await Promise.all(ended);
		late();
	}

	/** Starts one; resolves when it is up, or with why it is not. */
	private async begin(worker: Worker): Promise<Problem | undefined> {
		const child = fork(WORKER, [], {
			serialization: "advanced",
			// fresh read buffers otherwise push V8 into full collections, as in a relay of one process
			execArgv: ["--max-semi-space-size=1"],
			stdio: ["ignore", "inherit", "inherit", "ipc"],
		});
		worker.process = child;
		worker.startedAtMs = this.deps.clock.elapsedMs();
		const began = Promise.withResolvers<Problem | undefined>();
		child.on("message", (word: WorkerWord) => {
			// what one said just before its end may be read after it, and is not the next one's word
			if (worker.process !== child) return;
			if (word.say === "ready") {
				worker.up = true;
				began.resolve(undefined);
			} else if (word.say === "took") worker.handed.shift()?.destroy();
			else if (word.say === "report") {
				worker.asked.get(word.ask)?.(word.report);
				worker.asked.delete(word.ask);
			} else if (word.say === "refused") {
				this.deps.log.error({ problem: word.why.problem, worker: worker.number }, "a worker could not start");
				began.resolve(word.why);
				child.kill("SIGKILL");
			}
			worker.onWord?.(word);
		});
		child.on("error", (error) => this.deps.log.error({ err: error, worker: worker.number }, "a worker's process"));
		child.once("exit", (code, signal) => {
			began.resolve(problem("internal", `Worker ${worker.number} ended while it started.`));
			this.ended(worker, code, signal);
		});
		child.send({ say: "start", terms: this.deps.termsOf(worker.number) } satisfies ParentWord);
		return began.promise;
	}

	/** One has ended: what was on its way to it ends too, and it is started again after a pause. */
	private ended(worker: Worker, code: number | null, signal: NodeJS.Signals | null): void {
		const { clock, log } = this.deps;
		worker.up = false;
		worker.process = undefined;
		for (const socket of worker.handed.splice(0)) socket.destroy();
		for (const answer of worker.asked.values()) answer(undefined);
		worker.asked.clear();
		worker.onWord?.("ended");
		if (this.stopping) return;
		if (clock.elapsedMs() - worker.startedAtMs >= LIVED_MS) worker.failures = 0;
		const pauseMs = Math.min(PAUSE_MS_FIRST * 2 ** worker.failures, PAUSE_MS_MAX);
		worker.failures++;
		log.error({ worker: worker.number, code, signal, pauseMs }, "a worker ended; it is started again");
		worker.cancelRestart = clock.after(pauseMs, () => {
			this.restarts++;
			void this.begin(worker);
		});
	}

	private report(worker: Worker): Promise<WorkerReport | undefined> {
		if (!worker.up) return Promise.resolve(undefined);
		return new Promise((resolve) => {
			this.asks++;
			const ask = this.asks;
			const late = this.deps.clock.after(REPORT_MS, () => {
				worker.asked.delete(ask);
				resolve(undefined);
			});
			worker.asked.set(ask, (report) => {
				late();
				resolve(report);
			});
			this.tell(worker, { say: "report", ask });
		});
	}

	/** Resolves when a worker says a word, or has ended. */
	private word(worker: Worker, say: WorkerWord["say"]): Promise<void> {
		return new Promise((resolve) => {
			worker.onWord = (word) => {
				if (word === "ended" || word.say === say) resolve();
			};
		});
	}

	private tell(worker: Worker, word: ParentWord): void {
		if (worker.process?.connected) worker.process.send(word, () => {});
	}
}
