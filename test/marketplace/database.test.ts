/** A market's database by URL: the market that writes to it, and its owner's questions beside it. */

import assert from "node:assert/strict";
import { existsSync } from "node:fs";
import { rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { after, describe, it } from "node:test";
import { isProblem } from "#contracts/problem";
import { systemClock } from "#host/clock";
import { crypto } from "#host/crypto";
import { openSilentLog } from "#host/log";
import { playConfig, readConfig } from "#marketplace/config";
import { databaseOf } from "#marketplace/database";
import { RISK } from "#marketplace/ledger/chart";
import { startMarketplace } from "#marketplace/main";
import { auditAt, openLedgerBeside } from "#marketplace/stores";
import { quickFolder } from "#test/support/folder";
import { fine } from "#test/support/market";
import { startPostgres } from "#test/support/postgres";

const server = await startPostgres();
const folder = await quickFolder("farelay-database-");
after(() => rm(folder, { recursive: true, force: true }));

describe("a market's database by URL", () => {
	it("keeps the ledger in Postgres, with the password from a file, and is audited and read beside the market", async () => {
		const url = new URL(await server.database());
		const passwordFile = join(folder, "password");
		await writeFile(passwordFile, `${decodeURIComponent(url.password)}\n`);
		url.password = "";
		const env = { FARELAY_DATABASE: url.href, FARELAY_DATABASE_PASSWORD_FILE: passwordFile };
		const { database, databasePassword } = fine(readConfig({ env }));
		const config = { ...playConfig(folder), database, databasePassword };
		const at = fine(databaseOf(config));
		const deps = { clock: systemClock, crypto, log: openSilentLog() };
		const none = await auditAt(at, [], systemClock);
		assert(isProblem(none) && none.problem === "not-found", "an audit makes no tables");
		const market = fine(await startMarketplace({ ...config, risk: 5n as never }, deps));
		try {
			assert.deepEqual(fine(await auditAt(at, [], systemClock)).findings, []);
			const ledger = fine(await openLedgerBeside(at, systemClock));
			assert.equal(await ledger.balance(RISK), 5n);
			assert.match((await ledger.check())?.detail ?? "", /without fsync and full_page_writes/);
			await ledger.close();
		} finally {
			assert.equal(await market.stop(), true);
		}
		assert.equal(existsSync(join(folder, "ledger.db")), false);

		const forgot = databaseOf({ ...config, database: undefined });
		assert(isProblem(forgot) && forgot.problem === "usage", "an empty ledger would pass for the market's");
		assert(forgot.detail?.includes(`--database ${url.href}`), forgot.detail);
		const again = await startMarketplace({ ...config, database: undefined }, deps);
		assert(isProblem(again) && again.detail === forgot.detail);
		assert.equal(existsSync(join(folder, "ledger.db")), false);

		// by word only, the files are the market again, and that is remembered too
		const back = { ...config, database: `sqlite:${folder}` };
		assert.equal(await fine(await startMarketplace(back, deps)).stop(), true);
		assert.deepEqual(databaseOf({ ...config, database: undefined }), { engine: "sqlite", folder });
		await writeFile(join(folder, "database.json"), "{");
		const torn = databaseOf({ ...config, database: undefined });
		assert(isProblem(torn) && torn.problem === "data-corrupt");
	});

	it("threat 22: a password on the command line is refused, and no problem shows one", () => {
		const shown = readConfig({ flags: { database: "postgres://me:tell-nobody@h/x" }, env: {} });
		assert(isProblem(shown) && shown.problem === "usage");
		const odd = databaseOf({ ...playConfig(folder), database: "mysql://me:tell-nobody@h/x" });
		assert(isProblem(odd) && odd.problem === "usage");
		assert.doesNotMatch(JSON.stringify([shown, odd]), /tell-nobody/);
	});

	it("is a folder of files when it is named so, or not at all", () => {
		const named = (database: string | undefined) => databaseOf({ ...playConfig("/data"), database }, "/from");
		assert.deepEqual(named(undefined), { engine: "sqlite", folder: "/data" });
		assert.deepEqual(named("sqlite:other"), { engine: "sqlite", folder: "/from/other" });
		assert.deepEqual(named("sqlite:/other"), { engine: "sqlite", folder: "/other" });
	});
});
