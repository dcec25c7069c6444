/** The board's side of the writer thread (`host/writer.ts`). */

import type { DatabaseSync } from "node:sqlite";
import { isProblem, type Problem } from "#contracts/problem";
import { openDatabase } from "#host/database";
import type { Opened } from "#host/writer";
import { type Board, type Note, PAGE_MAX, type Page, type Posting, type Room, SWEEP_MAX } from "./board.ts";

const MIGRATIONS: readonly string[] = [
	`CREATE TABLE relays (
		relay BLOB PRIMARY KEY,
		origin TEXT NOT NULL,
		validUntilMs INTEGER NOT NULL
	) STRICT, WITHOUT ROWID;
	CREATE INDEX relaysOfOrigin ON relays (origin);
	CREATE INDEX relaysValidUntil ON relays (validUntilMs);
	CREATE TABLE postings (
		place INTEGER PRIMARY KEY AUTOINCREMENT,
		relay BLOB NOT NULL REFERENCES relays ON DELETE CASCADE,
		tariff TEXT NOT NULL,
		issuedAtMs INTEGER NOT NULL,
		validUntilMs INTEGER NOT NULL,
		bytes BLOB NOT NULL,
		UNIQUE (relay, tariff)
	) STRICT;
	CREATE TABLE notes (
		name TEXT PRIMARY KEY,
		version INTEGER NOT NULL CHECK (version >= 1),
		text TEXT NOT NULL
	) STRICT, WITHOUT ROWID;
	CREATE TABLE used (
		mark BLOB PRIMARY KEY,
		untilMs INTEGER NOT NULL
	) STRICT, WITHOUT ROWID;
	CREATE INDEX usedUntil ON used (untilMs)`,
];

/** What the thread is started with. */
export type BoardThreadOptions = { readonly path: string };

/** What may be asked of the thread. */
export type BoardCalls = {
	post(asked: { posting: Posting; room: Room; nowMs: number }): Awaited<ReturnType<Board["post"]>>;
	postingsOf(relay: Uint8Array): Uint8Array[];
	postingsAfter(place: number): Page;
	note(name: string): Note | undefined;
	writeNote(asked: { name: string; expect: number; text: string }): boolean;
	use(asked: { mark: Uint8Array; untilMs: number }): boolean;
	sweep(nowMs: number): number;
};

/** Opens the board's file in the thread. */
export function open({ path }: BoardThreadOptions): Opened | Problem {
	// each request that changes something marks its token here first: it must not wait for a disk twice
	const database = openDatabase({ path, kind: "board", migrations: MIGRATIONS, relaxed: true });
	if (isProblem(database)) return database;
	const { postingsOf, postingsAfter, note, ...writes } = callsOf(database);
	return { database, writes, reads: { postingsOf, postingsAfter, note } };
}

function callsOf(database: DatabaseSync): BoardCalls {
	const of = database.prepare("SELECT bytes FROM postings WHERE relay = ? ORDER BY issuedAtMs DESC");
	const after = database.prepare(`SELECT place, bytes FROM postings WHERE place > ? ORDER BY place LIMIT ${PAGE_MAX}`);
	const newest = database.prepare("SELECT seq FROM sqlite_sequence WHERE name = 'postings'");
	const note = database.prepare("SELECT version, text FROM notes WHERE name = ?");
	const insertNote = database.prepare("INSERT INTO notes VALUES (?, 1, ?) ON CONFLICT DO NOTHING");
	const updateNote = database.prepare(
		"UPDATE notes SET text = ?, version = version + 1 WHERE name = ? AND version = ?",
	);
	const insertUsed = database.prepare("INSERT INTO used VALUES (?, ?) ON CONFLICT DO NOTHING");
	const overUsed = database.prepare(
		`DELETE FROM used WHERE mark IN (SELECT mark FROM used WHERE untilMs <= ? LIMIT ${SWEEP_MAX})`,
	);
	const overRelays = database.prepare(
		`DELETE FROM relays WHERE relay IN (SELECT relay FROM relays WHERE validUntilMs <= ? LIMIT ${SWEEP_MAX})`,
	);
	return {
		post: posterOf(database),
		postingsOf: (relay) => of.all(relay).map(({ bytes }) => bytes as Uint8Array),
		postingsAfter: (place) => {
			const rows = after.all(place);
			return {
				postings: rows.map(({ bytes }) => bytes as Uint8Array),
				last: Number(rows.at(-1)?.place ?? place),
				newest: Number(newest.get()?.seq ?? 0),
			};
		},
		note: (name) => {
			const row = note.get(name);
			return row && { version: Number(row.version), text: String(row.text) };
		},
		writeNote: ({ name, expect, text }) =>
			(expect === 0 ? insertNote.run(name, text) : updateNote.run(text, name, expect)).changes === 1,
		use: ({ mark, untilMs }) => insertUsed.run(mark, untilMs).changes === 1,
		sweep: (nowMs) => Number(overUsed.run(nowMs).changes) + Number(overRelays.run(nowMs).changes),
	};
}

