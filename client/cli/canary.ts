/**
 * `farelay market canary`: measures each relay as people see it. Accounts that look like any other, some paid for by a fund and some not, send a text to somebody
 * at the relay who reads it: whether it is taken, whether it comes, and how long that takes. What was measured goes to the market, which says what it makes of it.
 */

import { resolve } from "node:path";
import { amount } from "#contracts/amount";
import { toHex } from "#contracts/bytes";
import { isProblem, type Problem, problem } from "#contracts/problem";
import { systemClock } from "#host/clock";
import { openFolder } from "#host/folder";
import type { MeasureJson, ScoreJson, ServedJson } from "#sdk/cases";
import { type Client, createClient } from "#sdk/client";
import type { RelayOffer } from "#sdk/market";
import { memoryStorage } from "#sdk/storage";
import { askMarket, openPerson } from "./person.ts";
import { type Call, type Options, textOf } from "./verb.ts";

export const CANARY_OPTIONS: Options = { own: { type: "string" }, funded: { type: "string" } };

export const CANARY_USAGE: readonly string[] = [
	"farelay market canary --own HOMES --funded HOMES [--home PATH]   measures each relay by accounts that pay themselves and that a fund pays for",
];

/** What does not come within this is lost. */
const WAIT_MS = 30_000;
/** What one text may cost: far more than any does. */
const SPEND_MAX = amount(1_000_000n);
/** As long as what people write. */
const WORDS = ["Are you there?", "See you at six.", "Thank you!", "The bus is late, I come a little later.", "OK"];

/** Sends one text to somebody new at a relay, who reads it. */
export async function measure(
	sender: Client,
	relay: RelayOffer,
	funded: boolean,
	market: string,
	waitMs = WAIT_MS,
): Promise<MeasureJson> {
	const atMs = systemClock.nowMs();
	const began = performance.now();
	const ended = (end: MeasureJson["end"]): MeasureJson => {
		const tookMs = end === "delivered" ? Math.round(performance.now() - began) : 0;
		return { atMs, funded, end, tookMs };
	};
	const reader = await createClient({ market, storage: memoryStorage() });
	const late = Promise.withResolvers<boolean>();
	const cancel = systemClock.after(waitMs, () => late.resolve(false));
	try {
		const card = await reader.card({ relay });
		await reader.listen({ text: () => late.resolve(true) });
		const text = WORDS[atMs % WORDS.length] ?? "OK";
		let taken = false;
		const sent = sender.send(card, text).then(
			() => {
				taken = true;
				return late.promise;
			},
			() => false,
		);
		// one that says nothing has not taken it either
		const came = await Promise.race([sent, late.promise]);
		return ended(came ? "delivered" : taken ? "lost" : "refused");
	} catch {
		return ended("refused");
	} finally {
		cancel();
		await reader.close();
	}
}

/** Measures every relay that is listed, once by each account. */
export async function marketCanary(call: Call): Promise<Problem | undefined> {
	const homes = [...homesOf(call, "own"), ...homesOf(call, "funded")];
	if (homes.length === 0)
		return problem(
			"usage",
			"Which accounts? --own HOMES pay themselves, --funded HOMES have a pass; with commas between.",
		);
	const desk = await openPerson(call);
	if (isProblem(desk)) return desk;
	const { client, marketUrl } = desk;
	const scores: ScoreJson[] = [];
	for (const relay of await client.relays()) {
		const measures: MeasureJson[] = [];
		for (const { path, funded } of homes) {
			const sender = await createClient({ market: marketUrl, storage: openFolder(path), spendLimit: SPEND_MAX });
			try {
				measures.push(await measure(sender, relay, funded, marketUrl));
				// a tab that is open would keep the next measurement from asking who pays
				await sender.settle();
			} finally {
				await sender.close();
			}
		}
		const scored = await askMarket(desk, (api) => api.desk.measured.mutate({ relay: toHex(relay.key), measures }));
		if (isProblem(scored)) return scored;
		scores.push(scored);
		call.screen.line(lineOf(scored));
	}
	call.screen.answer({ scores }, scores.length > 0 ? [] : ["No relay is listed."]);
	return undefined;
}

function homesOf(call: Call, name: "own" | "funded"): { readonly path: string; readonly funded: boolean }[] {
	const list = (textOf(call, name) ?? "").split(",").filter((home) => home !== "");
	return list.map((home) => ({ path: resolve(call.folder, home), funded: name === "funded" }));
}

function lineOf({ relay, funded, own, faults }: ScoreJson): string {
	const served = (who: string, { tries, deliveredPpm, medianMs }: ServedJson) =>
		tries === 0
			? `${who}: not tried`
			: `${who}: ${Math.floor(deliveredPpm / 10_000)} % of ${tries} arrived, half within ${medianMs} ms`;
	return `${relay.slice(0, 16)}  ${served("own", own)}; ${served("funded", funded)}${faults.length > 0 ? `  ${faults.join(", ")}` : ""}`;
}
