/** The published cards' side of the writer thread (`host/writer.ts`): one row for each place, with the highest serial it had. */

import type { DatabaseSync } from "node:sqlite";
import { same } from "#contracts/bytes";
import { isProblem, type Problem, problem } from "#contracts/problem";
import { openDatabase } from "#host/database";
import type { Opened } from "#host/writer";

const MIGRATIONS: readonly string[] = [
	`CREATE TABLE card (
		place BLOB PRIMARY KEY,
		serial INTEGER NOT NULL,
		withdrawn INTEGER NOT NULL CHECK (withdrawn IN (0, 1)),
		untilMs INTEGER NOT NULL,
		keptUntilMs INTEGER NOT NULL,
		bytes BLOB NOT NULL
	) STRICT;
	CREATE INDEX cardKeptUntil ON card (keptUntilMs)`,
];

/** What the thread is started with. */
export type CardThreadOptions = { readonly path: string; readonly placesMax: number };

/** A publication as it is kept. */
export type CardRow = {
	readonly place: Uint8Array;
	readonly serial: number;
	readonly withdrawn: 0 | 1;
	readonly untilMs: number;
	readonly bytes: Uint8Array;
};

/** What may be asked of the thread. */
export type CardCalls = {
	/** Puts a publication in the place of an older one. The same one again is a success with no effect. */
	put(row: CardRow): "put" | Problem;
	/** What is at a place now; undefined where nothing is, was, or is any more. */
	find(at: { readonly place: Uint8Array; readonly nowMs: number }): Uint8Array | undefined;
	/** Forgets some places of which all that was ever published is over; how many. */
	sweep(nowMs: number): number;
};

/** Places forgotten in one transaction: a few milliseconds of a disk. */
const SWEEP_MAX = 500;

/** Opens the cards' file in the thread. */
export function open({ path, placesMax }: CardThreadOptions): Opened | Problem {
	const database = openDatabase({ path, kind: "cards", migrations: MIGRATIONS });
	if (isProblem(database)) return database;
	const { put, sweep } = writesOf(database, placesMax);
	const find = database.prepare("SELECT bytes FROM card WHERE place = ? AND withdrawn = 0 AND untilMs > ?");
	const reads = {
		find: ({ place, nowMs }) => find.get(place, nowMs)?.bytes as Uint8Array | undefined,
	} satisfies Pick<CardCalls, "find">;
	return { database, writes: { put, sweep }, reads };
}

function writesOf(database: DatabaseSync, placesMax: number): Pick<CardCalls, "put" | "sweep"> {
	const get = database.prepare("SELECT serial, keptUntilMs, bytes FROM card WHERE place = ?");
	const count = database.prepare("SELECT count(*) AS places FROM card");
	const set = database.prepare("INSERT OR REPLACE INTO card VALUES (?, ?, ?, ?, ?, ?)");
	const over = database.prepare(
		`DELETE FROM card WHERE rowid IN (SELECT rowid FROM card WHERE keptUntilMs <= ? LIMIT ${SWEEP_MAX})`,
	);
	return {
		put({ place, serial, withdrawn, untilMs, bytes }) {
			const known = get.get(place) as { serial: number; keptUntilMs: number; bytes: Uint8Array } | undefined;
			if (known && same(known.bytes, bytes)) return "put";
			if (known && serial <= known.serial)
				return problem("conflict", "A newer card was published here; an older one is never put back.");
			if (!known && Number(count.get()?.places) >= placesMax)
				return problem("too-many", "The market keeps as many cards as it can.");
			// the serial is remembered for as long as anything that was published here could still be shown as new
			set.run(place, serial, withdrawn, untilMs, Math.max(untilMs, known?.keptUntilMs ?? 0), bytes);
			return "put";
		},
		sweep: (nowMs) => Number(over.run(nowMs).changes),
	};
}
