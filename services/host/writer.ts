/**
 * One writer in a thread of its own: requests made within one turn of the event loop go over in one message, everything that
 * waits there becomes ONE transaction, and answers come only after it is on disk (docs/decisions/one-writer.md). Ledger, mailbox
 * and till are each a module of handlers run this way; the event loop never waits for a disk.
 */

import type { DatabaseSync } from "node:sqlite";
import { type Transferable, Worker } from "node:worker_threads";
import { isProblem, type Problem, problem } from "#contracts/problem";

/**
 * How a write is run: first `bold`, with nothing to undo it alone; and when any of a group answers a problem or throws, the whole group again, each `careful` in a
 * savepoint of its own.
 */
export type Pass = "bold" | "careful";

/** Handlers by name: synchronous functions over the database. A handler that answers a problem or throws has its writes undone. */
export type Handlers = Record<string, (payload: never, pass: Pass) => unknown>;

/** What a writer's module exports as `open`; it runs in the thread. A problem (a damaged file) ends the thread and is `startWriter`'s answer. */
export type OpenForWriting = (options: never) => Opened | Problem;

/** An open database with what may be asked of it. */
export type Opened = {
	readonly database: DatabaseSync;
	/** run inside the group's transaction, once or ({@link Pass}) twice */
	readonly writes: Handlers;
	/** run after the group's commit, outside any transaction: they see only what is durable and work on a full disk */
	readonly reads: Handlers;
	/** told to the main thread once, at the start (an index, an epoch) */
	readonly ready?: unknown;
};

/** What {@link startWriter} needs. Payloads, answers and `options` must survive structured cloning. */
export type WriterOptions = {
	/** names the thread in errors and fault points: "ledger", "mailbox", "till" */
	readonly name: string;
	/** URL of the module that exports `open` ({@link OpenForWriting}), e.g. `import.meta.resolve("./sqlite-thread.ts")` */
	readonly module: string;
	/** handed to `open` */
	readonly options: unknown;
	/** requests waiting for their answer, beyond which a call is refused; default {@link OUTSTANDING_MAX} */
	readonly outstandingMax?: number;
	/** bytes (as told by callers) waiting for their answer, beyond which a call is refused; default {@link OUTSTANDING_BYTES_MAX} */
	readonly outstandingBytesMax?: number;
	/** requests in one transaction; default {@link GROUP_MAX} */
	readonly groupMax?: number;
	/** bytes (as told by callers) in one transaction, the last request's not counted; default: all that waits */
	readonly groupBytesMax?: number;
	/** told once when the thread dies by a bug: the service should stop */
	readonly onDeath?: (why: Error) => void;
};

/** Enough for the busiest turn (batches of 300 from many relays); more only adds waiting. */
export const OUTSTANDING_MAX = 65_536;

/** What may wait in memory for the disk: about a second of a slow one. */
export const OUTSTANDING_BYTES_MAX = 32 * 1024 * 1024;

/** A group this large spends nearly all its time writing rather than syncing; larger ones only delay the first answer. */
export const GROUP_MAX = 1_024;

/** How a request is counted and moved. */
export type Load = {
	/** its size for the bound on waiting bytes */
	readonly bytes?: number;
	/** buffers handed over instead of copied; the caller cannot use them any more. Make them with {@link owned}. */
	readonly transfer?: readonly Transferable[];
};

/** The main thread's side of a writer with handlers `Calls`. */
export interface Writer<Calls extends Handlers, Ready = undefined> {
	/** what `open` told at the start */
	readonly ready: Ready;
	/** requests that wait for their answer */
	readonly pending: number;
	/** bytes that wait for their answer */
	readonly pendingBytes: number;
	/**
	 * Asks for one handler; the answer of a write comes when it is on disk. Besides the handler's own answers: `too-many` when too
	 * much waits already, `disk` when the disk did not take it, `data-corrupt`. Rejects when the handler threw (a bug) or the thread died.
	 */
	call<Name extends keyof Calls & string>(
		name: Name,
		payload: Parameters<Calls[Name]>[0],
		load?: Load,
	): Promise<ReturnType<Calls[Name]> | Problem>;
	/** Finishes what waits, closes the database and ends the thread. Calls after it reject. */
	close(): Promise<void>;
}

/** To the thread: how it starts. */
export type Start = {
	readonly name: string;
	readonly module: string;
	readonly options: never;
	readonly groupMax: number;
	readonly groupBytesMax: number;
};

/** To the thread: what was asked in one turn, numbered on from `firstId`. Lists of one thing each are cloned in half the time that as many objects take. */
export type Requests = {
	readonly firstId: number;
	readonly names: string[];
	readonly payloads: unknown[];
	readonly bytes: number[];
};

/** From the thread: a group's answers by their requests' numbers, and what handlers threw. */
export type Answers = {
	readonly ids: number[];
	readonly values: unknown[];
	readonly thrown: { readonly id: number; readonly error: unknown }[];
};

type Waiting = { resolve(value: unknown): void; reject(why: unknown): void; readonly bytes: number };

