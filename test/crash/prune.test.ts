/** Threat 13 for a ledger's past: whoever prunes, the market beside it or the database under it is killed with SIGKILL in the middle, and nothing of the past is lost or there twice. */

import assert from "node:assert/strict";
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { mkdir } from "node:fs/promises";
import { join } from "node:path";
import { after, afterEach, beforeEach, describe, it } from "node:test";
import { amount } from "#contracts/amount";
import { isProblem } from "#contracts/problem";
import { systemClock } from "#host/clock";
import { crypto } from "#host/crypto";
import { openPostgres } from "#host/postgres";
import type { Book, Change } from "#marketplace/ledger/book";
import { earnedAccount, payerAccount } from "#marketplace/ledger/chart";
import { move } from "#marketplace/ledger/post";
import { openPostgresBook } from "#marketplace/ledger/postgres";
import { pruneLedger } from "#marketplace/ledger/prune";
import { auditAt, openLedgerAlone } from "#marketplace/stores";
import { deposit, words } from "#test/acceptance/book";
import { fine } from "#test/support/market";
import { startPostgres, type TestPostgres } from "#test/support/postgres";
import { Place } from "#test/support/process";
import { until } from "#test/support/rawclient";
import { OLD_MS } from "./prune-child.ts";

const ADA = payerAccount("a1".repeat(32));
const OLU = earnedAccount("b2".repeat(32));

/** Old payments in a row, the first after a deposit. */
function old(run: string, payments: number): Change[] {
	const side = (account: string, nanos: bigint) => [{ account, nanos: amount(nanos) }];
	const pay = (n: number) =>
		move({ id: `old-${run}-${n}`, cause: `Payment ${n}`, atMs: n % OLD_MS }, side(ADA, 3n), side(OLU, 3n));
	const first = { ...deposit(`old-${run}`, ADA, 3n * BigInt(payments)), atMs: 0 };
	return [first, ...Array.from({ length: payments }, (_, n) => pay(n))].map((transfer) => ({ transfer }));
}

/** Where the command line dies, and whether the stretch it was at is out of the ledger then. */
const POINTS = [
	["archive:written", false],
	["archive:named", false],
	["ledger:within-group", false],
	["ledger:before-commit", false],
	["prune:removed", false],
	["ledger:after-commit", true],
	["prune:taken", true],
] as const;
const RANDOM_KILLS = 12;
const SERVER_KILLS = 6;

