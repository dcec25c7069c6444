/** `farelay codes`: codes that bring people into a pool of yours: made here, printed here, taken back. */

import { HOME_OPTIONS, HOME_USAGE } from "#cli/home";
import { asPerson } from "#cli/person";
import { type Call, textOf, type Verb } from "#cli/verb";
import { type Problem, problem } from "#contracts/problem";
import type { Client } from "#sdk/client";

export const verb: Verb = {
	summary: "makes codes for people of a pool of yours, and takes them back",
	usage: [
		"farelay codes POOL [--count N] [options]  makes codes and prints them with their links: nobody can show them again",
		"farelay codes                             the batches that you made",
		"farelay codes --back BATCH                takes a batch back, or one code: their passes end",
		"",
		"  --count N        how many (1; at most 200 in a batch)",
		"  --uses N         for how many people each is good (1)",
		"  --days N         how long each can be used (90)",
		"  --pass-days N    how long a pass lasts that it brings (365)",
		"  --mb N           quota of a month that it brings (100); the pool's own bound holds too",
		...HOME_USAGE,
	],
	options: () => ({
		...HOME_OPTIONS,
		count: { type: "string" },
		uses: { type: "string" },
		days: { type: "string" },
		"pass-days": { type: "string" },
		mb: { type: "string" },
		back: { type: "string" },
	}),
	words: true,
	run: (call) => asPerson(call, readAsked(call)),
};

function readAsked(call: Call): ((client: Client) => Promise<void>) | Problem {
	const { screen } = call;
	const [pool, ...more] = call.words;
	const back = textOf(call, "back");
	if (more.length > 0 || (back !== undefined && pool !== undefined))
		return problem("usage", "These do not go together. farelay codes --help says what does.");
	if (back !== undefined) return (client) => takeBack(call, client, back);
	if (pool === undefined)
		return async ({ passes }) => {
			const batches = await passes.batches();
			const lines = batches.map(({ batch, pool: of, count, uses, untilMs, isBack }) => {
				const says = isBack ? "taken back" : `until ${new Date(untilMs).toISOString().slice(0, 10)}`;
				return `${batch}  pool ${of.slice(0, 8)}  ${count} codes for ${uses} each, ${says}`;
			});
			screen.answer({ batches }, lines.length > 0 ? lines : ["You made no codes."]);
		};
	if (!/^[0-9a-f]{32}$/.test(pool)) return problem("usage", "A pool is named by 32 hex digits, as farelay pool shows.");
	const numbers = ["count", "uses", "days", "pass-days", "mb"].map((name) => wholeOf(call, name));
	const wrong = numbers.find((number) => typeof number === "object");
	if (typeof wrong === "object") return wrong;
	const [count = 1, uses = 1, usableDays = 90, passDays = 365, mb = 100] = numbers as (number | undefined)[];
	return async ({ passes }) => {
		const monthBytes = BigInt(mb) * 1_000_000n;
		const { batch, codes } = await passes.makeCodes({ pool, count, uses, usableDays, passDays, monthBytes });
		screen.answer({ batch, codes }, [
			...codes.map(({ code, link }) => `${code}  ${link}`),
			"",
			`Batch ${batch}: keep this list, for it cannot be shown again. farelay codes --back ${batch} ends all of them.`,
		]);
	};
}

function wholeOf(call: Call, name: string): number | Problem | undefined {
	const text = textOf(call, name);
	if (text === undefined) return undefined;
	return /^[1-9]\d{0,5}$/.test(text) ? Number(text) : problem("usage", `--${name} takes a whole number above nothing.`);
}

async function takeBack({ screen }: Call, { passes }: Client, back: string): Promise<void> {
	if (/^[0-9a-f]{32}$/.test(back)) {
		const batch = await passes.takeBatchBack(back);
		screen.answer(batch, [`Batch ${back} is taken back: its codes are good for nothing, and its passes have ended.`]);
		return;
	}
	const people = await passes.takeBack(back);
	screen.answer({ people }, [`The code is good for nothing any more; ${people} passes ended with it.`]);
}
