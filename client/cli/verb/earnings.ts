/** `farelay earnings`: an operator's three numbers, which are never added up into one. */

import { foundLines } from "#cli/desk";
import { HOME_OPTIONS, HOME_USAGE } from "#cli/home";
import { askMarket, openPerson } from "#cli/person";
import type { Verb } from "#cli/verb";
import { formatDollars, parseAmount } from "#contracts/amount";
import { toHex } from "#contracts/bytes";
import { isProblem, problem } from "#contracts/problem";

export const verb: Verb = {
	summary: "shows what your relays earned, what waits, what was paid out",
	usage: ["farelay earnings [options]", "", ...HOME_USAGE],
	options: () => HOME_OPTIONS,
	async run(call) {
		const person = await openPerson(call);
		if (isProblem(person)) return person;
		const answer = await askMarket(person, (api) => api.operator.earnings.query());
		if (isProblem(answer)) return answer;
		const [earned, waiting, leaving, paidOut] = [answer.earned, answer.waiting, answer.leaving, answer.paidOut].map(
			parseAmount,
		);
		if (earned === undefined || waiting === undefined || leaving === undefined || paidOut === undefined)
			return problem("malformed", "The market's amounts are none.");
		const operator = toHex(person.client.identity.account.publicKey);
		const { findings } = answer;
		call.screen.answer({ operator, earned, waiting, leaving, paidOut, findings }, [
			`earned    ${formatDollars(earned)}`,
			`waiting   ${formatDollars(waiting)}`,
			...(leaving > 0n ? [`leaving   ${formatDollars(leaving)}`] : []),
			`paid out  ${formatDollars(paidOut)}`,
			...findings.flatMap(foundLines),
		]);
		return undefined;
	},
};
