/** `farelay home`: the relay that the market drew for your mail, for which pools and the commons pay. */

import { HOME_OPTIONS, HOME_USAGE } from "#cli/home";
import { openPerson } from "#cli/person";
import { sayDay } from "#cli/screen";
import type { Call, Verb } from "#cli/verb";
import { toHex } from "#contracts/bytes";
import { isProblem, type Problem } from "#contracts/problem";
import { FarelayError } from "#sdk/error";
import type { Drawn } from "#sdk/home";

/** What is said of each answer. */
const SAYS: Record<Drawn["why"], string> = {
	drawn: "Your home was drawn just now. Your card names it; whoever has an older card is still read for a month.",
	"has-one": "This is the home that was drawn for you.",
	"too-soon": "This is the home that was drawn for you; another one cannot be asked for yet.",
	"not-yet":
		"No home is drawn for you yet: that takes a pass (farelay pass), or a little mail that you paid for yourself. Until then the cheapest relay has your mailbox.",
};

async function run(call: Call): Promise<Problem | undefined> {
	const { screen } = call;
	const person = await openPerson(call);
	if (isProblem(person)) return person;
	try {
		const { relay, why, drawnMs, againMs, megabytes } = await person.client.home({
			again: call.options.again === true,
		});
		const home = relay && { relay: toHex(relay.key), url: relay.url };
		const again = againMs === undefined ? [] : [`Another one can be asked for from ${sayDay(againMs)} on (--again).`];
		screen.answer({ home: home ?? null, why, drawnMs: drawnMs ?? null, againMs: againMs ?? null, megabytes }, [
			...(relay ? [`${relay.url}  ${screen.tone("faint", toHex(relay.key))}`] : []),
			SAYS[why],
			...(relay ? [`${megabytes} MB were signed for there: that much was read, not from whom.`, ...again] : []),
		]);
		return undefined;
	} catch (error) {
		if (error instanceof FarelayError) return error.problem;
		throw error;
	} finally {
		await person.client.close();
	}
}

export const verb: Verb = {
	summary: "shows the home that the market drew for your mail, or asks for one",
	usage: [
		"farelay home [options]",
		"",
		"  --again          asks for another home than the one that was drawn: once in half a year, for a month's quota",
		"",
		"Pools and the commons pay for mail to homes that were drawn, so that nobody can send their money to a relay of their own.",
		"A home whose relay is not listed for a week is drawn anew for nothing.",
		"",
		...HOME_USAGE,
	],
	options: () => ({ ...HOME_OPTIONS, again: { type: "boolean" } }),
	run,
};
