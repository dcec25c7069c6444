/** Which database keeps a market's ledger and the rest, by name: files in a folder, or a Postgres (docs/decisions/postgres.md). */

import { resolve } from "node:path";
import { type Problem, problem } from "#contracts/problem";
import { holdsPassword, isPostgresUrl } from "#host/postgres-url";

/** A market's database. Holds a password: never log it. */
export type DatabaseAt =
	| { readonly engine: "sqlite"; readonly folder: string }
	| { readonly engine: "postgres"; readonly url: string; readonly password: string | undefined };

/** What names a database in the settings. */
type Named = {
	readonly dataPath: string;
	readonly database: string | undefined;
	readonly databasePassword: string | undefined;
};

/** Reads `sqlite:FOLDER` or `postgres://...`; the data folder when nothing is named. `from`: where a relative folder begins. */
export function databaseOf({ dataPath, database, databasePassword }: Named, from = "."): DatabaseAt | Problem {
	if (database === undefined) return { engine: "sqlite", folder: dataPath };
	const [, folder] = /^sqlite:(.+)$/.exec(database) ?? [];
	if (folder !== undefined) return { engine: "sqlite", folder: resolve(from, folder) };
	if (isPostgresUrl(database)) return { engine: "postgres", url: database, password: databasePassword };
	return problem("usage", "A database is named as sqlite:FOLDER or postgres://USER@HOST:PORT/DATABASE.");
}

/** What is wrong with a name that stands where every process of the machine can read it. */
export function refuseShown(database: unknown): Problem | undefined {
	if (typeof database !== "string" || !holdsPassword(database)) return undefined;
	return problem(
		"usage",
		"A password on the command line is for all to read: give it by FARELAY_DATABASE_PASSWORD_FILE.",
	);
}
