/** `farelay prove`: your own balances in the market's newest commitment, as a file that anybody can verify offline. */

import { resolve } from "node:path";
import { HOME_OPTIONS, HOME_USAGE } from "#cli/home";
import { openPerson } from "#cli/person";
import { gatherProof } from "#cli/proof";
import { proofJson, proofLines } from "#cli/proven";
import type { Call, Verb } from "#cli/verb";
import { type CheckedLink, checkChain, dayText, forkOf, type Link, linkOf } from "#contracts/chain";

import { isProblem, type Problem, problem } from "#contracts/problem";
import { readProof, writeFork, writeProof } from "#contracts/proof";
import { crypto } from "#host/crypto";
import { replaceFile } from "#host/replace";

export const verb: Verb = {
	summary: "proves that the market owes you what it should, and saves the proof",
	usage: [
		"farelay prove [FILE] [--all] [options]",
		"",
		"  FILE     where the proof goes (farelay-proof-DAY.json); farelay verify FILE checks it, offline, for anybody",
		"  --all    with the market's whole chain of commitments, instead of those since the first that you have seen",
		...HOME_USAGE,
		"",
		"Once a day the market commits to all that it owes. This holds your part of it against your own statement, and the",
		"market's past against what you saw of it before. The file shows your account's key and balances to whoever has it.",
	],
	options: () => ({ ...HOME_OPTIONS, all: { type: "boolean" } }),
	words: true,
	async run(call) {
		const [word, ...more] = call.words;
		if (more.length > 0) return problem("usage", `"${more[0]}" says nothing here. farelay prove --help says how.`);
		const person = await openPerson(call);
		if (isProblem(person)) return person;
		const gathered = await gatherProof(person, call.options.all === true);
		if (isProblem(gathered)) return gathered;
		const { parts, market, seen } = gathered;
		const text = writeProof(parts);
		const seenBefore = seen.map(({ commitment }) => commitment);
		const verdict = readProof(crypto, text, { market, seen: seenBefore });
		if (isProblem(verdict) && verdict.check === "head") return await tellFork(call, seen, parts.chain, verdict);
		const chain = checkChain(crypto, parts.chain, market);
		const day = "problem" in chain ? "unknown" : dayText(chain.at(-1)?.commitment.day ?? 0);
		const file = resolve(call.folder, word ?? `farelay-proof-${day}.json`);
		const unsaved = await save(file, text);
		if (unsaved) return unsaved;
		if (isProblem(verdict))
			return problem(verdict.problem, `${verdict.detail} What the market gave is in ${file}, for others to see.`, {
				spent: "no",
			});
		await gathered.keep();
		call.screen.answer({ file, ...proofJson(verdict) }, [
			...proofLines(verdict),
			`Saved in ${file}: farelay verify checks it, offline.`,
		]);
		return undefined;
	},
};

/** Saves the proof that the market keeps two histories. */
async function tellFork(
	call: Call,
	seen: readonly CheckedLink[],
	links: readonly Link[],
	why: Problem,
): Promise<Problem> {
	const chain = checkChain(crypto, links);
	const fork = seen.find((kept) => !("problem" in chain) && forkOf(kept.commitment, chain) !== undefined);
	if (!fork) return why;
	const file = resolve(call.folder, `farelay-fork-${dayText(fork.commitment.day)}.json`);
	const unsaved = await save(file, writeFork(linkOf(fork), links));
	return (
		unsaved ?? problem(why.problem, `${why.detail} The proof of it is ${file}: farelay verify explains it to anybody.`)
	);
}

async function save(file: string, text: string): Promise<Problem | undefined> {
	try {
		await replaceFile(file, text);
		return undefined;
	} catch (error) {
		const { code, syscall } = error as NodeJS.ErrnoException;
		if (syscall === undefined) throw error;
		return problem("disk", `${file} cannot be written (${code}).`, { spent: "no" });
	}
}
