/** `farelay market migrate`: everything that a market keeps, from one engine to the other. */

import { formatDollars } from "#contracts/amount";
import { isProblem, type Problem, problem } from "#contracts/problem";
import { systemClock } from "#host/clock";
import { crypto } from "#host/crypto";
import { sayCount } from "./screen.ts";
import { type Call, type Options, textOf } from "./verb.ts";

/** The two databases. */
export const MIGRATE_OPTIONS: Options = { from: { type: "string" }, to: { type: "string" } };

const MS_PER_SECOND = 1_000;

/** Moves it, or says why not; says what moved in figures. */
export async function marketMigrate(call: Call): Promise<Problem | undefined> {
	const { databaseOf, refuseShown } = await import("#marketplace/database");
	const { moveMarket } = await import("#marketplace/migrate/migrate");
	const { checkTabs } = await import("#marketplace/tab/check");
	const { checkDecisions } = await import("#marketplace/desk/chain");
	const { checkPayouts } = await import("#marketplace/payout/check");
	const { MARKET_SETTINGS, readConfig } = await import("#marketplace/config");
	const config = readConfig({ env: call.env });
	if (isProblem(config)) return config;
	const named = (option: "from" | "to") => {
		const database = textOf(call, option);
		if (!database) return problem("usage", "farelay market migrate --from sqlite:FOLDER --to postgres://..., or back.");
		return (
			refuseShown(database) ?? databaseOf({ ...config, dataPath: MARKET_SETTINGS.data.fallback, database }, call.folder)
		);
	};
	const [from, to] = [named("from"), named("to")];
	if (isProblem(from)) return from;
	if (isProblem(to)) return to;
	const beganMs = systemClock.elapsedMs();
	const moved = await moveMarket(from, to, {
		clock: systemClock,
		crypto,
		checks: [checkTabs, checkPayouts, checkDecisions(crypto)],
	});
	if (isProblem(moved)) return moved;
	const { rows, digest, report } = moved;
	const seconds = Math.round((systemClock.elapsedMs() - beganMs) / (MS_PER_SECOND / 10)) / 10;
	const { transfers, entries, accounts, tabs, sum } = report;
	call.screen.answer({ rows, digest, seconds, audit: { transfers, entries, accounts, tabs, sum } }, [
		`Moved in ${seconds} s: ${Object.entries(rows)
			.map(([table, n]) => `${n} ${table}`)
			.join(", ")}.`,
		`Every row is the same on both sides: SHA-256 ${digest}.`,
		call.screen.tone(
			"good",
			`Both ledgers hold: ${sayCount(transfers, "transfer")} on ${sayCount(accounts, "account")} sum to ${formatDollars(sum)}.`,
		),
		"The keys, the proofs and what was accepted stay in the data folder. Start the market with --database; the old database is as it was.",
	]);
	return undefined;
}
