/** `farelay pass`: by what your messages are paid for: codes and links from a sponsor or an enroller, where you live, and quota that nobody can tie to you. */

import { HOME_OPTIONS, HOME_USAGE } from "#cli/home";
import { asPerson } from "#cli/person";
import { type Call, textOf, type Verb } from "#cli/verb";
import { type Problem, problem } from "#contracts/problem";
import type { Client } from "#sdk/client";
import type { HeldPass, Rights } from "#sdk/passes";

export const verb: Verb = {
	summary: "shows who pays for your messages; uses a code, says where you live, draws private quota",
	usage: [
		"farelay pass                              your country, your passes and what is left of them",
		"farelay pass CODE                         uses a code, or the link that it came in",
		"farelay pass --country CC                 says where you live, once a month: two letters, e.g. KE",
		"farelay pass --draw N --pool POOL         turns 10 MB a piece of a pass into tokens that nobody can tie to you",
		"farelay pass --spend --pool POOL          spends those that have waited, an hour to a day, on an account made for that",
		"",
		"  --now            spends all tokens at once: who spends right after drawing can be told by it",
		...HOME_USAGE,
	],
	options: () => ({
		...HOME_OPTIONS,
		country: { type: "string" },
		draw: { type: "string" },
		spend: { type: "boolean" },
		pool: { type: "string" },
		now: { type: "boolean" },
	}),
	words: true,
	run: (call) => asPerson(call, readAsked(call)),
};

type Asked = (client: Client) => Promise<void>;

/** One thing of those that the verb does. */
function readAsked(call: Call): Asked | Problem {
	const [code, ...more] = call.words;
	const [country, draw, pool] = [textOf(call, "country"), textOf(call, "draw"), textOf(call, "pool")];
	const { spend, now } = call.options;
	const things = [code, country, draw, spend].filter((one) => one !== undefined && one !== false);
	const isPrivate = draw !== undefined || spend === true;
	if (things.length > 1 || more.length > 0 || (pool !== undefined) !== isPrivate || (now && !spend))
		return problem("usage", "These do not go together. farelay pass --help says what does.");
	const { screen } = call;
	if (code !== undefined)
		return async ({ passes }) => {
			const pass = await passes.redeem(code);
			screen.answer(pass, [`You have a pass: ${passLine(pass)}`]);
		};
	if (country !== undefined)
		return async ({ passes }) => {
			const rights = await passes.say(country.toUpperCase());
			screen.answer(rights, rightsLines(rights));
		};
	if (draw !== undefined && pool !== undefined)
		return async ({ quotas }) => {
			const tokens = await quotas.draw(pool, Number(draw));
			screen.answer({ pool, tokens }, [
				`${tokens} tokens of 10 MB wait here to be spent: farelay pass --spend --pool ${pool}.`,
			]);
		};
	if (spend && pool !== undefined)
		return async ({ quotas }) => {
			const pass = await quotas.spend(pool, { now: now === true });
			const waiting = await quotas.waiting(pool);
			const next = waiting.nextMs === undefined ? "none wait" : `the next can be from ${timeOf(waiting.nextMs)}`;
			screen.answer({ pass: pass ?? null, waiting }, [
				pass ? `The private account has ${passLine(pass)}` : `No token is ready; ${next}.`,
			]);
		};
	return async ({ passes }) => {
		const rights = await passes.show();
		screen.answer(rights, rightsLines(rights));
	};
}

function rightsLines({ country, evidence, passes, refillsAtMs }: Rights): string[] {
	const sure = { none: "", said: ", by your own word", strong: ", by a card or an enroller" }[evidence];
	const where =
		country === undefined
			? "Nobody knows where you live: farelay pass --country CC says it."
			: `You live in ${country}${sure}.`;
	if (passes.length === 0) return [where, "You have no pass: whoever pays for others hands out codes."];
	return [where, ...passes.map(passLine), `Each month's quota is there anew on ${timeOf(refillsAtMs)}.`];
}

function passLine({ pool, monthBytes, usedMonth, validUntilMs, from }: HeldPass): string {
	const left = monthBytes > usedMonth ? monthBytes - usedMonth : 0n;
	const origin = { code: "a code", enroller: "an enroller", token: "tokens", gift: "a gift", app: "an app" }[from];
	return `pool ${pool.slice(0, 8)}, by ${origin}: ${megabytes(left)} of ${megabytes(monthBytes)} MB left this month, until ${timeOf(validUntilMs).slice(0, 10)}.`;
}

function megabytes(bytes: bigint): string {
	return `${bytes / 1_000_000n}.${((bytes / 100_000n) % 10n).toString()}`;
}

function timeOf(ms: number): string {
	return new Date(ms).toISOString().slice(0, 16).replace("T", " ");
}
