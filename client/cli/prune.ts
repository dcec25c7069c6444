/** `farelay market prune`: old entries of the ledger go into an archive, and the ledger holds as before. */

import { resolve } from "node:path";
import { isProblem, type Problem, problem } from "#contracts/problem";
import { systemClock } from "#host/clock";
import { crypto } from "#host/crypto";
import { problemOfDatabase } from "#host/database";
import { settingsOf } from "./owner.ts";
import { sayCount } from "./screen.ts";
import { type Call, type Options, textOf } from "./verb.ts";

/** Its own options; `--to` is a backup's too. */
export const PRUNE_OPTIONS: Options = { before: { type: "string" }, to: { type: "string" } };

/** People fetch last year's statement in the year after it. */
const DAYS = 400;
/** Whoever looks into a quarter that is over must find its lines; payments by card are disputed for that long. */
const DAYS_LEAST = 120;
const DAY_MS = 86_400_000;

/** Prunes, or says why not; says what went in figures. */
export async function marketPrune(call: Call): Promise<Problem | undefined> {
	const to = textOf(call, "to");
	if (to === undefined) return problem("usage", "Name the archive's folder with --to FOLDER: the same one each time.");
	const days = textOf(call, "before") ?? String(DAYS);
	if (!/^\d{1,5}$/.test(days) || Number(days) < DAYS_LEAST)
		return problem("usage", `--before takes a number of days, ${DAYS_LEAST} at least (${DAYS} unless given).`);
	const config = await settingsOf(call);
	if (isProblem(config)) return config;
	const { openLedgerAlone } = await import("#marketplace/stores");
	const { pruneLedger } = await import("#marketplace/ledger/prune");
	const { newestOf } = await import("#marketplace/proof/record");
	const book = await openLedgerAlone(config.at, { clock: systemClock, crypto });
	if (isProblem(book)) return book;
	const folder = resolve(call.folder, to);
	try {
		const { made } = await newestOf(crypto, book);
		const upToMost = made?.commitment.position ?? Number.POSITIVE_INFINITY;
		const beforeMs = systemClock.nowMs() - Number(days) * DAY_MS;
		const done = await pruneLedger({ book, folder, beforeMs, upToMost });
		if (isProblem(done)) return done;
		const { transfers, entries, files, upTo } = done;
		call.screen.answer({ folder, transfers, entries, files, upTo }, [
			transfers === 0
				? `Nothing is older than ${days} days beyond what was pruned before (up to transfer ${upTo}). Nothing was changed.`
				: `${sayCount(files.length, "new file")} in ${folder} now ${files.length === 1 ? "has" : "have"} ${sayCount(transfers, "transfer")}, of which ${sayCount(entries, "entry", "entries")} went from the ledger: it is pruned up to transfer ${upTo}.`,
			"Keep the archive with the backups: farelay audit --archive FOLDER proves both from the first transfer on.",
		]);
		return undefined;
	} catch (error) {
		const known = problemOfDatabase(error, folder);
		if (!known) throw error;
		return known;
	} finally {
		await book.close();
	}
}
