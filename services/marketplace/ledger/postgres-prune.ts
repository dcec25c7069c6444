/** Takes the entries of a stretch out of the ledger in Postgres, in one transaction beside the markets that write to it. */

import type { Problem } from "#contracts/problem";
import { passFaultPoint } from "#host/fault";
import type { Postgres, Session } from "#host/postgres";
import { prunedMeanwhile } from "./book.ts";
import { type Carried, carriedDigest, KEPT_WHOLE, type Pruning, type Slice } from "./pruning.ts";

/** One pruning at a time: a lock of the database's by this number. */
const PRUNING = 1_179_797_581;

const ALL = 'SELECT since, "upTo", "atMs", chain, carried FROM prunings';

const WHOLE = `SELECT transfer FROM entries JOIN accounts a ON a.id = entries.account
	WHERE transfer > $1 AND transfer <= $2 AND ${KEPT_WHOLE}`;

const CARRY = `WITH whole AS (${WHOLE})
	INSERT INTO carried (account, balance, gone)
	SELECT account, sum(nanos)::bigint, coalesce(sum(nanos) FILTER (WHERE transfer NOT IN (SELECT transfer FROM whole)), 0)::bigint FROM entries
	WHERE transfer > $1 AND transfer <= $2 GROUP BY account
	ON CONFLICT (account) DO UPDATE SET balance = carried.balance + excluded.balance, gone = carried.gone + excluded.gone`;

const REMOVE = `WITH whole AS (${WHOLE}), removed AS (
		DELETE FROM entries WHERE transfer > $1 AND transfer <= $2 AND transfer NOT IN (SELECT transfer FROM whole) RETURNING 1
	) SELECT count(*) AS n FROM removed`;

/** Prunes. Entries are never written twice, so this waits for nobody who posts, and nobody who posts waits for it. */
export async function prune(postgres: Postgres, { since, upTo, atMs, chain }: Slice): Promise<number | Problem> {
	const gone = await postgres.walk("differs", async (session) => {
		const [turn] = await session.ask<{ mine: boolean }>("SELECT pg_try_advisory_xact_lock($1) AS mine", [PRUNING]);
		if (!turn?.mine || ((await lastPruning(session))?.upTo ?? 0) !== since) return undefined;
		await session.ask(CARRY, [since, upTo]);
		const [removed] = await session.ask<{ n: bigint }>(REMOVE, [since, upTo]);
		passFaultPoint("prune:removed");
		const digest = carriedDigest();
		for await (const page of carriedOf(session)) for (const one of page) digest.take(one);
		await session.ask('INSERT INTO prunings (since, "upTo", "atMs", chain, carried) VALUES ($1, $2, $3, $4, $5)', [
			...[since, upTo, atMs, chain],
			digest.digest(),
		]);
		return Number(removed?.n);
	});
	return gone ?? prunedMeanwhile();
}

/** The newest pruning. */
export async function lastPruning(session: Session): Promise<Pruning | undefined> {
	return (await session.ask<Row>(`${ALL} ORDER BY "upTo" DESC LIMIT 1`)).map(readPruning)[0];
}

/** All prunings, in order. */
export async function* prunings(session: Session): AsyncGenerator<Pruning> {
	for await (const page of session.pages<Row>(`${ALL} ORDER BY "upTo"`)) yield* page.map(readPruning);
}

/** What accounts carry on, by name. */
export function carriedOf(session: Session): AsyncIterable<Carried[]> {
	return session.pages<Carried>(
		"SELECT name AS account, c.balance, gone FROM carried c JOIN accounts ON accounts.id = c.account ORDER BY name",
	);
}

type Row = { since: bigint; upTo: bigint; atMs: bigint; chain: string; carried: string };

function readPruning({ since, upTo, atMs, chain, carried }: Row): Pruning {
	return { since: Number(since), upTo: Number(upTo), atMs: Number(atMs), chain, carried };
}
