/**
 * Begins a deposit. It is written down before the rail hears of it, under a name that only the market knows; whoever asks again by the same
 * id gets the same deposit, whatever happened in between. How to pay is told only once it is written down where the money will go.
 */

import { type Amount, formatDollars } from "#contracts/amount";
import { isProblem, type Problem, problem } from "#contracts/problem";
import type { RowChange } from "#marketplace/ledger/book";
import { ATTEMPTS_MAX, type Market, problemOfRefusal } from "#marketplace/market";
import type { Started } from "#marketplace/rail/rail";
import { end, LOOK_MS } from "./decide.ts";
import {
	type Deposit,
	depositKey,
	newOrder,
	ROOM,
	readDeposit,
	WAITING_MAX,
	writeDeposit,
	writeReference,
} from "./deposit.ts";
import { refuseGift } from "./gift.ts";
import { lookAt } from "./look.ts";
import { MONTHLY_ID_CHARS_MAX, NOT_YET_MONTHLY } from "./monthly.ts";
import { refusePlay } from "./play.ts";
import { quoteDeposit, railFor } from "./quote.ts";

/** What funding needs of a market. */
export type FundingMarket = Pick<Market, "book" | "clock" | "crypto" | "log" | "rails" | "rates">;

/** What somebody wants: so much on their balance or for a pool, by a rail. */
export type DepositOrder = {
	/** the owner's name for it: 1 to 32 letters, digits, _ and - */
	readonly id: string;
	readonly rail: string;
	readonly asked: Amount;
	/** so much every month, until it is stopped */
	readonly monthly?: boolean;
	/** the pool that it is for, 32 hex digits */
	readonly pool?: string | undefined;
};

/** An invoice with many hints has 2 KB, a checkout link less. */
const PAY_CHARS_MAX = 8_000;
/** A payment hash has 64 characters, a Checkout session's id about as many; with the rail's name it must fit a transfer's id. */
const REFERENCE_CHARS_MAX = 120;

/** Begins a deposit, or goes on with the one that was begun under this id. */
export async function startDeposit(
	market: FundingMarket,
	account: string,
	order: DepositOrder,
): Promise<Deposit | Problem> {
	const key = depositKey(account, order.id);
	for (let attempt = 0; attempt < ATTEMPTS_MAX; attempt++) {
		const before = await depositOf(market, key);
		if (!before) {
			const written = await writeDown(market, account, key, order);
			if (isProblem(written)) return written;
			continue;
		}
		const same = before.quote.rail === order.rail && before.quote.asked === order.asked && before.pool === order.pool;
		if (!same || Boolean(order.monthly) !== (before.monthly !== undefined))
			return problem("conflict", "This id was used for another deposit.");
		const begun = before.state === "starting" ? await begin(market, before) : before;
		if (begun === "again") continue;
		if (isProblem(begun)) return begun;
		// whoever has nothing to do has paid; and nothing looks at one that ended but who asks for it: a clock that was ahead ended it too early
		const isPaid = begun.state === "waiting" && begun.pay?.kind === "nothing";
		return isPaid || begun.state === "ended" ? await lookAt(market, begun) : begun;
	}
	return problemOfRefusal("stale", "");
}

/** A deposit by its key. */
export async function depositOf(market: Pick<Market, "book">, key: string): Promise<Deposit | undefined> {
	const row = await market.book.record("deposits", key);
	return row && readDeposit(row);
}

