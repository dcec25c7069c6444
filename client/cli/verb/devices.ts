/** `farelay devices`: which devices read your mail, and giving one up. */

import { HOME_OPTIONS, HOME_USAGE } from "#cli/home";
import { openPerson } from "#cli/person";
import { sayMinute, table } from "#cli/screen";
import { type Call, textOf, type Verb } from "#cli/verb";
import { toHex } from "#contracts/bytes";
import { isProblem, type Problem, problem } from "#contracts/problem";
import { FarelayError } from "#sdk/error";
import type { MailboxDevice } from "#sdk/household";

/** Digits of a device's id that are shown, and that `--forget` takes at least: eight devices cannot be mistaken. */
const SHOWN = 8;

function show({ screen }: Call, devices: readonly MailboxDevice[]): void {
	const rows = devices.map(({ device, relay, seenMs, mine }) => ({
		device: toHex(device),
		relay: toHex(relay.key),
		url: relay.url,
		seenMs,
		mine,
	}));
	const cells = rows.map(({ device, url, seenMs, mine }) => [
		device.slice(0, SHOWN),
		url,
		sayMinute(seenMs),
		mine ? "this one" : "",
	]);
	screen.answer({ devices: rows }, table(["device", "reads at", "last there (UTC)", ""], cells));
}

async function run(call: Call): Promise<Problem | undefined> {
	const given = textOf(call, "forget");
	if (given !== undefined && !/^[0-9a-f]{8,32}$/.test(given))
		return problem("usage", "--forget takes a device as farelay devices shows it: 8 or more of its digits.");
	const person = await openPerson(call);
	if (isProblem(person)) return person;
	const { client } = person;
	try {
		const devices = await client.devices();
		if (given === undefined) {
			show(call, devices);
			return undefined;
		}
		const named = devices.filter(({ device }) => toHex(device).startsWith(given));
		if (named.length === 0)
			return problem("not-found", "None of your devices has that id; farelay devices shows them.");
		if (named.some(({ mine }) => mine))
			return problem(
				"usage",
				"That is this device, which would be known again at once: to give it up, do it from another.",
			);
		for (const device of named) await client.forgetDevice(device);
		show(call, await client.devices());
		return undefined;
	} catch (error) {
		if (error instanceof FarelayError) return error.problem;
		throw error;
	} finally {
		await client.close();
	}
}

export const verb: Verb = {
	summary: "shows which devices read your mail, and gives one up",
	usage: [
		"farelay devices [options]",
		"",
		"  --forget ID      gives a device up, as one that was lost: nothing is kept for it any more",
		"",
		"Mail is kept until all your devices have it. A farelay listen of this device ends: there is one reader for each device.",
		"Whoever has the account's line can read your mail again all the same, as another device.",
		"",
		...HOME_USAGE,
	],
	options: () => ({ ...HOME_OPTIONS, forget: { type: "string" } }),
	run,
};
