/**
 * Logs as JSON lines by pino. Whatever the caller hands in, secrets do not reach the destination: every line is looked at once more as
 * it is written, at any depth, with bindings and messages (threats 22 and 26).
 */

import { type DestinationStream, type Logger, pino } from "pino";

/** A logger; children carry what they were bound to. */
export type Log = Logger;

/** From the quietest to the loudest. */
export const LOG_LEVELS = ["silent", "fatal", "error", "warn", "info", "debug", "trace"] as const;
export type LogLevel = (typeof LOG_LEVELS)[number];

/** What {@link openLog} needs. */
export type LogOptions = {
	/** who logs: "market", "relay" */
	readonly name: string;
	/** default "info" */
	readonly level?: LogLevel;
	/** where lines go; standard output by default */
	readonly to?: DestinationStream;
};

/** Fields that are never written, whatever their case or the dashes in them. */
const SECRET_FIELDS = new Set([
	"authorization",
	"proxyauthorization",
	"cookie",
	"setcookie",
	"password",
	"secret",
	"secretkey",
	"privatekey",
	"seed",
	"signature",
	"token",
	"accesstoken",
]);

/** Whether a line may hold a secret field at all: parsing each line would cost more than writing it. */
const MAYBE_SECRET = /authorization|cookie|password|secret|private|seed|signature|token/i;

/** Secrets in running text: bearer tokens, signed tokens, and 64-byte secret keys or signatures in hex. */
const SECRET_TEXT = /\bBearer [\w.~+/=-]+|\beyJ[\w-]+\.[\w-]+\.[\w-]*|\b[0-9a-fA-F]{128}\b/g;

const REDACTED = "[redacted]";

/** A line without secrets. */
function scrub(line: string): string {
	const text = line.replaceAll(SECRET_TEXT, REDACTED);
	if (!MAYBE_SECRET.test(text)) return text;
	const clean = JSON.parse(text, (key, value) =>
		SECRET_FIELDS.has(key.replaceAll(/[-_]/g, "").toLowerCase()) ? REDACTED : value,
	);
	return `${JSON.stringify(clean)}\n`;
}

/** Opens a log. Times are ISO 8601 in UTC; no host name and no process id, which say nothing within one service's log. */
export function openLog(options: LogOptions): Log {
	const settings = {
		name: options.name,
		base: { name: options.name },
		level: options.level ?? "info",
		timestamp: pino.stdTimeFunctions.isoTime,
		formatters: { level: (label: string) => ({ level: label }) },
		hooks: { streamWrite: scrub },
	};
	return options.to ? pino(settings, options.to) : pino(settings);
}

/** A log that keeps nothing: for tests and for verbs that only talk to people. */
export function openSilentLog(): Log {
	return pino({ level: "silent" });
}
