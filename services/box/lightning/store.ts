/**
 * What the nodes and their chain keep, in one SQLite file. It is written in the tick in which it changes and committed when the turn ends, before
 * anything leaves a node: a channel whose two halves are not equally new on the disk is closed by force at the next start. That is why this one
 * database is written on the event loop and not in a thread.
 */

import type { DatabaseSync, SQLOutputValue } from "node:sqlite";
import { isProblem, type Problem, problem } from "#contracts/problem";
import { openDatabase } from "#host/database";
import type { ChainStore } from "./chain.ts";

const MIGRATIONS = [
	`CREATE TABLE world (network TEXT NOT NULL, genesis BLOB NOT NULL) STRICT;
	CREATE TABLE block (height INTEGER PRIMARY KEY, bytes BLOB NOT NULL) STRICT;
	CREATE TABLE mined (height INTEGER NOT NULL, place INTEGER NOT NULL, bytes BLOB NOT NULL, PRIMARY KEY (height, place)) STRICT, WITHOUT ROWID;
	CREATE TABLE waiting (place INTEGER PRIMARY KEY, bytes BLOB NOT NULL) STRICT;
	CREATE TABLE node (name TEXT PRIMARY KEY, seed BLOB NOT NULL, manager BLOB) STRICT;
	CREATE TABLE monitor (node TEXT NOT NULL, channel TEXT NOT NULL, bytes BLOB NOT NULL, PRIMARY KEY (node, channel)) STRICT;
	CREATE TABLE monitor_update (place INTEGER PRIMARY KEY, node TEXT NOT NULL, channel TEXT NOT NULL, bytes BLOB NOT NULL) STRICT;
	CREATE INDEX monitor_update_of ON monitor_update (node, channel);
	CREATE TABLE payment (
		node TEXT NOT NULL, way TEXT NOT NULL CHECK (way IN ('in', 'out')), id TEXT NOT NULL, hash TEXT NOT NULL, invoice TEXT NOT NULL,
		msat INTEGER NOT NULL CHECK (msat >= 0), fee_msat INTEGER NOT NULL CHECK (fee_msat >= 0),
		state TEXT NOT NULL CHECK (state IN ('waiting', 'taking', 'sending', 'done', 'failed')),
		expires_ms INTEGER NOT NULL, at_ms INTEGER NOT NULL, says TEXT NOT NULL, PRIMARY KEY (node, way, id)
	) STRICT;
	CREATE INDEX payment_hash ON payment (node, way, hash);`,
	// what the market's channels were opened with: whoever has no note of it yet reckons it from the payments
	"ALTER TABLE world ADD COLUMN stake_msat INTEGER CHECK (stake_msat >= 0)",
];

/** The market, somebody who pays it, somebody whom it pays. */
export type NodeName = "market" | "payer" | "operator";

/**
 * A payment as we remember it; LDK forgets those that are over, and would take them a second time.
 * - in: `waiting` for it, `taking` it (its preimage is given away), `done`
 * - out: `sending`, `done`, `failed`
 */
export type Payment = {
	readonly way: "in" | "out";
	readonly id: string;
	/** in hex */
	readonly hash: string;
	readonly invoice: string;
	/** what was asked for; when it is done, what moved */
	readonly msat: bigint;
	readonly feeMsat: bigint;
	readonly state: "waiting" | "taking" | "sending" | "done" | "failed";
	readonly expiresAtMs: number;
	readonly atMs: number;
	/** the preimage of what was paid, or why it failed */
	readonly says: string;
};

/** A channel's monitor: a whole one and what changed since. */
export type Monitor = {
	readonly channel: string;
	readonly whole: Uint8Array;
	readonly updates: readonly Uint8Array[];
};

