/** `farelay ask`: a person and the market's people: what was found about your account and can be answered, what you asked, what was said. */

import { caseLines } from "#cli/desk";
import { HOME_OPTIONS, HOME_USAGE } from "#cli/home";
import { askMarket, openPerson } from "#cli/person";
import { textOf, type Verb } from "#cli/verb";
import { toHex } from "#contracts/bytes";
import { isSaying } from "#contracts/decision";
import { isProblem, problem } from "#contracts/problem";
import { crypto } from "#host/crypto";

export const verb: Verb = {
	summary: "asks the market's people why something was refused, answers what they found, reports somebody",
	usage: [
		"farelay ask                              what was found about your account, what you asked, and what was said",
		'farelay ask "TEXT" [--about REASON]      asks; a refusal says its reason',
		'farelay ask CASE "TEXT"                  answers',
		'farelay ask --report KEY "TEXT"          reports a relay or an enroller',
		"",
		"A finding that is not answered within 30 days stands; one that is answered and not decided within 30 days is lifted.",
		"",
		...HOME_USAGE,
	],
	options: () => ({ ...HOME_OPTIONS, about: { type: "string" }, report: { type: "string" } }),
	words: true,
	async run(call) {
		const [first, second, ...more] = call.words;
		const isAnswer = second !== undefined;
		if (more.length > 0 || (isAnswer && !/^[0-9a-f]{32}$/.test(first ?? "")))
			return problem("usage", 'What is said goes between quotes: farelay ask "TEXT", or farelay ask CASE "TEXT".');
		const [about, reported] = [textOf(call, "about"), textOf(call, "report")];
		if (reported !== undefined && (!/^[0-9a-f]{64}$/.test(reported) || first === undefined || isAnswer))
			return problem("usage", 'A relay or an enroller has 64 hex digits: farelay ask --report KEY "TEXT".');
		const text = second ?? first;
		if (text !== undefined && !isSaying(text))
			return problem("usage", "Say it in up to 600 letters, without control characters.");
		const person = await openPerson(call);
		if (isProblem(person)) return person;
		if (text === undefined) {
			const found = await askMarket(person, (api) => api.ask.list.query());
			if (isProblem(found)) return found;
			const lines = found.cases.flatMap((one) => [...caseLines(one), ""]);
			call.screen.answer(found, lines.length > 0 ? lines.slice(0, -1) : ["Nothing was found, and you asked nothing."]);
			return undefined;
		}
		const id = toHex(crypto.random(16));
		const said = await askMarket(person, (api) => {
			if (isAnswer) return api.ask.answer.mutate({ id: first ?? "", text });
			if (reported !== undefined) return api.ask.report.mutate({ id, about: reported, text });
			return api.ask.desk.mutate({ id, text, ...(about !== undefined && { about }) });
		});
		if (isProblem(said)) return said;
		call.screen.answer(said, [`Case ${said.id}: the market's people read it. farelay ask shows what they say.`]);
		return undefined;
	},
};
