/**
 * Codes that whoever has one may use: for a pass, or for a gift. Sixteen characters for paper and telephones, fifteen of chance and one that catches a slip;
 * a link carries the same behind its `#`, which browsers keep to themselves (PROTOCOL.md, "Passes").
 */

import { type Crypto, hashFor } from "./identity.ts";
import { type Problem, problem } from "./problem.ts";

/** Crockford's digits: none that people take for another. */
const DIGITS = "0123456789ABCDEFGHJKMNPQRSTVWXYZ";
/** Five bits each: 75 bits of chance. */
const CHANCE_CHARS = 15;
const CODE_CHARS = CHANCE_CHARS + 1;
/** A link of any market, with room to spare; what is longer is no code. */
const TEXT_CHARS_MAX = 400;

/** What a code is for; also the page of the market that its link leads to. */
export type CodeUse = "pass" | "gift";

const text = new TextEncoder();

/** Makes a code from chance. */
export function makeCode(crypto: Crypto): string {
	// a byte's low five bits are as good as all of it
	const chance = Array.from(crypto.random(CHANCE_CHARS), (byte) => DIGITS[byte & 31]).join("");
	return chance + checkOf(crypto, chance);
}

function checkOf(crypto: Crypto, chance: string): string {
	const [first = 0] = hashFor(crypto, "code-check", text.encode(chance));
	return DIGITS[first & 31] ?? "";
}

/** A code as people read it to each other: four groups of four. */
export function showCode(code: string): string {
	return code.match(/.{4}/g)?.join("-") ?? "";
}

/** A code as a link to open: the market's address, what it is for, and behind the `#` the code. */
export function codeLink(marketUrl: string, use: CodeUse, code: string): string {
	return `${marketUrl.replace(/\/+$/, "")}/${use}#${showCode(code)}`;
}

/**
 * Reads what somebody typed or opened: a code in any case, with or without its dashes, with the letters that are taken for digits, or a link with one behind its
 * `#`. Total: any text gives a code in its one form, or a problem.
 */
export function readCode(crypto: Crypto, typed: string): string | Problem {
	const none = problem(
		"malformed",
		"That is not a code: it has 16 letters and digits, or it is a link that ends in them.",
	);
	if (typed.length > TEXT_CHARS_MAX) return none;
	const behind = typed.slice(typed.lastIndexOf("#") + 1);
	const code = behind.toUpperCase().replaceAll(/[\s-]/g, "").replaceAll("O", "0").replaceAll(/[IL]/g, "1");
	if (code.length !== CODE_CHARS || ![...code].every((digit) => DIGITS.includes(digit))) return none;
	if (checkOf(crypto, code.slice(0, CHANCE_CHARS)) !== code.at(-1))
		return problem("malformed", "There is a slip in that code; look at it again, character by character.");
	return code;
}

/** What a market keeps of a code: enough to know it again and not enough to use it. */
export function codeHash(crypto: Crypto, code: string): Uint8Array {
	return hashFor(crypto, "code", text.encode(code));
}