/**
 * Bytes in a buffer of their own. Structured cloning copies the whole buffer behind a view, and transferring takes it away from
 * everyone: a slice of a socket's 64 KiB read buffer must go through here first.
 */
export function owned(bytes: Uint8Array): Uint8Array<ArrayBuffer> {
	return new Uint8Array(bytes);
}

function emptyOutbox(firstId: number): Requests {
	return { firstId, names: [], payloads: [], bytes: [] };
}

/** Starts the thread, opens the database in it, and waits until it is ready; the problem of `open` when it is none. */
export async function startWriter<Calls extends Handlers, Ready = undefined>(
	options: WriterOptions,
): Promise<Writer<Calls, Ready> | Problem> {
	const { name, outstandingMax = OUTSTANDING_MAX, outstandingBytesMax = OUTSTANDING_BYTES_MAX } = options;
	const workerData = {
		name,
		module: options.module,
		options: options.options,
		groupMax: options.groupMax ?? GROUP_MAX,
		groupBytesMax: options.groupBytesMax ?? Number.POSITIVE_INFINITY,
	};
	// without the process's own flags: `node -e` and others name what only a main thread may run
	const thread = new Worker(new URL("./writer-thread.ts", import.meta.url), { name, workerData, execArgv: [] });
	const waiting = new Map<number, Waiting>();
	let outbox = emptyOutbox(1);
	let transfer: Transferable[] = [];
	let lastId = 0;
	let pendingBytes = 0;
	let ended: Error | undefined;

	const first = Promise.withResolvers<unknown>();
	const exited = Promise.withResolvers<void>();
	thread.once("message", (message: { ready: unknown }) => {
		thread.on("message", settle);
		// here and not after the wait: a thread that refuses ends at once, and its last message and its end may come in one turn
		if (isProblem(message.ready)) ended = new Error(`the writer "${name}" did not open`);
		first.resolve(message.ready);
	});
	thread.on("error", (error) => end(new Error(`the writer "${name}" died: ${error}`, { cause: error })));
	thread.on("exit", (code) => {
		end(new Error(`the writer "${name}" ended (exit code ${code})`));
		exited.resolve();
	});
	thread.on("messageerror", (error) => end(new Error(`the writer "${name}" answered what cannot be read: ${error}`)));

	const ready = await first.promise;
	if (isProblem(ready)) {
		await exited.promise;
		return ready;
	}
	return {
		ready: ready as Ready,
		get pending() {
			return waiting.size;
		},
		get pendingBytes() {
			return pendingBytes;
		},
		call: (name, payload, load = {}) => {
			if (ended) return Promise.reject(ended);
			const bytes = load.bytes ?? 0;
			if (waiting.size >= outstandingMax || pendingBytes + bytes > outstandingBytesMax) {
				return Promise.resolve(problem("too-many", `The disk is behind: ${waiting.size} requests wait for it.`));
			}
			if (outbox.names.length === 0) setImmediate(post);
			lastId += 1;
			outbox.names.push(name);
			outbox.payloads.push(payload);
			outbox.bytes.push(bytes);
			if (load.transfer) transfer.push(...load.transfer);
			pendingBytes += bytes;
			const { promise, resolve, reject } = Promise.withResolvers<never>();
			waiting.set(lastId, { resolve: resolve as (value: unknown) => void, reject, bytes });
			return promise;
		},
		close: async () => {
			if (!ended) {
				post();
				ended = new Error(`the writer "${name}" is closed`);
				thread.postMessage("close");
			}
			await exited.promise;
		},
	};

	/** At the end of the turn: one message for all that was asked in it. */
	function post(): void {
		if (outbox.names.length === 0 || ended) return;
		const [requests, buffers] = [outbox, transfer];
		[outbox, transfer] = [emptyOutbox(lastId + 1), []];
		try {
			thread.postMessage(requests, buffers);
		} catch (error) {
			// a payload that cannot be cloned or was given away twice: a bug of whoever called, told to whom it concerns
			for (const n of requests.names.keys()) take(requests.firstId + n)?.reject(error);
		}
	}

	function settle({ ids, values, thrown }: Answers): void {
		for (const [n, id] of ids.entries()) take(id)?.resolve(values[n]);
		for (const { id, error } of thrown) take(id)?.reject(error);
	}

	/** Whoever waits for an answer, who waits no longer. */
	function take(id: number): Waiting | undefined {
		const request = waiting.get(id);
		if (!request) return undefined;
		waiting.delete(id);
		pendingBytes -= request.bytes;
		return request;
	}

	/** The thread is gone: nobody may wait for ever, and nobody can be told whether the last requests reached the disk. */
	function end(why: Error): void {
		const unexpected = ended === undefined || waiting.size > 0;
		ended ??= why;
		first.reject(why);
		for (const request of waiting.values()) request.reject(why);
		waiting.clear();
		outbox = emptyOutbox(lastId + 1);
		pendingBytes = 0;
		if (unexpected) options.onDeath?.(why);
	}
}
