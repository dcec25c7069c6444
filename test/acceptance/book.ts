/** What every engine of the ledger must do, told with Ada who pays, Olu who runs a relay, and their tab. */

import assert from "node:assert/strict";
import { afterEach, beforeEach, describe, it } from "node:test";
import { AMOUNT_MAX, amount } from "#contracts/amount";
import {
	type Book,
	CHANGES_MAX,
	KEY_CHARS_MAX,
	LIST_MAX,
	MOST_MAX,
	type Outcome,
	RECORD_TABLES,
	type RecordTable,
	ROW_CHARS_MAX,
	type RowChange,
	STATES_MAX,
} from "#marketplace/ledger/book";
import { COMMONS, earnedAccount, holdAccount, MARKET_FEES, payerAccount, WORLD_PLAY } from "#marketplace/ledger/chart";
import { giveBack, move, post, reserve } from "#marketplace/ledger/post";
import { CAUSE_CHARS_MAX, ENTRIES_MAX, type Entry, ID_CHARS_MAX, type Transfer } from "#marketplace/ledger/transfer";

const ADA_KEY = "a1".repeat(32);
const OLU_KEY = "b2".repeat(32);
const TAB = "c3".repeat(16);
const ADA = payerAccount(ADA_KEY);
const OLU = earnedAccount(OLU_KEY);
const HOLD = holdAccount(TAB);

/** Play money for someone. */
export function deposit(id: string, account: string, nanos: bigint): Transfer {
	return { id, cause: "play money", atMs: 1, entries: [out(WORLD_PLAY, nanos), into(account, nanos)] };
}
function into(account: string, nanos: bigint): Entry {
	return { account, nanos };
}
function out(account: string, nanos: bigint): Entry {
	return { account, nanos: -nanos };
}
/** How outcomes read in these stories: "applied", "same" or the refusal's word. */
export function words(outcomes: readonly Outcome[]): string[] {
	return outcomes.map((outcome) => (typeof outcome === "string" ? outcome : outcome.refused));
}
type TabChange = Extract<RowChange, { table: "tabs" }>;
type RecordChange = Exclude<RowChange, { table: "tabs" }>;
function tabRow(expect: number, more: Partial<TabChange["row"]> = {}): TabChange {
	const row = { tab: TAB, account: ADA_KEY, relay: OLU_KEY, state: "open", deadlineMs: 1000, value: '{"paid":"0"}' };
	return { table: "tabs", expect, row: { ...row, ...more } };
}
function record(
	expect: number,
	more: Partial<RecordChange["row"]> = {},
	table: RecordTable = "deposits",
): RecordChange {
	const row = { key: "deposit-1", account: ADA_KEY, state: "waiting", dueMs: 1000, value: '{"asked":"5"}' };
	return { table, expect, row: { ...row, ...more } };
}
const label = (id: string) => ({ id, cause: `because of ${id}`, atMs: 7 });
const part = (account: string, nanos: bigint) => ({ account, nanos: amount(nanos) });

