/**
 * What the owner of a market asks of it: its statement, whether its rails and its ledger say the same, and whether it is well. The files are read as they
 * are on the disk; the rails are asked by the market that runs on the folder, or, where none does, by the same settings from here.
 */

import { existsSync } from "node:fs";
import { readFile } from "node:fs/promises";
import { join, resolve } from "node:path";
import { toJson } from "#contracts/amount";
import { isProblem, type Problem, problem } from "#contracts/problem";
import { systemClock } from "#host/clock";
import { crypto } from "#host/crypto";
import { openSilentLog } from "#host/log";
import { writeJson } from "#host/replace";
import type { MarketplaceConfig } from "#marketplace/config";
import type { DatabaseAt } from "#marketplace/database";
import type { Finding } from "#marketplace/inspect/finding";
import type { Reconciliation } from "#marketplace/inspect/reconcile";
import { askOwned } from "./door.ts";
import { type Pages, showLines } from "./lines.ts";
import { sayCount } from "./screen.ts";
import { flagsOf } from "./service.ts";
import { type Call, type Options, textOf } from "./verb.ts";

/** A box keeps its market in a folder of that name; a market on its own is the data folder. */
const MARKET_FOLDER = "market";
/** What the owner has on each rail, as it was last accepted. */
export const OWN_FILE = "own.json";
/** Movements that ended before are counted, and rails are not asked about them again, unless more days are wanted. */
const DAYS = 30;
/** A market that is reconciled asks its rails about every movement; one that is asked for its rails' word waits for the slowest. */
const RECONCILE_MS_MAX = 15 * 60_000;
const RAILS_MS_MAX = 20_000;
/** Transfers read at once. */
const PAGE = 500;

/** Options of the owner's questions beside those of the market's settings. */
export const OWNER_OPTIONS: Options = { accept: { type: "boolean" }, days: { type: "string" } };

/** The settings that the market has, with the folder that it keeps its things in. */
export async function settingsOf(call: Call): Promise<(MarketplaceConfig & { readonly at: DatabaseAt }) | Problem> {
	const { MARKET_SETTINGS, readConfig } = await import("#marketplace/config");
	const config = readConfig({ flags: flagsOf(call, MARKET_SETTINGS), env: call.env });
	if (isProblem(config)) return config;
	const { ledgerPath } = await import("#marketplace/stores");
	const { databaseOf, usedDatabase } = await import("#marketplace/database");
	const data = resolve(call.folder, config.dataPath);
	const boxed = join(data, MARKET_FOLDER);
	const isBox = config.database === undefined && existsSync(ledgerPath(boxed));
	// a question follows the market to where it went; a start is told instead, for it writes
	const database = config.database ?? (isBox ? undefined : usedDatabase(data));
	if (isProblem(database)) return database;
	const at = databaseOf({ ...config, database, dataPath: isBox ? boxed : data }, call.folder);
	if (isProblem(at)) return at;
	if (!isBox) return { ...config, dataPath: data, at };
	const { FIXED_RATE } = await import("#box/box");
	return { ...config, dataPath: boxed, at, rates: { ...config.rates, fixedRate: FIXED_RATE } };
}

/** `farelay market statement`: what the market's own purses got. */
export async function marketStatement(call: Call, path: string | undefined): Promise<Problem | undefined> {
	const config = await settingsOf(call);
	if (isProblem(config)) return config;
	const { openLedgerBeside } = await import("#marketplace/stores");
	const { marketLinesOf } = await import("#marketplace/statement");
	const ledger = await openLedgerBeside(config.at, systemClock);
	if (isProblem(ledger)) return ledger;
	try {
		const pages: Pages = (after) => marketLinesOf(ledger, after, PAGE);
		return await showLines(call, pages, path);
	} finally {
		await ledger.close();
	}
}

/** `farelay market reconcile`: its rails against its ledger. */
export async function marketReconcile(call: Call): Promise<Problem | undefined> {
	const days = textOf(call, "days") ?? String(DAYS);
	if (!/^\d{1,5}$/.test(days)) return problem("usage", "--days takes a number of days.");
	const config = await settingsOf(call);
	if (isProblem(config)) return config;
	const ownPath = join(config.dataPath, OWN_FILE);
	const own = await readOwn(ownPath);
	if (isProblem(own)) return own;
	const found = await reconciled(config, Number(days), own);
	if (isProblem(found)) return found;
	if (call.options.accept === true) {
		const accepted = { ...own };
		for (const { rail, own: before, beyond } of found.rails)
			if (beyond !== undefined) accepted[rail] = (BigInt(before) + BigInt(beyond)).toString();
		await writeJson(ownPath, accepted);
		call.screen.answer({ accepted, was: found }, [
			...linesOf(call, found),
			`Accepted: what was there beyond our movements is the owner's from now on (${ownPath}).`,
		]);
		return undefined;
	}
	if (found.holds) {
		call.screen.answer(found, linesOf(call, found));
		return undefined;
	}
	for (const line of linesOf(call, found)) call.screen.line(line);
	return { ...found, ...problem("data-corrupt", `Unexplained differences: ${found.unexplained}.`) };
}

export async function readOwn(path: string): Promise<Record<string, string> | Problem> {
	const text = await readFile(path, "utf8").catch(() => "{}");
	const wrong = problem("data-corrupt", `${path} is not what this wrote; mend or remove it.`);
	try {
		const own = JSON.parse(text) as Record<string, unknown>;
		const good = Object.values(own).every((units) => typeof units === "string" && /^-?\d{1,30}$/.test(units));
		return good ? (own as Record<string, string>) : wrong;
	} catch {
		return wrong;
	}
}

