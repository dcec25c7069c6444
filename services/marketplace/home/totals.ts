/** Carries readers' totals out on the book, and says how much fund money a relay has room for. */

import { toHex } from "#contracts/bytes";
import { LIMIT } from "#contracts/limit";
import type { Offer } from "#contracts/listing";
import { isProblem, type Problem } from "#contracts/problem";
import { monthOf } from "#contracts/quota";
import { dayOf, readReceived } from "#contracts/received";
import type { RecordRow, RowChange } from "#marketplace/ledger/book";
import { ATTEMPTS_MAX, type Market, problemOfRefusal } from "#marketplace/market";
import { quotaAsk } from "#marketplace/sponsor/rules";
import type { Tab } from "#marketplace/tab/tab";
import { homeOf } from "./homes.ts";
import { ownBytesOf, paidOf, quotaBytesOf } from "./right.ts";
import { type RoomFacts, roomBytes } from "./room.ts";
import { decideTotal, readReader, writeReader } from "./total.ts";
import { counted, readWindow, sumsOf, writeWindow } from "./window.ts";

/** The dearest MB that funds pay for: kept for as long as they pay. */
const ASK_PER_MB_MAX = quotaAsk(
	{ sendPerMb: LIMIT.poolSendPerMbMax, storePerMbDay: LIMIT.poolStorePerMbDayMax } as never,
	1_000_000n,
);

/** How often {@link Carried} is written down. */
export const CARRIED_MS = 60_000;

const PPM = 1_000_000n;

/** What is counted at a relay by day: `in` what readers signed for (known, paying), `other` what payers' own money carried. */
type Kind = "in" | "other";

const KINDS: Readonly<Record<Kind, number>> = { in: 2, other: 1 };

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
	nowMs: number,
	bytes: readonly bigint[],
): RowChange {
	const window = counted(readWindow(row?.value), dayOf(nowMs), dayOf(nowMs), bytes);
	return {
		table: "received",
		expect: row?.version ?? 0,
		row: {
			key: windowKey(kind, relay),
			account: relay,
			state: "counting",
			dueMs: nowMs,
			value: writeWindow(window),
		},
	};
}

/** Takes a reader's total in; answers the highest one that the market knows of it. */
export async function takeTotal(market: Market, bytes: Uint8Array): Promise<{ readonly megabytes: number } | Problem> {
	const { homes: rules, defences } = market.rules;
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
				// where homes are not drawn, people choose them
				home: defences.homes ? home?.relay : relay,
				reader,
				quotaBytes: (await quotaBytesOf(market, account, nowMs)).reader,
				paidElsewhere: home ? await paidOf(market, account, { nowMs, elsewhereThan: home.group }) : 0n,
				askPerMbMax: ASK_PER_MB_MAX,
			},
			rules,
		);
		if (isProblem(decided) || !decided.credit) return decided;
		const { credit, megabytes } = decided;
		const window = await market.book.record("received", windowKey("in", relay));
		const reading: RowChange = {
			table: "received",
			expect: row?.version ?? 0,
			row: { key: readerKey(account), account, state: "reads", dueMs: nowMs, value: writeReader(credit.reader) },
		};
		const [outcome] = await market.book.apply([
			{ rows: [reading, countRow(window, "in", relay, nowMs, [credit.known, credit.paying])] },
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

/** What a relay has room for, in nano-dollars with the market's fee; undefined where nothing limits it. */
export async function roomAt(
	{ book, fees, rules }: Pick<Market, "book" | "fees" | "rules">,
	{ relay, tariff }: Pick<Offer, "relay" | "tariff">,
	counted: Pick<RoomFacts, "opened" | "relaysOfOperator">,
	nowMs: number,
): Promise<bigint | undefined> {
	if (!rules.defences.room) return undefined;
	const kinds = Object.keys(KINDS) as Kind[];
	const rows = await Promise.all(kinds.map((kind) => book.record("received", windowKey(kind, toHex(relay)))));
	const sums = kinds.map((kind, i) => sumsOf(readWindow(rows[i]?.value), dayOf(nowMs), KINDS[kind]));
	const [[known = 0n, paying = 0n] = [], [other = 0n] = []] = sums;
	const ask = quotaAsk(tariff, roomBytes({ known, paying, other, ...counted }, rules.homes));
	return ask + (ask * BigInt(fees.marketPpm)) / PPM;
}

/** What payers' own money carried on tabs that ended, by relay: kept here for a moment, for a row for each tab would be written as often as the tab's own. */
export class Carried {
	private readonly bytes = new Map<string, bigint>();

	/** Counts a tab that ended. */
	add(tab: Pick<Tab, "relay" | "paid" | "tranches">): void {
		const own = ownBytesOf(tab);
		if (own > 0n) this.bytes.set(tab.relay, (this.bytes.get(tab.relay) ?? 0n) + own);
	}

	/** Writes down what was counted since. A crash before forgets it; what somebody else writes meanwhile is added to. */
	async write({ book, clock }: Pick<Market, "book" | "clock">): Promise<void> {
		for (const [relay, bytes] of [...this.bytes]) {
			for (let attempt = 0; attempt < ATTEMPTS_MAX; attempt++) {
				const row = await book.record("received", windowKey("other", relay));
				const [outcome] = await book.apply([{ rows: [countRow(row, "other", relay, clock.nowMs(), [bytes])] }]);
				if (outcome !== "applied") continue;
				const left = (this.bytes.get(relay) ?? 0n) - bytes;
				if (left > 0n) this.bytes.set(relay, left);
				else this.bytes.delete(relay);
				break;
			}
		}
	}
}