/** Runs the suite on an engine. `open` gives an empty book each time; the suite closes it. */
export function bookSuite(engine: string, open: () => Promise<Book>): void {
	describe(`the book (${engine})`, () => {
		let book: Book;
		beforeEach(async () => {
			book = await open();
		});
		afterEach(async () => {
			const report = await book.audit();
			await book.close();
			assert.deepEqual(report.findings, [], "the book holds after every story");
		});

		async function apply(...transfers: (Transfer | undefined)[]): Promise<string[]> {
			return words(await book.apply(transfers.map((transfer) => ({ transfer }))));
		}

		it("moves money from the world to Ada, and shows nothing on accounts that were never used", async () => {
			assert.deepEqual(await apply(deposit("d1", ADA, 500n)), ["applied"]);
			assert.equal(await book.balance(ADA), 500n);
			assert.equal(await book.balance(WORLD_PLAY), -500n);
			assert.deepEqual(await book.balances([OLU, ADA, WORLD_PLAY]), [0n, 500n, -500n]);
		});

		it("threat 16: takes the same transfer again as a success that moves nothing, whatever its time and the order of its entries", async () => {
			const first = deposit("event-1", ADA, 500n);
			assert.deepEqual(await apply(first, first), ["applied", "same"]);
			assert.deepEqual(await apply({ ...first, atMs: 99, entries: first.entries.toReversed() }), ["same"]);
			assert.equal(await book.balance(ADA), 500n);
			assert.equal(await book.count(), 1);
		});

		it("threat 16: refuses another transfer under an id that was used", async () => {
			await apply(deposit("event-1", ADA, 500n));
			assert.deepEqual(
				await apply(deposit("event-1", ADA, 501n), deposit("event-1", OLU, 500n), {
					...deposit("event-1", ADA, 500n),
					cause: "something else",
				}),
				["conflict", "conflict", "conflict"],
			);
			assert.equal(await book.balance(ADA), 500n);
		});

		it("threat 5: lets only one of two changes in one batch spend the same money", async () => {
			await apply(deposit("d1", ADA, 500n));
			const other = holdAccount("d4".repeat(16));
			assert.deepEqual(
				await apply(
					reserve(label("open-1"), [part(ADA, 300n)], HOLD),
					reserve(label("open-2"), [part(ADA, 300n)], other),
					reserve(label("open-3"), [part(ADA, 200n)], other),
				),
				["applied", "overdraft", "applied"],
			);
			assert.deepEqual(await book.balances([ADA, HOLD, other]), [0n, 300n, 200n]);
		});

		it("threat 5: lets only one of two calls that race spend the same money", async () => {
			await apply(deposit("d1", ADA, 500n));
			const racing = Array.from({ length: 20 }, (_, i) => apply(reserve(label(`open-${i}`), [part(ADA, 400n)], HOLD)));
			const outcomes = (await Promise.all(racing)).flat();
			assert.equal(outcomes.filter((word) => word === "applied").length, 1);
			assert.equal(outcomes.filter((word) => word === "overdraft").length, 19);
			assert.equal(await book.balance(ADA), 100n);
		});

		it("gives a refused transfer's id back: it can be tried again when there is money", async () => {
			const want = reserve(label("open-1"), [part(ADA, 300n)], HOLD);
			assert.deepEqual(await apply(want, deposit("d1", ADA, 300n), want), ["overdraft", "applied", "applied"]);
		});

		it("reserves, posts in parts and gives the rest back, each once", async () => {
			const open = reserve(label("open"), [part(ADA, 300n), part(COMMONS, 100n)], HOLD);
			const pay = post(label("redeem"), HOLD, [part(OLU, 250n), part(MARKET_FEES, 5n), part(COMMONS, 0n)]);
			const back = giveBack(label("close"), HOLD, [part(ADA, 45n), part(COMMONS, 100n)]);
			assert.deepEqual(
				await apply(deposit("d1", ADA, 300n), deposit("d2", COMMONS, 100n), open, pay, pay, back, back, open),
				["applied", "applied", "applied", "applied", "same", "applied", "same", "same"],
			);
			assert.deepEqual(await book.balances([ADA, HOLD, OLU, MARKET_FEES, COMMONS]), [45n, 0n, 250n, 5n, 100n]);
			assert.equal(move(label("nothing"), [part(ADA, 0n)], [part(OLU, 0n)]), undefined);
			assert.equal(move(label("nothing"), [part(ADA, 7n)], [part(ADA, 7n)]), undefined);
		});

		it("threat 2: posts no more from a hold than is on it", async () => {
			await apply(deposit("d1", ADA, 300n), reserve(label("open"), [part(ADA, 300n)], HOLD));
			assert.deepEqual(
				await apply(
					post(label("r1"), HOLD, [part(OLU, 200n)]),
					post(label("r2"), HOLD, [part(OLU, 101n)]),
					post(label("r3"), HOLD, [part(OLU, 100n)]),
				),
				["applied", "overdraft", "applied"],
			);
		});

		it("threat 18: refuses transfers whose entries do not sum to zero", async () => {
			const uneven = { ...deposit("d1", ADA, 500n), entries: [out(WORLD_PLAY, 500n), into(ADA, 501n)] };
			assert.deepEqual(await apply(uneven), ["unbalanced"]);
			assert.equal(await book.count(), 0);
		});

		const odd: Record<string, Partial<Transfer>> = {
			"an empty id": { id: "" },
			"a very long id": { id: "x".repeat(ID_CHARS_MAX + 1) },
			"an id with a line end": { id: "d1\nd2" },
			"an id with a space": { id: "d 1" },
			"an id that is not ASCII": { id: "dé" },
			"an empty cause": { cause: "" },
			"a very long cause": { cause: "x".repeat(CAUSE_CHARS_MAX + 1) },
			"a cause with a control character": { cause: "play\u0000money" },
			"a cause with half a character": { cause: "play \ud800" },
			"a time that is a fraction": { atMs: 1.5 },
			"a time before the beginning": { atMs: -1 },
			"a time that is none": { atMs: Number.NaN },
			"no entries": { entries: [] },
			"one entry": { entries: [into(ADA, 1n)] },
			"an entry of nothing": { entries: [out(WORLD_PLAY, 1n), into(ADA, 1n), into(OLU, 0n)] },
			"a number instead of nano-dollars": { entries: [out(WORLD_PLAY, 1n), into(ADA, 1 as unknown as bigint)] },
			"an entry past the largest amount": { entries: [out(WORLD_PLAY, AMOUNT_MAX + 1n), into(ADA, AMOUNT_MAX + 1n)] },
			"an entry past 64 bits": { entries: [out(WORLD_PLAY, 2n ** 64n), into(ADA, 2n ** 64n)] },
			"an account twice": { entries: [out(WORLD_PLAY, 2n), into(ADA, 1n), into(ADA, 1n)] },
			"an account that is not in the chart": { entries: [out(WORLD_PLAY, 1n), into("world:other", 1n)] },
			"an account that only begins like one": { entries: [out(WORLD_PLAY, 1n), into(`${ADA}0`, 1n)] },
			"a key in upper case": { entries: [out(WORLD_PLAY, 1n), into(ADA.replaceAll("a1", "A1"), 1n)] },
			"an account with a line end": { entries: [out(WORLD_PLAY, 1n), into("commons\n", 1n)] },
			"too many entries": {
				entries: [
					out(WORLD_PLAY, BigInt(ENTRIES_MAX)),
					...Array.from({ length: ENTRIES_MAX }, (_, i) => into(payerAccount(i.toString(16).padStart(64, "0")), 1n)),
				],
			},
		};
		for (const [what, wrong] of Object.entries(odd)) {
			it(`threat 18: refuses a transfer with ${what}`, async () => {
				assert.deepEqual(await apply({ ...deposit("d1", ADA, 500n), ...wrong }), ["malformed"]);
				assert.equal(await book.count(), 0);
			});
		}

		it("threat 18: takes ids and causes at their bounds, and the largest amount", async () => {
			const widest = {
				...deposit("~".repeat(ID_CHARS_MAX), ADA, AMOUNT_MAX),
				cause: "é".repeat(CAUSE_CHARS_MAX),
				atMs: Number.MAX_SAFE_INTEGER,
			};
			assert.deepEqual(await apply(widest), ["applied"]);
			assert.equal(await book.balance(ADA), AMOUNT_MAX);
			assert.deepEqual(await book.transfer(widest.id), {
				...widest,
				position: 1,
				digest: (await book.transfer(widest.id))?.digest,
			});
		});

		it("threat 18: takes as many entries as allowed, at the first moment there is", async () => {
			const others = Array.from({ length: ENTRIES_MAX - 1 }, (_, i) => payerAccount(i.toString(16).padStart(64, "0")));
			const entries = [out(WORLD_PLAY, BigInt(others.length)), ...others.map((account) => into(account, 1n))];
			assert.deepEqual(await apply({ ...label("many"), atMs: 0, entries }), ["applied"]);
			assert.deepEqual((await book.transfer("many"))?.entries, entries);
		});

		it("threat 18: refuses what would pass the largest amount on either side, and leaves the balances whole", async () => {
			await apply(deposit("d1", ADA, AMOUNT_MAX));
			assert.deepEqual(await apply(deposit("d2", OLU, 1n), deposit("d3", ADA, 1n)), ["overdraft", "overdraft"]);
			const swap = { ...label("d4"), entries: [out(ADA, AMOUNT_MAX), into(WORLD_PLAY, AMOUNT_MAX)] };
			assert.deepEqual(await apply(swap), ["applied"]);
			assert.deepEqual(await book.balances([ADA, WORLD_PLAY, OLU]), [0n, 0n, 0n]);
		});

		it("changes money and tab together or not at all", async () => {
			await apply(deposit("d1", ADA, 300n));
			const open = reserve(label("open"), [part(ADA, 300n)], HOLD);
			assert.deepEqual(words(await book.apply([{ transfer: open, rows: [tabRow(1)] }])), ["stale"]);
			assert.equal(await book.balance(ADA), 300n, "the money stayed because the row was stale");
			assert.equal(await book.transfer("open"), undefined);
			const tooMuch = reserve(label("open"), [part(ADA, 301n)], HOLD);
			assert.deepEqual(words(await book.apply([{ transfer: tooMuch, rows: [tabRow(0)] }])), ["overdraft"]);
			assert.equal(await book.tab(TAB), undefined, "the row stayed away because the money was short");
			assert.deepEqual(words(await book.apply([{ transfer: open, rows: [tabRow(0)] }])), ["applied"]);
			assert.deepEqual(await book.tab(TAB), { ...tabRow(0).row, version: 1 });
		});

		it("threat 2: refuses a change that was decided on an older version of its tab", async () => {
			await book.apply([{ rows: [tabRow(0)] }]);
			const first = tabRow(1, { value: '{"paid":"10"}' });
			const second = tabRow(1, { value: '{"paid":"20"}' });
			assert.deepEqual(words(await book.apply([{ rows: [first] }, { rows: [second] }])), ["applied", "stale"]);
			assert.deepEqual(words(await book.apply([{ rows: [tabRow(0)] }, { rows: [tabRow(3)] }])), ["stale", "stale"]);
			assert.deepEqual(await book.tab(TAB), { ...first.row, version: 2 });
		});

		it("leaves the rows alone when the transfer was applied before", async () => {
			const transfer = deposit("d1", ADA, 1n);
			await book.apply([{ transfer, rows: [tabRow(0)] }]);
			const again = { transfer, rows: [tabRow(1, { state: "closed" })] };
			assert.deepEqual(words(await book.apply([again])), ["same"]);
			assert.equal((await book.tab(TAB))?.state, "open");
		});

		const oddRows: Record<string, RowChange> = {
			"a tab id that is none": tabRow(0, { tab: "c3" }),
			"an account that is none": tabRow(0, { account: "ada" }),
			"a relay that is none": tabRow(0, { relay: "" }),
			"a state that is no word": tabRow(0, { state: "Open!" }),
			"a deadline that is none": tabRow(0, { deadlineMs: Number.NaN }),
			"a value that is too long": tabRow(0, { value: "x".repeat(ROW_CHARS_MAX + 1) }),
			"a value that no JSON is": tabRow(0, { value: "\0" }),
			"a version that is none": tabRow(-1),
			"an empty key": record(0, { key: "" }),
			"a key that is too long": record(0, { key: "x".repeat(KEY_CHARS_MAX + 1) }),
			"a key with a blank": record(0, { key: "deposit 1" }),
			"a key with a line end": record(0, { key: "deposit\n" }),
			"a key that is not ASCII": record(0, { key: "dépôt" }),
			"an owner that is none": record(0, { account: "ada" }),
			"a record's state that is no word": record(0, { state: "" }),
			"a time that is none": record(0, { dueMs: 1.5 }),
			"a record's value that is too long": record(0, { value: "x".repeat(ROW_CHARS_MAX + 1) }),
			"a record's version that is none": record(1.5),
			"a table that there is not": record(0, {}, "tabs2" as RecordTable),
		};
		for (const [what, row] of Object.entries(oddRows)) {
			it(`threat 18: refuses a row with ${what}, and the money that comes with it`, async () => {
				const outcomes = await book.apply([{ transfer: deposit("d1", ADA, 1n), rows: [row] }]);
				assert.deepEqual(words(outcomes), ["malformed"]);
				assert.equal(await book.balance(ADA), 0n);
			});
		}

		it("threat 18: takes a row whose value is as long as allowed", async () => {
			const longest = tabRow(0, { value: "x".repeat(ROW_CHARS_MAX) });
			assert.deepEqual(words(await book.apply([{ rows: [longest] }])), ["applied"]);
			assert.deepEqual(await book.tab(TAB), { ...longest.row, version: 1 });
		});

		it("lists the transfers of an account in their order, page by page", async () => {
			const many = Array.from({ length: 25 }, (_, i) => deposit(`d${i}`, i % 5 === 0 ? OLU : ADA, BigInt(i + 1)));
			await apply(...many);
			const ids: string[] = [];
			let after = 0;
			for (;;) {
				const page = await book.transfers(ADA, after, 7);
				assert(page.length <= 7);
				ids.push(...page.map((kept) => kept.id));
				assert(ids.length <= many.length, "a page begins where the one before ended");
				const last = page.at(-1);
				if (!last) break;
				after = last.position;
			}
			assert.deepEqual(
				ids,
				many.filter((transfer) => transfer.entries[1]?.account === ADA).map((transfer) => transfer.id),
			);
			assert.deepEqual((await book.transfers(OLU, 0, 1))[0]?.entries, many[0]?.entries);
			assert.deepEqual(await book.transfers(HOLD, 0, 10), []);
			assert.equal(await book.count(), 25);
		});

		it("lists tabs by account, by relay and by deadline, page by page", async () => {
			const tabs = Array.from({ length: 12 }, (_, i) =>
				tabRow(0, {
					tab: i.toString(16).padStart(32, "0"),
					account: i % 2 ? ADA_KEY : OLU_KEY,
					relay: i % 3 ? ADA_KEY : OLU_KEY,
					state: i === 5 ? "closed" : "open",
					// two tabs share each deadline
					deadlineMs: 1000 - 10 * Math.floor(i / 2),
				}),
			);
			await book.apply(tabs.map((row) => ({ rows: [row] })));
			const short = (rows: { tab: string }[]) => rows.map((row) => Number.parseInt(row.tab, 16));
			assert.deepEqual(short(await book.tabs({ by: "account", of: ADA_KEY, limit: 4 })), [1, 3, 5, 7]);
			const after = tabs[7]?.row.tab ?? "";
			assert.deepEqual(short(await book.tabs({ by: "account", of: ADA_KEY, after, limit: 4 })), [9, 11]);
			assert.deepEqual(short(await book.tabs({ by: "relay", of: OLU_KEY, limit: 9 })), [0, 3, 6, 9]);
			const due = { by: "deadline", state: "open", beforeMs: 990, limit: 3 } as const;
			const first = await book.tabs(due);
			assert.deepEqual(short(first), [10, 11, 8]);
			const rest = await book.tabs({ ...due, after: first[2]!, limit: 99 });
			assert.deepEqual(short(rest), [9, 6, 7, 4], "the closed one is not due, nor what ends at 990");
			assert.deepEqual(short(await book.tabs({ by: "deadline", state: "closed", beforeMs: 9999, limit: 9 })), [5]);
		});

		it("changes money, a tab and records together or not at all", async () => {
			const paid = deposit("d1", ADA, 300n);
			const rows = [record(0), record(0, { value: '"deposit-1"' }, "references"), tabRow(1)];
			assert.deepEqual(words(await book.apply([{ transfer: paid, rows }])), ["stale"]);
			assert.equal(await book.balance(ADA), 0n);
			assert.equal(
				await book.record("deposits", "deposit-1"),
				undefined,
				"nothing of a change stays when a part is stale",
			);
			assert.deepEqual(words(await book.apply([{ transfer: paid, rows: rows.slice(0, 2) }])), ["applied"]);
			assert.deepEqual(await book.record("deposits", "deposit-1"), { ...record(0).row, table: "deposits", version: 1 });
			assert.equal(
				(await book.record("references", "deposit-1"))?.value,
				'"deposit-1"',
				"each table has keys of its own",
			);
			assert.equal(await book.record("payouts", "deposit-1"), undefined);
		});

		it("threat 16: refuses a change that was decided on an older version of its record, and moves none of its money", async () => {
			await book.apply([{ rows: [record(0)] }]);
			const credit = (id: string) => ({ transfer: deposit(id, ADA, 5n), rows: [record(1, { state: "credited" })] });
			assert.deepEqual(words(await book.apply([credit("d1"), credit("d2")])), ["applied", "stale"]);
			assert.deepEqual(words(await book.apply([{ rows: [record(0)] }, { rows: [record(3)] }])), ["stale", "stale"]);
			assert.deepEqual(words(await book.apply([{ rows: [record(7, { key: "never" })] }])), ["stale"]);
			assert.deepEqual([await book.balance(ADA), await book.count()], [5n, 1]);
			assert.deepEqual(await book.record("deposits", "deposit-1"), {
				...record(1, { state: "credited" }).row,
				table: "deposits",
				version: 2,
			});
			assert.deepEqual(words(await book.apply([{ rows: [record(2), record(3, { dueMs: 9 })] }])), ["applied"]);
			assert.deepEqual((await book.record("deposits", "deposit-1"))?.version, 4, "a change may write one record twice");
		});

		it("threat 18: takes a record at its bounds, in each table", async () => {
			const widest = {
				key: "~".repeat(KEY_CHARS_MAX),
				value: "x".repeat(ROW_CHARS_MAX),
				dueMs: Number.MAX_SAFE_INTEGER,
			};
			for (const table of RECORD_TABLES) {
				assert.deepEqual(words(await book.apply([{ rows: [record(0, widest, table)] }])), ["applied"]);
				const kept = await book.record(table, widest.key);
				assert.deepEqual(kept, { ...record(0, widest).row, table, version: 1 });
			}
		});

		it("lists records by account, by state and by when they are due, page by page", async () => {
			const records = Array.from({ length: 12 }, (_, i) =>
				record(0, {
					key: `d-${i.toString(16)}`,
					account: i % 2 ? ADA_KEY : OLU_KEY,
					state: i === 5 ? "credited" : "waiting",
					dueMs: 1000 - 10 * Math.floor(i / 2),
				}),
			);
			await book.apply([...records, record(0, { key: "d-9" }, "payouts")].map((row) => ({ rows: [row] })));
			const short = (rows: { key: string }[]) => rows.map((row) => Number.parseInt(row.key.slice(2), 16));
			const table = "deposits";
			assert.deepEqual(short(await book.records({ table, by: "account", of: ADA_KEY, limit: 4 })), [1, 3, 5, 7]);
			assert.deepEqual(
				short(await book.records({ table, by: "account", of: ADA_KEY, after: "d-7", limit: 4 })),
				[9, 11],
			);
			const waiting = { table, by: "state", of: "waiting" } as const;
			assert.deepEqual(short(await book.records({ ...waiting, after: "d-3", limit: 3 })), [4, 6, 7]);
			const due = { table, by: "due", state: "waiting", beforeMs: 990, limit: 3 } as const;
			const first = await book.records(due);
			assert.deepEqual(short(first), [10, 11, 8]);
			assert.deepEqual(short(await book.records({ ...due, after: first[2]!, limit: 99 })), [9, 6, 7, 4]);
			assert.deepEqual(short(await book.records({ table: "payouts", by: "account", of: ADA_KEY, limit: 9 })), [9]);
			const report = await book.audit([
				async function* ({ records: all }) {
					for await (const row of all("deposits")) yield row.key;
				},
			]);
			assert.deepEqual(report.findings.toSorted(), records.map(({ row }) => row.key).toSorted());
		});

		const ROOM = { states: ["open", "closing"], ofAccount: 2, ofAll: 3 };
		const tabOf = (n: number, account = ADA_KEY, state = "open", expect = 0): TabChange =>
			tabRow(expect, { tab: n.toString(16).padStart(32, "0"), account, state });
		const bounded = (tab: TabChange, most = ROOM): RowChange => ({ ...tab, most });
		const each = async (...rows: RowChange[]) => words(await book.apply(rows.map((row) => ({ rows: [row] }))));

		it("threat 12: takes a new tab while there is room, of its account and of all, and counts those that are over no more", async () => {
			const first = [tabOf(1), tabOf(2, ADA_KEY, "closing"), tabOf(3)].map((tab) => bounded(tab));
			assert.deepEqual(await each(...first), ["applied", "applied", "full"]);
			const others = [tabOf(4, OLU_KEY), tabOf(5, OLU_KEY)].map((tab) => bounded(tab));
			assert.deepEqual(await each(...others), ["applied", "full"], "three in all");
			assert.deepEqual(await each(tabOf(1, ADA_KEY, "closed", 1), bounded(tabOf(3))), ["applied", "applied"]);
			assert.deepEqual(await each(bounded(tabOf(1))), ["stale"], "what is there already is not a matter of room");
			assert.equal(await book.tab(tabOf(5).row.tab), undefined);
		});

		it("threat 12: moves no money for a tab that has no room, and counts rows of one change together", async () => {
			await apply(deposit("d1", ADA, 500n));
			const transfer = reserve(label("open-1"), [part(ADA, 300n)], HOLD);
			const rows = [tabOf(1), tabOf(2), tabOf(3)].map((tab) => bounded(tab));
			assert.deepEqual(words(await book.apply([{ transfer, rows }])), ["full"]);
			assert.deepEqual(
				[await book.balance(ADA), await book.transfer("open-1"), await book.tab(tabOf(1).row.tab)],
				[500n, undefined, undefined],
			);
			assert.deepEqual(words(await book.apply([{ transfer, rows: rows.slice(0, 2) }])), ["applied"]);
			assert.deepEqual(words(await book.apply([{ transfer, rows: rows.slice(2) }])), ["same"]);
		});

		it("threat 12: has room for as many records as it was told, in each table by itself, whoever races", async () => {
			const most = { states: ["waiting"], ofAccount: 3 };
			const bound = (key: string, table: RecordTable): RowChange => ({ ...record(0, { key }, table), most });
			const racing = Array.from({ length: 12 }, (_, i) =>
				each(bound(`d-${i}`, "deposits"), bound(`d-${i}`, "payouts")),
			);
			const outcomes = await Promise.all(racing);
			for (const n of [0, 1]) assert.equal(outcomes.filter((words) => words[n] === "applied").length, 3);
			assert.equal((await book.records({ table: "deposits", by: "state", of: "waiting", limit: 99 })).length, 3);
			const olus = { account: OLU_KEY, key: "elsewhere" };
			const inAll = { ...most, ofAll: 3 };
			assert.deepEqual(await each({ ...record(0, olus), most: inAll }), ["full"]);
			const ended = record(0, { ...olus, state: "ended" });
			assert.deepEqual(await each({ ...ended, most: { ...inAll, ofAll: 2 } }), ["full"], "it is asked, so it is told");
			assert.deepEqual(await each({ ...ended, most: inAll }), ["applied"], "what is in another state takes no room");
		});

		it("threat 18: refuses a bound on rows that is none, or on a row that is there already", async () => {
			const odd = [
				{ ...ROOM, ofAccount: -1 },
				{ ...ROOM, ofAll: MOST_MAX + 1 },
				{ ...ROOM, ofAccount: 1.5 },
				{ ...ROOM, states: ["open", "x; y"] },
				{ ...ROOM, states: Array(STATES_MAX + 1).fill("a") },
			];
			for (const most of odd) assert.deepEqual(await each(bounded(tabOf(1), most)), ["malformed"]);
			const widest = { states: Array(STATES_MAX).fill("open"), ofAccount: MOST_MAX, ofAll: MOST_MAX };
			assert.deepEqual(await each(bounded(tabOf(1), widest)), ["applied"]);
			assert.deepEqual(await each(bounded(tabOf(1, ADA_KEY, "open", 1))), ["malformed"]);
		});

		it("says in plain words what was refused and why", async () => {
			await apply(deposit("d1", ADA, 5n));
			const [tab, first, third] = [tabRow(3), record(0, { key: "other" }), record(3)];
			const outcomes = await book.apply([
				{ rows: [tab] },
				{ rows: [first, third] },
				{ transfer: deposit("d1", ADA, 6n) },
				{ transfer: move(label("gift"), [part(ADA, 6n)], [part(OLU, 6n)]) },
				{ rows: [{ ...tabRow(0), most: { states: ["open"], ofAccount: 0 } }] },
			]);
			assert.deepEqual(outcomes, [
				{ refused: "stale", detail: `Tab ${TAB} is not at version 3.` },
				{ refused: "stale", detail: "The record deposit-1 of deposits is not at version 3." },
				{ refused: "conflict", detail: "The id d1 was used for another transfer." },
				{ refused: "overdraft", detail: `${ADA} cannot take -6 nano-dollars.` },
				{ refused: "full", detail: `Tab ${TAB} has no room: there are as many as there may be.` },
			]);
		});

		it("has a bound on what one call may ask for", async () => {
			const change = { transfer: deposit("d1", ADA, 1n) };
			await assert.rejects(book.apply(Array.from({ length: CHANGES_MAX + 1 }, () => change)), RangeError);
			await assert.rejects(book.balances(Array.from({ length: LIST_MAX + 1 }, () => ADA)), RangeError);
			const most = await book.apply(Array.from({ length: CHANGES_MAX }, () => ({})));
			assert.deepEqual(most, Array(CHANGES_MAX).fill("applied"));
			assert.equal((await book.balances(Array(LIST_MAX).fill(ADA))).length, LIST_MAX);
			assert.deepEqual(await book.apply([]), []);
			assert.deepEqual(await book.apply([{}]), ["applied"], "a change of nothing changes nothing");
			assert.equal(await book.count(), 0);
		});

		/** All balances, as `eachBalance` gives them. */
		async function everyBalance(at?: number): Promise<{ position: number; pages: number; all: Map<string, bigint> }> {
			const seen: { account: string; balance: bigint }[] = [];
			let pages = 0;
			const position = await book.eachBalance((page) => {
				assert.ok(page.length > 0 && page.length <= LIST_MAX);
				pages += 1;
				seen.push(...page);
			}, at);
			const names = seen.map(({ account }) => account);
			assert.deepEqual(names, names.toSorted(), "by name, each once");
			assert.equal(new Set(names).size, names.length);
			return { position, pages, all: new Map(seen.map(({ account, balance }) => [account, balance])) };
		}

		it("walks through every balance, those that are empty again included, and says after which transfer", async () => {
			assert.deepEqual(await everyBalance(), { position: 0, pages: 0, all: new Map() });
			await apply(deposit("d1", ADA, 500n), move(label("gift"), [part(ADA, 500n)], [part(OLU, 500n)]));
			const { position, all } = await everyBalance();
			assert.equal(position, 2);
			assert.deepEqual(
				all,
				new Map([
					[OLU, 500n],
					[ADA, 0n],
					[WORLD_PLAY, -500n],
				]),
			);
		});

		it("walks through the balances as they were after an earlier transfer", async () => {
			await apply(
				deposit("d1", ADA, 500n),
				deposit("d2", OLU, 70n),
				move(label("gift"), [part(ADA, 500n)], [part(OLU, 500n)]),
			);
			const first = await everyBalance(1);
			assert.equal(first.position, 1);
			assert.deepEqual([first.all.get(ADA), first.all.get(OLU) ?? 0n, first.all.get(WORLD_PLAY)], [500n, 0n, -500n]);
			const second = await everyBalance(2);
			assert.deepEqual([second.all.get(ADA), second.all.get(OLU), second.all.get(WORLD_PLAY)], [500n, 70n, -570n]);
		});

		it("walks through the balances of one moment, in pages, while others write", async () => {
			const accounts = Array.from({ length: LIST_MAX + 1 }, (_, n) => payerAccount(n.toString(16).padStart(64, "0")));
			await apply(...accounts.slice(0, CHANGES_MAX).map((account, n) => deposit(`d${n}`, account, 10n)));
			await apply(deposit("last", accounts.at(-1) as string, 10n));
			const before = await everyBalance();
			assert.equal(before.pages, 2, "1,002 accounts with the world");
			let written = 0;
			let sum = 0n;
			const position = await book.eachBalance(async (page) => {
				for (const { balance } of page) sum += balance;
				written += 1;
				const from = [part(accounts[0] as string, 1n)];
				assert.deepEqual(await apply(move(label(`during-${written}`), from, [part(COMMONS, 1n)])), ["applied"]);
			});
			assert.equal(written, 2);
			assert.deepEqual([position, sum], [before.position, 0n]);
			assert.equal((await everyBalance()).all.get(COMMONS), 2n);
			assert.deepEqual((await everyBalance(position)).all.get(COMMONS) ?? 0n, 0n);
		});

		it("audits what it holds: counts, a sum of zero, and further checks in their own words", async () => {
			await apply(deposit("d1", ADA, 300n), reserve(label("open"), [part(ADA, 300n)], HOLD));
			await book.apply([{ rows: [tabRow(0)] }]);
			const report = await book.audit([
				async function* ({ tabs, balanceOf }) {
					for await (const row of tabs())
						if (balanceOf(holdAccount(row.tab)) === 300n) yield `Tab ${row.tab} holds ${balanceOf(HOLD)}.`;
				},
			]);
			assert.deepEqual(report, {
				holds: false,
				transfers: 2,
				prunedTo: 0,
				entries: 4,
				accounts: 3,
				tabs: 1,
				sum: 0n,
				findings: [`Tab ${TAB} holds 300.`],
				findingsTotal: 1,
			});
			assert.equal((await book.audit()).holds, true);
		});
	});
}
