import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { suite, test } from "node:test";
import { Door } from "./door.ts";
import { type Program, shrink } from "./program.ts";

const read = (name: string) =>
	readFileSync(join(import.meta.dirname, name), "utf8")
		.split("\n")
		.filter((line) => line !== "")
		.map((line) => JSON.parse(line));
const found: { program: Program; why: string }[] = read("found.jsonl");
const corpus: Program[] = read("corpus.jsonl");

suite("threat 10: whatever is said at a relay's door, honest mail goes on and nobody is served unpaid", () => {
	test("every program that reached the most of the relay's code", async () => {
		assert.ok(corpus.length > 20, `${corpus.length} programs`);
		const door = await Door.open();
		try {
			for (const program of corpus) await door.say(program);
			await door.check();
		} finally {
			await door.close();
		}
	});

	for (const { program, why } of found)
		test(`what failed once: ${why.slice(0, 80)}`, async () => {
			const door = await Door.open();
			try {
				await door.say(program);
				await door.check();
			} finally {
				await door.close();
			}
		});

	test("a failing program is made as small as it can be", async () => {
		const step = { is: "turn" } as const;
		const bad = { is: "text" } as const;
		assert.deepEqual(await shrink([step, bad, step, step], async (smaller) => smaller.includes(bad)), [bad]);
	});
});
