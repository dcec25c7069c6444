/** `farelay fund AMOUNT`: puts play money on your account. Other rails come by the same verb. */

import { randomUUID } from "node:crypto";
import { HOME_OPTIONS, HOME_USAGE } from "#cli/home";
import { askMarket, openPerson } from "#cli/person";
import { textOf, type Verb } from "#cli/verb";
import { formatAmount, formatDollars, parseAmount, parseDollars } from "#contracts/amount";
import { isProblem, problem } from "#contracts/problem";

export const verb: Verb = {
	summary: "puts money on your account (play money, where the market makes it)",
	usage: [
		"farelay fund DOLLARS [--id ID] [options]",
		"",
		"  --id ID          names this payment, so that asking again gives nothing twice (a new one unless given)",
		...HOME_USAGE,
	],
	options: () => ({ ...HOME_OPTIONS, id: { type: "string" } }),
	words: true,
	async run(call) {
		const amount = call.words.length === 1 ? parseDollars(call.words[0] ?? "") : undefined;
		if (amount === undefined || amount === 0n)
			return problem("usage", "Say how much, in dollars: farelay fund 5, or farelay fund 0.25.");
		const person = await openPerson(call);
		if (isProblem(person)) return person;
		const id = textOf(call, "id") ?? randomUUID();
		const answer = await askMarket(person, (api) => api.funding.play.mutate({ id, amount: formatAmount(amount) }));
		if (isProblem(answer)) return answer;
		const balance = parseAmount(answer.balance);
		call.screen.answer({ id, amount, balance: balance ?? null }, [
			`Funded with ${formatDollars(amount)} of play money; the balance is ${balance === undefined ? "not known" : formatDollars(balance)}.`,
		]);
		return undefined;
	},
};
