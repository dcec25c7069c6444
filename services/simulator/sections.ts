/** What a study found, in words and tables: docs/economy/figures.md. */

import { ECONOMIES_SOURCE, INCOME_GROUPS } from "#contracts/need";
import { sumsOf } from "./figures.ts";
import { ENDS } from "./fund.ts";
import { ONLINE_SOURCE } from "./people.ts";
import type { Settings } from "./plays.ts";
import { dollars, priceTable } from "./prices.ts";
import { type Study, shareOf } from "./study.ts";
import type { Year } from "./year.ts";

/** What was asked for, and what it took. */
export type Told = {
	readonly seed: string;
	readonly people: number;
	readonly days: number;
	readonly tries: number;
	readonly played: number;
};

/** A share as people read it. */
export function percent(share: number, digits = 2): string {
	return `${(share * 100).toFixed(digits)} %`;
}

/** One amount as a part of another; nothing of nothing. */
export function partOf(part: bigint, whole: bigint): number {
	return whole === 0n ? 0 : Number((part * 1_000_000_000n) / whole) / 1_000_000_000;
}

const ofPpm = (ppm: number): string => `${(ppm / 10_000).toFixed(2)} %`;
const row = (cells: readonly string[]): string => `| ${cells.join(" | ")} |`;
const table = (heads: readonly string[], rows: readonly (readonly string[])[]): string[] => [
	row(heads),
	row(heads.map((_, i) => (i === 0 ? "---" : "---:"))),
	...rows.map(row),
	"",
];

/** The whole page. */
export function sectionsOf(told: Told, found: Study): string {
	const { seed, people, days, tries, played } = told;
	const { spent, toHonest } = sumsOf(found.main);
	return [
		"# The economy in figures",
		"",
		`Made by \`npm run simulate -- --people ${people} --days ${days} --seed ${seed}\` (${played} runs; each play tried ${tries} settings). What is assumed and what is counted: [README](README.md).`,
		"",
		`**${percent(shareOf(found.main))} of what pools and the commons spent reached honest people** (${dollars(toHonest, 2)} of ${dollars(spent, 2)}), with a tenth of operators and enrollers and one person of fifty dishonest, all plays at once. The goal is 97 %.`,
		"",
		"![What reached honest people, by defence](defences.svg)",
		"",
		"## Each defence",
		"",
		...defences(found),
		"## Each play",
		"",
		...plays(found),
		"## Each fund",
		"",
		...funds(found.main),
		"![The commons through the year](commons.svg)",
		"",
		"## What people paid",
		"",
		...groups(found.main),
		"## What operators earned",
		"",
		...operators(found),
		"## What a price means",
		"",
		...prices(),
		`Figures: ${ECONOMIES_SOURCE}. People online: ${ONLINE_SOURCE}.`,
		"",
	].join("\n");
}

function defences({ without, main, fifth, undefended, honest, worse, world, trials }: Study): string[] {
	const all = shareOf(fifth);
	const line = (name: string, year: Year): string[] => {
		const { spent } = sumsOf(year);
		return [name, percent(shareOf(year)), ofPoints(shareOf(year) - all), dollars(spent, 2)];
	};
	return [
		"A defence is worth what is lost without it. Runs but the first have a fifth of the people; whoever plays against a market without a defence knows that and searches again. Below nothing means that thieves got more with it on: what one defence stops another stops as well, and their luck differs.",
		"",
		...table(
			["run", "to honest people", "against all on", "funds spent"],
			[
				line("all defences, everybody", main),
				line("all defences, a fifth", fifth),
				...without.map(({ defence, year }) => line(`without \`${defence}\``, year)),
				line("no defence", undefended),
				line("nobody dishonest", honest),
				line("a tenth of people dishonest too", worse),
				line("people as all who are online", world),
			],
		),
		"What else was tried, by other rules against the same thieves (a fifth of the people; they do not search again, so this is the best that each could do):",
		"",
		...table(
			["rule", "to honest people", "against the market's", "funds spent"],
			trials.map(({ says, year }) => line(says, year)),
		),
	];
}

function ofPoints(difference: number): string {
	return `${difference > 0 ? "+" : ""}${(difference * 100).toFixed(2)} points`;
}

