/**
 * What a verb is: a summary for the list, a usage for `--help`, options, and what it does. One file per verb in `verb/`,
 * loaded only when it is called, so that `farelay verify` never loads a server.
 */

import type { ParseArgsConfig } from "node:util";
import type { Problem } from "#contracts/problem";
import type { Screen } from "./screen.ts";

/** Options as `node:util` parses them. */
export type Options = NonNullable<ParseArgsConfig["options"]>;

/** One call of a verb, with everything it may touch. */
export type Call = {
	readonly options: Readonly<Record<string, string | boolean | undefined>>;
	readonly words: readonly string[];
	readonly screen: Screen;
	readonly env: NodeJS.ProcessEnv;
	/** The folder that relative paths are meant from. */
	readonly folder: string;
	/** Ends when the person asks for it (Ctrl-C) or the machine does. */
	readonly stop: AbortSignal;
};

export type Verb = {
	readonly summary: string;
	/** Lines for `--help`, the first being the call itself. */
	readonly usage: readonly string[];
	/** What it takes; asked for only when it is called, because a service's settings come from the service. */
	options(): Options | Promise<Options>;
	/** Whether it takes words that no option names: a card, a file, an amount. Elsewhere a word is refused, for it was meant to say something. */
	readonly words?: true;
	/** Answers nothing when done, or the problem to be told. What a verb finds to be wrong (a forged file) is a problem too, and what else it found stands beside it: with `--json` that is the one object. */
	run(call: Call): Promise<Problem | undefined>;
};

/** Options that every verb takes; a verb may give one of them another meaning. */
export const COMMON_OPTIONS: Options = {
	json: { type: "boolean" },
	help: { type: "boolean", short: "h" },
};

/** An option's text, if it was given. */
export function textOf(call: Call, name: string): string | undefined {
	const value = call.options[name];
	return typeof value === "string" ? value : undefined;
}
