/** Which database keeps a market's ledger and the rest, by name: files in a folder, or a Postgres (docs/decisions/postgres.md). */

import { readFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { isProblem, type Problem, problem } from "#contracts/problem";
import { problemOfDatabase } from "#host/database";
import { holdsPassword, isPostgresUrl } from "#host/postgres-url";
import { writeJson } from "#host/replace";

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

/** Beside a market's keys: which database it used last, without a password. */
const FILE = "database.json";

/**
 * Notes which database a market uses, so that a start that forgets to name it does not take the folder's own files for it, which are empty or from before a
 * move, and its owner's questions find it.
 */
export async function rememberDatabase(dataPath: string, at: DatabaseAt): Promise<void> {
	const [database, before] = [nameOf(at), usedDatabase(dataPath) ?? nameOf({ engine: "sqlite", folder: dataPath })];
	if (database !== before) await writeJson(join(dataPath, FILE), { database });
}

/** A database's name, of which nothing is secret. */
function nameOf(at: DatabaseAt): string {
	if (at.engine === "sqlite") return `sqlite:${resolve(at.folder)}`;
	const url = new URL(at.url);
	url.password = "";
	return url.href;
}

/** Why the files in a data folder are not its market's database; undefined when they are. */
function elsewhere(dataPath: string): Problem | undefined {
	const database = usedDatabase(dataPath);
	if (database === undefined || database === nameOf({ engine: "sqlite", folder: dataPath })) return undefined;
	if (isProblem(database)) return database;
	return problem(
		"usage",
		`The market of ${dataPath} keeps its money in ${database}, and none was named: say --database ${database}. Only if the files in the folder are to be the market again: --database sqlite:${dataPath}.`,
	);
}

/** Which database a market noted last, for questions that name none; undefined where it never used one outside of its folder. */
export function usedDatabase(dataPath: string): string | Problem | undefined {
	const path = join(dataPath, FILE);
	try {
		const { database } = JSON.parse(readFileSync(path, "utf8")) as { readonly database?: unknown };
		if (typeof database === "string") return database;
	} catch (error) {
		if ((error as NodeJS.ErrnoException).code === "ENOENT") return undefined;
		const known = problemOfDatabase(error, path);
		if (known) return known;
	}
	return problem("data-corrupt", `${path} does not say which database the market uses: name it with --database.`);
}

/** Reads `sqlite:FOLDER` or `postgres://...`; the data folder when nothing is named. `from`: where a relative folder begins. */
export function databaseOf({ dataPath, database, databasePassword }: Named, from = "."): DatabaseAt | Problem {
	if (database === undefined) return elsewhere(dataPath) ?? { engine: "sqlite", folder: dataPath };
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
