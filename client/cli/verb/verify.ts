/** `farelay verify FILE`: what a dispute file, a bill, a proof of balances, a proof of a fork or a pool's report says, offline, with nothing but public keys. */

import { resolve } from "node:path";
import { HOME_USAGE, homeOf, storageOf } from "#cli/home";
import { forkJson, forkVerdictLines, proofJson, proofLines } from "#cli/proven";
import { reportJson, reportLines } from "#cli/reported";
import { type Call, textOf, type Verb } from "#cli/verb";
import { billLines, readBillFile } from "#contracts/billfile";
import { fromHex, toHex } from "#contracts/bytes";
import type { Commitment } from "#contracts/commitment";
import { readDispute, type Verdict, verdictLines } from "#contracts/dispute";
import { readHeads } from "#contracts/heads";
import { isProblem, type Problem, problem } from "#contracts/problem";
import { fileKind, readFork, readProof } from "#contracts/proof";
import { readReport } from "#contracts/reportfile";
import { crypto } from "#host/crypto";
import { readSmall } from "#host/diskfile";
import { getJson } from "#sdk/storage";

/** A dispute file has 3 kB, a proof with a year of commitments 700 kB; what is far larger is something else and is not read. */
const FILE_BYTES_MAX = 2_000_000;

function asJson(verdict: Verdict): object {
	const { grant, voucher, usage, receipt, owed, exact, pinned, key } = verdict;
	return {
		owed,
		exact,
		permitted: voucher.nanos,
		used: usage?.used.nanos ?? null,
		paid: receipt?.paid.nanos ?? null,
		operator: receipt ? toHex(receipt.operator) : null,
		market: toHex(key.market),
		marketPinned: pinned,
		onlineKey: toHex(key.key),
		relay: toHex(grant.relay),
		session: toHex(grant.session),
		tab: toHex(grant.tab),
	};
}

export const verb: Verb = {
	summary: "checks a dispute file, a bill, a proof of balances or of a fork, or a pool's report, offline",
	usage: [
		"farelay verify FILE [--market KEY] [--seen FILE] [--json]",
		"",
		"  --market KEY   the root key of the market that you trust (farelay doctor shows it); without it the file's own keys",
		"                 prove that it is consistent, not that it is true",
		"  --seen FILE    commitments that somebody saw earlier, beside those that your own account has seen: a relay keeps them",
		"                 in heads.json of its data folder",
		...HOME_USAGE.filter((line) => line.includes("--home")),
	],
	options: () => ({ market: { type: "string" }, seen: { type: "string" }, home: { type: "string" } }),
	words: true,
	async run(call) {
		const [file] = call.words;
		if (file === undefined || call.words.length > 1) return problem("usage", "Name one file: farelay verify FILE.");
		const pinned = textOf(call, "market");
		const market = pinned === undefined ? undefined : fromHex(pinned, 32);
		if (pinned !== undefined && !market) return problem("usage", "--market takes a key of 64 hex digits.");
		const text = await textOfFile(call, file);
		if (typeof text !== "string") return text;
		const kind = fileKind(text);
		if (kind === "proof/1") return await verifyProof(call, text, market);
		if (kind === "bill/1") {
			const verdict = readBillFile(crypto, text, market);
			if (isProblem(verdict)) return failed(verdict);
			const { bill, pinned: marketPinned } = verdict;
			const { ask, marketFee, solidarityFee, total, payer, commons, pools } = bill.bill;
			const keys = { tab: toHex(bill.tab), relay: toHex(bill.relay), market: toHex(bill.market), marketPinned };
			call.screen.answer({ ask, marketFee, solidarityFee, total, payer, commons, pools, ...keys }, billLines(verdict));
			return undefined;
		}
		if (kind === "fork/1") {
			const fork = readFork(crypto, text, market);
			if (isProblem(fork)) return failed(fork);
			call.screen.answer(forkJson(fork), forkVerdictLines(fork));
			return undefined;
		}
		if (kind === "pool/1") {
			const report = readReport(crypto, text, market);
			if (isProblem(report)) return failed(report);
			call.screen.answer(reportJson(report), reportLines(report));
			return undefined;
		}
		const verdict = readDispute(crypto, text, market);
		if (isProblem(verdict)) return failed(verdict);
		call.screen.answer(asJson(verdict), verdictLines(verdict));
		return undefined;
	},
};

function failed({ problem: code, check, detail }: Problem & { readonly check: string }): Problem {
	return problem(code, `The check of the ${check} fails: ${detail}`);
}

async function textOfFile(call: Call, file: string): Promise<string | Problem> {
	const bytes = await readSmall(resolve(call.folder, file), FILE_BYTES_MAX);
	// bytes that are no UTF-8 become U+FFFD, which none of these files holds
	return isProblem(bytes) ? bytes : new TextDecoder("utf-8", { ignoreBOM: true }).decode(bytes);
}

async function verifyProof(call: Call, text: string, market: Uint8Array | undefined): Promise<Problem | undefined> {
	const seen = await commitmentsSeen(call);
	if (isProblem(seen)) return seen;
	const verdict = readProof(crypto, text, { market, seen });
	if (isProblem(verdict)) return failed(verdict);
	call.screen.answer(proofJson(verdict), proofLines(verdict));
	return undefined;
}

/** What this machine's account has seen of any market, and what `--seen` names. */
async function commitmentsSeen(call: Call): Promise<Commitment[] | Problem> {
	const lists: unknown[] = [];
	try {
		const storage = storageOf(call);
		for (const key of await storage.list("heads/")) lists.push(await getJson(storage, key));
	} catch (error) {
		const { code, syscall } = error as NodeJS.ErrnoException;
		if (syscall === undefined) throw error;
		return problem("disk", `${homeOf(call)} cannot be read (${code}); name another folder with --home.`);
	}
	const file = textOf(call, "seen");
	if (file !== undefined) {
		const text = await textOfFile(call, file);
		if (typeof text !== "string") return text;
		const json = parsed(text);
		if (readHeads(crypto, json).length === 0)
			return problem("malformed", `${file} holds no commitments that were seen.`);
		lists.push(json);
	}
	return lists.flatMap((list) => readHeads(crypto, list).map(({ commitment }) => commitment));
}

function parsed(text: string): unknown {
	try {
		return JSON.parse(text);
	} catch {
		return undefined;
	}
}
