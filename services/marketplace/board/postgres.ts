/**
 * The board in Postgres: for any number of processes. What is posted is posted one at a time, so that bounds hold and whoever reads what came
 * since misses nothing. Nothing here waits for the disk: a database that dies may forget its last half second of postings and used tokens.
 */

import type { Problem } from "#contracts/problem";
import type { Postgres, Twice } from "#host/postgres";
import { answerOf } from "#marketplace/ledger/book";
import { type Board, type Note, PAGE_MAX, SWEEP_MAX } from "./board.ts";

/** A transaction that says this first is answered before it is on disk. */
const RELAXED = "set_config('synchronous_commit', 'off', true)";

const POST = `CREATE FUNCTION "postOnBoard1" (
	relay bytea, tariff text, origin text, "issuedAtMs" bigint, "validUntilMs" bigint, bytes bytea,
	"relaysMax" bigint, "relaysOfOriginMax" bigint, "postingsOfRelayMax" bigint, "nowMs" bigint
) RETURNS text LANGUAGE plpgsql AS $post$
#variable_conflict use_column
DECLARE
	next bigint;
	newest bigint;
BEGIN
	PERFORM ${RELAXED};
	-- one at a time: this row is locked until what follows is seen by everybody
	UPDATE "boardPlace" SET place = place + 1 RETURNING place INTO next;
	DELETE FROM "boardRelays" r WHERE r.relay = $1 AND r."validUntilMs" <= $10;
	DELETE FROM "boardPostings" p WHERE p.relay = $1 AND p."validUntilMs" <= $10;
	SELECT max(p."issuedAtMs") INTO newest FROM "boardPostings" p WHERE p.relay = $1;
	IF newest >= $4 THEN RETURN 'older'; END IF;
	IF newest IS NULL THEN
		IF (SELECT count(*) FROM "boardRelays") >= $7 THEN DELETE FROM "boardRelays" r WHERE r."validUntilMs" <= $10; END IF;
		IF (SELECT count(*) FROM "boardRelays") >= $7 THEN RETURN 'full'; END IF;
		IF $3 <> '' THEN
			IF (SELECT count(*) FROM "boardRelays" r WHERE r.origin = $3) >= $8 THEN
				DELETE FROM "boardRelays" r WHERE r.origin = $3 AND r."validUntilMs" <= $10;
			END IF;
			IF (SELECT count(*) FROM "boardRelays" r WHERE r.origin = $3) >= $8 THEN RETURN 'crowded'; END IF;
		END IF;
		INSERT INTO "boardRelays" VALUES ($1, $3, 0);
	END IF;
	DELETE FROM "boardPostings" p WHERE p.relay = $1 AND p.tariff = $2;
	INSERT INTO "boardPostings" VALUES (next, $1, $2, $4, $5, $6);
	DELETE FROM "boardPostings" p WHERE p.place IN
		(SELECT o.place FROM "boardPostings" o WHERE o.relay = $1 ORDER BY o."issuedAtMs" DESC OFFSET $9);
	UPDATE "boardRelays" r SET "validUntilMs" = (SELECT max(p."validUntilMs") FROM "boardPostings" p WHERE p.relay = $1) WHERE r.relay = $1;
	RETURN 'posted';
END $post$`;

/** Raises the tables, one step each; only ever appended to. */
const BOARD_STEPS: readonly string[] = [
	`CREATE TABLE "boardRelays" (
		relay bytea PRIMARY KEY,
		origin text NOT NULL,
		"validUntilMs" bigint NOT NULL
	);
	CREATE INDEX "boardRelaysOfOrigin" ON "boardRelays" (origin);
	CREATE INDEX "boardRelaysValidUntil" ON "boardRelays" ("validUntilMs");
	CREATE TABLE "boardPostings" (
		place bigint PRIMARY KEY,
		relay bytea NOT NULL REFERENCES "boardRelays" ON DELETE CASCADE,
		tariff text NOT NULL,
		"issuedAtMs" bigint NOT NULL,
		"validUntilMs" bigint NOT NULL,
		bytes bytea NOT NULL,
		UNIQUE (relay, tariff)
	);
	CREATE TABLE "boardPlace" (place bigint NOT NULL);
	INSERT INTO "boardPlace" VALUES (0);
	CREATE TABLE "boardNotes" (
		name text PRIMARY KEY,
		version bigint NOT NULL CHECK (version >= 1),
		text text NOT NULL
	);
	CREATE TABLE "boardUsed" (
		mark bytea PRIMARY KEY,
		"untilMs" bigint NOT NULL
	);
	CREATE INDEX "boardUsedUntil" ON "boardUsed" ("untilMs")`,
	POST,
];

