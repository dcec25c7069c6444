/** `farelay card`: your card's link, for others to send to; let the market keep it under a link that stays; look at somebody's. */

import { HOME_OPTIONS, HOME_USAGE } from "#cli/home";
import { openPerson } from "#cli/person";
import { sayDay } from "#cli/screen";
import { type Call, textOf, type Verb } from "#cli/verb";
import { toHex } from "#contracts/bytes";
import { isCardName } from "#contracts/card";
import { isProblem, type Problem, problem } from "#contracts/problem";
import type { Client } from "#sdk/client";
import { FarelayError } from "#sdk/error";

/** Shows what a card says, whoever's it is. */
async function show({ screen }: Call, client: Client, link: string): Promise<void> {
	const { identity, name, homes, expiresAtMs } = await client.resolve(link);
	const relays = homes.map(({ url, relay }) => ({ url, relay: toHex(relay) }));
	// a name is without control characters already: a card with them is none
	screen.answer({ account: toHex(identity), name, relays, expiresAtMs }, [
		`${name === "" ? "Somebody without a name" : name}  ${screen.tone("faint", toHex(identity))}`,
		...relays.map(({ url }) => `reads at ${url}`),
		`The card is good until ${sayDay(expiresAtMs)}.`,
	]);
}

async function run(call: Call, client: Client): Promise<void> {
	const { screen, options, words } = call;
	const name = textOf(call, "name");
	if (words[0] !== undefined) return show(call, client, words[0]);
	if (options.unpublish) {
		await client.unpublishCard();
		return screen.answer({ published: false }, [
			"The market shows your card no more. Whoever has it in hand can go on sending to you.",
		]);
	}
	if (options.publish) {
		const link = await client.publishCard({ ...(name !== undefined && { name }) });
		return screen.answer({ card: link, published: true }, [
			link,
			screen.tone(
				"faint",
				"The link stays the same when your card changes. The market cannot read what it keeps under it.",
			),
		]);
	}
	const card = await client.card({ name: name ?? "" });
	screen.answer({ card, published: false }, [card]);
}

/** What is asked for at once and cannot be had so. */
function refuse({ options, words }: Call): Problem | undefined {
	const asked = [words.length > 0, options.publish === true, options.unpublish === true].filter(Boolean).length;
	if (asked > 1 || words.length > 1)
		return problem("usage", "farelay card takes one thing at a time: a LINK to look at, --publish, or --unpublish.");
	const name = typeof options.name === "string" ? options.name : undefined;
	if (name !== undefined && (words.length > 0 || options.unpublish))
		return problem("usage", "--name goes on your own card: with --publish, or alone.");
	return name === undefined || isCardName(name)
		? undefined
		: problem("usage", "--name takes a short name on one line.");
}

export const verb: Verb = {
	summary: "shows your card's link, publishes it, or shows somebody's card",
	usage: [
		"farelay card [--name NAME] [--publish | --unpublish] [options]",
		"farelay card LINK [options]",
		"",
		"  --name NAME      puts a name on your card",
		"  --publish        lets the market keep it, sealed, and prints a link that stays the same when the card changes",
		"  --unpublish      takes it back",
		...HOME_USAGE,
	],
	options: () => ({
		...HOME_OPTIONS,
		name: { type: "string" },
		publish: { type: "boolean" },
		unpublish: { type: "boolean" },
	}),
	words: true,
	async run(call) {
		const refused = refuse(call);
		if (refused) return refused;
		const person = await openPerson(call);
		if (isProblem(person)) return person;
		try {
			await run(call, person.client);
			return undefined;
		} catch (error) {
			if (error instanceof FarelayError) return error.problem;
			throw error;
		} finally {
			await person.client.close();
		}
	},
};