/** The first step: a quote, and a record of it. */
async function writeDown(
	market: FundingMarket,
	account: string,
	key: string,
	{ id, rail: name, asked, monthly, pool }: DepositOrder,
): Promise<Problem | undefined> {
	const shut = pool === undefined ? undefined : await refuseGift(market, pool);
	if (shut) return shut;
	const rail = railFor(market, name);
	if (isProblem(rail)) return rail;
	if (monthly && !rail.monthly) return problem("rail-closed", `Nothing can be had every month by ${name}.`);
	if (monthly && id.length > MONTHLY_ID_CHARS_MAX)
		return problem("malformed", `The id of what comes every month has at most ${MONTHLY_ID_CHARS_MAX} characters.`);
	const refused = rail.world === "world:play" ? await refusePlay(market, account, asked) : undefined;
	if (refused) return refused;
	const quote = await quoteDeposit(market, rail, asked);
	if (isProblem(quote)) return quote;
	const deposit: Deposit = {
		key,
		version: 0,
		account,
		state: "starting",
		dueMs: quote.untilMs,
		order: newOrder(market.crypto),
		quote,
		startedMs: market.clock.nowMs(),
		payUntilMs: quote.untilMs,
		reference: undefined,
		pay: undefined,
		came: undefined,
		fails: 0,
		says: undefined,
		...(monthly && { monthly: NOT_YET_MONTHLY }),
		...(pool !== undefined && { pool }),
	};
	const written = await apply(market, [{ ...writeDeposit(deposit), most: ROOM }]);
	if (written === "full")
		return problem("too-many", `At most ${WAITING_MAX} deposits wait at once; pay one, or let them expire.`, {
			retryAfterMs: quote.untilMs - market.clock.nowMs(),
		});
	return isProblem(written) ? written : undefined;
}

/** The second step: the rail's answer, written down before anybody hears it. */
async function begin(market: FundingMarket, deposit: Deposit): Promise<Deposit | Problem | "again"> {
	const { quote, order } = deposit;
	const nowMs = market.clock.nowMs();
	const rail = railFor(market, quote.rail);
	if (isProblem(rail)) return rail;
	if (nowMs >= quote.untilMs) {
		const ended = await apply(market, end(deposit, "It was not begun in time.").change?.rows ?? []);
		return isProblem(ended) ? ended : "again";
	}
	const text = `Farelay: ${formatDollars(quote.asked)}${deposit.monthly ? " every month" : ""}`;
	const asked = { id: order, amount: quote.units, text, expiresAtMs: quote.untilMs };
	const started = await (deposit.monthly && rail.monthly ? rail.monthly.start(asked) : rail.start(asked));
	// whatever the rail did, nobody was told how to pay it
	if (isProblem(started)) return { ...started, spent: "no" };
	const wrong = wrongWith(started);
	if (wrong) {
		market.log.error({ rail: rail.name, wrong }, "a rail began a deposit in a way that cannot be");
		return problem("unavailable", `${rail.name} answered what cannot be used.`, { spent: "no" });
	}
	const { reference, pay, expiresAtMs: payUntilMs } = started;
	const dueMs = pay.kind === "nothing" ? nowMs : nowMs + LOOK_MS;
	const next: Deposit = { ...deposit, state: "waiting", reference, pay, payUntilMs, dueMs };
	const written = await apply(market, [writeDeposit(next), writeReference(next, reference)]);
	if (written === "full") throw new Error("a deposit that has a place was refused one");
	return written === "done" ? { ...next, version: deposit.version + 1 } : written;
}

/** A rail is trusted with its own business and with no more. */
function wrongWith({ reference, pay, expiresAtMs }: Started): string | undefined {
	if (reference.length > REFERENCE_CHARS_MAX || !/^[!-~]+$/.test(reference)) return "reference";
	if (!Number.isSafeInteger(expiresAtMs) || expiresAtMs < 0) return "expiry";
	const text = pay.kind === "invoice" ? pay.invoice : pay.kind === "link" ? pay.url : "-";
	return text.length > 0 && text.length <= PAY_CHARS_MAX ? undefined : "payment";
}

async function apply(market: FundingMarket, rows: readonly RowChange[]): Promise<"done" | "again" | "full" | Problem> {
	const [outcome] = await market.book.apply([{ rows }]);
	if (outcome === "applied") return "done";
	if (outcome === undefined || outcome === "same") throw new Error("the book answered nothing");
	if (outcome.refused === "full") return "full";
	return outcome.refused === "stale" ? "again" : problemOfRefusal(outcome.refused, outcome.detail);
}
