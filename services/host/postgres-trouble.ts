/** What an error of Postgres, or of the network on the way to it, means for what was asked (docs/decisions/postgres.md). */

import pg from "pg";
import { type Problem, problem } from "#contracts/problem";

/**
 * A trouble of the machine or the network.
 * - `lost`: the connection is gone; what was under way on it may or may not have happened
 * - `refused`: the server did it not, and says so: asking again can help (`again`) or not
 */
export type Trouble =
	| { readonly kind: "lost"; readonly says: string }
	| { readonly kind: "refused"; readonly again: boolean; readonly problem: Problem };

/** A refusal by SQLSTATE, for all codes that begin with what is named: the problem, what it says, whether asking again soon can help. */
const REFUSALS: readonly (readonly [string, Parameters<typeof problem>[0], string, boolean])[] = [
	["40001", "too-many", "Others change the same at the same time; nothing was changed.", true],
	["40P01", "too-many", "Others change the same at the same time; nothing was changed.", true],
	// a standby that is about to take over, or a database that its owner froze
	["25006", "unavailable", "The database takes no changes at the moment; nothing was changed.", true],
	["57P03", "unavailable", "The database is starting or stopping; nothing was changed.", true],
	["53300", "too-many", "The database has no connection left for the market; nothing was changed.", true],
	["55P03", "too-many", "Something was locked for too long in the database; nothing was changed.", false],
	["57014", "too-many", "The database took too long, and was stopped; nothing was changed.", false],
	["53100", "disk", "The database's disk is full; nothing was changed.", false],
	["53", "unavailable", "The database is short of something; nothing was changed.", false],
	["58", "disk", "The database's disk failed; nothing was changed.", false],
	["XX", "data-corrupt", "The database is damaged; restore it from a backup.", false],
	["28", "usage", "The database knows no such user, or the password is wrong.", false],
	["3D000", "usage", "The server has no database of that name.", false],
	["42501", "usage", "The database's user may not do that there: it must own its tables.", false],
];

/** SQLSTATEs after which the connection is gone: class 08, and a server that was told to stop or has crashed. */
const LOST = /^(?:08|57P0[124]|40003|25P0[34])/;

/** What Node says when a socket cannot be had or is gone. */
const SOCKET =
	/^(?:ECONN|EPIPE|ETIMEDOUT|EHOSTUNREACH|ENETUNREACH|ENOTFOUND|EAI_AGAIN|ENOENT|EACCES|ERR_TLS|ERR_SSL|CERT_|DEPTH_|SELF_SIGNED|UNABLE_TO)/;

/** The driver's own words for the same: it gives them no code. */
const DRIVER =
	/^(?:Connection terminated|Client has encountered a connection error|Query read timeout|timeout exceeded when trying to connect|timeout expired|Client was closed|Client is closed|The server does not support SSL|There was an error establishing an SSL)/;

/** The driver's words where the server wants a password and none was given, or an empty one. */
const SASL = /^SASL: .*client password must be/;
const NO_PASSWORD = "The database wants a password, and none was given: FARELAY_DATABASE_PASSWORD_FILE names its file.";

/** The trouble that a thrown error stands for; undefined when it is a bug or a constraint. */
export function troubleOf(error: unknown): Trouble | undefined {
	if (!(error instanceof Error)) return undefined;
	const code = "code" in error && typeof error.code === "string" ? error.code : "";
	if (error instanceof pg.DatabaseError) {
		if (LOST.test(code)) return { kind: "lost", says: `SQLSTATE ${code}` };
		const known = REFUSALS.find(([begins]) => code.startsWith(begins));
		if (known === undefined) return undefined;
		return { kind: "refused", again: known[3], problem: problem(known[1], known[2], { spent: "no" }) };
	}
	if (SOCKET.test(code)) return { kind: "lost", says: code };
	// several addresses of one host, each refused
	if (error instanceof AggregateError) return error.errors.map(troubleOf).find((found) => found !== undefined);
	if (SASL.test(error.message))
		return { kind: "refused", again: false, problem: problem("usage", NO_PASSWORD, { spent: "no" }) };
	return DRIVER.test(error.message) ? { kind: "lost", says: "the connection ended" } : undefined;
}

/** Whether an error is a constraint of the database's own that refused a write (class 23). */
export function isRefusedByConstraint(error: unknown): boolean {
	return error instanceof pg.DatabaseError && error.code?.startsWith("23") === true;
}

/** A server that cannot be had, before anything was asked of it for good. */
export function unreachable(says: string): Problem {
	return problem("unavailable", `The database cannot be reached (${says}); nothing was changed.`, { spent: "no" });
}
