/** An operator's numbers, which are never added up into one. */

import { type Amount, add, amount, NOTHING } from "#contracts/amount";
import { type Book, LIST_MAX, type RecordRow } from "#marketplace/ledger/book";
import { earnedAccount, leavingAccount, waitingAccount } from "#marketplace/ledger/chart";
import { billOfPayout, readPayout } from "./payout.ts";

/** Nano-dollars. */
export type Earnings = {
	/** earned and free to be paid out */
	readonly earned: Amount;
	/** earned from money that can still be taken back by who paid it */
	readonly waiting: Amount;
	/** reserved for a payout that is on its way */
	readonly leaving: Amount;
	/** paid out so far, fees included */
	readonly paidOut: Amount;
};

/** What an operator's account (public key in hex) has earned. */
export async function earningsOf(book: Book, account: string): Promise<Earnings> {
	const accounts = [earnedAccount(account), waitingAccount(account), leavingAccount(account)];
	const [earned = 0n, waiting = 0n, leaving = 0n] = await book.balances(accounts);
	return {
		earned: amount(earned),
		waiting: amount(waiting),
		leaving: amount(leaving),
		paidOut: await paidOutTo(book, account),
	};
}

/** From the payouts themselves: with one a day, a page of them is three years. */
async function paidOutTo(book: Book, account: string): Promise<Amount> {
	let sum = NOTHING;
	let after: RecordRow | undefined;
	do {
		const page: RecordRow[] = await book.records({
			table: "payouts",
			by: "account",
			of: account,
			limit: LIST_MAX,
			...(after && { after: after.key }),
		});
		for (const row of page) if (row.state === "sent") sum = add(sum, billOfPayout(readPayout(row))?.gross ?? NOTHING);
		after = page.length < LIST_MAX ? undefined : page.at(-1);
	} while (after);
	return sum;
}
