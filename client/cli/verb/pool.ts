/** `farelay pool`: a sponsor's pools: made, filled, ruled, paused, ended, taken back from, and accounted for. */

import { writeFile } from "node:fs/promises";
import { resolve } from "node:path";
import { HOME_OPTIONS, HOME_USAGE } from "#cli/home";
import { asPerson } from "#cli/person";
import { poolLines, reportCsv, reportJson, reportLines } from "#cli/reported";
import { table } from "#cli/screen";
import { type Call, textOf, type Verb } from "#cli/verb";
import { type Amount, formatAmount, formatDollars, NOTHING, parseAmount, parseDollars } from "#contracts/amount";
import { isProblem, type Problem, problem } from "#contracts/problem";
import { readReport } from "#contracts/reportfile";
import { crypto } from "#host/crypto";
import type { Client } from "#sdk/client";
import type { PoolJson, PoolRulesJson } from "#sdk/pools";

const MB = 1_000_000n;
/** A person's month and day of a pool that says nothing else, in MB: the standard basket, and a tenth of it. */
const MONTH_MB = 100n;
const DAY_MB = 10n;

export const verb: Verb = {
	summary: "pays for others: pools with rules, filled by you or by anybody, accounted for to the nano-dollar",
	usage: [
		"farelay pool                              your pools",
		"farelay pool create --day DOLLARS [rules] makes one; fill it with farelay pool fund, or farelay fund --pool ID by any rail",
		"farelay pool show ID                      anybody's: its rules, its money, its weeks",
		"farelay pool fund ID DOLLARS              from your balance",
		"farelay pool rules ID [rules]             changes those that are named, for what is opened from now on",
		"farelay pool pause ID | resume ID         pays for nothing new; goes on",
		"farelay pool end ID                       tells its people that it ends in seven days",
		"farelay pool take-back ID [DOLLARS]       what is reserved for nobody, so much or all of it, at once",
		"farelay pool report ID [--out FILE] [--csv FILE]   the signed report: farelay verify FILE checks it offline",
		"",
		"  --day DOLLARS         the most that all people together may reserve in a day",
		"  --country CC,CC       whom it is for; without it people of every country",
		"  --person-month MB     for one person (100), and in a day (10):  --person-day MB",
		"  --from DAY            from when it pays (2026-12-01); --until DAY when it ends, seven days from now at the earliest",
		"  --enroller KEY,KEY    whose passes count; without it those of all whom the market approved",
		"  --app KEY             your app's key: it signs passes for your users",
		"  --rest commons        at the end what is unspent goes on to the commons; without it, back to you. Chosen once",
		"  --id ID               names what is made or moved: asking again by it does nothing twice",
		...HOME_USAGE,
	],
	options: () => ({
		...HOME_OPTIONS,
		...Object.fromEntries(
			[
				"day",
				"country",
				"person-month",
				"person-day",
				"from",
				"until",
				"enroller",
				"app",
				"rest",
				"id",
				"out",
				"csv",
			].map((name) => [name, { type: "string" as const }]),
		),
	}),
	words: true,
	run: (call) => asPerson(call, readAsked(call)),
};

type Asked = (client: Client) => Promise<Problem | undefined>;

function readAsked(call: Call): Asked | Problem {
	const [what, pool, dollars, ...more] = call.words;
	if (what === undefined) return (client) => list(call, client);
	if (what === "create") return pool === undefined ? readCreate(call) : problem("usage", "A pool's name is --id ID.");
	if (pool === undefined || !/^[0-9a-f]{32}$/.test(pool) || more.length > 0)
		return problem("usage", "A pool is named by its 32 hex digits: farelay pool show ID.");
	const id = textOf(call, "id");
	const amount = dollars === undefined ? undefined : parseDollars(dollars);
	if (dollars !== undefined && !amount) return problem("usage", "Say how much, in dollars above nothing: 5, or 0.25.");
	if (dollars !== undefined && what !== "fund" && what !== "take-back")
		return problem("usage", `"${dollars}" says nothing here. farelay pool --help says how.`);
	switch (what) {
		case "show":
			return async (client) => shown(call, await client.pools.show(pool));
		case "fund":
			if (!amount) return problem("usage", "Say how much, in dollars: farelay pool fund ID 5.");
			return async (client) => shown(call, await client.pools.fund(pool, amount, id));
		case "take-back":
			return async (client) => shown(call, await client.pools.takeBack(pool, amount, id));
		case "pause":
		case "resume":
		case "end":
			return async (client) => shown(call, await client.pools.steer(pool, what));
		case "rules": {
			const named = readRules(call);
			return isProblem(named) ? named : (client) => change(call, client, pool, named);
		}
		case "report":
			return (client) => report(call, client, pool);
		default:
			return problem("usage", `farelay pool knows no "${what}". farelay pool --help says what it does.`);
	}
}

/** Bytes of so many MB. */
function bytesOf(mb: string): string | undefined {
	return /^[1-9][0-9]{0,8}$/.test(mb) ? (BigInt(mb) * MB).toString() : undefined;
}

