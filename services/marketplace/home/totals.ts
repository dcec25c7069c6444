/** Carries readers' totals out on the book, and says how much fund money a relay has room for. */

import { toHex } from "#contracts/bytes";
import { LIMIT } from "#contracts/limit";
import { isProblem, type Problem } from "#contracts/problem";
import { monthOf } from "#contracts/quota";
import { dayOf, readReceived } from "#contracts/received";
import type { Book, RecordRow, RowChange } from "#marketplace/ledger/book";
import { ATTEMPTS_MAX, type Market, problemOfRefusal } from "#marketplace/market";
import { quotaAsk } from "#marketplace/sponsor/rules";
import { homeOf } from "./homes.ts";
import { paidOf, quotaBytesOf } from "./right.ts";
import { type HomeRules, roomBytes } from "./room.ts";
import { decideTotal, readReader, writeReader } from "./total.ts";
import { counted, readWindow, sumsOf, writeWindow } from "./window.ts";

/** The dearest MB that funds pay for: kept for as long as they pay. */
const ASK_PER_MB_MAX = quotaAsk(
	{ sendPerMb: LIMIT.poolSendPerMbMax, storePerMbDay: LIMIT.poolStorePerMbDayMax } as never,
	1_000_000n,
);

/** What is counted at a relay by day: `in` what readers signed for (known, paying), `other` what payers' own money carried, `opened` what funds opened. */
type Kind = "in" | "other" | "opened";

const KINDS: Readonly<Record<Kind, number>> = { in: 2, other: 1, opened: 1 };

function windowKey(kind: Kind, relay: string): string {
	return `${kind}:${relay}`;
}

function readerKey(account: string): string {
	return `of:${account}`;
}

/** The change that counts bytes at a relay, over the row that was read. */
function countRow(
	row: RecordRow | undefined,
	kind: Kind,
	relay: string,
	when: { readonly nowMs: number; readonly day: number },
	bytes: readonly bigint[],
): RowChange {
	const window = counted(readWindow(row?.value), dayOf(when.nowMs), when.day, bytes);
	return {
		table: "received",
		expect: row?.version ?? 0,
		row: {
			key: windowKey(kind, relay),
			account: relay,
			state: "counting",
			dueMs: when.nowMs,
			value: writeWindow(window),
		},
	};
}

/** Takes a reader's total in; answers the highest one that the market knows of it. */
export async function takeTotal(
	market: Market,
	bytes: Uint8Array,
	rules: HomeRules,
): Promise<{ readonly megabytes: number } | Problem> {
	const said = readReceived(market.crypto, market.keys.market, bytes);
	if (isProblem(said)) return said;
	const account = toHex(said.account);
	const relay = toHex(said.relay);
	for (let attempt = 0; attempt < ATTEMPTS_MAX; attempt++) {
		const nowMs = market.clock.nowMs();
		const home = await homeOf(market.book, account);
		const row = await market.book.record("received", readerKey(account));
		const reader = readReader(row?.value);
		const decided = decideTotal(
			said,
			{
				nowMs,
				home: home?.relay,
				reader,
				quotaBytes: (await quotaBytesOf(market, account, nowMs)).reader,
				paidElsewhere: home ? await paidOf(market, account, { nowMs, elsewhereThan: home.group }) : 0n,
				askPerMbMax: ASK_PER_MB_MAX,
			},
			rules,
		);
		if (isProblem(decided) || !decided.credit) return decided;
		const { credit, megabytes } = decided;
		const at = { nowMs, day: dayOf(nowMs) };
		const window = await market.book.record("received", windowKey("in", relay));
		const reading: RowChange = {
			table: "received",
			expect: row?.version ?? 0,
			row: { key: readerKey(account), account, state: "reads", dueMs: nowMs, value: writeReader(credit.reader) },
		};
		const [outcome] = await market.book.apply([
			{ rows: [reading, countRow(window, "in", relay, at, [credit.known, credit.paying])] },
		]);
		if (outcome === "applied") return { megabytes };
		if (typeof outcome === "object" && outcome.refused !== "stale")
			return problemOfRefusal(outcome.refused, outcome.detail);
	}
	return problemOfRefusal("stale", "");
}

/** What a reader signed for at a relay, in MB, and what of this month's counts, in bytes. */
export async function readerOf(
	{ book, clock }: Pick<Market, "book" | "clock">,
	account: string,
	relay: string | undefined,
): Promise<{ readonly total: number; readonly known: bigint; readonly paying: bigint }> {
	const reader = readReader((await book.record("received", readerKey(account)))?.value);
	const isNow = reader.month === monthOf(clock.nowMs());
	const total = reader.totals.find((one) => one.relay === relay)?.megabytes ?? 0;
	return { total, known: isNow ? reader.known : 0n, paying: isNow ? reader.paying : 0n };
}

/** What a relay has room for in bytes, and the row by which the next opening is counted in the same change. */
export async function roomOf(
	book: Pick<Book, "record">,
	relay: string,
	relaysOfOperator: number,
	nowMs: number,
	rules: HomeRules,
): Promise<{ readonly bytes: bigint; readonly opened: RecordRow | undefined }> {
	const kinds = Object.keys(KINDS) as Kind[];
	const rows = await Promise.all(kinds.map((kind) => book.record("received", windowKey(kind, relay))));
	const sums = kinds.map((kind, i) => sumsOf(readWindow(rows[i]?.value), dayOf(nowMs), KINDS[kind]));
	const [[known = 0n, paying = 0n] = [], [other = 0n] = [], [opened = 0n] = []] = sums;
	return { bytes: roomBytes({ known, paying, other, opened, relaysOfOperator }, rules), opened: rows[2] };
}

/** The change that counts what a fund opens at a relay; below nothing what came back of what was opened at a time. */
export function countOpened(
	opened: RecordRow | undefined,
	relay: string,
	when: { readonly nowMs: number; readonly openedMs: number },
	bytes: bigint,
): RowChange {
	return countRow(opened, "opened", relay, { nowMs: when.nowMs, day: dayOf(when.openedMs) }, [bytes]);
}

/** Counts what payers' own money carried: once for a whole batch of a relay's claims, after it moved. A crash in between forgets one batch. */
export async function countOther(
	{ book, clock }: Pick<Market, "book" | "clock">,
	relay: string,
	bytes: bigint,
): Promise<void> {
	if (bytes === 0n) return;
	for (let attempt = 0; attempt < ATTEMPTS_MAX; attempt++) {
		const nowMs = clock.nowMs();
		const row = await book.record("received", windowKey("other", relay));
		const [outcome] = await book.apply([
			{ rows: [countRow(row, "other", relay, { nowMs, day: dayOf(nowMs) }, [bytes])] },
		]);
		if (typeof outcome !== "object" || outcome.refused !== "stale") return;
	}
}
