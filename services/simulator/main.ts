/** `npm run simulate`: reads what is asked for, plays it, writes what came of it. Exit codes: 0 done, 1 something does not hold, 2 called wrongly. */

import { mkdir, writeFile } from "node:fs/promises";
import { availableParallelism } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { Crew } from "./crew.ts";
import { figuresOf } from "./figures.ts";
import { pageOf } from "./page.ts";
import { TRIES_MIN } from "./search.ts";
import { study } from "./study.ts";

const USAGE = `npm run simulate -- [--people 100000] [--days 365] [--seed S] [--json FILE] [--out DIR] [--least SHARE] [--tries 50]

Plays a year of a market with thieves in it. FILE gets the figures, DIR tables and charts; --least 0.97 fails the run when less reached honest people.`;

/** Two threads take under two gigabytes; more would only wait for a third core. */
const THREADS_MAX = 2;

/** A whole number within bounds, or undefined. */
function whole(text: string | undefined, least: number, most: number): number | undefined {
	const n = Number(text);
	return text !== undefined && Number.isSafeInteger(n) && n >= least && n <= most ? n : undefined;
}

async function main(): Promise<number> {
	let values: Record<string, string | undefined>;
	try {
		const option = { type: "string" } as const;
		const options = {
			people: option,
			days: option,
			seed: option,
			json: option,
			out: option,
			least: option,
			tries: option,
		};
		values = parseArgs({ options }).values;
	} catch {
		console.error(USAGE);
		return 2;
	}
	const people = whole(values.people ?? "100000", 500, 100_000);
	const days = whole(values.days ?? "365", 35, 365);
	const tries = whole(values.tries ?? String(TRIES_MIN), 1, 1_000);
	const least = Number(values.least ?? 0);
	if (!people || !days || !tries || !(least >= 0 && least <= 1)) {
		console.error(`${USAGE}\n\n--people is 500 to 100000, --days 35 to 365, --tries 1 to 1000, --least 0 to 1.`);
		return 2;
	}
	const seed = values.seed ?? "farelay";
	const crew = new Crew(Math.min(THREADS_MAX, Math.max(1, availableParallelism())));
	try {
		const found = await study({ seed, people, days, tries }, crew, (words) => console.log(words));
		const figures = figuresOf(seed, people, days, found);
		const json = `${JSON.stringify(figures, undefined, "\t")}\n`;
		if (values.json) await writeFile(values.json, json);
		else console.log(json);
		if (values.out) {
			await mkdir(values.out, { recursive: true });
			for (const [name, text] of pageOf({ seed, people, days, tries, played: crew.played }, found))
				await writeFile(join(values.out, name), text);
		}
		if (figures.pool.share >= least) return 0;
		console.error(
			`Of what pools and the commons spent, ${figures.pool.share} reached honest people: less than ${least}.`,
		);
		return 1;
	} catch (fault) {
		console.error(fault instanceof Error ? fault.message : fault);
		return 1;
	} finally {
		await crew.close();
	}
}

process.exitCode = await main();
