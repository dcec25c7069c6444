/**
 * Where a person's own things are on this machine: the account's seed, tabs, contacts, half-sent files. `--home`, else
 * `FARELAY_HOME`, else `.farelay-home` in the person's own folder.
 */

import { homedir } from "node:os";
import { join, resolve } from "node:path";
import { type Folder, openFolder } from "#host/folder";
import { type Call, type Options, textOf } from "./verb.ts";

/** Options of every verb that acts for a person. */
export const HOME_OPTIONS: Options = { home: { type: "string" }, market: { type: "string" } };

/** Where a market is looked for unless told otherwise: where a box opens one. */
export const MARKET_URL = "http://127.0.0.1:8787";

/** What they are called in `--help`. */
export const HOME_USAGE: readonly string[] = [
	"  --home PATH      your account and everything that belongs to it (FARELAY_HOME, or .farelay-home in your own folder)",
	`  --market URL     the marketplace (FARELAY_MARKET, or ${MARKET_URL})`,
];

/** The folder of the person's things. */
export function homeOf(call: Call): string {
	const path = textOf(call, "home") ?? call.env.FARELAY_HOME;
	return path ? resolve(call.folder, path) : join(homedir(), ".farelay-home");
}

/** The marketplace's URL. */
export function marketOf(call: Call): string {
	return textOf(call, "market") ?? call.env.FARELAY_MARKET ?? MARKET_URL;
}

/** The person's storage. */
export const storageOf = (call: Call): Folder => openFolder(homeOf(call));
