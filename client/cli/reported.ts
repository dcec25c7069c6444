/** A pool, in words: its page, its rules, its report as lines, as JSON and as a table for a spreadsheet. */

import { type Amount, formatDollars, NOTHING, parseAmount } from "#contracts/amount";
import { toHex } from "#contracts/bytes";
import { type Reached, type Report, restOf, spentOf } from "#contracts/report";
import type { ReportVerdict } from "#contracts/reportfile";
import type { PoolJson } from "#sdk/pools";
import { sayDay, sayMinute, table } from "./screen.ts";

const STATE = {
	open: "open",
	paused: "paused: it pays for nothing new",
	ending: "ending: its people have been told when",
	ended: "ended",
} as const;

/** Bytes as whole and tenth megabytes. */
function sayMb(bytes: bigint): string {
	return `${bytes / 1_000_000n}.${(bytes / 100_000n) % 10n} MB`;
}

function dollars(text: string): string {
	return formatDollars(parseAmount(text) ?? NOTHING);
}

function line(nanos: string, what: string): string {
	return `  ${dollars(nanos).padStart(18)}  ${what}`;
}

/** A pool's page. */
export function poolLines(pool: PoolJson): string[] {
	const { rules, weeks } = pool;
	const until = rules.untilMs === null ? "until its sponsor ends it" : `until ${sayDay(rules.untilMs)}`;
	const where = rules.countries.length === 0 ? "people of every country" : `people of ${rules.countries.join(", ")}`;
	const rest = pool.rest === "back" ? "goes back to its sponsor" : "goes on to the commons";
	return [
		`Pool ${pool.pool} is ${STATE[pool.state]}.`,
		`For ${where}, from ${sayDay(rules.fromMs)} ${until}; what is unspent then ${rest}.`,
		`A person has ${sayMb(BigInt(rules.monthBytes))} a month and ${sayMb(BigInt(rules.dayBytes))} a day; all together ${dollars(rules.dayLimit)} a day.`,
		...(rules.enrollers.length > 0 ? [`Enrollers: ${rules.enrollers.join(", ")}`] : []),
		...(rules.app === null ? [] : [`For users of the app of ${rules.app}`]),
		"",
		`As of ${sayMinute(pool.atMs)} UTC:`,
		line(pool.came, "came in"),
		line(pool.toOperators, "spent on relays"),
		line(pool.marketFee, "spent on the market's fee"),
		line(pool.reserved, "reserved for tabs that are open"),
		line(pool.left, `left${pool.daysOfCover === null ? "" : `, for ${pool.daysOfCover} days at this pace`}`),
		...(pool.back === "0" ? [] : [line(pool.back, "went back to its sponsor")]),
		...(pool.on === "0" ? [] : [line(pool.on, "went on to the commons")]),
		...(pool.lost === "0" ? [] : [line(pool.lost, "taken back by the banks of cards")]),
		...(pool.own && pool.own.early !== "0" ? [line(pool.own.early, "of it by card, not to be taken back yet")] : []),
		line(pool.railFee, "kept by ways of paying, beside that"),
		line(pool.exchangeFee, "kept by the exchange, beside that"),
		...(weeks.length === 0
			? ["", "No week is summed up yet: that takes twenty people, or eight weeks."]
			: [
					"",
					...weekTable(weeks.map((week) => ({ ...week, spent: BigInt(week.toOperators) + BigInt(week.marketFee) }))),
				]),
	];
}

function weekTable(
	weeks: readonly { fromMs: number; toMs: number; people: number; bytes: string; spent: bigint; countries: string[] }[],
): string[] {
	return table(
		["from", "to", "people", "MB", "spent", "countries shown"],
		weeks.map(({ fromMs, toMs, people, bytes, spent, countries }) => [
			sayDay(fromMs),
			sayDay(toMs),
			sayPeople(people),
			sayMb(BigInt(bytes)),
			formatDollars(spent),
			countries.join(" "),
		]),
	);
}

