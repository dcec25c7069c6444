/**
 * Reads what a source file imports, for the house rules and for the mutation runner. There is no parser of TypeScript to
 * be had without another dependency, so this blanks comments and strings first, keeping every position, and then looks
 * for the four forms an import can have. A wrong guess shows: the tests hold it against every file of the project.
 */
import { posix } from "node:path";

/** Paths of the project (posix, from its root) and their text. */
export type Tree = ReadonlyMap<string, string>;

/** One import: `from` as written; `lazy` when loaded by `import()` or as a worker; `typeOnly` when erased before it runs. */
export type Import = { from: string; lazy: boolean; typeOnly: boolean; line: number };

/** After these a slash starts a regular expression; after anything else it divides. */
const PATTERN_FOLLOWS = /^$|[(,=:[!&|?{};+\-*%<>~^]/;

/**
 * The text with the inside of comments (and, if asked, of strings and templates) replaced by spaces: same length, same
 * lines. Expressions inside templates count as part of them; nobody imports there.
 */
export function blank(text: string, what: { strings: boolean }): string {
	const out = text.split("");
	const clear = (from: number, to: number) => {
		for (let i = from; i < to; i++) if (out[i] !== "\n") out[i] = " ";
	};
	let i = 0;
	/** The last character that is not a space: it tells a division from the start of a regular expression. */
	let before = "";
	const pattern = () => PATTERN_FOLLOWS.test(before) || /\b(return|typeof|case|of|in)\s*$/.test(text.slice(i - 8, i));
	while (i < text.length) {
		const start = i;
		const c = text[i] ?? "";
		if (text.startsWith("//", i)) {
			const end = text.indexOf("\n", i);
			i = end < 0 ? text.length : end;
			clear(start, i);
		} else if (text.startsWith("/*", i)) {
			const end = text.indexOf("*/", i + 2);
			i = end < 0 ? text.length : end + 2;
			clear(start, i);
		} else if (c === '"' || c === "'" || c === "`") {
			i = endOfString(text, i);
			if (what.strings) clear(start + 1, i - 1);
			before = c;
		} else if (c === "/" && pattern()) {
			i = endOfPattern(text, i);
			if (what.strings) clear(start + 1, i - 1);
			before = "/";
		} else {
			if (c.trim()) before = c;
			i++;
		}
	}
	return out.join("");
}

/** The position after the closing quote; a template's `${}` parts are skipped with whatever strings are in them. */
function endOfString(text: string, start: number): number {
	const quote = text[start];
	let i = start + 1;
	// Only a template goes over lines: an apostrophe in the text of a page must not swallow the rest of the file.
	while (i < text.length && text[i] !== quote && (quote === "`" || text[i] !== "\n")) {
		if (text[i] === "\\") i++;
		else if (quote === "`" && text.startsWith("${", i)) {
			let depth = 1;
			i += 2;
			while (i < text.length && depth > 0) {
				const c = text[i] ?? "";
				if (c === '"' || c === "'" || c === "`") i = endOfString(text, i) - 1;
				else if (c === "{") depth++;
				else if (c === "}") depth--;
				i++;
			}
			continue;
		}
		i++;
	}
	return Math.min(i + 1, text.length);
}

/** The position after a regular expression's closing slash, or after the slash if the line ends before: a division. */
function endOfPattern(text: string, start: number): number {
	let inClass = false;
	for (let i = start + 1; i < text.length && text[i] !== "\n"; i++) {
		if (text[i] === "\\") i++;
		else if (text[i] === "[") inClass = true;
		else if (text[i] === "]") inClass = false;
		else if (text[i] === "/" && !inClass) return i + 1;
	}
	return start + 1;
}

const STATEMENT =
	/(?<=^|[;\n])[ \t]*(import|export)\b(\s+type\b(?!\s+from\b))?([^"'`;()]*?)\bfrom\s*["']([^"'\n]+)["']/g;
const BARE = /(?<=^|[;\n])[ \t]*import\s*["']([^"'\n]+)["']/g;
const LAZY = /\bimport\(\s*["']([^"'\n]+)["']/g;
const WORKER = /\bnew URL\(\s*["'](\.[^"'\n]+\.[mc]?[tj]sx?)["']\s*,\s*import\.meta\.url\b/g;

/** Everything that a source file imports, in the order of the four forms. */
export function importsOf(source: string): Import[] {
	const code = blank(source, { strings: false });
	const hollow = blank(source, { strings: true });
	const found: Import[] = [];
	const add = (match: RegExpExecArray, from: string | undefined, kind: Partial<Import>) => {
		// Inside a string the word is gone from the hollow text: a test's planted source is not an import.
		const word = match.index + match[0].search(/\S/);
		if (from === undefined || hollow[word] !== code[word]) return;
		const line = code.slice(0, word).split("\n").length;
		found.push({ from, lazy: false, typeOnly: false, line, ...kind });
	};
	for (const match of code.matchAll(STATEMENT)) {
		// `import { type A }` is not erased: what is left of it, `import {}`, still runs the file.
		add(match, match[4], { typeOnly: match[2] !== undefined });
	}
	for (const match of code.matchAll(BARE)) add(match, match[1], {});
	for (const match of code.matchAll(LAZY)) add(match, match[1], { lazy: true });
	for (const match of code.matchAll(WORKER)) add(match, match[1], { lazy: true });
	return found;
}

/** The project's file that an import names, by the manifest's `imports` map, or undefined for a package or `node:`. */
export function resolve(importer: string, from: string, map: Readonly<Record<string, string>>): string | undefined {
	if (from.startsWith(".")) return posix.join(posix.dirname(importer), from);
	for (const [name, target] of Object.entries(map)) {
		const [head = "", tail = ""] = name.split("*");
		if (from.startsWith(head) && from.endsWith(tail) && name.includes("*"))
			return posix.normalize(target.replace("*", from.slice(head.length, from.length - tail.length)));
	}
	return undefined;
}

/** For each source file, the project's files that it imports. */
export function graphOf(tree: Tree, map: Readonly<Record<string, string>>, keep = (_: Import) => true) {
	const graph = new Map<string, string[]>();
	for (const [path, text] of tree) {
		if (!/\.[mc]?[tj]sx?$/.test(path)) continue;
		const targets = importsOf(text)
			.filter(keep)
			.map(({ from }) => resolve(path, from, map))
			.filter((target) => target !== undefined);
		graph.set(path, targets);
	}
	return graph;
}
