/**
 * `farelay send CARD... TEXT` or `farelay send CARD... --file PATH`: sends sealed, says what it costs before and what it came to after.
 * `farelay send --waiting`: sends what could not be sent before.
 */

import { resolve } from "node:path";
import { HOME_OPTIONS, HOME_USAGE } from "#cli/home";
import { sayPaying, showPaying } from "#cli/paying";
import { openPerson } from "#cli/person";
import { sayBytes } from "#cli/screen";
import { type Call, textOf, type Verb } from "#cli/verb";
import { sayOver, sayWaiting, sendWaiting, showWaiting, withWaiting } from "#cli/waiting";
import { type Amount, formatDollars, parseDollars } from "#contracts/amount";
import { toHex } from "#contracts/bytes";
import { BODY_BYTES_MAX } from "#contracts/envelope";
import { LIMIT } from "#contracts/limit";
import { isProblem, type Problem, problem } from "#contracts/problem";
import { type DiskSource, diskSource } from "#host/diskfile";
import type { Client } from "#sdk/client";
import { FarelayError } from "#sdk/error";
import type { Waiting } from "#sdk/letter";
import type { Sent } from "#sdk/outbox";
import type { Settlement } from "#sdk/wallet";

const SECONDS_PER_DAY = 86_400;
/** How long a relay may answer nothing before it is given up: longer than one takes to start anew. */
const WAIT_S = 30;

/** Something to send. */
type Thing = { readonly cards: readonly string[]; readonly what: string | DiskSource; readonly ttlS: number };
/** What may be spent and waited for; without a thing, what waits is sent. */
type Order = { readonly thing: Thing | undefined; readonly most: Amount | undefined; readonly waitS: number };

async function readOrder(call: Call): Promise<Order | Problem> {
	const limit = textOf(call, "limit");
	const most = limit === undefined ? undefined : parseDollars(limit);
	if (limit !== undefined && most === undefined) return problem("usage", "--limit takes dollars, like 0.05.");
	const wait = textOf(call, "wait");
	if (wait !== undefined && !/^[1-9]\d{0,5}$/.test(wait)) return problem("usage", "--wait takes whole seconds.");
	const waitS = wait === undefined ? WAIT_S : Number(wait);
	const thing = call.options.waiting ? nothingNew(call) : await readThing(call);
	return isProblem(thing) ? thing : { thing, most, waitS };
}

function nothingNew({ words, options }: Call): Problem | undefined {
	return words.length === 0 && options.file === undefined && options.days === undefined
		? undefined
		: problem("usage", "farelay send --waiting sends what waits, and nothing new with it.");
}

async function readThing(call: Call): Promise<Thing | Problem> {
	const file = textOf(call, "file");
	const cards = file === undefined ? call.words.slice(0, -1) : call.words;
	const words = file === undefined ? call.words.at(-1) : undefined;
	// a text without its quotes must not be taken for people
	if (cards.length === 0 || !cards.slice(1).every((card) => /^(farelay:|https?:)/.test(card)))
		return problem("usage", 'Say to whom and what: farelay send CARD "hello", or farelay send CARD --file photo.jpg.');
	const days = textOf(call, "days");
	const ttlS = days === undefined ? LIMIT.ttlSDefault : Math.round(Number(days) * SECONDS_PER_DAY);
	if (!Number.isInteger(ttlS) || ttlS < 1 || ttlS > LIMIT.ttlSMax)
		return problem("usage", "--days takes a number up to 30.");
	if (new TextEncoder().encode(words).length > BODY_BYTES_MAX)
		return problem("usage", `A text is at most ${BODY_BYTES_MAX} bytes; send a longer one as a file, with --file.`);
	const what = file === undefined ? (words as string) : await diskSource(resolve(call.folder, file));
	return isProblem(what) ? what : { cards, what, ttlS };
}