function sayPeople(people: number): string {
	return people === 0 ? "under 20" : people.toString();
}

/** A report's verdict, line by line. */
export function reportLines({ report, key, pinned }: ReportVerdict): string[] {
	const { money, stretches, pool } = report;
	const { toOperators, marketFee } = spentOf(report);
	const shown = stretches.flatMap(({ lines }) => lines).length;
	const hidden = stretches.flatMap((stretch) => stretch.hidden).length;
	const sum = (nanos: bigint, what: string): string => `  ${formatDollars(nanos).padStart(18)}  ${what}`;
	const lines = [
		`Every nano-dollar of pool ${toHex(pool)} is accounted for, as of ${sayMinute(report.atMs)} UTC.`,
		sum(money.came, "came in"),
		sum(toOperators, "spent on relays, who get their whole ask"),
		sum(marketFee, "spent on the market's fee"),
		sum(money.reserved, "reserved for tabs that are open"),
		sum(money.left, "left"),
		sum(money.back, "went back to its sponsor"),
		sum(money.on, "went on to the commons"),
		sum(money.lost, "taken back by the banks of cards"),
		sum(money.railFee, "kept by ways of paying, beside that"),
		sum(money.exchangeFee, "kept by the exchange, beside that"),
		...weekTable(
			stretches.map((stretch) => ({
				...stretch,
				bytes: stretch.bytes.toString(),
				spent: stretch.toOperators + stretch.marketFee,
				countries: [...new Set(stretch.lines.map(({ country }) => country))],
			})),
		),
		`${shown} lines are shown, each of twenty people or more; the hashes of ${hidden} that are left out are signed with them.`,
		`market ${toHex(key.market)}`,
		`online key ${toHex(key.key)}`,
	];
	return pinned
		? lines
		: [
				...lines,
				"The market's key came with the file: it proves that the file is consistent, not that the market is yours.",
			];
}

/** The same as JSON. */
export function reportJson({ report, key, pinned }: ReportVerdict): object {
	const { money, pool, atMs, stretches } = report;
	const { toOperators, marketFee } = spentOf(report);
	return {
		pool: toHex(pool),
		atMs,
		money,
		toOperators: toOperators as Amount,
		marketFee: marketFee as Amount,
		people: stretches.map(({ people }) => people),
		lines: stretches.flatMap(({ lines }) => lines).length,
		hidden: stretches.flatMap(({ hidden }) => hidden).length,
		market: toHex(key.market),
		marketPinned: pinned,
		onlineKey: toHex(key.key),
	};
}

/** A report for a spreadsheet: one row for each sum, that of what is left out too. Money is nano-dollars. */
export function reportCsv(report: Report): string {
	const { money, recent, stretches } = report;
	const rows: (string | number | bigint)[][] = [
		["what", "from", "to", "relay", "country", "people", "bytes", "nanoDollars", "marketFeeNanoDollars"],
	];
	for (const [name, nanos] of Object.entries(money))
		rows.push([name, "", sayDay(report.atMs), "", "", "", "", nanos, ""]);
	rows.push(["recent", "", sayDay(report.atMs), "", "", "", "", recent.toOperators, recent.marketFee]);
	for (const stretch of stretches) {
		const days = [sayDay(stretch.fromMs), sayDay(stretch.toMs)];
		const row = (
			what: string,
			relay: string,
			country: string,
			of: Omit<Reached, "people" | "toOperators" | "marketFee"> & {
				people: number | string;
				toOperators: bigint;
				marketFee: bigint;
			},
		) => rows.push([what, ...days, relay, country, of.people, of.bytes, of.toOperators, of.marketFee]);
		row("weeks", "", "", { ...stretch, people: stretch.people === 0 ? "" : stretch.people });
		for (const one of stretch.lines) row("line", toHex(one.relay), one.country, one);
		row("left out", "", "", { ...restOf(stretch), people: "" });
	}
	return rows.map((row) => `${row.join(",")}\n`).join("");
}
