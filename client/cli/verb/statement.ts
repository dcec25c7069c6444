/** `farelay statement`: every line of your money with its cause, gross, each fee and net. */

import { resolve } from "node:path";
import { HOME_OPTIONS, HOME_USAGE } from "#cli/home";
import { LINES_OPTIONS, LINES_USAGE, type Pages, showLines } from "#cli/lines";
import { askMarket, openPerson } from "#cli/person";
import { type Call, textOf, type Verb } from "#cli/verb";
import { readBill } from "#contracts/bill";
import { writeBillFile } from "#contracts/billfile";
import { fromHex, same } from "#contracts/bytes";
import { keyId } from "#contracts/identity";
import { isProblem, type Problem, problem } from "#contracts/problem";
import { type StatementLine, statementLine } from "#contracts/statement";
import { crypto } from "#host/crypto";
import { replaceFile } from "#host/replace";

/** Writes a tab's signed bill to a file. */
async function writeBill(call: Call, tab: string): Promise<Problem | undefined> {
	const [path, ...more] = call.words;
	if (path === undefined || more.length > 0 || !/^[0-9a-f]{32}$/.test(tab))
		return problem("usage", "Name a tab by its 32 hex digits and one file: farelay statement --bill TAB FILE.");
	const person = await openPerson(call);
	if (isProblem(person)) return person;
	const terms = await person.client.market.terms();
	if (isProblem(terms)) return terms;
	// the page that begins after the id before it
	const before = (BigInt(`0x${tab}`) - 1n).toString(16).padStart(32, "0");
	const after = /^-/.test(before) ? undefined : before;
	const page = await askMarket(person, (api) => api.tab.list.query({ limit: 1, ...(after && { after }) }));
	if (isProblem(page)) return page;
	const [found] = page.tabs;
	if (found?.tab !== tab) return problem("not-found", "The market knows no such tab of this account's.");
	const bytes = fromHex(found.bill) ?? new Uint8Array(0);
	const bill = readBill(crypto, bytes, terms.keys);
	if (isProblem(bill)) return bill;
	const key = terms.keys.find((one) => same(keyId(crypto, one.key), bill.keyId));
	const text = writeBillFile(bytes, key?.bytes ?? new Uint8Array(0));
	try {
		await replaceFile(resolve(call.folder, path), text);
	} catch (error) {
		return problem("disk", `${path} could not be written (${(error as NodeJS.ErrnoException).code}).`);
	}
	call.screen.answer({ file: path }, [`Written: farelay verify ${path} says who paid what.`]);
	return undefined;
}

/** Transfers asked for at once. */
const PAGE = 200;

export const verb: Verb = {
	summary: "lists every movement of your money",
	usage: [
		"farelay statement [--csv|--json [FILE]] [options]",
		"farelay statement --bill TAB FILE",
		"",
		...LINES_USAGE,
		"  --bill TAB       writes the tab's bill as the market signed it, which says who paid what: farelay verify FILE checks it",
		...HOME_USAGE,
	],
	options: () => ({ ...HOME_OPTIONS, ...LINES_OPTIONS, bill: { type: "string" } }),
	words: true,
	async run(call) {
		const tab = textOf(call, "bill");
		if (tab !== undefined) return writeBill(call, tab);
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