/** What one node keeps. */
export type NodeStore = {
	readonly seed: Uint8Array;
	readonly manager: Uint8Array | undefined;
	monitors(): readonly Monitor[];
	putManager(bytes: Uint8Array): void;
	/** Keeps a monitor whole, and forgets the updates before it. */
	putWhole(channel: string, bytes: Uint8Array): void;
	/** Keeps what changed; false when it is time for a whole one. */
	putUpdate(channel: string, bytes: Uint8Array): boolean;
	dropMonitor(channel: string): void;
	putPayment(payment: Payment): void;
	payment(way: Payment["way"], by: "id" | "hash", value: string): Payment | undefined;
	/** payments out of which it is not known yet what became */
	sending(): readonly Payment[];
};

/** The file. */
export type Store = {
	readonly chain: ChainStore;
	/** What the market's node had before anything was paid, kept once: what it has now, less what came and with what went. In a turn. */
	stake(nowMsat: () => bigint): bigint;
	node(name: NodeName, freshSeed: () => Uint8Array): NodeStore;
	/** Begins a turn's transaction, unless one is begun. */
	begin(): void;
	/** Puts it on the disk; throws when the disk does not take it. */
	commit(): void;
	close(): void;
};

/** Updates kept beside a whole monitor: each whole one is written with all that the channel ever did, and three times slower to pay with. */
const UPDATES_MAX = 100;

/** The one network that there is here. */
export const NETWORK = "regtest";

/** What the market's payments brought, less what they took; one that is under way has left already. */
const MOVED = `SELECT coalesce(sum(CASE way WHEN 'in' THEN msat ELSE -msat - fee_msat END), 0) AS msat FROM payment
	WHERE node = 'market' AND (state = 'done' OR way = 'out' AND state = 'sending')`;

type Row = Record<string, SQLOutputValue>;
const bytesOf = (row: Row | undefined, column: string): Uint8Array => row?.[column] as Uint8Array;

/** Opens the file; a problem when it is damaged, or of another network. */
export function openStore(path: string, genesis: Uint8Array): Store | Problem {
	const database = openDatabase({ path, kind: "lightning", migrations: MIGRATIONS, bigints: true });
	if (isProblem(database)) return database;
	const world = database.prepare("SELECT network, genesis FROM world").get();
	if (!world) database.prepare("INSERT INTO world (network, genesis) VALUES (?, ?)").run(NETWORK, genesis);
	else if (world.network !== NETWORK || Buffer.compare(bytesOf(world, "genesis"), genesis) !== 0) {
		database.close();
		return problem("usage", `${path} is of the network ${world.network}: these nodes are for ${NETWORK} alone.`);
	}
	let begun = false;
	return {
		chain: chainIn(database),
		node: (name, freshSeed) => nodeIn(database, name, freshSeed),
		stake(nowMsat) {
			const kept = database.prepare("SELECT stake_msat FROM world").get()?.stake_msat;
			if (typeof kept === "bigint") return kept;
			const moved = database.prepare(MOVED).get()?.msat as bigint;
			const stake = nowMsat() - moved;
			database.prepare("UPDATE world SET stake_msat = ?").run(stake);
			return stake;
		},
		begin() {
			if (!begun) database.exec("BEGIN IMMEDIATE");
			begun = true;
		},
		commit() {
			database.exec("COMMIT");
			begun = false;
		},
		close: () => database.close(),
	};
}

function chainIn(database: DatabaseSync): ChainStore {
	const block = database.prepare("INSERT INTO block VALUES (?, ?)");
	const mined = database.prepare("INSERT INTO mined VALUES (?, ?, ?)");
	const minedAt = database.prepare("SELECT bytes FROM mined WHERE height = ? ORDER BY place");
	const waiting = database.prepare("INSERT INTO waiting (bytes) VALUES (?)");
	return {
		*blocks(from) {
			for (const row of database.prepare("SELECT * FROM block WHERE height >= ? ORDER BY height").iterate(from)) {
				const transactions = minedAt.all(row.height as bigint).map((found) => bytesOf(found, "bytes"));
				yield { height: Number(row.height), bytes: bytesOf(row, "bytes"), transactions };
			}
		},
		waiting: () =>
			database
				.prepare("SELECT bytes FROM waiting ORDER BY place")
				.all()
				.map((row) => bytesOf(row, "bytes")),
		putBlock({ height, bytes, transactions }) {
			block.run(height, bytes);
			for (const [place, transaction] of transactions.entries()) mined.run(height, place, transaction);
		},
		putWaiting: (bytes) => void waiting.run(bytes),
		clearWaiting: () => database.exec("DELETE FROM waiting"),
	};
}

