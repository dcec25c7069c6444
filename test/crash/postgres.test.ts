/** Threats 5 and 13 on a database that several processes share: its server is killed with SIGKILL, by its id, again and again. */

import { describe, it } from "node:test";
import { systemClock } from "#host/clock";
import { crypto } from "#host/crypto";
import { openPostgres } from "#host/postgres";
import type { Book } from "#marketplace/ledger/book";
import { openPostgresBook } from "#marketplace/ledger/postgres";
import { fine } from "#test/support/market";
import { startPostgres } from "#test/support/postgres";
import { race } from "./race.ts";

const BOOKS = 4;

describe("threat 5: 32 clients race one account, tab, pool, payout and event on one Postgres that is killed under them", async () => {
	const server = await startPostgres({ durable: true });

	it("loses nothing that was answered, does nothing twice, and ends", async () => {
		const url = await server.database();
		const open = async () =>
			fine(await openPostgres({ url, clock: systemClock, random: Math.random, connectionsMax: 3, patienceMs: 60_000 }));
		const databases = await Promise.all(Array.from({ length: BOOKS }, open));
		const books: Book[] = [];
		for (const database of databases) books.push(fine(await openPostgresBook(database, crypto)));
		await race({
			books,
			kill: async () => {
				process.kill((await server.pid()) as number, "SIGKILL");
				await server.restart();
			},
			settled: async () => books[0] as Book,
		});
		for (const database of databases) await database.close();
	});
});
