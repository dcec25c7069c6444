/** `farelay verify FILE`: who owes whom on a tab, offline, with nothing but public keys. */

import { resolve } from "node:path";
import { textOf, type Verb } from "#cli/verb";
import { fromHex, toHex } from "#contracts/bytes";
import { readDispute, type Verdict, verdictLines } from "#contracts/dispute";
import { isProblem, problem } from "#contracts/problem";
import { crypto } from "#host/crypto";
import { readSmall } from "#host/diskfile";

/** A dispute file has 3 kB; what is far larger is something else and is not read. */
const FILE_BYTES_MAX = 65_536;

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
	summary: "says who owes whom by a dispute file, offline",
	usage: [
		"farelay verify FILE [--market KEY] [--json]",
		"",
		"  --market KEY   the root key of the market that you trust (farelay doctor shows it); without it the file's own keys",
		"                 prove that it is consistent, not that it is true",
	],
	options: () => ({ market: { type: "string" } }),
	words: true,
	async run(call) {
		const [file] = call.words;
		if (file === undefined || call.words.length > 1)
			return problem("usage", "Name one dispute file: farelay verify FILE.");
		const pinned = textOf(call, "market");
		const market = pinned === undefined ? undefined : fromHex(pinned, 32);
		if (pinned !== undefined && !market) return problem("usage", "--market takes a key of 64 hex digits.");
		const bytes = await readSmall(resolve(call.folder, file), FILE_BYTES_MAX);
		if (isProblem(bytes)) return bytes;
		// bytes that are no UTF-8 become U+FFFD, which no dispute file holds
		const text = new TextDecoder("utf-8", { ignoreBOM: true }).decode(bytes);
		const verdict = readDispute(crypto, text, market);
		if (isProblem(verdict))
			return problem(verdict.problem, `The check of the ${verdict.check} fails: ${verdict.detail}`);
		call.screen.answer(asJson(verdict), verdictLines(verdict));
		return undefined;
	},
};
