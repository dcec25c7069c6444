/** How a verb hands its options to a service: the service's own settings become the verb's options, and back. */

import { flagOf, type Settings } from "#host/env";
import type { Call, Options } from "./verb.ts";

/** The options of a service's settings: `dataPath` is `--data-path`. Secrets have none: a command line is for everyone to read. */
export function optionsOf(settings: Settings): Options {
	const options: Options = {};
	for (const [name, setting] of Object.entries(settings)) {
		if (setting.secret) continue;
		options[flagOf(name).slice(2)] = { type: typeof setting.fallback === "boolean" ? "boolean" : "string" };
	}
	return options;
}

/** What was given, by the settings' names. */
export function flagsOf(call: Call, settings: Settings): Record<string, string | boolean | undefined> {
	return Object.fromEntries(Object.keys(settings).map((name) => [name, call.options[flagOf(name).slice(2)]]));
}
