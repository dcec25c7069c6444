/** `farelay account`: who you are here, what you have, and the one line that is worth keeping safe. */

import { HOME_OPTIONS, HOME_USAGE, homeOf } from "#cli/home";
import { openPerson, restorePerson } from "#cli/person";
import { textOf, type Verb } from "#cli/verb";
import { formatDollars } from "#contracts/amount";
import { toHex } from "#contracts/bytes";
import { isProblem } from "#contracts/problem";

export const verb: Verb = {
	summary: "shows your account and balance; makes one at first use",
	usage: [
		"farelay account [--export | --restore FILE] [options]",
		"",
		"  --export         prints the line that holds everything: whoever has it has your money and your mail",
		"  --restore FILE   takes an account from a file with such a line",
		...HOME_USAGE,
	],
	options: () => ({ ...HOME_OPTIONS, export: { type: "boolean" }, restore: { type: "string" } }),
	async run(call) {
		const from = textOf(call, "restore");
		const refused = from === undefined ? undefined : await restorePerson(call, from);
		if (refused) return refused;
		const person = await openPerson(call);
		if (isProblem(person)) return person;
		const account = toHex(person.client.identity.account.publicKey);
		if (call.options.export) {
			const line = person.client.exportSeed();
			call.screen.answer({ account, line }, [line]);
			return undefined;
		}
		const balance = await person.client.market.balance();
		const known = isProblem(balance) ? undefined : balance;
		call.screen.answer({ account, balance: known ?? null, home: homeOf(call), made: person.fresh }, [
			`${person.fresh ? "Made a new account: " : "Account "}${account}`,
			known === undefined
				? call.screen.tone("faint", `The market at ${person.marketUrl} did not answer, so the balance is not known.`)
				: `Balance ${formatDollars(known)}`,
			call.screen.tone("faint", `Kept in ${homeOf(call)}. farelay account --export prints the line to keep safe.`),
		]);
		return undefined;
	},
};
