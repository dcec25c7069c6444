/**
 * A Postgres by URL: `postgres://user@host:5432/database`. The password is better kept in a file of its own; encryption is asked for wherever
 * the database is not on this machine, and its certificate is held against the host's name.
 */

import { readFileSync } from "node:fs";
import { type Problem, problem } from "#contracts/problem";
import { isLoopback } from "./loopback.ts";

/** Where a database is and who asks, as the driver wants it. Holds the password: never log it. */
export type PostgresAddress = {
	readonly host: string;
	readonly port: number;
	readonly user: string;
	readonly password: string | undefined;
	readonly database: string;
	readonly ssl: false | { readonly rejectUnauthorized: true; readonly ca?: string };
};

/** What may stand behind the question mark. */
const PARAMETERS = new Set(["host", "sslmode", "sslrootcert", "user"]);

const HOW = "A database is named as postgres://USER@HOST:PORT/DATABASE, its password in a file of its own.";

/** Whether a URL names a Postgres at all. */
export function isPostgresUrl(url: string): boolean {
	return /^postgres(?:ql)?:\/\//.test(url);
}

/** Whether a URL carries a password, which must not stand where every process of the machine can read it. */
export function holdsPassword(url: string): boolean {
	return URL.canParse(url) && new URL(url).password !== "";
}

/** Reads a URL. What is wrong is said without showing the URL, which may hold a password. */
export function readPostgresUrl(text: string, password?: string): PostgresAddress | Problem {
	if (!isPostgresUrl(text) || !URL.canParse(text)) return problem("usage", `That is no address of a Postgres. ${HOW}`);
	const url = new URL(text);
	const odd = [...url.searchParams.keys()].find((name) => !PARAMETERS.has(name));
	if (odd !== undefined) return problem("usage", `The database's URL has a parameter "${odd}" that is not known here.`);
	const socket = url.searchParams.get("host");
	if (socket !== null && (url.hostname !== "" || !socket.startsWith("/")))
		return problem("usage", "In the database's URL host= names the folder of a socket, and no host stands before it.");
	const host = socket ?? url.hostname.replace(/^\[(.*)\]$/, "$1");
	const user = url.username === "" ? url.searchParams.get("user") : decode(url.username);
	const database = decode(url.pathname.slice(1));
	const own = url.password === "" ? undefined : decode(url.password);
	if (host === "" || !user || !database) return problem("usage", `The database's URL names not all it must. ${HOW}`);
	if (own === null || (own !== undefined && password !== undefined))
		return problem("usage", "The database's password is given twice, or has a stray % in it.");
	const ssl = readSsl(url, socket !== null || isLoopback(host));
	if (ssl !== false && "problem" in ssl) return ssl;
	const port = url.port === "" ? 5432 : Number(url.port);
	return { host, port, user, password: own ?? password, database, ssl };
}

function readSsl(url: URL, near: boolean): PostgresAddress["ssl"] | Problem {
	const mode = url.searchParams.get("sslmode") ?? (near ? "disable" : "verify-full");
	if (mode === "disable") return false;
	if (mode !== "verify-full")
		return problem(
			"usage",
			"sslmode is verify-full or disable: what lies between encrypts without knowing for whom, which anybody in the middle can be.",
		);
	const path = url.searchParams.get("sslrootcert");
	if (path === null) return { rejectUnauthorized: true };
	try {
		return { rejectUnauthorized: true, ca: readFileSync(path, "utf8") };
	} catch {
		return problem("file-unreadable", `The database's root certificate ${path} cannot be read.`);
	}
}

/** null for a stray percent sign. */
function decode(text: string): string | null {
	try {
		return decodeURIComponent(text);
	} catch {
		return null;
	}
}