/** Opens (and creates) the board in a database, which stays open when the board is closed: others keep things there too. */
export async function openPostgresBoard(postgres: Postgres): Promise<Board | Problem> {
	const refused = await postgres.migrate("board", BOARD_STEPS);
	if (refused) return refused;

	const read = <Row extends object>(text: string, values: readonly unknown[]): Promise<Row[]> =>
		answerOf(postgres.read((session) => session.ask<Row>(text, values)));
	const call = <Row extends object>(twice: Twice, text: string, values: readonly unknown[]): Promise<Row[]> =>
		answerOf(postgres.call<Row>(twice, text, values));

	return {
		post: async ({ relay, tariff, origin, issuedAtMs, validUntilMs, bytes }, room, nowMs) => {
			const { relays, relaysOfOrigin, postingsOfRelay } = room;
			const values = [relay, tariff, origin, issuedAtMs, validUntilMs, bytes, relays, relaysOfOrigin, postingsOfRelay];
			const text = `SELECT "postOnBoard1"($1, $2, $3, $4, $5, $6, $7, $8, $9, $10) AS said`;
			// done again it finds itself: an older one that changes nothing, which is what its caller makes of it
			const [row] = await call<{ said: Awaited<ReturnType<Board["post"]>> }>("same-as-once", text, [...values, nowMs]);
			return (row as NonNullable<typeof row>).said;
		},
		postingsOf: async (relay) => {
			const text = `SELECT bytes FROM "boardPostings" WHERE relay = $1 ORDER BY "issuedAtMs" DESC`;
			return (await read<{ bytes: Uint8Array }>(text, [relay])).map(({ bytes }) => new Uint8Array(bytes));
		},
		postingsAfter: async (after) => {
			const text = `SELECT p.place, p.bytes, b.place AS newest FROM "boardPlace" b
				LEFT JOIN "boardPostings" p ON p.place > $1 ORDER BY p.place LIMIT ${PAGE_MAX}`;
			const rows = await read<{ place: bigint | null; bytes: Uint8Array; newest: bigint }>(text, [after]);
			const found = rows.filter(({ place }) => place !== null);
			return {
				postings: found.map(({ bytes }) => new Uint8Array(bytes)),
				last: Number(found.at(-1)?.place ?? after),
				newest: Number(rows[0]?.newest ?? 0),
			};
		},
		note: async (name): Promise<Note | undefined> => {
			const text = `SELECT version, text FROM "boardNotes" WHERE name = $1`;
			const [row] = await read<{ version: bigint; text: string }>(text, [name]);
			return row && { version: Number(row.version), text: row.text };
		},
		writeNote: async (name, expect, words) => {
			const text =
				expect === 0
					? `INSERT INTO "boardNotes" VALUES ($1, $2::bigint + 1, $3) ON CONFLICT DO NOTHING RETURNING version`
					: `UPDATE "boardNotes" SET version = version + 1, text = $3 WHERE name = $1 AND version = $2 RETURNING version`;
			// a second time it finds its own version, and says no: whoever writes reads again then
			return (await call("same-as-once", text, [name, expect, words])).length === 1;
		},
		use: async (mark, untilMs) => {
			const text = `WITH relaxed AS (SELECT ${RELAXED})
				INSERT INTO "boardUsed" SELECT $1, $2 FROM relaxed ON CONFLICT DO NOTHING RETURNING mark`;
			return (await call("differs", text, [mark, untilMs])).length === 1;
		},
		sweep: async (nowMs) => {
			let swept = 0;
			for (const [table, key, until] of [
				["boardUsed", "mark", "untilMs"],
				["boardRelays", "relay", "validUntilMs"],
			]) {
				// what another process is about to forget is left to it
				const text = `WITH over AS (SELECT "${key}" FROM "${table}" WHERE "${until}" <= $1 LIMIT ${SWEEP_MAX} FOR UPDATE SKIP LOCKED)
					DELETE FROM "${table}" WHERE "${key}" IN (SELECT "${key}" FROM over) RETURNING 1`;
				swept += (await call("same-as-once", text, [nowMs])).length;
			}
			return swept;
		},
		close: async () => {},
	};
}
