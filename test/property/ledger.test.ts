/** Any order of deposits, tabs, redemptions, closes, retries and thefts leaves every engine with the same, whole book. */

import assert from "node:assert/strict";
import { rm } from "node:fs/promises";
import { join } from "node:path";
import { after, describe, it } from "node:test";
import fc from "fast-check";
import { amount } from "#contracts/amount";
import { isProblem } from "#contracts/problem";
import { crypto } from "#host/crypto";
import type { Postgres } from "#host/postgres";
import type { Pass } from "#host/writer";
import type { Book, Change, Outcome, RowChange } from "#marketplace/ledger/book";
import { earnedAccount, holdAccount, MARKET_FEES, payerAccount, WORLD_PLAY } from "#marketplace/ledger/chart";
import { openMemoryBook } from "#marketplace/ledger/memory";
import { giveBack, post, reserve } from "#marketplace/ledger/post";
import { openPostgresBook } from "#marketplace/ledger/postgres";
import { auditFile, openSqliteBook } from "#marketplace/ledger/sqlite";
import { pack } from "#marketplace/ledger/sqlite-pack";
import { type LedgerCalls, open } from "#marketplace/ledger/sqlite-thread";
import { quickFolder } from "#test/support/folder";
import { emptied, startPostgres } from "#test/support/postgres";

const key = (n: number) => n.toString(16).padStart(64, "0");
const tabOf = (n: number) => n.toString(16).padStart(32, "0");
const PAYERS = [0, 1, 2].map((n) => payerAccount(key(n)));
const HOLDS = [0, 1, 2, 3].map((n) => holdAccount(tabOf(n)));
const EARNED = [0, 1].map((n) => earnedAccount(key(n)));
const ACCOUNTS = [WORLD_PLAY, MARKET_FEES, ...PAYERS, ...HOLDS, ...EARNED];

type Step = {
	kind: "deposit" | "reserve" | "post" | "void";
	who: number;
	tab: number;
	nanos: bigint;
	id: number;
	expect: number;
	again: number;
};

const step: fc.Arbitrary<Step> = fc.record({
	kind: fc.constantFrom("deposit", "deposit", "reserve", "reserve", "post", "post", "void"),
	who: fc.nat(2),
	tab: fc.nat(3),
	nanos: fc.bigInt(0n, 40n),
	// few ids, so that the same id often comes again, sometimes with other content
	id: fc.nat(30),
	expect: fc.oneof(fc.constant(0), fc.nat(4)),
	// how many steps back to do again instead, if any: a caller that got no answer
	again: fc.oneof({ weight: 3, arbitrary: fc.constant(0) }, { weight: 1, arbitrary: fc.nat(6) }),
});

/** What a step asks of the book; a step about a tab also writes its row. */
function changeOf({ kind, who, tab, nanos, id, expect }: Step): Change {
	const label = { id: `${kind}-${id}`, cause: kind, atMs: id };
	const [payer, hold, earned] = [PAYERS[who]!, HOLDS[tab]!, EARNED[who % 2]!];
	const part = (account: string, share: bigint) => ({ account, nanos: amount(share) });
	if (kind === "deposit") {
		// enough for several tabs: where everything is refused for want of money nothing else is seen
		const given = nanos * 10n + 1n;
		const entries = [
			{ account: WORLD_PLAY, nanos: -given },
			{ account: payer, nanos: given },
		];
		return { transfer: { ...label, entries } };
	}
	const row: RowChange = {
		table: "tabs",
		expect,
		row: {
			tab: tabOf(tab),
			account: key(who),
			relay: key(9),
			state: kind,
			deadlineMs: id,
			value: `{"nanos":"${nanos}"}`,
		},
		// little room, so that it is often missing
		...(expect === 0 && { most: { states: ["reserve", "void"], ofAccount: id % 3, ofAll: 2 } }),
	};
	if (kind === "reserve") return { transfer: reserve(label, [part(payer, nanos)], hold), rows: [row] };
	if (kind === "post") return { transfer: post(label, hold, [part(earned, nanos), part(MARKET_FEES, nanos / 8n)]) };
	return { transfer: giveBack(label, hold, [part(payer, nanos)]), rows: expect === 0 ? [row] : [] };
}

const word = (outcome: Outcome) => (typeof outcome === "string" ? outcome : outcome.refused);

