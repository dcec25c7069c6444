/** What a market does by the clock while its database is away: said in one line each round, seen in its health, and gone on with when it is back. */

import assert from "node:assert/strict";
import { it } from "node:test";
import { problem } from "#contracts/problem";
import { openLog } from "#host/log";
import { BookFailure } from "#marketplace/ledger/book";
import { openMemoryBook } from "#marketplace/ledger/memory";
import { startTestMarket } from "#test/support/market";
import { until } from "#test/support/rawclient";

it("says in one line that its database is away, each time, without where in the program that was noticed; and in its health until it is back", async () => {
	const book = openMemoryBook();
	const state: { fails: Error | undefined } = { fails: undefined };
	const records: typeof book.records = async (query) => {
		if (state.fails) throw state.fails;
		return book.records(query);
	};
	const lines: string[] = [];
	const log = openLog({ name: "market", level: "error", to: { write: (line) => void lines.push(line) } });
	const market = await startTestMarket({}, { book: { ...book, records }, log });
	const health = async () =>
		(await (await fetch(`${market.url}/health`)).json()) as { ok: boolean; troubles: Record<string, string> };
	const round = async (what: string, holds: () => Promise<boolean> | boolean) =>
		until(what, async () => {
			await market.clock.advance(10_000);
			return holds();
		});
	try {
		state.fails = new BookFailure(
			problem("unavailable", "The database cannot be reached (ECONNREFUSED); nothing was changed."),
		);
		await round("a line", () => lines.length > 0);
		const [line = "{}"] = lines;
		const { problem: code, says, chore, err, msg } = JSON.parse(line) as Record<string, string>;
		assert.deepEqual([code, err], ["unavailable", undefined]);
		assert.match(String(says), /ECONNREFUSED/);
		assert.match(String(msg), /a chore failed; it is tried again/);
		assert.ok(!line.includes("    at ") && line.length < 400, line);
		const ill = await health();
		assert.deepEqual([ill.ok, ill.troubles[String(chore)]], [false, "unavailable"]);
		// a bug is told with where it was
		state.fails = new TypeError("a bug");
		await round("the bug", () => lines.some((one) => one.includes("a bug") && one.includes("chores.test.ts")));
		state.fails = undefined;
		await round("its health", async () => (await health()).ok);
	} finally {
		await market.stop();
	}
});