function paymentOf(row: Row | undefined): Payment | undefined {
	if (!row) return undefined;
	return {
		way: row.way as Payment["way"],
		id: row.id as string,
		hash: row.hash as string,
		invoice: row.invoice as string,
		msat: row.msat as bigint,
		feeMsat: row.fee_msat as bigint,
		state: row.state as Payment["state"],
		expiresAtMs: Number(row.expires_ms),
		atMs: Number(row.at_ms),
		says: row.says as string,
	};
}

function nodeIn(database: DatabaseSync, name: NodeName, freshSeed: () => Uint8Array): NodeStore {
	database.prepare("INSERT INTO node (name, seed) VALUES (?, ?) ON CONFLICT DO NOTHING").run(name, freshSeed());
	const row = database.prepare("SELECT seed, manager FROM node WHERE name = ?").get(name);
	const whole = database.prepare("INSERT OR REPLACE INTO monitor VALUES (?, ?, ?)");
	const update = database.prepare("INSERT INTO monitor_update (node, channel, bytes) VALUES (?, ?, ?)");
	const updates = database.prepare("SELECT bytes FROM monitor_update WHERE node = ? AND channel = ? ORDER BY place");
	const count = database.prepare("SELECT count(*) AS n FROM monitor_update WHERE node = ? AND channel = ?");
	const clear = database.prepare("DELETE FROM monitor_update WHERE node = ? AND channel = ?");
	const manager = database.prepare("UPDATE node SET manager = ? WHERE name = ?");
	const payment = database.prepare("INSERT OR REPLACE INTO payment VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)");
	const by = {
		id: database.prepare("SELECT * FROM payment WHERE node = ? AND way = ? AND id = ?"),
		// an invoice that could not be paid may be paid later, under another id: the newest counts
		hash: database.prepare(
			"SELECT * FROM payment WHERE node = ? AND way = ? AND hash = ? ORDER BY state = 'failed', at_ms DESC LIMIT 1",
		),
	};
	return {
		seed: bytesOf(row, "seed"),
		manager: (row?.manager as Uint8Array | null) ?? undefined,
		monitors: () =>
			database
				.prepare("SELECT channel, bytes FROM monitor WHERE node = ?")
				.all(name)
				.map((found) => {
					const channel = found.channel as string;
					const later = updates.all(name, channel).map((row) => bytesOf(row, "bytes"));
					return { channel, whole: bytesOf(found, "bytes"), updates: later };
				}),
		putManager: (bytes) => void manager.run(bytes, name),
		putWhole(channel, bytes) {
			whole.run(name, channel, bytes);
			clear.run(name, channel);
		},
		putUpdate(channel, bytes) {
			if (Number(count.get(name, channel)?.n) >= UPDATES_MAX) return false;
			update.run(name, channel, bytes);
			return true;
		},
		dropMonitor(channel) {
			clear.run(name, channel);
			database.prepare("DELETE FROM monitor WHERE node = ? AND channel = ?").run(name, channel);
		},
		putPayment(one) {
			const { way, id, hash, invoice, msat, feeMsat, state, expiresAtMs, atMs, says } = one;
			payment.run(name, way, id, hash, invoice, msat, feeMsat, state, expiresAtMs, atMs, says);
		},
		payment: (way, key, value) => paymentOf(by[key].get(name, way, value)),
		sending: () =>
			database
				.prepare("SELECT * FROM payment WHERE node = ? AND state = 'sending'")
				.all(name)
				.map((found) => paymentOf(found) as Payment),
	};
}
