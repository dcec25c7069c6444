/** Takes the entries of a stretch out of the ledger's file, in its thread. */

import type { DatabaseSync } from "node:sqlite";
import type { Problem } from "#contracts/problem";
import { prunedMeanwhile } from "./book.ts";
import { type Carried, carriedDigest, KEPT_WHOLE, type Slice } from "./pruning.ts";
import { CARRIED, lastPruning } from "./sqlite-read.ts";

const WHOLE = `SELECT transfer FROM entries JOIN accounts a ON a.id = entries.account
	WHERE transfer > :since AND transfer <= :upTo AND ${KEPT_WHOLE}`;

/** The function that prunes on a connection; the thread undoes it when it answers a problem or throws. */
export function pruner(database: DatabaseSync): (slice: Slice) => number | Problem {
	const carry = database.prepare(
		`WITH whole AS (${WHOLE})
		INSERT INTO carried (account, balance, gone)
		SELECT account, sum(nanos), sum(CASE WHEN transfer IN whole THEN 0 ELSE nanos END) FROM entries
		WHERE transfer > :since AND transfer <= :upTo GROUP BY account
		ON CONFLICT (account) DO UPDATE SET balance = balance + excluded.balance, gone = gone + excluded.gone`,
	);
	const remove = database.prepare(
		`WITH whole AS (${WHOLE}) DELETE FROM entries WHERE transfer > :since AND transfer <= :upTo AND transfer NOT IN whole`,
	);
	const all = database.prepare(CARRIED);
	const write = database.prepare("INSERT INTO prunings (since, upTo, atMs, chain, carried) VALUES (?, ?, ?, ?, ?)");

	return ({ since, upTo, atMs, chain }) => {
		if ((lastPruning(database)?.upTo ?? 0) !== since) return prunedMeanwhile();
		carry.run({ since, upTo });
		const { changes } = remove.run({ since, upTo });
		const digest = carriedDigest();
		for (const one of all.iterate() as Iterable<Carried>) digest.take(one);
		write.run(since, upTo, atMs, chain, digest.digest());
		return Number(changes);
	};
}
