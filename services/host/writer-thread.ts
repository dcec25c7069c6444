/**
 * The thread that one writer owns: takes whatever waits, runs it in ONE transaction, and answers only after the commit is on disk. What is refused is
 * undone alone (docs/decisions/one-writer.md). Started by `writer.ts`, which is its only client.
 */

import type { DatabaseSync } from "node:sqlite";
import { type MessagePort, parentPort, receiveMessageOnPort, workerData } from "node:worker_threads";
import { isProblem } from "#contracts/problem";
import { isDiskFull, problemOfDatabase } from "./database.ts";
import { passFaultPoint } from "./fault.ts";
import type { Answers, Handlers, OpenForWriting, Pass, Requests, Start } from "./writer.ts";

/** One call, as it waits here. */
type Request = { readonly id: number; readonly name: string; readonly payload: unknown; readonly bytes: number };

/** One answer, or what a handler threw. */
type Answer = { readonly id: number; readonly value: unknown } | { readonly id: number; readonly thrown: unknown };

/** Groups that go carefully after one that had to be undone: whoever is refused all the time must not have everything done twice. */
const CAREFUL_GROUPS = 8;

if (parentPort === null) throw new Error("writer-thread.ts runs as a worker only");
const port: MessagePort = parentPort;
const start = workerData as Start;

const module = (await import(start.module)) as { open: OpenForWriting };
const opened = module.open(start.options);
if (isProblem(opened)) {
	port.postMessage({ ready: opened });
	port.close();
} else {
	const { database, writes, reads } = opened;
	const run = groupRunner(database, writes, reads);
	const waiting: Request[] = [];
	port.on("message", (first: Requests | "close") => {
		let closing = first === "close";
		if (first !== "close") queue(first, waiting);
		while (waiting.length > 0) {
			// everything that has arrived meanwhile joins the group: the busier, the larger, the fewer fsyncs each
			while (waiting.length < start.groupMax) {
				const more = receiveMessageOnPort(port) as { message: Requests | "close" } | undefined;
				if (!more) break;
				if (more.message === "close") closing = true;
				else queue(more.message, waiting);
			}
			port.postMessage(inLists(run(waiting.splice(0, groupOf(waiting)))));
			passFaultPoint(`${start.name}:answered`);
		}
		if (!closing) return;
		database.close();
		port.close();
	});
	port.postMessage({ ready: opened.ready });
}

function queue({ firstId, names, payloads, bytes }: Requests, waiting: Request[]): void {
	for (const [n, name] of names.entries())
		waiting.push({ id: firstId + n, name, payload: payloads[n], bytes: bytes[n] ?? 0 });
}

function inLists(answers: readonly Answer[]): Answers {
	const lists: Answers = { ids: [], values: [], thrown: [] };
	for (const answer of answers) {
		if ("thrown" in answer) lists.thrown.push({ id: answer.id, error: answer.thrown });
		else {
			lists.ids.push(answer.id);
			lists.values.push(answer.value);
		}
	}
	return lists;
}

/** How many of those that wait go into the next transaction: one at least. */
function groupOf(waiting: readonly Request[]): number {
	let count = 0;
	for (let bytes = 0; count < Math.min(waiting.length, start.groupMax) && bytes < start.groupBytesMax; count++)
		bytes += waiting[count]?.bytes ?? 0;
	return count;
}

/** Runs groups of requests on a database and gives their answers when they are durable. */
function groupRunner(database: DatabaseSync, writes: Handlers, reads: Handlers): (group: Request[]) => Answer[] {
	const begin = database.prepare("BEGIN IMMEDIATE");
	const commit = database.prepare("COMMIT");
	const rollback = database.prepare("ROLLBACK");
	const save = database.prepare("SAVEPOINT request");
	const release = database.prepare("RELEASE request");
	const undo = database.prepare("ROLLBACK TO request");
	let carefully = 0;

	return (group) => {
		const changes = group.filter((request) => Object.hasOwn(writes, request.name));
		const answers = changes.length === 0 ? [] : writeAll(changes);
		// after the commit, so that a read sees only what is durable, and still works on a disk that takes nothing more
		for (const request of group) {
			if (!Object.hasOwn(writes, request.name)) answers.push(read(request));
		}
		return answers;
	};

	function writeAll(group: Request[]): Answer[] {
		if (carefully > 0) carefully -= 1;
		else {
			const answers = writeBoldly(group);
			if (answers) return answers;
			carefully = CAREFUL_GROUPS;
		}
		return writeCarefully(group);
	}

	/** All of a group without a savepoint, which costs a copy of each page that is touched; nothing when something of it is to be undone. */
	function writeBoldly(group: Request[]): Answer[] | undefined {
		try {
			begin.run();
		} catch (error) {
			// whoever holds the file has been waited for: the careful way would wait as long again
			return refused(group, error);
		}
		try {
			const answers: Answer[] = [];
			for (const request of group) {
				const value = call(writes, request, "bold");
				if (isProblem(value)) break;
				answers.push({ id: request.id, value });
				passFaultPoint(`${start.name}:within-group`);
			}
			if (answers.length === group.length) return committed(answers);
		} catch {
			// the careful way finds it again, and tells whom it concerns
		}
		if (database.isTransaction) rollback.run();
		return undefined;
	}

	function committed(answers: Answer[]): Answer[] {
		passFaultPoint(`${start.name}:before-commit`);
		commit.run();
		passFaultPoint(`${start.name}:after-commit`);
		return answers;
	}

	function writeCarefully(group: Request[]): Answer[] {
		try {
			begin.run();
			return committed(group.map(writeOne));
		} catch (error) {
			if (database.isTransaction) rollback.run();
			// what is too large for a full disk must not refuse what still fits, nor the deletion that would make room
			if (group.length > 1 && isDiskFull(error)) return group.flatMap((request) => writeCarefully([request]));
			return refused(group, error);
		}
	}

	/** Trouble of the machine is everybody's answer; a bug ends the thread. */
	function refused(group: Request[], error: unknown): Answer[] {
		const known = problemOfDatabase(error);
		if (!known) throw error;
		return group.map((request) => ({ id: request.id, value: known }));
	}

	/** One request in its savepoint: a refusal or a bug undoes what it wrote itself, and nothing of its neighbours'. */
	function writeOne(request: Request): Answer {
		save.run();
		let answer: Answer;
		try {
			answer = { id: request.id, value: call(writes, request, "careful") };
		} catch (error) {
			// on a full disk SQLite may have given up the whole transaction: then the group fails as one
			if (!database.isTransaction) throw error;
			answer = failure(request, error);
		}
		if ("thrown" in answer || isProblem(answer.value)) undo.run();
		release.run();
		passFaultPoint(`${start.name}:within-group`);
		return answer;
	}

	function read(request: Request): Answer {
		try {
			return { id: request.id, value: call(reads, request, "careful") };
		} catch (error) {
			return failure(request, error);
		}
	}
}

function call(handlers: Handlers, request: Request, pass: Pass): unknown {
	const handler = handlers[request.name];
	if (!handler) throw new Error(`the writer "${start.name}" has no handler "${request.name}"`);
	// the types of `Writer.call` have checked the payload where it was posted
	return handler(request.payload as never, pass);
}

/** Trouble of the machine is an answer; anything else is a bug, thrown again where the request was made. */
function failure(request: Request, error: unknown): Answer {
	const known = problemOfDatabase(error);
	return known ? { id: request.id, value: known } : { id: request.id, thrown: error };
}
