/** `farelay relays`: who carries, for how much. */

import { HOME_OPTIONS, HOME_USAGE } from "#cli/home";
import { openPerson } from "#cli/person";
import { table } from "#cli/screen";
import type { Verb } from "#cli/verb";
import { formatDollars } from "#contracts/amount";
import { toHex } from "#contracts/bytes";
import { isProblem } from "#contracts/problem";

export const verb: Verb = {
	summary: "lists the relays and what they ask",
	usage: ["farelay relays [options]", "", ...HOME_USAGE],
	options: () => HOME_OPTIONS,
	async run(call) {
		const person = await openPerson(call);
		if (isProblem(person)) return person;
		const offers = await person.client.market.relays();
		if (isProblem(offers)) return offers;
		const rows = offers.map(({ key, url, country, tariff }) => ({ relay: toHex(key), url, country, ...tariff }));
		const cells = rows.map(({ relay, url, country, sendPerMb, storePerMbDay }) => [
			relay.slice(0, 8),
			country,
			formatDollars(sendPerMb),
			formatDollars(storePerMbDay),
			url,
		]);
		call.screen.answer(
			{ relays: rows },
			rows.length > 0
				? table(["relay", "country", "a MB", "a MB-day kept", "address"], cells)
				: ["No relay is listed now."],
		);
		return undefined;
	},
};
