/** All that a market's databases hold, table by table, as both engines name it. A new table or column belongs here: a move refuses to leave one behind. */

/** How a column's values travel: as text, as whole numbers of 64 bits, as bytes. */
export type Kind = "text" | "bigint" | "bytea";
/** A value on its way. */
export type Value = string | bigint | Uint8Array;

/** One table: rows are read in the order of its first columns, as many as `key` says. */
export type Table = {
	readonly store: "ledger" | "board" | "cards";
	readonly sqlite: string;
	readonly postgres: string;
	readonly columns: Readonly<Record<string, Kind>>;
	readonly key: number;
};

const row = (key: Readonly<Record<string, Kind>>, rest: Readonly<Record<string, Kind>>) => ({
	columns: { ...key, ...rest },
	key: Object.keys(key).length,
});

/** In the order in which they are written: what others point to comes first. */
export const TABLES: readonly Table[] = [
	{
		...{ store: "ledger", sqlite: "accounts", postgres: "accounts" },
		...row({ id: "bigint" }, { name: "text", floor: "bigint", balance: "bigint" }),
	},
	{
		...{ store: "ledger", sqlite: "transfers", postgres: "transfers" },
		...row({ position: "bigint" }, { id: "text", cause: "text", atMs: "bigint", digest: "text" }),
	},
	{
		...{ store: "ledger", sqlite: "entries", postgres: "entries" },
		...row({ transfer: "bigint", n: "bigint" }, { account: "bigint", nanos: "bigint" }),
	},
	{
		...{ store: "ledger", sqlite: "prunings", postgres: "prunings" },
		...row({ upTo: "bigint" }, { since: "bigint", atMs: "bigint", chain: "text", carried: "text" }),
	},
	{
		...{ store: "ledger", sqlite: "carried", postgres: "carried" },
		...row({ account: "bigint" }, { balance: "bigint", gone: "bigint" }),
	},
	{
		...{ store: "ledger", sqlite: "tabs", postgres: "tabs" },
		...row(
			{ tab: "text" },
			{ version: "bigint", account: "text", relay: "text", state: "text", deadlineMs: "bigint", value: "text" },
		),
	},
	{
		...{ store: "ledger", sqlite: "records", postgres: "records" },
		...row(
			{ kind: "text", key: "text" },
			{ version: "bigint", account: "text", state: "text", dueMs: "bigint", value: "text" },
		),
	},
	{
		...{ store: "board", sqlite: "relays", postgres: "boardRelays" },
		...row({ relay: "bytea" }, { origin: "text", validUntilMs: "bigint" }),
	},
	{
		...{ store: "board", sqlite: "postings", postgres: "boardPostings" },
		...row(
			{ place: "bigint" },
			{ relay: "bytea", tariff: "text", issuedAtMs: "bigint", validUntilMs: "bigint", bytes: "bytea" },
		),
	},
	{
		...{ store: "board", sqlite: "notes", postgres: "boardNotes" },
		...row({ name: "text" }, { version: "bigint", text: "text" }),
	},
	{
		...{ store: "board", sqlite: "used", postgres: "boardUsed" },
		...row({ mark: "bytea" }, { untilMs: "bigint" }),
	},
	{
		...{ store: "cards", sqlite: "card", postgres: "cards" },
		...row(
			{ place: "bytea" },
			{ serial: "bigint", withdrawn: "bigint", untilMs: "bigint", keptUntilMs: "bigint", bytes: "bytea" },
		),
	},
];

/** What an engine keeps for itself: numbers that are set anew at the end of a move, answers to calls that have ended, and which steps of a schema were done. */
const OWN = {
	sqlite: ["tally"],
	postgres: [
		...["boardPlace", "cardTally", "ledgerCalls"],
		...["ledger", "board", "cards"].flatMap((kind) => [`${kind}Migrations`, `${kind}MigrationsLock`]),
	],
};

/** What a database has, by its own catalogue, and a move would leave behind: the first such table, or column of one. */
export function leftBehind(
	engine: "sqlite" | "postgres",
	columns: readonly (readonly [string, string])[],
): string | undefined {
	for (const [name, column] of columns) {
		if (OWN[engine].includes(name)) continue;
		const table = TABLES.find((one) => one[engine] === name);
		if (!table) return `a table ${name}`;
		if (!(column in table.columns)) return `a column ${column} in ${name}`;
	}
	return undefined;
}
