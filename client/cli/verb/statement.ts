/** `farelay statement`: every line of your money with its cause, gross, each fee and net. */

import { HOME_OPTIONS, HOME_USAGE } from "#cli/home";
import { LINES_OPTIONS, LINES_USAGE, type Pages, showLines } from "#cli/lines";
import { askMarket, openPerson } from "#cli/person";
import type { Verb } from "#cli/verb";
import { isProblem, problem } from "#contracts/problem";
import { type StatementLine, statementLine } from "#contracts/statement";

/** Transfers asked for at once. */
const PAGE = 200;

export const verb: Verb = {
	summary: "lists every movement of your money",
	usage: ["farelay statement [--csv|--json [FILE]] [options]", "", ...LINES_USAGE, ...HOME_USAGE],
	options: () => ({ ...HOME_OPTIONS, ...LINES_OPTIONS }),
	words: true,
	async run(call) {
		const [path, ...more] = call.words;
		if (more.length > 0) return problem("usage", `"${more[0]}" says nothing here. farelay statement --help says how.`);
		const person = await openPerson(call);
		if (isProblem(person)) return person;
		const ask: Pages = async (after) => {
			const page = await askMarket(person, (api) => api.account.statement.query({ after, limit: PAGE }));
			if (isProblem(page)) return page;
			const lines: StatementLine[] = [];
			for (const json of page.lines) {
				const line = statementLine(json);
				// a market that answers the same page again would be read for ever
				if (!line || line.position <= after) return problem("malformed", "The market's statement is none.");
				lines.push(line);
			}
			return lines;
		};
		return showLines(call, ask, path);
	},
};
