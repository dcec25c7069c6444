/** Lines of money, oldest first: cause, gross, each fee, net. An account's own, and the market's. */

import { type Problem, problem } from "#contracts/problem";
import type { StatementLine } from "#contracts/statement";
import { readDeposit, referenceKey } from "./funding/deposit.ts";
import type { Book } from "./ledger/book.ts";
import {
	COMMONS,
	earnedAccount,
	freshAccount,
	leavingAccount,
	MARKET_FEES,
	MARKET_RATE,
	OVERRUN,
	owedAccount,
	payerAccount,
	RISK,
	RISK_LENT,
	waitingAccount,
} from "./ledger/chart.ts";
import type { Pruning } from "./ledger/pruning.ts";
import type { KeptTransfer } from "./ledger/transfer.ts";
import { billOfPayout, readPayout } from "./payout/payout.ts";
import { nanosOfCents } from "./rate/rate.ts";

/** What a statement is read from: a book, or a ledger's file beside it. */
export type Ledger = Pick<Book, "transfers" | "pruned" | "carried" | "record">;

/** Purses by what they are called on a statement, and the account of the chart that each is. */
type Purses = Readonly<Record<string, string>>;

const pursesOf = (account: string): Purses => ({
	spending: payerAccount(account),
	fresh: freshAccount(account),
	earned: earnedAccount(account),
	waiting: waitingAccount(account),
	leaving: leavingAccount(account),
	owed: owedAccount(account),
});

/** The market's own purses, and those that it keeps for everybody. */
const MARKET_PURSES: Purses = {
	fees: MARKET_FEES,
	exchange: MARKET_RATE,
	commons: COMMONS,
	risk: RISK,
	lent: RISK_LENT,
	overrun: OVERRUN,
};

/**
 * One page of an account's lines with positions above `after`: `limit` transfers at most. The next page begins after the last line's position. Where lines
 * were pruned, the first page begins with what they came to, and a page from among them is refused.
 */
export function linesOf(
	ledger: Ledger,
	account: string,
	after: number,
	limit: number,
): Promise<StatementLine[] | Problem> {
	return pageOf(ledger, pursesOf(account), after, limit);
}

/** The same for the market. `gross` is what came to the purse; a fee's own purse shows it as `net`, not as a fee again; a rail's fee is what it took beyond its ceiling. */
export function marketLinesOf(ledger: Ledger, after: number, limit: number): Promise<StatementLine[] | Problem> {
	return pageOf(ledger, MARKET_PURSES, after, limit);
}

async function pageOf(
	ledger: Ledger,
	purses: Purses,
	after: number,
	limit: number,
): Promise<StatementLine[] | Problem> {
	const pruned = await ledger.pruned();
	const carried = pruned ? carriedLines(pruned, purses, await ledger.carried(Object.values(purses))) : [];
	if (pruned && carried.length > 0 && after > 0 && after < pruned.upTo)
		return problem(
			"conflict",
			`Lines up to ${pruned.upTo} are in the market's archive now; read the statement from its beginning (after 0).`,
			{ spent: "no" },
		);
	const from = carried.length > 0 && pruned ? Math.max(after, pruned.upTo) : after;
	const found = await Promise.all(Object.values(purses).map((purse) => ledger.transfers(purse, from, limit)));
	// pruned between the questions: lines may be missing
	if ((await ledger.pruned())?.upTo !== pruned?.upTo) return pageOf(ledger, purses, after, limit);
	const transfers = new Map(found.flat().map((transfer) => [transfer.position, transfer]));
	// a page ends between transfers: what one moves between purses is never torn apart
	const page = [...transfers.values()].sort((a, b) => a.position - b.position).slice(0, limit);
	const lines = page.map(async (transfer) => linesOfTransfer(transfer, purses, await railFeeOf(ledger, transfer.id)));
	return [...(after === 0 ? carried : []), ...(await Promise.all(lines)).flat()];
}

/** What a statement whose first lines were pruned begins with: a line for each purse that had something then, and one at least. */
function carriedLines(
	{ upTo, atMs }: Pruning,
	purses: Purses,
	balances: readonly (bigint | undefined)[],
): StatementLine[] {
	const had = Object.keys(purses).flatMap((purse, i) => {
		const net = balances[i];
		return net === undefined ? [] : [{ purse, net }];
	});
	const some = had.filter(({ net }) => net !== 0n);
	const [position, id, cause] = [upTo, `carried:${upTo}`, "Carried on: earlier lines are in the market's archive"];
	const fees = { marketFee: 0n, solidarityFee: 0n, exchangeFee: 0n, railFee: 0n };
	return (some.length > 0 ? some : had.slice(0, 1)).map(({ purse, net }) => {
		return { position, atMs, id, cause, purse, net, gross: net, ...fees };
	});
}

/** What a rail took of a payment, which never was on an account here: the record of the payment says it. */
async function railFeeOf(ledger: Ledger, id: string): Promise<bigint> {
	const [, payout] = /^payout:([^:]+):sent$/.exec(id) ?? [];
	if (payout !== undefined) {
		const row = await ledger.record("payouts", payout);
		return (row && billOfPayout(readPayout(row))?.railFee) ?? 0n;
	}
	const [, rail, reference] = /^deposit:([^:]+):(.+)$/.exec(id) ?? [];
	const key = rail && reference ? (await ledger.record("references", referenceKey(rail, reference)))?.value : undefined;
	const row = key === undefined ? undefined : await ledger.record("deposits", key);
	const deposit = row && readDeposit(row);
	return deposit?.came && deposit.quote.unit === "cent" ? nanosOfCents(deposit.came.fee) : 0n;
}

function linesOfTransfer(
	{ entries, position, atMs, id, cause }: KeptTransfer,
	purses: Purses,
	taken: bigint,
): StatementLine[] {
	const of = (account: string): bigint => entries.find((entry) => entry.account === account)?.nanos ?? 0n;
	const own = Object.entries(purses)
		.map(([purse, account]) => ({ purse, net: of(account) }))
		.filter(({ net }) => net !== 0n);
	// what was taken on the way is said once, where most of the money moved
	const main = own.reduce<(typeof own)[0] | undefined>(
		(most, part) => (most && size(most.net) >= size(part.net) ? most : part),
		undefined,
	);
	const kept = (fee: string): bigint => (Object.values(purses).includes(fee) || of(fee) < 0n ? 0n : of(fee));
	return own.map((part) => {
		const [marketFee, solidarityFee, exchangeFee] =
			part === main ? [kept(MARKET_FEES), kept(COMMONS), kept(MARKET_RATE)] : [0n, 0n, 0n];
		const beyond = part.purse === "overrun" ? -part.net : 0n;
		const railFee = "overrun" in purses ? beyond : part === main ? taken : 0n;
		const gross = part.net + marketFee + solidarityFee + exchangeFee + railFee;
		return { position, atMs, id, cause, ...part, gross, marketFee, solidarityFee, exchangeFee, railFee };
	});
}

function size(nanos: bigint): bigint {
	return nanos < 0n ? -nanos : nanos;
}
