/** Threats 5 and 13 on a ledger's file: the process that has it is killed with SIGKILL, by its id, again and again. */

import assert from "node:assert/strict";
import { type ChildProcess, fork } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import type { Book, Outcome, RecordRow, RecordTable, TabRow } from "#marketplace/ledger/book";
import { openSqliteBook } from "#marketplace/ledger/sqlite";
import { fine } from "#test/support/market";
import { type RacedBook, race } from "./race.ts";
import type { Asked } from "./race-child.ts";

/** What is asked, without the number that its answer comes by. */
type Question = Asked extends infer One ? (One extends unknown ? Omit<One, "id"> : never) : never;

/** A book in another process, which is asked again whatever it had not answered when it was killed. */
class BookInProcess implements RacedBook {
	readonly #path: string;
	readonly #waiting = new Map<number, { readonly asked: Asked; done(answer: unknown): void }>();
	#child: ChildProcess | undefined;
	#last = 0;
	/** kills that left something unanswered */
	inTheMiddle = 0;

	constructor(path: string) {
		this.#path = path;
	}

	apply(changes: Parameters<RacedBook["apply"]>[0]): Promise<Outcome[]> {
		return this.#ask({ apply: changes });
	}

	tab(tab: string): Promise<TabRow | undefined> {
		return this.#ask({ tab });
	}

	record(table: RecordTable, key: string): Promise<RecordRow | undefined> {
		return this.#ask({ table, key });
	}

	async start(): Promise<void> {
		const child = fork(join(import.meta.dirname, "race-child.ts"), [this.#path], { serialization: "advanced" });
		await once(child, "message");
		child.on("message", ({ id, answer }: { id: number; answer: unknown }) => {
			this.#waiting.get(id)?.done(answer);
			this.#waiting.delete(id);
		});
		this.#child = child;
		for (const { asked } of this.#waiting.values()) child.send(asked);
	}

	async kill(): Promise<void> {
		const child = this.#child;
		assert(child);
		this.#child = undefined;
		const ended = once(child, "exit");
		child.kill("SIGKILL");
		await ended;
		if (this.#waiting.size > 0) this.inTheMiddle += 1;
	}

	#ask<Answer>(what: Question) {
		const answered = Promise.withResolvers<Answer>();
		this.#last += 1;
		const asked = { id: this.#last, ...what } as Asked;
		this.#waiting.set(asked.id, { asked, done: (answer) => answered.resolve(answer as Answer) });
		// a call that dies with the child is made again by `start`
		this.#child?.send(asked, () => {});
		return answered.promise;
	}
}

describe("threat 5: 32 clients race one account, tab, pool, payout and event on one file whose process is killed under them", () => {
	let folder: string;
	before(async () => {
		folder = await mkdtemp(join(tmpdir(), "farelay-race-"));
	});
	after(() => rm(folder, { recursive: true, force: true }));

	it("loses nothing that was answered, does nothing twice, and ends", async () => {
		const path = join(folder, "ledger.db");
		const book = new BookInProcess(path);
		await book.start();
		let end: Book | undefined;
		await race({
			books: [book],
			kill: async () => {
				await book.kill();
				await book.start();
			},
			settled: async () => {
				await book.kill();
				end = fine(await openSqliteBook({ path }));
				return end;
			},
		});
		await end?.close();
		assert(book.inTheMiddle > 0, "no kill landed in the middle of anything");
	});
});
