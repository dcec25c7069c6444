/**
 * `npm run fuzz -- --minutes M [--seed N] [--json FILE] [--keep]`: says programs to a relay until the time is over. A program that reaches
 * new code is kept for this run and varied. One that fails is made as small as it can be and shown; the exit code is 1. With `--keep` it is
 * written to `found.jsonl`, and what reached the most to `corpus.jsonl`: `npm test` tries both again, and the next run begins with them.
 */

import { randomInt } from "node:crypto";
import { appendFileSync, readFileSync, writeFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { parseArgs } from "node:util";
import { chanceOf } from "#test/soak/chance";
import { Coverage } from "./coverage.ts";
import { Door } from "./door.ts";
import { drawProgram, type Program, shrink, vary } from "./program.ts";

const { values } = parseArgs({
	options: {
		minutes: { type: "string", default: "10" },
		seed: { type: "string", default: String(randomInt(1_000_000)) },
		json: { type: "string" },
		keep: { type: "boolean", default: false },
	},
});
const [minutes, seed] = [Number(values.minutes), Number(values.seed)];
if (!(minutes > 0 && minutes <= 600) || !Number.isSafeInteger(seed)) {
	console.error("npm run fuzz -- --minutes 0.1..600 [--seed N] [--json FILE] [--keep]");
	process.exit(2);
}

/** Whose code is to be reached. */
const ROOMS = /\/(services\/relay|contracts)\//;
/** Programs between two looks at the honest people. */
const CHECK_EVERY = 16;
/** Programs that are varied; beyond it the oldest make room. */
const CORPUS_MAX = 2_000;
/** Different failures after which there is enough to mend. */
const FOUND_MAX = 5;

/** Programs that are kept for the tests: some seconds of them. */
const KEPT_MAX = 40;
const KEPT = join(import.meta.dirname, "corpus.jsonl");
const FOUND = join(import.meta.dirname, "found.jsonl");

const chance = chanceOf(seed);
const corpus: Program[] = readFileSync(KEPT, "utf8")
	.trim()
	.split("\n")
	.map((line) => JSON.parse(line));
const found: { program: Program; why: string }[] = [];
let tried = 0;
let escaped: unknown;
// nothing that a client says may come to an exception that nobody catches
process.on("uncaughtException", (error) => {
	escaped = error;
});

/** Whether a relay of its own fails on this program alone. */
async function failure(program: Program): Promise<string | undefined> {
	const door = await Door.open();
	escaped = undefined;
	try {
		await door.say(program);
		await door.check();
		return escaped === undefined ? undefined : String(escaped);
	} catch (error) {
		return error instanceof Error ? error.message : String(error);
	} finally {
		await door.close();
	}
}

const lines = (things: readonly unknown[]) => things.map((thing) => `${JSON.stringify(thing)}\n`).join("");

/** The programs that together reach what all of them reach, as far as there is room for them. */
async function best(): Promise<Program[]> {
	const anew = await Coverage.begin(ROOMS);
	const again = await Door.open();
	const kept: Program[] = [];
	for (const program of corpus) {
		await again.say(program);
		if ((await anew.fresh()) > 0 && kept.length < KEPT_MAX) kept.push(program);
	}
	await again.close();
	anew.end();
	return kept;
}

console.log(`fuzzing the relay's door for ${minutes} minutes, seed ${seed}`);
const coverage = await Coverage.begin(ROOMS);
let door = await Door.open();
const began = performance.now();
let saidMs = began;
let recent: Program[] = [];
while (performance.now() - began < minutes * 60_000 && found.length < FOUND_MAX) {
	const parent = corpus[chance.whole(0, corpus.length)];
	const other = corpus[chance.whole(0, Math.max(0, corpus.length - 1))];
	const program = parent && other && chance.next() < 0.8 ? vary(chance, parent, other) : drawProgram(chance);
	recent.push(program);
	tried++;
	try {
		await door.say(program);
		if ((await coverage.fresh()) > 0) corpus.push(program);
		if (corpus.length > CORPUS_MAX) corpus.shift();
		if (tried % CHECK_EVERY === 0) {
			await door.check();
			if (escaped !== undefined) throw escaped;
			recent = [];
		}
	} catch (error) {
		const why = error instanceof Error ? error.message : String(error);
		console.log(`FAILED: ${why}`);
		let smallest: Program | undefined;
		for (const candidate of recent.toReversed()) {
			if ((await failure(candidate)) === undefined) continue;
			smallest = await shrink(candidate, async (smaller) => (await failure(smaller)) !== undefined);
			break;
		}
		found.push({ program: smallest ?? recent.flat(), why });
		console.log(JSON.stringify(found.at(-1)));
		await door.close().catch(() => {});
		door = await Door.open();
		[recent, escaped] = [[], undefined];
	}
	if (performance.now() - saidMs > 20_000) {
		saidMs = performance.now();
		const rss = Math.round(process.memoryUsage.rss() / 2 ** 20);
		console.log(`${tried} programs, ${coverage.size} blocks and counts, ${corpus.length} kept, ${rss} MiB`);
	}
}
await door.close();
coverage.end();
if (values.keep) writeFileSync(KEPT, lines(await best()));
const result = { minutes, seed, tried, blocks: coverage.size, corpus: corpus.length, found };
if (values.json)
	writeFileSync(resolve(process.env.INIT_CWD ?? ".", values.json), `${JSON.stringify(result, null, "\t")}\n`);
if (values.keep) appendFileSync(FOUND, lines(found));
console.log(`${tried} programs, ${coverage.size} blocks and counts reached, ${found.length} found`);
process.exit(found.length > 0 ? 1 : 0);
