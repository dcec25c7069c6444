/** A ledger with a long past, for what it costs to go on: its tabs are opened by the book, what they redeemed since is written by SQL. */
import { isProblem } from "#contracts/problem";
import { openDatabase } from "#host/database";
import { COMMONS, MARKET_FEES } from "#marketplace/ledger/chart";
import { LEDGER_KIND, LEDGER_MIGRATIONS } from "#marketplace/ledger/schema";
import { openTown } from "./ledger-job.ts";
import { operatorOf, type Town } from "./ledger-work.ts";

/** Entries that opening a tab takes, and a redemption. */
const ENTRIES_OPEN = 4;
const ENTRIES_REDEEM = 4;

/** Makes a ledger of about so many entries, in which a town's tabs are open; says how many there are. */
export async function grow(path: string, town: Town, entries: number): Promise<number> {
	await openTown(path, town);
	const database = openDatabase({ path, kind: LEDGER_KIND, migrations: LEDGER_MIGRATIONS });
	if (isProblem(database)) throw new Error(database.detail);
	const each = Math.floor((entries / town.tabs - ENTRIES_OPEN) / ENTRIES_REDEEM);
	// nothing is at stake until the file is whole, so it is written once, without a log, and nothing is looked up for it. All tabs in turn, as it was in their time: what is written in order leaves pages too full to go on in
	database.exec(
		`PRAGMA foreign_keys = OFF; PRAGMA synchronous = OFF; PRAGMA journal_mode = OFF; PRAGMA cache_size = -1000000; BEGIN`,
	);
	const account = database.prepare("INSERT INTO accounts (name, floor, balance) VALUES (?, 0, 0)");
	for (const name of [MARKET_FEES, COMMONS]) account.run(name);
	for (let relay = 0; relay < town.relays; relay++) account.run(operatorOf(town, relay));
	const number = "(SELECT id FROM accounts WHERE name =";
	database.exec(`
		CREATE TEMP TABLE past AS SELECT n, tab, relay, ${number} 'hold:' || tab) AS hold,
			${number} 'operator:' || json_extract(value, '$.operator') || ':earned') AS earned,
			(SELECT max(position) FROM transfers) + 1 + n AS first
		FROM (SELECT row_number() OVER (ORDER BY tab) - 1 AS n, tab, relay, value FROM tabs);
		CREATE TEMP TABLE turns AS WITH RECURSIVE turn (n) AS (VALUES (0) UNION ALL SELECT n + 1 FROM turn LIMIT ${each}) SELECT n FROM turn;
		INSERT INTO transfers (position, id, cause, atMs, digest)
			SELECT first + turns.n * ${town.tabs}, 'redeem:' || tab || ':past:' || format('%09d', turns.n),
				'Carried on tab ' || tab || ' by relay ' || relay, 1750000000000, format('%064d', first)
			FROM turns CROSS JOIN past;
		INSERT INTO entries (transfer, n, account, nanos)
			SELECT first + turns.n * ${town.tabs}, side.n, CASE side.n WHEN 0 THEN hold WHEN 1 THEN earned ELSE side.account END, side.nanos
			FROM turns CROSS JOIN past CROSS JOIN (SELECT 0 AS n, 0 AS account, -4 AS nanos UNION ALL SELECT 1, 0, 2
				UNION ALL SELECT 2, ${number} '${MARKET_FEES}'), 1 UNION ALL SELECT 3, ${number} '${COMMONS}'), 1) AS side;
		UPDATE accounts SET balance = balance - 4 * ${each} WHERE id IN (SELECT hold FROM past);
		UPDATE accounts SET balance = 2 * ${each} * (SELECT count(*) FROM past WHERE earned = accounts.id) WHERE id IN (SELECT earned FROM past);
		UPDATE accounts SET balance = ${each} * (SELECT count(*) FROM past) WHERE name IN ('${MARKET_FEES}', '${COMMONS}');
		COMMIT`);
	const found = Number(database.prepare("SELECT count(*) AS n FROM entries").get()?.n);
	database.close();
	return found;
}
