/** The ledger on Postgres: relays' batches, each one call of one function, beside the same changes one by one on the same connection. */
import assert from "node:assert/strict";
import { isProblem } from "#contracts/problem";
import { crypto } from "#host/crypto";
import type { Postgres } from "#host/postgres";
import type { Change } from "#marketplace/ledger/book";
import { openPostgresBook } from "#marketplace/ledger/postgres";
import { runPostgres, type TestPostgres } from "#test/support/postgres";
import { tidy, warmOf } from "./ledger-job.ts";
import { BATCH, changesIn, openings, redemptions, type Town } from "./ledger-work.ts";
import { compare, cpuSeconds, median, type Result } from "./measure.ts";

/** One relay after the other, as one connection has it. */
const RELAYS = 4;

/** What one side came to. */
type Side = { readonly rate: number; readonly serverMicros: number; readonly ownMicros: number };

/** Measures batches against single changes, both durable, held to have left the same. */
export async function onPostgres(runs: number, quick: boolean): Promise<Result> {
	const calls = quick ? 5 : 20;
	const town: Town = { tabs: RELAYS * BATCH, relays: RELAYS };
	const work = redemptions(town, calls);
	const server = await runPostgres({ durable: true });
	const all = { ours: [] as Side[], peer: [] as Side[] };
	try {
		let contents: string | undefined;
		const side = async (which: keyof typeof all) => {
			const postgres = await server.open({ connectionsMax: 1 });
			try {
				const measured = await redeemAll(server, postgres, town, work, which === "ours");
				const found = await contentsOf(postgres);
				contents ??= found;
				if (found !== contents) throw new Error("the two did not write the same");
				all[which].push(measured);
				return measured.rate;
			} finally {
				await postgres.close();
			}
		};
		const result = await compare(
			"ledger",
			[
				{
					case: "pg-batch",
					unit: "a second, durable",
					better: "higher",
					peerName: "one-by-one",
					note: `redemptions on Postgres (fsync on), one connection, one call under way: ${BATCH} in a call of the function, or each in a call and a commit of its own`,
					ours: () => side("ours"),
					peer: () => side("peer"),
				},
			],
			runs,
		);
		const middle = (of: readonly Side[], figure: (side: Side) => number) => median(of.slice(1).map(figure));
		for (const row of result.rows)
			row.besides = {
				"ours: CPU us each of the database": middle(all.ours, ({ serverMicros }) => serverMicros),
				"peer: CPU us each of the database": middle(all.peer, ({ serverMicros }) => serverMicros),
				"ours: CPU us each of the market": middle(all.ours, ({ ownMicros }) => ownMicros),
				"peer: CPU us each of the market": middle(all.peer, ({ ownMicros }) => ownMicros),
			};
		return result;
	} finally {
		await server.stop();
	}
}

async function redeemAll(
	server: TestPostgres,
	postgres: Postgres,
	town: Town,
	calls: readonly Change[][],
	whole: boolean,
): Promise<Side> {
	const book = await openPostgresBook(postgres, crypto);
	assert(!isProblem(book), JSON.stringify(book));
	const apply = async (call: readonly Change[]) => {
		const other = (await book.apply(call)).find((outcome) => outcome !== "applied");
		if (other) throw new Error(`the book answered ${JSON.stringify(other)}`);
	};
	for (const call of openings(town)) await apply(call);
	const redeem = async (some: readonly Change[][]) => {
		for (const call of some) {
			if (whole) await apply(call);
			else for (const change of call) await apply([change]);
		}
	};
	const warm = warmOf(calls);
	const pid = await server.pid();
	tidy();
	await redeem(calls.slice(0, warm));
	const serverCpu = () => (pid === undefined ? 0 : cpuSeconds(pid) * 1e6);
	const [began, own, before] = [performance.now(), process.cpuUsage(), serverCpu()];
	await redeem(calls.slice(warm));
	const [ended, used, after] = [performance.now(), process.cpuUsage(own), serverCpu()];
	await book.close();
	const changes = changesIn(calls.slice(warm));
	return {
		rate: changes / ((ended - began) / 1000),
		serverMicros: (after - before) / changes,
		ownMicros: (used.user + used.system) / changes,
	};
}

/** A hash over all that the ledger says, accounts by their names: their numbers are chance, and calls' names are. */
async function contentsOf(postgres: Postgres): Promise<string> {
	const rows = await postgres.read((session) =>
		session.ask<{ contents: string }>(`SELECT md5(string_agg(one, ' ' ORDER BY one)) AS contents FROM (
			SELECT 'account ' || name || ' ' || balance AS one FROM accounts UNION ALL SELECT 'transfer ' || t::text FROM transfers t
			UNION ALL SELECT 'entry ' || transfer || ' ' || n || ' ' || name || ' ' || nanos FROM entries JOIN accounts a ON a.id = entries.account
			UNION ALL SELECT 'tab ' || t::text FROM tabs t UNION ALL SELECT 'record ' || r::text FROM records r) every`),
	);
	assert(!isProblem(rows), JSON.stringify(rows));
	return String(rows[0]?.contents);
}