function posterOf(database: DatabaseSync): BoardCalls["post"] {
	const dropOver = database.prepare("DELETE FROM postings WHERE relay = ? AND validUntilMs <= ?");
	const newestOf = database.prepare("SELECT max(issuedAtMs) AS issuedAtMs FROM postings WHERE relay = ?");
	const dropRelay = database.prepare("DELETE FROM relays WHERE relay = ? AND validUntilMs <= ?");
	const dropRelays = database.prepare("DELETE FROM relays WHERE validUntilMs <= ?");
	const dropOrigin = database.prepare("DELETE FROM relays WHERE origin = ? AND validUntilMs <= ?");
	const countAll = database.prepare("SELECT count(*) AS n FROM relays");
	const countOrigin = database.prepare("SELECT count(*) AS n FROM relays WHERE origin = ?");
	const enter = database.prepare("INSERT INTO relays VALUES (?, ?, 0)");
	// a new place for each posting: whoever reads what came since sees it
	const drop = database.prepare("DELETE FROM postings WHERE relay = ? AND tariff = ?");
	const hang = database.prepare(
		"INSERT INTO postings (relay, tariff, issuedAtMs, validUntilMs, bytes) VALUES (?, ?, ?, ?, ?)",
	);
	const dropOldest = database.prepare(
		`DELETE FROM postings WHERE place IN
			(SELECT place FROM postings WHERE relay = ? ORDER BY issuedAtMs DESC LIMIT -1 OFFSET ?)`,
	);
	const renew = database.prepare(
		"UPDATE relays SET validUntilMs = (SELECT max(validUntilMs) FROM postings WHERE relay = ?1) WHERE relay = ?1",
	);

	/** Whether one more relay has room. What is over is taken down only when that matters. */
	function refuse(origin: string, room: Room, nowMs: number): "full" | "crowded" | undefined {
		const all = (): number => Number(countAll.get()?.n);
		if (all() >= room.relays) dropRelays.run(nowMs);
		if (all() >= room.relays) return "full";
		if (origin === "") return undefined;
		const others = (): number => Number(countOrigin.get(origin)?.n);
		if (others() >= room.relaysOfOrigin) dropOrigin.run(origin, nowMs);
		return others() >= room.relaysOfOrigin ? "crowded" : undefined;
	}

	return ({ posting, room, nowMs }) => {
		const { relay, tariff, origin, issuedAtMs, validUntilMs, bytes } = posting;
		dropRelay.run(relay, nowMs);
		dropOver.run(relay, nowMs);
		const newest = newestOf.get(relay)?.issuedAtMs as number | null;
		if (newest !== null && newest >= issuedAtMs) return "older";
		if (newest === null) {
			const refused = refuse(origin, room, nowMs);
			if (refused) return refused;
			enter.run(relay, origin);
		}
		drop.run(relay, tariff);
		hang.run(relay, tariff, issuedAtMs, validUntilMs, bytes);
		dropOldest.run(relay, room.postingsOfRelay);
		renew.run(relay);
		return "posted";
	};
}
