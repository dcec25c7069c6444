/** Lines of money, oldest first: cause, gross, each fee, net. An account's own, and the market's. */

import type { StatementLine } from "#contracts/statement";
import type { Book } from "./ledger/book.ts";
import { COMMONS, earnedAccount, MARKET_FEES, payerAccount } from "./ledger/chart.ts";
import type { KeptTransfer } from "./ledger/transfer.ts";

/** What a statement is read from: a book, or a ledger's file beside it. */
export type Ledger = Pick<Book, "transfers">;

/** Purses by what they are called on a statement, and the account of the chart that each is. */
type Purses = Readonly<Record<string, string>>;

/** What the spread on exchange rates brings the market. */
const MARKET_RATE = "market:rate";

const pursesOf = (account: string): Purses => ({
	spending: payerAccount(account),
	fresh: `${payerAccount(account)}:fresh`,
	earned: earnedAccount(account),
	waiting: `operator:${account}:waiting`,
	leaving: `operator:${account}:leaving`,
	owed: `world:owed:${account}`,
});

/** The market's own purses, and those that it keeps for everybody. */
const MARKET_PURSES: Purses = { fees: MARKET_FEES, exchange: MARKET_RATE, commons: COMMONS, risk: "risk" };

/** One page of an account's lines with positions above `after`: `limit` transfers at most. The next page begins after the last line's position. */
export function linesOf(ledger: Ledger, account: string, after: number, limit: number): Promise<StatementLine[]> {
	return pageOf(ledger, pursesOf(account), after, limit);
}

/** The same for the market. `gross` is what came to the purse; a fee's own purse shows it as `net`, not as a fee again. */
export function marketLinesOf(ledger: Ledger, after: number, limit: number): Promise<StatementLine[]> {
	return pageOf(ledger, MARKET_PURSES, after, limit);
}

async function pageOf(ledger: Ledger, purses: Purses, after: number, limit: number): Promise<StatementLine[]> {
	const found = await Promise.all(Object.values(purses).map((purse) => ledger.transfers(purse, after, limit)));
	const transfers = new Map(found.flat().map((transfer) => [transfer.position, transfer]));
	// a page ends between transfers: what one moves between purses is never torn apart
	return [...transfers.values()]
		.sort((a, b) => a.position - b.position)
		.slice(0, limit)
		.flatMap((transfer) => linesOfTransfer(transfer, purses));
}

function linesOfTransfer({ entries, position, atMs, id, cause }: KeptTransfer, purses: Purses): StatementLine[] {
	const of = (account: string): bigint => entries.find((entry) => entry.account === account)?.nanos ?? 0n;
	const own = Object.entries(purses)
		.map(([purse, account]) => ({ purse, net: of(account) }))
		.filter(({ net }) => net !== 0n);
	// what was taken on the way is said once, where most of the money moved
	const main = own.reduce<(typeof own)[0] | undefined>(
		(most, part) => (most && size(most.net) >= size(part.net) ? most : part),
		undefined,
	);
	const taken = (fee: string): bigint => (Object.values(purses).includes(fee) || of(fee) < 0n ? 0n : of(fee));
	return own.map((part) => {
		const [marketFee, solidarityFee, exchangeFee] =
			part === main ? [taken(MARKET_FEES), taken(COMMONS), taken(MARKET_RATE)] : [0n, 0n, 0n];
		const gross = part.net + marketFee + solidarityFee + exchangeFee;
		return { position, atMs, id, cause, ...part, gross, marketFee, solidarityFee, exchangeFee, railFee: 0n };
	});
}

function size(nanos: bigint): bigint {
	return nanos < 0n ? -nanos : nanos;
}
