/** What an earlier `farelay send` could not send: said wherever it is met, and sent with `farelay send --waiting`. */

import { formatDollars } from "#contracts/amount";
import { toHex } from "#contracts/bytes";
import type { Problem } from "#contracts/problem";
import type { Client } from "#sdk/client";
import type { Waiting } from "#sdk/letter";
import { sayBytes, sayDay } from "./screen.ts";
import type { Call } from "./verb.ts";

/** What waits, for programs. */
export function showWaiting({ id, to, atMs, endsAtMs, file }: Waiting): object {
	return { id: toHex(id), to: toHex(to), what: file ? "file" : "text", ...file, atMs, endsAtMs };
}

/** What waits, for people, and how to go on. */
export function sayWaiting({ to, endsAtMs, file }: Waiting): string {
	const until = `waits here until ${sayDay(endsAtMs)}`;
	const whom = toHex(to).slice(0, 8);
	return file
		? `${file.name} (${sayBytes(file.sizeBytes)}) to ${whom} ${until}: farelay send CARD --file PATH goes on with it.`
		: `A text to ${whom} ${until}: farelay send --waiting sends it.`;
}

/** What waited until nobody would have kept it any more. */
export function sayOver({ to, atMs, file }: Waiting): string {
	return `${file?.name ?? "A text"} to ${toHex(to).slice(0, 8)} of ${sayDay(atMs)} was never sent whole, and its time is over.`;
}

/** Adds to a refusal what it left behind, so that nobody sends it a second time without knowing. */
export function withWaiting(refusal: Problem, left: readonly Waiting[]): Problem {
	if (left.length === 0) return refusal;
	const says = [refusal.detail, ...left.map(sayWaiting)];
	if (left.some(({ file }) => !file)) says.push("Sent anew, it would be there twice.");
	return { ...refusal, detail: says.join(" "), ...{ waiting: left.map(showWaiting) } };
}

/** Sends the texts that wait, and lists the files that do. `ended` says why the client was ended, where it was. */
export async function sendWaiting(
	{ screen, options }: Call,
	client: Client,
	ended: () => Problem | undefined,
): Promise<Problem | undefined> {
	const refused: { id: Uint8Array; why: Problem }[] = [];
	const sent = await client.resume((id, why) => refused.push({ id, why }));
	const left = await client.waiting();
	const settled = options.settle ? await client.settle() : [];
	const said = {
		sent: sent.map(({ id, tick, cost }) => ({ id: toHex(id), tick, cost: cost.total })),
		refused: refused.map(({ id, why }) => ({ id: toHex(id), ...why })),
		waiting: left.map(showWaiting),
		settled: settled.length,
	};
	const lines = [
		...sent.map(({ id, cost }) => `Sent: ${toHex(id).slice(0, 8)}, for ${formatDollars(cost.total)}.`),
		...left.map(sayWaiting),
	];
	const [first] = refused;
	if (!first) {
		screen.answer(said, lines.length > 0 ? lines : ["Nothing waits."]);
		return undefined;
	}
	for (const line of lines) screen.line(line);
	return { ...said, ...(ended() ?? first.why) };
}