for (const engine of ["SQLite", "Postgres"] as const)
	describe(`threat 13: a pruning is killed in the middle (${engine})`, async () => {
		const server: TestPostgres | undefined = engine === "Postgres" ? await startPostgres({ durable: true }) : undefined;
		let place: Place;
		let at: Parameters<typeof auditAt>[0];
		let env: Record<string, string> = {};
		/** what the ledger must have, in its order */
		let history: Change[];

		beforeEach(async () => {
			place = await Place.open();
			await mkdir(place.path("market"));
			history = [];
			at = { engine: "sqlite", folder: place.path("market") };
			env = {};
			if (!server) return;
			const url = await server.database();
			at = { engine: "postgres", url, password: undefined };
			const named = new URL(url);
			writeFileSync(place.path("password"), decodeURIComponent(named.password), { mode: 0o600 });
			named.password = "";
			env = { FARELAY_DATABASE: named.href, FARELAY_DATABASE_PASSWORD_FILE: place.path("password") };
			const postgres = fine(await openPostgres({ url, clock: systemClock, random: Math.random }));
			fine(await openPostgresBook(postgres, crypto));
			await postgres.close();
		});
		afterEach(() => place.end());

		const archive = () => place.path("archive");
		const prunedParts = () =>
			existsSync(archive()) ? readdirSync(archive()).filter((name) => name.endsWith(".part")) : [];

		/** Writes more of what is old, all of which must be there from now on. */
		async function grow(changes: Change[]): Promise<void> {
			if (at.engine === "sqlite" && !existsSync(join(at.folder, "ledger.db")))
				writeFileSync(join(at.folder, "ledger.db"), "");
			const book = await opened();
			assert(words(await book.apply(changes)).every((word) => word === "applied"));
			history.push(...changes);
			await book.close();
		}
		const opened = async (): Promise<Book> => fine(await openLedgerAlone(at, { clock: systemClock, crypto }));

		/** As the kill left it: the ledger alone, the ledger with its archive, and each transfer asked for again. Answers up to where it is pruned. */
		async function prove(): Promise<number> {
			for (const folder of [undefined, archive()]) {
				const report = fine(await auditAt(at, [], systemClock, folder));
				assert.deepEqual([report.findings, report.sum], [[], 0n]);
			}
			const book = await opened();
			const again = await book.apply(history);
			assert.deepEqual(words(again), Array(history.length).fill("same"));
			const upTo = (await book.pruned())?.upTo ?? 0;
			assert.equal(
				await book.balance(OLU),
				3n * BigInt(history.filter(({ transfer }) => /-\d+$/.test(transfer?.id.slice(4) ?? "")).length),
			);
			await book.close();
			return upTo;
		}

		it("at every named point: the stretch is in the ledger or in the archive, never in none, and pruning again goes on", async () => {
			const points = POINTS.filter(([point]) => !point.startsWith(engine === "SQLite" ? "prune:removed" : "ledger:"));
			let [kills, parts] = [0, 0];
			for (const [run, [point, isOut]] of points.entries()) {
				await grow(old(`${run}`, 30));
				const words = ["market", "prune", "--to", archive(), ...(at.engine === "sqlite" ? ["--data", at.folder] : [])];
				const killed = await place.run(words, { env: { ...env, FARELAY_FAULT: point } });
				assert.equal(killed.signal, "SIGKILL", `${point}: ${killed.out}${killed.err}`);
				kills += 1;
				parts += prunedParts().length;
				assert.equal(await prove(), isOut ? history.length : history.length - 31, point);
				const done = await place.run(words, { env });
				assert.equal(done.code, 0, done.out + done.err);
				assert.equal(await prove(), history.length);
				assert.deepEqual(prunedParts(), []);
			}
			const lines = readdirSync(archive()).flatMap((name) =>
				readFileSync(join(archive(), name), "utf8").trim().split("\n"),
			);
			// each file has a first and a last line of its own
			assert.equal(lines.length, history.length + 2 * points.length, "a transfer is in the archive once");
			assert.deepEqual([kills, parts], [points.length, 1]);
			console.log(JSON.stringify({ engine, kills, parts }));
		});

		it("at random instants, or the market that writes beside it: what was answered is there, and both go on", async () => {
			await grow(old("many", 999));
			const tally = { kills: 0, ofMarkets: 0, stretches: 0, young: 0 };
			const answered: string[] = [];
			const started = new Set<ChildProcess>();
			const start = (work: "prune" | "write", run: number): ChildProcess => {
				const where = at.engine === "sqlite" ? at.folder : at.url;
				const child = spawn(
					process.execPath,
					[join(import.meta.dirname, "prune-child.ts"), work, where, archive(), `${run}`],
					{
						stdio: ["ignore", "pipe", "inherit"],
					},
				);
				started.add(child);
				return child;
			};
			after(() => {
				for (const child of started) child.kill("SIGKILL");
			});
			let before = 0;
			for (let run = 0; run < 200; run++) {
				const market = engine === "Postgres" ? start("write", run) : undefined;
				let rest = "";
				market?.stdout?.setEncoding("utf8").on("data", (text: string) => {
					const lines = (rest + text).split("\n");
					rest = lines.pop() ?? "";
					answered.push(...lines);
				});
				const ends = market && once(market, "close");
				if (market) await once(market.stdout as NonNullable<typeof market.stdout>, "data");
				const pruner = start("prune", run);
				const ended = once(pruner, "close");
				await Promise.race([once(pruner.stdout as NonNullable<typeof pruner.stdout>, "data"), ended]);
				const isEnough = tally.kills >= RANDOM_KILLS;
				if (!isEnough) {
					// not waiting for anything to happen: the instants are what is random here
					const aWhile = () => new Promise((resolve) => setTimeout(resolve, Math.random() * 200));
					await aWhile();
					if (market && run % 2 === 1) {
						market.kill("SIGKILL");
						tally.ofMarkets += 1;
						await aWhile();
					}
					tally.kills += pruner.kill("SIGKILL") ? 1 : 0;
				}
				const [code, signal] = await ended;
				market?.kill("SIGKILL");
				await ends;
				assert(code === 0 || signal === "SIGKILL", `it ended by itself (${code}, ${signal})`);
				const upTo = await prove();
				assert(upTo >= before);
				tally.stretches += upTo > before ? 1 : 0;
				before = upTo;
				if (isEnough && code === 0) break;
			}
			assert.equal(before, 1_000);
			const book = await opened();
			for (const id of answered) assert(await book.transfer(id), `${id} was answered and is lost`);
			await book.close();
			tally.young = answered.length;
			assert(tally.kills >= RANDOM_KILLS && tally.stretches > 1, JSON.stringify(tally));
			assert(engine === "SQLite" || (tally.ofMarkets >= 3 && tally.young > 20), JSON.stringify(tally));
			assert.deepEqual(prunedParts(), []);
			console.log(JSON.stringify({ engine, ...tally }));
		});

		if (engine === "Postgres")
			it("and the database's server under both: a stretch is out whole or not at all", async () => {
				await grow(old("many", 999));
				const url = at.engine === "postgres" ? at.url : "";
				const patient = { url, clock: systemClock, random: Math.random, patienceMs: 60_000 };
				const databases = [fine(await openPostgres(patient)), fine(await openPostgres(patient))] as const;
				const [ours, market] = await Promise.all(
					databases.map(async (one) => fine(await openPostgresBook(one, crypto))),
				);
				assert(ours && market && server);
				const state = { running: true, young: 0, pruned: 0, away: 0 };
				const writing = (async () => {
					for (; state.running; state.young++) {
						const transfer = { ...deposit(`young-${state.young}`, ADA, 1n), atMs: OLD_MS };
						assert.match(words(await market.apply([{ transfer }]))[0] ?? "", /^(applied|same)$/);
					}
				})();
				writing.catch(() => {
					state.running = false;
				});
				const pruning = (async () => {
					while (state.running && state.pruned < 1_000) {
						const bounds = { beforeMs: OLD_MS, upToMost: state.pruned + 20, sliceTransfers: 10 };
						const done = await pruneLedger({ book: ours, folder: archive(), ...bounds });
						if (isProblem(done)) state.away += 1;
						state.pruned = (await ours.pruned())?.upTo ?? 0;
					}
				})();
				let kills = 0;
				for (; kills < SERVER_KILLS; kills++) {
					const goal = Math.min(state.pruned + 40, 990);
					await until("pruning to get on", () => state.pruned >= goal || !state.running, 60_000);
					process.kill((await server.pid()) as number, "SIGKILL");
					await server.restart();
				}
				await pruning;
				state.running = false;
				await writing;
				for (const database of databases) await database.close();
				assert.equal(await prove(), 1_000);
				assert(kills === SERVER_KILLS && state.young > 10, JSON.stringify(state));
				console.log(JSON.stringify({ engine, kills, young: state.young, away: state.away }));
			});
	});
