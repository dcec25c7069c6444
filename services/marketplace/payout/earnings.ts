/** An operator's three numbers, which are never added up into one. */

import { type Amount, amount, NOTHING } from "#contracts/amount";
import type { Book } from "#marketplace/ledger/book";
import { earnedAccount } from "#marketplace/ledger/chart";

/** Nano-dollars. */
export type Earnings = {
	/** earned and free to be paid out */
	readonly earned: Amount;
	/** earned, but not cleared yet; nothing waits as long as no rail brings money that can be taken back */
	readonly waiting: Amount;
	/** paid out so far; nothing until there is a rail to pay by */
	readonly paidOut: Amount;
};

/** What an operator's account (public key in hex) has earned. */
export async function earningsOf(book: Book, account: string): Promise<Earnings> {
	return { earned: amount(await book.balance(earnedAccount(account))), waiting: NOTHING, paidOut: NOTHING };
}
