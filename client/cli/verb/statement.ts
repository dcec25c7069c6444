/** `farelay statement`: every line of your money with its cause, gross, each fee and net. */

import { HOME_OPTIONS, HOME_USAGE } from "#cli/home";
import { askMarket, openPerson, type Person } from "#cli/person";
import { table } from "#cli/screen";
import type { Verb } from "#cli/verb";
import { formatDollars } from "#contracts/amount";
import { isProblem, type Problem } from "#contracts/problem";

/** Lines asked for at once. */
const PAGE = 200;

const ask = (person: Person, after: number) =>
	askMarket(person, (api) => api.account.statement.query({ after, limit: PAGE }));

type Page = Exclude<Awaited<ReturnType<typeof ask>>, Problem>;
type Line = Page["lines"][number];

export const verb: Verb = {
	summary: "lists every movement of your money",
	usage: ["farelay statement [options]", "", ...HOME_USAGE],
	options: () => HOME_OPTIONS,
	async run(call) {
		const person = await openPerson(call);
		if (isProblem(person)) return person;
		const lines: Line[] = [];
		for (let after: number | null = 0; after !== null; ) {
			const page: Page | Problem = await ask(person, after);
			if (isProblem(page)) return page;
			lines.push(...page.lines);
			after = page.next;
		}
		const cells = lines.map((line) => [
			new Date(line.atMs).toISOString().slice(0, 19).replace("T", " "),
			line.cause.replaceAll(/\b([0-9a-f]{8})[0-9a-f]{24,}\b/g, "$1"),
			...[line.gross, line.marketFee, line.solidarityFee, line.net].map((nanos) => formatDollars(BigInt(nanos))),
		]);
		call.screen.answer(
			{ lines },
			lines.length > 0
				? table(["when (UTC)", "why", "gross", "market fee", "solidarity fee", "net"], cells)
				: ["Nothing has moved yet."],
		);
		return undefined;
	},
};
