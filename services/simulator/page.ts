/** What a study found, as a page of tables and charts for docs/economy. */

import { barChart, lineChart } from "./chart.ts";
import { partOf, percent, sectionsOf, type Told } from "./sections.ts";
import { type Study, shareOf } from "./study.ts";

/** The goal: so much of what funds spend reaches honest people. */
const GOAL = 0.97;

/** Files by name: `figures.md` and its charts. */
export function pageOf(told: Told, found: Study): Map<string, string> {
	const source = `npm run simulate -- --people ${told.people} --days ${told.days} --seed ${told.seed}; figures of people: World Bank FY2026 (CC BY 4.0), ITU`;
	const { main } = found;
	const files = new Map<string, string>();
	files.set("figures.md", sectionsOf(told, found));
	const shares = [
		{ label: "all defences", year: main },
		...found.without.map(({ defence, year }) => ({ label: `without ${defence}`, year })),
		{ label: "no defence", year: found.undefended },
	];
	files.set(
		"defences.svg",
		barChart(
			"Of what pools and the commons spent, what reached honest people",
			shares.map(({ label, year }, i) => ({
				label,
				value: shareOf(year),
				text: percent(shareOf(year)),
				isMarked: i === 0,
			})),
			{ most: 1, aim: GOAL, source: `The line is the goal, 97 %. ${source}` },
		),
	);
	files.set(
		"plays.svg",
		barChart(
			"What each play took, at its worst for us on a small market",
			[
				...found.alone.map(({ play, worst }) => ({ name: play.name, worst })),
				{ name: "together", worst: found.together },
			].map(({ name, worst }) => ({ label: name, value: 1 - worst.share, text: percent(1 - worst.share) })),
			{
				most: Math.max(
					0.05,
					...[...found.alone.map(({ worst }) => worst), found.together].map(({ share }) => 1 - share),
				),
				source,
			},
		),
	);
	const free = main.weeks.map((week) => partOf(week.free, 1_000_000_000n));
	const rates = main.weeks.map(({ solidarityPpm }) => solidarityPpm / 10_000);
	files.set(
		"commons.svg",
		lineChart(
			"The commons through the year, and the solidarity fee",
			[
				{ label: "free, dollars", values: free, most: Math.max(...free), mostText: `$${Math.max(...free).toFixed(2)}` },
				{
					label: "fee, percent",
					values: rates,
					most: Math.max(...rates),
					mostText: `${Math.max(...rates).toFixed(2)} %`,
				},
			],
			source,
		),
	);
	return files;
}
