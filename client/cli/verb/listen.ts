/** `farelay listen`: shows your card, then what comes, as it comes. Files go into a folder. */

import { resolve } from "node:path";
import { HOME_OPTIONS, HOME_USAGE } from "#cli/home";
import { openPerson } from "#cli/person";
import { type Progress, type Screen, sayBytes, sayProblem } from "#cli/screen";
import { textOf, type Verb } from "#cli/verb";
import { toHex } from "#contracts/bytes";
import { isProblem, type Problem } from "#contracts/problem";
import { type DiskSink, diskSink } from "#host/diskfile";
import { FarelayError } from "#sdk/error";
import type { Handlers } from "#sdk/incoming";

/** What is done with what comes. */
function handlers(screen: Screen, folder: string, counted: () => void): Handlers {
	const under = new Map<string, { sink: DiskSink; bar: Progress }>();
	const from = (key: Uint8Array) => screen.tone("faint", toHex(key).slice(0, 8));
	return {
		text({ id, from: sender, atMs, text }) {
			screen.answer({ text, id: toHex(id), from: toHex(sender), atMs }, [`${from(sender)}  ${printable(text)}`]);
			counted();
		},
		async file({ stream, name, sizeBytes }) {
			const sink = await diskSink(folder, stream, name);
			under.set(stream, { sink, bar: screen.progress(printable(name), sizeBytes) });
			return sink;
		},
		progress: ({ stream }, receivedBytes) => under.get(stream)?.bar.to(receivedBytes),
		received({ id, stream, from: sender, atMs, name, sizeBytes }) {
			const done = under.get(stream);
			done?.bar.end();
			under.delete(stream);
			const path = done?.sink.path ?? folder;
			screen.answer({ file: path, name, sizeBytes, id: toHex(id), from: toHex(sender), atMs }, [
				`${from(sender)}  ${printable(path)} (${sayBytes(sizeBytes)})`,
			]);
			counted();
		},
		failed({ name }, why) {
			screen.line(`${printable(name)} did not come: ${sayProblem(why)}`);
		},
		report({ droppedTtl, droppedQuota }) {
			if (droppedTtl + droppedQuota > 0)
				screen.line(
					`${droppedTtl} messages were dropped because nobody read them in time, ${droppedQuota} because the mailbox was full.`,
				);
		},
		problem: (why: Problem) => screen.line(screen.tone("faint", sayProblem(why))),
	};
}

/** Somebody else's text without what could move a terminal's cursor or change its title. */
function printable(text: string): string {
	return text.replaceAll(/[\p{Cc}\p{Cf}]/gu, (mark) => (mark === "\n" ? "\n          " : ""));
}

export const verb: Verb = {
	summary: "shows your card, then receives what others send",
	usage: [
		"farelay listen [options]",
		"",
		"  --card           only prints your card's link, for others to send to",
		"  --name NAME      puts a name on the card",
		"  --into PATH      where files go (./received unless given)",
		"  --count N        ends after so many messages and files",
		...HOME_USAGE,
	],
	options: () => ({
		...HOME_OPTIONS,
		card: { type: "boolean" },
		name: { type: "string" },
		into: { type: "string" },
		count: { type: "string" },
	}),
	async run(call) {
		const { screen } = call;
		const person = await openPerson(call);
		if (isProblem(person)) return person;
		const { client } = person;
		try {
			const card = await client.card({ name: textOf(call, "name") ?? "" });
			screen.answer({ card }, call.options.card ? [card] : ["Your card, for others to send to:", card, ""]);
			if (call.options.card) return undefined;
			const done = Promise.withResolvers<void>();
			call.stop.addEventListener("abort", () => done.resolve());
			let left = Number(textOf(call, "count") ?? Number.POSITIVE_INFINITY);
			const counted = () => {
				if (--left <= 0) done.resolve();
			};
			await client.listen(handlers(screen, resolve(call.folder, textOf(call, "into") ?? "received"), counted));
			await done.promise;
			return undefined;
		} catch (error) {
			if (error instanceof FarelayError) return error.problem;
			throw error;
		} finally {
			await client.close();
		}
	},
};
