/**
 * The processes that the pruning's crash test kills. "prune": takes what is old out of a ledger in small stretches. "write": a market that goes on writing meanwhile, and
 * says which of its transfers were answered.
 */

import { writeSync } from "node:fs";
import { isProblem } from "#contracts/problem";
import { systemClock } from "#host/clock";
import { crypto } from "#host/crypto";
import { payerAccount } from "#marketplace/ledger/chart";
import { pruneLedger } from "#marketplace/ledger/prune";
import { openLedgerAlone } from "#marketplace/stores";
import { deposit, words } from "#test/acceptance/book";

/** What is made before is old. */
export const OLD_MS = 1_000;
const SLICE = 20;

const [work, at = "", archive = "", run = ""] = process.argv.slice(2);
if (work === "prune" || work === "write") {
	const postgres = { engine: "postgres" as const, url: at, password: undefined };
	const where = at.startsWith("postgres:") ? postgres : { engine: "sqlite" as const, folder: at };
	const book = await openLedgerAlone(where, { clock: systemClock, crypto });
	if (isProblem(book)) throw new Error(book.detail);
	if (work === "prune") {
		writeSync(1, "it begins\n");
		const bounds = { beforeMs: OLD_MS, upToMost: Number.POSITIVE_INFINITY, sliceTransfers: SLICE };
		const done = await pruneLedger({ book, folder: archive, ...bounds });
		if (isProblem(done)) throw new Error(done.detail);
	} else {
		for (let n = 0; ; n++) {
			const transfer = { ...deposit(`young-${run}-${n}`, payerAccount("a1".repeat(32)), 1n), atMs: OLD_MS + n };
			const [outcome] = words(await book.apply([{ transfer }]));
			if (outcome !== "applied") throw new Error(outcome);
			writeSync(1, `young-${run}-${n}\n`);
		}
	}
	await book.close();
}