/** A reconciliation with its bigints as text, as it comes from the door. */
type Told = Omit<Reconciliation, "rails"> & { readonly rails: readonly ToldSums[] };
type ToldSums = Record<"rail" | "unit" | "own" | "cameIn" | "wentOut", string> & {
	readonly beyond?: string;
	readonly deposits: number;
	readonly payouts: number;
};

/** By the market that runs there, or by its settings from here. */
async function reconciled(
	config: MarketplaceConfig & { readonly at: DatabaseAt },
	days: number,
	own: Record<string, string>,
): Promise<Told | Problem> {
	const told = await askOwned<Told>(config.dataPath, "/reconcile", "market", { days, own }, RECONCILE_MS_MAX);
	if (!isProblem(told)) return told;
	if (told.problem !== "unavailable" || told.spent !== "no") return told;
	const { openLedgerBeside } = await import("#marketplace/stores");
	const { openRails } = await import("#marketplace/rail/open");
	const { reconcile } = await import("#marketplace/inspect/reconcile");
	const ledger = await openLedgerBeside(config.at, systemClock);
	if (isProblem(ledger)) return ledger;
	const rails = await openRails(config, { clock: systemClock, log: openSilentLog() });
	try {
		if (isProblem(rails)) return rails;
		const nowMs = systemClock.nowMs();
		const ours = Object.fromEntries(Object.entries(own).map(([rail, units]) => [rail, BigInt(units)]));
		const found = await reconcile({ ledger, rails, nowMs, sinceMs: nowMs - days * 86_400_000, own: ours });
		return JSON.parse(toJson(found)) as Told;
	} finally {
		await ledger.close();
		if (!isProblem(rails)) await Promise.all(rails.map((rail) => rail.close()));
	}
}

function linesOf({ screen }: Call, { holds, rails, differences, explained, unexplained }: Told): string[] {
	const sums = rails.map(
		({ rail, unit, deposits, payouts, cameIn, wentOut, beyond }) =>
			`${rail}: ${sayCount(deposits, "deposit")} brought ${cameIn} ${unit}, ${sayCount(payouts, "payout")} took ${wentOut}` +
			`${beyond === undefined ? "; what it holds cannot be asked." : `, and ${beyond} are there beyond that.`}`,
	);
	const said = differences.map(({ rail, explained: fine, says }) =>
		fine
			? `  ${screen.tone("faint", "explained")}    ${rail}: ${says}`
			: `  ${screen.tone("bad", "unexplained")}  ${rail}: ${says}`,
	);
	const more = explained + unexplained - differences.length;
	return [
		...sums,
		...said,
		...(more > 0 ? [`  ... and ${more} more.`] : []),
		...(holds ? [screen.tone("good", "The rails and the ledger say the same, or why they do not.")] : []),
	];
}

/** `farelay market doctor`: whether all that a market stands on is well. */
export async function marketDoctor(call: Call): Promise<Problem | undefined> {
	const config = await settingsOf(call);
	if (isProblem(config)) return config;
	const { examine } = await import("#marketplace/inspect/doctor");
	const { openSources } = await import("#marketplace/rate/open");
	const { fixedRate, rateSources } = config.rates;
	const sources = fixedRate === undefined ? openSources(rateSources, { clock: systemClock, fetch }) : [];
	if ("problem" in sources) return sources;
	const [rails, told] = await Promise.all([
		railsOf(config),
		askOwned<{ word?: string }>(config.dataPath, "/word", "market", {}),
	]);
	const word = isProblem(told) ? undefined : told.word;
	// a phoenixd has an address unless told otherwise, and is turned on by its password
	const { lightningNetwork: _, phoenixdUrl: _address, ...nodes } = config.lightning;
	const findings = [
		...(await examine({
			dataPath: config.dataPath,
			passphrase: config.keysPassphrase,
			database: config.at,
			crypto,
			clock: systemClock,
			fetch,
			sources,
			needsRate: Object.values(nodes).some((set) => set !== undefined),
			publicUrl: config.publicUrl,
			word,
		})),
		...rails,
	];
	const { screen } = call;
	for (const { what, state, says, mend } of findings)
		screen.line(
			`${screen.tone(state === "ok" ? "good" : "bad", state.padEnd(4))}  ${what}: ${says}${mend && state !== "ok" ? ` ${mend}` : ""}`,
		);
	const bad = findings.filter(({ state }) => state === "bad");
	const said = { well: bad.length === 0, findings };
	if (bad.length > 0) {
		// whoever could not be reached may be next time, which is no damage
		const code = bad.every(({ isAway }) => isAway) ? "unavailable" : "data-corrupt";
		const says = `Bad: ${bad.length} of ${findings.length}; each line says what to do.`;
		return { ...said, ...problem(code, says, { spent: "no" }) };
	}
	screen.answer(said, []);
	return undefined;
}

/** The rails' own word: of those of the market that runs, or of its settings'. */
async function railsOf(config: MarketplaceConfig): Promise<readonly Finding[]> {
	const told = await askOwned<{ findings: Finding[] }>(config.dataPath, "/rails", "market", {}, RAILS_MS_MAX);
	if (!isProblem(told)) return told.findings;
	const { openRails } = await import("#marketplace/rail/open");
	const { checkRails } = await import("#marketplace/inspect/finding");
	const rails = await openRails(config, { clock: systemClock, log: openSilentLog() });
	if (isProblem(rails)) return [{ what: "rails", state: "bad", says: rails.detail, mend: "Mend the settings." }];
	try {
		return await checkRails(rails, systemClock);
	} finally {
		await Promise.all(rails.map((rail) => rail.close()));
	}
}
