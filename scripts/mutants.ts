/**
 * Makes mutants: copies of a source file with one check removed or flipped. A good test suite fails for each of them.
 * It works on lines as the formatter leaves them, so that it needs no parser; what does not parse afterwards is dropped.
 */
import { stripTypeScriptTypes } from "node:module";
import { blank } from "./imports.ts";

/**
 * One change to one file. `from` and `to` are the changed line before and after, trimmed: they name it across edits.
 * `at` are the positions of the change and of its line's first character.
 */
export type Mutant = { path: string; line: number; from: string; to: string; text: string; at: readonly number[] };

/** A change from position `start` up to `end`. */
type Edit = { start: number; end: number; put: string };

/** The comparison that lets through or keeps out exactly one value more, or means the opposite. */
const COMPARISON: Record<string, string> = {
	"<": "<=",
	"<=": "<",
	">": ">=",
	">=": ">",
	"===": "!==",
	"!==": "===",
};

/** The text with declarations of types blanked too: nothing in them runs. */
function running(text: string): string {
	const hollow = blank(text, { strings: true });
	const out = hollow.split("");
	for (const found of hollow.matchAll(/^(export )?(declare )?(type|interface) \w/gm)) {
		let depth = 0;
		let i = found.index;
		for (; i < hollow.length; i++) {
			const c = hollow[i] ?? "";
			if ("{([".includes(c)) depth++;
			if ("})]".includes(c) && --depth === 0 && found[3] === "interface") break;
			if (c === ";" && depth === 0) break;
		}
		for (let at = found.index; at < i; at++) if (out[at] !== "\n") out[at] = " ";
	}
	return out.join("");
}

/** The position of the parenthesis that closes the one at `open`. */
function closing(code: string, open: number): number {
	let depth = 0;
	for (let i = open; i < code.length; i++) {
		if (code[i] === "(") depth++;
		if (code[i] === ")" && --depth === 0) return i;
	}
	return -1;
}

function* comparisons(code: string): Generator<Edit> {
	for (const found of code.matchAll(/(?<=\s)(===|!==|<=|>=|<|>)(?=\s)/g))
		yield { start: found.index, end: found.index + found[0].length, put: COMPARISON[found[0]] ?? "" };
	for (const found of code.matchAll(/(?<=\s)(&&|\|\|)(?=\s)/g))
		yield { start: found.index, end: found.index + 2, put: found[0] === "&&" ? "||" : "&&" };
}

/** Each condition taken as false, as if its line were not there, and as its opposite. */
function* conditions(code: string, text: string): Generator<Edit> {
	for (const found of code.matchAll(/\bif \(/g)) {
		const start = found.index + found[0].length;
		const end = closing(code, start - 1);
		if (end < 0) continue;
		yield { start, end, put: "false" };
		// A single equality is already turned round by itself.
		if (!/^[^&|]*\s(===|!==)\s[^&|]*$/.test(code.slice(start, end)))
			yield { start, end, put: `!(${text.slice(start, end)})` };
	}
}

/** Whole statements on a line of their own, taken out: a throw, a call, a change of state. Not what only tells of it. */
function* statements(code: string): Generator<Edit> {
	const statement =
		/^[ \t]*(throw .*|(await |void )?[\w$#][\w$.#!?]*\(.*\)|[\w$#][\w$.#!?[\]]* ([-+|&]?=) [^=].*|[\w$.#]+(\+\+|--));$/gm;
	for (const found of code.matchAll(statement)) {
		const start = found.index + found[0].search(/\S/);
		if (/^(super|log|logger|console)\b|\blog\./.test(found[0].trimStart())) continue;
		// A line in the middle of something longer: the statement before it has not ended.
		if (!/(^|[;{}:)>]|\belse)\s*$/.test(code.slice(0, start).trimEnd().slice(-5))) continue;
		yield { start, end: found.index + found[0].length, put: ";" };
	}
	for (const found of code.matchAll(/\breturn (true|false);/g))
		yield { start: found.index, end: found.index + found[0].length, put: `return ${found[1] !== "true"};` };
}

/** Off by one. Only inside sums: the size of a bound is a choice, and the check that uses it has its own mutants. */
function* sums(code: string): Generator<Edit> {
	for (const found of code.matchAll(/(?<= [+-] )(\d[\d_]*)(n?)\b(?!\.)/g)) {
		const more = BigInt((found[1] ?? "").replaceAll("_", "")) + 1n;
		yield { start: found.index, end: found.index + found[0].length, put: `${more}${found[2]}` };
	}
}

/** The database's own checks, which stand in strings. */
function* constraints(text: string): Generator<Edit> {
	for (const found of blank(text, { strings: false }).matchAll(/\bCHECK\s*\(/g))
		yield { start: found.index + found[0].length, end: found.index + found[0].length, put: "1 OR " };
}

/** Whether the text is still TypeScript that Node takes. */
function parses(text: string): boolean {
	try {
		stripTypeScriptTypes(text);
		return true;
	} catch {
		return false;
	}
}

/** Every mutant of a file, in the order of its lines. */
export function mutantsOf(path: string, text: string): Mutant[] {
	const code = running(text);
	const edits = [
		...comparisons(code),
		...conditions(code, text),
		...statements(code),
		...sums(code),
		...constraints(text),
	];
	const seen = new Set([text]);
	const mutants: Mutant[] = [];
	for (const { start, end, put } of edits.sort((a, b) => a.start - b.start)) {
		const mutated = text.slice(0, start) + put + text.slice(end);
		if (seen.has(mutated) || !parses(mutated)) continue;
		seen.add(mutated);
		const lineStart = text.lastIndexOf("\n", start - 1) + 1;
		const flat = (part: string) => part.replace(/\s+/g, " ").trim();
		const rest = (after: number) => after + Math.max(0, `${text.slice(after)}\n`.indexOf("\n"));
		mutants.push({
			path,
			line: text.slice(0, start).split("\n").length,
			from: flat(text.slice(lineStart, rest(end))),
			to: flat(text.slice(lineStart, start) + put + text.slice(end, rest(end))),
			text: mutated,
			at: [start, lineStart + text.slice(lineStart).search(/\S/)],
		});
	}
	return mutants;
}
