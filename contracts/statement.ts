/**
 * A statement: every line of an account's money, as JSON and as CSV (PROTOCOL.md, "The marketplace's HTTP"). `net` is what a line changed in its purse,
 * `gross` the same before the fees were taken, so that gross = net + fees on every line, and the nets of a purse sum to what is in it.
 */

import { formatDollars } from "./amount.ts";

/** The amounts of a line, in the order in which people read them. All are signed nano-dollars; fees are what was taken. */
export const STATEMENT_AMOUNTS = ["gross", "marketFee", "solidarityFee", "exchangeFee", "railFee", "net"] as const;

/** One line. */
export type StatementLine = Readonly<Record<(typeof STATEMENT_AMOUNTS)[number], bigint>> & {
	/** rises with every line; the cursor of the next page. What one transfer moves between purses shares it. */
	readonly position: number;
	readonly atMs: number;
	readonly id: string;
	readonly cause: string;
	/** which of the account's purses */
	readonly purse: string;
};

/** A line as JSON has it: its amounts as decimal strings. */
export type StatementLineJson = Readonly<Record<(typeof STATEMENT_AMOUNTS)[number], string>> &
	Pick<StatementLine, "position" | "atMs" | "id" | "cause" | "purse">;

/** Writes a line as JSON. */
export function statementJson(line: StatementLine): StatementLineJson {
	const amounts = STATEMENT_AMOUNTS.map((name) => [name, line[name].toString()]);
	const { position, atMs, id, cause, purse } = line;
	return {
		position,
		atMs,
		id,
		cause,
		purse,
		...(Object.fromEntries(amounts) as Record<"net", string>),
	} as StatementLineJson;
}

/** Reads a line from JSON, from a market that is not trusted; undefined for anything else. */
export function statementLine(json: unknown): StatementLine | undefined {
	if (typeof json !== "object" || json === null) return undefined;
	const found = json as Record<string, unknown>;
	const { position, atMs, id, cause, purse } = found;
	if (!Number.isSafeInteger(position) || !Number.isSafeInteger(atMs)) return undefined;
	if (Math.abs(atMs as number) > LAST_MS) return undefined;
	if (typeof id !== "string" || typeof cause !== "string" || typeof purse !== "string") return undefined;
	const amounts: [string, bigint][] = [];
	for (const name of STATEMENT_AMOUNTS) {
		const text = found[name];
		if (typeof text !== "string" || !/^(0|-?[1-9][0-9]{0,18})$/.test(text)) return undefined;
		amounts.push([name, BigInt(text)]);
	}
	return { position, atMs, id, cause, purse, ...Object.fromEntries(amounts) } as StatementLine;
}

/** The last moment that has a date. */
const LAST_MS = 8_640_000_000_000_000;

/** The first line of a statement as CSV (RFC 4180). Amounts are dollars. */
export const STATEMENT_CSV_HEAD =
	"position,time,id,cause,purse,gross USD,market fee USD,solidarity fee USD,exchange fee USD,rail fee USD,net USD\r\n";

/** A line as CSV: exact decimal dollars, texts in quotes, and nothing that a spreadsheet would take for a formula. */
export function statementCsv(line: StatementLine): string {
	const amounts = STATEMENT_AMOUNTS.map((name) => formatDollars(line[name]).replace("$", ""));
	const texts = [line.id, line.cause, line.purse].map(quoted);
	return `${[line.position, new Date(line.atMs).toISOString(), ...texts, ...amounts].join(",")}\r\n`;
}

/** What makes a spreadsheet read a cell as a formula, in a cell's first place or after one that it may take for the end of a cell. */
const FORMULA = /(^|[\t\r\n;,|])(["\s]*)(?=[=+\-@\uFF1D\uFF0B\uFF0D\uFF20])/g;

/** A cell of text. What would begin a formula gets an apostrophe before it, which a spreadsheet shows or takes for "text". */
function quoted(text: string): string {
	return `"${text
		.replace(/\p{Cc}/gu, " ")
		.replace(FORMULA, "$1$2'")
		.replaceAll('"', '""')}"`;
}
