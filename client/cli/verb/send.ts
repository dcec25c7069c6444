/** `farelay send CARD TEXT` or `farelay send CARD --file PATH`: sends sealed, says what it costs before and what it came to after. */

import { resolve } from "node:path";
import { HOME_OPTIONS, HOME_USAGE } from "#cli/home";
import { openPerson } from "#cli/person";
import { sayBytes } from "#cli/screen";
import { type Call, textOf, type Verb } from "#cli/verb";
import { type Amount, formatDollars, parseDollars } from "#contracts/amount";
import { toHex } from "#contracts/bytes";
import { BODY_BYTES_MAX } from "#contracts/envelope";
import { LIMIT } from "#contracts/limit";
import { isProblem, type Problem, problem } from "#contracts/problem";
import { type DiskSource, diskSource } from "#host/diskfile";
import type { Client } from "#sdk/client";
import { FarelayError } from "#sdk/error";

const SECONDS_PER_DAY = 86_400;
/** How long a relay may answer nothing before it is given up: longer than one takes to start anew. */
const WAIT_S = 30;

type Order = {
	readonly card: string;
	readonly what: string | DiskSource;
	readonly ttlS: number;
	readonly most: Amount | undefined;
	readonly waitS: number;
};

async function readOrder(call: Call): Promise<Order | Problem> {
	const [card, words] = call.words;
	const file = textOf(call, "file");
	if (card === undefined || call.words.length > 2 || (words === undefined) === (file === undefined))
		return problem("usage", 'Say to whom and what: farelay send CARD "hello", or farelay send CARD --file photo.jpg.');
	const days = textOf(call, "days");
	const ttlS = days === undefined ? LIMIT.ttlSDefault : Math.round(Number(days) * SECONDS_PER_DAY);
	if (!Number.isInteger(ttlS) || ttlS < 1 || ttlS > LIMIT.ttlSMax)
		return problem("usage", "--days takes a number up to 30.");
	if (new TextEncoder().encode(words).length > BODY_BYTES_MAX)
		return problem("usage", `A text is at most ${BODY_BYTES_MAX} bytes; send a longer one as a file, with --file.`);
	const limit = textOf(call, "limit");
	const most = limit === undefined ? undefined : parseDollars(limit);
	if (limit !== undefined && most === undefined) return problem("usage", "--limit takes dollars, like 0.05.");
	const wait = textOf(call, "wait");
	if (wait !== undefined && !/^[1-9]\d{0,5}$/.test(wait)) return problem("usage", "--wait takes whole seconds.");
	const waitS = wait === undefined ? WAIT_S : Number(wait);
	const what = file === undefined ? (words as string) : await diskSource(resolve(call.folder, file));
	return isProblem(what) ? what : { card, what, ttlS, most, waitS };
}

async function send(call: Call, client: Client, order: Order, giveUp: () => void): Promise<void> {
	const { card, what, ttlS, waitS } = order;
	const { screen } = call;
	const cost = await client.estimate(card, what, { ttlS });
	screen.line(`This is ${sayBytes(Number(cost.sealedBytes))} sealed, and costs ${formatDollars(cost.total)}.`);
	const bar = screen.progress("sending", typeof what === "string" ? 0 : what.sizeBytes);
	const patience = setTimeout(giveUp, waitS * 1_000);
	const progress = (bytes: number) => {
		patience.refresh();
		bar.to(bytes);
	};
	const sent = await client.send(card, what, { ttlS, progress }).finally(() => {
		clearTimeout(patience);
		bar.end();
	});
	const settled = call.options.settle ? await client.settle() : [];
	const id = toHex(sent.id);
	screen.answer(
		{ id, tick: sent.tick, sealedBytes: sent.cost.sealedBytes, cost: sent.cost.total, settled: settled.length },
		[
			sent.tick === "sent" ? "Sent: the relay keeps it until it is read." : "Passed on to the reader.",
			...(settled.length > 0 ? ["The tab is closed; what was not spent is back on your balance."] : []),
		],
	);
}

export const verb: Verb = {
	summary: "sends a text or a file, sealed, to the owner of a card",
	usage: [
		"farelay send CARD TEXT [options]",
		"farelay send CARD --file PATH [options]",
		"",
		"  --file PATH      sends a file; called again after a stop, it goes on where it was",
		"  --days N         how long it is kept for its reader (7 unless given, 30 at most)",
		"  --limit DOLLARS  the most that may be spent today, fees included; otherwise nothing is sent",
		`  --wait SECONDS   how long a relay may answer nothing before it is given up (${WAIT_S} unless given)`,
		"  --settle         closes the tab afterwards, so that what was reserved and not spent comes back at once",
		...HOME_USAGE,
	],
	options: () => ({
		...HOME_OPTIONS,
		file: { type: "string" },
		days: { type: "string" },
		limit: { type: "string" },
		wait: { type: "string" },
		settle: { type: "boolean" },
	}),
	words: true,
	async run(call) {
		const order = await readOrder(call);
		if (isProblem(order)) return order;
		const person = await openPerson(call, order.most === undefined ? {} : { spendLimit: order.most });
		if (isProblem(person)) return person;
		let late: Problem | undefined;
		const end = (why: string) => {
			const more = typeof order.what === "string" ? "" : " Called again, sending goes on where it was.";
			late ??= problem("unavailable", `${why}${more}`);
			void person.client.close();
		};
		call.stop.addEventListener("abort", () => end("Stopped before it was done."));
		const giveUp = () => end(`The relay has not answered for ${order.waitS} s.`);
		try {
			await send(call, person.client, order, giveUp);
			return undefined;
		} catch (error) {
			if (error instanceof FarelayError) return late ?? error.problem;
			throw error;
		} finally {
			await person.client.close();
			if (typeof order.what !== "string") await order.what.close();
		}
	},
};
