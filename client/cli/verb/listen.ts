/** `farelay listen`: shows your card, then what comes, as it comes. Files go into a folder. */

import { resolve } from "node:path";
import { HOME_OPTIONS, HOME_USAGE } from "#cli/home";
import { openPerson } from "#cli/person";
import { type Progress, type Screen, sayBytes, sayCount, sayProblem } from "#cli/screen";
import { textOf, type Verb } from "#cli/verb";
import { toHex } from "#contracts/bytes";
import { isCardName } from "#contracts/card";
import { isProblem, type Problem, problem } from "#contracts/problem";
import { type DiskSink, diskSink, refuseFolder } from "#host/diskfile";
import { FarelayError } from "#sdk/error";
import type { Handlers } from "#sdk/incoming";

/** The largest file that is taken unless told otherwise: a long film. What a sender claims is not what a disk has. */
const MOST_BYTES = 4_000_000_000;

const UNITS: Record<string, number> = { "": 1, B: 1, KB: 1e3, MB: 1e6, GB: 1e9, TB: 1e12 };

/** A size as people write it, like `4 GB` or `500kB`. */
function parseSize(given: string): number | undefined {
	const [, count, unit] = /^(\d{1,9}(?:\.\d{1,3})?) ?([kKMGT]?[bB]?)$/.exec(given) ?? [];
	const bytes = Number(count) * (UNITS[(unit ?? "").toUpperCase()] ?? Number.NaN);
	return bytes >= 1 && Number.isSafeInteger(Math.round(bytes)) ? Math.round(bytes) : undefined;
}

/** Where files go, and the largest that is taken. */
type Into = { readonly folder: string; readonly mostBytes: number };

/** What is done with what comes. */
function handlers(screen: Screen, into: Into, counted: () => void, troubled: (why: Problem) => void): Handlers {
	const { folder, mostBytes } = into;
	const under = new Map<string, { sink: DiskSink; bar: Progress }>();
	const from = (key: Uint8Array) => screen.tone("faint", toHex(key).slice(0, 8));
	return {
		text({ id, from: sender, atMs, text }) {
			screen.answer({ text, id: toHex(id), from: toHex(sender), atMs }, [`${from(sender)}  ${printable(text)}`]);
			counted();
		},
		async file({ stream, name, sizeBytes }) {
			if (sizeBytes > mostBytes)
				return problem(
					"file-unreadable",
					`It has ${sayBytes(sizeBytes)}, and more than ${sayBytes(mostBytes)} are not taken; --most changes that.`,
				);
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
		failed({ stream, name }, why) {
			under.get(stream)?.bar.end();
			under.delete(stream);
			screen.line(`${printable(name)} did not come: ${sayProblem(why)}`);
		},
		report({ droppedTtl, droppedQuota }) {
			if (droppedTtl + droppedQuota > 0)
				screen.line(
					`${sayCount(droppedTtl, "message")} ${droppedTtl === 1 ? "was" : "were"} dropped because nobody read them in time, ${droppedQuota} because the mailbox was full.`,
				);
		},
		problem: troubled,
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
		`  --most SIZE      the largest file to take (${sayBytes(MOST_BYTES)} unless given)`,
		"  --count N        ends after so many messages and files",
		...HOME_USAGE,
	],
	options: () => ({
		...HOME_OPTIONS,
		card: { type: "boolean" },
		name: { type: "string" },
		into: { type: "string" },
		most: { type: "string" },
		count: { type: "string" },
	}),
	async run(call) {
		const { screen } = call;
		const name = textOf(call, "name") ?? "";
		if (!isCardName(name)) return problem("usage", "--name takes a short name on one line.");
		const count = textOf(call, "count");
		if (count !== undefined && !/^[1-9]\d{0,8}$/.test(count))
			return problem("usage", "--count takes a whole number from 1.");
		const most = textOf(call, "most");
		const mostBytes = most === undefined ? MOST_BYTES : parseSize(most);
		if (mostBytes === undefined) return problem("usage", "--most takes a size, like 500MB.");
		const into = { folder: resolve(call.folder, textOf(call, "into") ?? "received"), mostBytes };
		const unwritable = call.options.card ? undefined : await refuseFolder(into.folder);
		if (unwritable) return unwritable;
		const person = await openPerson(call);
		if (isProblem(person)) return person;
		const { client } = person;
		try {
			const card = await client.card({ name });
			screen.answer({ card }, call.options.card ? [card] : ["Your card, for others to send to:", card, ""]);
			if (call.options.card) return undefined;
			const done = Promise.withResolvers<Problem | undefined>();
			call.stop.addEventListener("abort", () => done.resolve(undefined));
			let left = Number(count ?? Number.POSITIVE_INFINITY);
			let said = "";
			const counted = () => {
				said = "";
				if (--left <= 0) done.resolve(undefined);
			};
			const troubled = (why: Problem) => {
				// a disk that takes nothing: what came waits at the relay, and nobody is helped by a program that asks for it again and again
				// and two that read as one device would take the mail from each other for ever
				if (why.problem === "disk" || why.problem === "conflict") done.resolve(why);
				else if (why.detail !== said) {
					// the client goes on trying by itself: once is enough until something comes
					said = why.detail;
					screen.line(screen.tone("faint", why.retry ? `${why.problem}: ${why.detail} Trying on.` : sayProblem(why)));
				}
			};
			await client.listen(handlers(screen, into, counted, troubled));
			return await done.promise;
		} catch (error) {
			if (error instanceof FarelayError) return error.problem;
			throw error;
		} finally {
			await client.close();
		}
	},
};
