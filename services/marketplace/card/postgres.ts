/** Published cards in Postgres: for any number of processes. */

import { isProblem, type Problem } from "#contracts/problem";
import type { Postgres } from "#host/postgres";
import { PLACES_MAX, type Places, SWEEP_MAX } from "./cards.ts";

/** Who comes second to a new place waits for the first and then looks again. Locks are taken in one order, a place and then the tally. */
const PUT = `CREATE FUNCTION "putCard1" (bytea, bigint, smallint, bigint, bytea, bigint) RETURNS text LANGUAGE plpgsql AS $put$
DECLARE
	known cards%ROWTYPE;
BEGIN
	INSERT INTO cards VALUES ($1, $2, $3, $4, $4, $5) ON CONFLICT DO NOTHING;
	IF FOUND THEN
		UPDATE "cardTally" SET places = places + 1 WHERE places < $6;
		IF FOUND THEN RETURN 'put'; END IF;
		DELETE FROM cards c WHERE c.place = $1;
		RETURN 'full';
	END IF;
	SELECT * INTO known FROM cards c WHERE c.place = $1 FOR UPDATE;
	IF NOT FOUND THEN RAISE serialization_failure USING MESSAGE = 'the place was forgotten a moment ago'; END IF;
	IF known.bytes = $5 THEN RETURN 'put'; END IF;
	IF $2 <= known.serial THEN RETURN 'older'; END IF;
	UPDATE cards c SET serial = $2, withdrawn = $3, "untilMs" = $4, "keptUntilMs" = greatest($4, known."keptUntilMs"), bytes = $5
		WHERE c.place = $1;
	RETURN 'put';
END $put$`;

/** Raises the tables, one step each; only ever appended to. */
const CARDS_STEPS: readonly string[] = [
	`CREATE TABLE cards (
		place bytea PRIMARY KEY,
		serial bigint NOT NULL,
		withdrawn smallint NOT NULL CHECK (withdrawn IN (0, 1)),
		"untilMs" bigint NOT NULL,
		"keptUntilMs" bigint NOT NULL,
		bytes bytea NOT NULL
	);
	CREATE INDEX "cardsKeptUntil" ON cards ("keptUntilMs");
	CREATE TABLE "cardTally" (places bigint NOT NULL);
	INSERT INTO "cardTally" VALUES (0)`,
	PUT,
];

/** Opens (and creates) the places in a database, which stays open when they are closed: others keep things there too. */
export async function openPostgresPlaces(
	postgres: Postgres,
	placesMax: number = PLACES_MAX,
): Promise<Places | Problem> {
	const refused = await postgres.migrate("cards", CARDS_STEPS);
	if (refused) return refused;
	return {
		put: async ({ place, serial, withdrawn, untilMs, bytes }) => {
			const text = `SELECT "putCard1"($1, $2, $3, $4, $5, $6) AS said`;
			const values = [place, serial, withdrawn, untilMs, bytes, placesMax];
			// done again it finds itself
			const rows = await postgres.call<{ said: "put" | "older" | "full" }>("same-as-once", text, values);
			return isProblem(rows) ? rows : (rows[0] as (typeof rows)[number]).said;
		},
		find: async (place, nowMs) => {
			const text = `SELECT bytes FROM cards WHERE place = $1 AND withdrawn = 0 AND "untilMs" > $2`;
			const rows = await postgres.read((session) => session.ask<{ bytes: Uint8Array }>(text, [place, nowMs]));
			if (isProblem(rows)) return rows;
			return rows[0] && new Uint8Array(rows[0].bytes);
		},
		sweep: async (nowMs) => {
			// what another process is about to forget, or whose owner writes at this moment, is left for the next time
			const text = `WITH over AS (SELECT place FROM cards WHERE "keptUntilMs" <= $1 LIMIT ${SWEEP_MAX} FOR UPDATE SKIP LOCKED),
				gone AS (DELETE FROM cards WHERE place IN (SELECT place FROM over) RETURNING 1)
				UPDATE "cardTally" SET places = places - n FROM (SELECT count(*) AS n FROM gone) counted WHERE n > 0 RETURNING n`;
			const rows = await postgres.call<{ n: bigint }>("same-as-once", text, [nowMs]);
			return isProblem(rows) ? rows : Number(rows[0]?.n ?? 0);
		},
		close: async () => {},
	};
}
