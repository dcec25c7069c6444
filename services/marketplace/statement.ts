/** An account's lines of money, oldest first: cause, gross, each fee, net. */

import type { Book } from "./ledger/book.ts";
import { COMMONS, earnedAccount, MARKET_FEES, payerAccount } from "./ledger/chart.ts";
import type { KeptTransfer } from "./ledger/transfer.ts";

/** One line. Signed nano-dollars: positive for the account. For an operator `gross` is what the payer paid, for a payer it is `net`. */
export type Line = {
	/** rises with every line; the cursor of the next page */
	readonly position: number;
	readonly atMs: number;
	readonly id: string;
	readonly cause: string;
	/** which of the account's purses: what it can spend, or what it earned */
	readonly purse: "spending" | "earned";
	readonly gross: bigint;
	readonly marketFee: bigint;
	readonly solidarityFee: bigint;
	readonly net: bigint;
};

/** One page of an account's lines with positions above `after`. */
export async function linesOf(book: Book, account: string, after: number, limit: number): Promise<Line[]> {
	const [spending, earned] = await Promise.all([
		book.transfers(payerAccount(account), after, limit),
		book.transfers(earnedAccount(account), after, limit),
	]);
	return [
		...spending.map((transfer) => lineOf(transfer, payerAccount(account), "spending")),
		...earned.map((transfer) => lineOf(transfer, earnedAccount(account), "earned")),
	]
		.sort((a, b) => a.position - b.position)
		.slice(0, limit);
}

function lineOf(transfer: KeptTransfer, own: string, purse: Line["purse"]): Line {
	const of = (account: string): bigint => transfer.entries.find((entry) => entry.account === account)?.nanos ?? 0n;
	const net = of(own);
	// fees are on top of what an operator asks: together they are what the payer paid for it
	const [marketFee, solidarityFee] = purse === "earned" ? [of(MARKET_FEES), of(COMMONS)] : [0n, 0n];
	return {
		position: transfer.position,
		atMs: transfer.atMs,
		id: transfer.id,
		cause: transfer.cause,
		purse,
		gross: net + marketFee + solidarityFee,
		marketFee,
		solidarityFee,
		net,
	};
}
