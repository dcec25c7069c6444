/** The smallest module a writer can run: named counters that may not go below zero, and ways to fail on purpose. */

import { problem } from "#contracts/problem";
import { openDatabase } from "#host/database";
import type { Opened } from "#host/writer";

type Options = { path: string; readOnly?: boolean; pagesMax?: number };

/** What the tests may ask of it. */
export type Counters = {
	add(change: { name: string; by: number; fate?: "refuse" | "throw" | "exit" }): { after: number; group: number };
	keep(bytes: Uint8Array): number;
	read(name: string): number;
};

export const migrations = [
	"CREATE TABLE counters (name TEXT PRIMARY KEY, n INTEGER NOT NULL CHECK (n >= 0)) STRICT",
	"CREATE TABLE blobs (bytes BLOB NOT NULL) STRICT",
];

export function open(options: Options) {
	const database = openDatabase({ kind: "counters", migrations, ...options });
	if (!("prepare" in database)) return database;
	const add = database.prepare(
		"INSERT INTO counters VALUES (?, ?) ON CONFLICT (name) DO UPDATE SET n = n + excluded.n RETURNING n",
	);
	const keep = database.prepare("INSERT INTO blobs VALUES (?)");
	const read = database.prepare("SELECT n FROM counters WHERE name = ?");
	const version = database.prepare("PRAGMA data_version");
	let group = 0;
	const writes = {
		add: ({ name, by, fate }: Parameters<Counters["add"]>[0]) => {
			const after = Number(add.get(name, by)?.n);
			group += 1;
			if (fate === "refuse") return problem("balance-short");
			if (fate === "throw") throw new Error("a bug on purpose");
			if (fate === "exit") process.exit(3);
			return { after, group };
		},
		keep: (bytes: Uint8Array) => Number(keep.run(bytes).lastInsertRowid),
	};
	const reads = { read: (name: string) => Number(read.get(name)?.n ?? 0) };
	return { database, writes, reads, ready: { data: Number(version.get()?.data_version) } } satisfies Opened;
}