async function send(call: Call, client: Client, thing: Thing, patience: NodeJS.Timeout): Promise<Problem | undefined> {
	const { cards, what, ttlS } = thing;
	const { screen } = call;
	const before = await client.waiting();
	const goesOn = before.some(isPartOf(what));
	for (const waiting of before) if (!isPartOf(what)(waiting)) screen.line(screen.tone("faint", sayWaiting(waiting)));
	if (goesOn) screen.line(`What was sent of ${(what as DiskSource).name} before is not sent or paid for again.`);
	const cost = await client.estimate(cards, what, { ttlS });
	const copies = cards.length > 1 ? ` for ${cards.length} people` : "";
	screen.line(`This is ${sayBytes(Number(cost.sealedBytes))} sealed${copies}, and costs ${formatDollars(cost.total)}.`);
	for (const line of sayPaying(cost)) screen.line(line);
	const bar = screen.progress("sending", typeof what === "string" ? 0 : what.sizeBytes * cards.length);
	patience.refresh();
	const progress = (bytes: number) => {
		patience.refresh();
		bar.to(bytes);
	};
	const outcomes = await client.send(cards, what, { ttlS, progress }).finally(() => {
		clearTimeout(patience);
		bar.end();
	});
	const sent = outcomes.flatMap(({ to, answer }) => (isProblem(answer) ? [] : [{ to: toHex(to), ...shown(answer) }]));
	const refused = outcomes.flatMap(({ to, answer }) => (isProblem(answer) ? [{ to: toHex(to), ...answer }] : []));
	const [one] = sent;
	const [why] = refused;
	if (why && !one) return problem(why.problem, why.detail, why);
	const settled = call.options.settle ? await client.settle() : [];
	const waiting = (await client.waiting()).map(showWaiting);
	const live = sent.filter(({ tick }) => tick === "passed").length;
	const whole = cards.length > 1 ? { sent, refused } : { ...one, to: undefined };
	screen.answer({ ...whole, settled: settled.length, waiting }, [
		live === sent.length ? "Passed on to the reader." : "Sent: the relay keeps it until it is read.",
		...refused.map(({ to, detail }) => `Not to ${to.slice(0, 8)}: ${detail}`),
		...(settled.length > 0 ? [SETTLED, ...settled.flatMap(sayBill)] : []),
	]);
	return why && problem(why.problem, `${refused.length} of ${outcomes.length} did not get it. ${why.detail}`, why);
}

/** What was sent to somebody, for programs. */
function shown({ id, tick, cost }: Sent) {
	return { id: toHex(id), tick, sealedBytes: cost.sealedBytes, cost: cost.total, ...showPaying(cost) };
}

/** Who paid what on a tab that was closed, as the market signed it. */
function sayBill({ closed }: Settlement): string[] {
	if (isProblem(closed) || !closed.bill) return [];
	const { bill } = closed.bill;
	if (bill.payer === bill.total) return [];
	const others = [
		...(bill.pools > 0n ? [`pools ${formatDollars(bill.pools)}`] : []),
		...(bill.commons > 0n ? [`the commons ${formatDollars(bill.commons)}`] : []),
	];
	return [`On the whole tab: you paid ${formatDollars(bill.payer)}, ${others.join(", ")}.`];
}

const SETTLED = "The tab is closed; what was not spent is back on your balance.";

/** Whether something that waits is this file, begun before: then sending it goes on with it. */
function isPartOf(what: Thing["what"]): (waiting: Waiting) => boolean {
	return ({ file }) => typeof what !== "string" && file?.name === what.name && file.sizeBytes === what.sizeBytes;
}

/** What a refused thing left behind, of what waits now. */
function leftBy(thing: Thing | undefined, before: readonly Waiting[], now: readonly Waiting[]): readonly Waiting[] {
	if (!thing) return [];
	const { what } = thing;
	// a file that goes on is the letter that was there before
	if (typeof what !== "string") return now.filter(isPartOf(what));
	return now.filter(({ id }) => !before.some((waiting) => toHex(waiting.id) === toHex(id)));
}

export const verb: Verb = {
	summary: "sends a text or a file, sealed, to the owners of cards",
	usage: [
		"farelay send CARD... TEXT [options]",
		"farelay send CARD... --file PATH [options]",
		"farelay send --waiting [options]",
		"",
		"  CARD...          one person or several: a file for people at one relay is uploaded once, and paid for each",
		"  --file PATH      sends a file; called again after a stop, it goes on where it was",
		"  --waiting        sends the texts that could not be sent before, and lists the files that wait to go on",
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
		waiting: { type: "boolean" },
	}),
	words: true,
	async run(call) {
		const order = await readOrder(call);
		if (isProblem(order)) return order;
		const { thing, most, waitS } = order;
		const onOver = (waiting: Waiting) => call.screen.line(sayOver(waiting));
		const person = await openPerson(call, { onOver, ...(most !== undefined && { spendLimit: most }) });
		if (isProblem(person)) return person;
		const { client } = person;
		let late: Problem | undefined;
		const end = (why: string) => {
			late ??= problem("unavailable", why);
			void client.close();
		};
		call.stop.addEventListener("abort", () => end("Stopped before it was done."));
		const patience = setTimeout(() => end(`The relay has not answered for ${waitS} s.`), waitS * 1_000);
		let before: Waiting[] = [];
		try {
			if (!thing) return await sendWaiting(call, client, () => late);
			before = await client.waiting();
			const refused = await send(call, client, thing, patience);
			return refused && withWaiting(late ?? refused, leftBy(thing, before, await client.waiting()));
		} catch (error) {
			if (!(error instanceof FarelayError)) throw error;
			return withWaiting(late ?? error.problem, leftBy(thing, before, await client.waiting()));
		} finally {
			clearTimeout(patience);
			await client.close();
			if (thing && typeof thing.what !== "string") await thing.what.close();
		}
	},
};
