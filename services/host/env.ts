/**
 * Settings: flags over the environment (`FARELAY_*`) over one JSON file, read once at the start into typed values. A mistake is a problem
 * `usage` that names the setting and where it was found. Secrets come from the environment or a file, never from a flag, which every
 * process on the machine could read.
 */

import { readFileSync } from "node:fs";
import { type Problem, problem } from "#contracts/problem";

/** One setting: how it is read and what it is when nobody says. Make them with {@link text}, {@link whole}, {@link flag}, {@link choice}, {@link secret}. */
export type Setting<T> = {
	/** what it must look like, for people: "a whole number from 0 to 65535" */
	readonly expects: string;
	/** from a flag or a variable (text) or the file (any JSON); undefined when it is not one */
	readonly read: (found: unknown) => T | undefined;
	readonly fallback: T;
	readonly secret?: boolean;
};

/** Settings by their camelCase names: `dataPath` is `--data-path`, `FARELAY_DATA_PATH` and `"dataPath"`. */
export type Settings = Readonly<Record<string, Setting<unknown>>>;

/** The values of settings. */
export type Values<S extends Settings> = { readonly [name in keyof S]: S[name] extends Setting<infer T> ? T : never };

/** Where settings are read from. */
export type Sources = {
	/** by camelCase name, as the command line was parsed; true for a flag without a value */
	readonly flags?: Readonly<Record<string, string | boolean | undefined>>;
	/** the process's environment */
	readonly env: Readonly<Record<string, string | undefined>>;
	/** path of the JSON file; `FARELAY_CONFIG` when left out; none is fine */
	readonly file?: string | undefined;
	/** the file's object that is looked at first, e.g. "market": `{ "market": { "port": 8080 } }` */
	readonly section: string;
};

/** Any text that is not empty. */
export function text(fallback: string): Setting<string>;
export function text(fallback?: undefined): Setting<string | undefined>;
export function text(fallback?: string): Setting<string | undefined> {
	return {
		expects: "a text",
		read: (found) => (typeof found === "string" && found !== "" ? found : undefined),
		fallback,
	};
}

/** A whole number within bounds. */
export function whole(fallback: number, min: number, max: number): Setting<number> {
	return {
		expects: `a whole number from ${min} to ${max}`,
		read: (found) => {
			const value = typeof found === "string" && /^\d{1,16}$/.test(found) ? Number(found) : found;
			return Number.isSafeInteger(value) && (value as number) >= min && (value as number) <= max
				? (value as number)
				: undefined;
		},
		fallback,
	};
}

/** Yes or no; a flag without a value is yes. */
export function flag(fallback = false): Setting<boolean> {
	const words = new Map<unknown, boolean>([
		["true", true],
		["1", true],
		["yes", true],
		["false", false],
		["0", false],
		["no", false],
		[true, true],
		[false, false],
	]);
	return { expects: "yes or no", read: (found) => words.get(found), fallback };
}

/** One of a few words. */
export function choice<const W extends string>(fallback: W, words: readonly W[]): Setting<W> {
	return { expects: `one of ${words.join(", ")}`, read: (found) => words.find((word) => word === found), fallback };
}

/** A text that is a secret: by variable (`FARELAY_X`), by the path of a file (`FARELAY_X_FILE`), or in the JSON file. */
export function secret(): Setting<string | undefined> {
	return { ...text(), expects: "a secret", secret: true };
}

/** Reads settings from flags, environment and file. */
export function readSettings<const S extends Settings>(settings: S, sources: Sources): Values<S> | Problem {
	const file = readFile(sources.file ?? sources.env.FARELAY_CONFIG, sources.section, Object.keys(settings));
	if ("problem" in file) return file;
	const values: Record<string, unknown> = {};
	for (const [name, setting] of Object.entries(settings)) {
		const found = find(name, setting, sources, file.values);
		if (found === undefined) {
			values[name] = setting.fallback;
			continue;
		}
		if ("problem" in found) return found;
		const value = setting.read(found.value);
		// a secret's own value is never shown, not even when it is wrong
		if (value === undefined) return problem("usage", `${found.where} must be ${setting.expects}.`);
		values[name] = value;
	}
	return values as Values<S>;
}

/** The variable of a setting: `dataPath` is `FARELAY_DATA_PATH`. */
export function variableOf(name: string): string {
	return `FARELAY_${name.replaceAll(/[A-Z]/g, (letter) => `_${letter}`).toUpperCase()}`;
}

/** The flag of a setting: `dataPath` is `--data-path`. */
export function flagOf(name: string): string {
	return `--${name.replaceAll(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`)}`;
}

type Found = { readonly value: unknown; readonly where: string };

function find(
	name: string,
	setting: Setting<unknown>,
	{ flags = {}, env }: Sources,
	file: Readonly<Record<string, unknown>>,
): Found | Problem | undefined {
	const variable = variableOf(name);
	if (flags[name] !== undefined) {
		if (setting.secret)
			return problem("usage", `${flagOf(name)} is a secret: give it by ${variable} or ${variable}_FILE.`);
		return { value: flags[name], where: flagOf(name) };
	}
	// a variable that is set to nothing is as good as none: shells and compose files make those
	if (env[variable]) return { value: env[variable], where: variable };
	const path = setting.secret ? env[`${variable}_FILE`] : undefined;
	if (path) {
		const read = readText(path);
		return "problem" in read ? read : { value: read.text.trim(), where: `the file of ${variable}_FILE` };
	}
	if (Object.hasOwn(file, name)) return { value: file[name], where: `"${name}" in the configuration file` };
	return undefined;
}

function readFile(
	path: string | undefined,
	section: string,
	names: readonly string[],
): { readonly values: Readonly<Record<string, unknown>> } | Problem {
	if (path === undefined || path === "") return { values: {} };
	const read = readText(path);
	if ("problem" in read) return read;
	let json: unknown;
	try {
		json = JSON.parse(read.text);
	} catch {
		return problem("usage", `The configuration file ${path} is not JSON.`);
	}
	if (!isRecord(json)) return problem("usage", `The configuration file ${path} is not a JSON object.`);
	const own = json[section] ?? {};
	if (!isRecord(own)) return problem("usage", `"${section}" in ${path} is not a JSON object.`);
	// a setting that is misspelt would otherwise silently not count
	const odd = Object.keys(own).find((name) => !names.includes(name));
	if (odd !== undefined) return problem("usage", `There is no setting "${odd}" for ${section} (${path}).`);
	return { values: { ...json, ...own } };
}

function isRecord(json: unknown): json is Record<string, unknown> {
	return typeof json === "object" && json !== null && !Array.isArray(json);
}

function readText(path: string): { readonly text: string } | Problem {
	try {
		return { text: readFileSync(path, "utf8") };
	} catch (error) {
		const code = error instanceof Error && "code" in error ? String(error.code) : "unreadable";
		return problem("file-unreadable", `The file ${path} cannot be read (${code}).`);
	}
}
