/** The published cards' side of the writer thread (`host/writer.ts`). */

import type { DatabaseSync } from "node:sqlite";
import { same } from "#contracts/bytes";
import { isProblem, type Problem } from "#contracts/problem";
import { openDatabase } from "#host/database";
import type { Opened } from "#host/writer";
import { type CardRow, SWEEP_MAX } from "./cards.ts";

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
	// how many there are: to count them for each new one took longer than to keep it
	`CREATE TABLE tally (places INTEGER NOT NULL) STRICT;
	INSERT INTO tally SELECT count(*) FROM card`,
];

/** What may be asked of the thread. */
export type CardCalls = {
	put(row: CardRow): "put" | "older" | "full";
	find(at: { readonly place: Uint8Array; readonly nowMs: number }): Uint8Array | undefined;
	sweep(nowMs: number): number;
};

/** Opens the cards' file in the thread. */
export function open({ path, placesMax }: { path: string; placesMax: number }): Opened | Problem {
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
	const takePlace = database.prepare("UPDATE tally SET places = places + 1 WHERE places < ?");
	const givePlaces = database.prepare("UPDATE tally SET places = places - ?");
	const set = database.prepare("INSERT OR REPLACE INTO card VALUES (?, ?, ?, ?, ?, ?)");
	const over = database.prepare(
		`DELETE FROM card WHERE rowid IN (SELECT rowid FROM card WHERE keptUntilMs <= ? LIMIT ${SWEEP_MAX})`,
	);
	return {
		put({ place, serial, withdrawn, untilMs, bytes }) {
			const known = get.get(place) as { serial: number; keptUntilMs: number; bytes: Uint8Array } | undefined;
			if (known && same(known.bytes, bytes)) return "put";
			if (known && serial <= known.serial) return "older";
			if (!known && takePlace.run(placesMax).changes === 0) return "full";
			// the serial is remembered for as long as anything that was published here could still be shown as new
			set.run(place, serial, withdrawn, untilMs, Math.max(untilMs, known?.keptUntilMs ?? 0), bytes);
			return "put";
		},
		sweep(nowMs) {
			const { changes } = over.run(nowMs);
			if (changes > 0) givePlaces.run(changes);
			return Number(changes);
		},
	};
}
