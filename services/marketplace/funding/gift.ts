/**
 * A deposit that is for a pool. By card, fifty dollars of a card in two weeks count there at once and the rest once it has cleared: people are helped today, and a stolen card is
 * worth little (threat 20). What a bank takes back is taken from what the pool has not spent or reserved; what is missing is its payer's and the reserve's loss, and what
 * people were granted stands.
 */

import { hash } from "node:crypto";
import { type Amount, add, amount, NOTHING, parseAmount, parseDollars } from "#contracts/amount";
import { type Problem, problem } from "#contracts/problem";
import type { RowChange } from "#marketplace/ledger/book";
import { poolAccount, poolFreshAccount } from "#marketplace/ledger/chart";
import type { Part } from "#marketplace/ledger/post";
import { stateAt } from "#marketplace/pool/decide";
import { type Pool, readPool, writePool } from "#marketplace/pool/pool";
import type { Deposit } from "./deposit.ts";
import type { FundingMarket } from "./start.ts";

/** What of a card's gifts counts at once... */
const EARLY_NANOS_MAX: Amount = parseDollars("50") as Amount;
/** ...in so long: as long as card money is fresh. */
const EARLY_MS = 14 * 86_400_000;

/** A gift's pool, and what its card gave before. */
export type Gift = { readonly pool: Pool; readonly card: CardTally };

/** What of a card's gifts counted at once lately. */
type CardTally = { readonly key: string; readonly version: number; readonly nowMs: number; readonly early: Amount };

/** Why nothing can be given to a pool; undefined when something can. */
export async function refuseGift({ book, clock }: FundingMarket, pool: string): Promise<Problem | undefined> {
	const row = await book.record("pools", pool);
	if (row && stateAt(readPool(row), clock.nowMs()) !== "ended") return undefined;
	return problem("not-found", "There is no such pool here, or it has ended.");
}

/** The pool that a deposit's money goes to; undefined where it goes to its owner's balance, as it does when the pool has ended for good. */
export async function giftOf(
	{ book, clock }: FundingMarket,
	{ pool: id, account, quote }: Deposit,
	card: string = account,
): Promise<Gift | undefined> {
	const row = id === undefined ? undefined : await book.record("pools", id);
	const pool = row && readPool(row);
	if (!pool || pool.state === "ended") return undefined;
	// what the provider calls the card is not written down
	const key = `card:${hash("sha256", `${quote.rail}:${card}`, "hex")}`;
	const tally = await book.record("pools", key);
	const nowMs = clock.nowMs();
	// counted until two weeks after the last that counted early: so no two weeks see more
	const isOver = !tally || nowMs - tally.dueMs >= EARLY_MS;
	const early = isOver ? NOTHING : (parseAmount(tally.value) ?? NOTHING);
	return { pool, card: { key, version: tally?.version ?? 0, nowMs, early } };
}

/** What comes to a pool: where it goes, what is written, and how much of it counts before it has cleared. */
export function giveTo(
	{ pool, card }: Gift,
	came: {
		readonly credited: Amount;
		readonly spread: Amount;
		readonly railFee: Amount;
		readonly isFresh: boolean;
	},
): { readonly to: Part[]; readonly rows: RowChange[]; readonly early: Amount } {
	const { credited, spread, railFee, isFresh } = came;
	const room = EARLY_NANOS_MAX - card.early;
	const early = isFresh ? amount(credited < room ? credited : room) : NOTHING;
	const { flows } = pool;
	const next: Pool = {
		...pool,
		early: add(pool.early, early),
		flows: {
			...flows,
			came: add(flows.came, credited),
			railFee: add(flows.railFee, railFee),
			exchangeFee: add(flows.exchangeFee, spread),
		},
	};
	const counts = isFresh ? early : credited;
	const rows = [writePool(next)];
	if (early > 0n) rows.push(writeTally({ ...card, early: add(card.early, early) }));
	return {
		early,
		rows,
		to: [
			{ account: poolAccount(pool.pool), nanos: counts },
			{ account: poolFreshAccount(pool.pool), nanos: amount(credited - counts) },
		],
	};
}

function writeTally({ key, version, nowMs, early }: CardTally): RowChange {
	const row = { key, account: key.slice("card:".length), state: "card", dueMs: nowMs, value: early.toString() };
	return { table: "pools", expect: version, row };
}