function plays({ alone, together, main }: Study): string[] {
	const said = (settings: Settings | undefined): string =>
		settings
			? Object.entries(settings)
					.map(([name, value]) => `${name} ${value}`)
					.join(", ")
			: "not played";
	return [
		"![What each play took](plays.svg)",
		"",
		"What was worst for the market, alone on a small market, and what of it was played together. On a small market the same play takes more: what a relay may have before any reader signed is as much as on a large one.",
		"",
		...table(
			["play", "lost, alone", "worst settings alone", "settings together"],
			alone.map(({ play, worst }) => [
				`**${play.name}**: ${play.says}`,
				percent(1 - worst.share),
				said(worst.choice[play.name]),
				said(together.choice[play.name]),
			]),
		),
		`Together they took ${percent(1 - together.share)} of a small market and ${percent(1 - shareOf(main))} of the large one. The market's people found ${main.found.enrollers} dishonest enrollers and ${main.found.operators} dishonest operators, and asked ${main.wronged} honest ones, who answered and went on. A sponsor took back ${dollars(main.withdrawn.nanos, 2)} in ${main.withdrawn.times} goes under open tabs: every tab was paid as granted.`,
		"",
	];
}

function funds({ funds: all }: Year): string[] {
	return [
		"Every cent: what came in is what was spent, taken back and left. The commons' lowest is after their first cent.",
		"",
		...table(
			["fund", "in", "taken back", "spent", "left", "lowest", ...ENDS],
			all.map(({ name, in: came, back, spent, left, lowest, ends }) => [
				name,
				...[came, back, spent, left, lowest].map((nanos) => dollars(nanos)),
				...ENDS.map((end) => percent(partOf(ends[end], spent))),
			]),
		),
		"`honest`: what honest people sent and somebody carried. `said`, `code`, `enroller`, `bought`: of invented people, by how they came in, and of passes that were sold. `liar`: the commons' part of what rich people sent at a poor country's price. `dropped`: mail that a relay took and lost.",
		"",
	];
}

function groups({ groups: all, reasons }: Year): string[] {
	const held = reasons.reduce((sum, [, bytes]) => sum + bytes, 0);
	return [
		"Everybody who exists, liars among them. Mail is held back where a fund would pay another day or elsewhere: nobody is made to pay the full price for that.",
		"",
		...table(
			["income group", "people", "MB a person", "held back", "paid a person", "of income", "paid by funds a person"],
			INCOME_GROUPS.map((group) => {
				const { people, bytes, heldBackBytes, paid, funded, income } = all[group];
				const each = BigInt(people || 1);
				return [
					group,
					String(people),
					(bytes / 1e6 / Math.max(1, people)).toFixed(0),
					percent(heldBackBytes / Math.max(1, bytes + heldBackBytes)),
					dollars(paid / each),
					percent(partOf(paid, income), 4),
					dollars(funded / each),
				];
			}),
		),
		`Held back because of: ${reasons.map(([code, bytes]) => `\`${code}\` ${percent(bytes / Math.max(1, held), 0)}`).join(", ") || "nothing"}.`,
		"",
	];
}

function operators({ main, honest }: Study): string[] {
	const line = (name: string, { operators: of }: Year, who: "honest" | "thieves"): string[] => {
		const { count, earned, funded } = of[who];
		return [name, String(count), dollars(earned / BigInt(count || 1), 2), percent(partOf(funded, earned))];
	};
	return [
		...table(
			["operators", "how many", "earned each", "of that by funds"],
			[
				line("honest", main, "honest"),
				line("thieves", main, "thieves"),
				line("where nobody is dishonest (a fifth of the people)", honest, "honest"),
			],
		),
		"Each was paid all that its relays asked, to the nano-dollar. Operators with low prices carry as much as others and earn less for it: homes are drawn, and drawn evenly.",
		"",
	];
}

function prices(): string[] {
	return [
		"For a basket of 100 MB a month, market fee inside. The fee is on full-price money, and pays what the others cannot. `world`: people online; `need`: a fifth of the people in low-income countries, half in lower-middle, a fifth in upper-middle, a tenth in high.",
		"",
		...table(
			["asking price $/MB", "basket", "low-income pays", "lower-middle pays", "fee, world", "fee, need", "funds pay"],
			priceTable().map(({ askPerMb, basket, low, lowerMiddle, worldPpm, needPpm, isEligible }) => [
				dollars(askPerMb, 4),
				dollars(basket, 2),
				dollars(low),
				dollars(lowerMiddle),
				ofPpm(worldPpm),
				ofPpm(needPpm),
				isEligible ? "yes" : "no",
			]),
		),
	];
}
