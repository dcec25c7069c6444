/** `farelay enroll`: what an enroller does: applies, looks people up without telling who they are, hands out passes, takes them back. */

import { resolve } from "node:path";
import { HOME_OPTIONS, HOME_USAGE } from "#cli/home";
import { asPerson } from "#cli/person";
import { type Call, textOf, type Verb } from "#cli/verb";
import { isProblem, type Problem, problem } from "#contracts/problem";
import { readSmall } from "#host/diskfile";
import type { Client } from "#sdk/client";

/** A document's number; what is far longer is another file. */
const CHECKED_BYTES_MAX = 1_024;

export const verb: Verb = {
	summary: "vouches for people as an enroller, without telling the market who they are",
	usage: [
		'farelay enroll --apply NAME --about "WHAT YOU CHECK"    applies; the market\'s people decide',
		"farelay enroll                            what became of it",
		"farelay enroll --kind KIND --checked FILE [options]     enrolls whoever is named in the file, and prints the code to hand to them",
		"farelay enroll --back CODE                takes a pass back by the code that was handed out",
		"",
		"  --kind KIND      what was checked, e.g. ke-national-id: the same word at every enroller that checks it",
		"  --checked FILE   a file with its number alone; it never leaves this machine",
		"  --pool POOL      for which pool; left out, the pass says only where somebody lives",
		"  --country CC     where they live, two letters: in a pass without a pool",
		"  --days N         how long the pass is valid (365)",
		...HOME_USAGE,
	],
	options: () => ({
		...HOME_OPTIONS,
		apply: { type: "string" },
		about: { type: "string" },
		kind: { type: "string" },
		checked: { type: "string" },
		pool: { type: "string" },
		country: { type: "string" },
		days: { type: "string" },
		back: { type: "string" },
	}),
	run: async (call) => asPerson(call, await readAsked(call)),
};

async function readAsked(call: Call): Promise<((client: Client) => Promise<void>) | Problem> {
	const { screen } = call;
	const [name, about, kind] = [textOf(call, "apply"), textOf(call, "about"), textOf(call, "kind")];
	const [path, back] = [textOf(call, "checked"), textOf(call, "back")];
	const things = [name ?? about, kind ?? path, back].filter((one) => one !== undefined);
	if (things.length > 1) return problem("usage", "These do not go together. farelay enroll --help says what does.");
	if (back !== undefined)
		return async ({ passes }) => {
			const people = await passes.takeBack(back);
			screen.answer({ people }, [`The code is good for nothing any more; ${people} passes ended with it.`]);
		};
	if (name !== undefined || about !== undefined) {
		if (name === undefined || about === undefined)
			return problem("usage", 'Say both: farelay enroll --apply NAME --about "WHAT YOU CHECK".');
		return async ({ enrolling }) => {
			const enroller = await enrolling.apply(name, about);
			screen.answer(enroller, ["You have applied; the market's people decide. farelay enroll says what became of it."]);
		};
	}
	if (kind === undefined && path === undefined)
		return async ({ enrolling }) => {
			const enroller = await enrolling.show();
			const { state, why, dayMax } = enroller;
			screen.answer(enroller, [`${enroller.name}: ${state}${why ? `. ${why}` : ""}, ${dayMax} people a day at most.`]);
		};
	return readEnrolled(call, kind, path);
}

async function readEnrolled(
	call: Call,
	kind: string | undefined,
	path: string | undefined,
): Promise<((client: Client) => Promise<void>) | Problem> {
	if (kind === undefined || path === undefined)
		return problem("usage", "Say both: farelay enroll --kind KIND --checked FILE.");
	const bytes = await readSmall(resolve(call.folder, path), CHECKED_BYTES_MAX);
	if (isProblem(bytes)) return bytes;
	const checked = new TextDecoder().decode(bytes);
	const [pool, country, days] = [textOf(call, "pool"), textOf(call, "country")?.toUpperCase(), textOf(call, "days")];
	if (days !== undefined && !/^[1-9]\d{0,2}$/.test(days))
		return problem("usage", "--days takes a whole number above nothing.");
	return async ({ enrolling }) => {
		const person = {
			kind,
			checked,
			country,
			...(pool !== undefined && { pool }),
			...(days !== undefined && { days: Number(days) }),
		};
		const handed = await enrolling.enroll(person);
		call.screen.answer(handed, [
			handed.code,
			handed.link,
			"",
			"Hand this to them alone: whoever uses it first has the pass.",
		]);
	};
}