describe("the ledger under any order of events", () => {
	const folders: string[] = [];
	after(async () => {
		for (const folder of folders) await rm(folder, { recursive: true, force: true });
	});

	async function sqliteBook(): Promise<Book> {
		const folder = await quickFolder("farelay-property-");
		folders.push(folder);
		const book = await openSqliteBook({ path: join(folder, "ledger.db") });
		if (isProblem(book)) assert.fail(book.detail);
		return book;
	}

	const server = startPostgres();
	let postgres: Promise<Postgres> | undefined;
	async function postgresBook(): Promise<Book> {
		postgres ??= (await server).open();
		const book = await openPostgresBook(await emptied(await postgres), crypto);
		if (isProblem(book)) assert.fail(book.detail);
		return book;
	}

	const engines = [
		{ engine: "SQLite", open: sqliteBook },
		{ engine: "Postgres", open: postgresBook },
	];
	for (const { engine, open } of engines)
		it(`gives the same outcomes and balances on ${engine} as in plain maps, sums to zero and owes nothing, in any batches`, () =>
			holdsOn(open));

	async function holdsOn(open: () => Promise<Book>): Promise<void> {
		const seen = new Map<string, number>();
		const batches = fc.array(fc.array(step, { minLength: 1, maxLength: 12 }), { minLength: 1, maxLength: 8 });
		await fc.assert(
			fc.asyncProperty(batches, async (all) => {
				const [oracle, book] = [openMemoryBook(), await open()];
				try {
					// all calls of one run are made in one turn: the writer groups them as it likes
					const steps: Change[] = [];
					const changes = all.map((batch) =>
						batch.map((one) => {
							const change = (one.again > 0 && steps.at(-one.again)) || changeOf(one);
							steps.push(change);
							return change;
						}),
					);
					const expected: Outcome[][] = [];
					for (const batch of changes) expected.push(await oracle.apply(batch));
					const outcomes = await Promise.all(changes.map((batch) => book.apply(batch)));
					assert.deepEqual(outcomes, expected);
					for (const outcome of outcomes.flat()) seen.set(word(outcome), (seen.get(word(outcome)) ?? 0) + 1);

					const balances = await book.balances(ACCOUNTS);
					assert.deepEqual(balances, await oracle.balances(ACCOUNTS));
					assert.equal(
						balances.reduce((sum, balance) => sum + balance, 0n),
						0n,
					);
					for (const [i, balance] of balances.entries()) assert(balance >= 0n || ACCOUNTS[i] === WORLD_PLAY);
					for (const account of ACCOUNTS) {
						assert.deepEqual(await book.transfers(account, 0, 1000), await oracle.transfers(account, 0, 1000));
					}
					for (const n of [0, 1, 2, 3]) assert.deepEqual(await book.tab(tabOf(n)), await oracle.tab(tabOf(n)));
					const reports = await Promise.all([book.audit(), oracle.audit()]);
					assert.deepEqual(reports[0].findings, []);
					assert.deepEqual(reports[0], reports[1]);
				} finally {
					await book.close();
				}
			}),
			{ numRuns: 40, endOnFailure: true },
		);
		// the events were not all of one kind, or nothing was shown
		for (const expected of ["applied", "same", "conflict", "overdraft", "stale", "full"]) {
			assert((seen.get(expected) ?? 0) > 0, `no outcome was "${expected}"`);
		}
	}

	it("is as bold as it may: a batch of which nothing is refused is written in one go, any other is undone whole and written carefully", async () => {
		const passes = { bold: 0, careful: 0 };
		let needless = 0;
		const batches = fc.array(fc.array(step, { minLength: 1, maxLength: 4 }), { minLength: 6, maxLength: 20 });
		await fc.assert(
			fc.asyncProperty(batches, async (all) => {
				const folder = await quickFolder("farelay-property-");
				folders.push(folder);
				const [oracle, ledger] = [openMemoryBook(), open({ path: join(folder, "ledger.db") })];
				if (isProblem(ledger)) assert.fail(ledger.detail);
				const { database, writes, reads } = ledger;
				const [apply, balances] = [writes.apply, reads.balances] as [LedgerCalls["apply"], LedgerCalls["balances"]];
				const written = (changes: Change[], pass: Pass): Outcome[] | undefined => {
					database.exec("BEGIN");
					try {
						const outcomes = apply(pack(changes), pass);
						database.exec("COMMIT");
						passes[pass] += 1;
						return outcomes;
					} catch (error) {
						database.exec("ROLLBACK");
						if (pass === "careful") throw error;
						return undefined;
					}
				};
				const rich = PAYERS.map(
					(_, who): Step => ({ kind: "deposit", who, tab: 0, nanos: 400n, id: 31 + who, expect: 0, again: 0 }),
				);
				for (const batch of [rich, ...all]) {
					const changes = batch.map(changeOf);
					const expected = await oracle.apply(changes);
					const bold = written(changes, "bold");
					const refused = expected.some((outcome) => typeof outcome === "object");
					assert(!bold || !refused, "what was refused was written boldly");
					// an account's number that was remembered and undone since costs one careful pass
					if (!bold && !refused) needless += 1;
					assert.deepEqual(bold ?? written(changes, "careful"), expected);
					assert.deepEqual(balances(ACCOUNTS), await oracle.balances(ACCOUNTS));
				}
				database.close();
				const report = await auditFile(join(folder, "ledger.db"));
				assert.deepEqual(report, await oracle.audit());
			}),
			{ numRuns: 30, endOnFailure: true },
		);
		assert(passes.bold > 20 && passes.careful > 20 && needless < passes.bold, JSON.stringify({ ...passes, needless }));
	});
});
