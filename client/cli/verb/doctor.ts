/** `farelay doctor`: looks at what has to be right on this machine and at the market, and says what to do about what is not. */

import { randomUUID } from "node:crypto";
import { HOME_OPTIONS, HOME_USAGE, homeOf } from "#cli/home";
import { openPerson, type Person } from "#cli/person";
import type { Call, Verb } from "#cli/verb";
import { toHex } from "#contracts/bytes";
import { SUBPROTOCOL } from "#contracts/frame";
import { isProblem, plainDetail, problem } from "#contracts/problem";
import type { Relay } from "#sdk/card";

/** One thing that was looked at. `mend` says what to do where it is not well. */
type Finding = { readonly what: string; readonly well: boolean; readonly says: string; readonly mend?: string };

/** How far a clock may be off before hellos are refused. */
const CLOCK_MS_MAX = 60_000;
/** How long anybody may take to answer. */
const ANSWER_MS = 5_000;
/** Relays that are tried. */
const RELAYS_MAX = 10;

async function lookAtDisk(person: Person, call: Call): Promise<Finding> {
	const key = `doctor-${randomUUID()}`;
	try {
		await person.storage.put(key, new Uint8Array(1));
		await person.storage.delete(key);
		return { what: "your folder", well: true, says: homeOf(call) };
	} catch (error) {
		const says = `${homeOf(call)} cannot be written to (${(error as NodeJS.ErrnoException).code}).`;
		return {
			what: "your folder",
			well: false,
			says,
			mend: "Make room on the disk, or name another folder with --home.",
		};
	}
}

async function lookAtMarket(person: Person): Promise<Finding[]> {
	const terms = await person.client.market.terms();
	if (isProblem(terms))
		return [
			{
				what: "the market",
				well: false,
				says: terms.detail,
				mend:
					terms.problem === "grant-unknown-market"
						? "Where it was begun anew on purpose, name a new --home too."
						: "npm start (farelay box) opens one here; --market names another.",
			},
		];
	const answer = await fetch(new URL("/.well-known/farelay.json", person.marketUrl), {
		signal: AbortSignal.timeout(ANSWER_MS),
	})
		.then((response) => response.json() as Promise<{ nowMs: number }>)
		.catch(() => undefined);
	const offMs = answer ? Date.now() - answer.nowMs : 0;
	const troubles = await troublesOf(person.marketUrl);
	return [
		{
			what: "the market",
			well: troubles === undefined,
			says: `${person.marketUrl} answers, and ${troubles ? `says that it is not well: ${troubles}.` : "its keys are good."} Its root key: ${toHex(terms.market)}`,
			mend: "Its owner sees why by farelay market doctor; try again later.",
		},
		{
			what: "the clock",
			well: Math.abs(offMs) < CLOCK_MS_MAX,
			says: `${Math.round(Math.abs(offMs) / 1000)} s from the market's.`,
			mend: "Set this machine's clock, or let it set itself.",
		},
	];
}

/** What troubles a market by its own word: it can answer, and its database be away. Undefined where nothing does. */
async function troublesOf(marketUrl: string): Promise<string | undefined> {
	try {
		const response = await fetch(new URL("/health", marketUrl), { signal: AbortSignal.timeout(ANSWER_MS) });
		const { ok, state, troubles } = (await response.json()) as { ok?: unknown; state?: unknown; troubles?: unknown };
		if (ok !== false) return undefined;
		if (state === "draining") return "it is stopping";
		const told = Object.entries(troubles ?? {}).map(([part, code]) => `${part} (${code})`);
		return plainDetail(told.join(", ")) || "it does not say why";
	} catch {
		return undefined;
	}
}

/** Whether a WebSocket with our subprotocol opens. */
function reaches(relay: Relay): Promise<boolean> {
	return new Promise((resolve) => {
		const socket = new WebSocket(relay.url, SUBPROTOCOL);
		const timer = setTimeout(() => end(false), ANSWER_MS);
		const end = (open: boolean) => {
			clearTimeout(timer);
			socket.close();
			resolve(open);
		};
		socket.onopen = () => end(true);
		socket.onerror = () => end(false);
	});
}

async function lookAtRelays(person: Person): Promise<Finding[]> {
	const offers = await person.client.market.relays();
	if (isProblem(offers))
		return [{ what: "relays", well: false, says: offers.detail, mend: "The market lists them; try again later." }];
	if (offers.length === 0)
		return [{ what: "relays", well: false, says: "None is listed now.", mend: "farelay relay runs one here." }];
	return Promise.all(
		offers.slice(0, RELAYS_MAX).map(async (relay): Promise<Finding> => {
			const well = await reaches(relay);
			const says = well ? "lets us in." : "does not let us in.";
			return { what: `relay ${relay.url}`, well, says, mend: "Another relay may serve you; its operator sees why." };
		}),
	);
}

export const verb: Verb = {
	summary: "checks this machine, your folder, the market and its relays",
	usage: [
		"farelay doctor [options]",
		"",
		...HOME_USAGE,
		"",
		"Ends with 0 when all is well, with 3 when anything is not.",
	],
	options: () => HOME_OPTIONS,
	async run(call) {
		const person = await openPerson(call);
		if (isProblem(person)) return person;
		const findings: Finding[] = [
			{ what: "Node", well: true, says: process.version },
			await lookAtDisk(person, call),
			...(await lookAtMarket(person)),
			...(await lookAtRelays(person)),
		];
		const { screen } = call;
		for (const { what, well, says, mend } of findings)
			screen.line(
				well
					? `${screen.tone("good", "well")}  ${what}: ${says}`
					: `${screen.tone("bad", "ill ")}  ${what}: ${says} ${mend ?? ""}`,
			);
		const ill = findings.filter(({ well }) => !well).length;
		const said = {
			well: ill === 0,
			findings: findings.map(({ mend, ...rest }) => (rest.well ? rest : { ...rest, mend })),
		};
		if (ill > 0)
			return { ...said, ...problem("unavailable", `Not well: ${ill} of ${findings.length}.`, { spent: "no" }) };
		screen.answer(said, []);
		return undefined;
	},
};