function dayOf(text: string): number | undefined {
	const ms = /^\d{4}-\d{2}-\d{2}$/.test(text) ? Date.parse(`${text}T00:00:00Z`) : Number.NaN;
	return Number.isNaN(ms) ? undefined : ms;
}

/** The rules that were named. */
function readRules(call: Call): Partial<PoolRulesJson> | Problem {
	const rules: Partial<PoolRulesJson> = {};
	const say = <Value>(name: string, read: (text: string) => Value | undefined): Value | undefined | Problem => {
		const text = textOf(call, name);
		if (text === undefined) return undefined;
		return read(text) ?? problem("usage", `--${name} says what cannot be read. farelay pool --help shows how.`);
	};
	const keys = (text: string): string[] | undefined =>
		text.split(",").every((key) => /^[0-9a-f]{64}$/.test(key)) ? text.split(",") : undefined;
	const found = {
		dayLimit: say("day", (text) => {
			const nanos: Amount | undefined = parseDollars(text);
			return nanos && formatAmount(nanos);
		}),
		countries: say("country", (text) => (/^[A-Z]{2}(,[A-Z]{2})*$/.test(text) ? text.split(",") : undefined)),
		monthBytes: say("person-month", bytesOf),
		dayBytes: say("person-day", bytesOf),
		fromMs: say("from", dayOf),
		untilMs: say("until", dayOf),
		enrollers: say("enroller", keys),
		app: say("app", (text) => keys(text)?.[0]),
	};
	for (const value of Object.values(found)) if (isProblem(value)) return value;
	for (const [name, value] of Object.entries(found)) if (value !== undefined) Object.assign(rules, { [name]: value });
	return rules;
}

function readCreate(call: Call): Asked | Problem {
	const named = readRules(call);
	if (isProblem(named)) return named;
	const { dayLimit } = named;
	if (dayLimit === undefined)
		return problem("usage", "Say the most that may be spent in a day: farelay pool create --day 5.");
	const rest = textOf(call, "rest") ?? "back";
	if (rest !== "back" && rest !== "commons") return problem("usage", "--rest is back or commons.");
	const id = textOf(call, "id");
	if (id !== undefined && !/^[0-9a-f]{32}$/.test(id)) return problem("usage", "A pool's id has 32 hex digits.");
	return async (client) => {
		const rules: PoolRulesJson = {
			countries: [],
			enrollers: [],
			monthBytes: (MONTH_MB * MB).toString(),
			dayBytes: least(named.monthBytes ?? (MONTH_MB * MB).toString(), (DAY_MB * MB).toString()),
			fromMs: await client.market.nowMs(),
			...named,
			dayLimit,
		};
		return shown(call, await client.pools.create(rules, rest, id));
	};
}

function least(a: string, b: string): string {
	return BigInt(a) < BigInt(b) ? a : b;
}

async function change(call: Call, client: Client, pool: string, named: Partial<PoolRulesJson>): Promise<undefined> {
	const { rules } = await client.pools.show(pool);
	const said = Object.entries(rules).filter(([, value]) => value !== null);
	return shown(call, await client.pools.rules(pool, { ...(Object.fromEntries(said) as PoolRulesJson), ...named }));
}

function shown({ screen }: Call, pool: PoolJson): undefined {
	screen.answer(pool, poolLines(pool));
}

async function list({ screen }: Call, client: Client): Promise<undefined> {
	const pools = await client.pools.mine();
	const rows = pools.map(({ pool, state, came }) => [pool, state, formatDollars(parseAmount(came) ?? NOTHING)]);
	const none = ["You have no pool. farelay pool create --day 5 makes one."];
	screen.answer({ pools }, rows.length === 0 ? none : table(["pool", "state", "came in"], rows));
}

async function report(call: Call, client: Client, pool: string): Promise<Problem | undefined> {
	const terms = await client.market.terms();
	if (isProblem(terms)) return terms;
	const text = await client.pools.report(pool);
	const verdict = readReport(crypto, text, terms.market);
	if (isProblem(verdict)) return problem(verdict.problem, `The check of the ${verdict.check} fails: ${verdict.detail}`);
	const [out, csv] = [textOf(call, "out"), textOf(call, "csv")];
	try {
		if (out !== undefined) await writeFile(resolve(call.folder, out), text);
		if (csv !== undefined) await writeFile(resolve(call.folder, csv), reportCsv(verdict.report));
	} catch (error) {
		const { code } = error as NodeJS.ErrnoException;
		if (code === undefined) throw error;
		return problem("disk", `The report cannot be written there (${code}).`);
	}
	const where = out === undefined ? [] : [`Written to ${out}: farelay verify ${out} checks it offline, for anybody.`];
	call.screen.answer({ ...reportJson(verdict), file: out ?? null, csv: csv ?? null }, [
		...reportLines(verdict),
		...where,
	]);
	return undefined;
}
