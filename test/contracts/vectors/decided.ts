/** The vectors of what a market's people decide. */
import { amount, NOTHING } from "#contracts/amount";
import { toHex } from "#contracts/bytes";
import { chainDecision, DEEDS, type Decision, NO_DECISION, readDecision, signDecision } from "#contracts/decision";
import type { Crypto } from "#contracts/identity";
import { flip, must, NOW_MS, patch, resign, seed, world } from "#test/contracts/world";
import { accepted, lengths, refused, type VectorFile } from "./case.ts";

export function decisionVectors(crypto: Crypto): VectorFile {
	const w = world(crypto);
	const by = crypto.keyPair(seed(8));
	const base: Decision = {
		...{ market: w.root.publicKey, by: by.publicKey, id: seed(0xaa).subarray(0, 16), deed: "freeze" },
		...{
			subject: crypto.keyPair(seed(4)).publicKey,
			why: "Forty accounts open tabs as one.",
			nanos: NOTHING,
			atMs: NOW_MS,
		},
	};
	const sign = (of: Partial<Decision> = {}) => signDecision(crypto, { ...base, ...of }, by.secretKey);
	const aCase = seed(0xbb).subarray(0, 16);
	const all: [string, Partial<Decision>][] = DEEDS.map((deed) => {
		if (deed === "risk")
			return ["puts money aside", { deed, subject: new Uint8Array(), nanos: amount(25_000_000_000n) }];
		const isAboutCase = deed === "answer" || deed === "uphold" || deed === "lift";
		return [`${deed}`, { deed, ...(isAboutCase && { subject: aCase }) }];
	});
	all.push(["with a line's end and letters of other scripts", { why: "So ist es.\nそうです。" }]);
	let hash = NO_DECISION;
	const decisions = all.map(([name, of]) => {
		const { bytes, why, subject, nanos, deed } = sign(of);
		const read = must(readDecision(crypto, bytes));
		hash = chainDecision(crypto, hash, read);
		return accepted(name, { deed, subject, why, nanos, bytes, chain: hash });
	});
	const good = sign().bytes;
	const bad: [string, Uint8Array][] = [
		...lengths(good),
		["version 2", resign(crypto, "decision", patch(good, 0, Uint8Array.of(2)), by.secretKey)],
		[
			"a deed that there is not",
			resign(crypto, "decision", patch(good, 81, Uint8Array.of(DEEDS.length)), by.secretKey),
		],
		["an account where a case belongs", sign({ deed: "lift" }).bytes],
		["a case where an account belongs", sign({ subject: aCase }).bytes],
		["money in what is not about money", sign({ nanos: amount(1n) }).bytes],
		["nothing put aside", sign({ deed: "risk", subject: new Uint8Array() }).bytes],
		["no reason", sign({ why: "" }).bytes],
		["a reason of spaces", sign({ why: "  \n" }).bytes],
		["a reason of 601 bytes", sign({ why: "x".repeat(601) }).bytes],
		["a reason that steers a terminal", sign({ why: "\u001b[2J" }).bytes],
		["a reason that turns the writing round", sign({ why: "\u202eabc" }).bytes],
		["signed by somebody else", resign(crypto, "decision", good, w.operator.secretKey)],
		["signed for another purpose", resign(crypto, "listing", good, by.secretKey)],
		["a bit of the account changed", flip(good, 90)],
	];
	return {
		contract: "decision",
		section: "Decisions",
		by: toHex(by.publicKey),
		decisions,
		decisionsRefused: bad.map(([name, bytes]) => refused(name, bytes, readDecision(crypto, bytes))),
	};
}
