/** Runs that do not depend on each other, beside each other: one worker thread for each, as many as there are cores. */

import { Worker } from "node:worker_threads";
import type { Run, Year } from "./year.ts";

/** A year of a hundred thousand people is kept in less; two threads and the rest stay under two gigabytes, for only one plays so many. */
const HEAP_MB = 1_200;

/** What a worker answers. */
export type Answer = { readonly year: Year } | { readonly fault: string };

type Waiting = { readonly run: Run; resolve(year: Year): void; reject(fault: Error): void };

/** Threads that play years. */
export class Crew {
	readonly #idle: Worker[] = [];
	readonly #all: Worker[] = [];
	readonly #first: Waiting[] = [];
	readonly #waiting: Waiting[] = [];
	/** runs that were played */
	played = 0;

	constructor(threads: number) {
		for (let i = 0; i < threads; i++) {
			const worker = new Worker(new URL("./worker.ts", import.meta.url), {
				execArgv: ["--disable-warning=ExperimentalWarning"],
				resourceLimits: { maxOldGenerationSizeMb: HEAP_MB },
			});
			this.#all.push(worker);
			this.#idle.push(worker);
		}
	}

	/** Plays a year. `isFirst`: before others that wait, because it takes longest. @throws Error when what must hold does not. */
	play(run: Run, isFirst = false): Promise<Year> {
		return new Promise((resolve, reject) => {
			(isFirst ? this.#first : this.#waiting).push({ run, resolve, reject });
			this.#next();
		});
	}

	#next(): void {
		const worker = this.#idle.at(-1);
		const task = worker && (this.#first.shift() ?? this.#waiting.shift());
		if (!worker || !task) return;
		this.#idle.pop();
		const done = (answer: Answer | Error): void => {
			worker.off("message", done);
			worker.off("error", done);
			this.#idle.push(worker);
			this.played += 1;
			if (answer instanceof Error) task.reject(answer);
			else if ("fault" in answer) task.reject(new Error(answer.fault));
			else task.resolve(answer.year);
			this.#next();
		};
		worker.once("message", done);
		worker.once("error", done);
		worker.postMessage(task.run);
	}

	/** Ends all threads. */
	async close(): Promise<void> {
		await Promise.all(this.#all.map((worker) => worker.terminate()));
	}
}
